//! Content blocks as the exchange's parts.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::exchange::{
    CacheHint, Document, Image, Media, Part, PartKind, Thinking, ToolResult, ToolUse,
};
use crate::json::{Fields, str_at, to_text};
use crate::wire::FieldError;

/// A `cache_control`.
pub(super) fn cache_hint(value: &Value) -> CacheHint {
    if str_at(value, "ttl") == Some("1h") { CacheHint::Long } else { CacheHint::Default }
}

/// A string or an array of blocks. Fields that we don't know go into `unknown`.
pub(super) fn read_content(
    content: Value,
    path: &str,
    unknown: &mut Vec<String>,
) -> Result<Vec<Part>, FieldError> {
    match content {
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Array(blocks) => blocks
            .into_iter()
            .enumerate()
            .map(|(index, raw)| read_block(raw, format!("{path}[{index}]"), unknown))
            .collect(),
        _ => Err(FieldError::new(path, "expected a string or an array of blocks")),
    }
}

/// One block, of a request or of an answer. What we don't know is kept verbatim.
pub(super) fn read_block(
    raw: Value,
    path: String,
    unknown: &mut Vec<String>,
) -> Result<Part, FieldError> {
    let kind = str_at(&raw, "type").map(str::to_owned);
    // Cited text and what we don't know at all stay as they are, with their own cache hints.
    let verbatim = match kind.as_deref() {
        Some("text") => raw
            .get("citations")
            .and_then(Value::as_array)
            .is_some_and(|citations| !citations.is_empty()),
        Some(
            "image" | "document" | "tool_use" | "tool_result" | "thinking" | "redacted_thinking",
        ) => false,
        Some(_) => true,
        None => return Err(FieldError::new(format!("{path}.type"), "this field is required")),
    };
    if verbatim {
        let cache = raw.get("cache_control").filter(|hint| !hint.is_null()).map(cache_hint);
        return Ok(Part { kind: PartKind::Vendor(raw), cache });
    }
    let mut block = Fields::of(raw, path)?;
    block.value("type");
    let cache = block.value("cache_control").map(|hint| cache_hint(&hint));
    let kind = match kind.as_deref() {
        Some("text") => PartKind::Text(block.required_string("text")?),
        Some("image") => {
            PartKind::Image(Image { source: read_source(&mut block, unknown)?, detail: None })
        }
        Some("document") => read_document(&mut block, unknown)?,
        Some("tool_use") => {
            // Called by the model itself, which is what a call is anyway.
            block.value_if("caller", |caller| str_at(caller, "type") == Some("direct"));
            PartKind::ToolUse(ToolUse {
                id: block.required_string("id")?,
                name: block.required_string("name")?,
                input: block
                    .value("input")
                    .map_or_else(|| "{}".to_owned(), |input| to_text(&input)),
                custom: false,
            })
        }
        Some("tool_result") => read_result(&mut block, unknown)?,
        Some("thinking") => PartKind::Thinking(Thinking {
            text: block.string("thinking")?.unwrap_or_default(),
            // An empty one is ours: the host that reasoned doesn't sign.
            signature: block.string("signature")?.filter(|signature| !signature.is_empty()),
        }),
        _ => PartKind::Redacted(block.required_string("data")?),
    };
    block.finish(unknown);
    Ok(Part { kind, cache })
}

fn read_source(block: &mut Fields, unknown: &mut Vec<String>) -> Result<Media, FieldError> {
    let mut source =
        block.object("source")?.ok_or_else(|| block.wrong("source", "this field is required"))?;
    let media = match source.required_string("type")?.as_str() {
        "base64" => Media::Base64 {
            media_type: source.required_string("media_type")?,
            data: source.required_string("data")?,
        },
        "url" => Media::Url(source.required_string("url")?),
        "file" => Media::FileId(source.required_string("file_id")?),
        "text" => {
            source.value("media_type");
            Media::Text(source.required_string("data")?)
        }
        "content" => match source.value("content") {
            Some(Value::String(text)) => Media::Text(text),
            Some(Value::Array(blocks)) => Media::Text(texts(&blocks).ok_or_else(|| {
                source.wrong("content", "only text is taken within a document's content here")
            })?),
            _ => return Err(source.wrong("content", "expected a string or an array of blocks")),
        },
        _ => return Err(source.wrong("type", "expected base64, url, file, text or content")),
    };
    source.finish(unknown);
    Ok(media)
}

/// The texts of text blocks; `None` when there is anything else.
fn texts(blocks: &[Value]) -> Option<String> {
    let texts: Option<Vec<&str>> = blocks.iter().map(|block| str_at(block, "text")).collect();
    texts.map(|texts| texts.join("\n"))
}

fn read_document(block: &mut Fields, unknown: &mut Vec<String>) -> Result<PartKind, FieldError> {
    let mut extras = BTreeMap::new();
    for name in ["context", "citations"] {
        let off = |value: &Value| value.get("enabled") == Some(&Value::Bool(false));
        if let Some(value) = block.value(name).filter(|value| !off(value)) {
            extras.insert(name, value);
        }
    }
    let title = block.string("title")?;
    Ok(PartKind::Document(Document { source: read_source(block, unknown)?, title, extras }))
}

fn read_result(block: &mut Fields, unknown: &mut Vec<String>) -> Result<PartKind, FieldError> {
    let id = block.required_string("tool_use_id")?;
    let parts = match block.value("content") {
        None => Vec::new(),
        Some(content) => read_content(content, &block.at("content"), unknown)?,
    };
    let is_error = block.boolean("is_error")?.unwrap_or(false);
    Ok(PartKind::ToolResult(ToolResult { id, parts, is_error }))
}
