//! An answer as a chat completion.

use serde_json::{Value, json};

use super::{reasoning_fields, usage};
use crate::exchange::{Answer, Choice, Exchange, PartKind, ToolUse};
use crate::json::{Object, to_bytes};
use crate::unwrap_input;
use crate::wire::{AnswerContext, FinishReason};

pub(super) fn write(answer: &Answer, context: &AnswerContext<'_>) -> Vec<u8> {
    let choices: Vec<Value> = answer
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| write_choice(index, choice, context.exchange))
        .collect();
    let mut body = Object::default();
    body.put("id", answer_id(context.request_id));
    body.put("object", "chat.completion");
    body.put("created", context.created.secs());
    body.put("model", answer.model.as_deref().unwrap_or(context.model));
    body.put("choices", choices);
    body.put_some("usage", answer.usage.as_ref().map(usage::write));
    // The key must be there for some clients, whatever its value (protocols A7).
    body.put("system_fingerprint", answer.fingerprint.clone().map_or(Value::Null, Value::from));
    to_bytes(&body.into_value())
}

/// The id of the answer: ours, in the shape of OpenAI's.
pub(super) fn answer_id(request_id: &str) -> String {
    format!("chatcmpl-{}", request_id.strip_prefix("req_").unwrap_or(request_id))
}

/// The finish reason (protocols C2).
pub(super) fn finish_word(finish: &FinishReason) -> &'static str {
    match finish {
        FinishReason::Length | FinishReason::ContextFull => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Filtered | FinishReason::Refusal(_) => "content_filter",
        FinishReason::Stop
        | FinishReason::StopSequence(_)
        | FinishReason::Pause
        | FinishReason::Error
        | FinishReason::Other(_) => "stop",
    }
}

fn write_choice(index: usize, choice: &Choice, exchange: &Exchange) -> Value {
    let mut content = String::new();
    let mut has_text = false;
    let mut refusal: Option<String> = None;
    let mut calls = Vec::new();
    for part in &choice.parts {
        match &part.kind {
            PartKind::Text(text) => {
                has_text = true;
                content.push_str(text);
            }
            PartKind::Vendor(raw) => {
                // Cited text; other blocks of a vendor have no place here.
                if let Some(text) = crate::json::str_at(raw, "text") {
                    has_text = true;
                    content.push_str(text);
                }
            }
            PartKind::Refusal(text) => refusal.get_or_insert_default().push_str(text),
            PartKind::ToolUse(call) => calls.push(write_call(call, exchange)),
            _ => {}
        }
    }
    if let FinishReason::Refusal(Some(why)) = &choice.finish {
        refusal.get_or_insert_with(|| why.clone());
    }
    let mut message = Object::default();
    message.put("role", "assistant");
    // Clients take null where tools are called or refused, a string otherwise.
    let silent = !has_text && (!calls.is_empty() || refusal.is_some());
    message.put("content", if silent { Value::Null } else { content.into() });
    if let Some(text) = reasoning_fields::text(&choice.parts) {
        message.put("reasoning_content", text.as_str());
        message.put("reasoning", text);
    }
    let details = reasoning_fields::details(&choice.parts);
    if !details.is_empty() {
        message.put("reasoning_details", details);
    }
    message.put("refusal", refusal.map_or(Value::Null, Value::from));
    message.put("annotations", json!([]));
    if !calls.is_empty() {
        message.put("tool_calls", calls);
    }
    json!({
        "index": index,
        "message": message.into_value(),
        "logprobs": choice.logprobs,
        "finish_reason": finish_word(&choice.finish),
    })
}

fn write_call(call: &ToolUse, exchange: &Exchange) -> Value {
    let ToolUse { id, name, input, custom } = call;
    if *custom || exchange.is_custom_tool(name) {
        let input = if *custom { input.clone() } else { unwrap_input::unwrap(input) };
        return json!({"id": id, "type": "custom", "custom": {"name": name, "input": input}});
    }
    let arguments = if input.trim().is_empty() { "{}" } else { input };
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}
