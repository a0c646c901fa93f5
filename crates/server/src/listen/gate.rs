//! What the threads of one listener share: limits, counts, and the wish to stop.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::limits::ListenLimits;
use super::tls::TlsSource;

/// Shared by the acceptor and all serving threads of a listener.
#[derive(Debug)]
pub struct Gate {
    pub(super) limits: ListenLimits,
    pub(super) tls: Option<Arc<TlsSource>>,
    stop: watch::Receiver<Option<Instant>>,
    open: AtomicUsize,
    by_source: Mutex<BTreeMap<IpAddr, usize>>,
    turned_away: AtomicU64,
}

/// The other end: asks a listener to stop.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<Option<Instant>>>);

/// A connection's place among the others; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    gate: Arc<Gate>,
    source: IpAddr,
}

impl Gate {
    /// A gate and the handle that closes it. With `tls` every connection must be TLS.
    pub fn new(limits: ListenLimits, tls: Option<Arc<TlsSource>>) -> (Arc<Self>, Shutdown) {
        let (sender, stop) = watch::channel(None);
        let gate = Self {
            limits,
            tls,
            stop,
            open: AtomicUsize::new(0),
            by_source: Mutex::new(BTreeMap::new()),
            turned_away: AtomicU64::new(0),
        };
        (Arc::new(gate), Shutdown(Arc::new(sender)))
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections closed at once because there were too many.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// When the listener drains: the moment at which what is left is cut.
    pub fn drain_deadline(&self) -> Option<Instant> {
        *self.stop.borrow()
    }

    /// Waits until the listener is asked to stop; returns the deadline.
    pub async fn stopping(&self) -> Instant {
        let mut stop = self.stop.clone();
        loop {
            if let Some(deadline) = *stop.borrow_and_update() {
                return deadline;
            }
            if stop.changed().await.is_err() {
                // Nobody is left who could ask.
                std::future::pending::<()>().await;
            }
        }
    }

    /// A place for a connection from `peer`, if there is one.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let source = source(peer);
        let mut by_source = self.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        let from_there = by_source.entry(source).or_default();
        let proxied = || self.limits.proxies.iter().any(|network| network.contains(peer));
        if (*from_there >= self.limits.connections_per_ip && !proxied())
            || self.open.load(Ordering::Relaxed) >= self.limits.connections
        {
            if *from_there == 0 {
                by_source.remove(&source);
            }
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *from_there += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Place { gate: Arc::clone(self), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.open.fetch_sub(1, Ordering::Relaxed);
        let mut by_source = self.gate.by_source.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                by_source.remove(&self.source);
            }
        }
    }
}

/// What counts as one address: an IPv6 customer has a /64 at least.
fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(it) => IpAddr::V6(Ipv6Addr::from_bits(it.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Shutdown {
    /// Stop accepting, ask every connection to close after what it is doing, and cut what is left after
    /// `drain`. Calling it again with another time replaces the deadline.
    pub fn drain(&self, drain: Duration) {
        self.0.send_replace(Some(Instant::now() + drain));
    }
}
