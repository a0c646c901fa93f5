//! A connection on which HTTP has ended and a WebSocket has begun.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::guarded::Guarded;
use super::state::InFlight;

/// What runs on a connection after the head of its last answer, in the connection's own task: it is counted, drained and
/// cut as requests are.
pub struct TakeOver(Box<dyn FnOnce(Upgraded, Staying) -> Work>);

type Work = Pin<Box<dyn Future<Output = ()>>>;

impl TakeOver {
    /// Runs `work`, given the connection.
    pub fn new(work: impl FnOnce(Upgraded, Staying) -> Work + 'static) -> Self {
        Self(Box::new(work))
    }

    pub(super) fn run(self, upgraded: Upgraded, staying: Staying) -> Work {
        (self.0)(upgraded, staying)
    }
}

impl fmt::Debug for TakeOver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TakeOver")
    }
}

/// The bytes of such a connection.
#[derive(Debug)]
pub struct Upgraded {
    stream: Guarded,
    /// What was read together with the head.
    pub first: Bytes,
}

impl Upgraded {
    pub(super) fn new(stream: Guarded, first: Bytes) -> Self {
        Self { stream, first }
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// How long the connection stays. Its task is woken whenever that changes.
#[derive(Debug)]
pub struct Staying(InFlight);

impl Staying {
    pub(super) fn new(place: InFlight) -> Self {
        Self(place)
    }

    /// Whether what runs is to be finished and nothing new to be begun.
    pub fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    /// Whether the connection is about to be cut: what is still to be said must be said now.
    pub fn is_ending(&self) -> bool {
        self.0.is_ending(Waker::noop())
    }
}
