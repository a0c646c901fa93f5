//! The dialects from outside: golden translations and properties.

mod golden;
mod peek;
mod properties;
mod support;
