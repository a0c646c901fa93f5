//! A provider's stream as canonical events. Each chunk is a whole answer of its own; the protocol has no blocks, so one
//! begins where the kind of what is streamed changes. It has no terminator either: a stream is whole when every
//! candidate has its finish reason and the body ends.

use std::collections::BTreeMap;

use serde_json::Value;

use super::errors::classify_object;
use super::logprobs;
use super::names::{get, whole};
use super::read_answer::{blocked, error_of, failed, finish_reason, read_parts, read_usage};
use super::read_parts::Reader as Parts;
use super::usage::WireUsage;
use crate::exchange::{BlockKind, Delta, PartKind, StreamEvent, Thinking};
use crate::json::{str_at, text_at, to_bytes};
use crate::registry::StreamReader;
use crate::sse::SseParser;
use crate::wire::{BadAnswer, FinishReason};

#[derive(Debug, Default)]
pub(super) struct Reader {
    parser: SseParser,
    state: State,
}

impl StreamReader for Reader {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        let Self { parser, state } = self;
        let mut result = Ok(());
        parser
            .feed(bytes, |event| {
                if result.is_ok() && !state.over {
                    result = state.event(event.data, out);
                }
            })
            .map_err(|error| BadAnswer::Malformed(error.to_string()))?;
        result
    }

    fn end(&mut self, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        if self.state.over {
            return Ok(());
        }
        if !self.state.is_whole() {
            return Err(BadAnswer::Cut);
        }
        self.state.over = true;
        out.push(StreamEvent::End);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    /// After an error or the end: nothing more is read.
    over: bool,
    id: String,
    usage: WireUsage,
    choices: BTreeMap<u32, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    next: u32,
    open: Option<(u32, Open)>,
    calls: u64,
    has_text: bool,
    finished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Open {
    Text,
    Thinking { signed: bool },
}

impl State {
    fn is_whole(&self) -> bool {
        !self.choices.is_empty() && self.choices.values().all(|choice| choice.finished)
    }

    fn event(&mut self, data: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        let mut chunk: Value = serde_json::from_slice(data)
            .map_err(|error| BadAnswer::Malformed(format!("an event is not JSON: {error}")))?;
        if let Some(error) = error_of(&chunk) {
            self.over = true;
            out.push(StreamEvent::Error(classify_object(&to_bytes(error))));
            return Ok(());
        }
        if !std::mem::replace(&mut self.started, true) {
            self.id = text_at(&chunk, "responseId").unwrap_or_default();
            out.push(StreamEvent::Start {
                id: text_at(&chunk, "responseId"),
                model: text_at(&chunk, "modelVersion"),
                usage: None,
            });
        }
        let candidates = match chunk.get_mut("candidates").map(Value::take) {
            Some(Value::Array(candidates)) => candidates,
            _ => Vec::new(),
        };
        for candidate in candidates {
            self.candidate(candidate, out)?;
        }
        if let (true, Some(reason)) = (self.choices.is_empty(), blocked(&chunk)) {
            self.choices.insert(0, Choice { finished: true, ..Choice::default() });
            out.push(StreamEvent::Finish { choice: 0, reason });
        }
        if let Some(usage) = read_usage(&chunk) {
            self.usage.merge(usage);
            out.extend(self.usage.to_usage().map(StreamEvent::Usage));
        }
        Ok(())
    }

    fn candidate(
        &mut self,
        mut candidate: Value,
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), BadAnswer> {
        let index = candidate.get("index").and_then(whole).unwrap_or(0);
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let state = self.choices.entry(index).or_default();
        let mut unknown = Vec::new();
        let mut reader =
            Parts::of_answer(format!("{}:{index}", self.id), state.calls, &mut unknown);
        let parts = match candidate.get_mut("content").map(Value::take) {
            Some(content) => read_parts(content, &mut reader)?,
            None => Vec::new(),
        };
        state.calls = reader.made();
        let mut cursor = Cursor { index, state, out };
        for part in parts {
            cursor.part(part.kind);
        }
        if let Some(value) = get(&candidate, "logprobsResult").and_then(logprobs::read) {
            cursor.out.push(StreamEvent::Logprobs { choice: index, value });
        }
        let word = str_at(&candidate, "finishReason").unwrap_or_default();
        match finish_reason(word, cursor.state.calls > 0) {
            Some(FinishReason::Error) => return Err(failed(&candidate, word)),
            Some(reason) => cursor.finish(reason),
            None => {}
        }
        Ok(())
    }
}

/// Where events of one candidate go.
struct Cursor<'a> {
    index: u32,
    state: &'a mut Choice,
    out: &'a mut Vec<StreamEvent>,
}

impl Cursor<'_> {
    fn part(&mut self, kind: PartKind) {
        match kind {
            PartKind::Text(text) => {
                self.state.has_text = true;
                let block = self.open(Open::Text, BlockKind::Text);
                self.push(block, Delta::Text(text));
            }
            PartKind::Thinking(thinking) => self.thinking(thinking),
            // The signature of a text comes after it, where no other protocol has a place for it. It need not come back.
            PartKind::Redacted(_) if self.state.has_text => {}
            PartKind::Redacted(opaque) => self.whole(BlockKind::Redacted(opaque), None),
            PartKind::ToolUse(call) => {
                let kind = BlockKind::ToolUse { id: call.id, name: call.name, custom: false };
                self.whole(kind, Some(Delta::Input(call.input)));
            }
            // Code that the vendor ran, files that it made: nobody asked for them who could not see them.
            _ => self.whole(BlockKind::Vendor, None),
        }
    }

    fn thinking(&mut self, Thinking { text, signature }: Thinking) {
        let signed = signature.is_some();
        // Whether a signature follows had to be said before: one that comes late stands by itself.
        if let (Some(opaque), true) = (&signature, text.is_empty()) {
            return self.whole(BlockKind::Redacted(opaque.clone()), None);
        }
        if signed {
            self.close();
        }
        let block = self.open(Open::Thinking { signed }, BlockKind::Thinking { signed });
        self.push(block, Delta::Text(text));
        if let Some(signature) = signature {
            self.push(block, Delta::Signature(signature));
            // What follows a signature is a block of its own.
            self.close();
        }
    }

    /// A block that comes in one piece.
    fn whole(&mut self, kind: BlockKind, delta: Option<Delta>) {
        self.close();
        let block = self.begin(kind);
        if let Some(delta) = delta {
            self.push(block, delta);
        }
        self.out.push(StreamEvent::BlockEnd { choice: self.index, block });
    }

    fn finish(&mut self, reason: FinishReason) {
        self.close();
        if !std::mem::replace(&mut self.state.finished, true) {
            self.out.push(StreamEvent::Finish { choice: self.index, reason });
        }
    }

    fn push(&mut self, block: u32, delta: Delta) {
        self.out.push(StreamEvent::Delta { choice: self.index, block, delta });
    }

    /// The open block of that kind, or a new one.
    fn open(&mut self, kind: Open, start: BlockKind) -> u32 {
        if let Some((block, open)) = self.state.open
            && open == kind
        {
            return block;
        }
        self.close();
        let block = self.begin(start);
        self.state.open = Some((block, kind));
        block
    }

    fn begin(&mut self, kind: BlockKind) -> u32 {
        let block = self.state.next;
        self.state.next = block.saturating_add(1);
        self.out.push(StreamEvent::BlockStart { choice: self.index, block, kind });
        block
    }

    fn close(&mut self) {
        if let Some((block, _)) = self.state.open.take() {
            self.out.push(StreamEvent::BlockEnd { choice: self.index, block });
        }
    }
}
