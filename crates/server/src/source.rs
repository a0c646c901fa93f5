//! Where an answer's bytes come from: a provider over HTTP, or the built-in demo.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use dialect::envelope::{self, Count, Unframer};
use domain::{Endpoint, Envelope, ErrorClass};
use fake_provider::Part;
use tokio::time::{Instant, Sleep, sleep_until};
use upstream::BodyError;

/// Most bytes of an answer that is one number.
const COUNT_BYTES_MAX: usize = 64 * 1024;

/// The body of a provider's answer. Dropped before its end it cancels the call.
pub enum Source {
    /// Over HTTP.
    Http(upstream::Body),
    /// From the built-in demo.
    Demo(DemoBody),
    /// Out of a cloud's envelope.
    Enveloped(Box<Source>, Opener),
}

impl Source {
    /// The next piece; `None` at the orderly end.
    pub fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self {
            Self::Http(body) => body.poll_data(context),
            Self::Demo(body) => body.poll_data(context),
            Self::Enveloped(inner, opener) => opener.poll_data(inner, context),
        }
    }

    /// The next piece; `None` at the orderly end.
    pub async fn data(&mut self) -> Option<Result<Bytes, BodyError>> {
        std::future::poll_fn(|context| self.poll_data(context)).await
    }
}

/// Takes an answer out of its envelope as it comes.
pub enum Opener {
    /// Frames become events.
    Frames(Unframer),
    /// A count of tokens gets the dialect's own name, once it is whole.
    Count(Vec<u8>),
    /// Bytes that were no frame came after whole ones; the text says what was wrong with them.
    Broken(String),
    /// Nothing more is to come.
    Done,
}

impl Opener {
    /// What opens the answers in an envelope; none where nothing is around them.
    pub fn of(envelope: Envelope, endpoint: Endpoint, stream: bool) -> Option<Self> {
        match (envelope, endpoint) {
            (Envelope::BedrockInvoke, Endpoint::CountTokens) => Some(Self::Count(Vec::new())),
            (Envelope::BedrockInvoke, _) if stream => Some(Self::Frames(Unframer::default())),
            _ => None,
        }
    }

    fn poll_data(
        &mut self,
        inner: &mut Source,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if let Self::Broken(why) = self {
                let (class, message) = (ErrorClass::BadResponse, std::mem::take(why));
                return Poll::Ready(Some(Err(BodyError { class, message })));
            }
            let piece = match std::task::ready!(inner.poll_data(context)) {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(self.end().map(Ok)),
            };
            match self {
                Self::Frames(unframer) => {
                    let mut events = Vec::new();
                    let fed = unframer.feed(&piece, &mut events);
                    if let Err(bad) = fed {
                        *self = Self::Broken(bad.to_string());
                    }
                    // What was whole before a bad frame goes out first.
                    if !events.is_empty() {
                        return Poll::Ready(Some(Ok(events.into())));
                    }
                }
                // More than this is no count.
                Self::Count(held) if held.len() + piece.len() <= COUNT_BYTES_MAX => {
                    held.extend_from_slice(&piece);
                }
                Self::Count(_) | Self::Broken(_) | Self::Done => {}
            }
        }
    }

    fn end(&mut self) -> Option<Bytes> {
        match std::mem::replace(self, Self::Done) {
            Self::Count(held) => {
                Some(envelope::rename_count(&held, Count::Bedrock, Count::Anthropic).into())
            }
            Self::Frames(_) | Self::Broken(_) | Self::Done => None,
        }
    }
}

/// The demo's parts, each after its delay.
pub struct DemoBody {
    parts: VecDeque<Part>,
    cut: bool,
    due: Option<Pin<Box<Sleep>>>,
}

impl DemoBody {
    /// The parts of a reply.
    pub fn new(body: fake_provider::Body) -> Self {
        match body {
            fake_provider::Body::Whole(bytes) => {
                let part = Part { delay: std::time::Duration::ZERO, bytes };
                Self { parts: VecDeque::from([part]), cut: false, due: None }
            }
            fake_provider::Body::Timed { parts, cut } => {
                Self { parts: parts.into(), cut, due: None }
            }
        }
    }

    /// Waits as long as the demo takes for its first byte.
    pub async fn first_delay(&mut self) {
        if let Some(first) = self.parts.front_mut() {
            let delay = std::mem::take(&mut first.delay);
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
        }
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let Some(next) = self.parts.front() else {
            let cut = std::mem::take(&mut self.cut);
            return Poll::Ready(cut.then(|| {
                Err(BodyError {
                    class: ErrorClass::BadResponse,
                    message: "the demo cut its answer".to_owned(),
                })
            }));
        };
        if !next.delay.is_zero() {
            let due =
                self.due.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + next.delay)));
            if due.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.due = None;
        }
        Poll::Ready(self.parts.pop_front().map(|part| Ok(part.bytes)))
    }
}
