//! The HTTP client against raw servers on ports of their own.

#[cfg(test)]
mod fetch;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod reuse;
#[cfg(test)]
mod secure;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod wire;
