//! `/model/{id}/count-tokens`: the request, which wraps another, and the answer.

use domain::Usage;

use super::errors;
use super::peek;
use crate::cursor::Cursor;
use crate::intake::Intake;
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Reader, Step};
use crate::wire::{FieldError, Incoming, Peek, Seen, TeeOptions};

/// What is typed of the request within: a Converse request, or the bytes of a model's own.
pub(super) fn peek(request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let mut cursor = Cursor::new(request.body);
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        if !key.is("input") {
            cursor.skip();
            continue;
        }
        let mut input = cursor.object();
        while let Some(kind) = cursor.key(&mut input) {
            if kind.is("converse") {
                return peek::peek(&Incoming { body: cursor.raw(), ..*request });
            }
            if kind.is("invokeModel") {
                let mut intake = Intake::new();
                intake.message();
                intake.whole(&mut cursor);
                return Ok(Peek { model_span: None, ..intake.finish(request)? });
            }
            cursor.skip();
        }
    }
    Err(FieldError::new("input", "expected converse or invokeModel"))
}

/// A reader of the whole answer. Counting uses nothing: its usage is zero, not unknown.
pub(super) fn tee() -> Box<dyn Tee> {
    watch::tee::<Counted>(TeeOptions::default())
}

/// The answer that says `tokens`.
pub(super) fn answer(tokens: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    out.extend_from_slice(br#"{"inputTokens":"#);
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
            if key.is("inputTokens") {
                seen.complete = cursor.unsigned().is_some();
            } else {
                cursor.skip();
            }
        }
        if !seen.complete && errors::is_own(body) {
            seen.error = Some(errors::classify(500, &(), body));
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
    use crate::wire::PathFacts;

    fn seen(body: &'static str) -> Seen {
        let mut tee = tee();
        tee.feed(Bytes::from_static(body.as_bytes()), &mut SmallVec::new());
        tee.finish()
    }

    #[test]
    fn counting_costs_nothing() {
        assert_eq!(answer(17), br#"{"inputTokens":17}"#);
        let good = seen(r#"{"inputTokens":17}"#);
        assert_eq!((good.complete, good.usage), (true, Some(Usage::default())));
        for bad in ["{}", "[]", "x", r#"{"inputTokens":-1}"#] {
            assert!(!seen(bad).complete, "{bad}");
        }
        assert!(seen(r#"{"message":"no"}"#).error.is_some());
    }

    #[test]
    fn the_request_within_is_read() {
        let peek = |body: &str| {
            let path = PathFacts { model: Some("m"), stream: None };
            super::peek(&Incoming { body: body.as_bytes(), headers: &(), path })
        };
        let message = r#"{"messages":[{"role":"user","content":[{"text":"twelve bytes"}]}]}"#;
        let inner = peek(&format!(r#"{{"input":{{"converse":{message}}}}}"#)).unwrap();
        assert_eq!((inner.model.as_str(), inner.message_count), ("m", 1));
        assert!(inner.text_bytes >= 12);
        let opaque = peek(r#"{"input":{"invokeModel":{"body":"eyJhIjoxfQ=="}}}"#).unwrap();
        assert!(opaque.text_bytes >= 12);
        assert_eq!(peek("{}").unwrap_err().field, "input");
    }
}
