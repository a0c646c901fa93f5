//! A provider's ConverseStream as canonical events. Blocks of text and reasoning are not opened: one begins with its
//! first delta.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::read_answer::{failed, finish_reason};
use super::usage::WireUsage;
use super::{blob, errors};
use crate::event_stream::{Decoder, Frame, FrameKind};
use crate::exchange::{BlockKind, Delta, StreamEvent};
use crate::json::{str_at, text_at};
use crate::registry::StreamReader;
use crate::wire::{BadAnswer, FinishReason};

#[derive(Debug, Default)]
pub(super) struct Reader {
    decoder: Decoder,
    state: State,
}

impl StreamReader for Reader {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        let Self { decoder, state } = self;
        let mut result = Ok(());
        let fed = decoder.feed(bytes, |frame| {
            if result.is_ok() && !state.over {
                result = state.frame(frame, out);
            }
        });
        result?;
        // What comes after the end is nobody's affair.
        if state.over { Ok(()) } else { fed.map_err(|bad| BadAnswer::Malformed(bad.to_string())) }
    }

    /// The terminator is `messageStop`; usage comes after it, and a host may leave it out.
    fn end(&mut self, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        if self.state.over {
            return Ok(());
        }
        if !self.state.finished || !self.decoder.is_between_frames() {
            return Err(BadAnswer::Cut);
        }
        self.state.end(out);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    over: bool,
    finished: bool,
    has_calls: bool,
    /// The provider's number of a block -> ours, for those that are open.
    blocks: BTreeMap<u64, Open>,
    next: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Open {
    block: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Thinking,
    Redacted,
    Tool,
    /// Of the vendor's own: its deltas mean nothing to us.
    Foreign,
}

impl State {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        match frame.kind {
            FrameKind::Event => {}
            FrameKind::Exception => {
                self.over = true;
                let fault = errors::of_exception(frame.name, frame.message, frame.payload);
                out.push(StreamEvent::Error(fault));
                return Ok(());
            }
            FrameKind::Other => return Ok(()),
        }
        let event: Value = serde_json::from_slice(frame.payload)
            .map_err(|error| BadAnswer::Malformed(format!("an event is not JSON: {error}")))?;
        self.start(out);
        let index = event.get("contentBlockIndex").and_then(Value::as_u64).unwrap_or(0);
        match frame.name {
            b"contentBlockStart" => self.block_start(index, &event, out),
            b"contentBlockDelta" => self.delta(index, &event, out),
            b"contentBlockStop" => self.block_end(index, out),
            b"messageStop" => return self.finish(&event, out),
            b"metadata" => {
                let usage = event.get("usage").and_then(|it| WireUsage::deserialize(it).ok());
                let usage = usage.and_then(|usage| usage.to_usage());
                out.extend(usage.map(StreamEvent::Usage));
                if self.finished {
                    self.end(out);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, out: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(StreamEvent::Start { id: None, model: None, usage: None });
        }
    }

    fn end(&mut self, out: &mut Vec<StreamEvent>) {
        self.over = true;
        out.push(StreamEvent::End);
    }

    fn finish(&mut self, event: &Value, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        let word = str_at(event, "stopReason")
            .ok_or_else(|| BadAnswer::Malformed("the stream has no stop reason".to_owned()))?;
        let reason = finish_reason(word, self.has_calls);
        if reason == FinishReason::Error {
            return Err(BadAnswer::Fault(failed(word)));
        }
        if std::mem::replace(&mut self.finished, true) {
            return Ok(());
        }
        for open in std::mem::take(&mut self.blocks).into_values() {
            end_block(open, out);
        }
        out.push(StreamEvent::Finish { choice: 0, reason });
        Ok(())
    }

    fn block_start(&mut self, index: u64, event: &Value, out: &mut Vec<StreamEvent>) {
        let start = event.get("start").unwrap_or(&Value::Null);
        let call = start.get("toolUse").filter(|call| call.get("type").is_none_or(Value::is_null));
        if let Some(call) = call {
            self.has_calls = true;
            let kind = BlockKind::ToolUse {
                id: text_at(call, "toolUseId").unwrap_or_default(),
                name: text_at(call, "name").unwrap_or_default(),
                custom: false,
            };
            self.begin(index, Kind::Tool, kind, out);
        } else if start.as_object().is_some_and(|start| !start.is_empty()) {
            self.begin(index, Kind::Foreign, BlockKind::Vendor, out);
        }
        // Some servers open blocks of text with an empty start: their first delta says what they are.
    }

    fn begin(
        &mut self,
        index: u64,
        kind: Kind,
        start: BlockKind,
        out: &mut Vec<StreamEvent>,
    ) -> u32 {
        self.block_end(index, out);
        let block = self.next;
        self.next = block.saturating_add(1);
        self.blocks.insert(index, Open { block, kind });
        out.push(StreamEvent::BlockStart { choice: 0, block, kind: start });
        block
    }

    /// The open block of that number and kind, or a new one.
    fn open(
        &mut self,
        index: u64,
        kind: Kind,
        start: BlockKind,
        out: &mut Vec<StreamEvent>,
    ) -> Option<u32> {
        match self.blocks.get(&index) {
            Some(open) if open.kind == kind => Some(open.block),
            Some(Open { kind: Kind::Foreign, .. }) => None,
            _ => Some(self.begin(index, kind, start, out)),
        }
    }

    fn block_end(&mut self, index: u64, out: &mut Vec<StreamEvent>) {
        if let Some(open) = self.blocks.remove(&index) {
            end_block(open, out);
        }
    }

    fn delta(&mut self, index: u64, event: &Value, out: &mut Vec<StreamEvent>) {
        let delta = event.get("delta").unwrap_or(&Value::Null);
        let thinking = BlockKind::Thinking { signed: true };
        let (block, delta) = if let Some(text) = str_at(delta, "text") {
            (self.open(index, Kind::Text, BlockKind::Text, out), Delta::Text(text.to_owned()))
        } else if let Some(call) = delta.get("toolUse") {
            let block = self.blocks.get(&index).filter(|open| open.kind == Kind::Tool);
            let fragment = str_at(call, "input").unwrap_or_default();
            (block.map(|open| open.block), Delta::Input(fragment.to_owned()))
        } else if let Some(reasoning) = delta.get("reasoningContent") {
            if let Some(data) = text_at(reasoning, "redactedContent") {
                self.begin(index, Kind::Redacted, BlockKind::Redacted(blob::read(data)), out);
                return;
            }
            let (text, signature) = (str_at(reasoning, "text"), str_at(reasoning, "signature"));
            let delta = match (text, signature) {
                (Some(text), _) => Delta::Text(text.to_owned()),
                (None, Some(signature)) => Delta::Signature(signature.to_owned()),
                (None, None) => return,
            };
            (self.open(index, Kind::Thinking, thinking, out), delta)
        } else {
            return;
        };
        out.extend(block.map(|block| StreamEvent::Delta { choice: 0, block, delta }));
    }
}

fn end_block(open: Open, out: &mut Vec<StreamEvent>) {
    out.push(StreamEvent::BlockEnd { choice: 0, block: open.block });
}
