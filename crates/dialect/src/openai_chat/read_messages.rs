//! The conversation of a chat completion request, as the exchange's turns.

use serde_json::Value;

use super::reasoning_fields;
use crate::exchange::{
    CacheHint, Document, Exchange, Image, Media, Message, Part, PartKind, Speaker, ToolResult,
    ToolUse,
};
use crate::json::{Fields, str_at};
use crate::wire::FieldError;

/// Reads all messages: system and developer messages before the conversation become the system prompt, tool
/// messages become parts of a user turn (one turn for all that follow each other).
pub(super) fn read_messages(
    messages: Vec<Value>,
    long: bool,
    exchange: &mut Exchange,
) -> Result<(), FieldError> {
    let mut unknown = Vec::new();
    for (index, raw) in messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let mut fields = Fields::of(raw, path)?;
        let role = fields.required_string("role")?;
        // A function message's name is its call, not a participant.
        let name = if role == "function" { None } else { fields.string("name")? };
        match role.as_str() {
            "system" | "developer" => {
                let parts = read_content(&mut fields, long, &mut unknown)?;
                let developer = role == "developer";
                if exchange.messages.is_empty() && name.is_none() {
                    exchange.system_is_developer |= developer;
                    exchange.system.extend(parts);
                } else {
                    let speaker = if developer { Speaker::Developer } else { Speaker::System };
                    exchange.messages.push(Message { at: index, speaker, name, parts });
                }
            }
            "user" => {
                let parts = read_content(&mut fields, long, &mut unknown)?;
                exchange.messages.push(Message { at: index, speaker: Speaker::User, name, parts });
            }
            "assistant" => {
                let parts = read_assistant(&mut fields, long, &mut unknown)?;
                exchange.messages.push(Message {
                    at: index,
                    speaker: Speaker::Assistant,
                    name,
                    parts,
                });
            }
            "tool" | "function" => {
                let parts = read_content(&mut fields, long, &mut unknown)?;
                read_tool_result(index, &mut fields, &role, parts, exchange)?;
            }
            _ => {
                return Err(
                    fields.wrong("role", "expected developer, system, user, assistant or tool")
                );
            }
        }
        fields.finish(&mut unknown);
    }
    exchange.unknown.append(&mut unknown);
    Ok(())
}

fn read_content(
    fields: &mut Fields,
    long: bool,
    unknown: &mut Vec<String>,
) -> Result<Vec<Part>, FieldError> {
    match fields.value("content") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Part::text(text)]),
        Some(Value::Array(parts)) => parts
            .into_iter()
            .enumerate()
            .map(|(index, raw)| {
                read_part(raw, fields.at(&format!("content[{index}]")), long, unknown)
            })
            .collect(),
        Some(_) => Err(fields.wrong("content", "expected a string or an array of parts")),
    }
}

fn read_part(
    raw: Value,
    path: String,
    long: bool,
    unknown: &mut Vec<String>,
) -> Result<Part, FieldError> {
    let known = ["text", "refusal", "image_url", "input_audio", "file", "document_url"];
    if str_at(&raw, "type").is_some_and(|kind| !known.contains(&kind)) {
        return Ok(Part::new(PartKind::Vendor(raw)));
    }
    let mut part = Fields::of(raw, path)?;
    let cache = part.value("prompt_cache_breakpoint").map(|hint| {
        match hint.get("ttl").and_then(Value::as_str) {
            Some("12h") => CacheHint::Long,
            None if long => CacheHint::Long,
            _ => CacheHint::Default,
        }
    });
    let kind = match part.required_string("type")?.as_str() {
        "text" => PartKind::Text(part.required_string("text")?),
        "refusal" => PartKind::Refusal(part.required_string("refusal")?),
        "image_url" => read_image(&mut part, unknown)?,
        "input_audio" => {
            let mut audio = required_object(&mut part, "input_audio")?;
            let kind = PartKind::Audio {
                data: audio.required_string("data")?,
                format: audio.required_string("format")?,
            };
            audio.finish(unknown);
            kind
        }
        "document_url" => read_document(&mut part)?,
        _ => read_file(&mut part, unknown)?,
    };
    part.finish(unknown);
    Ok(Part { kind, cache })
}

fn required_object(part: &mut Fields, key: &str) -> Result<Fields, FieldError> {
    part.object(key)?.ok_or_else(|| part.wrong(key, "this field is required"))
}

/// An object with a URL, or the URL itself, as Mistral's clients may send it.
fn read_image(part: &mut Fields, unknown: &mut Vec<String>) -> Result<PartKind, FieldError> {
    let mut image = match part.value("image_url") {
        Some(Value::String(url)) => {
            return Ok(PartKind::Image(Image { source: media_of_url(url), detail: None }));
        }
        Some(inner) => Fields::of(inner, part.at("image_url"))?,
        None => return Err(part.wrong("image_url", "this field is required")),
    };
    let url = image.required_string("url")?;
    let detail = image.string("detail")?;
    image.finish(unknown);
    Ok(PartKind::Image(Image { source: media_of_url(url), detail }))
}

