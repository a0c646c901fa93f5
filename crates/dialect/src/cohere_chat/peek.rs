//! The few fields typed of a forwarded request. What is not known is counted as text, as it is written: the count bounds
//! what the request can cost.

use bytes::Bytes;
use domain::{Feature, ImageDetail};

use crate::cursor::Cursor;
use crate::intake::{Intake, Place, Role, boolean, is_set, splice, unsigned, word_at};
use crate::wire::{Edits, FieldError, Incoming, Peek};

pub(super) fn peek(request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let mut reader = Reader { intake: Intake::new(), has_messages: false };
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
            "messages" => self.has_messages |= it.messages(cursor, message)?,
            "stream" => it.peek.stream = boolean(cursor, key)?,
            "max_tokens" => it.peek.limits.max_output = unsigned(cursor, key)?,
            "tools" => self.tools(cursor),
            "documents" => self.documents(cursor),
            "tool_choice" => it.has_if(is_set(cursor), Feature::ToolChoice),
            "response_format" => self.format(cursor),
            "thinking" => {
                let on = word_at(cursor, "type").is_some_and(|kind| !kind.is("disabled"));
                it.has_if(on, Feature::Reasoning);
            }
            "temperature" | "p" | "frequency_penalty" | "presence_penalty" => {
                it.has_if(is_set(cursor), Feature::Sampling);
            }
            "k" => {
                let none = cursor.is_null() || cursor.raw_is("0");
                it.has_if(!none, Feature::Sampling);
                it.has_if(!none, Feature::TopK);
                cursor.skip();
            }
            "seed" => it.has_if(is_set(cursor), Feature::Seed),
            "logprobs" => it.has_if(cursor.boolean() == Some(true), Feature::Logprobs),
            "stop_sequences" => {
                let none = cursor.is_null() || cursor.is_empty_array();
                it.has_if(!none, Feature::StopSequences);
                cursor.skip();
            }
            "citation_options" | "safety_mode" | "strict_tools" | "priority" => cursor.skip(),
            // Whatever a field that is not known here says may become input.
            _ => it.whole(cursor),
        }
        Ok(())
    }

    fn tools(&mut self, cursor: &mut Cursor<'_>) {
        let mut items = cursor.array();
        while cursor.item(&mut items) {
            self.intake.tool(cursor.raw());
            self.intake.has(Feature::Tools);
        }
    }

    /// They stand behind the conversation in the prompt, wherever they stand in the body: no part of its prefix.
    fn documents(&mut self, cursor: &mut Cursor<'_>) {
        let mut items = cursor.array();
        while cursor.item(&mut items) {
            self.intake.has(Feature::Documents);
            self.intake.allowance();
            self.intake.peek.text_bytes += cursor.raw().len() as u64;
        }
    }

    fn format(&mut self, cursor: &mut Cursor<'_>) {
        let raw = cursor.raw();
        let kind = word_at(&mut Cursor::new(raw), "type");
        if !kind.is_some_and(|kind| kind.is("json_object")) {
            return;
        }
        let mut format = Cursor::new(raw);
        let mut object = format.object();
        let mut has_schema = false;
        while let Some(key) = format.key(&mut object) {
            let set = is_set(&mut format);
            has_schema |= key.is("json_schema") && set;
        }
        if has_schema {
            self.intake.has(Feature::JsonSchema);
            self.intake.tool(raw);
        } else {
            self.intake.has(Feature::JsonObject);
            self.intake.allowance();
        }
    }
}

fn message(it: &mut Intake, cursor: &mut Cursor<'_>) -> Role {
    let mut role = Role::User;
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.decode() {
            "role" => {
                let word = cursor.text().map(|word| word.decode());
                role = match word.as_deref() {
                    Some("system") => Role::System,
                    Some("assistant") => Role::Assistant,
                    _ => Role::User,
                };
                it.has_if(role == Role::System && it.is_in_head(), Feature::System);
                it.has_if(word.as_deref() == Some("tool"), Feature::ToolResults);
            }
            "content" => it.content(cursor, part),
            "tool_calls" => it.tool_calls(cursor),
            "tool_call_id" => it.id_text(cursor),
            _ => it.whole(cursor),
        }
    }
    role
}

fn part(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.decode() {
            "type" => cursor.skip(),
            "image_url" => {
                let (place, detail) = media(it, cursor);
                it.image(place, detail);
            }
            "document" => {
                it.has(Feature::Documents);
                it.whole(cursor);
            }
            _ => it.whole(cursor),
        }
    }
}

/// Where an image is and how closely it is to be looked at.
pub(super) fn media<'a>(it: &mut Intake, cursor: &mut Cursor<'a>) -> (Place<'a>, ImageDetail) {
    let (mut place, mut detail) = (Place::Unknown, ImageDetail::Auto);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        if key.is("url") && cursor.peek() == Some(b'"') {
            place = cursor.text().map_or(place, Place::Url);
        } else if key.is("detail") {
            let word = cursor.text().map(|word| word.decode());
            detail = word.map_or(detail, |word| ImageDetail::of_word(&word));
        } else {
            it.whole(cursor);
        }
    }
    (place, detail)
}

#[cfg(test)]
mod tests;
