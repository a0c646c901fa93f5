//! The exchange's conversation as v2 chat messages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::LossReport;
use serde_json::{Value, json};

use crate::exchange::{
    Document, Exchange, Image, Media, Message, Part, PartKind, Speaker, ToolResult, ToolUse,
};
use crate::foreign_blocks;
use crate::json::{Object, str_at};
use crate::loss::{self, Corner};
use crate::tool_ids;
use crate::unwrap_input;
use crate::wire::{FieldError, Target};
use domain::DialectId;

/// The messages, and the documents that stand beside them.
pub(super) fn write(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<(Vec<Value>, Vec<Value>), FieldError> {
    let (out, documents) = (Vec::new(), Vec::new());
    let mut writer = Writer { exchange, target, loss, out, documents };
    let system = writer.parts(&exchange.system, "system")?;
    if !system.is_empty() {
        if exchange.system_is_developer {
            writer.note(Corner::DeveloperRole);
        }
        writer.push("system", &content(system));
    }
    for message in &exchange.messages {
        let path = exchange.place(message);
        if message.name.is_some() {
            writer.note(Corner::Name);
        }
        match message.speaker {
            Speaker::System | Speaker::Developer => writer.write_operator(message, &path)?,
            Speaker::User => writer.write_user(message, &path)?,
            Speaker::Assistant => writer.write_assistant(message, &path)?,
        }
    }
    if exchange.from != DialectId::CohereChat && exchange.prefill().is_some() {
        writer.note(Corner::Prefill);
    }
    Ok((writer.out, writer.documents))
}

struct Writer<'a, 'l> {
    exchange: &'a Exchange,
    target: &'a Target<'a>,
    loss: &'l mut LossReport,
    out: Vec<Value>,
    documents: Vec<Value>,
}

impl Writer<'_, '_> {
    fn note(&mut self, corner: Corner) {
        loss::note(self.loss, self.exchange, corner);
    }

    fn is_same(&self) -> bool {
        self.exchange.from == DialectId::CohereChat
    }

    fn push(&mut self, role: &str, content: &Value) {
        self.out.push(json!({"role": role, "content": content}));
    }

    /// The provider refuses a system message that is not the first.
    fn write_operator(&mut self, message: &Message, path: &str) -> Result<(), FieldError> {
        let mut parts = self.parts(&message.parts, path)?;
        if parts.is_empty() {
            return Ok(());
        }
        if self.is_same() {
            self.push("system", &content(parts));
            return Ok(());
        }
        self.note(Corner::MidSystem);
        for part in &mut parts {
            if let Some(text) = str_at(part, "text") {
                part["text"] = format!("<system>\n{text}\n</system>").into();
            }
        }
        self.push("user", &content(parts));
        Ok(())
    }

    /// Tool results become messages of their own, before what else the user says: the protocol wants them directly after
    /// the calls. Pictures within them follow in a user message.
    fn write_user(&mut self, message: &Message, path: &str) -> Result<(), FieldError> {
        let (mut parts, mut rest) = (Vec::new(), Vec::new());
        for part in &message.parts {
            match &part.kind {
                PartKind::ToolResult(result) => self.write_result(result, path, &mut parts)?,
                PartKind::Document(document) if self.is_same() => {
                    self.documents.extend(own_document(document));
                }
                _ => rest.push(part),
            }
        }
        parts.extend(self.parts(rest, path)?);
        // The provider refuses a turn of nothing.
        if !parts.is_empty() {
            self.push("user", &content(parts));
        }
        Ok(())
    }

    fn write_result(
        &mut self,
        result: &ToolResult,
        path: &str,
        moved: &mut Vec<Value>,
    ) -> Result<(), FieldError> {
        let id = tool_ids::original(&result.id);
        let (mut texts, mut media) = (Vec::new(), Vec::new());
        for part in &result.parts {
            match &part.kind {
                PartKind::Document(document) if self.is_same() => texts.extend(
                    own_document(document).map(|it| json!({"type": "document", "document": it})),
                ),
                _ => {
                    for written in self.parts([part], path)? {
                        let is_text = str_at(&written, "type") == Some("text");
                        if is_text { &mut texts } else { &mut media }.push(written);
                    }
                }
            }
        }
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
        let content = content(texts);
        self.out.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
        Ok(())
    }

    /// Beside calls, what the model says is its plan.
    fn write_assistant(&mut self, message: &Message, path: &str) -> Result<(), FieldError> {
        let is_media = |part: &Part| {
            matches!(part.kind, PartKind::Image(_) | PartKind::Document(_) | PartKind::Audio { .. })
        };
        if message.parts.iter().any(is_media) {
            self.note(Corner::AssistantMedia);
        }
        let (mut said, mut text, mut calls, mut citations) =
            (Vec::new(), String::new(), Vec::new(), None);
        for part in message.parts.iter().filter(|part| !is_media(part)) {
            match &part.kind {
                PartKind::ToolUse(call) => {
                    if tool_ids::has_thought(&call.id) {
                        self.note(Corner::SignedReasoning);
                    }
                    calls.push(write_call(call));
                }
                PartKind::Thinking(thinking) if thinking.signature.is_none() => {
                    said.push(json!({"type": "thinking", "thinking": thinking.text}));
                }
                PartKind::Thinking(_) | PartKind::Redacted(_) => {
                    self.note(Corner::SignedReasoning);
                }
                PartKind::Refusal(refusal) => {
                    self.note(Corner::Refusal);
                    text.push_str(refusal);
                }
                PartKind::Vendor(raw) if self.is_same() && raw.get("citations").is_some() => {
                    citations = raw.get("citations").cloned();
                }
                _ => {
                    for written in self.parts([part], path)? {
                        text.push_str(str_at(&written, "text").unwrap_or_default());
                    }
                }
            }
        }
        let mut object = Object::default();
        object.put("role", "assistant");
        if !calls.is_empty() {
            object.put_some("tool_plan", Some(text).filter(|text| !text.is_empty()));
            object.put("tool_calls", calls);
        } else if !text.is_empty() {
            said.push(text_part(&text));
        }
        if !said.is_empty() {
            object.put("content", content(said));
        }
        object.put_some("citations", citations);
        // Nothing of the turn can be carried; an empty one would be refused.
        if object.0.len() > 1 {
            self.out.push(object.into_value());
        }
        Ok(())
    }

    fn parts<'p>(
        &mut self,
        parts: impl IntoIterator<Item = &'p Part>,
        path: &str,
    ) -> Result<Vec<Value>, FieldError> {
        let mut out = Vec::new();
        for part in parts {
            out.extend(self.part(part, path)?);
        }
        Ok(out)
    }

    fn part(&mut self, part: &Part, path: &str) -> Result<Option<Value>, FieldError> {
        Ok(match &part.kind {
            PartKind::Text(text) if text.is_empty() && !self.is_same() => None,
            PartKind::Text(text) | PartKind::Refusal(text) => Some(text_part(text)),
            PartKind::Image(image) => Some(self.image(image, path)?),
            PartKind::Document(document) => Some(self.document(document, path)?),
            PartKind::Audio { .. } => {
                return Err(FieldError::new(path, "this offer's protocol takes no audio input"));
            }
            PartKind::Vendor(raw) => self.vendor(raw),
            PartKind::ToolUse(_)
            | PartKind::ToolResult(_)
            | PartKind::Thinking(_)
            | PartKind::Redacted(_) => None,
        })
    }

    fn image(&self, image: &Image, path: &str) -> Result<Value, FieldError> {
        let url = match &image.source {
            Media::Base64 { media_type, data } => {
                // A widespread name that the provider does not take for the same.
                let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
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
        Ok(json!({"type": "image_url", "image_url": inner}))
    }

    /// Another vendor's documents stand where they are. Beside the messages, where this one has its own, they would be told
    /// no turn, and no format could be asked for.
    fn document(&mut self, document: &Document, path: &str) -> Result<Value, FieldError> {
        if !document.extras.is_empty() {
            self.note(Corner::DocumentFields);
        }
        let text = match &document.source {
            Media::Text(text) => text.clone(),
            Media::Base64 { media_type, data } if media_type.starts_with("text/") => {
                let text = STANDARD.decode(data).ok().and_then(|it| String::from_utf8(it).ok());
                text.ok_or_else(|| {
                    FieldError::new(path, "the text file is not base64 of UTF-8 text")
                })?
            }
            Media::FileId(_) => return Err(bound_to_vendor(path)),
            Media::Base64 { .. } | Media::Url(_) => {
                return Err(FieldError::new(
                    path,
                    "this offer's protocol takes plain text documents only",
                ));
            }
        };
        self.note(Corner::DocumentText);
        Ok(text_part(&match &document.title {
            Some(title) => format!("{title}\n\n{text}"),
            None => text,
        }))
    }

    fn vendor(&mut self, raw: &Value) -> Option<Value> {
        if self.is_same() {
            return Some(raw.clone());
        }
        let (corner, text) = foreign_blocks::as_text(raw).unzip();
        self.note(corner.unwrap_or(Corner::VendorBlocks));
        text.filter(|text| !text.is_empty()).map(|text| text_part(&text))
    }
}

/// A document as its own client wrote it: a text, or data under an id.
fn own_document(document: &Document) -> Option<Value> {
    let Media::Text(text) = &document.source else { return None };
    let data = serde_json::from_str(text).ok().filter(Value::is_object);
    Some(match (data, &document.title) {
        (None, None) => text.as_str().into(),
        (data, title) => {
            let mut object = Object::default();
            object.put_some("id", title.clone());
            object.put("data", data.unwrap_or_else(|| json!({"text": text})));
            object.into_value()
        }
    })
}

fn write_call(call: &ToolUse) -> Value {
    let ToolUse { id, name, input, custom } = call;
    let arguments = match (custom, input.trim().is_empty()) {
        (true, _) => unwrap_input::wrap(input),
        (false, true) => "{}".to_owned(),
        (false, false) => input.clone(),
    };
    let function = json!({"name": name, "arguments": arguments});
    json!({"id": tool_ids::original(id), "type": "function", "function": function})
}

/// One text is a string; else parts.
fn content(parts: Vec<Value>) -> Value {
    match parts.as_slice() {
        [] => json!(""),
        [one] if str_at(one, "type") == Some("text") => one["text"].clone(),
        _ => Value::Array(parts),
    }
}

fn text_part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn mark_error(texts: &mut Vec<Value>) {
    match texts.first_mut() {
        Some(first) if first.get("text").is_some() => {
            let text = str_at(first, "text").unwrap_or_default();
            first["text"] = format!("Error: {text}").into();
        }
        _ => texts.insert(0, text_part("Error")),
    }
}

fn bound_to_vendor(path: &str) -> FieldError {
    FieldError::new(path, "a file id is known to one vendor only: send the file inline")
}
