//! Limits and deadlines of a listener.

use std::time::Duration;

use config::Network;

/// Limits of one listener; the defaults are those the manual states.
#[derive(Clone, Debug)]
pub struct ListenLimits {
    /// Open connections, all threads together.
    pub connections: usize,
    /// Open connections from one address (IPv6: one /64).
    pub connections_per_ip: usize,
    /// Networks whose connections speak for many clients: the limit of one address is not theirs.
    pub proxies: Vec<Network>,
    /// From the first byte of a request head (or the accepted socket) to its end; also the TLS handshake.
    pub header_deadline: Duration,
    /// How long a connection without a request in flight stays open.
    pub keep_alive_idle: Duration,
    /// Age at which a connection is asked to close; up to a tenth is taken off at random.
    pub connection_age: Duration,
    /// Header fields of a request.
    pub headers: usize,
    /// Bytes of a request head.
    pub head_bytes: usize,
    /// Bytes of a request target.
    pub target_bytes: usize,
    /// Concurrent streams of an HTTP/2 connection.
    pub h2_streams: u32,
}

impl Default for ListenLimits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            connections_per_ip: 1_000,
            proxies: Vec::new(),
            header_deadline: Duration::from_secs(10),
            keep_alive_idle: Duration::from_secs(75),
            connection_age: Duration::from_mins(10),
            headers: 64,
            head_bytes: 32 * 1024,
            target_bytes: 8 * 1024,
            h2_streams: 100,
        }
    }
}
