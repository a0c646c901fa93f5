//! The gateway put together: listeners, the steps of a request, the admin API, reload and drain.
//!
//! A request's steps are modules of their own, in this order: [`accept`], [`identify`], [`read`], [`resolve`],
//! [`plan`], [`fetch`], [`admit`], [`dispatch`], [`relay`], [`settle`]. Planning comes before admission because budgets may be
//! scoped to a provider: what is reserved is the worst case of the offer that is tried.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod accept;
pub mod admin;
pub mod admit;
mod aws_profile;
pub mod body;
pub mod clock;
pub mod discover;
pub mod dispatch;
pub mod ensemble;
pub mod enveloped;
pub mod errors;
pub mod explain;
pub mod fetch;
pub mod gateway;
pub mod gauges;
pub mod identify;
pub mod imported;
pub mod kept;
pub mod keys;
pub mod listen;
pub mod local;
pub mod lodged;
pub mod logins;
pub mod plan;
mod planted;
pub mod probe;
pub mod read;
pub mod realtime;
pub mod relay;
pub mod reload;
pub mod resolve;
pub mod restore;
pub mod secrets;
pub mod serve;
pub mod settle;
pub mod snapshot;
pub mod source;
#[cfg(test)]
mod testing;
pub mod trace;
pub mod whole;
pub mod worker;

pub use discover::discover;
pub use serve::{ConfigSource, Exit, Options, Ready, ServeError, run};
