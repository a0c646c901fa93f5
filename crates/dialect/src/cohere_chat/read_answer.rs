//! A provider's whole answer (`v2/types/v2chat_response.py`).

use serde::Deserialize;
use serde_json::Value;

use super::errors::{classify_object, ended};
use super::logprobs;
use super::usage::WireUsage;
use crate::exchange::{Answer, Choice, Part, PartKind, Thinking, ToolUse};
use crate::json::{str_at, text_at, to_bytes, to_text};
use crate::tool_ids;
use crate::wire::{BadAnswer, FinishReason};

pub(super) fn read(body: &[u8]) -> Result<Answer, BadAnswer> {
    let answer: Value = serde_json::from_slice(body)
        .map_err(|error| BadAnswer::Malformed(format!("the answer is not JSON: {error}")))?;
    let message = match answer.get("message") {
        // An error has a text in the place of the message.
        Some(Value::String(_)) => {
            return Err(BadAnswer::Fault(classify_object(&to_bytes(&answer))));
        }
        Some(message @ Value::Object(_)) => message,
        _ => return Err(BadAnswer::Malformed("the answer has no message".to_owned())),
    };
    let word = str_at(&answer, "finish_reason")
        .ok_or_else(|| BadAnswer::Malformed("the answer has no finish reason".to_owned()))?;
    let id = text_at(&answer, "id");
    let calls = message.get("tool_calls").and_then(Value::as_array);
    let calls = calls.map_or(&[][..], Vec::as_slice);
    let Some(finish) = finish_reason(word, !calls.is_empty()) else {
        return Err(BadAnswer::Fault(ended(word, None)));
    };
    let mut parts = read_content(message);
    for (index, call) in calls.iter().enumerate() {
        let call = read_call(call, id.as_deref().unwrap_or_default(), index as u64);
        if is_whole(&call) {
            parts.push(Part::new(PartKind::ToolUse(call)));
        } else if finish != FinishReason::Length {
            return Err(BadAnswer::Malformed(
                "the arguments of a tool call are not a JSON object".to_owned(),
            ));
        }
        // A call that the limit cut is left out: it must not be made.
    }
    let logprobs = answer.get("logprobs").and_then(logprobs::read);
    Ok(Answer {
        id,
        model: text_at(&answer, "model"),
        choices: vec![Choice { parts, finish, logprobs }],
        usage: answer.get("usage").and_then(read_usage),
        fingerprint: None,
    })
}

/// The usage object in disjoint buckets; `None` where it is unreadable or silent.
pub(super) fn read_usage(usage: &Value) -> Option<domain::Usage> {
    WireUsage::deserialize(usage).ok()?.to_usage()
}

/// The finish reason (protocols C2); `None` where generation failed in the middle, which is no answer, whatever there is
/// of it. Which stop sequence was met is not told.
pub(super) fn finish_reason(word: &str, has_calls: bool) -> Option<FinishReason> {
    Some(match word {
        "ERROR" | "TIMEOUT" => return None,
        "COMPLETE" if has_calls => FinishReason::ToolCalls,
        "COMPLETE" => FinishReason::Stop,
        "STOP_SEQUENCE" => FinishReason::StopSequence(String::new()),
        "MAX_TOKENS" => FinishReason::Length,
        "TOOL_CALL" => FinishReason::ToolCalls,
        other => FinishReason::Other(other.to_owned()),
    })
}

/// What is said in the order in which it is said: thinking, the plan before calls, text.
fn read_content(message: &Value) -> Vec<Part> {
    let mut parts = Vec::new();
    match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() => parts.push(Part::text(text.as_str())),
        Some(Value::Array(pieces)) => parts.extend(pieces.iter().filter_map(read_piece)),
        _ => {}
    }
    parts.extend(text_at(message, "tool_plan").map(Part::text));
    parts
}

fn read_piece(piece: &Value) -> Option<Part> {
    match str_at(piece, "type")? {
        "text" => text_at(piece, "text").map(Part::text),
        "thinking" => text_at(piece, "thinking")
            .map(|text| Part::new(PartKind::Thinking(Thinking { text, signature: None }))),
        _ => None,
    }
}

/// A call; an id made up where the host gave none is the same for the same answer and place.
pub(super) fn read_call(call: &Value, seed: &str, index: u64) -> ToolUse {
    let id = text_at(call, "id").unwrap_or_else(|| tool_ids::made_up(seed, index));
    let function = call.get("function").unwrap_or(&Value::Null);
    let input = match function.get("arguments") {
        Some(Value::String(text)) => text.clone(),
        // Some hosts send the object itself.
        Some(value @ Value::Object(_)) => to_text(value),
        _ => String::new(),
    };
    let name = str_at(function, "name").unwrap_or_default().to_owned();
    ToolUse { id, name, input, custom: false }
}

fn is_whole(call: &ToolUse) -> bool {
    let blank = call.input.trim().is_empty();
    blank || matches!(serde_json::from_str(&call.input), Ok(Value::Object(_)))
}
