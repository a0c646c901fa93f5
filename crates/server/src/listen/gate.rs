//! What the threads of one listener share: limits, counts, and the wish to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::limits::ListenLimits;
use super::tls::TlsSource;

/// Shared by the acceptor and all serving threads of a listener.
#[derive(Debug)]
pub struct Gate {
    pub(super) limits: ListenLimits,
    pub(super) tls: Option<Arc<TlsSource>>,
    pub(super) stop: watch::Receiver<Option<Duration>>,
}

/// The other end: asks a listener to stop.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<Option<Duration>>>);

impl Gate {
    /// A gate and the handle that closes it. With `tls` every connection must be TLS.
    pub fn new(limits: ListenLimits, tls: Option<Arc<TlsSource>>) -> (Arc<Self>, Shutdown) {
        let (sender, stop) = watch::channel(None);
        (Arc::new(Self { limits, tls, stop }), Shutdown(Arc::new(sender)))
    }
}

impl Shutdown {
    /// Stop accepting, ask every connection to close after what it is doing, and cut what is left after
    /// `drain`. Calling it again with another time replaces the deadline.
    pub fn drain(&self, drain: Duration) {
        self.0.send_replace(Some(drain));
    }
}
