//! A provider's whole response as an answer.

use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::classify_object;
use super::reasoning_items;
use super::usage::WireUsage;
use crate::exchange::{Answer, Choice, Part, PartKind, ToolUse};
use crate::json::{str_at, text_at, to_bytes};
use crate::wire::{BadAnswer, FinishReason};

pub(super) fn read(body: &[u8]) -> Result<Answer, BadAnswer> {
    let response: Value = serde_json::from_slice(body)
        .map_err(|error| BadAnswer::Malformed(format!("the answer is not JSON: {error}")))?;
    if let Some(error) = error_of(&response) {
        return Err(BadAnswer::Fault(classify_object(&to_bytes(error))));
    }
    if !response.get("output").is_some_and(Value::is_array) {
        return Err(BadAnswer::Malformed("the answer has no output".to_owned()));
    }
    let has_calls = output(&response).iter().any(is_call);
    let finish = finish_reason(&response, has_calls)?;
    let mut logprobs = Vec::new();
    let parts = read_output(&response, &finish, &mut logprobs)?;
    let logprobs = (!logprobs.is_empty()).then(|| logprobs_value(&logprobs));
    Ok(Answer {
        id: text_at(&response, "id"),
        model: text_at(&response, "model"),
        choices: vec![Choice { parts, finish, logprobs }],
        usage: response.get("usage").and_then(read_usage),
        fingerprint: None,
    })
}

/// An `error` that says something: it is null in a success. A failed response without one failed all the same.
pub(super) fn error_of(response: &Value) -> Option<&Value> {
    let error = response.get("error").filter(|error| match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
    error.or_else(|| response.get("status").filter(|status| *status == "failed"))
}

/// The items of a response.
fn output(response: &Value) -> &[Value] {
    response.get("output").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether an item calls one of the client's tools.
pub(super) fn is_call(item: &Value) -> bool {
    matches!(str_at(item, "type"), Some("function_call" | "custom_tool_call"))
}

/// The usage object in disjoint buckets; `None` where it is unreadable or silent.
pub(super) fn read_usage(usage: &Value) -> Option<domain::Usage> {
    WireUsage::deserialize(usage).ok()?.to_usage()
}

/// Log probabilities as chat completions have them, which is how the exchange keeps them.
pub(super) fn logprobs_value(tokens: &[Value]) -> Value {
    json!({"content": tokens, "refusal": null})
}

/// Why it ended (protocols C2), of a response that did end.
fn finish_reason(response: &Value, has_calls: bool) -> Result<FinishReason, BadAnswer> {
    match str_at(response, "status") {
        // Hosts that leave it out have answered.
        Some("completed") | None => Ok(reason_of(None, has_calls)),
        Some("incomplete") => Ok(reason_of(Some(incomplete_reason(response)), has_calls)),
        Some(other) => Err(BadAnswer::Malformed(format!("the response is `{other}`"))),
    }
}

/// The word for why a response is incomplete.
pub(super) fn incomplete_reason(response: &Value) -> &str {
    let details = response.get("incomplete_details");
    details.and_then(|details| str_at(details, "reason")).unwrap_or("max_output_tokens")
}

/// The finish reason of a completed response, or of one that is incomplete for that reason.
pub(super) fn reason_of(incomplete: Option<&str>, has_calls: bool) -> FinishReason {
    match incomplete {
        None if has_calls => FinishReason::ToolCalls,
        None => FinishReason::Stop,
        Some("max_output_tokens" | "max_tokens") => FinishReason::Length,
        Some("content_filter") => FinishReason::Filtered,
        Some(other) => FinishReason::Other(other.to_owned()),
    }
}

/// What the items say, in order. Those of the vendor's own tools say nothing to another dialect's client.
pub(super) fn read_output(
    response: &Value,
    finish: &FinishReason,
    logprobs: &mut Vec<Value>,
) -> Result<Vec<Part>, BadAnswer> {
    let mut parts = Vec::new();
    for item in output(response) {
        match str_at(item, "type").unwrap_or_default() {
            "message" => {
                let content = item.get("content").and_then(Value::as_array);
                for piece in content.into_iter().flatten() {
                    parts.extend(read_piece(piece));
                    let tokens = piece.get("logprobs").and_then(Value::as_array);
                    logprobs.extend(tokens.into_iter().flatten().cloned());
                }
            }
            "reasoning" => parts.extend(reasoning_items::read(item)),
            "function_call" | "custom_tool_call" => {
                let call = read_call(item);
                if is_whole(&call) {
                    parts.push(Part::new(PartKind::ToolUse(call)));
                } else if matches!(finish, FinishReason::ToolCalls | FinishReason::Stop) {
                    return Err(BadAnswer::Malformed(
                        "the arguments of a tool call are not a JSON object".to_owned(),
                    ));
                }
                // A call that the limit cut is left out: it must not be made.
            }
            _ => {}
        }
    }
    Ok(parts)
}

fn read_piece(piece: &Value) -> Option<Part> {
    match str_at(piece, "type")? {
        "output_text" | "text" => text_at(piece, "text").map(Part::text),
        "refusal" => text_at(piece, "refusal").map(|text| Part::new(PartKind::Refusal(text))),
        _ => None,
    }
}

/// A call of a function or a custom tool.
pub(super) fn read_call(item: &Value) -> ToolUse {
    let custom = str_at(item, "type") == Some("custom_tool_call");
    let input = match item.get(if custom { "input" } else { "arguments" }) {
        Some(Value::String(text)) => text.clone(),
        // Some hosts send the object itself.
        Some(value @ Value::Object(_)) => crate::json::to_text(value),
        _ => String::new(),
    };
    let id = text_at(item, "call_id").or_else(|| text_at(item, "id")).unwrap_or_default();
    ToolUse { id, name: str_at(item, "name").unwrap_or_default().to_owned(), input, custom }
}

fn is_whole(call: &ToolUse) -> bool {
    let blank = call.input.trim().is_empty();
    call.custom || blank || matches!(serde_json::from_str(&call.input), Ok(Value::Object(_)))
}
