//! The conversation of a v2 chat request, as the exchange's turns.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::exchange::{
    Document, Exchange, Image, Media, Message, Part, PartKind, Speaker, Thinking, ToolResult,
    ToolUse,
};
use crate::json::{Fields, str_at, to_text};
use crate::wire::FieldError;

/// Reads all messages: system messages before the conversation become the system prompt, tool messages become parts of a
/// user turn (one turn for all that follow each other).
pub(super) fn read_messages(
    messages: Vec<Value>,
    exchange: &mut Exchange,
) -> Result<(), FieldError> {
    let mut unknown = Vec::new();
    for (index, raw) in messages.into_iter().enumerate() {
        let mut fields = Fields::of(raw, format!("messages[{index}]"))?;
        let role = fields.required_string("role")?;
        let said = |speaker, parts| Message { at: index, speaker, name: None, parts };
        match role.as_str() {
            "system" => {
                let parts = read_content(&mut fields, &mut unknown)?;
                if exchange.messages.is_empty() {
                    exchange.system.extend(parts);
                } else {
                    exchange.messages.push(said(Speaker::System, parts));
                }
            }
            "user" => {
                let parts = read_content(&mut fields, &mut unknown)?;
                exchange.messages.push(said(Speaker::User, parts));
            }
            "assistant" => {
                let parts = read_assistant(&mut fields, &mut unknown)?;
                exchange.messages.push(said(Speaker::Assistant, parts));
            }
            "tool" => {
                let parts = read_content(&mut fields, &mut unknown)?;
                let id = fields.required_string("tool_call_id")?;
                let result = ToolResult { id, parts, is_error: false };
                let part = Part::new(PartKind::ToolResult(result));
                match exchange.messages.last_mut() {
                    Some(last) if is_results(last) => last.parts.push(part),
                    _ => exchange.messages.push(said(Speaker::User, vec![part])),
                }
            }
            _ => return Err(fields.wrong("role", "expected system, user, assistant or tool")),
        }
        fields.finish(&mut unknown);
    }
    exchange.unknown.append(&mut unknown);
    Ok(())
}

fn is_results(message: &Message) -> bool {
    message.speaker == Speaker::User
        && !message.parts.is_empty()
        && message.parts.iter().all(|part| matches!(part.kind, PartKind::ToolResult(_)))
}

/// Documents beside the messages are for the last thing the user said; before it, as other vendors have them.
pub(super) fn read_documents(
    documents: Vec<Value>,
    exchange: &mut Exchange,
) -> Result<(), FieldError> {
    let mut parts = Vec::with_capacity(documents.len());
    for (index, raw) in documents.into_iter().enumerate() {
        let path = format!("documents[{index}]");
        parts.push(Part::new(read_document(raw, path, &mut exchange.unknown)?));
    }
    if parts.is_empty() {
        return Ok(());
    }
    let asks = |message: &&mut Message| message.speaker == Speaker::User && !is_results(message);
    match exchange.messages.iter_mut().rfind(asks) {
        Some(message) => {
            parts.append(&mut message.parts);
            message.parts = parts;
        }
        None => exchange
            .messages
            .insert(0, Message { at: 0, speaker: Speaker::User, name: None, parts }),
    }
    Ok(())
}

/// A document is a text, or data with names, which stays as JSON. Its id, by which the model cites it, is its title.
fn read_document(
    raw: Value,
    path: String,
    unknown: &mut Vec<String>,
) -> Result<PartKind, FieldError> {
    let (text, title) = match raw {
        Value::String(text) => (text, None),
        raw => {
            let mut fields = Fields::of(raw, path)?;
            let title = fields.string("id")?;
            let text = match fields.value("data") {
                Some(Value::String(text)) => text,
                Some(data @ Value::Object(_)) => to_text(&data),
                Some(_) => return Err(fields.wrong("data", "expected an object or a string")),
                None => return Err(fields.wrong("data", "this field is required")),
            };
            fields.finish(unknown);
            (text, title)
        }
    };
    Ok(PartKind::Document(Document { source: Media::Text(text), title, extras: BTreeMap::new() }))
}

fn read_content(fields: &mut Fields, unknown: &mut Vec<String>) -> Result<Vec<Part>, FieldError> {
    match fields.value("content") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(parts)) => parts
            .into_iter()
            .enumerate()
            .map(|(index, raw)| read_part(raw, fields.at(&format!("content[{index}]")), unknown))
            .collect(),
        Some(_) => Err(fields.wrong("content", "expected a string or an array of parts")),
    }
}

fn read_part(raw: Value, path: String, unknown: &mut Vec<String>) -> Result<Part, FieldError> {
    let Some(kind) = str_at(&raw, "type").map(str::to_owned) else {
        return Err(FieldError::new(format!("{path}.type"), "this field is required"));
    };
    if !matches!(kind.as_str(), "text" | "image_url" | "document" | "thinking") {
        return Ok(Part::new(PartKind::Vendor(raw)));
    }
    let mut part = Fields::of(raw, path)?;
    part.value("type");
    let read = match kind.as_str() {
        "text" => PartKind::Text(part.required_string("text")?),
        "thinking" => PartKind::Thinking(Thinking {
            text: part.required_string("thinking")?,
            signature: None,
        }),
        "document" => {
            let raw = part.value("document");
            let raw = raw.ok_or_else(|| part.wrong("document", "this field is required"))?;
            read_document(raw, part.at("document"), unknown)?
        }
        _ => {
            let image = part.object("image_url")?;
            let mut image =
                image.ok_or_else(|| part.wrong("image_url", "this field is required"))?;
            let source = media_of_url(image.required_string("url")?);
            let detail = image.string("detail")?;
            image.finish(unknown);
            PartKind::Image(Image { source, detail })
        }
    };
    part.finish(unknown);
    Ok(Part::new(read))
}

/// A `data:` URL as inline media, any other as a URL.
fn media_of_url(url: String) -> Media {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => {
            let media_type = media_type.split(';').next().unwrap_or_default().to_owned();
            Media::Base64 { media_type, data: data.to_owned() }
        }
        None => Media::Url(url),
    }
}

/// The plan is what the model says before it calls tools.
fn read_assistant(fields: &mut Fields, unknown: &mut Vec<String>) -> Result<Vec<Part>, FieldError> {
    let mut parts = read_content(fields, unknown)?;
    parts.extend(fields.string("tool_plan")?.map(Part::text));
    // An empty string stands for "no text" beside tool calls.
    parts.retain(|part| !matches!(&part.kind, PartKind::Text(text) if text.is_empty()));
    let citations = fields.array("citations")?.filter(|citations| !citations.is_empty());
    parts.extend(citations.map(|it| Part::new(PartKind::Vendor(json!({"citations": it})))));
    for (index, raw) in fields.array("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        let mut call = Fields::of(raw, fields.at(&format!("tool_calls[{index}]")))?;
        call.value("type");
        let id = call.required_string("id")?;
        let function = call.object("function")?;
        let mut function =
            function.ok_or_else(|| call.wrong("function", "this field is required"))?;
        let name = function.required_string("name")?;
        let input = function.string("arguments")?.unwrap_or_default();
        function.finish(unknown);
        call.finish(unknown);
        parts.push(Part::new(PartKind::ToolUse(ToolUse { id, name, input, custom: false })));
    }
    Ok(parts)
}
