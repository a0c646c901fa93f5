//! Reads usage from an answer that passes. Each event is walked once; a tree is built only of its end.

use serde_json::Value;

use super::errors::{classify_object, ended};
use super::read_answer::{finish_reason, read_usage};
use crate::cursor::Cursor;
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Step};
use crate::wire::{Seen, TeeOptions};

pub(super) fn tee(options: TeeOptions) -> Box<dyn Tee> {
    // Usage always comes, and never in an event of its own.
    watch::tee::<Reader>(TeeOptions { strip_usage_chunk: false, ..options })
}

#[derive(Debug, Default)]
struct Reader {
    has_calls: bool,
    /// The word that generation ended with.
    word: Option<String>,
    ended: bool,
}

/// The members of an event or an answer that matter, where they stand.
#[derive(Clone, Copy, Default)]
struct Members<'a> {
    kind: &'a [u8],
    message: &'a [u8],
    delta: &'a [u8],
    usage: &'a [u8],
    finish: &'a [u8],
    id: &'a [u8],
    model: &'a [u8],
}

impl<'a> Members<'a> {
    fn of(data: &'a [u8]) -> Self {
        let mut it = Self::default();
        let mut cursor = Cursor::new(data);
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            let value = cursor.raw();
            match &*key.bytes() {
                b"type" => it.kind = value,
                b"message" => it.message = value,
                b"delta" => it.delta = value,
                b"usage" => it.usage = value,
                b"finish_reason" => it.finish = value,
                b"id" => it.id = value,
                b"model" => it.model = value,
                _ => {}
            }
        }
        it
    }

    /// The event's type: of its data alone, as clients read it.
    fn kind(&self) -> &'a [u8] {
        let inner = self.kind.strip_prefix(b"\"").and_then(|kind| kind.strip_suffix(b"\""));
        inner.unwrap_or_default()
    }
}

impl watch::Reader for Reader {
    fn event(&mut self, event: SseEvent<'_>, seen: &mut Seen) -> Step {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" || self.ended {
            return Step::Data;
        }
        let members = Members::of(data);
        match members.kind() {
            b"message-start" => {
                seen.upstream_id = filled(members.id);
                seen.model = filled(members.model);
            }
            b"content-start" | b"content-delta" | b"tool-plan-delta" | b"tool-call-delta" => {
                self.said(members.delta, seen);
            }
            b"tool-call-start" => {
                self.has_calls = true;
                self.said(members.delta, seen);
            }
            b"message-end" => self.message_end(members.delta, seen),
            b"" if members.message.first() == Some(&b'"') => {
                seen.error.get_or_insert_with(|| classify_object(data));
            }
            _ if data.first() != Some(&b'{') => {
                seen.error
                    .get_or_insert_with(|| watch::bad_response("an event is not a JSON object"));
            }
            _ => {}
        }
        Step::Data
    }

    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        let members = Members::of(body);
        seen.upstream_id = filled(members.id);
        seen.model = filled(members.model);
        if members.message.first() == Some(&b'"') {
            seen.error = Some(classify_object(body));
            return;
        }
        seen.usage = tree(members.usage).and_then(|usage| read_usage(&usage));
        self.message(members.message, seen);
        self.word = filled(members.finish);
        self.ended = self.word.is_some() && members.message.first() == Some(&b'{');
        if let Some(word) = self.failed() {
            seen.error = Some(ended(&word, None));
        }
        seen.complete = self.ended;
    }

    fn is_complete(&self) -> bool {
        self.ended && self.word.is_some()
    }

    fn finish(&mut self, seen: &mut Seen) {
        let word = self.word.as_deref();
        seen.finish = word.and_then(|word| finish_reason(word, self.has_calls));
    }
}

impl Reader {
    /// The word, if it is one for a failure.
    fn failed(&self) -> Option<String> {
        self.word.clone().filter(|word| finish_reason(word, false).is_none())
    }

    fn message_end(&mut self, delta: &[u8], seen: &mut Seen) {
        let Some(delta) = tree(delta) else { return };
        let text = |key| delta.get(key).and_then(Value::as_str);
        // An end without a reason is none.
        let Some(word) = text("finish_reason") else { return };
        self.ended = true;
        self.word = Some(word.to_owned());
        seen.usage = delta.get("usage").and_then(read_usage);
        if let Some(word) = self.failed() {
            seen.error.get_or_insert_with(|| ended(&word, text("error")));
        }
    }

    fn said(&mut self, delta: &[u8], seen: &mut Seen) {
        let mut cursor = Cursor::new(delta);
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            if key.is("message") {
                self.message(cursor.raw(), seen);
            } else {
                cursor.skip();
            }
        }
    }

    /// Counts the text of a message, whole or a piece of it: lists are single objects in a stream.
    fn message(&mut self, message: &[u8], seen: &mut Seen) {
        let mut cursor = Cursor::new(message);
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*key.bytes() {
                b"content" | b"tool_plan" => seen.output_bytes += text_length(&mut cursor),
                b"tool_calls" => {
                    let mut calls = cursor;
                    let mut items = calls.array();
                    self.has_calls |= calls.item(&mut items);
                    seen.output_bytes += text_length(&mut cursor);
                }
                _ => cursor.skip(),
            }
        }
    }
}

/// The text within a string, a list, or an object of content or of a call.
fn text_length(cursor: &mut Cursor<'_>) -> u64 {
    let mut sum = 0;
    match cursor.peek() {
        Some(b'"') => sum += cursor.text().map_or(0, |text| text.len() as u64),
        Some(b'[') => {
            let mut items = cursor.array();
            while cursor.item(&mut items) {
                sum += object_length(cursor);
            }
        }
        _ => sum += object_length(cursor),
    }
    sum
}

fn object_length(cursor: &mut Cursor<'_>) -> u64 {
    let mut sum = 0;
    let mut members = cursor.object();
    while let Some(key) = cursor.key(&mut members) {
        match &*key.bytes() {
            b"text" | b"thinking" => sum += string_length(cursor),
            b"function" => {
                let mut inner = cursor.object();
                while let Some(key) = cursor.key(&mut inner) {
                    if key.is("name") || key.is("arguments") {
                        sum += string_length(cursor);
                    } else {
                        cursor.skip();
                    }
                }
            }
            _ => cursor.skip(),
        }
    }
    sum
}

fn string_length(cursor: &mut Cursor<'_>) -> u64 {
    cursor.text().map_or(0, |text| text.len() as u64)
}

/// A string that is not empty.
fn filled(raw: &[u8]) -> Option<String> {
    let text = Cursor::new(raw).text().filter(|text| !text.is_empty());
    text.map(|text| text.decode().into_owned())
}

fn tree(raw: &[u8]) -> Option<Value> {
    serde_json::from_slice(raw).ok()
}

#[cfg(test)]
mod tests;
