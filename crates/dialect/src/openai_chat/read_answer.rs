//! A provider's whole answer.
use crate::exchange::Answer;
use crate::wire::BadAnswer;

pub(super) fn read(_body: &[u8]) -> Result<Answer, BadAnswer> {
    Ok(Answer::default())
}
