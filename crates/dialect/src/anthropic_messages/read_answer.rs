//! A provider's whole message as an answer.

use serde::Deserialize;
use serde_json::Value;

use super::errors::classify_object;
use super::read_blocks::read_block;
use super::usage::WireUsage;
use crate::exchange::{Answer, Choice, Part, PartKind};
use crate::json::{str_at, text_at, to_bytes};
use crate::wire::{BadAnswer, FinishReason};

pub(super) fn read(body: &[u8]) -> Result<Answer, BadAnswer> {
    let mut answer: Value = serde_json::from_slice(body)
        .map_err(|error| BadAnswer::Malformed(format!("the answer is not JSON: {error}")))?;
    if str_at(&answer, "type") == Some("error") {
        let error = answer.get("error").unwrap_or(&Value::Null);
        return Err(BadAnswer::Fault(classify_object(&to_bytes(error))));
    }
    let Some(Value::Array(blocks)) = answer.get_mut("content").map(Value::take) else {
        return Err(BadAnswer::Malformed("the answer has no content".to_owned()));
    };
    // What a provider's newer blocks say beside what we know has no place at another dialect's client.
    let mut unknown = Vec::new();
    let parts: Vec<Part> = blocks
        .into_iter()
        .enumerate()
        .map(|(index, raw)| {
            read_block(raw, format!("content[{index}]"), &mut unknown)
                .map_err(|error| BadAnswer::Malformed(error.to_string()))
        })
        .collect::<Result<_, _>>()?;
    let has_calls = parts.iter().any(|part| matches!(part.kind, PartKind::ToolUse(_)));
    let finish = finish_reason(&answer, has_calls)
        .ok_or_else(|| BadAnswer::Malformed("the answer has no stop reason".to_owned()))?;
    Ok(Answer {
        id: text_at(&answer, "id"),
        model: text_at(&answer, "model"),
        choices: vec![Choice { parts, finish, logprobs: None }],
        usage: answer
            .get("usage")
            .and_then(|usage| WireUsage::deserialize(usage).ok())
            .and_then(|usage| usage.to_usage()),
        fingerprint: None,
    })
}

/// The stop reason (protocols C2) of a message or of the delta that ends a stream.
pub(super) fn finish_reason(of: &Value, has_calls: bool) -> Option<FinishReason> {
    Some(match str_at(of, "stop_reason")? {
        "end_turn" if has_calls => FinishReason::ToolCalls,
        "end_turn" => FinishReason::Stop,
        "stop_sequence" => {
            FinishReason::StopSequence(str_at(of, "stop_sequence").unwrap_or_default().to_owned())
        }
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::ContextFull,
        "tool_use" => FinishReason::ToolCalls,
        "pause_turn" => FinishReason::Pause,
        "refusal" => FinishReason::Refusal(
            of.get("stop_details").and_then(|details| text_at(details, "explanation")),
        ),
        other => FinishReason::Other(other.to_owned()),
    })
}
