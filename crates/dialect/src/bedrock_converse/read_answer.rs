//! A provider's whole Converse answer.

use serde::Deserialize;
use serde_json::Value;

use super::errors;
use super::read_blocks::read_block;
use super::usage::WireUsage;
use crate::exchange::{Answer, Choice, Part, PartKind};
use crate::foreign_blocks;
use crate::json::{str_at, to_bytes};
use crate::wire::{BadAnswer, FinishReason, UpstreamFault};

pub(super) fn read(body: &[u8]) -> Result<Answer, BadAnswer> {
    let mut answer: Value = serde_json::from_slice(body)
        .map_err(|error| BadAnswer::Malformed(format!("the answer is not JSON: {error}")))?;
    let content = answer.pointer_mut("/output/message/content").map(Value::take);
    let Some(Value::Array(blocks)) = content else {
        if errors::is_own(body) {
            return Err(BadAnswer::Fault(errors::classify(500, &(), body)));
        }
        return Err(BadAnswer::Malformed("the answer has no content".to_owned()));
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, raw) in blocks.into_iter().enumerate() {
        parts.extend(read_part(raw, index)?.map(Part::new));
    }
    let has_calls = parts.iter().any(|part| matches!(part.kind, PartKind::ToolUse(_)));
    let word = str_at(&answer, "stopReason")
        .ok_or_else(|| BadAnswer::Malformed("the answer has no stop reason".to_owned()))?;
    let finish = finish_reason(word, has_calls);
    if finish == FinishReason::Error {
        return Err(BadAnswer::Fault(failed(word)));
    }
    Ok(Answer {
        // The provider's id of it is a header.
        id: None,
        model: None,
        choices: vec![Choice { parts, finish, logprobs: None }],
        usage: answer
            .get("usage")
            .and_then(|usage| WireUsage::deserialize(usage).ok())
            .and_then(|usage| usage.to_usage()),
        fingerprint: None,
    })
}

/// Cited text is text; what else only this vendor knows has no place at another dialect's client.
fn read_part(raw: Value, index: usize) -> Result<Option<PartKind>, BadAnswer> {
    if let Some(cited) = raw.get("citationsContent") {
        return Ok(Some(PartKind::Text(foreign_blocks::texts(cited).concat())));
    }
    let mut unknown = Vec::new();
    let part = read_block(raw, format!("output.message.content[{index}]"), &mut unknown);
    match part.map_err(|error| BadAnswer::Malformed(error.to_string()))? {
        PartKind::Vendor(_) => Ok(None),
        part => Ok(Some(part)),
    }
}

/// The stop reason (protocols C2).
pub(super) fn finish_reason(word: &str, has_calls: bool) -> FinishReason {
    match word {
        "end_turn" if has_calls => FinishReason::ToolCalls,
        "end_turn" => FinishReason::Stop,
        "tool_use" => FinishReason::ToolCalls,
        "max_tokens" => FinishReason::Length,
        // Which one it was is not said.
        "stop_sequence" => FinishReason::StopSequence(String::new()),
        "guardrail_intervened" | "content_filtered" => FinishReason::Filtered,
        "model_context_window_exceeded" => FinishReason::ContextFull,
        "malformed_model_output" | "malformed_tool_use" => FinishReason::Error,
        other => FinishReason::Other(other.to_owned()),
    }
}

/// The fault that a failing stop reason stands for.
pub(super) fn failed(word: &str) -> UpstreamFault {
    let error = serde_json::json!({"message": format!("the model's output ended in `{word}`")});
    crate::fault::of_object(&to_bytes(&error))
}
