//! `/model/{id}/count-tokens`: the request, which wraps another, and the answer.

use super::errors;
use super::peek;
use crate::count_tokens::Counted;
use crate::cursor::Cursor;
use crate::intake::Intake;
use crate::wire::{FieldError, Incoming, Peek, UpstreamFault};

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
                let at = cursor.place();
                let mut peek = peek::peek(&Incoming { body: cursor.raw(), ..*request })?;
                for cut in &mut peek.cuts {
                    *cut = cut.start + at..cut.end + at;
                }
                return Ok(peek);
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

/// How the answer says it.
pub(super) struct InputTokens;

impl Counted for InputTokens {
    const FIELD: &'static str = "inputTokens";

    fn error(body: &[u8]) -> Option<UpstreamFault> {
        errors::is_own(body).then(|| errors::classify(500, &(), body))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::count_tokens::holds;
    use crate::intake::splice;
    use crate::wire::Edits;
    use crate::wire::PathFacts;

    #[test]
    fn counting_costs_nothing() {
        holds::<InputTokens>(r#"{"inputTokens":17}"#, r#"{"message":"no"}"#);
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
        let call = r#"{"messages":[{"content":[{"toolUse":{"toolUseId":"a__orthought__YWJj"}}]}]}"#;
        let body = format!(r#"{{"input":{{"converse":{call}}}}}"#);
        let sent = splice(&Bytes::from(body.clone()), &peek(&body).unwrap(), &Edits::default());
        assert_eq!(sent, body.replace("__orthought__YWJj", ""));
        let opaque = peek(r#"{"input":{"invokeModel":{"body":"eyJhIjoxfQ=="}}}"#).unwrap();
        assert!(opaque.text_bytes >= 12);
        assert_eq!(peek("{}").unwrap_err().field, "input");
    }
}
