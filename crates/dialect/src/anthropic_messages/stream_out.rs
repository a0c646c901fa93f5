//! A client's stream.
use crate::exchange::StreamEvent;
use crate::registry::StreamWriter;
use crate::wire::AnswerContext;

#[derive(Debug)]
pub(super) struct Writer {}

impl Writer {
    pub(super) fn new(_context: &AnswerContext<'_>) -> Self {
        Self {}
    }
}

impl StreamWriter for Writer {
    fn event(&mut self, _event: &StreamEvent, _out: &mut Vec<u8>) {}
}
