//! Reads usage from an answer that passes (protocols A5). Each chunk is walked once; a tree is built only of a usage or
//! an error object.

use bytes::Bytes;
use smallvec::SmallVec;

use super::array::ArrayParser;
use super::errors::{classify_object, render_item};
use super::names::camel;
use super::read_answer::finish_reason;
use super::usage::WireUsage;
use crate::cursor::Cursor;
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Reader as _, Step};
use crate::wire::{ClientError, FinishReason, FirstEvent, Seen, StreamForm, TeeOptions};

pub(super) fn tee(options: TeeOptions) -> Box<dyn Tee> {
    if options.streamed && options.form == StreamForm::Array {
        return Box::new(ArrayTee::default());
    }
    // Usage always comes, and never in a chunk of its own that a client must not see.
    watch::tee::<Reader>(TeeOptions { strip_usage_chunk: false, ..options })
}

#[derive(Debug, Default)]
struct Reader {
    /// Candidates that have begun and candidates that have ended, as bits by index.
    begun: u128,
    ended: u128,
    blocked: bool,
    has_calls: bool,
    usage: Option<WireUsage>,
    /// A usage object could not be read: there is nothing to go by.
    unreadable: bool,
    finish_word: Option<String>,
}

impl watch::Reader for Reader {
    const TERMINATED: bool = false;

    fn event(&mut self, event: SseEvent<'_>, seen: &mut Seen) -> Step {
        let data = event.data.trim_ascii();
        if data.first() == Some(&b'{') {
            self.object(data, seen);
        } else if self.begun == 0 {
            seen.error.get_or_insert_with(|| watch::bad_response("an event is not a JSON object"));
        }
        Step::Data
    }

    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        self.object(body, seen);
        seen.complete = self.begun != 0 || self.blocked;
    }

    fn is_complete(&self) -> bool {
        self.blocked || self.begun != 0 && self.begun & !self.ended == 0
    }

    fn finish(&mut self, seen: &mut Seen) {
        let usage = self.usage.take().filter(|_| !self.unreadable);
        seen.usage = usage.and_then(|usage| usage.to_usage());
        let plain = if self.has_calls { FinishReason::ToolCalls } else { FinishReason::Stop };
        seen.finish = match self.finish_word.take() {
            Some(word) => finish_reason(&word, self.has_calls),
            None if self.begun == 0 && self.blocked => Some(FinishReason::Filtered),
            // A whole answer without a reason is one that ended well.
            None => seen.complete.then_some(plain),
        };
    }
}

