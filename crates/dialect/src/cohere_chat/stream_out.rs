//! Canonical events as a v2 chat stream. Content and tool calls are numbered apart, each from 0.

use std::collections::BTreeMap;

use domain::Usage;
use serde_json::{Value, json};

use super::write_answer::{answer_id, finish_word};
use super::{logprobs, usage};
use crate::exchange::{BlockKind, Delta, Reasoning, StreamEvent};
use crate::json::append;
use crate::registry::StreamWriter;
use crate::wire::{AnswerContext, FinishReason};

pub(super) struct Writer {
    id: String,
    reasoning: Reasoning,
    started: bool,
    contents: u32,
    calls: u32,
    /// The reader's numbers of the blocks that are open.
    open: BTreeMap<u32, Open>,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    said_text: bool,
}

/// What a block is written as, and our number of it.
#[derive(Clone, Copy)]
enum Open {
    Text(u32),
    Thinking(u32),
    Call { index: u32, empty: bool },
    Nothing,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext<'_>) -> Self {
        Self {
            id: answer_id(context.request_id),
            reasoning: context.exchange.reasoning,
            started: false,
            contents: 0,
            calls: 0,
            open: BTreeMap::new(),
            usage: None,
            finish: None,
            said_text: false,
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let message = json!({
            "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [],
        });
        let event = json!({"type": "message-start", "id": self.id, "delta": {"message": message}});
        write("message-start", &event, out);
    }

    fn begin(&mut self, block: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        let open = match kind {
            BlockKind::Text | BlockKind::Refusal => {
                self.said_text = true;
                let index = next(&mut self.contents);
                write_start(index, &json!({"type": "text", "text": ""}), out);
                Open::Text(index)
            }
            // Shown to who asked for it, as in whole answers.
            BlockKind::Thinking { .. } if self.reasoning.wants_blocks() => {
                let index = next(&mut self.contents);
                write_start(index, &json!({"type": "thinking", "thinking": ""}), out);
                Open::Thinking(index)
            }
            BlockKind::ToolUse { id, name, .. } => {
                let index = next(&mut self.calls);
                let function = json!({"name": name, "arguments": ""});
                let call = json!({"id": id, "type": "function", "function": function});
                write_call("tool-call-start", index, &call, out);
                Open::Call { index, empty: true }
            }
            BlockKind::Thinking { .. } | BlockKind::Redacted(_) | BlockKind::Vendor => {
                Open::Nothing
            }
        };
        self.open.insert(block, open);
    }

    fn add(&mut self, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        match (self.open.get_mut(&block), delta) {
            (Some(Open::Text(index)), Delta::Text(text)) => write_text(*index, "text", text, out),
            (Some(Open::Thinking(index)), Delta::Text(text)) => {
                write_text(*index, "thinking", text, out);
            }
            (Some(Open::Call { index, empty }), Delta::Input(fragment)) => {
                *empty &= fragment.is_empty();
                write_arguments(*index, fragment, out);
            }
            _ => {}
        }
    }

    fn close(&mut self, block: u32, out: &mut Vec<u8>) {
        match self.open.remove(&block) {
            Some(Open::Text(index) | Open::Thinking(index)) => {
                write("content-end", &json!({"type": "content-end", "index": index}), out);
            }
            Some(Open::Call { index, empty }) => {
                // A call without input still needs arguments that parse.
                if empty {
                    write_arguments(index, "{}", out);
                }
                write("tool-call-end", &json!({"type": "tool-call-end", "index": index}), out);
            }
            Some(Open::Nothing) | None => {}
        }
    }

    /// The figures of tokens that were said, without more text.
    fn figures(&mut self, value: &Value, out: &mut Vec<u8>) {
        self.start(out);
        for item in logprobs::write(value) {
            let event = json!({
                "type": "content-delta", "index": self.contents.saturating_sub(1),
                "delta": {"message": {"content": {"text": ""}}}, "logprobs": item,
            });
            write("content-delta", &event, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        while let Some(block) = self.open.keys().next().copied() {
            self.close(block, out);
        }
        let finish = self.finish.take().unwrap_or(FinishReason::Stop);
        if let (FinishReason::Refusal(Some(why)), false) = (&finish, self.said_text) {
            self.begin(u32::MAX, &BlockKind::Refusal, out);
            self.add(u32::MAX, &Delta::Text(why.clone()), out);
            self.close(u32::MAX, out);
        }
        let mut delta = json!({"finish_reason": finish_word(&finish)});
        if let Some(usage) = &self.usage {
            delta["usage"] = usage::write(usage);
        }
        let event = json!({"type": "message-end", "id": self.id, "delta": delta});
        write("message-end", &event, out);
    }
}

fn next(counter: &mut u32) -> u32 {
    let now = *counter;
    *counter = now.saturating_add(1);
    now
}

/// The name of an event says what its data says.
fn write(name: &str, event: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    append(out, event);
    out.extend_from_slice(b"\n\n");
}

fn write_start(index: u32, content: &Value, out: &mut Vec<u8>) {
    let delta = json!({"message": {"content": content}});
    let event = json!({"type": "content-start", "index": index, "delta": delta});
    write("content-start", &event, out);
}

/// A text delta, by far the most frequent event, without a tree.
fn write_text(index: u32, key: &str, text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":");
    append(out, &index);
    out.extend_from_slice(b",\"delta\":{\"message\":{\"content\":{");
    append(out, key);
    out.push(b':');
    append(out, text);
    out.extend_from_slice(b"}}}}\n\n");
}

fn write_call(name: &str, index: u32, call: &Value, out: &mut Vec<u8>) {
    let delta = json!({"message": {"tool_calls": call}});
    write(name, &json!({"type": name, "index": index, "delta": delta}), out);
}

fn write_arguments(index: u32, fragment: &str, out: &mut Vec<u8>) {
    let call = json!({"function": {"arguments": fragment}});
    write_call("tool-call-delta", index, &call, out);
}

impl StreamWriter for Writer {
    fn event(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
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
            StreamEvent::BlockEnd { choice: 0, block } => self.close(*block, out),
            StreamEvent::Logprobs { choice: 0, value } => self.figures(value, out),
            StreamEvent::Finish { choice: 0, reason } => self.finish = Some(reason.clone()),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            // A comment: keeps what stands between alive, and no client sees it.
            StreamEvent::Ping => out.extend_from_slice(b": ping\n\n"),
            // Errors are written by the server, with what only it knows.
            StreamEvent::BlockStart { .. }
            | StreamEvent::Delta { .. }
            | StreamEvent::BlockEnd { .. }
            | StreamEvent::Finish { .. }
            | StreamEvent::Logprobs { .. }
            | StreamEvent::Error(_) => {}
            StreamEvent::End => self.end(out),
        }
    }
}
