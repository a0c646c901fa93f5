//! The HTTP client against raw servers on ports of their own.

mod raw;
mod reuse;
mod secure;
mod wire;
