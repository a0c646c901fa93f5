//! The messages of a v2 chat request: checked and read in one walk.

use serde_json::Value;

use super::invalid;
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
    let messages = body.get("messages").and_then(Value::as_array).filter(|m| !m.is_empty());
    let messages = messages.ok_or_else(|| invalid("messages must not be empty."))?;
    let mut walk = Walk { tokens: tokens::PER_REQUEST, ..Walk::default() };
    for (at, message) in messages.iter().enumerate() {
        walk.message(at, message)?;
    }
    walk.all_answered()?;
    Ok(walk)
}

impl Walk {
    fn message(&mut self, at: usize, m: &Value) -> Result<(), Refused> {
        let role = m.get("role").and_then(Value::as_str).unwrap_or_default();
        if role != "tool" {
            self.all_answered()?;
        }
        let before = self.tokens;
        self.tokens += tokens::PER_MESSAGE;
        let place = format!("messages[{at}]");
        match role {
            "system" if at > 0 => {
                Err(Refused::new(400, "system turn must be the first in the list"))
            }
            "system" => self.content(m, &place, &["text"]).map(drop),
            "user" => {
                if self.assistant_spoke {
                    self.seen_before = before;
                }
                let (text, seen) = self.content(m, &place, &["text", "image_url"])?;
                (self.text, self.attachments) = (text, seen);
                Ok(())
            }
            "assistant" => self.assistant(m, &place),
            "tool" => self.tool(m, &place),
            other => Err(invalid(format!(
                "{place} has an unknown role '{other}': it must be one of system, user, assistant, tool."
            ))),
        }
    }

    fn assistant(&mut self, m: &Value, place: &str) -> Result<(), Refused> {
        self.assistant_spoke = true;
        self.results.clear();
        let calls = m.get("tool_calls").and_then(Value::as_array);
        let has_calls = calls.is_some_and(|c| !c.is_empty());
        let content = m.get("content").filter(|c| !c.is_null());
        if content.is_some() {
            self.content(m, place, &["text", "thinking"])?;
        } else if !has_calls {
            return Err(empty_turn());
        }
        match m.get("tool_plan") {
            None | Some(Value::Null) => {}
            Some(Value::String(plan)) => self.tokens += tokens::count(plan),
            Some(_) => return Err(invalid(format!("{place}.tool_plan must be a string."))),
        }
        for call in calls.into_iter().flatten() {
            let text = |name: &str| call.pointer(name).and_then(Value::as_str);
            let good_kind = text("/type") == Some("function");
            let parts = (text("/id"), text("/function/name"), text("/function/arguments"));
            let (Some(id), Some(name), Some(input)) = parts else {
                return Err(invalid(format!(
                    "{place}: a tool call needs an id, a name and arguments, all strings."
                )));
            };
            if !good_kind || serde_json::from_str::<Value>(input).is_ok_and(|v| !v.is_object()) {
                return Err(invalid(format!("{place}: a tool call must be a function's.")));
            }
            self.tokens += tokens::count(name) + tokens::count(input);
            self.pending.push((id.to_owned(), name.to_owned()));
        }
        Ok(())
    }

    fn tool(&mut self, m: &Value, place: &str) -> Result<(), Refused> {
        let id = m.get("tool_call_id").and_then(Value::as_str).unwrap_or_default();
        let Some(at) = self.pending.iter().position(|(pending, _)| pending == id) else {
            return Err(invalid(format!("{place}: no tool call has the id '{id}'.")));
        };
        let (_, name) = self.pending.remove(at);
        let text = self.content(m, place, &["text", "document"])?.0;
        self.results.push((name, text));
        Ok(())
    }

    fn all_answered(&self) -> Result<(), Refused> {
        match self.pending.first() {
            None => Ok(()),
            Some((id, _)) => Err(invalid(format!("the tool call '{id}' has no result."))),
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
            Some(Value::String(s)) if !s.is_empty() || allowed.contains(&"document") => {
                self.tokens += tokens::count(s);
                Ok((s.clone(), Vec::new()))
            }
            Some(Value::Array(parts)) if !parts.is_empty() => {
                let (mut text, mut seen) = (String::new(), Vec::new());
                for (at, part) in parts.iter().enumerate() {
                    let place = format!("{place}.content[{at}]");
                    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
                    if !allowed.contains(&kind) {
                        let allowed = allowed.join(", ");
                        return Err(invalid(format!("{place}.type must be one of {allowed}.")));
                    }
                    self.part(kind, part, &place, &mut text, &mut seen)?;
                }
                Ok((text, seen))
            }
            _ => Err(empty_turn()),
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
        let missing = || invalid(format!("{place}.{kind} is required."));
        if kind == "image_url" {
            let url = part.pointer("/image_url/url").and_then(Value::as_str).ok_or_else(missing)?;
            let (line, cost) = image(url).map_err(|m| invalid(format!("{place}: {m}")))?;
            self.tokens += cost;
            seen.push(format!("image: {line}"));
            return Ok(());
        }
        let said = match (kind, part.get(kind)) {
            ("document", Some(document)) => match document.get("data") {
                Some(Value::String(data)) => data.clone(),
                Some(data @ Value::Object(_)) => data.to_string(),
                _ => return Err(missing()),
            },
            (_, Some(Value::String(said))) => said.clone(),
            _ => return Err(missing()),
        };
        self.tokens += tokens::count(&said);
        if kind != "thinking" {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&said);
        }
        Ok(())
    }
}

fn empty_turn() -> Refused {
    Refused::new(400, "message must not be empty in a turn")
}

fn image(url: &str) -> Result<(String, u64), String> {
    if let Some((kind, data)) = media::data_url(url) {
        let seen = media::image(kind, data)?;
        return Ok((seen.line, seen.tokens));
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok((format!("url {url}"), tokens::IMAGE_BY_URL));
    }
    Err("expected a data URI or a web URL".to_owned())
}
