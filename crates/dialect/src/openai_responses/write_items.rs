//! The exchange's conversation as the items of a Responses request.

use std::collections::BTreeSet;

use domain::LossReport;
use serde_json::{Value, json};

use super::reasoning_items::{self, ForProvider};
use crate::exchange::{
    CacheHint, Document, Exchange, Image, Media, Message, Part, PartKind, Speaker, ToolResult,
    ToolUse,
};
use crate::foreign_blocks;
use crate::json::{Object, fnv, str_at};
use crate::loss::{self, Corner};
use crate::openai;
use crate::quirks::ReasoningField;
use crate::tool_ids;
use crate::unwrap_input;
use crate::wire::{FieldError, Target};
use domain::DialectId;

/// The instructions and the items; `instruction` is added to the system prompt.
pub(super) fn write(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
    instruction: Option<String>,
) -> Result<(Option<String>, Vec<Value>), FieldError> {
    let custom_calls = custom_calls(exchange, target);
    let mut writer = Writer { exchange, target, loss, custom_calls, out: Vec::new() };
    let instructions = writer.write_system(instruction)?;
    for message in &exchange.messages {
        let path = exchange.place(message);
        match message.speaker {
            Speaker::System | Speaker::Developer => {
                let role = writer.operator_role(message.speaker == Speaker::Developer);
                writer.write_message(role, &message.parts, message, &path)?;
            }
            Speaker::User => writer.write_user(message, &path)?,
            Speaker::Assistant => writer.write_assistant(message, &path)?,
        }
    }
    if exchange.from != DialectId::OpenaiResponses && exchange.prefill().is_some() {
        writer.note(Corner::Prefill);
    }
    Ok((instructions, writer.out))
}

/// Whether any part asks for a breakpoint.
pub(super) fn has_hints(exchange: &Exchange) -> bool {
    let said = exchange.messages.iter().flat_map(|message| &message.parts);
    exchange.system.iter().chain(said).any(|part| part.cache.is_some())
}

/// The calls whose results go back as those of custom tools.
fn custom_calls<'a>(exchange: &'a Exchange, target: &Target<'_>) -> BTreeSet<&'a str> {
    if target.quirks.no_custom_tools {
        return BTreeSet::new();
    }
    let parts = exchange.messages.iter().flat_map(|message| &message.parts);
    let custom = parts.filter_map(|part| match &part.kind {
        PartKind::ToolUse(ToolUse { id, custom: true, .. }) => Some(id.as_str()),
        _ => None,
    });
    custom.collect()
}

struct Writer<'a, 'l> {
    exchange: &'a Exchange,
    target: &'a Target<'a>,
    loss: &'l mut LossReport,
    custom_calls: BTreeSet<&'a str>,
    out: Vec<Value>,
}

impl Writer<'_, '_> {
    fn note(&mut self, corner: Corner) {
        loss::note(self.loss, self.exchange, corner);
    }

    fn is_same(&self) -> bool {
        self.exchange.from == DialectId::OpenaiResponses
    }

    /// Plain text becomes the instructions; with breakpoints or as a developer's it stays a message.
    fn write_system(&mut self, added: Option<String>) -> Result<Option<String>, FieldError> {
        let exchange = self.exchange;
        let texts: Option<Vec<&str>> = exchange
            .system
            .iter()
            .map(|part| match (&part.kind, part.cache) {
                (PartKind::Text(text), hint)
                    if hint.is_none() || !self.target.quirks.cache_breakpoints =>
                {
                    Some(text.as_str())
                }
                _ => None,
            })
            .collect();
        let is_developers =
            exchange.system_is_developer && self.target.quirks.developer_role && self.is_same();
        if let (Some(mut texts), false) = (texts, is_developers) {
            texts.extend(added.as_deref());
            return Ok((!texts.is_empty()).then(|| texts.join("\n\n")));
        }
        let role = self.operator_role(exchange.system_is_developer);
        let mut parts = self.parts(&exchange.system, "system", false)?;
        parts.extend(added.map(|text| json!({"type": "input_text", "text": text})));
        self.out.push(json!({"type": "message", "role": role, "content": content(parts)}));
        Ok(None)
    }

