//! HTTP/2 connections: shared by the requests of a thread, each with one driver task.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use crate::h1::{Failed, explain, late, no_head};
use crate::stream::Stream;

/// Streams put on one connection before the next is opened: what servers allow at least, by custom (RFC 9113
/// section 6.5.2 advises against less than 100).
const STREAMS_MAX: usize = 100;

/// A shared connection.
pub(crate) struct H2 {
    handle: http2::SendRequest<Full<Bytes>>,
    open: Rc<Cell<usize>>,
    idle_since: Rc<Cell<Instant>>,
}

/// One of the streams in use; counts itself out when dropped.
pub(crate) struct Slot {
    open: Rc<Cell<usize>>,
    idle_since: Rc<Cell<Instant>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.set(self.open.get().saturating_sub(1));
        self.idle_since.set(Instant::now());
    }
}

impl H2 {
    /// Starts HTTP/2 on a stream; its driver becomes a task of the current runtime.
    pub(crate) async fn start(stream: Stream, head_bytes: usize) -> hyper::Result<Self> {
        let (handle, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(8 * 1024 * 1024)
            .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(error = %explain(&error), "an upstream HTTP/2 connection ended");
            }
        });
        Ok(Self {
            handle,
            open: Rc::new(Cell::new(0)),
            idle_since: Rc::new(Cell::new(Instant::now())),
        })
    }

    /// Whether one more stream fits.
    pub(crate) fn has_room(&self) -> bool {
        !self.handle.is_closed() && self.open.get() < STREAMS_MAX
    }

    /// Whether it should be forgotten.
    pub(crate) fn expired(&self, idle_limit: Duration) -> bool {
        self.handle.is_closed()
            || (self.open.get() == 0 && self.idle_since.get().elapsed() >= idle_limit)
    }

    /// A place on this connection: the handle to send with and the count of it.
    pub(crate) fn take(&self) -> (http2::SendRequest<Full<Bytes>>, Slot) {
        self.open.set(self.open.get() + 1);
        let slot = Slot { open: Rc::clone(&self.open), idle_since: Rc::clone(&self.idle_since) };
        (self.handle.clone(), slot)
    }
}

/// Sends a request and waits for the response head. Dropping the future resets the stream.
pub(crate) async fn exchange(
    mut handle: http2::SendRequest<Full<Bytes>>,
    slot: Slot,
    request: Request<Full<Bytes>>,
    limit: Duration,
) -> Result<(Response<Incoming>, Slot), Failed> {
    match tokio::time::timeout(limit, handle.try_send_request(request)).await {
        Ok(Ok(response)) => Ok((response, slot)),
        Ok(Err(mut refused)) => {
            let unsent = refused.take_message();
            let sent = unsent.is_none();
            let error = no_head(sent, &explain(refused.error()), refused.error().is_parse());
            Err(Failed { error, unsent })
        }
        Err(_) => Err(Failed { error: late(true, limit), unsent: None }),
    }
}
