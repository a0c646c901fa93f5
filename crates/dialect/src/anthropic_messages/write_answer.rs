//! An answer as a message.

use serde_json::{Value, json};

use super::usage;
use crate::exchange::{Answer, Part, PartKind, Reasoning, ToolUse};
use crate::json::{Object, to_bytes};
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
    let mut body = Object::default();
    body.put("id", answer_id(context.request_id));
    body.put("type", "message");
    body.put("role", "assistant");
    body.put("model", answer.model.as_deref().unwrap_or(context.model));
    body.put("content", content);
    put_stop(&mut body, finish, refused);
    // Clients require it; a silent provider leaves zeros here, and `bounded` in the ledger.
    body.put("usage", usage::write(&answer.usage.unwrap_or_default()));
    to_bytes(&body.into_value())
}

/// The id of the answer: ours, in the shape of Anthropic's.
pub(super) fn answer_id(request_id: &str) -> String {
    format!("msg_{}", request_id.strip_prefix("req_").unwrap_or(request_id))
}

/// Puts `stop_reason`, `stop_sequence` and `stop_details` (protocols C2).
pub(super) fn put_stop(object: &mut Object, finish: &FinishReason, refused: bool) {
    let word = match finish {
        FinishReason::Filtered | FinishReason::Refusal(_) => "refusal",
        FinishReason::Stop if refused => "refusal",
        FinishReason::StopSequence(_) => "stop_sequence",
        FinishReason::Length => "max_tokens",
        FinishReason::ContextFull => "model_context_window_exceeded",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::Pause => "pause_turn",
        FinishReason::Stop | FinishReason::Error | FinishReason::Other(_) => "end_turn",
    };
    object.put("stop_reason", word);
    let sequence = match finish {
        // Not every provider tells which one it was.
        FinishReason::StopSequence(text) if !text.is_empty() => text.as_str().into(),
        _ => Value::Null,
    };
    object.put("stop_sequence", sequence);
    if let FinishReason::Refusal(Some(why)) = finish {
        object
            .put("stop_details", json!({"type": "refusal", "category": null, "explanation": why}));
    }
}

/// A part as a block; `None` where it has no place. Reasoning is shown to who asked for it: a client that did not
/// takes the first block for the text.
fn block(part: &Part, reasoning: Reasoning) -> Option<Value> {
    match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => {
            Some(json!({"type": "text", "text": text}))
        }
        PartKind::ToolUse(ToolUse { id, name, input, .. }) => {
            let input = serde_json::from_str(input).ok().filter(Value::is_object);
            let input = input.unwrap_or_else(|| json!({}));
            // What the client sends back must fit here, wherever the next turn goes.
            let id = tool_ids::for_messages_client(id);
            Some(json!({"type": "tool_use", "id": id, "name": name, "input": input}))
        }
        PartKind::Thinking(_) | PartKind::Redacted(_) if !reasoning.wants_blocks() => None,
        PartKind::Thinking(thinking) => {
            let text = if reasoning.hide_text { "" } else { &thinking.text };
            let signature = thinking.signature.as_deref().unwrap_or_default();
            let nothing = text.is_empty() && signature.is_empty();
            (!nothing)
                .then(|| json!({"type": "thinking", "thinking": text, "signature": signature}))
        }
        PartKind::Redacted(data) => Some(json!({"type": "redacted_thinking", "data": data})),
        PartKind::Vendor(raw) => Some(raw.clone()),
        PartKind::Image(_)
        | PartKind::Document(_)
        | PartKind::Audio { .. }
        | PartKind::ToolResult(_) => None,
    }
}
