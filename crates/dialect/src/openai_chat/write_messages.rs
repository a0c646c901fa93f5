//! The exchange's conversation as chat messages.

use domain::LossReport;
use serde_json::{Value, json};

use super::{calls_apart, reasoning_fields};
use crate::exchange::{
    CacheHint, Document, Exchange, Media, Message, Part, PartKind, Speaker, ToolResult, ToolUse,
};
use crate::foreign_blocks;
use crate::json::{Object, str_at};
use crate::loss::{self, Corner};
use crate::openai;
use crate::quirks::ReasoningField;
use crate::tool_ids;
use crate::unwrap_input;
use crate::wire::{FieldError, Target};
use domain::DialectId;

pub(super) fn write(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<Vec<Value>, FieldError> {
    let mut writer = Writer { exchange, target, loss, out: Vec::new() };
    writer.write_system()?;
    for message in &exchange.messages {
        let path = exchange.place(message);
        match message.speaker {
            Speaker::System | Speaker::Developer => writer.write_plain(message, &path)?,
            Speaker::User => writer.write_user(message, &path)?,
            Speaker::Assistant => writer.write_assistant(message, &path)?,
        }
    }
    let continues = exchange.prefill().is_some();
    if let (true, true, Some(last)) =
        (continues, target.quirks.prefill_prefix, writer.out.last_mut())
    {
        last["prefix"] = true.into();
    } else if exchange.from != DialectId::OpenaiChat && continues {
        writer.note(Corner::Prefill);
    }
    let out = writer.out;
    Ok(if target.quirks.tool_results_apart { calls_apart::write(out) } else { out })
}

/// Whether any part asks for a breakpoint.
pub(super) fn has_hints(exchange: &Exchange) -> bool {
    let said = exchange.messages.iter().flat_map(|message| &message.parts);
    exchange.system.iter().chain(said).any(|part| part.cache.is_some())
}

struct Writer<'a, 'l> {
    exchange: &'a Exchange,
    target: &'a Target<'a>,
    loss: &'l mut LossReport,
    out: Vec<Value>,
}

impl Writer<'_, '_> {
    fn note(&mut self, corner: Corner) {
        loss::note(self.loss, self.exchange, corner);
    }

    fn is_same(&self) -> bool {
        self.exchange.from == DialectId::OpenaiChat
    }

    fn write_system(&mut self) -> Result<(), FieldError> {
        if self.exchange.system.is_empty() {
            return Ok(());
        }
        let role = self.operator_role(self.exchange.system_is_developer);
        let exchange = self.exchange;
        let parts = self.parts(&exchange.system, "system")?;
        let content = self.content(parts);
        self.out.push(json!({"role": role, "content": content}));
        Ok(())
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

    fn write_plain(&mut self, message: &Message, path: &str) -> Result<(), FieldError> {
        let role = self.operator_role(message.speaker == Speaker::Developer);
        let parts = self.parts(&message.parts, path)?;
        let content = self.content(parts);
        self.push(role, content, message);
        Ok(())
    }

    fn push(&mut self, role: &str, content: Value, message: &Message) {
        let mut object = Object::default();
        object.put("role", role);
        object.put("content", content);
        object.put_some("name", self.name(message));
        self.out.push(object.into_value());
    }

    fn name(&mut self, message: &Message) -> Option<String> {
        let refused = message.name.is_some() && self.target.quirks.no_message_names;
        if refused {
            self.note(Corner::Name);
        }
        message.name.clone().filter(|_| !refused)
    }

    /// Tool results become messages of their own, before what else the user says: the protocol wants them
    /// directly after the calls. Media within them follows in a user message.
    fn write_user(&mut self, message: &Message, path: &str) -> Result<(), FieldError> {
        let mut moved = Vec::new();
        for part in &message.parts {
            if let PartKind::ToolResult(result) = &part.kind {
                self.write_result(result, part.cache, path, &mut moved)?;
            }
        }
        let rest: Vec<&Part> = message
            .parts
            .iter()
            .filter(|part| !matches!(part.kind, PartKind::ToolResult(_)))
            .collect();
        let had_results = rest.len() < message.parts.len();
        let mut parts = moved;
        parts.extend(self.parts(rest, path)?);
        if parts.is_empty() && had_results {
            return Ok(());
        }
        let content = self.content(parts);
        self.push("user", content, message);
        Ok(())
    }

    fn write_result(
        &mut self,
        result: &ToolResult,
        cache: Option<CacheHint>,
        path: &str,
        moved: &mut Vec<Value>,
    ) -> Result<(), FieldError> {
        let id = self.tool_id(&result.id);
        let is_text = |part: &&Part| match &part.kind {
            PartKind::Text(_) => true,
            PartKind::Document(document) => matches!(document.source, Media::Text(_)),
            _ => false,
        };
        let mut texts = self.parts(result.parts.iter().filter(is_text), path)?;
        let media = self.parts(result.parts.iter().filter(|part| !is_text(part)), path)?;
        if result.is_error {
            self.note(Corner::ToolError);
            mark_error(&mut texts);
        }
        if !media.is_empty() {
            self.note(Corner::ToolResultMedia);
            if texts.is_empty() {
                texts.push(text_part("The result is in the next user message."));
            }
            moved.push(text_part(&format!("Result of tool call {id}:")));
            moved.extend(media);
        }
        if let (Some(hint), Some(last)) = (cache, texts.last_mut()) {
            self.put_hint(last, hint);
        }
        let content = self.content(texts);
        self.out.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
        Ok(())
    }

    fn tool_id(&mut self, id: &str) -> String {
        let nine = self.target.quirks.tool_id_nine_alphanumeric;
        tool_ids::for_chat(id, nine, |corner| self.note(corner))
    }

    fn write_assistant(&mut self, message: &Message, path: &str) -> Result<(), FieldError> {
        let is_media = |part: &Part| {
            matches!(part.kind, PartKind::Image(_) | PartKind::Document(_) | PartKind::Audio { .. })
        };
        if message.parts.iter().any(is_media) {
            self.note(Corner::AssistantMedia);
        }
        let mut object = Object::default();
        object.put("role", "assistant");
        let spoken = message
            .parts
            .iter()
            .filter(|part| matches!(part.kind, PartKind::Text(_) | PartKind::Vendor(_)));
        let mut parts = self.parts(spoken, path)?;
        // The model's own audio goes back as a field beside the content.
        let audio = parts.iter().position(|part| part.get("audio").is_some());
        let audio = audio.map(|at| parts.remove(at));
        let content = if parts.is_empty() { Value::Null } else { self.assistant_content(parts) };
        let calls: Vec<Value> = message.parts.iter().filter_map(|part| self.call(part)).collect();
        let refusal = message.parts.iter().find_map(|part| match &part.kind {
            PartKind::Refusal(text) => Some(text.clone()),
            _ => None,
        });
        if content.is_null() && calls.is_empty() && refusal.is_none() && audio.is_none() {
            if !message.parts.is_empty() && !self.has_carried_reasoning(&message.parts) {
                // Nothing of the turn can be carried; an empty one would be refused.
                self.write_reasoning(message, false, &mut object);
                return Ok(());
            }
            object.put("content", "");
        } else {
            object.put("content", content);
        }
        object.put_some("refusal", refusal);
        object.put_some("name", self.name(message));
        self.write_reasoning(message, !calls.is_empty(), &mut object);
        if !calls.is_empty() {
            object.put("tool_calls", calls);
        }
        if let Some(Value::Object(audio)) = audio {
            object.0.extend(audio);
        }
        self.out.push(object.into_value());
        Ok(())
    }

    fn call(&mut self, part: &Part) -> Option<Value> {
        let PartKind::ToolUse(ToolUse { id, name, input, custom }) = &part.kind else {
            return None;
        };
        let id = self.tool_id(id);
        if *custom && !self.target.quirks.no_custom_tools {
            let custom = json!({"name": name, "input": input});
            return Some(json!({"id": id, "type": "custom", "custom": custom}));
        }
        let arguments = match (custom, input.is_empty()) {
            (true, _) => unwrap_input::wrap(input),
            (false, true) => "{}".to_owned(),
            (false, false) => input.clone(),
        };
        let function = json!({"name": name, "arguments": arguments});
        Some(json!({"id": id, "type": "function", "function": function}))
    }

    fn has_carried_reasoning(&self, parts: &[Part]) -> bool {
        let quirks = self.target.quirks;
        let plain = quirks.reasoning_field != ReasoningField::None
            && reasoning_fields::text(parts).is_some();
        plain || quirks.reasoning_details && !reasoning_fields::details(parts).is_empty()
    }

    /// Reasoning goes back in the field that the host reads, signed reasoning only where it takes details.
    fn write_reasoning(&mut self, message: &Message, has_calls: bool, object: &mut Object) {
        let quirks = self.target.quirks;
        let details = reasoning_fields::details(&message.parts);
        let text = reasoning_fields::text(&message.parts);
        if !details.is_empty() && quirks.reasoning_details {
            return object.put("reasoning_details", details);
        }
        if !details.is_empty() {
            self.note(Corner::SignedReasoning);
        }
        let field = match quirks.reasoning_field {
            ReasoningField::None => {
                if text.is_some() && details.is_empty() {
                    self.note(Corner::PlainReasoning);
                }
                return;
            }
            ReasoningField::ReasoningContent => "reasoning_content",
            ReasoningField::Reasoning => "reasoning",
        };
        match text {
            Some(text) => object.put(field, text),
            None if quirks.reasoning_content_required_back && has_calls => object.put(field, ""),
            None => {}
        }
    }

    fn parts<'p>(
        &mut self,
        parts: impl IntoIterator<Item = &'p Part>,
        path: &str,
    ) -> Result<Vec<Value>, FieldError> {
        let mut out = Vec::new();
        for part in parts {
            if let Some(mut value) = self.part(part, path)? {
                if let Some(hint) = part.cache {
                    self.put_hint(&mut value, hint);
                }
                out.push(value);
            }
        }
        Ok(out)
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

    fn part(&mut self, part: &Part, path: &str) -> Result<Option<Value>, FieldError> {
        let value = match &part.kind {
            PartKind::Text(text) => text_part(text),
            PartKind::Image(image) => {
                let url = match &image.source {
                    Media::Base64 { media_type, data } => {
                        format!("data:{media_type};base64,{data}")
                    }
                    Media::Url(_) if self.target.quirks.no_remote_images => {
                        return Err(FieldError::new(path, "this offer takes images inline only"));
                    }
                    Media::Url(url) => url.clone(),
                    Media::Text(_) | Media::FileId(_) => return Err(bound_to_vendor(path)),
                };
                let mut inner = json!({"url": url});
                if let Some(detail) = &image.detail {
                    inner["detail"] = detail.as_str().into();
                }
                json!({"type": "image_url", "image_url": inner})
            }
            PartKind::Document(document) => self.document(document, path)?,
            PartKind::Audio { data, format } => {
                json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
            }
            PartKind::Vendor(raw) => return Ok(self.vendor(raw)),
            PartKind::Refusal(text) => json!({"type": "refusal", "refusal": text}),
            PartKind::ToolUse(_)
            | PartKind::ToolResult(_)
            | PartKind::Thinking(_)
            | PartKind::Redacted(_) => return Ok(None),
        };
        Ok(Some(value))
    }

    fn document(&mut self, document: &Document, path: &str) -> Result<Value, FieldError> {
        if !document.extras.is_empty() {
            self.note(Corner::DocumentFields);
        }
        let title = document.title.as_deref();
        match &document.source {
            Media::Base64 { media_type, data } => {
                let data = format!("data:{media_type};base64,{data}");
                let file = json!({"filename": title.unwrap_or("document.pdf"), "file_data": data});
                Ok(json!({"type": "file", "file": file}))
            }
            Media::Text(text) => {
                self.note(Corner::DocumentText);
                Ok(text_part(&match title {
                    Some(title) => format!("{title}\n\n{text}"),
                    None => text.clone(),
                }))
            }
            Media::FileId(id) if self.is_same() => {
                Ok(json!({"type": "file", "file": {"file_id": id}}))
            }
            Media::FileId(_) => Err(bound_to_vendor(path)),
            Media::Url(_) => Err(FieldError::new(
                path,
                "this offer's protocol takes no documents by URL: send the document inline",
            )),
        }
    }

    fn vendor(&mut self, raw: &Value) -> Option<Value> {
        if self.is_same() {
            return Some(raw.clone());
        }
        if let Some((corner, text)) = foreign_blocks::as_text(raw) {
            self.note(corner);
            return Some(text_part(&text));
        }
        self.note(Corner::VendorBlocks);
        None
    }

    /// One text without a hint is a string, which every host takes; else parts.
    fn content(&self, parts: Vec<Value>) -> Value {
        let plain = |part: &Value| {
            str_at(part, "type") == Some("text") && part.get("prompt_cache_breakpoint").is_none()
        };
        match parts.as_slice() {
            [] => json!(""),
            [one] if plain(one) => one["text"].clone(),
            all if self.target.quirks.text_content && all.iter().all(plain) => {
                join(all, "\n\n").into()
            }
            _ => Value::Array(parts),
        }
    }

    /// The model's own text blocks are pieces of one text.
    fn assistant_content(&self, parts: Vec<Value>) -> Value {
        let plain = parts.iter().all(|part| {
            str_at(part, "type") == Some("text") && part.get("prompt_cache_breakpoint").is_none()
        });
        if plain && !self.is_same() { join(&parts, "").into() } else { self.content(parts) }
    }
}

fn join(parts: &[Value], between: &str) -> String {
    let texts: Vec<&str> = parts.iter().filter_map(|part| str_at(part, "text")).collect();
    texts.join(between)
}

fn text_part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn mark_error(texts: &mut Vec<Value>) {
    match texts.first_mut() {
        Some(first) => {
            let text = str_at(first, "text").unwrap_or_default();
            first["text"] = format!("Error: {text}").into();
        }
        None => texts.push(text_part("Error")),
    }
}

fn bound_to_vendor(path: &str) -> FieldError {
    FieldError::new(path, "a file id is known to one vendor only: send the file inline")
}
