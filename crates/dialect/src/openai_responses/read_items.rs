//! The items of a Responses request, as the exchange's turns.

use serde_json::Value;

use super::{reasoning_items, state_refusal};
use crate::exchange::{
    CacheHint, Document, Exchange, Image, Media, Message, Part, PartKind, Speaker, ToolResult,
    ToolUse,
};
use crate::json::{Fields, str_at};
use crate::openai_chat::read_messages::media_of_url;
use crate::wire::FieldError;

/// Reads a string or items. What the model said in a row (reasoning, text, calls) is one turn, and so are the results
/// that follow each other; system and developer messages before the conversation become the system prompt.
pub(super) fn read_input(
    input: Value,
    long: bool,
    exchange: &mut Exchange,
) -> Result<(), FieldError> {
    let items = match input {
        Value::String(text) => {
            let parts = vec![Part::text(text)];
            exchange.messages.push(Message { at: 0, speaker: Speaker::User, name: None, parts });
            return Ok(());
        }
        Value::Array(items) if !items.is_empty() => items,
        Value::Array(_) => {
            return Err(FieldError::new("input", "at least one item is required"));
        }
        _ => return Err(FieldError::new("input", "expected a string or an array of items")),
    };
    let mut turns = Turns { exchange, long, unknown: Vec::new() };
    for (at, raw) in items.into_iter().enumerate() {
        turns.item(at, raw)?;
    }
    let mut unknown = turns.unknown;
    exchange.unknown.append(&mut unknown);
    Ok(())
}

struct Turns<'a> {
    exchange: &'a mut Exchange,
    long: bool,
    unknown: Vec<String>,
}

