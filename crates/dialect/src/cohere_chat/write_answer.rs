//! An answer as v2 chat has it (`types/assistant_message_response.py`).

use serde_json::{Value, json};

use super::{logprobs, usage};
use crate::exchange::{Answer, PartKind, ToolUse};
use crate::json::{Object, str_at, to_bytes};
use crate::wire::{AnswerContext, FinishReason};

pub(super) fn write(answer: &Answer, context: &AnswerContext<'_>) -> Vec<u8> {
    // A client of this dialect can't ask for more than one.
    let choice = answer.choices.first();
    let finish = choice.map_or(&FinishReason::Stop, |choice| &choice.finish);
    let said = Said::of(choice.map_or(&[][..], |choice| &choice.parts), finish);
    let mut message = Object::default();
    message.put("role", "assistant");
    let mut content = Vec::new();
    // Reasoning is shown to who asked for it: a client that did not takes the first item for the text.
    if context.exchange.reasoning.wants_blocks() && !said.thinking.is_empty() {
        content.push(json!({"type": "thinking", "thinking": said.thinking}));
    }
    if said.calls.is_empty() {
        content.push(json!({"type": "text", "text": said.text}));
    } else {
        message.put_some("tool_plan", Some(said.text).filter(|text| !text.is_empty()));
        message.put("tool_calls", said.calls);
    }
    if !content.is_empty() {
        message.put("content", content);
    }
    let mut body = Object::default();
    body.put("id", answer_id(context.request_id));
    body.put("finish_reason", finish_word(finish));
    body.put("message", message.into_value());
    body.put_some("usage", answer.usage.as_ref().map(usage::write));
    let figures = choice.and_then(|choice| choice.logprobs.as_ref()).map(logprobs::write);
    body.put_some("logprobs", figures.filter(|figures| !figures.is_empty()));
    to_bytes(&body.into_value())
}

/// What an answer says, by the places that this dialect has for it. Clients read the first text and no other.
#[derive(Default)]
struct Said {
    thinking: String,
    text: String,
    calls: Vec<Value>,
}

impl Said {
    fn of(parts: &[crate::exchange::Part], finish: &FinishReason) -> Self {
        let mut said = Self::default();
        for part in parts {
            match &part.kind {
                PartKind::Text(text) | PartKind::Refusal(text) => said.text.push_str(text),
                // Cited text; other blocks of a vendor have no place here.
                PartKind::Vendor(raw) => {
                    said.text.push_str(str_at(raw, "text").unwrap_or_default());
                }
                PartKind::Thinking(thinking) => said.thinking.push_str(&thinking.text),
                PartKind::ToolUse(call) => said.calls.push(write_call(call)),
                PartKind::Redacted(_)
                | PartKind::Image(_)
                | PartKind::Document(_)
                | PartKind::Audio { .. }
                | PartKind::ToolResult(_) => {}
            }
        }
        if let (FinishReason::Refusal(Some(why)), true) = (finish, said.text.is_empty()) {
            said.text.clone_from(why);
        }
        said
    }
}

fn write_call(call: &ToolUse) -> Value {
    let ToolUse { id, name, input, .. } = call;
    let arguments = if input.trim().is_empty() { "{}" } else { input };
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// The id of the answer: ours, in the shape of Cohere's, a UUID.
pub(super) fn answer_id(request_id: &str) -> String {
    let plain = request_id.strip_prefix("req_").unwrap_or(request_id);
    if plain.len() != 32 || !plain.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return plain.to_owned();
    }
    let mut id = String::with_capacity(36);
    for (at, letter) in plain.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(letter);
    }
    id
}

/// The finish reason (protocols C2).
pub(super) fn finish_word(finish: &FinishReason) -> &'static str {
    match finish {
        FinishReason::Length | FinishReason::ContextFull => "MAX_TOKENS",
        FinishReason::ToolCalls => "TOOL_CALL",
        FinishReason::StopSequence(_) => "STOP_SEQUENCE",
        FinishReason::Filtered | FinishReason::Refusal(_) | FinishReason::Error => "ERROR",
        FinishReason::Stop | FinishReason::Pause | FinishReason::Other(_) => "COMPLETE",
    }
}
