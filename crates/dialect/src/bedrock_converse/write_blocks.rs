//! The exchange's conversation as Converse turns and blocks.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{DialectId, LossReport};
use serde_json::{Value, json};

use super::blob;
use super::media_words::{document_format, image_format};
use crate::exchange::{
    CacheHint, Document, Exchange, Media, Message, Part, PartKind, Speaker, ToolResult, ToolUse,
};
use crate::foreign_blocks;
use crate::json::{Object, str_at};
use crate::loss::{self, Corner};
use crate::signature::is_foreign;
use crate::tool_ids;
use crate::unwrap_input;
use crate::wire::{FieldError, Target};

/// Longest name of a document.
const NAME_MAX: usize = 200;

/// A `cachePoint` of that lifetime.
pub(super) fn cache_point(hint: CacheHint) -> Value {
    match hint {
        CacheHint::Default => json!({"cachePoint": {"type": "default"}}),
        CacheHint::Long => json!({"cachePoint": {"type": "default", "ttl": "1h"}}),
    }
}

/// Reasoning with its signature, where it has one.
pub(super) fn reasoning_block(text: &str, signature: Option<&str>) -> Value {
    let mut inner = Object::default();
    inner.put("text", text);
    inner.put_some("signature", signature);
    json!({"reasoningContent": {"reasoningText": inner.into_value()}})
}

/// Reasoning that only its vendor can read.
pub(super) fn redacted_block(data: &str) -> Value {
    json!({"reasoningContent": {"redactedContent": blob::write(data)}})
}

pub(super) struct Writer<'a, 'l> {
    exchange: &'a Exchange,
    target: &'a Target<'a>,
    loss: &'l mut LossReport,
    /// Names of documents so far: the provider refuses one that comes twice.
    names: BTreeSet<String>,
    /// How often each was wanted.
    numbers: BTreeMap<String, u32>,
}

impl<'a, 'l> Writer<'a, 'l> {
    pub(super) fn new(
        exchange: &'a Exchange,
        target: &'a Target<'a>,
        loss: &'l mut LossReport,
    ) -> Self {
        Self { exchange, target, loss, names: BTreeSet::new(), numbers: BTreeMap::new() }
    }

    fn note(&mut self, corner: Corner) {
        loss::note(self.loss, self.exchange, corner);
    }

    fn is_same(&self) -> bool {
        self.exchange.from == DialectId::BedrockConverse
    }

    /// All turns; turns of one role that follow each other become one: the provider wants them to alternate.
    pub(super) fn messages(&mut self) -> Result<Vec<Value>, FieldError> {
        let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
        for message in &self.exchange.messages {
            let (role, blocks) = self.turn(message, &self.exchange.place(message))?;
            match turns.last_mut() {
                Some((last, said)) if *last == role => said.extend(blocks),
                _ if blocks.is_empty() => {}
                _ => turns.push((role, blocks)),
            }
        }
        if !self.is_same() {
            results_first(&mut turns);
            if self.exchange.prefill().is_some() {
                self.note(Corner::Prefill);
                trim_prefill(&mut turns);
            }
        }
        if let (Some(hint), Some((_, said))) = (self.exchange.auto_cache, turns.last_mut())
            && said.last().is_some_and(|last| last.get("cachePoint").is_none())
        {
            said.push(cache_point(hint));
        }
        Ok(turns.into_iter().map(|(role, said)| json!({"role": role, "content": said})).collect())
    }

    /// The system prompt: texts and what only this vendor knows.
    pub(super) fn system(&mut self) -> Result<Vec<Value>, FieldError> {
        let exchange = self.exchange;
        let blocks = self.blocks(&exchange.system, "system")?;
        let known = |block: &Value| {
            ["text", "cachePoint", "guardContent"].iter().any(|key| block.get(key).is_some())
        };
        if !blocks.iter().all(known) {
            return Err(FieldError::new("system", "this offer takes only text in system prompts"));
        }
        Ok(blocks)
    }

