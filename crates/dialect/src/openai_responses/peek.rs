//! The few fields typed of a forwarded request (protocols A2). What is not known is counted as text, as it is
//! written: the count bounds what the request can cost.

use std::ops::Range;

use bytes::Bytes;
use domain::{Feature, ImageDetail};

use super::read_request::INCLUDE_LOGPROBS;
use super::{STATEFUL, reasoning_items, state_refusal};
use crate::cursor::Cursor;
use crate::intake::{Intake, Place, boolean, is_set, splice, unsigned, word_at, wrong};
use crate::wire::{Edits, FieldError, Incoming, Peek};

pub(super) fn peek(request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let mut reader = Reader { intake: Intake::new(), has_input: false };
    let mut cursor = Cursor::new(request.body);
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        reader.field(&key.decode(), &mut cursor)?;
    }
    if !reader.has_input {
        return Err(FieldError::new("input", "at least one item is required"));
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
    has_input: bool,
}

impl Reader {
    fn field(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let it = &mut self.intake;
        match key {
            "model" => it.model(cursor)?,
            "input" => self.input(cursor)?,
            "instructions" => {
                it.has_if(!cursor.is_null(), Feature::System);
                it.system(cursor, part);
            }
            "stream" => it.peek.stream = boolean(cursor, key)?,
            "max_output_tokens" => it.peek.limits.max_output = unsigned(cursor, key)?,
            "tools" => it.typed_tools(cursor),
            "tool_choice" => {
                let auto = cursor.is_null() || cursor.raw_is("\"auto\"");
                it.has_if(!auto, Feature::ToolChoice);
                cursor.skip();
            }
            "text" => self.text(cursor),
            "reasoning" => {
                let on = word_at(cursor, "effort").is_some_and(|word| !word.is("none"));
                it.has_if(on, Feature::Reasoning);
            }
            "temperature" | "top_p" => it.has_if(is_set(cursor), Feature::Sampling),
            "top_logprobs" => {
                let top = cursor.unsigned();
                it.has_if(top.is_some_and(|top| top > 0), Feature::Logprobs);
            }
            "include" => {
                let mut items = cursor.array();
                while cursor.item(&mut items) {
                    let wanted = cursor.text().is_some_and(|word| word.is(INCLUDE_LOGPROBS));
                    it.has_if(wanted, Feature::Logprobs);
                }
            }
            "service_tier" => it.has_if(is_set(cursor), Feature::ServiceTier),
            "store" => it.has_if(cursor.boolean() == Some(true), Feature::ServerState),
            "prompt" => {
                it.has_if(!cursor.is_null(), Feature::ServerState);
                it.whole(cursor);
            }
            "prompt_cache_options" => {
                let set = !cursor.is_null();
                let explicit = word_at(cursor, "mode").is_some_and(|mode| mode.is("explicit"));
                it.has_if(set && !explicit, Feature::CacheHints);
            }
            "metadata"
            | "user"
            | "safety_identifier"
            | "prompt_cache_key"
            | "prompt_cache_retention"
            | "client_metadata"
            | "truncation"
            | "max_tool_calls"
            | "moderation"
            | "stream_options" => cursor.skip(),
            _ if STATEFUL.contains(&key) => {
                let place = cursor.place();
                if !cursor.is_null() && !cursor.raw_is("false") {
                    let refusal = state_refusal(key, None);
                    return Err(FieldError { offset: Some(place), ..refusal });
                }
                cursor.skip();
            }
            // Whatever a vendor's own field says may become input.
            _ => it.whole(cursor),
        }
        Ok(())
    }

    fn text(&mut self, cursor: &mut Cursor<'_>) {
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            if !key.is("format") {
                cursor.skip();
                continue;
            }
            let raw = cursor.raw();
            match word_at(&mut Cursor::new(raw), "type") {
                Some(kind) if kind.is("json_schema") => {
                    self.intake.has(Feature::JsonSchema);
                    self.intake.tool(raw);
                }
                Some(kind) if kind.is("json_object") => {
                    self.intake.has(Feature::JsonObject);
                    self.intake.allowance();
                }
                _ => {}
            }
        }
    }

    fn input(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let start = cursor.place();
        if cursor.peek() == Some(b'"') {
            self.has_input = true;
            self.intake.message();
            self.intake.whole(cursor);
            self.intake.end_head();
            return Ok(());
        }
        if cursor.peek() != Some(b'[') {
            return Err(wrong("input", start, "expected a string or an array of items"));
        }
        let mut items = cursor.array();
        let mut last = Said::User;
        let mut cuts = Cuts::default();
        let mut index = 0_usize;
        while cursor.item(&mut items) {
            self.has_input = true;
            self.intake.message();
            let start = cursor.place();
            let item = item(&mut self.intake, cursor);
            if item.refers {
                let refusal = state_refusal("item_reference", Some(format!("input[{index}]")));
                return Err(FieldError { offset: Some(start), ..refusal });
            }
            cuts.pass(start..cursor.place_passed(), item.foreign);
            last = item.said;
            // The first item that isn't the operator's ends the prefix.
            if last != Said::Operator {
                self.intake.end_head();
            }
            index += 1;
        }
        self.intake.peek.cuts.extend(cuts.finish());
        self.intake.has_if(last == Said::Model, Feature::Prefill);
        Ok(())
    }
}

