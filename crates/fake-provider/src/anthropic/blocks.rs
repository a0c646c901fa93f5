//! The messages of a request: checked and read in one walk.

use serde_json::Value;

use super::Version;
use super::check::bad;
use crate::ask::{Input, Refused};
use crate::lorem;
use crate::media;
use crate::tokens;

/// The smallest prefix that is cached.
const CACHE_FROM: u64 = 1_024;

/// What the walk finds.
pub(super) struct Walk {
    version: Version,
    /// Thinking with a budget is on: assistant turns that call tools must show their thinking.
    thinking_enabled: bool,
    pub(super) text: String,
    pub(super) attachments: Vec<String>,
    pub(super) results: Vec<(String, String)>,
    tokens: u64,
    /// (tokens up to here, one-hour) of each cache breakpoint.
    breakpoints: Vec<(u64, bool)>,
    /// Tokens up to the start of the last assistant turn.
    answered: u64,
    /// Calls of the last assistant turn that have no result yet: id, tool name.
    pending: Vec<(String, String)>,
}

/// What one message says.
#[derive(Default)]
struct Said {
    text: Vec<String>,
    attachments: Vec<String>,
    results: Vec<(String, String)>,
}

impl Walk {
    pub(super) fn new(version: Version, thinking_enabled: bool) -> Self {
        Walk {
            version,
            thinking_enabled,
            text: String::new(),
            attachments: Vec::new(),
            results: Vec::new(),
            tokens: tokens::PER_REQUEST,
            breakpoints: Vec::new(),
            answered: 0,
            pending: Vec::new(),
        }
    }

    /// Tools come first in the prompt, then the system text, then the messages.
    pub(super) fn prompt(&mut self, body: &Value) -> Result<(), Refused> {
        for tool in body.get("tools").and_then(Value::as_array).into_iter().flatten() {
            self.tokens += tokens::count(&tool.to_string());
            self.breakpoint(tool);
        }
        self.system(body)?;
        let Some(messages) = body.get("messages").and_then(Value::as_array) else {
            return Err(bad("messages: Field required"));
        };
        if messages.is_empty() {
            return Err(bad("messages: at least one message is required"));
        }
        for (at, m) in messages.iter().enumerate() {
            self.message(m, at)?;
        }
        if !self.pending.is_empty() {
            return Err(bad(
                "messages: the conversation must not end with `tool_use` blocks that have no `tool_result`",
            ));
        }
        if let Some(cache) = body.get("cache_control").filter(|c| c.is_object()) {
            self.mark(cache);
        }
        Ok(())
    }

    fn system(&mut self, body: &Value) -> Result<(), Refused> {
        match body.get("system") {
            None => Ok(()),
            Some(Value::String(s)) => {
                self.tokens += tokens::count(s);
                Ok(())
            }
            Some(Value::Array(parts)) => {
                for (at, part) in parts.iter().enumerate() {
                    if part.get("type").and_then(Value::as_str) != Some("text") {
                        return Err(bad(format!("system.{at}.type: Input should be 'text'")));
                    }
                    self.text_of(part, &format!("system.{at}"))?;
                    self.breakpoint(part);
                }
                Ok(())
            }
            Some(_) => Err(bad("system: Input should be a string or a list of text blocks")),
        }
    }

    fn message(&mut self, m: &Value, at: usize) -> Result<(), Refused> {
        let place = format!("messages.{at}");
        let role = m.get("role").and_then(Value::as_str).unwrap_or_default();
        if let Some(unknown) = m
            .as_object()
            .and_then(|o| o.keys().find(|k| !["role", "content"].contains(&k.as_str())))
        {
            return Err(bad(format!("{place}.{unknown}: Extra inputs are not permitted")));
        }
        if !["user", "assistant", "system"].contains(&role) {
            return Err(bad(format!(
                "messages: Unexpected role \"{role}\". Allowed roles are \"user\", \"assistant\" and \"system\"."
            )));
        }
        if at == 0 && role != "user" {
            return Err(bad("messages: first message must use the \"user\" role"));
        }
        if role == "assistant" {
            self.answered = self.tokens;
        }
        self.tokens += tokens::PER_MESSAGE;
        match m.get("content") {
            Some(Value::String(s)) => {
                self.must_have_no_pending(role, &place)?;
                if s.is_empty() {
                    return Err(bad(format!("{place}: all messages must have non-empty content")));
                }
                self.tokens += tokens::count(s);
                self.said(role, Said { text: vec![s.clone()], ..Said::default() });
                Ok(())
            }
            Some(Value::Array(blocks)) if !blocks.is_empty() => self.blocks(role, blocks, &place),
            Some(Value::Array(_)) => {
                Err(bad(format!("{place}: all messages must have non-empty content")))
            }
            _ => Err(bad(format!("{place}.content: Input should be a string or a list of blocks"))),
        }
    }

