//! The exchange's conversation as Messages turns and blocks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::LossReport;
use serde_json::{Value, json};

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
use domain::DialectId;

/// A `cache_control` of that lifetime.
pub(super) fn cache_control(hint: CacheHint) -> Value {
    match hint {
        CacheHint::Default => json!({"type": "ephemeral"}),
        CacheHint::Long => json!({"type": "ephemeral", "ttl": "1h"}),
    }
}

/// One text without a hint is a string, else blocks.
pub(super) fn content(blocks: Vec<Value>) -> Value {
    match blocks.as_slice() {
        [one] if str_at(one, "type") == Some("text") && one.get("cache_control").is_none() => {
            one["text"].clone()
        }
        _ => Value::Array(blocks),
    }
}

/// The parts as blocks.
pub(super) fn blocks(
    parts: &[Part],
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
    path: &str,
) -> Result<Vec<Value>, FieldError> {
    Writer { exchange, target, loss }.blocks(parts, path)
}

/// All turns; turns of one role that follow each other become one.
pub(super) fn messages(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<Vec<Value>, FieldError> {
    let mut writer = Writer { exchange, target, loss };
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for message in &exchange.messages {
        let (role, blocks) = writer.turn(message, &exchange.place(message))?;
        match turns.last_mut() {
            Some((last, said)) if *last == role => said.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => turns.push((role, blocks)),
        }
    }
    if exchange.from != DialectId::AnthropicMessages {
        results_first(&mut turns);
        if exchange.prefill().is_some() {
            writer.note(Corner::Prefill);
            trim_prefill(&mut turns);
        }
    }
    let turns = turns.into_iter();
    Ok(turns.map(|(role, said)| json!({"role": role, "content": content(said)})).collect())
}

/// The provider wants the results directly after the calls; elsewhere a system message may stand between.
fn results_first(turns: &mut [(&'static str, Vec<Value>)]) {
    for (_, said) in turns {
        said.sort_by_key(|block| str_at(block, "type") != Some("tool_result"));
    }
}

/// The provider refuses a trailing assistant turn that ends in white space.
fn trim_prefill(turns: &mut [(&'static str, Vec<Value>)]) {
    let last = turns.last_mut().and_then(|(_, said)| said.last_mut());
    if let Some(block) = last
        && let Some(text) = str_at(block, "text")
    {
        block["text"] = text.trim_end().into();
    }
}

struct Writer<'a, 'l> {
    exchange: &'a Exchange,
    target: &'a Target<'a>,
    loss: &'l mut LossReport,
}

impl Writer<'_, '_> {
    fn note(&mut self, corner: Corner) {
        loss::note(self.loss, self.exchange, corner);
    }

    fn is_same(&self) -> bool {
        self.exchange.from == DialectId::AnthropicMessages
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
        let role = match message.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "assistant",
            Speaker::System | Speaker::Developer if self.target.quirks.mid_system => "system",
            Speaker::System | Speaker::Developer => {
                self.note(Corner::MidSystem);
                mark_as_system(&mut blocks);
                "user"
            }
        };
        Ok((role, blocks))
    }

    fn blocks(&mut self, parts: &[Part], path: &str) -> Result<Vec<Value>, FieldError> {
        let mut out = Vec::new();
        for part in parts {
            let Some(mut block) = self.block(part, path)? else { continue };
            if let Some(hint) = part.cache {
                // An hour is an hour at Bedrock too.
                let same = self.is_same() || self.exchange.from == DialectId::BedrockConverse;
                if hint == CacheHint::Long && !same {
                    self.note(Corner::CacheLifetime);
                }
                block["cache_control"] = cache_control(hint);
            }
            out.push(block);
        }
        Ok(out)
    }

    fn block(&mut self, part: &Part, path: &str) -> Result<Option<Value>, FieldError> {
        let block = match &part.kind {
            // The provider refuses text of nothing or of white space alone.
            PartKind::Text(text) if text.trim().is_empty() => return Ok(None),
            PartKind::Text(text) => json!({"type": "text", "text": text}),
            PartKind::Refusal(text) => {
                self.note(Corner::Refusal);
                json!({"type": "text", "text": text})
            }
            PartKind::Image(image) => {
                if image.detail.as_ref().is_some_and(|detail| detail != "auto") {
                    self.note(Corner::ImageDetail);
                }
                json!({"type": "image", "source": self.source(&image.source, path)?})
            }
            PartKind::Document(document) => self.document(document, path)?,
            PartKind::Audio { .. } => {
                return Err(FieldError::new(path, "this offer's protocol takes no audio input"));
            }
            PartKind::ToolUse(call) => self.call(call),
            PartKind::ToolResult(result) => self.result(result, path)?,
            PartKind::Thinking(thinking) => {
                let Some(signature) = &thinking.signature else {
                    self.note(Corner::PlainReasoning);
                    return Ok(None);
                };
                if is_foreign(signature) {
                    self.note(Corner::SignedReasoning);
                    return Ok(None);
                }
                json!({"type": "thinking", "thinking": thinking.text, "signature": signature})
            }
            PartKind::Redacted(data) if is_foreign(data) => {
                self.note(Corner::SignedReasoning);
                return Ok(None);
            }
            PartKind::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
            PartKind::Vendor(raw) if self.is_same() => raw.clone(),
            PartKind::Vendor(raw) => return Ok(self.foreign(raw)),
        };
        Ok(Some(block))
    }

    /// What another dialect alone knows, where it has a counterpart here.
    fn foreign(&mut self, raw: &Value) -> Option<Value> {
        if let Some(result) = raw.get("searchResult") {
            let texts = foreign_blocks::texts(result).into_iter();
            let texts: Vec<Value> =
                texts.map(|text| json!({"type": "text", "text": text})).collect();
            return Some(json!({
                "type": "search_result",
                "source": str_at(result, "source").unwrap_or_default(),
                "title": str_at(result, "title").unwrap_or_default(),
                "content": texts,
            }));
        }
        let (corner, text) = foreign_blocks::as_text(raw).unzip();
        self.note(corner.unwrap_or(Corner::VendorBlocks));
        text.filter(|text| !text.trim().is_empty())
            .map(|text| json!({"type": "text", "text": text}))
    }

    fn source(&self, media: &Media, path: &str) -> Result<Value, FieldError> {
        match media {
            Media::Base64 { media_type, data } => {
                // A widespread name that the provider does not take for the same.
                let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
                Ok(json!({"type": "base64", "media_type": media_type, "data": data}))
            }
            Media::Url(_) if self.target.quirks.no_remote_images => {
                Err(FieldError::new(path, "this offer takes images and documents inline only"))
            }
            Media::Url(url) => Ok(json!({"type": "url", "url": url})),
            Media::Text(text) => {
                Ok(json!({"type": "text", "media_type": "text/plain", "data": text}))
            }
            Media::FileId(id) if self.is_same() => Ok(json!({"type": "file", "file_id": id})),
            Media::FileId(_) => Err(FieldError::new(
                path,
                "a file id is known to one vendor only: send the file inline",
            )),
        }
    }

    fn document(&mut self, document: &Document, path: &str) -> Result<Value, FieldError> {
        let source = match &document.source {
            Media::Base64 { media_type, data } if media_type.starts_with("text/") => {
                let text = STANDARD.decode(data).ok().and_then(|it| String::from_utf8(it).ok());
                let text = text.ok_or_else(|| {
                    FieldError::new(path, "the text file is not base64 of UTF-8 text")
                })?;
                self.source(&Media::Text(text), path)?
            }
            Media::Base64 { media_type, .. } if media_type != "application/pdf" => {
                return Err(FieldError::new(
                    path,
                    "this offer's protocol takes PDF and plain text documents only",
                ));
            }
            media => self.source(media, path)?,
        };
        let mut block = Object::default();
        block.put("type", "document");
        block.put("source", source);
        block.put_some("title", document.title.clone());
        if self.is_same() {
            for (name, value) in &document.extras {
                block.put(name, value.clone());
            }
        } else if !document.extras.is_empty() {
            self.note(Corner::DocumentFields);
        }
        Ok(block.into_value())
    }

    fn tool_id(&mut self, id: &str) -> String {
        tool_ids::fit_messages(id, |corner| self.note(corner))
    }

    fn call(&mut self, call: &ToolUse) -> Value {
        let ToolUse { id, name, input, custom } = call;
        let input = unwrap_input::object(input, *custom, |corner| self.note(corner));
        json!({"type": "tool_use", "id": self.tool_id(id), "name": name, "input": input})
    }

    fn result(&mut self, result: &ToolResult, path: &str) -> Result<Value, FieldError> {
        let mut block = Object::default();
        block.put("type", "tool_result");
        block.put("tool_use_id", self.tool_id(&result.id));
        let said = self.blocks(&result.parts, path)?;
        if !said.is_empty() {
            block.put("content", content(said));
        }
        if result.is_error {
            block.put("is_error", true);
        }
        Ok(block.into_value())
    }
}

fn mark_as_system(blocks: &mut [Value]) {
    for block in blocks {
        if let Some(text) = str_at(block, "text") {
            block["text"] = format!("<system>\n{text}\n</system>").into();
        }
    }
}