    fn operator_role(&mut self, developer: bool) -> &'static str {
        if !developer {
            return "system";
        }
        if !self.target.quirks.developer_role {
            self.note(Corner::DeveloperRole);
            return "system";
        }
        "developer"
    }

    fn write_message(
        &mut self,
        role: &str,
        parts: &[Part],
        message: &Message,
        path: &str,
    ) -> Result<(), FieldError> {
        if message.name.is_some() {
            self.note(Corner::Name);
        }
        let parts = self.parts(parts, path, false)?;
        // What can't be carried leaves no empty message.
        if !parts.is_empty() || message.parts.is_empty() {
            self.out.push(json!({"type": "message", "role": role, "content": content(parts)}));
        }
        Ok(())
    }

    /// Results are items of their own, before what else the user says.
    fn write_user(&mut self, message: &Message, path: &str) -> Result<(), FieldError> {
        let mut rest = Vec::new();
        let mut had_results = false;
        for part in &message.parts {
            match &part.kind {
                PartKind::ToolResult(result) => {
                    had_results = true;
                    self.write_result(result, part.cache, path)?;
                }
                _ => rest.push(part.clone()),
            }
        }
        if rest.is_empty() && had_results {
            return Ok(());
        }
        self.write_message("user", &rest, message, path)
    }

    fn write_result(
        &mut self,
        result: &ToolResult,
        cache: Option<CacheHint>,
        path: &str,
    ) -> Result<(), FieldError> {
        let mut parts = self.parts(&result.parts, path, false)?;
        if result.is_error {
            self.note(Corner::ToolError);
            mark_error(&mut parts);
        }
        if let (Some(hint), Some(last)) = (cache, parts.last_mut()) {
            self.put_hint(last, hint);
        }
        let is_custom = self.custom_calls.contains(result.id.as_str());
        let kind = if is_custom { "custom_tool_call_output" } else { "function_call_output" };
        let id = self.tool_id(&result.id);
        self.out.push(json!({"type": kind, "call_id": id, "output": content(parts)}));
        Ok(())
    }

    fn tool_id(&mut self, id: &str) -> String {
        let nine = self.target.quirks.tool_id_nine_alphanumeric;
        tool_ids::for_chat(id, nine, |corner| self.note(corner))
    }

    fn write_assistant(&mut self, message: &Message, path: &str) -> Result<(), FieldError> {
        if message.name.is_some() {
            self.note(Corner::Name);
        }
        // Texts that follow each other are one message.
        let mut said: Vec<Value> = Vec::new();
        for part in &message.parts {
            match &part.kind {
                PartKind::ToolUse(call) => {
                    self.flush(&mut said);
                    let item = self.call(call);
                    self.out.push(item);
                }
                PartKind::Thinking(_) | PartKind::Redacted(_) => {
                    self.flush(&mut said);
                    let item = self.reasoning(&part.kind);
                    self.out.extend(item);
                }
                PartKind::Vendor(raw) if self.is_same() && !is_content(raw) => {
                    self.flush(&mut said);
                    self.out.push(raw.clone());
                }
                PartKind::Image(_) | PartKind::Document(_) | PartKind::Audio { .. } => {
                    self.note(Corner::AssistantMedia);
                }
                _ => said.extend(self.part(part, path, true)?),
            }
        }
        self.flush(&mut said);
        Ok(())
    }

    fn flush(&mut self, said: &mut Vec<Value>) {
        let parts = std::mem::take(said);
        match parts.as_slice() {
            [] => {}
            [one] if is_plain(one, "output_text") => {
                let text = &one["text"];
                self.out.push(json!({"type": "message", "role": "assistant", "content": text}));
            }
            _ => {
                self.out.push(json!({"type": "message", "role": "assistant", "content": parts}));
            }
        }
    }

    fn call(&mut self, call: &ToolUse) -> Value {
        let ToolUse { id, name, input, custom } = call;
        let id = self.tool_id(id);
        if *custom && !self.target.quirks.no_custom_tools {
            return json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": input});
        }
        let arguments = match (custom, input.is_empty()) {
            (true, _) => unwrap_input::wrap(input),
            (false, true) => "{}".to_owned(),
            (false, false) => input.clone(),
        };
        json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
    }

    fn reasoning(&mut self, kind: &PartKind) -> Option<Value> {
        match reasoning_items::for_provider(kind) {
            ForProvider::Item(item) => return Some(item),
            ForProvider::Foreign => self.note(Corner::SignedReasoning),
            ForProvider::Plain => {}
        }
        let PartKind::Thinking(thinking) = kind else { return None };
        let takes_text = self.target.quirks.reasoning_field != ReasoningField::None;
        if takes_text && !thinking.text.is_empty() {
            let id = format!("rs_{:016x}", fnv(thinking.text.as_bytes()));
            return Some(reasoning_items::plain_item(&id, &thinking.text));
        }
        if thinking.signature.is_none() {
            self.note(Corner::PlainReasoning);
        }
        None
    }

    fn parts(
        &mut self,
        parts: &[Part],
        path: &str,
        output: bool,
    ) -> Result<Vec<Value>, FieldError> {
        let mut out = Vec::new();
        for part in parts {
            out.extend(self.part(part, path, output)?);
        }
        Ok(out)
    }

    /// One part; `output`: said by the model.
    fn part(&mut self, part: &Part, path: &str, output: bool) -> Result<Option<Value>, FieldError> {
        let text_type = if output { "output_text" } else { "input_text" };
        let mut value = match &part.kind {
            PartKind::Text(text) => json!({"type": text_type, "text": text}),
            PartKind::Refusal(text) => json!({"type": "refusal", "refusal": text}),
            PartKind::Image(image) => self.image(image, path)?,
            PartKind::Document(document) => self.document(document, path)?,
            PartKind::Audio { data, format } => {
                json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
            }
            PartKind::Vendor(raw) => match self.vendor(raw, text_type) {
                Some(value) => value,
                None => return Ok(None),
            },
            PartKind::ToolUse(_)
            | PartKind::ToolResult(_)
            | PartKind::Thinking(_)
            | PartKind::Redacted(_) => return Ok(None),
        };
        if let (Some(hint), false) = (part.cache, output) {
            self.put_hint(&mut value, hint);
        }
        Ok(Some(value))
    }

    fn put_hint(&mut self, part: &mut Value, hint: CacheHint) {
        if !self.target.quirks.cache_breakpoints {
            return;
        }
        let mut value = json!({"mode": "explicit"});
        if hint == CacheHint::Long {
            value["ttl"] = "12h".into();
            if !openai::speaks(self.exchange.from) {
                self.note(Corner::CacheLifetime);
            }
        }
        part["prompt_cache_breakpoint"] = value;
    }

    fn image(&mut self, image: &Image, path: &str) -> Result<Value, FieldError> {
        let mut value = json!({"type": "input_image"});
        match &image.source {
            Media::Base64 { media_type, data } => {
                value["image_url"] = format!("data:{media_type};base64,{data}").into();
            }
            Media::Url(_) if self.target.quirks.no_remote_images => {
                return Err(FieldError::new(path, "this offer takes images inline only"));
            }
            Media::Url(url) => value["image_url"] = url.as_str().into(),
            Media::FileId(id) if self.is_same() => value["file_id"] = id.as_str().into(),
            Media::Text(_) | Media::FileId(_) => return Err(bound_to_vendor(path)),
        }
        // Some hosts require it.
        value["detail"] = image.detail.as_deref().unwrap_or("auto").into();
        Ok(value)
    }

    fn document(&mut self, document: &Document, path: &str) -> Result<Value, FieldError> {
        if !document.extras.is_empty() {
            self.note(Corner::DocumentFields);
        }
        let title = document.title.as_deref();
        let mut value = Object::default();
        value.put("type", "input_file");
        match &document.source {
            Media::Base64 { media_type, data } => {
                value.put("filename", title.unwrap_or("document.pdf"));
                value.put("file_data", format!("data:{media_type};base64,{data}"));
            }
            Media::Url(_) if self.target.quirks.no_remote_images => {
                return Err(FieldError::new(path, "this offer takes documents inline only"));
            }
            Media::Url(url) => {
                value.put("file_url", url.as_str());
                value.put_some("filename", title.filter(|_| self.is_same()));
            }
            Media::FileId(id) if self.is_same() => value.put("file_id", id.as_str()),
            Media::FileId(_) => return Err(bound_to_vendor(path)),
            Media::Text(text) => {
                self.note(Corner::DocumentText);
                let text = match title {
                    Some(title) => format!("{title}\n\n{text}"),
                    None => text.clone(),
                };
                return Ok(json!({"type": "input_text", "text": text}));
            }
        }
        Ok(value.into_value())
    }

    fn vendor(&mut self, raw: &Value, text_type: &str) -> Option<Value> {
        if self.is_same() {
            return Some(raw.clone());
        }
        if let Some((corner, text)) = foreign_blocks::as_text(raw) {
            self.note(corner);
            return Some(json!({"type": text_type, "text": text}));
        }
        self.note(Corner::VendorBlocks);
        None
    }
}

/// Whether a piece that only this vendor knows stands within a message; else it is an item itself.
fn is_content(raw: &Value) -> bool {
    let kind = str_at(raw, "type").unwrap_or_default();
    kind.starts_with("input_") || kind.starts_with("output_")
}

fn is_plain(part: &Value, kind: &str) -> bool {
    str_at(part, "type") == Some(kind) && part.get("prompt_cache_breakpoint").is_none()
}

/// One text without a hint is a string, which every host takes; else parts.
fn content(parts: Vec<Value>) -> Value {
    match parts.as_slice() {
        [] => json!(""),
        [one] if is_plain(one, "input_text") => one["text"].clone(),
        _ => Value::Array(parts),
    }
}

fn mark_error(parts: &mut Vec<Value>) {
    let first = parts.iter_mut().find(|part| str_at(part, "type") == Some("input_text"));
    match first {
        Some(first) => {
            let text = str_at(first, "text").unwrap_or_default();
            first["text"] = format!("Error: {text}").into();
        }
        None => parts.insert(0, json!({"type": "input_text", "text": "Error"})),
    }
}

fn bound_to_vendor(path: &str) -> FieldError {
    FieldError::new(path, "a file id is known to one vendor only: send the file inline")
}
