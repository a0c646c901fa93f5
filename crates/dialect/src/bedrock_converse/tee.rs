//! Reads usage from an answer that passes (protocols A6). Each frame is walked once; a tree is built only of a usage or
//! an error.

use bytes::Bytes;
use smallvec::SmallVec;

use super::errors;
use super::read_answer::{failed, finish_reason};
use super::usage::WireUsage;
use crate::cursor::Cursor;
use crate::event_stream::{Decoder, Frame, FrameKind};
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Step};
use crate::wire::{FinishReason, FirstEvent, Seen, TeeOptions};

pub(super) fn tee(options: TeeOptions) -> Box<dyn Tee> {
    if options.streamed { Box::new(Streamed::default()) } else { watch::tee::<Reader>(options) }
}

struct Streamed {
    decoder: Decoder,
    reader: Reader,
    seen: Seen,
    first: FirstEvent,
    /// The bytes are no event stream: they only pass.
    blind: bool,
}

impl Default for Streamed {
    fn default() -> Self {
        Self {
            decoder: Decoder::default(),
            reader: Reader::default(),
            seen: Seen::default(),
            first: FirstEvent::Pending,
            blind: false,
        }
    }
}

impl Tee for Streamed {
    fn feed(&mut self, chunk: Bytes, out: &mut SmallVec<[Bytes; 2]>) {
        if !self.blind {
            let Self { decoder, reader, seen, first, .. } = self;
            let fed = decoder.feed(&chunk, |frame| {
                reader.frame(frame, seen);
                if *first == FirstEvent::Pending {
                    *first = verdict(seen);
                }
            });
            if let Err(bad) = fed {
                self.blind = true;
                if self.first == FirstEvent::Pending {
                    let fault = watch::bad_response(&bad.to_string());
                    self.first = FirstEvent::Error(fault.clone());
                    self.seen.error.get_or_insert(fault);
                }
            }
        }
        out.push(chunk);
    }

    fn first(&self) -> FirstEvent {
        self.first.clone()
    }

    /// With the usage, which comes after the stop reason: a client that leaves between the two has not got all.
    fn is_complete(&self) -> bool {
        self.reader.stopped && self.reader.has_metadata && self.seen.error.is_none()
    }

    fn finish(&mut self) -> Seen {
        let is_whole = !self.blind && self.decoder.is_between_frames();
        watch::Reader::finish(&mut self.reader, &mut self.seen);
        let mut seen = std::mem::take(&mut self.seen);
        // Bytes after the last event are not looked at.
        let is_over = self.reader.has_metadata || is_whole;
        seen.complete = self.reader.stopped && is_over && seen.error.is_none();
        seen
    }
}

fn verdict(seen: &Seen) -> FirstEvent {
    match &seen.error {
        Some(fault) => FirstEvent::Error(fault.clone()),
        None => FirstEvent::Good,
    }
}

#[derive(Debug, Default)]
struct Reader {
    usage: Option<WireUsage>,
    has_calls: bool,
    finish: Option<FinishReason>,
    stopped: bool,
    has_metadata: bool,
}

/// A whole body; frames of a stream come through [`Reader::frame`].
impl watch::Reader for Reader {
    fn event(&mut self, _event: SseEvent<'_>, _seen: &mut Seen) -> Step {
        Step::Idle
    }

    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        let mut has_content = false;
        let mut cursor = Cursor::new(body);
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            match &*key.bytes() {
                b"output" => has_content = self.output(&mut cursor, seen),
                b"stopReason" => self.stop(&mut cursor, seen),
                b"usage" => self.take_usage(cursor.raw()),
                _ => cursor.skip(),
            }
        }
        if !has_content && errors::is_own(body) {
            seen.error = Some(errors::classify(500, &(), body));
        }
        seen.complete = has_content;
    }

    fn is_complete(&self) -> bool {
        self.stopped
    }

    fn finish(&mut self, seen: &mut Seen) {
        seen.usage = self.usage.take().and_then(|usage| usage.to_usage());
        seen.finish = match self.finish.clone() {
            Some(FinishReason::Stop) if self.has_calls => Some(FinishReason::ToolCalls),
            other => other,
        };
    }
}

