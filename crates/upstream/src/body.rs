//! The response body.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Body as _;

use crate::error::BodyError;
use crate::h1::{H1, explain};
use crate::h2::Slot;
use crate::pool::Home;

/// The body of a response. Dropped before its end, it closes the upstream connection at once (HTTP/2: resets
/// the stream); read to its end, the connection goes back to the pool.
pub struct Body {
    incoming: hyper::body::Incoming,
    carrier: Carrier,
}

enum Carrier {
    H1 {
        connection: Box<H1>,
        home: Home,
    },
    H2 {
        slot: Slot,
    },
    /// Ended: orderly or not.
    Gone {
        whole: bool,
    },
}

impl Body {
    pub(crate) fn over_h1(
        incoming: hyper::body::Incoming,
        connection: Box<H1>,
        home: Home,
    ) -> Self {
        let mut body = Self { incoming, carrier: Carrier::H1 { connection, home } };
        if body.incoming.is_end_stream() {
            body.finish(&mut Context::from_waker(Waker::noop()));
        }
        body
    }

    pub(crate) fn over_h2(incoming: hyper::body::Incoming, slot: Slot) -> Self {
        Self { incoming, carrier: Carrier::H2 { slot } }
    }

    /// The next piece, as it came from the wire; `None` at the (orderly) end.
    pub async fn frame(&mut self) -> Option<Result<Bytes, BodyError>> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }

    /// [`Body::frame`] as a poll function.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match &self.carrier {
            Carrier::H1 { .. } => self.poll_h1(cx),
            Carrier::H2 { .. } => self.poll_h2(cx),
            Carrier::Gone { .. } => Poll::Ready(None),
        }
    }

    fn poll_h1(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        // All progress comes from driving the connection, so the body's channel needs nobody to wake.
        let mut quiet = Context::from_waker(Waker::noop());
        let mut driven = None;
        loop {
            match Pin::new(&mut self.incoming).poll_frame(&mut quiet) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are read past: no dialect has any.
                    let Ok(data) = frame.into_data() else { continue };
                    if self.incoming.is_end_stream() {
                        self.finish(cx);
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Ready(Some(Err(error))) => return self.fail(&explain(&error)),
                Poll::Ready(None) => {
                    self.finish(cx);
                    return Poll::Ready(None);
                }
                Poll::Pending => {}
            }
            match (driven, &mut self.carrier) {
                (None, Carrier::H1 { connection, .. }) => driven = Some(connection.drive(cx)),
                (Some(true), _) => return self.fail("the connection was closed in the middle"),
                _ => return Poll::Pending,
            }
        }
    }

    fn poll_h2(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => return self.fail(&explain(&error)),
                None => {
                    self.carrier = Carrier::Gone { whole: true };
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// The body is read: the connection goes home if it can serve again.
    fn finish(&mut self, cx: &mut Context<'_>) {
        let carrier = std::mem::replace(&mut self.carrier, Carrier::Gone { whole: true });
        match carrier {
            Carrier::H1 { mut connection, home } => {
                if connection.usable(cx) {
                    home.put(connection);
                }
            }
            Carrier::H2 { slot } => drop(slot),
            Carrier::Gone { .. } => {}
        }
    }

    fn fail(&mut self, why: &str) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.carrier = Carrier::Gone { whole: false };
        Poll::Ready(Some(Err(BodyError::bad(why))))
    }

    /// Whether everything has been read, orderly.
    pub fn is_done(&self) -> bool {
        matches!(self.carrier, Carrier::Gone { whole: true })
    }

    /// The bytes still to come, if the head announced a length.
    pub fn exact_len(&self) -> Option<u64> {
        match self.carrier {
            Carrier::Gone { .. } => Some(0),
            Carrier::H1 { .. } | Carrier::H2 { .. } => self.incoming.size_hint().exact(),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        self.get_mut().poll_data(cx).map(|it| it.map(|it| it.map(http_body::Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.carrier, Carrier::Gone { .. })
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.exact_len().map_or_else(http_body::SizeHint::default, http_body::SizeHint::with_exact)
    }
}
