//! `/v1/messages/count_tokens` (protocols A4).

use bytes::Bytes;
use domain::Usage;
use serde::Deserialize;

use crate::registry::Tee;
use crate::whole::Whole;
use crate::wire::Seen;

#[derive(Deserialize)]
struct Answer {
    #[expect(dead_code, reason = "an answer without it is not one")]
    input_tokens: u64,
}

/// A reader of a count's answer. Counting uses nothing.
pub fn tee() -> Box<dyn Tee> {
    Box::new(Whole::new(|body: &[u8]| {
        let complete = serde_json::from_slice::<Answer>(body).is_ok();
        Seen { complete, usage: complete.then(Usage::default), ..Seen::default() }
    }))
}

/// The answer of a count that we make ourselves.
pub fn answer(tokens: u64) -> Vec<u8> {
    serde_json::json!({"input_tokens": tokens}).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::SmallVec;

    #[test]
    fn what_we_answer_is_an_answer() {
        let mut tee = tee();
        let mut out = SmallVec::new();
        tee.feed(Bytes::from(answer(12)), &mut out);
        assert!(tee.finish().complete);
    }
}
