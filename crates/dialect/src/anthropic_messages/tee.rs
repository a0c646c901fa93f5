//! Reads usage from an answer that passes (protocols A4). Each event is walked once; a tree is built only of a
//! usage, a stop reason or an error.

use serde_json::Value;

use super::errors::classify_object;
use super::read_answer::finish_reason;
use super::usage::WireUsage;
use crate::cursor::Cursor;
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Step};
use crate::wire::{FinishReason, Seen, TeeOptions};

pub(super) fn tee(options: TeeOptions) -> Box<dyn Tee> {
    // Usage always comes, and never in an event of its own.
    watch::tee::<Reader>(TeeOptions { strip_usage_chunk: false, ..options })
}

#[derive(Debug, Default)]
struct Reader {
    usage: Option<WireUsage>,
    /// A usage object could not be read: there is nothing to go by.
    unreadable: bool,
    has_calls: bool,
    finish: Option<FinishReason>,
    stopped: bool,
}

/// The members of an event or message that matter, where they stand.
#[derive(Clone, Copy, Default)]
struct Members<'a> {
    kind: &'a [u8],
    message: &'a [u8],
    delta: &'a [u8],
    usage: &'a [u8],
    error: &'a [u8],
    block: &'a [u8],
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
                b"error" => it.error = value,
                b"content_block" => it.block = value,
                _ => {}
            }
        }
        it
    }

    /// The event's type: of its data, or of its name where the data has none.
    fn kind(&self, name: &'a [u8]) -> &'a [u8] {
        match self.kind.strip_prefix(b"\"").and_then(|kind| kind.strip_suffix(b"\"")) {
            Some(kind) => kind,
            None => name,
        }
    }
}

impl watch::Reader for Reader {
    fn event(&mut self, event: SseEvent<'_>, seen: &mut Seen) -> Step {
        let data = event.data.trim_ascii();
        let members = Members::of(data);
        match members.kind(event.event) {
            b"content_block_delta" => seen.output_bytes += delta_length(members.delta),
            b"content_block_start" => self.block(members.block, seen),
            b"message_start" => {
                self.message(members.message, seen);
            }
            b"message_delta" => {
                self.take_finish(members.delta);
                self.take_usage(members.usage);
            }
            b"message_stop" => self.stopped = true,
            b"error" => {
                let error = if members.error.is_empty() { data } else { members.error };
                seen.error.get_or_insert_with(|| classify_object(error));
            }
            b"ping" => return Step::Idle,
            _ if watch::is_error(members.error) => {
                seen.error.get_or_insert_with(|| classify_object(members.error));
            }
            _ if data.first() != Some(&b'{') && self.usage.is_none() => {
                seen.error
                    .get_or_insert_with(|| watch::bad_response("an event is not a JSON object"));
            }
            _ => {}
        }
        Step::Data
    }

    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        let members = Members::of(body);
        if watch::is_error(members.error) {
            seen.error = Some(classify_object(members.error));
        }
        seen.complete = self.message(body, seen);
    }

    fn is_complete(&self) -> bool {
        self.stopped && self.finish.is_some()
    }

    fn finish(&mut self, seen: &mut Seen) {
        let usage = self.usage.take().filter(|_| !self.unreadable);
        seen.usage = usage.and_then(|usage| usage.to_usage());
        // Hosts that say `end_turn` although tools are called.
        seen.finish = match self.finish.clone() {
            Some(FinishReason::Stop) if self.has_calls => Some(FinishReason::ToolCalls),
            other => other,
        };
    }
}

impl Reader {
    /// A message, whole or as it begins; whether it has content.
    fn message(&mut self, message: &[u8], seen: &mut Seen) -> bool {
        let mut has_content = false;
        let mut cursor = Cursor::new(message);
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*key.bytes() {
                b"id" => seen.upstream_id = filled(&mut cursor),
                b"model" => seen.model = filled(&mut cursor),
                b"usage" => self.take_usage(cursor.raw()),
                b"stop_reason" => {
                    if cursor.peek() == Some(b'"') {
                        self.take_finish(message);
                    }
                    cursor.skip();
                }
                b"content" => {
                    has_content = cursor.peek() == Some(b'[');
                    let mut blocks = cursor.array();
                    while cursor.item(&mut blocks) {
                        self.block(cursor.raw(), seen);
                    }
                }
                _ => cursor.skip(),
            }
        }
        has_content
    }

    /// A block: empty when it begins at Anthropic, whole in a body and at some hosts.
    fn block(&mut self, block: &[u8], seen: &mut Seen) {
        let mut cursor = Cursor::new(block);
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*key.bytes() {
                b"type" => self.has_calls |= cursor.text().is_some_and(|kind| kind.is("tool_use")),
                b"text" | b"thinking" | b"name" => seen.output_bytes += length(&mut cursor),
                b"input" => {
                    let input = cursor.raw();
                    if input.first() == Some(&b'{') && input.len() > 2 {
                        seen.output_bytes += input.len() as u64;
                    }
                }
                _ => cursor.skip(),
            }
        }
    }

    fn take_usage(&mut self, raw: &[u8]) {
        if raw.first() != Some(&b'{') {
            return;
        }
        match serde_json::from_slice::<WireUsage>(raw) {
            Ok(later) => self.usage.get_or_insert_default().merge(later),
            Err(_) => self.unreadable = true,
        }
    }

    fn take_finish(&mut self, of: &[u8]) {
        if self.finish.is_some() {
            return;
        }
        // Of a whole message only the members that tell the reason are needed.
        let mut picked = serde_json::Map::new();
        let mut cursor = Cursor::new(of);
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            let name = key.decode();
            let raw = cursor.raw();
            if name.starts_with("stop_")
                && let Ok(value) = serde_json::from_slice::<Value>(raw)
            {
                picked.insert(name.into_owned(), value);
            }
        }
        self.finish = finish_reason(&Value::Object(picked), false);
    }
}

fn filled(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor.text().filter(|text| !text.is_empty()).map(|text| text.decode().into_owned())
}

fn length(cursor: &mut Cursor<'_>) -> u64 {
    cursor.text().map_or(0, |text| text.len() as u64)
}

/// The text of a delta; a signature is none.
fn delta_length(delta: &[u8]) -> u64 {
    let mut cursor = Cursor::new(delta);
    let mut sum = 0;
    let mut members = cursor.object();
    while let Some(key) = cursor.key(&mut members) {
        if key.is("text") || key.is("partial_json") || key.is("thinking") {
            sum += length(&mut cursor);
        } else {
            cursor.skip();
        }
    }
    sum
}

#[cfg(test)]
mod tests;
