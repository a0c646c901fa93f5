//! A provider's whole chat completion as an answer.

use domain::{ErrorClass, RateHint};
use serde_json::Value;

use super::errors::classify_object;
use super::reasoning_fields;
use super::usage::WireUsage;
use crate::exchange::{Answer, Choice, Part, PartKind, Thinking, ToolUse};
use crate::json::{fnv, str_at, text_at, to_bytes};
use crate::wire::{BadAnswer, FinishReason, UpstreamFault};

pub(super) fn read(body: &[u8]) -> Result<Answer, BadAnswer> {
    let answer: Value = serde_json::from_slice(body)
        .map_err(|error| BadAnswer::Malformed(format!("the answer is not JSON: {error}")))?;
    read_value(&answer)
}

/// The same of JSON that has been read.
pub(crate) fn read_value(answer: &Value) -> Result<Answer, BadAnswer> {
    if let Some(error) = error_of(answer) {
        return Err(BadAnswer::Fault(classify_object(&to_bytes(error))));
    }
    let choices = answer
        .get("choices")
        .and_then(Value::as_array)
        .filter(|choices| !choices.is_empty())
        .ok_or_else(|| BadAnswer::Malformed("the answer has no choices".to_owned()))?;
    let id = text_at(answer, "id");
    let seed = id.as_deref().unwrap_or_default();
    Ok(Answer {
        choices: choices
            .iter()
            .map(|choice| read_choice(choice, seed))
            .collect::<Result<_, _>>()?,
        model: text_at(answer, "model"),
        usage: answer.get("usage").and_then(read_usage),
        fingerprint: text_at(answer, "system_fingerprint"),
        id,
    })
}

/// An `error` that says something: hosts send `"error": null` with a success.
pub(super) fn error_of(answer: &Value) -> Option<&Value> {
    answer.get("error").filter(|error| match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    })
}

/// The usage object in disjoint buckets; `None` where it is unreadable or silent.
pub(super) fn read_usage(usage: &Value) -> Option<domain::Usage> {
    use serde::Deserialize;
    WireUsage::deserialize(usage).ok()?.to_usage()
}

/// The finish reason (protocols C2). Some hosts say `stop` although tools are called.
pub(super) fn finish_reason(word: &str, has_calls: bool) -> FinishReason {
    match word {
        "stop" | "eos" if has_calls => FinishReason::ToolCalls,
        "stop" | "eos" => FinishReason::Stop,
        // Of Cohere's models at Oracle; OpenAI does not tell.
        "stop_sequence" => FinishReason::StopSequence(String::new()),
        "length" => FinishReason::Length,
        "model_length" => FinishReason::ContextFull,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::Filtered,
        "error" | "abort" => FinishReason::Error,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// Generation that failed in the middle is no answer, whatever there is of it.
pub(super) fn failed(word: &str) -> BadAnswer {
    let message = format!("the provider ended the answer with `{word}`");
    BadAnswer::Fault(UpstreamFault {
        class: ErrorClass::ServerError,
        hint: RateHint::default(),
        message,
        code: None,
    })
}

/// An id for a call whose host gave none: the same for the same answer and place, different elsewhere.
pub(super) fn made_up_id(seed: &str, index: u64) -> String {
    format!("call_{:016x}_{index}", fnv(seed.as_bytes()))
}

fn read_choice(choice: &Value, seed: &str) -> Result<Choice, BadAnswer> {
    let message = choice
        .get("message")
        .filter(|message| message.is_object())
        .ok_or_else(|| BadAnswer::Malformed("a choice has no message".to_owned()))?;
    let mut parts = reasoning_fields::read_message(message);
    if let Some(content) = message.get("content") {
        read_content(content, &mut parts);
    }
    if let Some(refusal) = text_at(message, "refusal") {
        parts.push(Part::new(PartKind::Refusal(refusal)));
    }
    let calls = message.get("tool_calls").and_then(Value::as_array);
    let calls = calls.into_iter().flatten();
    let mut calls: Vec<ToolUse> =
        calls.enumerate().map(|(index, call)| read_call(call, seed, index as u64)).collect();
    if let Some(function) = message.get("function_call").filter(|call| call.is_object()) {
        calls.push(call_of(function, "arguments", made_up_id(seed, 0), false));
    }
    let word = str_at(choice, "finish_reason").unwrap_or("stop");
    let finish = finish_reason(word, !calls.is_empty());
    if finish == FinishReason::Error {
        return Err(failed(word));
    }
    for call in calls {
        if is_whole(&call) {
            parts.push(Part::new(PartKind::ToolUse(call)));
        } else if !matches!(finish, FinishReason::Length | FinishReason::ContextFull) {
            return Err(BadAnswer::Malformed(
                "the arguments of a tool call are not a JSON object".to_owned(),
            ));
        }
        // A call that the limit cut is left out: it must not be made.
    }
    let logprobs = choice.get("logprobs").filter(|value| !value.is_null()).cloned();
    Ok(Choice { parts, finish, logprobs })
}

fn read_content(content: &Value, parts: &mut Vec<Part>) {
    match content {
        Value::String(text) if !text.is_empty() => parts.push(Part::text(text.as_str())),
        Value::Array(pieces) => parts.extend(pieces.iter().filter_map(read_piece)),
        _ => {}
    }
}

/// A content part; Mistral's `thinking` parts hold text parts of their own.
fn read_piece(piece: &Value) -> Option<Part> {
    match str_at(piece, "type")? {
        "text" => text_at(piece, "text").map(Part::text),
        "refusal" => text_at(piece, "refusal").map(|text| Part::new(PartKind::Refusal(text))),
        "thinking" => {
            let thinking = Thinking { text: thinking_text(piece), signature: None };
            Some(Part::new(PartKind::Thinking(thinking)))
        }
        _ => None,
    }
}

/// The text of a `thinking` part: a string, or text parts.
pub(super) fn thinking_text(piece: &Value) -> String {
    match piece.get("thinking") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(inner)) => inner.iter().filter_map(|it| str_at(it, "text")).collect(),
        _ => String::new(),
    }
}

fn read_call(call: &Value, seed: &str, index: u64) -> ToolUse {
    let id = text_at(call, "id").unwrap_or_else(|| made_up_id(seed, index));
    match call.get("custom").filter(|custom| custom.is_object()) {
        Some(custom) => call_of(custom, "input", id, true),
        None => call_of(call.get("function").unwrap_or(&Value::Null), "arguments", id, false),
    }
}

fn call_of(inner: &Value, key: &str, id: String, custom: bool) -> ToolUse {
    let input = match inner.get(key) {
        Some(Value::String(text)) => text.clone(),
        // Some hosts send the object itself.
        Some(value @ Value::Object(_)) => crate::json::to_text(value),
        _ => String::new(),
    };
    ToolUse { id, name: str_at(inner, "name").unwrap_or_default().to_owned(), input, custom }
}

fn is_whole(call: &ToolUse) -> bool {
    let blank = call.input.trim().is_empty();
    call.custom || blank || matches!(serde_json::from_str(&call.input), Ok(Value::Object(_)))
}
