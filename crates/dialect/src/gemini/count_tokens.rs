//! `:countTokens`: the answer, read and written.

use domain::Usage;

use super::errors::classify_object;
use crate::cursor::Cursor;
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Reader, Step};
use crate::wire::{Seen, TeeOptions};

/// A reader of the whole answer. Counting uses nothing: its usage is zero, not unknown.
pub(super) fn tee() -> Box<dyn Tee> {
    watch::tee::<Counted>(TeeOptions::default())
}

/// The answer that says `tokens`.
pub(super) fn answer(tokens: u64) -> Vec<u8> {
    format!(r#"{{"totalTokens":{tokens}}}"#).into_bytes()
}

#[derive(Default)]
struct Counted;

impl Reader for Counted {
    fn event(&mut self, _event: SseEvent<'_>, _seen: &mut Seen) -> Step {
        Step::Idle
    }

    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        let mut cursor = Cursor::new(body);
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            if key.is("totalTokens") {
                seen.complete = cursor.unsigned().is_some();
            } else if key.is("error") {
                let raw = cursor.raw();
                if watch::is_error(raw) {
                    seen.error = Some(classify_object(raw));
                }
            } else {
                cursor.skip();
            }
        }
    }

    fn is_complete(&self) -> bool {
        false
    }

    fn finish(&mut self, seen: &mut Seen) {
        seen.usage = seen.complete.then(Usage::default);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use smallvec::SmallVec;

    use super::*;

    fn seen(body: &'static str) -> Seen {
        let mut tee = tee();
        let mut out = SmallVec::new();
        tee.feed(Bytes::from_static(body.as_bytes()), &mut out);
        assert_eq!(out.concat(), body.as_bytes());
        tee.finish()
    }

    #[test]
    fn counting_costs_nothing() {
        assert_eq!(answer(17), br#"{"totalTokens":17}"#);
        let good = seen(r#"{"totalTokens": 17, "promptTokensDetails": []}"#);
        assert!(good.complete);
        assert_eq!(good.usage, Some(Usage::default()));
        for bad in ["{}", "[]", "x", r#"{"totalTokens":-1}"#] {
            assert!(!seen(bad).complete, "{bad}");
        }
        let fault = seen(r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"x"}}"#).error;
        assert_eq!(fault.map(|fault| fault.class), Some(domain::ErrorClass::Overloaded));
    }
}
