//! A provider's Messages stream as canonical events.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::errors::classify_object;
use super::read_answer::finish_reason;
use super::usage::WireUsage;
use crate::exchange::{BlockKind, Delta, StreamEvent};
use crate::json::{str_at, text_at, to_bytes, to_text};
use crate::registry::StreamReader;
use crate::sse::SseParser;
use crate::wire::BadAnswer;

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

    fn end(&mut self, _out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        if self.state.over { Ok(()) } else { Err(BadAnswer::Cut) }
    }
}

#[derive(Debug, Default)]
struct State {
    over: bool,
    finished: bool,
    has_calls: bool,
    usage: WireUsage,
    /// Blocks whose deltas mean nothing to us.
    foreign: BTreeSet<u32>,
}

impl State {
    fn event(&mut self, data: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        let event: Value = serde_json::from_slice(data)
            .map_err(|error| BadAnswer::Malformed(format!("an event is not JSON: {error}")))?;
        let block = || {
            let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
            u32::try_from(index).unwrap_or(u32::MAX)
        };
        match str_at(&event, "type").unwrap_or_default() {
            "message_start" => self.start(&event, out),
            "content_block_start" => self.block_start(block(), &event, out),
            "content_block_delta" if !self.foreign.contains(&block()) => {
                let delta = event.get("delta").and_then(read_delta);
                out.extend(delta.map(|delta| StreamEvent::Delta {
                    choice: 0,
                    block: block(),
                    delta,
                }));
            }
            "content_block_stop" => out.push(StreamEvent::BlockEnd { choice: 0, block: block() }),
            "message_delta" => self.message_delta(&event, out),
            "message_stop" => {
                if !self.finished {
                    return Err(BadAnswer::Malformed("the stream has no stop reason".to_owned()));
                }
                self.over = true;
                out.push(StreamEvent::End);
            }
            "ping" => out.push(StreamEvent::Ping),
            "error" => {
                self.over = true;
                let error = event.get("error").unwrap_or(&Value::Null);
                out.push(StreamEvent::Error(classify_object(&to_bytes(error))));
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, event: &Value, out: &mut Vec<StreamEvent>) {
        let message = event.get("message").unwrap_or(&Value::Null);
        out.push(StreamEvent::Start {
            id: text_at(message, "id"),
            model: text_at(message, "model"),
            usage: self.take_usage(message),
        });
    }

    /// Takes over a usage object; `None` when there was none.
    fn take_usage(&mut self, of: &Value) -> Option<domain::Usage> {
        let usage = of.get("usage").and_then(|usage| WireUsage::deserialize(usage).ok())?;
        self.usage.merge(usage);
        self.usage.to_usage()
    }

    fn block_start(&mut self, block: u32, event: &Value, out: &mut Vec<StreamEvent>) {
        let content = event.get("content_block").unwrap_or(&Value::Null);
        // What the block already holds when it begins: nothing at Anthropic, all of it at some hosts.
        let mut initial = None;
        let kind = match str_at(content, "type").unwrap_or_default() {
            "text" => {
                initial = text_at(content, "text").map(Delta::Text);
                BlockKind::Text
            }
            "thinking" => {
                initial = text_at(content, "thinking").map(Delta::Text);
                BlockKind::Thinking { signed: true }
            }
            "redacted_thinking" => {
                BlockKind::Redacted(text_at(content, "data").unwrap_or_default())
            }
            "tool_use" => {
                self.has_calls = true;
                let input = content.get("input").and_then(Value::as_object);
                let input = input.filter(|input| !input.is_empty());
                initial = input.map(|input| Delta::Input(to_text(&Value::Object(input.clone()))));
                BlockKind::ToolUse {
                    id: text_at(content, "id").unwrap_or_default(),
                    name: text_at(content, "name").unwrap_or_default(),
                    custom: false,
                }
            }
            _ => {
                self.foreign.insert(block);
                BlockKind::Vendor
            }
        };
        out.push(StreamEvent::BlockStart { choice: 0, block, kind });
        out.extend(initial.map(|delta| StreamEvent::Delta { choice: 0, block, delta }));
    }

    fn message_delta(&mut self, event: &Value, out: &mut Vec<StreamEvent>) {
        let delta = event.get("delta").unwrap_or(&Value::Null);
        if let (Some(reason), false) = (finish_reason(delta, self.has_calls), self.finished) {
            self.finished = true;
            out.push(StreamEvent::Finish { choice: 0, reason });
        }
        out.extend(self.take_usage(event).map(StreamEvent::Usage));
    }
}

fn read_delta(delta: &Value) -> Option<Delta> {
    let text = |key| str_at(delta, key).map(str::to_owned);
    match str_at(delta, "type")? {
        "text_delta" => text("text").map(Delta::Text),
        "thinking_delta" => text("thinking").map(Delta::Text),
        "signature_delta" => text("signature").map(Delta::Signature),
        "input_json_delta" => text("partial_json").map(Delta::Input),
        _ => None,
    }
}