    fn turn(
        &mut self,
        message: &Message,
        path: &str,
    ) -> Result<(&'static str, Vec<Value>), FieldError> {
        if message.name.is_some() {
            self.note(Corner::Name);
        }
        let mut blocks = self.blocks(&message.parts, path)?;
        if message.speaker == Speaker::Assistant && !self.is_same() {
            self.leave_out_media(&mut blocks);
        }
        let takes_system = self.target.quirks.mid_system || self.is_same();
        let role = match message.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
            Speaker::System | Speaker::Developer if takes_system => "system",
            Speaker::System | Speaker::Developer => {
                self.note(Corner::MidSystem);
                mark_as_system(&mut blocks);
                "user"
            }
        };
        Ok((role, blocks))
    }

    /// The provider takes images and documents from users only.
    fn leave_out_media(&mut self, blocks: &mut Vec<Value>) {
        let before = blocks.len();
        blocks.retain(|block| {
            !["image", "document", "audio"].iter().any(|kind| block.get(kind).is_some())
        });
        if blocks.len() < before {
            self.note(Corner::AssistantMedia);
        }
    }

    fn blocks(&mut self, parts: &[Part], path: &str) -> Result<Vec<Value>, FieldError> {
        let mut out = Vec::new();
        for part in parts {
            let Some(block) = self.block(part, path)? else { continue };
            out.push(block);
            if let Some(hint) = part.cache {
                self.note_lifetime(hint);
                out.push(cache_point(hint));
            }
        }
        Ok(out)
    }

    /// An hour here is an hour at Anthropic; OpenAI's long lifetime is twelve.
    pub(super) fn note_lifetime(&mut self, hint: CacheHint) {
        let equal =
            matches!(self.exchange.from, DialectId::BedrockConverse | DialectId::AnthropicMessages);
        if hint == CacheHint::Long && !equal {
            self.note(Corner::CacheLifetime);
        }
    }

    fn block(&mut self, part: &Part, path: &str) -> Result<Option<Value>, FieldError> {
        let block = match &part.kind {
            // The provider refuses text of nothing or of white space alone.
            PartKind::Text(text) if text.trim().is_empty() => return Ok(None),
            PartKind::Text(text) => json!({"text": text}),
            PartKind::Refusal(text) => {
                self.note(Corner::Refusal);
                json!({"text": text})
            }
            PartKind::Image(image) => {
                if image.detail.as_ref().is_some_and(|detail| detail != "auto") {
                    self.note(Corner::ImageDetail);
                }
                image_block(&image.source, self.is_same(), path)?
            }
            PartKind::Document(document) => self.document(document, path)?,
            PartKind::Audio { data, format } => {
                json!({"audio": {"format": format, "source": {"bytes": data}}})
            }
            PartKind::ToolUse(call) => self.call(call),
            PartKind::ToolResult(result) => self.result(result, path)?,
            PartKind::Thinking(thinking) => {
                match &thinking.signature {
                    Some(signature) if is_foreign(signature) => {
                        self.note(Corner::SignedReasoning);
                        return Ok(None);
                    }
                    // Some models here don't sign, and take theirs back.
                    None if !self.is_same() => {
                        self.note(Corner::PlainReasoning);
                        return Ok(None);
                    }
                    _ => {}
                }
                reasoning_block(&thinking.text, thinking.signature.as_deref())
            }
            PartKind::Redacted(data) if is_foreign(data) => {
                self.note(Corner::SignedReasoning);
                return Ok(None);
            }
            PartKind::Redacted(data) => redacted_block(data),
            PartKind::Vendor(raw) if self.is_same() => raw.clone(),
            PartKind::Vendor(raw) => return Ok(self.vendor(raw)),
        };
        Ok(Some(block))
    }

    /// What another dialect alone knows, where it has a counterpart here.
    fn vendor(&mut self, raw: &Value) -> Option<Value> {
        if str_at(raw, "type") == Some("search_result") {
            let texts = foreign_blocks::texts(raw).into_iter();
            let texts: Vec<Value> = texts.map(|text| json!({"text": text})).collect();
            return Some(json!({"searchResult": {
                "source": str_at(raw, "source").unwrap_or_default(),
                "title": str_at(raw, "title").unwrap_or_default(),
                "content": texts,
            }}));
        }
        let (corner, text) = foreign_blocks::as_text(raw).unzip();
        self.note(corner.unwrap_or(Corner::VendorBlocks));
        text.filter(|text| !text.trim().is_empty()).map(|text| json!({"text": text}))
    }

    fn document(&mut self, document: &Document, path: &str) -> Result<Value, FieldError> {
        let inline = |format: &str, data: String| (format.to_owned(), json!({"bytes": data}));
        let (format, source) = match &document.source {
            Media::Base64 { media_type, data } => {
                let format = document_format(media_type).ok_or_else(|| {
                    FieldError::new(path, "this offer's protocol takes no documents of this type")
                })?;
                inline(format, data.clone())
            }
            Media::Text(text) => inline("txt", STANDARD.encode(text)),
            media => {
                let source = place(media, self.is_same())
                    .ok_or_else(|| FieldError::new(path, INLINE_ONLY))?;
                let uri = source.pointer("/s3Location/uri").and_then(Value::as_str);
                let ending = uri.and_then(|uri| uri.rsplit_once('.')).map(|(_, ending)| ending);
                let known = ending
                    .filter(|it| document_format(&super::media_words::document_type(it)).is_some());
                (known.unwrap_or("pdf").to_owned(), source)
            }
        };
        let mut inner = Object::default();
        inner.put("format", format);
        inner.put("name", self.document_name(document.title.as_deref()));
        inner.put("source", source);
        for (name, value) in &document.extras {
            inner.put(name, value.clone());
        }
        Ok(json!({"document": inner.into_value()}))
    }

    /// A name as the provider takes it: letters, digits, single blanks, hyphens, brackets; and no name twice.
    fn document_name(&mut self, title: Option<&str>) -> String {
        let fitted = fitted_name(title.unwrap_or_default());
        let is_fitted = title.is_none_or(|title| title == fitted);
        let base = if fitted.is_empty() { "document".to_owned() } else { fitted };
        let number = self.numbers.entry(base.clone()).or_insert(0_u32);
        let name = loop {
            *number += 1;
            let name = if *number == 1 { base.clone() } else { format!("{base} {number}") };
            if self.names.insert(name.clone()) {
                break name;
            }
        };
        if !is_fitted || title.is_some_and(|title| title != name) {
            self.note(Corner::DocumentName);
        }
        name
    }

    fn tool_id(&mut self, id: &str) -> String {
        tool_ids::fit_messages(id, |corner| self.note(corner))
    }

    fn call(&mut self, call: &ToolUse) -> Value {
        let ToolUse { id, name, input, custom } = call;
        let input = unwrap_input::object(input, *custom, |corner| self.note(corner));
        json!({"toolUse": {"toolUseId": self.tool_id(id), "name": name, "input": input}})
    }

    fn result(&mut self, result: &ToolResult, path: &str) -> Result<Value, FieldError> {
        let mut content = self.blocks(&result.parts, path)?;
        let before = content.len();
        // No breakpoints within results.
        content.retain(|block| block.get("cachePoint").is_none());
        if content.len() < before {
            self.note(Corner::CacheBreakpoints);
        }
        if content.is_empty() && result.is_error {
            // The provider refuses a failure without words.
            content.push(json!({"text": "Error"}));
        }
        let mut inner = Object::default();
        inner.put("toolUseId", self.tool_id(&result.id));
        inner.put("content", content);
        if result.is_error {
            inner.put("status", "error");
        }
        Ok(json!({"toolResult": inner.into_value()}))
    }
}

