//! `:batchEmbedContents` and `:embedContent`: what is typed of a request, and the usage of an answer.

use domain::RequestLimits;

use super::errors::classify_object;
use super::names::camel;
use super::usage::WireUsage;
use crate::cursor::Cursor;
use crate::intake::{settle_model, wrong};
use crate::registry::Tee;
use crate::watch::{self, Reader};
use crate::wire::{FieldError, Incoming, Peek, Seen, TeeOptions};

/// Bytes allowed per input for the markers that a tokenizer puts around it.
const ALLOWANCE: u64 = 16;

/// The fields that we act on. Everything within a content counts as it is written.
pub(super) fn peek(request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let limits = RequestLimits { max_output: Some(0), answers: 1 };
    let mut peek = Peek { limits, ..Peek::default() };
    let mut cursor = Cursor::new(request.body);
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        match &*camel(&key.decode()) {
            "requests" => {
                let start = cursor.place();
                if cursor.peek() != Some(b'[') {
                    return Err(wrong("requests", start, "expected an array"));
                }
                let mut items = cursor.array();
                while cursor.item(&mut items) {
                    one(&mut cursor, &mut peek);
                }
            }
            "content" => {
                peek.single = true;
                count(cursor.raw(), &mut peek);
            }
            _ => cursor.skip(),
        }
    }
    settle_model(&mut peek, request)?;
    // The path names the model to providers too.
    peek.model_span = None;
    if peek.message_count == 0 {
        return Err(FieldError::new("requests", "at least one content is required"));
    }
    Ok(peek)
}

fn one(cursor: &mut Cursor<'_>, peek: &mut Peek) {
    let mut members = cursor.object();
    while let Some(key) = cursor.key(&mut members) {
        match &*camel(&key.decode()) {
            "content" => count(cursor.raw(), peek),
            "title" => peek.text_bytes = peek.text_bytes.saturating_add(cursor.raw().len() as u64),
            _ => cursor.skip(),
        }
    }
}

fn count(content: &[u8], peek: &mut Peek) {
    peek.text_bytes = peek.text_bytes.saturating_add(content.len() as u64 + ALLOWANCE);
    peek.message_count = peek.message_count.saturating_add(1);
}

/// A reader of the whole answer.
pub(super) fn tee() -> Box<dyn Tee> {
    watch::tee::<Embedded>(TeeOptions::default())
}

#[derive(Default)]
struct Embedded;

impl Reader for Embedded {
    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        let mut cursor = Cursor::new(body);
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            match &*key.bytes() {
                b"embeddings" | b"embedding" => {
                    seen.complete |= matches!(cursor.peek(), Some(b'[' | b'{'));
                    cursor.skip();
                }
                b"usageMetadata" => {
                    let usage = serde_json::from_slice::<WireUsage>(cursor.raw()).ok();
                    seen.usage = usage.and_then(|usage| usage.to_usage());
                }
                b"error" => {
                    let raw = cursor.raw();
                    if watch::is_error(raw) {
                        seen.error = Some(classify_object(raw));
                    }
                }
                _ => cursor.skip(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use smallvec::SmallVec;

    use super::*;
    use crate::wire::PathFacts;

    fn read(body: &str) -> Result<Peek, FieldError> {
        let path = PathFacts { model: Some("e-1"), stream: None };
        peek(&Incoming { body: body.as_bytes(), headers: &(), path })
    }

    #[test]
    fn every_form_of_input_is_bounded() {
        let batch = r#"{"requests": [{"model": "models/e-1", "content": {"parts":[{"text":"hello"}]}},
            {"content": {"parts":[{"text":"ho"}]}, "title": "x"}]}"#;
        let peek = read(batch).unwrap();
        assert_eq!((peek.model.as_str(), peek.message_count), ("e-1", 2));
        assert!(peek.text_bytes >= 7 && peek.model_span.is_none());
        let single = read(r#"{"content": {"parts":[{"text":"hello"}]}}"#).unwrap();
        assert!(single.message_count == 1 && single.single && !peek.single);
        for bad in ["{}", r#"{"requests": []}"#, r#"{"requests": 1}"#] {
            assert_eq!(read(bad).unwrap_err().field, "requests", "{bad}");
        }
    }

    #[test]
    fn usage_is_read_where_there_is_any() {
        let seen = |body: &'static str| {
            let mut tee = tee();
            let mut out = SmallVec::new();
            tee.feed(Bytes::from_static(body.as_bytes()), &mut out);
            tee.finish()
        };
        let silent = seen(r#"{"embeddings":[{"values":[0.5]}]}"#);
        assert!(silent.complete && silent.usage.is_none());
        let told = seen(r#"{"embedding":{"values":[0.5]},"usageMetadata":{"promptTokenCount":3}}"#);
        assert_eq!(told.usage.map(|usage| usage.input), Some(3));
        assert!(!seen("{}").complete);
    }
}
