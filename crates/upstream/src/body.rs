//! The response body.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::error::BodyError;

/// The body of a response. Dropped before its end, it closes the upstream connection at once (HTTP/2: resets
/// the stream); read to its end, the connection goes back to the pool.
pub struct Body;

impl Body {
    /// The next piece, as it came from the wire; `None` at the (orderly) end.
    pub async fn frame(&mut self) -> Option<Result<Bytes, BodyError>> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }

    /// [`Body::frame`] as a poll function.
    pub fn poll_data(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        Poll::Ready(None)
    }

    /// Whether everything has been read, orderly.
    pub fn is_done(&self) -> bool {
        true
    }

    /// The length the head announced, if it did.
    pub fn exact_len(&self) -> Option<u64> {
        None
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
        self.is_done()
    }
}
