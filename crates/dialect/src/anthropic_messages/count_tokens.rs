//! `/v1/messages/count_tokens`: the answer, read and written.

use domain::Usage;

use crate::cursor::Cursor;
use crate::fault;
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Reader, Step};
use crate::wire::{Seen, TeeOptions};

/// A reader of the whole answer. Counting uses nothing: its usage is zero, not unknown.
pub(crate) fn tee() -> Box<dyn Tee> {
    watch::tee::<Counted>(TeeOptions::default())
}

/// The answer that says `tokens`.
pub(super) fn answer(tokens: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    out.extend_from_slice(br#"{"input_tokens":"#);
    out.extend_from_slice(itoa::Buffer::new().format(tokens).as_bytes());
    out.push(b'}');
    out
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
            if key.is("input_tokens") {
                seen.complete = cursor.unsigned().is_some();
            } else if key.is("error") {
                let raw = cursor.raw();
                if watch::is_error(raw) {
                    seen.error = Some(fault::of_object(raw));
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
        assert_eq!(answer(17), br#"{"input_tokens":17}"#);
        let good = seen(r#"{"input_tokens":17}"#);
        assert!(good.complete);
        assert_eq!(good.usage, Some(Usage::default()));
        for bad in ["{}", "[]", "x", r#"{"input_tokens":-1}"#] {
            assert!(!seen(bad).complete, "{bad}");
        }
        let fault = seen(r#"{"type":"error","error":{"type":"overloaded_error"}}"#).error.unwrap();
        assert_eq!(fault.class, domain::ErrorClass::Overloaded);
    }
}
