//! Reads usage from an answer that passes (protocols A1). Each event is walked once; a tree is built only of a
//! usage or an error object.

use domain::Usage;

use super::errors::classify_object;
use super::read_answer::finish_reason;
use super::usage::WireUsage;
use crate::cursor::Cursor;
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Step};
use crate::wire::{Seen, TeeOptions};

pub(super) fn tee(options: TeeOptions) -> Box<dyn Tee> {
    watch::tee::<Reader>(options)
}

#[derive(Debug, Default)]
struct Reader {
    /// Choices that have begun and choices that have ended, as bits by index.
    begun: u128,
    ended: u128,
    done: bool,
    has_calls: bool,
    usage: Option<Usage>,
    finish_word: Option<String>,
}

/// What one object of the dialect, a chunk or a whole answer, has at its top level.
#[derive(Debug, Default)]
struct Object {
    /// `choices` is there and is an array.
    has_choices: bool,
    choices: u32,
    has_usage: bool,
    has_null_usage: bool,
}

impl watch::Reader for Reader {
    fn event(&mut self, event: SseEvent<'_>, seen: &mut Seen) -> Step {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            self.done = true;
            return Step::Data;
        }
        if data.first() != Some(&b'{') {
            if seen.error.is_none() && self.begun == 0 && !self.done {
                seen.error = Some(watch::bad_response("an event is not a JSON object"));
            }
            return Step::Data;
        }
        let object = self.object(data, seen);
        if event.event == b"error" && seen.error.is_none() {
            seen.error = Some(classify_object(data));
        }
        if object.has_usage && object.has_choices && object.choices == 0 && seen.error.is_none() {
            Step::UsageOnly
        } else if object.has_null_usage {
            Step::NullUsage
        } else {
            Step::Data
        }
    }

    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        let object = self.object(body, seen);
        seen.complete = object.choices > 0;
    }

    fn is_complete(&self) -> bool {
        self.done && self.begun != 0 && self.begun & !self.ended == 0
    }

    fn finish(&mut self, seen: &mut Seen) {
        seen.usage = self.usage;
        seen.finish = self.finish_word.take().map(|word| finish_reason(&word, self.has_calls));
    }
}

impl Reader {
    fn object(&mut self, data: &[u8], seen: &mut Seen) -> Object {
        let mut object = Object::default();
        let mut cursor = Cursor::new(data);
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            match &*key.bytes() {
                b"choices" => self.choices(&mut cursor, &mut object, seen),
                b"usage" => {
                    object.has_null_usage |= cursor.is_null();
                    object.has_usage |= self.usage(cursor.raw());
                }
                b"error" => {
                    let raw = cursor.raw();
                    if watch::is_error(raw) {
                        seen.error.get_or_insert_with(|| classify_object(raw));
                    }
                }
                b"model" if seen.model.is_none() => seen.model = filled(&mut cursor),
                b"id" if seen.upstream_id.is_none() => seen.upstream_id = filled(&mut cursor),
                // Groq's own place.
                b"x_groq" => {
                    let mut own = cursor.object();
                    while let Some(key) = cursor.key(&mut own) {
                        if key.is("usage") && self.usage.is_none() {
                            self.usage(cursor.raw());
                        } else {
                            cursor.skip();
                        }
                    }
                }
                _ => cursor.skip(),
            }
        }
        object
    }

    /// Takes over a usage object. The last one counts, unless it says nothing; after an unreadable one there is
    /// nothing to go by: what came before it was not the last word.
    fn usage(&mut self, raw: &[u8]) -> bool {
        if raw.first() != Some(&b'{') {
            return false;
        }
        match serde_json::from_slice::<WireUsage>(raw) {
            Ok(usage) => {
                let said = usage.to_usage().filter(|it| self.usage.is_none() || !it.is_zero());
                self.usage = said.or(self.usage);
            }
            Err(_) => self.usage = None,
        }
        true
    }

    fn choices(&mut self, cursor: &mut Cursor<'_>, object: &mut Object, seen: &mut Seen) {
        object.has_choices = cursor.peek() == Some(b'[');
        let mut items = cursor.array();
        while cursor.item(&mut items) {
            object.choices = object.choices.saturating_add(1);
            self.choice(cursor, seen);
        }
    }

    fn choice(&mut self, cursor: &mut Cursor<'_>, seen: &mut Seen) {
        let mut index = 0;
        let mut ended = false;
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*key.bytes() {
                b"delta" | b"message" => self.said(cursor, seen),
                b"index" => index = cursor.unsigned().unwrap_or(0).min(127),
                b"finish_reason" => {
                    if let Some(word) = filled(cursor) {
                        ended = true;
                        self.finish_word.get_or_insert(word);
                    }
                }
                b"text" => seen.output_bytes += length(cursor),
                _ => cursor.skip(),
            }
        }
        self.begun |= 1 << index;
        if ended {
            self.ended |= 1 << index;
        }
    }

    /// Counts the text of a delta or a message.
    fn said(&mut self, cursor: &mut Cursor<'_>, seen: &mut Seen) {
        // Hosts that know both spellings say the same in both.
        let mut reasoning = 0;
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*key.bytes() {
                b"content" => seen.output_bytes += content_length(cursor),
                b"refusal" => seen.output_bytes += length(cursor),
                b"reasoning_content" | b"reasoning" => reasoning = length(cursor).max(reasoning),
                b"tool_calls" => {
                    let mut calls = cursor.array();
                    while cursor.item(&mut calls) {
                        self.has_calls = true;
                        seen.output_bytes += call_length(cursor);
                    }
                }
                b"function_call" => {
                    self.has_calls |= cursor.peek() == Some(b'{');
                    seen.output_bytes += function_length(cursor);
                }
                _ => cursor.skip(),
            }
        }
        seen.output_bytes += reasoning;
    }
}

