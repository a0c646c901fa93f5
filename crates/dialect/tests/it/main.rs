//! The dialects from outside: golden translations and properties.

mod golden;
mod properties;
mod support;
