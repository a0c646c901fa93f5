//! `/v1/embeddings`: what is typed of it, and its usage (protocols A3). Served in its own dialect only.

use bytes::Bytes;
use domain::{RequestLimits, Usage};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::registry::Tee;
use crate::whole::Whole;
use crate::wire::{FieldError, Peek, Seen};

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    model: &'a RawValue,
    #[serde(borrow)]
    input: &'a RawValue,
}

/// Types the few fields that we act on. Runs after the gate has passed the body.
pub fn peek(body: &[u8]) -> Result<Peek, FieldError> {
    let request: Request<'_> =
        serde_json::from_slice(body).map_err(|error| FieldError::new("body", error.to_string()))?;
    let model: String = serde_json::from_str(request.model.get())
        .map_err(|_| FieldError::new("model", "expected a string"))?;
    // The raw value is a part of the body, so the distance of their beginnings is its place.
    let start = request.model.get().as_ptr().addr().saturating_sub(body.as_ptr().addr());
    Ok(Peek {
        model,
        model_span: start..start + request.model.get().len(),
        limits: RequestLimits { max_output: None, answers: 1 },
        // Every token is at least a byte of the input as it is written: of text, or of an array of token ids.
        text_bytes: request.input.get().len() as u64,
        message_count: 1,
        ..Peek::default()
    })
}

#[derive(Deserialize)]
struct Answer {
    #[expect(dead_code, reason = "an answer without it is not one")]
    data: Vec<IgnoredAny>,
    model: Option<String>,
    usage: Option<Used>,
}

#[derive(Deserialize)]
struct Used {
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

/// A reader of an embeddings answer.
pub fn tee() -> Box<dyn Tee> {
    Box::new(Whole::new(|body: &[u8]| {
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else { return Seen::default() };
        let tokens = answer.usage.and_then(|used| used.prompt_tokens.or(used.total_tokens));
        Seen {
            usage: tokens.map(|input| Usage { input, ..Usage::default() }),
            complete: true,
            model: answer.model,
            ..Seen::default()
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::SmallVec;

    #[test]
    fn the_model_is_found_where_it_stands() {
        let body = br#"{ "input": ["a", "bc"], "model" : "p\/embed" }"#;
        let peek = peek(body).unwrap();
        assert_eq!(peek.model, "p/embed");
        assert_eq!(&body[peek.model_span], br#""p\/embed""#);
        assert_eq!(peek.text_bytes, 11);
    }

    #[test]
    fn usage_is_read_and_other_bodies_are_no_answers() {
        for (body, complete, tokens) in [
            (r#"{"data":[{"embedding":"AA=="}],"usage":{"prompt_tokens":7,"total_tokens":7}}"#, true, Some(7)),
            (r#"{"data":[]}"#, true, None),
            (r#"{"error":{"message":"no"}}"#, false, None),
            ("<html>", false, None),
        ] {
            let mut tee = tee();
            let mut out = SmallVec::new();
            tee.feed(Bytes::copy_from_slice(body.as_bytes()), &mut out);
            assert_eq!(out.concat(), body.as_bytes());
            let seen = tee.finish();
            assert_eq!((seen.complete, seen.usage.map(|usage| usage.input)), (complete, tokens), "{body}");
        }
    }
}
