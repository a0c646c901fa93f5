//! A provider's stream.
use crate::exchange::StreamEvent;
use crate::registry::StreamReader;
use crate::wire::BadAnswer;

#[derive(Debug, Default)]
pub(super) struct Reader {}

impl StreamReader for Reader {
    fn feed(&mut self, _bytes: &[u8], _out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        Ok(())
    }

    fn end(&mut self, _out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        Err(BadAnswer::Cut)
    }
}