const INLINE_ONLY: &str = "this offer takes images and documents inline only";

/// Media that lies at the vendor's own store.
fn place(media: &Media, is_same: bool) -> Option<Value> {
    match media {
        Media::FileId(uri) if is_same => Some(json!({"s3Location": {"uri": uri}})),
        Media::Url(uri) if uri.starts_with("s3://") => Some(json!({"s3Location": {"uri": uri}})),
        _ => None,
    }
}

fn image_block(media: &Media, is_same: bool, path: &str) -> Result<Value, FieldError> {
    let (format, source) = match media {
        Media::Base64 { media_type, data } => {
            let format = image_format(media_type).ok_or_else(|| {
                FieldError::new(path, "this offer's protocol takes PNG, JPEG, GIF and WebP only")
            })?;
            (format, json!({"bytes": data}))
        }
        media => {
            let source = place(media, is_same).ok_or_else(|| FieldError::new(path, INLINE_ONLY))?;
            let uri = source.pointer("/s3Location/uri").and_then(Value::as_str);
            let ending = uri.and_then(|uri| uri.rsplit_once('.')).map(|(_, ending)| ending);
            let format = ending.and_then(|ending| image_format(&format!("image/{ending}")));
            (format.unwrap_or("jpeg"), source)
        }
    };
    Ok(json!({"image": {"format": format, "source": source}}))
}

/// Without an ending, and with a blank for each run of letters that are not taken.
fn fitted_name(title: &str) -> String {
    let stem = match title.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= 4 => stem,
        _ => title,
    };
    let mut name = String::new();
    for letter in stem.chars() {
        let plain = letter.is_ascii_alphanumeric() || "-()[]".contains(letter);
        if plain && name.len() < NAME_MAX - 12 {
            name.push(letter);
        } else if !name.is_empty() && !name.ends_with(' ') && name.len() < NAME_MAX - 12 {
            name.push(' ');
        }
    }
    name.truncate(name.trim_end().len());
    name
}

/// The provider wants the results directly after the calls; elsewhere a system message may stand between. A cache point
/// stays behind what it stood behind.
fn results_first(turns: &mut [(&'static str, Vec<Value>)]) {
    for (_, said) in turns {
        let (mut results, mut others): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        let mut is_result = false;
        for block in said.drain(..) {
            if block.get("cachePoint").is_none() {
                is_result = block.get("toolResult").is_some();
            }
            if is_result { results.push(block) } else { others.push(block) }
        }
        said.extend(results.into_iter().chain(others));
    }
}

/// Models refuse a trailing assistant turn that ends in white space.
fn trim_prefill(turns: &mut [(&'static str, Vec<Value>)]) {
    let last = turns.last_mut().and_then(|(_, said)| said.last_mut());
    if let Some(block) = last
        && let Some(text) = str_at(block, "text")
    {
        block["text"] = text.trim_end().into();
    }
}

fn mark_as_system(blocks: &mut [Value]) {
    for block in blocks {
        if let Some(text) = str_at(block, "text") {
            block["text"] = format!("<system>\n{text}\n</system>").into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_documents_are_fitted() {
        for (title, fitted) in [
            ("map.pdf", "map"),
            ("Q3 report (final).v2.docx", "Q3 report (final) v2"),
            ("  a__b  ", "a b"),
            ("für Übung", "f r bung"),
            ("...", ""),
            ("", ""),
            ("section 3. Results", "section 3 Results"),
        ] {
            assert_eq!(fitted_name(title), fitted, "{title}");
        }
        assert!(fitted_name(&"x".repeat(500)).len() <= NAME_MAX);
    }
}
