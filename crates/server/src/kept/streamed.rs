//! A stream whose response is kept.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use dialect::openai_responses::kept::Keeper;
use store::kept::Pending;
use store::kept::responses::Keeping;

use super::Keep;
use crate::gateway::Gateway;

/// Stands between what is written and what the client gets; the last event waits until the response is on disk.
pub struct Streamed {
    keep: Arc<Keep>,
    keeper: Keeper,
    gateway: Arc<Gateway>,
    provider: String,
    pending: Option<Pending<Keeping>>,
}

impl Streamed {
    /// Of an answer of that provider.
    pub fn new(keep: &Arc<Keep>, gateway: &Arc<Gateway>, provider: &str) -> Self {
        Self {
            keep: Arc::clone(keep),
            keeper: Keeper::new(keep.told.clone()),
            gateway: Arc::clone(gateway),
            provider: provider.to_owned(),
            pending: None,
        }
    }

    /// Takes a piece; pushes what the client gets by now.
    pub fn feed(&mut self, piece: &Bytes, out: &mut VecDeque<Bytes>) {
        self.keeper.feed(piece, out);
    }

    /// What was written ended.
    pub fn end(&mut self, out: &mut VecDeque<Bytes>) {
        self.keeper.end(out);
    }

    /// The answer is whole: begins to keep it.
    pub fn begin(&mut self) {
        match self.keeper.response() {
            Some((response, output)) => {
                let output = output.as_deref();
                self.pending = self.keep.begin(&self.gateway, &self.provider, &response, output);
            }
            None => self.keep.not_kept("its stream is not as the protocol has it"),
        }
    }

    /// Lets the last event go once it is known whether the response is kept.
    pub fn poll_close(&mut self, context: &mut Context<'_>, out: &mut VecDeque<Bytes>) -> Poll<()> {
        let kept = match &mut self.pending {
            None => false,
            Some(pending) => match Pin::new(pending).poll(context) {
                Poll::Ready(result) => self.keep.ended(result),
                Poll::Pending => return Poll::Pending,
            },
        };
        self.pending = None;
        self.keeper.close(kept, out);
        Poll::Ready(())
    }
}
