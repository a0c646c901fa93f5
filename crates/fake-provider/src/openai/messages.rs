//! The messages of a chat request: checked and read in one walk.

use serde_json::Value;

use crate::ask::Refused;
use crate::media;
use crate::tokens;

/// What the walk finds.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) text: String,
    pub(super) attachments: Vec<String>,
    pub(super) results: Vec<(String, String)>,
    pub(super) tokens: u64,
    /// Tokens before the last user message, when an assistant has spoken before it: a prefix seen earlier.
    pub(super) seen_before: u64,
    /// Calls of the last assistant turn that have no answer yet: id, tool name.
    pending: Vec<(String, String)>,
    assistant_spoke: bool,
}

/// Walks the messages; the first offence ends it.
pub(super) fn walk(body: &Value) -> Result<Walk, Refused> {
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return Err(Refused::field("messages", "Missing required parameter: 'messages'."));
    };
    if messages.is_empty() {
        return Err(Refused::field(
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1.",
        ));
    }
    let mut walk = Walk { tokens: tokens::PER_REQUEST, ..Walk::default() };
    for (at, message) in messages.iter().enumerate() {
        walk.message(message, &format!("messages[{at}]"))?;
    }
    walk.all_answered("messages")?;
    Ok(walk)
}

impl Walk {
    fn message(&mut self, m: &Value, place: &str) -> Result<(), Refused> {
        let role = m.get("role").and_then(Value::as_str).unwrap_or_default();
        if role != "tool" {
            self.all_answered(place)?;
        }
        let before = self.tokens;
        self.tokens += tokens::PER_MESSAGE;
        match role {
            "system" | "developer" => {
                self.content(m, place, &["text"])?;
                Ok(())
            }
            "user" => {
                if self.assistant_spoke {
                    self.seen_before = before;
                }
                let (text, seen) =
                    self.content(m, place, &["text", "image_url", "input_audio", "file"])?;
                (self.text, self.attachments) = (text, seen);
                Ok(())
            }
            "assistant" => self.assistant(m, place),
            "tool" => self.tool(m, place),
            "function" => Err(Refused::field(
                format!("{place}.role"),
                "Messages of role 'function' are not supported by this model.",
            )),
            other => Err(Refused::field(
                format!("{place}.role"),
                format!(
                    "Invalid value: '{other}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
                ),
            )),
        }
    }

    fn assistant(&mut self, m: &Value, place: &str) -> Result<(), Refused> {
        self.assistant_spoke = true;
        self.results.clear();
        let calls = m.get("tool_calls").and_then(Value::as_array);
        let has_calls = calls.is_some_and(|c| !c.is_empty());
        if !has_calls && m.get("tool_calls").is_some_and(|c| !c.is_null()) {
            return Err(Refused::field(
                format!("{place}.tool_calls"),
                "Invalid 'tool_calls': empty array.",
            ));
        }
        let content = m.get("content").filter(|c| !c.is_null());
        if content.is_none() && !has_calls && m.get("refusal").is_none_or(Value::is_null) {
            return Err(Refused::field(
                format!("{place}.content"),
                "Invalid value for 'content': expected a string, got null.",
            ));
        }
        if content.is_some() {
            self.content(m, place, &["text", "refusal"])?;
        }
        for (at, call) in calls.into_iter().flatten().enumerate() {
            self.call(call, &format!("{place}.tool_calls[{at}]"))?;
        }
        Ok(())
    }

    fn call(&mut self, call: &Value, place: &str) -> Result<(), Refused> {
        let kind = call.get("type").and_then(Value::as_str).unwrap_or_default();
        let (field, inner) = match kind {
            "function" => ("arguments", call.get("function")),
            "custom" => ("input", call.get("custom")),
            _ => {
                return Err(Refused::field(
                    format!("{place}.type"),
                    "Invalid value: supported values are 'function' and 'custom'.",
                ));
            }
        };
        let id = call.get("id").and_then(Value::as_str).filter(|s| !s.is_empty());
        let name = inner.and_then(|f| f.get("name")).and_then(Value::as_str);
        let input = inner.and_then(|f| f.get(field)).and_then(Value::as_str);
        let (Some(id), Some(name), Some(input)) = (id, name, input) else {
            return Err(Refused::field(
                place,
                format!("A tool call needs a string 'id', '{kind}.name' and '{kind}.{field}'."),
            ));
        };
        self.tokens += tokens::count(name) + tokens::count(input);
        self.pending.push((id.to_owned(), name.to_owned()));
        Ok(())
    }

