//! The body of an answer to a client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;

use crate::ensemble::Ensemble;
use crate::listen::{LastWords, TakeOver};
use crate::relay::Relay;

/// The body was ended on purpose without its proper end, so that the client can't take it for whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer was cut")]
pub struct Aborted;

/// What is sent back: pieces that are there, or a stream that is still coming.
pub enum RespBody {
    /// All of it, in order; nothing is copied together.
    Whole(SmallVec<[Bytes; 2]>),
    /// Relayed as it comes.
    Stream(Box<Relay>),
    /// Several calls' streams as one.
    Ensemble(Box<Ensemble>),
    /// None: a session takes the connection over.
    Session(Option<TakeOver>),
}

impl RespBody {
    /// One piece.
    pub fn one(bytes: impl Into<Bytes>) -> Self {
        let mut pieces = SmallVec::new();
        pieces.push(bytes.into());
        Self::Whole(pieces)
    }

    /// Nothing.
    pub fn empty() -> Self {
        Self::Whole(SmallVec::new())
    }
}

impl LastWords for RespBody {
    fn last_words(&mut self) {
        match self {
            Self::Whole(_) | Self::Session(_) => {}
            Self::Stream(relay) => relay.last_words(),
            Self::Ensemble(ensemble) => ensemble.last_words(),
        }
    }

    fn take_over(&mut self) -> Option<TakeOver> {
        match self {
            Self::Session(session) => session.take(),
            Self::Whole(_) | Self::Stream(_) | Self::Ensemble(_) => None,
        }
    }
}

impl Body for RespBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self.get_mut() {
            Self::Session(_) => Poll::Ready(None),
            Self::Whole(pieces) if pieces.is_empty() => Poll::Ready(None),
            Self::Whole(pieces) => Poll::Ready(Some(Ok(Frame::data(pieces.remove(0))))),
            Self::Stream(relay) => relay.poll(context).map(|it| it.map(|it| it.map(Frame::data))),
            Self::Ensemble(ensemble) => {
                ensemble.poll(context).map(|it| it.map(|it| it.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(pieces) => pieces.is_empty(),
            Self::Session(_) => true,
            Self::Stream(_) | Self::Ensemble(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(pieces) => {
                SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            Self::Session(_) => SizeHint::with_exact(0),
            Self::Stream(_) | Self::Ensemble(_) => SizeHint::default(),
        }
    }
}
