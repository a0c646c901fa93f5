//! The few fields typed of a forwarded request (protocols A4).

use bytes::Bytes;
use domain::{Feature, ImageDetail};

use crate::cursor::Cursor;
use crate::intake::{Intake, Place, boolean, is_set, splice, unsigned, word_at};
use crate::wire::{Edits, FieldError, Incoming, Peek};

pub(super) fn peek(request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let mut reader = Reader { intake: Intake::new(), has_messages: false };
    let betas = request.headers.get("anthropic-beta").unwrap_or_default();
    reader.intake.has_if(betas.bytes().any(|byte| byte != b' ' && byte != b','), Feature::Beta);
    let mut cursor = Cursor::new(request.body);
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        reader.field(&key.decode(), &mut cursor)?;
    }
    if !reader.has_messages {
        return Err(FieldError::new("messages", "at least one message is required"));
    }
    // Usage is always part of the stream.
    reader.intake.peek.wants_stream_usage = true;
    reader.intake.finish(request)
}

pub(super) fn forward(body: &Bytes, peek: &Peek, edits: &Edits<'_>) -> Bytes {
    splice(body, peek, edits)
}

struct Reader {
    intake: Intake,
    has_messages: bool,
}

impl Reader {
    fn field(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let it = &mut self.intake;
        match key {
            "model" => it.model(cursor)?,
            "messages" => {
                self.has_messages |=
                    it.messages(cursor, |it, cursor| it.blocks_message(cursor, block))?;
            }
            "system" => {
                let none = cursor.is_null() || cursor.is_empty_array();
                it.has_if(!none, Feature::System);
                it.system(cursor, block);
            }
            "stream" => it.peek.stream = boolean(cursor, key)?,
            "max_tokens" => it.peek.limits.max_output = unsigned(cursor, key)?,
            "tools" => self.tools(cursor),
            "tool_choice" => {
                let forced = word_at(cursor, "type").is_some_and(|kind| !kind.is("auto"));
                it.has_if(forced, Feature::ToolChoice);
            }
            "thinking" => {
                let on = word_at(cursor, "type").is_some_and(|kind| !kind.is("disabled"));
                it.has_if(on, Feature::Reasoning);
            }
            "output_config" => self.output_config(cursor),
            "temperature" | "top_p" => it.has_if(is_set(cursor), Feature::Sampling),
            "top_k" => {
                if is_set(cursor) {
                    it.has(Feature::Sampling);
                    it.has(Feature::TopK);
                }
            }
            "stop_sequences" => {
                let none = cursor.is_null() || cursor.is_empty_array();
                it.has_if(!none, Feature::StopSequences);
                cursor.skip();
            }
            "service_tier" => it.has_if(is_set(cursor), Feature::ServiceTier),
            "cache_control" => it.has_if(is_set(cursor), Feature::CacheHints),
            "mcp_servers" => {
                let none = cursor.is_null() || cursor.is_empty_array();
                it.has_if(!none, Feature::HostedTools);
                it.whole(cursor);
            }
            "container" | "diagnostics" => it.has_if(is_set(cursor), Feature::ServerState),
            "metadata" | "speed" | "inference_geo" | "context_management" | "fallbacks"
            | "compaction" => cursor.skip(),
            // Whatever a beta's own field says may become input.
            _ => it.whole(cursor),
        }
        Ok(())
    }

    fn tools(&mut self, cursor: &mut Cursor<'_>) {
        let mut items = cursor.array();
        while cursor.item(&mut items) {
            let raw = cursor.raw();
            self.intake.tool(raw);
            let mut tool = Cursor::new(raw);
            let mut object = tool.object();
            let (mut hosted, mut cached) = (false, false);
            while let Some(key) = tool.key(&mut object) {
                if key.is("type") && tool.peek() == Some(b'"') {
                    hosted = tool.text().is_some_and(|kind| !kind.is("custom"));
                } else if key.is("cache_control") {
                    cached = is_set(&mut tool);
                } else {
                    tool.skip();
                }
            }
            self.intake.has(if hosted { Feature::HostedTools } else { Feature::Tools });
            self.intake.has_if(cached, Feature::CacheHints);
        }
    }