impl Reader {
    /// A chunk, or a whole answer.
    fn object(&mut self, data: &[u8], seen: &mut Seen) {
        let mut cursor = Cursor::new(data);
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            match &*camel(&key.decode()) {
                "candidates" => {
                    let mut items = cursor.array();
                    while cursor.item(&mut items) {
                        self.candidate(&mut cursor, seen);
                    }
                }
                "usageMetadata" => self.take_usage(cursor.raw()),
                "promptFeedback" => self.feedback(&mut cursor),
                "modelVersion" if seen.model.is_none() => seen.model = filled(&mut cursor),
                "responseId" if seen.upstream_id.is_none() => {
                    seen.upstream_id = filled(&mut cursor);
                }
                "error" => {
                    let raw = cursor.raw();
                    if watch::is_error(raw) {
                        seen.error.get_or_insert_with(|| classify_object(raw));
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

    fn feedback(&mut self, cursor: &mut Cursor<'_>) {
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            if camel(&key.decode()) == "blockReason" {
                self.blocked |= cursor.text().is_some_and(|reason| !reason.is_empty());
            } else {
                cursor.skip();
            }
        }
    }

    fn candidate(&mut self, cursor: &mut Cursor<'_>, seen: &mut Seen) {
        let (mut index, mut ended) = (0, None);
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*camel(&key.decode()) {
                "index" => index = cursor.unsigned().unwrap_or(0),
                "finishReason" => {
                    ended = filled(cursor).filter(|word| finish_reason(word, false).is_some());
                }
                "content" => self.content(cursor, seen),
                _ => cursor.skip(),
            }
        }
        let bit = 1_u128.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).unwrap_or(1 << 127);
        self.begun |= bit;
        let Some(word) = ended else { return };
        self.ended |= bit;
        if finish_reason(&word, false) == Some(FinishReason::Error) {
            let message = format!("the provider ended the answer with `{word}`");
            seen.error.get_or_insert_with(|| watch::failed_answer(&message, &word));
        }
        if index == 0 {
            self.finish_word.get_or_insert(word);
        }
    }

    fn content(&mut self, cursor: &mut Cursor<'_>, seen: &mut Seen) {
        let mut content = cursor.object();
        while let Some(key) = cursor.key(&mut content) {
            if !key.is("parts") {
                cursor.skip();
                continue;
            }
            let mut parts = cursor.array();
            while cursor.item(&mut parts) {
                self.part(cursor, seen);
            }
        }
    }

    fn part(&mut self, cursor: &mut Cursor<'_>, seen: &mut Seen) {
        let mut part = cursor.object();
        while let Some(key) = cursor.key(&mut part) {
            match &*camel(&key.decode()) {
                "text" => seen.output_bytes += cursor.text().map_or(0, |text| text.len() as u64),
                "functionCall" => {
                    self.has_calls |= cursor.peek() == Some(b'{');
                    call(cursor, seen);
                }
                _ => cursor.skip(),
            }
        }
    }
}

fn call(cursor: &mut Cursor<'_>, seen: &mut Seen) {
    let mut call = cursor.object();
    while let Some(key) = cursor.key(&mut call) {
        if key.is("name") {
            seen.output_bytes += cursor.text().map_or(0, |text| text.len() as u64);
        } else if key.is("args") || key.is("partialArgs") {
            seen.output_bytes += cursor.raw().len() as u64;
        } else {
            cursor.skip();
        }
    }
}

fn filled(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor.text().filter(|text| !text.is_empty()).map(|text| text.decode().into_owned())
}

/// A stream that is a JSON array.
#[derive(Default)]
struct ArrayTee {
    parser: ArrayParser,
    reader: Reader,
    seen: Seen,
    first: Option<FirstEvent>,
    /// What came after the last whole item: it passes with the next one, or with the end of a good answer. So an error
    /// can be put behind what has passed, whenever it is ours to tell.
    held: SmallVec<[Bytes; 2]>,
    /// An item has passed.
    begun: bool,
    /// The parser gave up: bytes only pass.
    blind: bool,
}

impl Tee for ArrayTee {
    fn feed(&mut self, chunk: Bytes, out: &mut SmallVec<[Bytes; 2]>) {
        let mut passing = chunk.len();
        if !self.blind {
            passing = 0;
            let Self { parser, reader, seen, first, .. } = self;
            let result = parser.feed(&chunk, |item, end| {
                passing = end;
                reader.event(SseEvent { event: b"", data: item }, seen);
                first.get_or_insert_with(|| match &seen.error {
                    Some(fault) => FirstEvent::Error(fault.clone()),
                    None => FirstEvent::Good,
                });
            });
            if result.is_err() {
                self.blind = true;
                let fault = watch::bad_response("the stream is not a JSON array of objects");
                if self.first.is_none() {
                    self.seen.error = Some(fault.clone());
                    self.first = Some(FirstEvent::Error(fault));
                }
            }
            if self.blind || self.is_complete() {
                passing = chunk.len();
            }
        }
        if passing > 0 {
            self.begun = true;
            out.append(&mut self.held);
            out.push(chunk.slice(..passing));
        }
        if passing < chunk.len() {
            self.held.push(chunk.slice(passing..));
        }
    }

    fn first(&self) -> FirstEvent {
        self.first.clone().unwrap_or(FirstEvent::Pending)
    }

    fn is_complete(&self) -> bool {
        self.parser.is_over() && self.reader.is_complete() && self.seen.error.is_none()
    }

    fn error_event(&self, error: &ClientError<'_>) -> Option<Vec<u8>> {
        Some(render_item(error, self.begun))
    }

    fn finish(&mut self) -> Seen {
        let complete = self.is_complete() && !self.blind;
        self.reader.finish(&mut self.seen);
        let mut seen = std::mem::take(&mut self.seen);
        seen.complete = complete;
        seen
    }
}