/// Where items stand that no provider of this dialect can read, with the commas that go with them.
#[derive(Default)]
pub(super) struct Cuts {
    done: Vec<Range<usize>>,
    /// The last item that stays ended here.
    kept: Option<usize>,
    /// Items to be cut out, up to the last one so far.
    run: Option<Range<usize>>,
}

impl Cuts {
    pub(super) fn pass(&mut self, item: Range<usize>, foreign: bool) {
        if foreign {
            let start = self.run.as_ref().map_or(item.start, |run| run.start);
            self.run = Some(start..item.end);
            return;
        }
        if let Some(run) = self.run.take() {
            self.done.push(run.start..item.start);
        }
        self.kept = Some(item.end);
    }

    pub(super) fn finish(mut self) -> Vec<Range<usize>> {
        if let Some(run) = self.run {
            self.done.push(self.kept.unwrap_or(run.start)..run.end);
        }
        self.done
    }
}

/// Whether an item is reasoning of another dialect's vendor.
pub(super) fn is_foreign(item_text: &[u8]) -> bool {
    item(&mut Intake::new(), &mut Cursor::new(item_text)).foreign
}

/// Who said something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Operator,
    User,
    Model,
}

/// What an item is.
struct Item {
    said: Said,
    /// It refers to an item that a server keeps.
    refers: bool,
    /// Reasoning of another dialect's vendor.
    foreign: bool,
}

fn item(it: &mut Intake, cursor: &mut Cursor<'_>) -> Item {
    let (mut kind, mut role) = (None, None);
    let (mut has_id, mut is_called, mut foreign) = (false, false, false);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.decode() {
            "type" => kind = cursor.text().map(|word| word.decode()),
            "role" => role = cursor.text().map(|word| word.decode()),
            "id" => has_id |= is_set(cursor),
            "call_id" => {
                is_called |= !cursor.is_null();
                it.id_text(cursor);
            }
            "status" | "phase" => cursor.skip(),
            "content" | "output" | "summary" => it.content(cursor, part),
            "encrypted_content" => {
                let mut ahead = *cursor;
                let text = ahead.text().filter(|text| !text.is_empty());
                it.has_if(text.is_some(), Feature::SignedReasoning);
                foreign |= text.is_some_and(|it| it.bytes().starts_with(reasoning_items::FOREIGN));
                // It holds the reasoning itself.
                it.whole(cursor);
            }
            _ => it.whole(cursor),
        }
    }
    let kind = kind.as_deref();
    let said = match (kind, role.as_deref()) {
        (None | Some("message"), Some("system" | "developer")) => Said::Operator,
        (None | Some("message"), role) if role != Some("assistant") => Said::User,
        (Some("function_call_output" | "custom_tool_call_output"), _) => {
            it.has_if(is_called, Feature::ToolResults);
            Said::User
        }
        _ => Said::Model,
    };
    it.has_if(said == Said::Operator && it.is_in_head(), Feature::System);
    let refers = kind == Some("item_reference") || kind.is_none() && role.is_none() && has_id;
    Item { said, refers, foreign: foreign && kind == Some("reasoning") }
}

fn part(it: &mut Intake, cursor: &mut Cursor<'_>) {
    // What a file id is for is said by a type that may come after it.
    let (mut kind, mut place, mut detail) = (None, Place::Unknown, ImageDetail::Auto);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match (&*key.decode(), cursor.peek()) {
            ("type", _) => kind = cursor.text().map(|word| word.decode()),
            ("image_url" | "file_url", Some(b'"')) => {
                place = cursor.text().map_or(place, Place::Url);
            }
            // Bare base64 or a `data:` URL; beside a file id it does not count.
            ("file_data", Some(b'"')) if matches!(place, Place::Unknown) => {
                place = cursor.text().map_or(place, Place::Base64);
            }
            ("file_id", Some(b'"')) => {
                place = Place::File;
                cursor.skip();
            }
            ("detail", Some(b'"')) => {
                let word = cursor.text().map(|word| word.decode());
                detail = word.map_or(detail, |word| ImageDetail::of_word(&word));
            }
            ("input_audio", Some(b'{')) => audio(it, cursor),
            ("prompt_cache_breakpoint", _) => it.has_if(is_set(cursor), Feature::CacheHints),
            ("detail" | "file_data" | "logprobs", _) => cursor.skip(),
            _ => it.whole(cursor),
        }
    }
    match kind.as_deref() {
        Some("input_image") => it.image(place, detail),
        Some("input_file") => it.paged_document(place),
        // Whatever it is: inline, it is no more tokens than bytes.
        _ => {
            if let Place::Base64(data) | Place::Url(data) = place {
                it.text(data);
            }
        }
    }
}

fn audio(it: &mut Intake, cursor: &mut Cursor<'_>) {
    it.has(Feature::AudioInput);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match cursor.peek() {
            Some(b'"') if key.is("data") => {
                if let Some(data) = cursor.text() {
                    it.audio(data);
                }
            }
            _ => cursor.skip(),
        }
    }
}

#[cfg(test)]
mod tests;
