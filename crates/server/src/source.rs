//! Where an answer's bytes come from: a provider over HTTP, or the built-in demo.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use domain::ErrorClass;
use fake_provider::Part;
use tokio::time::{Instant, Sleep, sleep_until};
use upstream::BodyError;

/// The body of a provider's answer. Dropped before its end it cancels the call.
pub enum Source {
    /// Over HTTP.
    Http(upstream::Body),
    /// From the built-in demo.
    Demo(DemoBody),
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
        }
    }

    /// The next piece; `None` at the orderly end.
    pub async fn data(&mut self) -> Option<Result<Bytes, BodyError>> {
        std::future::poll_fn(|context| self.poll_data(context)).await
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
