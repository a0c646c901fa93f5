//! An answer as this dialect's clients expect it (protocols A5).

use serde_json::{Map, Value, json};

use super::{logprobs, thought, usage};
use crate::exchange::{Answer, Choice, Part, PartKind, Thinking, ToolUse};
use crate::json::{Object, text_at, to_bytes};
use crate::tool_ids;
use crate::wire::{AnswerContext, FinishReason};

pub(super) fn write(answer: &Answer, context: &AnswerContext<'_>) -> Vec<u8> {
    let hide_thoughts = context.exchange.reasoning.hide_text;
    let candidates: Vec<Value> = answer
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| candidate(index, choice, hide_thoughts))
        .collect();
    let mut body = Object::default();
    body.put("candidates", candidates);
    body.put_some("usageMetadata", answer.usage.as_ref().map(usage::write));
    body.put("modelVersion", answer.model.as_deref().unwrap_or(context.model));
    body.put("responseId", answer_id(context.request_id));
    to_bytes(&body.into_value())
}

/// The id of the answer: ours, without its prefix.
pub(super) fn answer_id(request_id: &str) -> &str {
    request_id.strip_prefix("req_").unwrap_or(request_id)
}

/// The finish reason (protocols C2), and what is said about it.
pub(super) fn finish_word(finish: &FinishReason, refused: bool) -> (&'static str, Option<&str>) {
    match finish {
        FinishReason::Length | FinishReason::ContextFull => ("MAX_TOKENS", None),
        FinishReason::Filtered => ("SAFETY", None),
        FinishReason::Refusal(why) => ("SAFETY", why.as_deref()),
        FinishReason::Stop if refused => ("SAFETY", None),
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => {
            ("STOP", None)
        }
        FinishReason::Pause => ("CONTINUATION", None),
        FinishReason::Error | FinishReason::Other(_) => ("OTHER", None),
    }
}

fn candidate(index: usize, choice: &Choice, hide_thoughts: bool) -> Value {
    let parts = parts_of(&choice.parts, hide_thoughts);
    let refused = choice.parts.iter().any(|part| matches!(part.kind, PartKind::Refusal(_)));
    let (word, why) = finish_word(&choice.finish, refused);
    let mut out = Object::default();
    out.put("content", json!({"parts": parts, "role": "model"}));
    out.put("finishReason", word);
    out.put_some("finishMessage", why);
    out.put("index", index);
    out.put_some("logprobsResult", choice.logprobs.as_ref().and_then(logprobs::write));
    out.into_value()
}

/// All parts. Gemini's own signature stands with the part that it came with, which follows it in the exchange.
fn parts_of(parts: &[Part], hide_thoughts: bool) -> Vec<Value> {
    let mut out = Vec::new();
    let mut signature: Option<String> = None;
    for part in parts {
        if let PartKind::Redacted(opaque) = &part.kind
            && let Some(own) = thought::own(opaque)
        {
            out.extend(signature.replace(own.to_owned()).as_deref().map(signature_part));
            continue;
        }
        let Some(mut value) = part_value(part, hide_thoughts) else { continue };
        if let Some(own) = signature.take() {
            if value.get("thoughtSignature").is_some() {
                out.push(signature_part(&own));
            } else {
                value["thoughtSignature"] = own.into();
            }
        }
        out.push(value);
    }
    out.extend(signature.as_deref().map(signature_part));
    if let Some(call) = out.iter_mut().find(|part| part.get("functionCall").is_some()) {
        sign(call);
    }
    out
}

/// The first call of a step that another vendor made says so: Gemini, which may get the next turn as it is, looks for a
/// signature.
pub(super) fn sign(call: &mut Value) {
    if call.get("thoughtSignature").is_none() {
        call["thoughtSignature"] = thought::SENTINEL.into();
    }
}

/// A signature that stands by itself, as the provider sends it at the end of a stream.
pub(super) fn signature_part(signature: &str) -> Value {
    json!({"text": "", "thoughtSignature": signature})
}

/// A call, with the signature that travelled in its id.
pub(super) fn call_part(id: &str, name: &str, args: Map<String, Value>) -> Value {
    let (id, signature) = tool_ids::split_thought(id);
    let mut call = Object::default();
    if !tool_ids::is_made_up(id) {
        call.put("id", id);
    }
    call.put("name", name);
    call.put("args", args);
    let mut part = Object::default();
    part.put("functionCall", call.into_value());
    part.put_some("thoughtSignature", signature);
    part.into_value()
}

/// A thought as a client gets it.
pub(super) fn thought_part(text: &str, signature: Option<String>) -> Value {
    let mut part = Object::default();
    part.put("text", text);
    part.put("thought", true);
    part.put_some("thoughtSignature", signature);
    part.into_value()
}

/// The arguments of a whole call; `None` where they are no object.
pub(super) fn arguments(input: &str) -> Option<Map<String, Value>> {
    if input.trim().is_empty() {
        return Some(Map::new());
    }
    match serde_json::from_str(input) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

/// A part; `None` where it has no place. Reasoning is shown to who asked for it.
fn part_value(part: &Part, hide_thoughts: bool) -> Option<Value> {
    match &part.kind {
        PartKind::Text(text) | PartKind::Refusal(text) => Some(json!({"text": text})),
        PartKind::ToolUse(ToolUse { id, name, input, custom }) => {
            let args = match (custom, arguments(input)) {
                (false, Some(args)) => args,
                // What the model meant stays readable.
                _ => Map::from_iter([("input".to_owned(), input.as_str().into())]),
            };
            Some(call_part(id, name, args))
        }
        PartKind::Thinking(_) | PartKind::Redacted(_) if hide_thoughts => None,
        PartKind::Thinking(Thinking { text, signature }) => {
            let nothing = text.is_empty() && signature.is_none();
            let signature = signature.as_deref().map(thought::for_client);
            (!nothing).then(|| thought_part(text, signature))
        }
        PartKind::Redacted(opaque) => {
            Some(thought_part("", Some(thought::redacted_for_client(opaque))))
        }
        // Cited text; other blocks of a vendor have no place here, but for this one's own.
        PartKind::Vendor(raw) => match text_at(raw, "type") {
            Some(_) => text_at(raw, "text").map(|text| json!({"text": text})),
            None => Some(raw.clone()),
        },
        PartKind::Image(image) => inline(&image.source),
        PartKind::Document(document) => inline(&document.source),
        PartKind::Audio { .. } | PartKind::ToolResult(_) => None,
    }
}

/// Media that the model made.
fn inline(media: &crate::exchange::Media) -> Option<Value> {
    match media {
        crate::exchange::Media::Base64 { media_type, data } => {
            Some(json!({"inlineData": {"mimeType": media_type, "data": data}}))
        }
        _ => None,
    }
}
