//! The dialects from outside: golden translations and properties.

#![expect(clippy::expect_used, reason = "helpers of tests fail by panicking, as tests do")]

mod corners;
mod embedding;
mod errors;
mod gemini;
mod golden;
mod kept;
mod peek;
mod properties;
mod support;
mod tee;
