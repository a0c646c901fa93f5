//! The catalog as its users see it: the compiled-in data, lookups, exact arithmetic, imports.

mod data;
mod imports;
mod lookup;
mod oracle;