    /// Results stay until the assistant speaks again; the text is the last user message's.
    fn said(&mut self, role: &str, said: Said) {
        if role == "assistant" {
            self.results.clear();
        }
        if role != "user" {
            return;
        }
        self.results.extend(said.results);
        self.text = said.text.join("\n");
        self.attachments = said.attachments;
    }

    fn must_have_no_pending(&self, role: &str, place: &str) -> Result<(), Refused> {
        match self.pending.first() {
            Some((id, _)) if role != "system" => Err(bad(format!(
                "{place}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            ))),
            _ => Ok(()),
        }
    }

    fn blocks(&mut self, role: &str, blocks: &[Value], place: &str) -> Result<(), Refused> {
        let mut said = Said::default();
        if role == "assistant" {
            self.must_have_no_pending(role, place)?;
            self.thinking_first(blocks, place)?;
        }
        for (at, block) in blocks.iter().enumerate() {
            let place = format!("{place}.content.{at}");
            let kind = block.get("type").and_then(Value::as_str).unwrap_or_default();
            match (role, kind) {
                (_, "text") => said.text.push(self.text_block(role, block, &place)?),
                ("user", "image") => said.attachments.push(self.image(block, &place)?),
                ("user", "document") => said.attachments.push(self.document(block, &place)?),
                ("assistant", "document") if self.version == Version::V2026 => {
                    return Err(bad(format!(
                        "{place}: `document` blocks are not permitted in assistant messages"
                    )));
                }
                ("assistant", "document") => drop(self.document(block, &place)?),
                ("user", "tool_result") => said.results.push(self.tool_result(block, &place)?),
                ("assistant", "tool_use") => self.tool_use(block, &place)?,
                ("assistant", "thinking") => self.thinking(block, &place)?,
                ("assistant", "redacted_thinking") => {}
                _ => {
                    return Err(bad(format!(
                        "{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags for role '{role}'"
                    )));
                }
            }
            self.breakpoint(block);
        }
        if role == "user" {
            self.must_have_no_pending(role, place)?;
        }
        self.said(role, said);
        Ok(())
    }

    fn thinking_first(&self, blocks: &[Value], place: &str) -> Result<(), Refused> {
        let kind = |b: &Value| b.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let calls = blocks.iter().any(|b| kind(b) == "tool_use");
        let first = blocks.first().map(kind).unwrap_or_default();
        if self.thinking_enabled && calls && !first.ends_with("thinking") {
            return Err(bad(format!(
                "{place}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block."
            )));
        }
        Ok(())
    }

    fn text_of(&mut self, block: &Value, place: &str) -> Result<String, Refused> {
        let Some(s) = block.get("text").and_then(Value::as_str) else {
            return Err(bad(format!("{place}.text: Field required")));
        };
        if s.trim().is_empty() {
            return Err(bad(format!("{place}: text content blocks must be non-empty")));
        }
        self.tokens += tokens::count(s);
        Ok(s.to_owned())
    }

    fn text_block(&mut self, role: &str, block: &Value, place: &str) -> Result<String, Refused> {
        let cited = block.get("citations").and_then(Value::as_array).is_some_and(|c| !c.is_empty());
        if cited && role == "user" && self.version == Version::V2026 {
            return Err(bad(format!("{place}.citations: must be empty on user text blocks")));
        }
        self.text_of(block, place)
    }

    fn image(&mut self, block: &Value, place: &str) -> Result<String, Refused> {
        let field = |p: &str| block.pointer(p).and_then(Value::as_str).unwrap_or_default();
        let (line, cost) = match field("/source/type") {
            "base64" => {
                let seen = media::image(field("/source/media_type"), field("/source/data"))
                    .map_err(|m| bad(format!("{place}.source: {m}")))?;
                (seen.line, seen.tokens)
            }
            "url" => (format!("url {}", field("/source/url")), tokens::IMAGE_BY_URL),
            "file" => (format!("file {}", field("/source/file_id")), tokens::IMAGE_BY_URL),
            _ => {
                return Err(bad(format!(
                    "{place}.source: Input tag does not match any of the expected tags: 'base64', 'url', 'file'"
                )));
            }
        };
        self.tokens += cost;
        Ok(format!("image: {line}"))
    }

    fn document(&mut self, block: &Value, place: &str) -> Result<String, Refused> {
        let field = |p: &str| block.pointer(p).and_then(Value::as_str).unwrap_or_default();
        let title = block.get("title").and_then(Value::as_str).unwrap_or("unnamed");
        let (line, cost) = match field("/source/type") {
            "base64" => {
                let seen = media::document(field("/source/media_type"), field("/source/data"))
                    .map_err(|m| bad(format!("{place}.source: {m}")))?;
                (seen.line, seen.tokens)
            }
            "text" => (
                format!("text, {} bytes", field("/source/data").len()),
                tokens::count(field("/source/data")),
            ),
            "content" => {
                ("content".to_owned(), tokens::count(&block["source"]["content"].to_string()))
            }
            "url" | "file" => ("by reference".to_owned(), tokens::IMAGE_BY_URL),
            _ => {
                return Err(bad(format!(
                    "{place}.source: Input tag does not match any of the expected tags"
                )));
            }
        };
        self.tokens += cost;
        Ok(format!("document {title}: {line}"))
    }

    fn tool_use(&mut self, block: &Value, place: &str) -> Result<(), Refused> {
        let id = block.get("id").and_then(Value::as_str).unwrap_or_default();
        let good = (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !good {
            return Err(bad(format!(
                "{place}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
            )));
        }
        let Some(name) = block.get("name").and_then(Value::as_str) else {
            return Err(bad(format!("{place}.tool_use.name: Field required")));
        };
        let Some(input) = block.get("input").filter(|i| i.is_object()) else {
            return Err(bad(format!("{place}.tool_use.input: Input should be a valid dictionary")));
        };
        self.tokens += tokens::count(name) + tokens::count(&input.to_string());
        self.pending.push((id.to_owned(), name.to_owned()));
        Ok(())
    }

    fn tool_result(&mut self, block: &Value, place: &str) -> Result<(String, String), Refused> {
        let id = block.get("tool_use_id").and_then(Value::as_str).unwrap_or_default();
        let Some(at) = self.pending.iter().position(|(pending, _)| pending == id) else {
            return Err(bad(format!(
                "{place}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )));
        };
        let (_, name) = self.pending.remove(at);
        let mut text = Vec::new();
        match block.get("content") {
            None => {}
            Some(Value::String(s)) => {
                self.tokens += tokens::count(s);
                text.push(s.clone());
            }
            Some(Value::Array(parts)) => {
                for (at, part) in parts.iter().enumerate() {
                    let place = format!("{place}.content.{at}");
                    text.push(match part.get("type").and_then(Value::as_str) {
                        Some("text") => self.text_of(part, &place)?,
                        Some("image") => self.image(part, &place)?,
                        Some("document") => self.document(part, &place)?,
                        _ => {
                            return Err(bad(format!(
                                "{place}: Input tag does not match any of the expected tags"
                            )));
                        }
                    });
                }
            }
            Some(_) => {
                return Err(bad(format!(
                    "{place}.content: Input should be a string or a list of blocks"
                )));
            }
        }
        let mark = if block.get("is_error") == Some(&Value::Bool(true)) { "error: " } else { "" };
        Ok((name, format!("{mark}{}", text.join("\n"))))
    }

    /// A signature is good only for the text it was made for.
    fn thinking(&mut self, block: &Value, place: &str) -> Result<(), Refused> {
        let field = |k: &str| block.get(k).and_then(Value::as_str);
        let (Some(text), Some(given)) = (field("thinking"), field("signature")) else {
            return Err(bad(format!("{place}.thinking: `thinking` and `signature` are required")));
        };
        if !text.is_empty() && given != signature(text) || !given.starts_with(SIGNED) {
            return Err(bad(format!("{place}: Invalid `signature` in `thinking` block")));
        }
        self.tokens += tokens::count(text);
        Ok(())
    }

    fn breakpoint(&mut self, block: &Value) {
        if let Some(cache) = block.get("cache_control").filter(|c| c.is_object()) {
            self.mark(cache);
        }
    }

    fn mark(&mut self, cache: &Value) {
        self.breakpoints
            .push((self.tokens, cache.get("ttl").and_then(Value::as_str) == Some("1h")));
    }

    /// Input in buckets. What lies before the last assistant turn was sent before, so its longest marked prefix
    /// is read from the cache; what is marked after it is written.
    pub(super) fn input(&self) -> Input {
        let usable = |t: &&(u64, bool)| t.0 >= CACHE_FROM;
        let read = self
            .breakpoints
            .iter()
            .filter(usable)
            .filter(|t| t.0 <= self.answered)
            .map(|t| t.0)
            .max()
            .unwrap_or(0);
        let mut done = read;
        let mut input = Input { cache_read: read, ..Input::default() };
        for (until, hour) in self.breakpoints.iter().filter(usable) {
            let new = until.saturating_sub(done);
            done += new;
            let bucket = if *hour { &mut input.cache_write_1h } else { &mut input.cache_write };
            *bucket += new;
        }
        input.fresh = self.tokens - done;
        input
    }
}

const SIGNED: &str = "fakesig_";

/// The signature of a thinking text.
pub(crate) fn signature(text: &str) -> String {
    format!("{SIGNED}{:016x}", lorem::hash(text.as_bytes()))
}
