//! The HTTP client towards providers: targets, the address guard, TLS, a pool per runtime thread, and keys.
//!
//! One [`Pool`] lives on each runtime thread and is not `Send`: no lock and no hand-over between threads stands
//! in a request's way. HTTP/1.1 connections are driven inside the request that uses them (no task, no wake-up
//! from one task to another); HTTP/2 connections are shared and have one driver task each.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod body;
mod connect;
mod dns;
mod error;
mod fetch;
pub mod guard;
mod h1;
mod h2;
mod keyring;
pub mod oci;
mod pool;
mod rsa;
mod secret;
pub mod sigv4;
mod stream;
mod target;
mod tls;
pub mod tokens;

pub use body::Body;
pub use error::{BodyError, SendError, Stage, TargetError};
pub use fetch::{FetchError, FetchOptions, Fetched, fetch, host_of};
pub use keyring::{KeyRing, NoKey, Picked};
pub use pool::{Deadlines, Incoming, Outgoing, Pool, PoolOptions, Upgrade};
pub use rsa::{RsaError, RsaKey};
pub use secret::Secret;
pub use stream::Switched;
pub use target::{Http2, Scheme, Target, TargetOptions};
