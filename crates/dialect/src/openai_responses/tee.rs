//! Reads usage from an answer that passes (protocols A2). Each event is walked once; a tree is built only of a usage or
//! an error object.

use domain::Usage;

use super::errors::{classify_object, render_event};
use super::read_answer::reason_of;
use super::usage::WireUsage;
use crate::cursor::Cursor;
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Step};
use crate::wire::{ClientError, Seen, TeeOptions};

pub(super) fn tee(options: TeeOptions) -> Box<dyn Tee> {
    // Usage always comes, and never in an event of its own.
    watch::tee::<Reader>(TeeOptions { strip_usage_chunk: false, ..options })
}

/// Largest event before the first that says something of the answer.
const HELD_MAX: usize = 128 << 10;

#[derive(Debug, Default)]
struct Reader {
    begun: bool,
    ended: bool,
    has_calls: bool,
    /// Why it is incomplete, if it is.
    incomplete: Option<String>,
    usage: Option<Usage>,
    /// The number of the event that follows.
    next: u64,
}

/// The members of an event that matter, where they stand.
#[derive(Clone, Copy, Default)]
struct Members<'a> {
    kind: &'a [u8],
    response: &'a [u8],
    item: &'a [u8],
    error: &'a [u8],
    number: &'a [u8],
    /// Text that is added.
    delta: u64,
}

impl<'a> Members<'a> {
    fn of(data: &'a [u8]) -> Self {
        let mut it = Self::default();
        let mut cursor = Cursor::new(data);
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            match &*key.bytes() {
                b"type" => it.kind = cursor.raw(),
                b"response" => it.response = cursor.raw(),
                b"item" => it.item = cursor.raw(),
                b"error" => it.error = cursor.raw(),
                b"sequence_number" => it.number = cursor.raw(),
                b"delta" if cursor.peek() == Some(b'"') => it.delta = length(&mut cursor),
                _ => cursor.skip(),
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
        if data == b"[DONE]" {
            // Not of the protocol; some hosts send it after the end.
            return Step::Idle;
        }
        if data.first() != Some(&b'{') {
            if !self.begun {
                seen.error
                    .get_or_insert_with(|| watch::bad_response("an event is not a JSON object"));
            }
            return Step::Data;
        }
        if self.ended {
            return Step::Data;
        }
        let members = Members::of(data);
        let number = std::str::from_utf8(members.number).ok().and_then(|text| text.parse().ok());
        self.next = number.unwrap_or(self.next).saturating_add(1);
        let kind = members.kind(event.event);
        match kind {
            b"response.created" | b"response.in_progress" | b"response.queued" => {
                self.begun = true;
                self.response(members.response, false, seen);
                // Said before the model was asked: what comes next may be a failure, and another offer take over. With
                // very large tools, which it repeats, it is not waited for that.
                return if data.len() > HELD_MAX { Step::Data } else { Step::Idle };
            }
            b"response.output_item.added" => self.item(members.item, true, seen),
            // Its pieces have passed.
            b"response.output_item.done" => self.item(members.item, false, seen),
            b"response.completed" | b"response.incomplete" => {
                self.ended = true;
                self.response(members.response, seen.output_bytes == 0, seen);
                if kind == b"response.incomplete" {
                    self.incomplete.get_or_insert_with(|| "max_output_tokens".to_owned());
                } else {
                    self.incomplete = None;
                }
            }
            b"response.failed" => {
                let before = seen.error.is_some();
                self.response(members.response, false, seen);
                if !before && seen.error.is_none() {
                    seen.error = Some(classify_object(b"null"));
                }
            }
            b"error" => {
                let error = if watch::is_error(members.error) { members.error } else { data };
                seen.error.get_or_insert_with(|| classify_object(error));
            }
            _ if watch::is_error(members.error) => {
                seen.error.get_or_insert_with(|| classify_object(members.error));
            }
            _ => seen.output_bytes += members.delta,
        }
        self.begun = true;
        Step::Data
    }

    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        let status = self.response(body, true, seen);
        seen.complete = status == Status::Ended;
    }

    fn is_complete(&self) -> bool {
        self.ended
    }