impl Turns<'_> {
    fn item(&mut self, at: usize, raw: Value) -> Result<(), FieldError> {
        let path = format!("input[{at}]");
        let kind = match (str_at(&raw, "type"), raw.get("role")) {
            (Some(kind), _) => kind.to_owned(),
            (None, Some(_)) => "message".to_owned(),
            // A reference may come without its type.
            (None, None) if raw.get("id").is_some() => "item_reference".to_owned(),
            (None, None) => {
                Fields::of(raw, path.clone())?;
                return Err(FieldError::new(format!("{path}.type"), "this field is required"));
            }
        };
        match kind.as_str() {
            "message" => self.message(at, Fields::of(raw, path)?),
            "function_call" | "custom_tool_call" => {
                let call = self.call(Fields::of(raw, path)?, kind == "custom_tool_call")?;
                self.said(at, PartKind::ToolUse(call));
                Ok(())
            }
            "function_call_output" | "custom_tool_call_output" => {
                self.result(at, Fields::of(raw, path)?)
            }
            "reasoning" => {
                if let Some(part) = reasoning_items::read(&raw) {
                    self.said(at, part.kind);
                }
                Ok(())
            }
            "item_reference" => Err(state_refusal("item_reference", Some(path))),
            "compaction" => Err(FieldError::new(
                path,
                "a compaction holds the conversation in a form that only its vendor reads, and this provider is another's: send the items themselves",
            )),
            // Of the vendor's own tools: with the model's turns, where one that can't be carried leaves no gap.
            _ => {
                self.said(at, PartKind::Vendor(raw));
                Ok(())
            }
        }
    }

    fn message(&mut self, at: usize, mut fields: Fields) -> Result<(), FieldError> {
        // Where the item was kept and how it ended: nothing that was said.
        for key in ["type", "id", "status", "phase"] {
            fields.value(key);
        }
        let role = fields.required_string("role")?;
        let name = fields.string("name")?;
        let content = fields.value("content");
        let content = content.unwrap_or_else(|| Value::Array(Vec::new()));
        let parts = self.content(content, &fields.at("content"))?;
        let speaker = match role.as_str() {
            "user" => Speaker::User,
            "assistant" => Speaker::Assistant,
            "system" => Speaker::System,
            "developer" => Speaker::Developer,
            _ => return Err(fields.wrong("role", "expected user, assistant, system or developer")),
        };
        fields.finish(&mut self.unknown);
        match speaker {
            Speaker::System | Speaker::Developer if self.exchange.messages.is_empty() => {
                self.exchange.system_is_developer |= speaker == Speaker::Developer;
                self.exchange.system.extend(parts);
            }
            Speaker::Assistant if name.is_none() && self.goes_on() => {
                for part in parts {
                    self.said_part(at, part);
                }
            }
            _ => self.exchange.messages.push(Message { at, speaker, name, parts }),
        }
        Ok(())
    }

    /// Whether text belongs to the turn before it: not after another text, unless there are calls whose results must
    /// follow the turn as a whole.
    fn goes_on(&self) -> bool {
        let Some(last) = self.exchange.messages.last() else { return false };
        let is_text = |part: &Part| matches!(part.kind, PartKind::Text(_) | PartKind::Refusal(_));
        let is_call = |part: &Part| matches!(part.kind, PartKind::ToolUse(_));
        last.speaker == Speaker::Assistant
            && (last.parts.iter().any(is_call) || !last.parts.iter().any(is_text))
    }

    fn said(&mut self, at: usize, kind: PartKind) {
        self.said_part(at, Part::new(kind));
    }

    /// Adds to the model's turn.
    fn said_part(&mut self, at: usize, part: Part) {
        match self.exchange.messages.last_mut() {
            Some(last) if last.speaker == Speaker::Assistant => last.parts.push(part),
            _ => self.exchange.messages.push(Message {
                at,
                speaker: Speaker::Assistant,
                name: None,
                parts: vec![part],
            }),
        }
    }

    fn call(&mut self, mut fields: Fields, custom: bool) -> Result<ToolUse, FieldError> {
        let key = if custom { "input" } else { "arguments" };
        let call = ToolUse {
            id: fields.required_string("call_id")?,
            name: fields.required_string("name")?,
            input: fields.string(key)?.unwrap_or_default(),
            custom,
        };
        self.finish_call(fields);
        Ok(call)
    }

    /// What calls and results have beside what they say.
    fn finish_call(&mut self, mut fields: Fields) {
        for key in ["type", "id", "status"] {
            fields.value(key);
        }
        // Called by the model itself, which is what a call is anyway.
        fields.value_if("caller", |caller| str_at(caller, "type") == Some("direct"));
        fields.value_if("async", |is_async| *is_async == Value::Bool(false));
        fields.finish(&mut self.unknown);
    }

    fn result(&mut self, at: usize, mut fields: Fields) -> Result<(), FieldError> {
        let id = fields.string("call_id")?;
        let output = fields.value("output").unwrap_or_else(|| Value::Array(Vec::new()));
        let mut parts = self.content(output, &fields.at("output"))?;
        // With a call, the tool's name is that of its call.
        let name = fields.string("name")?;
        let Some(id) = id else {
            return self.uncalled(at, name, parts, fields);
        };
        self.finish_call(fields);
        // Messages has the breakpoint on the result, not within it.
        let cache = parts.last_mut().and_then(|last| last.cache.take());
        let part =
            Part { kind: PartKind::ToolResult(ToolResult { id, parts, is_error: false }), cache };
        match self.exchange.messages.last_mut() {
            Some(last) if is_results(last) => last.parts.push(part),
            _ => self.exchange.messages.push(Message {
                at,
                speaker: Speaker::User,
                name: None,
                parts: vec![part],
            }),
        }
        Ok(())
    }

    /// What an agent lets its model know in the shape of an output that nobody called for (Codex 0.169 does so): other
    /// dialects know no such thing, so it is the user's text.
    fn uncalled(
        &mut self,
        at: usize,
        name: Option<String>,
        mut parts: Vec<Part>,
        mut fields: Fields,
    ) -> Result<(), FieldError> {
        let name = name.ok_or_else(|| fields.wrong("call_id", "this field is required"))?;
        let space = fields.string("namespace")?.map(|space| format!("{space}."));
        parts.insert(0, Part::text(format!("Output of {}{name}:", space.unwrap_or_default())));
        self.finish_call(fields);
        self.exchange.messages.push(Message { at, speaker: Speaker::User, name: None, parts });
        Ok(())
    }

    fn content(&mut self, content: Value, path: &str) -> Result<Vec<Part>, FieldError> {
        match content {
            Value::String(text) => Ok(vec![Part::text(text)]),
            Value::Array(parts) => parts
                .into_iter()
                .enumerate()
                .map(|(index, raw)| self.part(raw, format!("{path}[{index}]")))
                .collect(),
            _ => Err(FieldError::new(path, "expected a string or an array of parts")),
        }
    }

    fn part(&mut self, raw: Value, path: String) -> Result<Part, FieldError> {
        let known = [
            "input_text",
            "output_text",
            "text",
            "refusal",
            "input_image",
            "input_file",
            "input_audio",
        ];
        if str_at(&raw, "type").is_some_and(|kind| !known.contains(&kind)) {
            return Ok(Part::new(PartKind::Vendor(raw)));
        }
        let mut part = Fields::of(raw, path)?;
        let long = self.long;
        let cache = part.value("prompt_cache_breakpoint").map(|hint| match str_at(&hint, "ttl") {
            Some("12h") => CacheHint::Long,
            None if long => CacheHint::Long,
            _ => CacheHint::Default,
        });
        let kind = match part.required_string("type")?.as_str() {
            "refusal" => PartKind::Refusal(part.required_string("refusal")?),
            "input_image" => read_image(&mut part)?,
            "input_file" => read_file(&mut part)?,
            "input_audio" => {
                let audio = part.object("input_audio")?;
                let mut audio =
                    audio.ok_or_else(|| part.wrong("input_audio", "this field is required"))?;
                let data = audio.required_string("data")?;
                let format = audio.required_string("format")?;
                audio.finish(&mut self.unknown);
                PartKind::Audio { data, format }
            }
            _ => {
                // Told of an answer, and nothing that a model reads.
                part.value("logprobs");
                PartKind::Text(part.required_string("text")?)
            }
        };
        part.finish(&mut self.unknown);
        Ok(Part { kind, cache })
    }
}

