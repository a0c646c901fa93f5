//! The listening side of the data plane: accepting, TLS, framing, connection limits and draining.
//!
//! One acceptor task hands accepted sockets to the thread with the fewest open connections; each runtime thread
//! serves its own connections. One listening socket was preferred to `SO_REUSEPORT` sockets because the kernel
//! spreads those by hash (16 connections on two threads are often 11 and 5), because closing one of them resets
//! what waits in its queue, and because the hand-over costs once per connection, not per request.

mod body;
mod conn;
mod framing;
mod gate;
mod guarded;
mod handler;
pub mod headers;
mod limits;
pub mod route;
mod serve;
mod state;
mod stream;
mod tls;
mod upgraded;

#[cfg(test)]
mod tests;

pub use body::{BodyFault, Pace, read_body};
pub use conn::ConnInfo;
pub use gate::{Gate, Shutdown};
pub use handler::{LastWords, ReqBody, RespBody};
pub use limits::ListenLimits;
pub use serve::{Arrivals, Intake, Served, accept, bind, intake, serve};
pub use tls::{TlsError, TlsSource};
pub use upgraded::{Staying, TakeOver, Upgraded};
