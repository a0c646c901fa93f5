//! One of a session's two connections.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};
use tokio_tungstenite::tungstenite::{Bytes, Error};

use super::{ASK_AFTER, GONE_AFTER, framing};

/// One of the two connections.
pub(super) struct Line<S> {
    pub(super) socket: WebSocketStream<S>,
    /// Whether something may not have left.
    unsent: bool,
    /// Since when it takes nothing.
    pub(super) stuck: Option<Instant>,
    heard: Instant,
    pinged: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    pub(super) async fn new(stream: S, first: Vec<u8>, role: Role) -> Self {
        let config = Some(framing());
        let socket = WebSocketStream::from_partially_read(stream, first, role, config).await;
        Self { socket, unsent: false, stuck: None, heard: Instant::now(), pinged: false }
    }

    pub(super) fn send(&mut self, message: Message) -> Result<(), Error> {
        self.unsent = true;
        Pin::new(&mut self.socket).start_send(message)
    }

    /// Until everything has left.
    pub(super) fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.unsent {
            return Poll::Ready(Ok(()));
        }
        let sent = Pin::new(&mut self.socket).poll_flush(context);
        if sent.is_pending() {
            self.stuck.get_or_insert_with(Instant::now);
        } else {
            self.unsent = false;
            self.stuck = None;
        }
        sent
    }

    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Error>>> {
        let next = ready!(Pin::new(&mut self.socket).poll_next(context));
        self.heard = Instant::now();
        self.pinged = false;
        // A ping is answered with what is sent next.
        self.unsent |= matches!(next, Some(Ok(Message::Ping(_))));
        Poll::Ready(next)
    }

    /// Whether it has answered nothing, or taken nothing, for too long. Asks first.
    pub(super) fn is_gone(&mut self, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.heard);
        if silent >= ASK_AFTER && !self.pinged && self.stuck.is_none() {
            self.pinged = true;
            // One that can't be written any more shows when it is read.
            drop(self.send(Message::Ping(Bytes::new())));
        }
        silent >= GONE_AFTER
            || self.stuck.is_some_and(|since| now.saturating_duration_since(since) >= GONE_AFTER)
    }
}