    fn tool(&mut self, m: &Value, place: &str) -> Result<(), Refused> {
        let id = m.get("tool_call_id").and_then(Value::as_str).unwrap_or_default();
        let Some(at) = self.pending.iter().position(|(pending, _)| pending == id) else {
            return Err(Refused::field(
                format!("{place}.role"),
                "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
            ));
        };
        let (_, name) = self.pending.remove(at);
        let text = self.content(m, place, &["text"])?.0;
        self.results.push((name, text));
        Ok(())
    }

    fn all_answered(&self, place: &str) -> Result<(), Refused> {
        match self.pending.first() {
            None => Ok(()),
            Some((id, _)) => Err(Refused::field(
                place,
                format!(
                    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {id}"
                ),
            )),
        }
    }

    /// The text of a message, and a line for each attachment.
    fn content(
        &mut self,
        m: &Value,
        place: &str,
        allowed: &[&str],
    ) -> Result<(String, Vec<String>), Refused> {
        match m.get("content") {
            Some(Value::String(s)) => {
                self.tokens += tokens::count(s);
                Ok((s.clone(), Vec::new()))
            }
            Some(Value::Array(parts)) if !parts.is_empty() => {
                let mut text = String::new();
                let mut seen = Vec::new();
                for (at, part) in parts.iter().enumerate() {
                    let place = format!("{place}.content[{at}]");
                    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
                    if !allowed.contains(&kind) {
                        return Err(Refused::field(
                            format!("{place}.type"),
                            format!(
                                "Invalid value: '{kind}'. Supported values are: {}.",
                                allowed.join(", ")
                            ),
                        ));
                    }
                    self.part(kind, part, &place, &mut text, &mut seen)?;
                }
                Ok((text, seen))
            }
            _ => Err(Refused::field(
                format!("{place}.content"),
                "Invalid type for 'content': expected a string or a non-empty array of parts.",
            )),
        }
    }

    fn part(
        &mut self,
        kind: &str,
        part: &Value,
        place: &str,
        text: &mut String,
        seen: &mut Vec<String>,
    ) -> Result<(), Refused> {
        let field = |name: &str| part.pointer(name).and_then(Value::as_str);
        match kind {
            "text" | "refusal" => {
                let Some(s) = field(&format!("/{kind}")) else {
                    return Err(Refused::field(
                        format!("{place}.{kind}"),
                        "Missing required parameter.",
                    ));
                };
                self.tokens += tokens::count(s);
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(s);
            }
            "image_url" => {
                let Some(url) = field("/image_url/url") else {
                    return Err(Refused::field(
                        format!("{place}.image_url.url"),
                        "Missing required parameter.",
                    ));
                };
                let (line, cost) = image(url).map_err(|m| {
                    Refused::field(format!("{place}.image_url.url"), m).code("invalid_image_url")
                })?;
                self.tokens += cost;
                seen.push(format!("image: {line}"));
            }
            "file" => {
                let name = field("/file/filename").unwrap_or("unnamed");
                let line = match field("/file/file_data").and_then(media::data_url) {
                    Some((kind, data)) => {
                        media::document(kind, data).map_err(|m| Refused::field(place, m))?
                    }
                    None => {
                        return Err(Refused::field(
                            format!("{place}.file"),
                            "Expected 'file_data' as a base64 data URL.",
                        ));
                    }
                };
                self.tokens += line.tokens;
                seen.push(format!("document {name}: {}", line.line));
            }
            _ => {
                let format = field("/input_audio/format").unwrap_or_default();
                let data = field("/input_audio/data").unwrap_or_default();
                self.tokens += (data.len() as u64).div_ceil(64);
                seen.push(format!("audio: {format}, {} base64 characters", data.len()));
            }
        }
        Ok(())
    }
}

pub(crate) fn image(url: &str) -> Result<(String, u64), String> {
    if let Some((kind, data)) = media::data_url(url) {
        let seen = media::image(kind, data)?;
        return Ok((seen.line, seen.tokens));
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok((format!("url {url}"), tokens::IMAGE_BY_URL));
    }
    Err("Invalid image URL: expected a data URL or an http(s) URL.".to_owned())
}
