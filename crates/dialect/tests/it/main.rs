//! The dialects from outside: golden translations and properties.

mod errors;
mod golden;
mod peek;
mod properties;
mod support;
mod tee;
