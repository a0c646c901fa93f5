//! One connection.

use std::net::SocketAddr;

/// The body of a request as the handler receives it.
pub type ReqBody = hyper::body::Incoming;

/// What a handler may want to know about the connection; the request carries it as an extension.
#[derive(Clone, Copy, Debug)]
pub struct ConnInfo {
    /// The peer's address.
    pub peer: SocketAddr,
    /// Whether it came through TLS.
    pub tls: bool,
    /// Whether it is HTTP/2.
    pub h2: bool,
}
