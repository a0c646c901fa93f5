//! `/v1/embeddings` (protocols A3): what is typed of a request, and the usage of an answer.

use domain::RequestLimits;

use super::usage::WireUsage;
use crate::cursor::Cursor;
use crate::fault;
use crate::registry::Tee;
use crate::watch::{self, Reader};
use crate::wire::{FieldError, Incoming, Peek, Seen, TeeOptions};

/// Bytes allowed per input for the markers that a tokenizer puts around it.
const ALLOWANCE: u64 = 16;

/// The fields that we act on. Runs after [`crate::gate::scan`] has passed. An input given as token ids counts
/// one byte an id: ids are tokens already.
pub(super) fn peek(request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let mut peek =
        Peek { limits: RequestLimits { max_output: Some(0), answers: 1 }, ..Peek::default() };
    let mut has_input = false;
    let mut cursor = Cursor::new(request.body);
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        if key.is("model") {
            let start = cursor.place();
            let name = cursor.text().ok_or_else(|| wrong("model", start, "expected a string"))?;
            peek.model = name.decode().into_owned();
            peek.model_span = Some(start..start + name.raw.len() + 2);
        } else if key.is("input") {
            has_input = true;
            input(&mut cursor, &mut peek)?;
        } else {
            cursor.skip();
        }
    }
    crate::intake::settle_model(&mut peek, request)?;
    if !has_input {
        return Err(FieldError::new("input", "this field is required"));
    }
    Ok(peek)
}

fn wrong(field: &str, offset: usize, message: &str) -> FieldError {
    FieldError { field: field.to_owned(), offset: Some(offset), message: message.to_owned() }
}

fn input(cursor: &mut Cursor<'_>, peek: &mut Peek) -> Result<(), FieldError> {
    let start = cursor.place();
    match cursor.peek() {
        Some(b'"') => one(cursor, peek),
        Some(b'[') => {
            let mut items = cursor.array();
            let mut tokens = 0_u64;
            while cursor.item(&mut items) {
                if matches!(cursor.peek(), Some(b'"' | b'[' | b'{')) {
                    one(cursor, peek);
                } else {
                    tokens += 1;
                    cursor.skip();
                }
            }
            if tokens > 0 {
                count(peek, tokens);
            }
        }
        _ => return Err(wrong("input", start, "expected a string or an array")),
    }
    Ok(())
}

/// One input: a text, an array of token ids, or an object as some hosts take them for images.
fn one(cursor: &mut Cursor<'_>, peek: &mut Peek) {
    let bytes = match cursor.peek() {
        Some(b'"') => cursor.text().map_or(0, |text| text.len() as u64),
        Some(b'[') => {
            let mut ids = cursor.array();
            let mut tokens = 0;
            while cursor.item(&mut ids) {
                // An id is one token, whatever its digits; anything else is counted as it is written.
                let is_id = !matches!(cursor.peek(), Some(b'"' | b'{' | b'['));
                let length = cursor.raw().len() as u64;
                tokens += if is_id { 1 } else { length };
            }
            tokens
        }
        _ => cursor.raw().len() as u64,
    };
    count(peek, bytes);
}

fn count(peek: &mut Peek, bytes: u64) {
    peek.text_bytes = peek.text_bytes.saturating_add(bytes + ALLOWANCE);
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
                b"data" => {
                    seen.complete = cursor.peek() == Some(b'[');
                    cursor.skip();
                }
                b"usage" => seen.usage = usage(cursor.raw()),
                b"model" => seen.model = cursor.text().map(|name| name.decode().into_owned()),
                b"id" => seen.upstream_id = cursor.text().map(|id| id.decode().into_owned()),
                b"error" => {
                    let raw = cursor.raw();
                    if watch::is_error(raw) {
                        seen.error = Some(fault::of_object(raw));
                    }
                }
                _ => cursor.skip(),
            }
        }
    }
}

fn usage(raw: &[u8]) -> Option<domain::Usage> {
    serde_json::from_slice::<WireUsage>(raw).ok()?.to_usage()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use smallvec::SmallVec;

    use super::*;

    #[test]
    fn every_form_of_input_is_bounded() {
        let bytes = |input: &str| {
            let body = format!(r#"{{"input":{input},"model":"m"}}"#);
            let peek = peek(&Incoming::new(body.as_bytes(), &())).unwrap();
            assert_eq!(body.get(peek.model_span.clone().unwrap()), Some("\"m\""));
            (peek.text_bytes, peek.message_count)
        };
        assert_eq!(bytes(r#""hello""#), (5 + 16, 1));
        assert_eq!(bytes(r#"["a","bc"]"#), (3 + 32, 2));
        assert_eq!(bytes("[100257,7,7]"), (3 + 16, 1));
        assert_eq!(bytes("[[1,2],[3]]"), (3 + 32, 2));
        assert_eq!(bytes("[]"), (0, 0));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (body, field) in [
            (r#"{"model":"m"}"#, "input"),
            (r#"{"input":"x"}"#, "model"),
            (r#"{"model":1}"#, "model"),
            (r#"{"model":"m","input":1}"#, "input"),
        ] {
            assert_eq!(peek(&Incoming::new(body.as_bytes(), &())).unwrap_err().field, field);
        }
    }

    fn seen(body: &'static str) -> Seen {
        let mut tee = tee();
        let mut out = SmallVec::new();
        let (one, two) = body.split_at(body.len() / 2);
        tee.feed(Bytes::from_static(one.as_bytes()), &mut out);
        tee.feed(Bytes::from_static(two.as_bytes()), &mut out);
        assert_eq!(out.concat(), body.as_bytes());
        tee.finish()
    }

    #[test]
    fn usage_is_read_from_the_whole_answer() {
        let good = seen(
            r#"{"object":"list","data":[{"embedding":[0.1]}],"model":"e-1","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
        );
        assert!(good.complete);
        assert_eq!(good.usage.map(|usage| (usage.input, usage.output)), Some((8, 0)));
        assert_eq!(good.model.as_deref(), Some("e-1"));
        assert!(!seen(r#"{"object":"list"}"#).complete);
        assert!(!seen(r#"{"data":[1"#).complete);
        let silent = seen(r#"{"data":[]}"#);
        assert!(silent.complete && silent.usage.is_none());
    }
}
