//! The exchange's conversation as contents and parts.

use std::collections::BTreeMap;

use domain::{DialectId, LossReport};
use serde_json::{Map, Value, json};

use super::read_parts::guess_type;
use super::thought;
use super::write_answer::{arguments, signature_part};
use crate::exchange::{
    Document, Exchange, Image, Media, Message, Part, PartKind, Speaker, Thinking, ToolResult,
    ToolUse,
};
use crate::foreign_blocks;
use crate::json::{Object, str_at};
use crate::loss::{self, Corner};
use crate::quirks::ThinkingForm;
use crate::tool_ids;
use crate::unwrap_input;
use crate::wire::{FieldError, Target};

/// All turns; turns of one role that follow each other become one.
pub(super) fn contents(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<Vec<Value>, FieldError> {
    let mut writer = Writer::new(exchange, target, loss);
    let mut turns: Vec<(&'static str, Vec<Value>)> = Vec::new();
    for message in &exchange.messages {
        let (role, parts) = writer.turn(message)?;
        match turns.last_mut() {
            Some((last, said)) if *last == role => said.extend(parts),
            _ if parts.is_empty() => {}
            _ => turns.push((role, parts)),
        }
    }
    if !writer.is_same() {
        // The provider wants the results directly after the calls; elsewhere a system message may stand between.
        for (_, said) in &mut turns {
            said.sort_by_key(|part| part.get("functionResponse").is_none());
        }
        if exchange.prefill().is_some() {
            writer.note(Corner::Prefill);
        }
    }
    if writer.wants_signatures() {
        for (_, said) in turns.iter_mut().filter(|(role, _)| *role == "model") {
            writer.sign(said);
        }
    }
    Ok(turns.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect())
}

/// The system prompt's parts.
pub(super) fn system(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<Vec<Value>, FieldError> {
    Writer::new(exchange, target, loss).parts(&exchange.system, "system")
}

struct Writer<'a, 'l> {
    exchange: &'a Exchange,
    target: &'a Target<'a>,
    loss: &'l mut LossReport,
    /// The names of the calls so far, by id: a result is told by the name of what was called.
    names: BTreeMap<&'a str, &'a str>,
}

impl<'a, 'l> Writer<'a, 'l> {
    fn new(exchange: &'a Exchange, target: &'a Target<'a>, loss: &'l mut LossReport) -> Self {
        Self { exchange, target, loss, names: BTreeMap::new() }
    }

    fn note(&mut self, corner: Corner) {
        loss::note(self.loss, self.exchange, corner);
    }

    fn is_same(&self) -> bool {
        self.exchange.from == DialectId::Gemini
    }

    /// Models that think by levels refuse calls in the history without a signature; older ones have no such rule.
    fn wants_signatures(&self) -> bool {
        self.target.quirks.thinking == ThinkingForm::Adaptive
    }

    /// The first call of a step has the signature; where it was lost, the provider is told not to look for it.
    fn sign(&mut self, parts: &mut [Value]) {
        let call = parts.iter_mut().find(|part| part.get("functionCall").is_some());
        if let Some(call) = call.filter(|call| call.get("thoughtSignature").is_none()) {
            call["thoughtSignature"] = thought::SENTINEL.into();
            self.note(Corner::ThoughtSignature);
        }
    }

    fn turn(&mut self, message: &'a Message) -> Result<(&'static str, Vec<Value>), FieldError> {
        if message.name.is_some() {
            self.note(Corner::Name);
        }
        let path = format!("messages[{}].content", message.at);
        let mut parts = self.parts(&message.parts, &path)?;
        let role = match message.speaker {
            Speaker::User => "user",
            Speaker::Assistant => "model",
            Speaker::System | Speaker::Developer => {
                self.note(Corner::MidSystem);
                for part in &mut parts {
                    if let Some(text) = str_at(part, "text") {
                        part["text"] = format!("<system>\n{text}\n</system>").into();
                    }
                }
                "user"
            }
        };
        Ok((role, parts))
    }

    fn parts(&mut self, parts: &'a [Part], path: &str) -> Result<Vec<Value>, FieldError> {
        let mut out = Vec::new();
        // A signature stands with the part that it came with, which follows it here.
        let mut signature: Option<String> = None;
        for part in parts {
            if part.cache.is_some() {
                self.note(Corner::CacheBreakpoints);
            }
            if let PartKind::Redacted(opaque) = &part.kind {
                match thought::own(opaque) {
                    Some(own) => {
                        out.extend(
                            signature.replace(own.to_owned()).as_deref().map(signature_part),
                        );
                    }
                    None => self.note(Corner::SignedReasoning),
                }
                continue;
            }
            let mut moved = Vec::new();
            let Some(mut value) = self.part(part, path, &mut moved)? else { continue };
            if let Some(own) = signature.take() {
                if value.get("thoughtSignature").is_some() {
                    out.push(signature_part(&own));
                } else {
                    value["thoughtSignature"] = own.into();
                }
            }
            out.push(value);
            out.extend(moved);
        }
        out.extend(signature.as_deref().map(signature_part));
        Ok(out)
    }

    fn part(
        &mut self,
        part: &'a Part,
        path: &str,
        moved: &mut Vec<Value>,
    ) -> Result<Option<Value>, FieldError> {
        let value = match &part.kind {
            // The provider refuses text of nothing.
            PartKind::Text(text) if text.is_empty() => return Ok(None),
            PartKind::Text(text) => json!({"text": text}),
            PartKind::Refusal(text) => {
                self.note(Corner::Refusal);
                json!({"text": text})
            }
            PartKind::Image(image) => self.image(image, path)?,
            PartKind::Document(document) => self.document(document, path)?,
            PartKind::Audio { data, format } => inline(&format!("audio/{format}"), data),
            PartKind::ToolUse(call) => self.call(call),
            PartKind::ToolResult(result) => self.result(result, path, moved)?,
            PartKind::Thinking(thinking) => return Ok(self.thinking(thinking)),
            PartKind::Vendor(raw) if self.is_same() => raw.clone(),
            PartKind::Vendor(raw) => return Ok(self.vendor(raw)),
            PartKind::Redacted(_) => return Ok(None),
        };
        Ok(Some(value))
    }

    fn thinking(&mut self, thinking: &Thinking) -> Option<Value> {
        let mut part = json!({"text": thinking.text, "thought": true});
        match thinking.signature.as_deref() {
            None if self.is_same() => {}
            None => {
                self.note(Corner::PlainReasoning);
                return None;
            }
            Some(opaque) => {
                let Some(own) = thought::own(opaque) else {
                    self.note(Corner::SignedReasoning);
                    return None;
                };
                part["thoughtSignature"] = own.into();
            }
        }
        Some(part)
    }

    fn vendor(&mut self, raw: &Value) -> Option<Value> {
        let Some((corner, text)) = foreign_blocks::as_text(raw) else {
            self.note(Corner::VendorBlocks);
            return None;
        };
        self.note(corner);
        Some(json!({"text": text}))
    }

    fn image(&mut self, image: &Image, path: &str) -> Result<Value, FieldError> {
        if image.detail.as_ref().is_some_and(|detail| detail != "auto") {
            self.note(Corner::ImageDetail);
        }
        match &image.source {
            Media::Base64 { media_type, data } => {
                // A widespread name that the provider does not take for the same.
                let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
                Ok(inline(media_type, data))
            }
            Media::Url(url) => self.file(url, guess_type(url).unwrap_or("image/jpeg"), path),
            Media::FileId(uri) if self.is_same() => {
                Ok(uploaded(uri, guess_type(uri).unwrap_or("image/jpeg")))
            }
            Media::Text(_) | Media::FileId(_) => Err(bound_to_vendor(path)),
        }
    }

    /// The provider fetches public addresses, over TLS only.
    fn file(&self, url: &str, media_type: &str, path: &str) -> Result<Value, FieldError> {
        if self.target.quirks.no_remote_images {
            let why = "this offer takes images and documents inline only";
            return Err(FieldError::new(path, why));
        }
        if !self.is_same() && !url.starts_with("https://") {
            return Err(FieldError::new(path, "this offer takes https:// addresses only"));
        }
        Ok(uploaded(url, media_type))
    }

    fn document(&mut self, document: &Document, path: &str) -> Result<Value, FieldError> {
        let media_type = document.extras.get("mimeType").and_then(Value::as_str);
        let foreign = document.extras.keys().any(|key| *key != "mimeType");
        if foreign {
            self.note(Corner::DocumentFields);
        }
        let title = document.title.as_deref();
        let guess = |uri| media_type.or(guess_type(uri)).unwrap_or("application/pdf");
        let mut value = match &document.source {
            Media::Text(text) => {
                self.note(Corner::DocumentText);
                return Ok(json!({"text": match title {
                    Some(title) => format!("{title}\n\n{text}"),
                    None => text.clone(),
                }}));
            }
            Media::Base64 { media_type, data } => inline(media_type, data),
            Media::Url(url) => self.file(url, guess(url), path)?,
            Media::FileId(uri) if self.is_same() => uploaded(uri, guess(uri)),
            Media::FileId(_) => return Err(bound_to_vendor(path)),
        };
        match (title, value.as_object_mut().and_then(|it| it.values_mut().next())) {
            (Some(title), Some(inner)) if self.is_same() => inner["displayName"] = title.into(),
            (Some(_), _) => self.note(Corner::DocumentTitle),
            (None, _) => {}
        }
        Ok(value)
    }

    fn call(&mut self, call: &'a ToolUse) -> Value {
        let ToolUse { id, name, input, custom } = call;
        self.names.insert(id, name);
        let args = if *custom {
            None
        } else {
            let args = arguments(input);
            if args.is_none() {
                self.note(Corner::ToolInput);
            }
            args
        };
        let args = args.unwrap_or_else(|| {
            let text = if *custom { input.clone() } else { unwrap_input::unwrap(input) };
            Map::from_iter([("input".to_owned(), text.into())])
        });
        let (_, signature) = tool_ids::split_thought(id);
        let mut inner = Object::default();
        inner.put_some("id", own_id(id));
        inner.put("name", name.as_str());
        inner.put("args", args);
        let mut part = Object::default();
        part.put("functionCall", inner.into_value());
        part.put_some("thoughtSignature", signature);
        part.into_value()
    }

    fn result(
        &mut self,
        result: &'a ToolResult,
        path: &str,
        moved: &mut Vec<Value>,
    ) -> Result<Value, FieldError> {
        let (mut texts, mut media) = (Vec::new(), Vec::new());
        for part in &result.parts {
            match self.part(part, path, moved)? {
                // Whatever is text for this provider stays in the result: documents of text too.
                Some(Value::Object(mut written)) if written.contains_key("text") => {
                    texts.extend(written.remove("text"));
                }
                written => media.extend(written),
            }
        }
        let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
        let texts = texts.join("\n");
        let mut inner = Object::default();
        inner.put_some("id", own_id(&result.id));
        let name = self.names.get(result.id.as_str()).copied();
        let bare = tool_ids::original(&result.id);
        inner.put("name", name.unwrap_or(&bare));
        inner.put("response", response(&texts, result.is_error));
        if !media.is_empty() {
            // What is no file can't stand within a result.
            let whole = |part: &Value| part.get("inlineData").is_some();
            if self.wants_signatures() && media.iter().all(whole) {
                inner.put("parts", media);
            } else {
                self.note(Corner::ToolResultMedia);
                moved.append(&mut media);
            }
        }
        Ok(json!({"functionResponse": inner.into_value()}))
    }
}

/// The id as its host gave it; none where it gave none.
fn own_id(id: &str) -> Option<String> {
    let own = tool_ids::original(id);
    (!tool_ids::is_made_up(&own)).then(|| own.into_owned())
}

fn uploaded(uri: &str, media_type: &str) -> Value {
    json!({"fileData": {"mimeType": media_type, "fileUri": uri}})
}

fn inline(media_type: &str, data: &str) -> Value {
    json!({"inlineData": {"mimeType": media_type, "data": data}})
}

/// A result must be an object. One that is stays so; text stands under the keys that the protocol has for it.
fn response(text: &str, is_error: bool) -> Value {
    if is_error {
        return json!({"error": text});
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(map)) => Value::Object(map),
        _ => json!({"output": text}),
    }
}

fn bound_to_vendor(path: &str) -> FieldError {
    FieldError::new(path, "a file id is known to one vendor only: send the file inline")
}
