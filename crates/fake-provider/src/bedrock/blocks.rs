//! The messages of a request: checked and read in one walk.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::{bad, members, union};
use crate::anthropic::signature;
use crate::ask::{Input, Refused};
use crate::media;
use crate::tokens;

/// The smallest prefix that is cached.
const CACHE_FROM: u64 = 1_024;

/// What the walk finds.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) text: String,
    pub(super) attachments: Vec<String>,
    pub(super) results: Vec<(String, String)>,
    tokens: u64,
    /// (tokens up to here, one-hour) of each cache point.
    breakpoints: Vec<(u64, bool)>,
    /// Tokens up to the start of the last assistant turn.
    answered: u64,
    /// Calls of the last assistant turn that have no result yet: id, tool name.
    pending: Vec<(String, String)>,
    has_tools: bool,
    names: BTreeSet<String>,
}

impl Walk {
    /// Tools come first in the prompt, then the system text, then the messages.
    pub(super) fn prompt(&mut self, body: &Value) -> Result<(), Refused> {
        self.tokens = tokens::PER_REQUEST;
        let tools = body.pointer("/toolConfig/tools").and_then(Value::as_array);
        self.has_tools = tools.is_some();
        for tool in tools.into_iter().flatten() {
            if !self.cache_point(tool) {
                self.tokens += tokens::count(&tool.to_string());
            }
        }
        for (at, block) in body["system"].as_array().into_iter().flatten().enumerate() {
            if !self.cache_point(block) {
                let text = block["text"].as_str().filter(|text| !text.is_empty());
                let text = text.ok_or_else(|| bad(format!("system.{at}.text: is empty")))?;
                self.tokens += tokens::count(text);
            }
        }
        let Some(messages) = body["messages"].as_array().filter(|all| !all.is_empty()) else {
            return Err(bad("The messages field is required and must not be empty."));
        };
        let mut last = "assistant";
        for (at, message) in messages.iter().enumerate() {
            last = self.message(message, at, last)?;
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        Err(bad("Expected toolResult blocks for the toolUse blocks of the last turn."))
    }

    fn message<'m>(
        &mut self,
        message: &'m Value,
        at: usize,
        last: &'m str,
    ) -> Result<&'m str, Refused> {
        let place = format!("messages.{at}");
        members(message, &["role", "content"], &place)?;
        let role = message["role"].as_str().unwrap_or_default();
        if !["user", "assistant", "system"].contains(&role) {
            return Err(bad(format!("{place}.role: must be user, assistant or system")));
        }
        if at == 0 && role == "assistant" {
            return Err(bad("A conversation must start with a user message."));
        }
        if role == last {
            return Err(bad("A conversation must alternate between user and assistant roles."));
        }
        if role == "assistant" {
            self.answered = self.tokens;
            self.results.clear();
        }
        self.tokens += tokens::PER_MESSAGE;
        let Some(blocks) = message["content"].as_array().filter(|all| !all.is_empty()) else {
            return Err(bad(format!(
                "The content field in the Message object at {place} is empty."
            )));
        };
        if !self.pending.is_empty() && blocks.iter().all(|it| it.get("toolResult").is_none()) {
            return Err(bad(format!("Expected toolResult blocks at {place}.content.")));
        }
        let (mut text, mut seen, mut results) = (Vec::new(), Vec::new(), Vec::new());
        for (at, block) in blocks.iter().enumerate() {
            let place = format!("{place}.content.{at}");
            match (role, union(block, &place)?) {
                (_, ("text", value)) => text.push(self.text(value, &place)?),
                (_, ("cachePoint", _)) => drop(self.cache_point(block)),
                ("user", ("image", image)) => seen.push(self.image(image, &place)?),
                ("user", ("document", document)) => seen.push(self.document(document, &place)?),
                ("user", ("searchResult", _)) => seen.push("search result".to_owned()),
                ("user", ("toolResult", result)) => results.push(self.result(result, &place)?),
                ("assistant", ("toolUse", call)) => self.tool_use(call, &place)?,
                ("assistant", ("reasoningContent", it)) => self.reasoning(it, &place)?,
                (_, (kind, _)) => {
                    return Err(bad(format!("{place}: {kind} is not supported for role {role}")));
                }
            }
        }
        if role == "user" {
            self.results.extend(results);
            self.text = text.join("\n");
            self.attachments = seen;
        }
        Ok(role)
    }

    fn text(&mut self, value: &Value, place: &str) -> Result<String, Refused> {
        let text = value.as_str().filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| {
            bad(format!("The text field in the ContentBlock object at {place} is blank."))
        })?;
        self.tokens += tokens::count(text);
        Ok(text.to_owned())
    }

    fn image(&mut self, image: &Value, place: &str) -> Result<String, Refused> {
        members(image, &["format", "source"], place)?;
        let format = image["format"].as_str().unwrap_or_default();
        if !["png", "jpeg", "gif", "webp"].contains(&format) {
            return Err(bad(format!("{place}.image.format: must be png, jpeg, gif or webp")));
        }
        let ("bytes", data) = union(&image["source"], place)? else {
            self.tokens += tokens::IMAGE_BY_URL;
            return Ok("image: by reference".to_owned());
        };
        let data = data.as_str().unwrap_or_default();
        let seen = media::image(&format!("image/{format}"), data);
        let seen = seen.map_err(|why| bad(format!("{place}.image.source: {why}")))?;
        self.tokens += seen.tokens;
        Ok(format!("image: {}", seen.line))
    }

    fn document(&mut self, document: &Value, place: &str) -> Result<String, Refused> {
        members(document, &["format", "name", "source", "context", "citations"], place)?;
        let name = document["name"].as_str().unwrap_or_default();
        let plain = |it: char| it.is_ascii_alphanumeric() || " -()[]".contains(it);
        if name.is_empty() || name.len() > 200 || !name.chars().all(plain) || name.contains("  ") {
            return Err(bad(format!(
                "{place}.document.name: holds characters that are not allowed"
            )));
        }
        if !self.names.insert(name.to_owned()) {
            return Err(bad("The document names in a request must be unique."));
        }
        let format = document["format"].as_str().unwrap_or_default();
        let known = ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"];
        if !known.contains(&format) {
            return Err(bad(format!("{place}.document.format: is not a known format")));
        }
        let ("bytes", data) = union(&document["source"], place)? else {
            self.tokens += tokens::IMAGE_BY_URL;
            return Ok(format!("document {name}: by reference"));
        };
        let kind = if format == "pdf" { "application/pdf" } else { format };
        let seen = media::document(kind, data.as_str().unwrap_or_default());
        let seen = seen.map_err(|why| bad(format!("{place}.document.source: {why}")))?;
        self.tokens += seen.tokens;
        Ok(format!("document {name}: {}", seen.line))
    }

    fn tool_use(&mut self, call: &Value, place: &str) -> Result<(), Refused> {
        members(call, &["toolUseId", "name", "input", "type"], place)?;
        let id = call["toolUseId"].as_str().unwrap_or_default();
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"_-.:".contains(&it);
        if !(1..=64).contains(&id.len()) || !id.bytes().all(plain) {
            return Err(bad(format!(
                "{place}.toolUse.toolUseId: must match [a-zA-Z0-9_.:-]{{1,64}}"
            )));
        }
        if !self.has_tools {
            return Err(bad(
                "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
            ));
        }
        let (Some(name), true) = (call["name"].as_str(), call["input"].is_object()) else {
            return Err(bad(format!("{place}.toolUse: name and input are required")));
        };
        self.tokens += tokens::count(name) + tokens::count(&call["input"].to_string());
        self.pending.push((id.to_owned(), name.to_owned()));
        Ok(())
    }

    fn result(&mut self, result: &Value, place: &str) -> Result<(String, String), Refused> {
        members(result, &["toolUseId", "content", "status"], place)?;
        let id = result["toolUseId"].as_str().unwrap_or_default();
        let Some(at) = self.pending.iter().position(|(pending, _)| pending == id) else {
            return Err(bad(format!("{place}.toolResult: no toolUse block has the id {id}")));
        };
        let (_, name) = self.pending.remove(at);
        let Some(content) = result["content"].as_array() else {
            return Err(bad(format!("{place}.toolResult.content: is required")));
        };
        let failed = result["status"] == "error";
        if failed && content.is_empty() {
            return Err(bad(format!(
                "The content field at {place}.toolResult cannot be empty when status value is error."
            )));
        }
        let mut text = Vec::new();
        for (at, block) in content.iter().enumerate() {
            let place = format!("{place}.toolResult.content.{at}");
            text.push(match union(block, &place)? {
                ("text", value) => self.text(value, &place)?,
                ("json", value) => {
                    self.tokens += tokens::count(&value.to_string());
                    value.to_string()
                }
                ("image", image) => self.image(image, &place)?,
                ("document", document) => self.document(document, &place)?,
                (kind, _) => return Err(bad(format!("{place}: {kind} is not supported"))),
            });
        }
        let mark = if failed { "error: " } else { "" };
        Ok((name, format!("{mark}{}", text.join("\n"))))
    }

    /// A signature is good only for the text it was made for.
    fn reasoning(&mut self, it: &Value, place: &str) -> Result<(), Refused> {
        let ("reasoningText", inner) = union(it, place)? else { return Ok(()) };
        members(inner, &["text", "signature"], place)?;
        let text = inner["text"].as_str().unwrap_or_default();
        let given = inner["signature"].as_str().unwrap_or_default();
        if given.is_empty() || !text.is_empty() && given != signature(text) {
            return Err(bad(format!("{place}: Invalid `signature` in `thinking` block")));
        }
        self.tokens += tokens::count(text);
        Ok(())
    }

    /// Takes a cache point; whether it was one.
    fn cache_point(&mut self, block: &Value) -> bool {
        let Some(point) = block.get("cachePoint") else { return false };
        self.breakpoints.push((self.tokens, point["ttl"] == "1h"));
        true
    }

    /// Input in buckets, by the same rule as at Anthropic: what lies before the last assistant turn was sent before.
    pub(super) fn input(&self) -> Input {
        let usable = self.breakpoints.iter().filter(|it| it.0 >= CACHE_FROM);
        let read = usable.clone().filter(|it| it.0 <= self.answered).map(|it| it.0).max();
        let mut input = Input { cache_read: read.unwrap_or(0), ..Input::default() };
        let mut done = input.cache_read;
        for (until, hour) in usable {
            let new = until.saturating_sub(done);
            done += new;
            *(if *hour { &mut input.cache_write_1h } else { &mut input.cache_write }) += new;
        }
        input.fresh = self.tokens - done;
        input
    }
}