fn read_image(part: &mut Fields) -> Result<PartKind, FieldError> {
    let source = match (part.string("image_url")?, part.string("file_id")?) {
        (Some(url), _) => media_of_url(url),
        (None, Some(id)) => Media::FileId(id),
        (None, None) => return Err(part.wrong("image_url", "expected image_url or file_id")),
    };
    Ok(PartKind::Image(Image { source, detail: part.string("detail")? }))
}

fn read_file(part: &mut Fields) -> Result<PartKind, FieldError> {
    let title = part.string("filename")?;
    let (id, data) = (part.string("file_id")?, part.string("file_data")?);
    let source = match (id, data, part.string("file_url")?) {
        (Some(id), _, _) => Media::FileId(id),
        (None, Some(data), _) if data.starts_with("data:") => media_of_url(data),
        // Bare base64 is taken too, and then goes by the file's name; PDF is what it is for.
        (None, Some(data), _) => Media::Base64 { media_type: "application/pdf".to_owned(), data },
        (None, None, Some(url)) => Media::Url(url),
        (None, None, None) => {
            return Err(part.wrong("file_data", "expected file_data, file_url or file_id"));
        }
    };
    part.value_if("detail", |detail| detail == "auto");
    Ok(PartKind::Document(Document { source, title, extras: std::collections::BTreeMap::new() }))
}

fn is_results(message: &Message) -> bool {
    message.speaker == Speaker::User
        && !message.parts.is_empty()
        && message.parts.iter().all(|part| matches!(part.kind, PartKind::ToolResult(_)))
}
