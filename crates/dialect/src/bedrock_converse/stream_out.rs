//! Canonical events as a ConverseStream. Blocks run strictly one after another here, and only calls are opened: an empty
//! `start` makes botocore fail (protocols 0.7).

use domain::Usage;
use serde_json::{Value, json};

use super::usage;
use super::write_answer::{metrics, stop_word};
use super::write_blocks::redacted_block;
use crate::event_stream::append_event;
use crate::exchange::{BlockKind, Delta, Reasoning, StreamEvent};
use crate::json::{append, to_bytes};
use crate::registry::StreamWriter;
use crate::tool_ids;
use crate::wire::{AnswerContext, FinishReason};

pub(super) struct Writer {
    reasoning: Reasoning,
    started: bool,
    open: Option<Open>,
    next: u32,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    refused: bool,
    took_ms: u64,
    broken: Option<&'static str>,
}

/// The block that is being read.
struct Open {
    /// The reader's number of it.
    block: u32,
    kind: Kind,
    /// Ours, once something of it is written.
    index: Option<u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Thinking,
    /// A call, and whether no input has come yet.
    Tool {
        empty: bool,
    },
    /// This client doesn't get it.
    Nothing,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext<'_>) -> Self {
        Self {
            reasoning: context.exchange.reasoning,
            started: false,
            open: None,
            next: 0,
            usage: None,
            finish: None,
            refused: false,
            took_ms: context.took_ms,
            broken: None,
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            write("messageStart", &json!({"role": "assistant"}), out);
        }
    }

    fn begin(&mut self, block: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        self.close(out);
        let shown = self.reasoning.is_on();
        let kind = match kind {
            BlockKind::Text => Kind::Text,
            BlockKind::Refusal => {
                self.refused = true;
                Kind::Text
            }
            BlockKind::Thinking { .. } if shown => Kind::Thinking,
            BlockKind::ToolUse { id, name, .. } => {
                let index = self.number();
                let id = tool_ids::for_messages(id);
                let start = json!({"toolUse": {"toolUseId": id, "name": name}});
                let event = json!({"start": start, "contentBlockIndex": index});
                write("contentBlockStart", &event, out);
                let kind = Kind::Tool { empty: true };
                self.open = Some(Open { block, kind, index: Some(index) });
                return;
            }
            BlockKind::Redacted(data) if shown => {
                let index = self.number();
                write_delta(index, &redacted_block(data), out);
                self.open = Some(Open { block, kind: Kind::Nothing, index: Some(index) });
                return;
            }
            BlockKind::Thinking { .. } | BlockKind::Redacted(_) | BlockKind::Vendor => {
                Kind::Nothing
            }
        };
        self.open = Some(Open { block, kind, index: None });
    }

    fn number(&mut self) -> u32 {
        let index = self.next;
        self.next = index.saturating_add(1);
        index
    }

    fn add(&mut self, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.take_if(|open| open.block == block) else {
            // A fragment for a block that has ended: writing it elsewhere would falsify a call.
            self.broken = Some("the provider mixed the fragments of several tool calls");
            return;
        };
        let hidden = self.reasoning.hide_text;
        let written = match (open.kind, delta) {
            (Kind::Text, Delta::Text(text)) => {
                let index = *open.index.get_or_insert_with(|| self.number());
                write_text(index, text, out);
                None
            }
            (Kind::Thinking, Delta::Text(text)) if !hidden => {
                Some(json!({"reasoningContent": {"text": text}}))
            }
            (Kind::Thinking, Delta::Signature(signature)) => {
                Some(json!({"reasoningContent": {"signature": signature}}))
            }
            (Kind::Tool { empty }, Delta::Input(fragment)) => {
                open.kind = Kind::Tool { empty: empty && fragment.is_empty() };
                (!fragment.is_empty()).then(|| json!({"toolUse": {"input": fragment}}))
            }
            _ => None,
        };
        if let Some(delta) = written {
            let index = *open.index.get_or_insert_with(|| self.number());
            write_delta(index, &delta, out);
        }
        self.open = Some(open);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(Open { kind, index: Some(index), .. }) = self.open.take() else { return };
        // A call without input still needs one that parses.
        if kind == (Kind::Tool { empty: true }) {
            write_delta(index, &json!({"toolUse": {"input": "{}"}}), out);
        }
        write("contentBlockStop", &json!({"contentBlockIndex": index}), out);
    }

    /// The stop reason and the usage come last, in this order.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        let finish = self.finish.take().unwrap_or(FinishReason::Stop);
        write("messageStop", &json!({"stopReason": stop_word(&finish, self.refused)}), out);
        let usage = usage::write(&self.usage.unwrap_or_default());
        write("metadata", &json!({"usage": usage, "metrics": metrics(self.took_ms)}), out);
    }
}

fn write(name: &str, event: &Value, out: &mut Vec<u8>) {
    append_event(name, &to_bytes(event), out);
}

fn write_delta(index: u32, delta: &Value, out: &mut Vec<u8>) {
    write("contentBlockDelta", &json!({"delta": delta, "contentBlockIndex": index}), out);
}

/// A text delta, by far the most frequent event, without a tree.
fn write_text(index: u32, text: &str, out: &mut Vec<u8>) {
    let mut payload = Vec::with_capacity(text.len() + 48);
    payload.extend_from_slice(b"{\"delta\":{\"text\":");
    append(&mut payload, text);
    payload.extend_from_slice(b"},\"contentBlockIndex\":");
    append(&mut payload, &index);
    payload.push(b'}');
    append_event("contentBlockDelta", &payload, out);
}

impl StreamWriter for Writer {
    fn event(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if self.broken.is_some() {
            return;
        }
        match event {
            StreamEvent::Start { usage, .. } => {
                self.usage = *usage;
                self.start(out);
            }
            // A client of this dialect can't ask for more than one answer.
            StreamEvent::BlockStart { choice: 0, block, kind } => {
                self.start(out);
                self.begin(*block, kind, out);
            }
            StreamEvent::Delta { choice: 0, block, delta } => self.add(*block, delta, out),
            StreamEvent::BlockEnd { choice: 0, block } => {
                if self.open.as_ref().is_some_and(|open| open.block == *block) {
                    self.close(out);
                }
            }
            StreamEvent::Finish { choice: 0, reason } => self.finish = Some(reason.clone()),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            // Errors are written by the server, with what only it knows. There is no event that says nothing.
            StreamEvent::BlockStart { .. }
            | StreamEvent::Delta { .. }
            | StreamEvent::BlockEnd { .. }
            | StreamEvent::Finish { .. }
            | StreamEvent::Logprobs { .. }
            | StreamEvent::Ping
            | StreamEvent::Error(_) => {}
            StreamEvent::End => {
                self.start(out);
                self.end(out);
            }
        }
    }

    fn took(&mut self, millis: u64) {
        self.took_ms = millis;
    }

    fn broken(&self) -> Option<&'static str> {
        self.broken
    }
}
