//! `COHEREV2` requests: Cohere's v2 chat, respelled.

use domain::LossReport;
use serde_json::{Value, json};

use super::words::{image_url, parameters, renamed, text, upper};
use crate::cohere_chat::write_request;
use crate::exchange::Exchange;
use crate::json::{Object, str_at};
use crate::wire::{FieldError, Target};

/// Fields that have another name and the same meaning.
const RENAMED: [(&str, &str); 14] = [
    ("documents", "documents"),
    ("strict_tools", "isStrictToolsEnabled"),
    ("tool_choice", "toolsChoice"),
    ("temperature", "temperature"),
    ("p", "topP"),
    ("k", "topK"),
    ("frequency_penalty", "frequencyPenalty"),
    ("presence_penalty", "presencePenalty"),
    ("seed", "seed"),
    ("stop_sequences", "stopSequences"),
    ("logprobs", "isLogProbsEnabled"),
    ("safety_mode", "safetyMode"),
    ("priority", "priority"),
    ("stream", "isStream"),
];

pub(super) fn request(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<(Object, Vec<String>), FieldError> {
    let (chat, cut_at) = write_request::object(exchange, target, loss)?;
    let chat = Value::Object(chat.0);
    let list = |name: &str| chat.get(name).and_then(Value::as_array).into_iter().flatten();
    let mut out = Object::default();
    out.put("apiFormat", "COHEREV2");
    out.put("messages", list("messages").map(message).collect::<Vec<_>>());
    let tools: Vec<Value> = list("tools").filter_map(tool).collect();
    if !tools.is_empty() {
        out.put("tools", tools);
    }
    if let Value::Object(rest) = renamed(&chat, &RENAMED) {
        out.0.extend(rest);
    }
    if let Some(format) = chat.get("response_format") {
        let mut written = json!({"type": upper(&format["type"])});
        if let Some(schema) = format.get("json_schema") {
            written["schema"] = schema.clone();
        }
        out.put("responseFormat", written);
    }
    if let Some(thinking) = chat.get("thinking") {
        let mut written = json!({"type": upper(&thinking["type"])});
        if let Some(budget) = thinking.get("token_budget") {
            written["tokenBudget"] = budget.clone();
        }
        out.put("thinking", written);
    }
    if let Some(mode) = chat.get("citation_options").and_then(|it| it.get("mode")) {
        // The older words are not known here.
        let mode = match upper(mode).as_str() {
            Some("DISABLED") => json!("OFF"),
            Some("ENABLED") => json!("ACCURATE"),
            _ => upper(mode),
        };
        out.put("citationOptions", json!({"mode": mode}));
    }
    if exchange.stream {
        out.put("streamOptions", json!({"isIncludeUsage": true}));
    }
    Ok((out, cut_at))
}

fn message(message: &Value) -> Value {
    let mut out = Object::default();
    out.put("role", upper(&message["role"]));
    let content = content(message.get("content"));
    if !content.is_empty() {
        out.put("content", content);
    }
    let names = [("tool_plan", "toolPlan"), ("tool_call_id", "toolCallId")];
    if let Value::Object(rest) = renamed(message, &names) {
        out.0.extend(rest);
    }
    if let Some(calls) = message.get("tool_calls").and_then(Value::as_array) {
        let calls: Vec<Value> = calls
            .iter()
            .map(|it| json!({"id": it["id"], "type": "FUNCTION", "function": it["function"]}))
            .collect();
        out.put("toolCalls", calls);
    }
    out.into_value()
}

fn content(content: Option<&Value>) -> Vec<Value> {
    match content {
        Some(Value::String(said)) => vec![text(said)],
        Some(Value::Array(parts)) => parts.iter().filter_map(part).collect(),
        _ => Vec::new(),
    }
}

fn part(part: &Value) -> Option<Value> {
    Some(match str_at(part, "type")? {
        "text" => text(str_at(part, "text")?),
        "thinking" => json!({"type": "THINKING", "thinking": str_at(part, "thinking")?}),
        "image_url" => json!({"type": "IMAGE_URL", "imageUrl": image_url(part)?}),
        "document" => json!({"type": "DOCUMENT", "document": part.get("document")?}),
        _ => return None,
    })
}

fn tool(tool: &Value) -> Option<Value> {
    let function = tool.get("function")?;
    let mut out = Object::default();
    out.put("name", str_at(function, "name")?);
    out.put_some("description", str_at(function, "description"));
    out.put("parameters", parameters(function));
    Some(json!({"type": "FUNCTION", "function": out.into_value()}))
}
