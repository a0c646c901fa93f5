//! Canonical events as a Messages stream. Blocks run strictly one after another here.

use domain::Usage;
use serde_json::{Value, json};

use super::usage;
use super::write_answer::{answer_id, put_stop};
use crate::exchange::{BlockKind, Delta, Reasoning, StreamEvent};
use crate::json::{Object, append};
use crate::registry::StreamWriter;
use crate::tool_ids;
use crate::wire::{AnswerContext, FinishReason};

pub(super) struct Writer {
    id: String,
    model: String,
    reasoning: Reasoning,
    started: bool,
    open: Option<Open>,
    next: u32,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    refused: bool,
    broken: Option<&'static str>,
}

/// The block that is being written.
struct Open {
    /// The reader's number of it.
    block: u32,
    /// Ours; `None` for a block that this client doesn't get.
    index: Option<u32>,
    /// It is reasoning.
    thinking: bool,
    /// Its text stays out.
    hidden: bool,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext<'_>) -> Self {
        Self {
            id: answer_id(context.request_id),
            model: context.model.to_owned(),
            reasoning: context.exchange.reasoning,
            started: false,
            open: None,
            next: 0,
            usage: None,
            finish: None,
            refused: false,
            broken: None,
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let counts = usage::write(&self.usage.unwrap_or_default());
        let message = json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": counts,
        });
        write("message_start", &json!({"type": "message_start", "message": message}), out);
    }

    fn begin(&mut self, block: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        self.close(out);
        let hidden = matches!(kind, BlockKind::Thinking { .. }) && self.reasoning.hide_text;
        let content = match kind {
            BlockKind::Text => Some(json!({"type": "text", "text": ""})),
            BlockKind::Refusal => {
                self.refused = true;
                Some(json!({"type": "text", "text": ""}))
            }
            BlockKind::Thinking { .. } | BlockKind::Redacted(_)
                if !self.reasoning.wants_blocks() =>
            {
                None
            }
            // Hidden and unsigned: nothing of it would be left.
            BlockKind::Thinking { signed: false } if hidden => None,
            BlockKind::Thinking { .. } => {
                Some(json!({"type": "thinking", "thinking": "", "signature": ""}))
            }
            BlockKind::Redacted(data) => Some(json!({"type": "redacted_thinking", "data": data})),
            BlockKind::ToolUse { id, name, .. } => {
                let id = tool_ids::for_messages_client(id);
                Some(json!({"type": "tool_use", "id": id, "name": name, "input": {}}))
            }
            BlockKind::Vendor => None,
        };
        let index = content.map(|content| {
            let index = self.next;
            self.next = index.saturating_add(1);
            let event = json!({
                "type": "content_block_start", "index": index, "content_block": content,
            });
            write("content_block_start", &event, out);
            index
        });
        let thinking = matches!(kind, BlockKind::Thinking { .. });
        self.open = Some(Open { block, index, thinking, hidden });
    }

    fn add(&mut self, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(open) = self.open.as_ref().filter(|open| open.block == block) else {
            // A fragment for a block that has ended: writing it elsewhere would falsify a call.
            self.broken = Some("the provider mixed the fragments of several tool calls");
            return;
        };
        let Some(index) = open.index else { return };
        let delta = match delta {
            Delta::Text(_) if open.hidden => return,
            Delta::Text(text) if open.thinking => {
                json!({"type": "thinking_delta", "thinking": text})
            }
            Delta::Text(text) => return write_text(index, text, out),
            Delta::Signature(signature) => {
                json!({"type": "signature_delta", "signature": signature})
            }
            Delta::Input(fragment) => {
                json!({"type": "input_json_delta", "partial_json": fragment})
            }
        };
        let event = json!({"type": "content_block_delta", "index": index, "delta": delta});
        write("content_block_delta", &event, out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some(Open { index: Some(index), .. }) = self.open.take() {
            let event = json!({"type": "content_block_stop", "index": index});
            write("content_block_stop", &event, out);
        }
    }

    /// The stop reason and the usage go together, and a provider may send them apart.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        let mut delta = Object::default();
        let finish = self.finish.take().unwrap_or(FinishReason::Stop);
        put_stop(&mut delta, &finish, self.refused);
        let event = json!({
            "type": "message_delta",
            "delta": delta.into_value(),
            "usage": usage::write(&self.usage.unwrap_or_default()),
        });
        write("message_delta", &event, out);
        write("message_stop", &json!({"type": "message_stop"}), out);
    }
}

/// Clients drop events without a name (protocols A4).
fn write(name: &str, event: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    append(out, event);
    out.extend_from_slice(b"\n\n");
}

/// A text delta, by far the most frequent event, without a tree.
fn write_text(index: u32, text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
    );
    append(out, &index);
    out.extend_from_slice(b",\"delta\":{\"type\":\"text_delta\",\"text\":");
    append(out, text);
    out.extend_from_slice(b"}}\n\n");
}

impl StreamWriter for Writer {
    fn event(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if self.broken.is_some() {
            return;
        }
        match event {
            StreamEvent::Start { model, usage, .. } => {
                if let Some(model) = model {
                    self.model.clone_from(model);
                }
                self.usage = *usage;
                self.start(out);
            }
            // A client of this dialect can't ask for more than one answer.
            StreamEvent::BlockStart { choice: 0, block, kind } => {
                self.start(out);
                self.begin(*block, kind, out);
            }
            StreamEvent::Delta { choice: 0, block, delta } => {
                self.add(*block, delta, out);
            }
            StreamEvent::BlockEnd { choice: 0, block } => {
                if self.open.as_ref().is_some_and(|open| open.block == *block) {
                    self.close(out);
                }
            }
            StreamEvent::Finish { choice: 0, reason } => self.finish = Some(reason.clone()),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Ping => {
                if self.started {
                    write("ping", &json!({"type": "ping"}), out);
                }
            }
            // Errors are written by the server, with what only it knows.
            StreamEvent::BlockStart { .. }
            | StreamEvent::Delta { .. }
            | StreamEvent::BlockEnd { .. }
            | StreamEvent::Finish { .. }
            | StreamEvent::Logprobs { .. }
            | StreamEvent::Error(_) => {}
            StreamEvent::End => {
                self.start(out);
                self.end(out);
            }
        }
    }

    fn broken(&self) -> Option<&'static str> {
        self.broken
    }
}