impl Reader {
    fn frame(&mut self, frame: Frame<'_>, seen: &mut Seen) {
        match frame.kind {
            _ if self.has_metadata || seen.error.is_some() => return,
            FrameKind::Event => {}
            FrameKind::Exception => {
                let fault = errors::of_exception(frame.name, frame.message, frame.payload);
                seen.error = Some(fault);
                return;
            }
            FrameKind::Other => return,
        }
        if frame.payload.trim_ascii_start().first() != Some(&b'{') {
            seen.error = Some(watch::bad_response("an event is not a JSON object"));
            return;
        }
        let mut cursor = Cursor::new(frame.payload);
        match frame.name {
            b"contentBlockDelta" => member(&mut cursor, b"delta", |it| {
                seen.output_bytes += delta_length(it);
            }),
            b"contentBlockStart" => member(&mut cursor, b"start", |it| {
                member(it, b"toolUse", |call| self.call(call, seen));
            }),
            b"messageStop" => member(&mut cursor, b"stopReason", |it| self.stop(it, seen)),
            b"metadata" => {
                member(&mut cursor, b"usage", |it| self.take_usage(it.raw()));
                self.has_metadata = self.stopped;
            }
            _ => {}
        }
    }

    fn stop(&mut self, cursor: &mut Cursor<'_>, seen: &mut Seen) {
        let Some(word) = cursor.text() else { return };
        let word = word.decode();
        let reason = finish_reason(&word, false);
        if reason == FinishReason::Error {
            seen.error.get_or_insert_with(|| failed(&word));
        }
        self.stopped = true;
        self.finish.get_or_insert(reason);
    }

    fn take_usage(&mut self, raw: &[u8]) {
        self.usage = serde_json::from_slice(raw).ok();
    }

    /// The body's message; whether it has content.
    fn output(&mut self, cursor: &mut Cursor<'_>, seen: &mut Seen) -> bool {
        let mut has_content = false;
        member(cursor, b"message", |message| {
            member(message, b"content", |content| {
                has_content = content.peek() == Some(b'[');
                let mut blocks = content.array();
                while content.item(&mut blocks) {
                    self.block(content, seen);
                }
            });
        });
        has_content
    }

    fn block(&mut self, cursor: &mut Cursor<'_>, seen: &mut Seen) {
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            match &*key.bytes() {
                b"text" => seen.output_bytes += length(cursor),
                b"toolUse" => self.call(cursor, seen),
                b"reasoningContent" => member(cursor, b"reasoningText", |it| {
                    member(it, b"text", |text| seen.output_bytes += length(text));
                }),
                _ => cursor.skip(),
            }
        }
    }

    /// A call, whole or as it begins.
    fn call(&mut self, cursor: &mut Cursor<'_>, seen: &mut Seen) {
        let mut is_own = true;
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            match &*key.bytes() {
                b"name" => seen.output_bytes += length(cursor),
                b"input" => seen.output_bytes += cursor.raw().len() as u64,
                b"type" => {
                    is_own = cursor.is_null();
                    cursor.skip();
                }
                _ => cursor.skip(),
            }
        }
        self.has_calls |= is_own;
    }
}

/// Passes the next value; gives the member of that name, where it is an object that has one, to `read`, which must pass
/// it.
fn member<'a>(cursor: &mut Cursor<'a>, name: &[u8], mut read: impl FnMut(&mut Cursor<'a>)) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        if *key.bytes() == *name {
            read(cursor);
        } else {
            cursor.skip();
        }
    }
}

fn length(cursor: &mut Cursor<'_>) -> u64 {
    cursor.text().map_or(0, |text| text.len() as u64)
}

/// The text of a delta; a signature is none.
fn delta_length(cursor: &mut Cursor<'_>) -> u64 {
    let mut sum = 0;
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.bytes() {
            b"text" => sum += length(cursor),
            b"toolUse" => member(cursor, b"input", |it| sum += length(it)),
            b"reasoningContent" => member(cursor, b"text", |it| sum += length(it)),
            _ => cursor.skip(),
        }
    }
    sum
}

#[cfg(test)]
mod tests;
