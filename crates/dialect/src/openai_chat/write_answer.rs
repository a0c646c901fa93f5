//! A whole answer for a client.
use crate::exchange::Answer;
use crate::wire::AnswerContext;

pub(super) fn write(_answer: &Answer, _context: &AnswerContext<'_>) -> Vec<u8> {
    Vec::new()
}
