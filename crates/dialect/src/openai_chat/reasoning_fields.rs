//! Reasoning in chat completions, for which the protocol has no field (protocols C3).
//!
//! Read: `reasoning_content`, `reasoning` (a string), a content part `thinking` (Mistral), `reasoning_details`
//! (OpenRouter), which may carry signatures. Written: `reasoning_content` and `reasoning`, and, where a vendor signed it,
//! `reasoning_details` in OpenRouter's shape:
//! `{"type": "reasoning.text", "text", "signature", "format", "index"}` and
//! `{"type": "reasoning.encrypted", "data", "format", "index"}`. A client that returns the assistant
//! message as it got it gives the vendor its own signed reasoning back.

use serde_json::{Value, json};

use crate::exchange::{Part, PartKind, Thinking};
use crate::json::{Fields, str_at, text_at};
use crate::signature::{split, with_format};
use crate::wire::FieldError;

/// A signature or encrypted data of a detail, with whose it is.
pub(super) fn bound(detail: &Value, key: &str) -> Option<String> {
    text_at(detail, key).map(|opaque| with_format(opaque, str_at(detail, "format")))
}

/// The reasoning of an assistant message in the history.
pub(super) fn read_history(fields: &mut Fields) -> Result<Vec<Part>, FieldError> {
    let details = fields.array("reasoning_details")?.unwrap_or_default();
    let plain = [fields.value("reasoning_content"), fields.value("reasoning")];
    Ok(parts(&details, plain_text(&plain).as_deref()))
}

/// The reasoning of a message that a provider sent.
pub(super) fn read_message(message: &Value) -> Vec<Part> {
    let details = message.get("reasoning_details").and_then(Value::as_array);
    let plain = [message.get("reasoning_content").cloned(), message.get("reasoning").cloned()];
    parts(details.map_or(&[], Vec::as_slice), plain_text(&plain).as_deref())
}

/// The first of the spellings that says something.
pub(super) fn plain_text(spellings: &[Option<Value>]) -> Option<String> {
    spellings.iter().flatten().find_map(|value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    })
}

fn parts(details: &[Value], plain: Option<&str>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for detail in details {
        if let Some(data) = bound(detail, "data") {
            parts.push(Part::new(PartKind::Redacted(data)));
            continue;
        }
        let text = detail_text(detail).unwrap_or_default().to_owned();
        add_text(&mut parts, text, bound(detail, "signature"));
    }
    let has_text = parts.iter().any(is_text);
    if let (false, Some(plain)) = (has_text, plain) {
        // A single signature without a text belongs to the plain text.
        match parts.iter_mut().find_map(|part| signed(part)) {
            Some(thinking) => plain.clone_into(&mut thinking.text),
            None => add_text(&mut parts, plain.to_owned(), None),
        }
    }
    parts
}

/// The text of a detail, whole or as a summary.
pub(super) fn detail_text(detail: &Value) -> Option<&str> {
    ["text", "summary"].iter().find_map(|key| str_at(detail, key)).filter(|text| !text.is_empty())
}

fn is_text(part: &Part) -> bool {
    matches!(&part.kind, PartKind::Thinking(thinking) if !thinking.text.is_empty())
}

fn signed(part: &mut Part) -> Option<&mut Thinking> {
    match &mut part.kind {
        PartKind::Thinking(thinking) if thinking.signature.is_some() => Some(thinking),
        _ => None,
    }
}

/// Adds a piece; streamed details come as several texts and at last a signature, which belong together.
fn add_text(parts: &mut Vec<Part>, text: String, signature: Option<String>) {
    if text.is_empty() && signature.is_none() {
        return;
    }
    match parts.last_mut() {
        Some(Part { kind: PartKind::Thinking(last), .. }) if last.signature.is_none() => {
            last.text.push_str(&text);
            last.signature = signature;
        }
        _ => parts.push(Part::new(PartKind::Thinking(Thinking { text, signature }))),
    }
}

/// A detail of signed text; either may be left out in a stream.
pub(super) fn text_detail(index: usize, text: Option<&str>, signature: Option<&str>) -> Value {
    let (format, signed) = split(signature.unwrap_or_default());
    let mut detail = json!({"type": "reasoning.text", "index": index});
    if let Some(text) = text {
        detail["text"] = text.into();
    }
    // Whose it is, is known with the signature.
    if signature.is_some() {
        detail["format"] = format.into();
        detail["signature"] = signed.into();
    }
    detail
}

/// A detail that only its vendor can read.
pub(super) fn encrypted_detail(index: usize, data: &str) -> Value {
    let (format, data) = split(data);
    json!({"type": "reasoning.encrypted", "format": format, "index": index, "data": data})
}

/// All reasoning parts as details, in order; empty where nothing is signed.
pub(super) fn details(parts: &[Part]) -> Vec<Value> {
    let reasoning = || {
        parts
            .iter()
            .filter(|part| matches!(part.kind, PartKind::Thinking(_) | PartKind::Redacted(_)))
    };
    let is_bound = |part: &Part| match &part.kind {
        PartKind::Thinking(thinking) => thinking.signature.is_some(),
        _ => true,
    };
    if !reasoning().any(is_bound) {
        return Vec::new();
    }
    reasoning()
        .enumerate()
        .map(|(index, part)| match &part.kind {
            PartKind::Thinking(Thinking { text, signature: Some(signature) }) => {
                text_detail(index, Some(text), Some(signature))
            }
            // Nobody's.
            PartKind::Thinking(Thinking { text, signature: None }) => {
                json!({"type": "reasoning.text", "index": index, "text": text})
            }
            PartKind::Redacted(data) => encrypted_detail(index, data),
            _ => Value::Null,
        })
        .collect()
}

/// All reasoning text in the clear, `None` where there is none.
pub(super) fn text(parts: &[Part]) -> Option<String> {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::Thinking(thinking) if !thinking.text.is_empty() => {
                Some(thinking.text.as_str())
            }
            _ => None,
        })
        .collect();
    if texts.is_empty() { None } else { Some(texts.join("\n\n")) }
}