/// A `data:` URL as inline media, any other as a URL.
pub(crate) fn media_of_url(url: String) -> Media {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => {
            let media_type = media_type.split(';').next().unwrap_or_default().to_owned();
            Media::Base64 { media_type, data: data.to_owned() }
        }
        None => Media::Url(url),
    }
}

fn read_file(part: &mut Fields, unknown: &mut Vec<String>) -> Result<PartKind, FieldError> {
    let mut file = required_object(part, "file")?;
    let title = file.string("filename")?;
    let source = match (file.string("file_id")?, file.string("file_data")?) {
        (Some(id), _) => Media::FileId(id),
        (None, Some(data)) if data.starts_with("data:") => media_of_url(data),
        // OpenAI takes bare base64 too, and then goes by the file's name; PDF is what it is for.
        (None, Some(data)) => Media::Base64 { media_type: "application/pdf".to_owned(), data },
        (None, None) => return Err(part.wrong("file", "expected file_data or file_id")),
    };
    file.finish(unknown);
    Ok(PartKind::Document(Document { source, title, extras: std::collections::BTreeMap::new() }))
}

/// A document as Mistral's clients send it: at a URL, or in a `data:` URL (official SDK: `DocumentURLChunk`).
fn read_document(part: &mut Fields) -> Result<PartKind, FieldError> {
    let source = media_of_url(part.required_string("document_url")?);
    let title = part.string("document_name")?;
    Ok(PartKind::Document(Document { source, title, extras: std::collections::BTreeMap::new() }))
}

fn read_assistant(
    fields: &mut Fields,
    long: bool,
    unknown: &mut Vec<String>,
) -> Result<Vec<Part>, FieldError> {
    let mut parts = reasoning_fields::read_history(fields)?;
    let mut content = read_content(fields, long, unknown)?;
    // An empty string stands for "no text" beside tool calls.
    content.retain(|part| !matches!(&part.kind, PartKind::Text(text) if text.is_empty()));
    parts.append(&mut content);
    if let Some(refusal) = fields.string("refusal")? {
        parts.push(Part::new(PartKind::Refusal(refusal)));
    }
    for (index, raw) in fields.array("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        let call = Fields::of(raw, fields.at(&format!("tool_calls[{index}]")))?;
        parts.push(Part::new(PartKind::ToolUse(read_call(call, unknown)?)));
    }
    if let Some(mut function) = fields.object("function_call")? {
        let name = function.required_string("name")?;
        let input = function.string("arguments")?.unwrap_or_default();
        let id = function_call_id(&name);
        function.finish(unknown);
        parts.push(Part::new(PartKind::ToolUse(ToolUse { id, name, input, custom: false })));
    }
    if let Some(audio) = fields.value("audio") {
        parts.push(Part::new(PartKind::Vendor(serde_json::json!({"audio": audio}))));
    }
    Ok(parts)
}

/// The deprecated function messages carry no id: the name stands for it.
fn function_call_id(name: &str) -> String {
    format!("call_{name}")
}

fn read_call(mut call: Fields, unknown: &mut Vec<String>) -> Result<ToolUse, FieldError> {
    let id = call.required_string("id")?;
    // The kind is told by the field that is there; the index is left over from a stream.
    call.value("type");
    call.value("index");
    let custom = call.object("custom")?;
    let is_custom = custom.is_some();
    let (mut inner, key) = match custom {
        Some(custom) => (custom, "input"),
        None => (required_object(&mut call, "function")?, "arguments"),
    };
    let name = inner.required_string("name")?;
    let input = inner.string(key)?.unwrap_or_default();
    inner.finish(unknown);
    call.finish(unknown);
    Ok(ToolUse { id, name, input, custom: is_custom })
}

fn read_tool_result(
    at: usize,
    fields: &mut Fields,
    role: &str,
    mut parts: Vec<Part>,
    exchange: &mut Exchange,
) -> Result<(), FieldError> {
    let id = if role == "function" {
        function_call_id(&fields.string("name")?.unwrap_or_default())
    } else {
        fields.required_string("tool_call_id")?
    };
    // Messages has the breakpoint on the result, not within it.
    let cache = parts.last_mut().and_then(|last| last.cache.take());
    let kind = PartKind::ToolResult(ToolResult { id, parts, is_error: false });
    let part = Part { kind, cache };
    match exchange.messages.last_mut() {
        Some(last) if is_results(last) => last.parts.push(part),
        _ => exchange.messages.push(Message {
            at,
            speaker: Speaker::User,
            name: None,
            parts: vec![part],
        }),
    }
    Ok(())
}

fn is_results(message: &Message) -> bool {
    message.speaker == Speaker::User
        && !message.parts.is_empty()
        && message.parts.iter().all(|part| matches!(part.kind, PartKind::ToolResult(_)))
}
