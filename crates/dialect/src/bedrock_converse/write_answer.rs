//! An answer as Converse gives it.

use serde_json::{Value, json};

use super::usage;
use super::write_blocks::{reasoning_block, redacted_block};
use crate::exchange::{Answer, Part, PartKind, Reasoning, ToolUse};
use crate::json::{str_at, to_bytes};
use crate::tool_ids;
use crate::wire::{AnswerContext, FinishReason};

pub(super) fn write(answer: &Answer, context: &AnswerContext<'_>) -> Vec<u8> {
    let reasoning = context.exchange.reasoning;
    // A client of this dialect can't ask for more than one.
    let choice = answer.choices.first();
    let parts = choice.map_or(&[][..], |choice| &choice.parts);
    let content: Vec<Value> = parts.iter().filter_map(|part| block(part, reasoning)).collect();
    let refused = parts.iter().any(|part| matches!(part.kind, PartKind::Refusal(_)));
    let finish = choice.map_or(&FinishReason::Stop, |choice| &choice.finish);
    to_bytes(&json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_word(finish, refused),
        // Clients require it; a silent provider leaves zeros here, and `bounded` in the ledger.
        "usage": usage::write(&answer.usage.unwrap_or_default()),
        "metrics": metrics(context.took_ms),
    }))
}

/// Required: how long the call took, as its caller sees it.
pub(super) fn metrics(millis: u64) -> Value {
    json!({"latencyMs": millis})
}

/// The stop reason (protocols C2).
pub(super) fn stop_word(finish: &FinishReason, refused: bool) -> &'static str {
    match finish {
        FinishReason::Filtered | FinishReason::Refusal(_) => "content_filtered",
        FinishReason::Stop if refused => "content_filtered",
        FinishReason::StopSequence(_) => "stop_sequence",
        FinishReason::Length => "max_tokens",
        FinishReason::ContextFull => "model_context_window_exceeded",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::Stop | FinishReason::Pause | FinishReason::Error | FinishReason::Other(_) => {
            "end_turn"
        }
    }
}

/// A part as a block; `None` where it has no place. Reasoning is shown to who asked for it: a client that did not
/// takes the first block for the text.
fn block(part: &Part, reasoning: Reasoning) -> Option<Value> {
    match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => Some(json!({"text": text})),
        PartKind::ToolUse(ToolUse { id, name, input, .. }) => {
            let input = serde_json::from_str(input).ok().filter(Value::is_object);
            let input = input.unwrap_or_else(|| json!({}));
            // What the client sends back must fit here, wherever the next turn goes.
            let id = tool_ids::for_messages(id);
            Some(json!({"toolUse": {"toolUseId": id, "name": name, "input": input}}))
        }
        PartKind::Thinking(_) | PartKind::Redacted(_) if !reasoning.is_on() => None,
        PartKind::Thinking(thinking) => {
            let text = if reasoning.hide_text { "" } else { &thinking.text };
            let nothing = text.is_empty() && thinking.signature.is_none();
            (!nothing).then(|| reasoning_block(text, thinking.signature.as_deref()))
        }
        PartKind::Redacted(data) => Some(redacted_block(data)),
        // Cited text of another vendor; other blocks have no place here.
        PartKind::Vendor(raw) => str_at(raw, "text").map(|text| json!({"text": text})),
        PartKind::Image(_)
        | PartKind::Document(_)
        | PartKind::Audio { .. }
        | PartKind::ToolResult(_) => None,
    }
}