/// A string that is not empty.
fn filled(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor.text().filter(|text| !text.is_empty()).map(|text| text.decode().into_owned())
}

fn length(cursor: &mut Cursor<'_>) -> u64 {
    cursor.text().map_or(0, |text| text.len() as u64)
}

/// A string, or parts that hold text, or parts within parts (Mistral's reasoning).
fn content_length(cursor: &mut Cursor<'_>) -> u64 {
    if cursor.peek() != Some(b'[') {
        return length(cursor);
    }
    let mut sum = 0;
    let mut parts = cursor.array();
    while cursor.item(&mut parts) {
        let mut part = cursor.object();
        while let Some(key) = cursor.key(&mut part) {
            if key.is("text") || key.is("refusal") {
                sum += length(cursor);
            } else if key.is("thinking") {
                sum += thinking_length(cursor);
            } else {
                cursor.skip();
            }
        }
    }
    sum
}

fn thinking_length(cursor: &mut Cursor<'_>) -> u64 {
    if cursor.peek() != Some(b'[') {
        return length(cursor);
    }
    let mut sum = 0;
    let mut parts = cursor.array();
    while cursor.item(&mut parts) {
        let mut part = cursor.object();
        while let Some(key) = cursor.key(&mut part) {
            if key.is("text") {
                sum += length(cursor);
            } else {
                cursor.skip();
            }
        }
    }
    sum
}

fn call_length(cursor: &mut Cursor<'_>) -> u64 {
    let mut sum = 0;
    let mut members = cursor.object();
    while let Some(key) = cursor.key(&mut members) {
        if key.is("function") || key.is("custom") {
            sum += function_length(cursor);
        } else {
            cursor.skip();
        }
    }
    sum
}

fn function_length(cursor: &mut Cursor<'_>) -> u64 {
    let mut sum = 0;
    let mut members = cursor.object();
    while let Some(key) = cursor.key(&mut members) {
        if key.is("name") || key.is("input") {
            sum += length(cursor);
        } else if key.is("arguments") {
            // Some hosts send the object itself.
            let is_text = cursor.peek() == Some(b'"');
            sum += if is_text { length(cursor) } else { cursor.raw().len() as u64 };
        } else {
            cursor.skip();
        }
    }
    sum
}

#[cfg(test)]
mod tests;