    fn output_config(&mut self, cursor: &mut Cursor<'_>) {
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            if cursor.is_null() {
                cursor.skip();
            } else if key.is("effort") {
                self.intake.has(Feature::Reasoning);
                cursor.skip();
            } else if key.is("format") {
                self.intake.has(Feature::JsonSchema);
                self.intake.tool(cursor.raw());
            } else {
                cursor.skip();
            }
        }
    }
}

fn block(it: &mut Intake, cursor: &mut Cursor<'_>) {
    // What a source is for is said by a type that may come after it.
    let (mut kind, mut held) = (Kind::Other, None);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.decode() {
            "type" => kind = read_kind(it, cursor),
            "id" | "tool_use_id" => it.id_text(cursor),
            "source" => held = source(it, cursor),
            "content" => it.content(cursor, block),
            "cache_control" => it.has_if(is_set(cursor), Feature::CacheHints),
            "signature" => {
                let signed = cursor.peek() == Some(b'"') && !cursor.raw_is("\"\"");
                it.has_if(signed, Feature::SignedReasoning);
                // It may hold the reasoning itself, encrypted.
                it.whole(cursor);
            }
            "citations" => {
                if cursor.peek() == Some(b'{') {
                    it.has_if(!is_off(cursor.raw()), Feature::Citations);
                } else {
                    it.whole(cursor);
                }
            }
            _ => it.whole(cursor),
        }
    }
    match (kind, held) {
        (Kind::Image, held) => it.image(held.unwrap_or(Place::Unknown), ImageDetail::Auto),
        (Kind::Document, Some(place)) => it.paged_document(place),
        // Whatever it is: inline, it is no more tokens than bytes.
        (Kind::Other, Some(Place::Base64(data))) => it.text(data),
        (Kind::Document, None) | (Kind::Other, _) => {}
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Image,
    Document,
    Other,
}

fn read_kind(it: &mut Intake, cursor: &mut Cursor<'_>) -> Kind {
    match cursor.text().map(|kind| kind.decode()).as_deref() {
        Some("image") => return Kind::Image,
        Some("document") => {
            it.has(Feature::Documents);
            return Kind::Document;
        }
        Some("tool_result") => it.has(Feature::ToolResults),
        Some("redacted_thinking") => it.has(Feature::SignedReasoning),
        _ => {}
    }
    Kind::Other
}

fn is_off(raw: &[u8]) -> bool {
    let mut cursor = Cursor::new(raw);
    let mut object = cursor.object();
    let mut off = false;
    while let Some(key) = cursor.key(&mut object) {
        let value = cursor.boolean();
        off |= key.is("enabled") && value == Some(false);
    }
    off
}

/// Counts a source that is text or blocks; returns where any other is.
fn source<'a>(it: &mut Intake, cursor: &mut Cursor<'a>) -> Option<Place<'a>> {
    if cursor.peek() != Some(b'{') {
        // The address of a search result.
        it.whole(cursor);
        return None;
    }
    // `data` is base64 or text, by a type that may come after it.
    let (mut data, mut place, mut is_text, mut is_blocks) = (None, Place::Unknown, false, false);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        let key = key.decode();
        match (&*key, cursor.peek()) {
            ("type", _) => {
                is_text = cursor.raw_is("\"text\"");
                cursor.skip();
            }
            ("data", Some(b'"')) => data = cursor.text(),
            ("url", Some(b'"')) => place = cursor.text().map_or(place, Place::Url),
            ("file_id", Some(b'"')) => {
                place = Place::File;
                cursor.skip();
            }
            ("content", _) => {
                is_blocks = true;
                it.content(cursor, block);
            }
            _ => cursor.skip(),
        }
    }
    match data {
        Some(data) if is_text => {
            it.text(data);
            None
        }
        Some(data) => Some(Place::Base64(data)),
        None => (!is_blocks).then_some(place),
    }
}

#[cfg(test)]
mod tests;
