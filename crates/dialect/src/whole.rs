//! A tee for answers that come in one piece of JSON and are read at their end.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::registry::Tee;
use crate::wire::{FirstEvent, Seen};

/// Keeps the pieces that pass (they are shared, not copied) and reads them together at the end.
pub(crate) struct Whole<F> {
    pieces: SmallVec<[Bytes; 2]>,
    read: F,
}

impl<F: Fn(&[u8]) -> Seen> Whole<F> {
    /// A tee that reads with that function.
    pub(crate) fn new(read: F) -> Self {
        Self { pieces: SmallVec::new(), read }
    }
}

impl<F: Fn(&[u8]) -> Seen + Send> Tee for Whole<F> {
    fn feed(&mut self, chunk: Bytes, out: &mut SmallVec<[Bytes; 2]>) {
        self.pieces.push(chunk.clone());
        out.push(chunk);
    }

    fn first(&self) -> FirstEvent {
        if self.pieces.is_empty() { FirstEvent::Pending } else { FirstEvent::Good }
    }

    fn finish(&mut self) -> Seen {
        match self.pieces.as_slice() {
            [only] => (self.read)(only),
            several => (self.read)(&several.concat()),
        }
    }
}
