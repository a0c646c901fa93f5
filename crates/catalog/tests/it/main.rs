//! The catalog as its users see it: the compiled-in data, lookups, exact arithmetic, imports.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod data;
mod imports;
mod lookup;
mod oracle;
mod vision;
