//! Token counts at Bedrock: the request stands in base64 within another, the answer has another name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::cursor::Cursor;
use crate::wire::FieldError;

/// What is to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// `inputTokens`, as Bedrock says it.
    Bedrock,
    /// `input_tokens`, as Anthropic says it.
    Anthropic,
}

impl Count {
    fn field(self) -> &'static str {
        match self {
            Self::Bedrock => "inputTokens",
            Self::Anthropic => "input_tokens",
        }
    }
}

/// Whether a request to count tokens at Bedrock holds the body of a model's own (and not a Converse request).
pub(crate) fn is_invoke(body: &[u8]) -> bool {
    model_body(body).is_some()
}

/// The request within.
pub(super) fn within(body: &[u8]) -> Result<Bytes, FieldError> {
    let wrong = |why| FieldError::new("input.invokeModel.body", why);
    let text = model_body(body).ok_or_else(|| wrong("a body in base64 is required"))?;
    STANDARD.decode(text).map(Bytes::from).map_err(|_| wrong("this is not base64"))
}

/// `input.invokeModel.body` as it is written: base64 needs no escapes.
fn model_body(body: &[u8]) -> Option<&[u8]> {
    let mut value = body;
    for name in ["input", "invokeModel", "body"] {
        value = member(value, name)?;
    }
    Cursor::new(value).text().map(|text| text.raw)
}

fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut cursor = Cursor::new(object);
    let mut members = cursor.object();
    while let Some(key) = cursor.key(&mut members) {
        let value = cursor.raw();
        if key.is(name) {
            return Some(value);
        }
    }
    None
}

pub(super) fn around(body: &[u8]) -> Bytes {
    Bytes::from(format!(r#"{{"input":{{"invokeModel":{{"body":"{}"}}}}}}"#, STANDARD.encode(body)))
}

/// The answer under its other name; one without a count stays as it is.
pub fn rename(answer: &[u8], from: Count, to: Count) -> Vec<u8> {
    let tokens = member(answer, from.field()).and_then(|value| Cursor::new(value).unsigned());
    match tokens {
        Some(tokens) => crate::count_tokens::answer(to.field(), tokens),
        None => answer.to_vec(),
    }
}