    fn error_event(&self, error: &ClientError<'_>) -> Option<Vec<u8>> {
        Some(render_event(error, self.next))
    }

    fn finish(&mut self, seen: &mut Seen) {
        seen.usage = self.usage;
        if self.ended {
            seen.finish = Some(reason_of(self.incomplete.as_deref(), self.has_calls));
        }
    }
}

/// What a response says of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// Completed, or incomplete: an answer.
    Ended,
    /// Not an answer, or not yet.
    Open,
}

impl Reader {
    /// A response, whole or as it stands; `count`: its output was not counted before.
    fn response(&mut self, response: &[u8], count: bool, seen: &mut Seen) -> Status {
        let (mut has_output, mut is_open, mut is_failed) = (false, false, false);
        let mut incomplete = None;
        let mut cursor = Cursor::new(response);
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*key.bytes() {
                b"id" if seen.upstream_id.is_none() => seen.upstream_id = filled(&mut cursor),
                b"model" if seen.model.is_none() => seen.model = filled(&mut cursor),
                b"usage" => self.take_usage(cursor.raw()),
                b"status" => match filled(&mut cursor).as_deref() {
                    Some("completed") | None => {}
                    Some("incomplete") => {
                        incomplete.get_or_insert_with(|| "max_output_tokens".to_owned());
                    }
                    Some("failed") => is_failed = true,
                    Some(_) => is_open = true,
                },
                b"incomplete_details" => {
                    let mut details = cursor.object();
                    while let Some(key) = cursor.key(&mut details) {
                        if key.is("reason") && cursor.peek() == Some(b'"') {
                            incomplete = filled(&mut cursor).or(incomplete);
                        } else {
                            cursor.skip();
                        }
                    }
                }
                b"error" => {
                    let raw = cursor.raw();
                    if watch::is_error(raw) {
                        seen.error.get_or_insert_with(|| classify_object(raw));
                    }
                }
                b"output" => {
                    has_output = cursor.peek() == Some(b'[');
                    let mut items = cursor.array();
                    while cursor.item(&mut items) {
                        self.item(cursor.raw(), count, seen);
                    }
                }
                _ => cursor.skip(),
            }
        }
        if is_failed && seen.error.is_none() {
            seen.error = Some(classify_object(b"null"));
        }
        if incomplete.is_some() {
            self.incomplete = incomplete;
        }
        let ended = has_output && !is_open && !is_failed;
        self.ended |= ended && count;
        if ended { Status::Ended } else { Status::Open }
    }

    /// An item of the output; `count`: what it says was not counted before.
    fn item(&mut self, item: &[u8], count: bool, seen: &mut Seen) {
        let mut said = 0;
        let mut cursor = Cursor::new(item);
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*key.bytes() {
                b"type" => {
                    self.has_calls |= cursor.text().is_some_and(|kind| {
                        kind.is("function_call") || kind.is("custom_tool_call")
                    });
                }
                b"name" | b"arguments" | b"input" => said += length(&mut cursor),
                b"content" | b"summary" => {
                    let mut parts = cursor.array();
                    while cursor.item(&mut parts) {
                        let mut part = cursor.object();
                        while let Some(key) = cursor.key(&mut part) {
                            if key.is("text") || key.is("refusal") {
                                said += length(&mut cursor);
                            } else {
                                cursor.skip();
                            }
                        }
                    }
                }
                _ => cursor.skip(),
            }
        }
        if count {
            seen.output_bytes += said;
        }
    }

    /// Takes over a usage object. After an unreadable one there is nothing to go by.
    fn take_usage(&mut self, raw: &[u8]) {
        if raw.first() == Some(&b'{') {
            let usage = serde_json::from_slice::<WireUsage>(raw).ok();
            self.usage = usage.and_then(|usage| usage.to_usage());
        }
    }
}

fn filled(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor.text().filter(|text| !text.is_empty()).map(|text| text.decode().into_owned())
}

fn length(cursor: &mut Cursor<'_>) -> u64 {
    cursor.text().map_or(0, |text| text.len() as u64)
}

#[cfg(test)]
mod tests;
