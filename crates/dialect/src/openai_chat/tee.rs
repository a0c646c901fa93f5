//! Reads usage from an answer that passes.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::registry::Tee;
use crate::wire::{FirstEvent, Seen, TeeOptions};

pub(super) fn tee(_options: TeeOptions) -> Box<dyn Tee> {
    Box::new(Passing)
}

struct Passing;

impl Tee for Passing {
    fn feed(&mut self, chunk: Bytes, out: &mut SmallVec<[Bytes; 2]>) {
        out.push(chunk);
    }

    fn first(&self) -> FirstEvent {
        FirstEvent::Pending
    }

    fn finish(&mut self) -> Seen {
        Seen::default()
    }
}
