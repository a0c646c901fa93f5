//! Content blocks as the exchange's parts. A block is an object with one key, which says what it is.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::blob;
use super::media_words::{document_type, image_type};
use crate::exchange::{
    CacheHint, Document, Image, Media, Part, PartKind, Thinking, ToolResult, ToolUse,
};
use crate::json::{Fields, str_at, to_text};
use crate::wire::FieldError;

/// A `cachePoint`.
pub(super) fn cache_hint(point: &Value) -> CacheHint {
    if str_at(point, "ttl") == Some("1h") { CacheHint::Long } else { CacheHint::Default }
}

/// An array of blocks. A cache point belongs to the block before it. Fields that we don't know go into `unknown`.
pub(super) fn read_content(
    blocks: Vec<Value>,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<Vec<Part>, FieldError> {
    let mut parts: Vec<Part> = Vec::with_capacity(blocks.len());
    for (index, raw) in blocks.into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        if let Some(point) = raw.get("cachePoint").filter(|point| point.is_object()) {
            match parts.last_mut() {
                Some(part) => part.cache = Some(cache_hint(point)),
                // Nothing stands before it that could be cached.
                None => unknown.push(format!("{path}.cachePoint")),
            }
            continue;
        }
        parts.push(Part::new(read_block(raw, path, unknown)?));
    }
    Ok(parts)
}

/// One block, of a request or of an answer. What we don't know is kept verbatim.
pub(super) fn read_block(
    raw: Value,
    path: String,
    unknown: &mut Vec<String>,
) -> Result<PartKind, FieldError> {
    let mut known = match &raw {
        Value::Object(members) => members.iter().filter(|(_, value)| !value.is_null()),
        _ => return Err(FieldError::new(path, "expected an object")),
    };
    let (kind, inner) = match (known.next(), known.next()) {
        (Some((kind, inner)), None) => (kind.clone(), inner),
        _ => return Err(FieldError::new(path, "a content block has exactly one key")),
    };
    let verbatim = match kind.as_str() {
        "text" | "image" | "document" | "toolResult" | "reasoningContent" => false,
        // Called and answered within the vendor's own service.
        "toolUse" => inner.get("type").is_some_and(|kind| !kind.is_null()),
        "audio" => inner.pointer("/source/bytes").is_none(),
        _ => true,
    };
    if verbatim {
        return Ok(PartKind::Vendor(raw));
    }
    let mut block = Fields::of(raw, path)?;
    if kind == "text" {
        return block.required_string("text").map(PartKind::Text);
    }
    let at = block.at(&kind);
    let Some(mut block) = block.object(&kind)? else {
        return Err(FieldError::new(at, "this field is required"));
    };
    let part = match kind.as_str() {
        "image" => {
            let media_type = image_type(&block.required_string("format")?);
            PartKind::Image(Image {
                source: read_source(&mut block, media_type, unknown)?,
                detail: None,
            })
        }
        "document" => read_document(&mut block, unknown)?,
        "audio" => {
            let format = block.required_string("format")?;
            match read_source(&mut block, String::new(), unknown)? {
                Media::Base64 { data, .. } => PartKind::Audio { data, format },
                _ => return Err(block.wrong("source", "expected bytes")),
            }
        }
        "toolUse" => PartKind::ToolUse(ToolUse {
            id: block.required_string("toolUseId")?,
            name: block.required_string("name")?,
            input: block.value("input").map_or_else(|| "{}".to_owned(), |input| to_text(&input)),
            custom: false,
        }),
        "toolResult" => read_result(&mut block, unknown)?,
        _ => read_reasoning(&mut block, unknown)?,
    };
    block.finish(unknown);
    Ok(part)
}

fn read_reasoning(block: &mut Fields, unknown: &mut Vec<String>) -> Result<PartKind, FieldError> {
    if let Some(data) = block.string("redactedContent")? {
        return Ok(PartKind::Redacted(blob::read(data)));
    }
    let mut text = block
        .object("reasoningText")?
        .ok_or_else(|| block.wrong("reasoningText", "this field is required"))?;
    let thinking = Thinking {
        text: text.string("text")?.unwrap_or_default(),
        signature: text.string("signature")?.filter(|signature| !signature.is_empty()),
    };
    text.finish(unknown);
    Ok(PartKind::Thinking(thinking))
}

fn read_source(
    block: &mut Fields,
    media_type: String,
    unknown: &mut Vec<String>,
) -> Result<Media, FieldError> {
    let mut source =
        block.object("source")?.ok_or_else(|| block.wrong("source", "this field is required"))?;
    let media = if let Some(data) = source.string("bytes")? {
        Media::Base64 { media_type, data }
    } else if let Some(mut place) = source.object("s3Location")? {
        let uri = place.required_string("uri")?;
        place.finish(unknown);
        Media::FileId(uri)
    } else if let Some(text) = source.string("text")? {
        Media::Text(text)
    } else if let Some(blocks) = source.array("content")? {
        let texts: Option<Vec<&str>> = blocks.iter().map(|block| str_at(block, "text")).collect();
        Media::Text(texts.map(|texts| texts.join("\n")).ok_or_else(|| {
            source.wrong("content", "only text is taken within a document's content")
        })?)
    } else {
        return Err(block.wrong("source", "expected bytes, s3Location, text or content"));
    };
    source.finish(unknown);
    Ok(media)
}

fn read_document(block: &mut Fields, unknown: &mut Vec<String>) -> Result<PartKind, FieldError> {
    let mut extras = BTreeMap::new();
    if let Some(context) = block.value("context") {
        extras.insert("context", context);
    }
    let off = |value: &Value| value.get("enabled") == Some(&Value::Bool(false));
    if let Some(citations) = block.value("citations").filter(|value| !off(value)) {
        extras.insert("citations", citations);
    }
    let title = block.string("name")?;
    let format = block.string("format")?.unwrap_or_else(|| "txt".to_owned());
    let source = match read_source(block, document_type(&format), unknown)? {
        Media::Base64 { media_type, data } if format == "txt" => {
            let text = STANDARD.decode(&data).ok().and_then(|it| String::from_utf8(it).ok());
            text.map_or(Media::Base64 { media_type, data }, Media::Text)
        }
        media => media,
    };
    Ok(PartKind::Document(Document { source, title, extras }))
}

fn read_result(block: &mut Fields, unknown: &mut Vec<String>) -> Result<PartKind, FieldError> {
    let id = block.required_string("toolUseId")?;
    let path = block.at("content");
    let mut parts = Vec::new();
    for (index, mut raw) in block.array("content")?.unwrap_or_default().into_iter().enumerate() {
        // JSON is what every other dialect gives as text.
        let json = raw.as_object_mut().filter(|it| it.len() == 1).and_then(|it| it.get_mut("json"));
        parts.push(Part::new(match json {
            Some(json) => PartKind::Text(to_text(&json.take())),
            None => read_block(raw, format!("{path}[{index}]"), unknown)?,
        }));
    }
    let is_error = match block.string("status")?.as_deref() {
        None | Some("success") => false,
        Some("error") => true,
        Some(_) => return Err(block.wrong("status", "expected success or error")),
    };
    Ok(PartKind::ToolResult(ToolResult { id, parts, is_error }))
}
