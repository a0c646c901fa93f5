//! A provider's v2 chat stream as canonical events.

use std::collections::BTreeMap;

use serde_json::Value;

use super::errors::{classify_object, ended};
use super::logprobs;
use super::read_answer::{finish_reason, read_call, read_usage};
use crate::exchange::{BlockKind, Delta, StreamEvent};
use crate::json::{str_at, text_at, to_bytes};
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

/// A block as the provider numbers it: content and calls each from 0, the plan not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Plan,
    Content(u64),
    Call(u64),
}

#[derive(Debug, Default)]
struct State {
    /// After the end or an error: nothing more is read.
    over: bool,
    id: String,
    next: u32,
    open: BTreeMap<Key, u32>,
    has_calls: bool,
}

impl State {
    fn event(&mut self, data: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        // The SDK knows it as an end, and some hosts send it after the end.
        if data == b"[DONE]" {
            return Ok(());
        }
        let event: Value = serde_json::from_slice(data)
            .map_err(|error| BadAnswer::Malformed(format!("an event is not JSON: {error}")))?;
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        let none = &Value::Null;
        let delta = event.get("delta").unwrap_or(none);
        let message = delta.get("message").unwrap_or(none);
        let content = message.get("content").unwrap_or(none);
        match str_at(&event, "type").unwrap_or_default() {
            "message-start" => {
                self.id = text_at(&event, "id").unwrap_or_default();
                out.push(StreamEvent::Start {
                    id: text_at(&event, "id"),
                    model: text_at(&event, "model"),
                    usage: None,
                });
            }
            "content-start" => {
                self.begin(Key::Content(index), kind_of(content), out);
                self.say(index, content, out);
            }
            "content-delta" => {
                self.say(index, content, out);
                let figures = event.get("logprobs").and_then(logprobs::read);
                out.extend(figures.map(|value| StreamEvent::Logprobs { choice: 0, value }));
            }
            "content-end" => self.end(Key::Content(index), out),
            "tool-plan-delta" => {
                if let Some(text) = text_at(message, "tool_plan") {
                    let block = self.block(Key::Plan, BlockKind::Text, out);
                    push(block, Delta::Text(text), out);
                }
            }
            "tool-call-start" => self.call(index, message.get("tool_calls").unwrap_or(none), out),
            "tool-call-delta" => {
                let function = message.get("tool_calls").and_then(|call| call.get("function"));
                let fragment = function.and_then(|function| text_at(function, "arguments"));
                if let (Some(fragment), Some(block)) = (fragment, self.open.get(&Key::Call(index)))
                {
                    push(*block, Delta::Input(fragment), out);
                }
            }
            "tool-call-end" => self.end(Key::Call(index), out),
            "message-end" => return self.message_end(delta, out),
            "" if event.get("message").is_some_and(Value::is_string) => {
                self.over = true;
                out.push(StreamEvent::Error(classify_object(&to_bytes(&event))));
            }
            // Citations, which have no place elsewhere, and what is not known.
            _ => {}
        }
        Ok(())
    }

    /// More of a content block, which begins with it where no start was sent.
    fn say(&mut self, index: u64, content: &Value, out: &mut Vec<StreamEvent>) {
        let text = ["thinking", "text"].iter().find_map(|key| text_at(content, key));
        if let Some(text) = text {
            let block = self.block(Key::Content(index), kind_of(content), out);
            push(block, Delta::Text(text), out);
        }
    }

    fn call(&mut self, index: u64, raw: &Value, out: &mut Vec<StreamEvent>) {
        self.has_calls = true;
        let call = read_call(raw, &self.id, index);
        let kind = BlockKind::ToolUse { id: call.id, name: call.name, custom: false };
        let block = self.begin(Key::Call(index), kind, out);
        if !call.input.is_empty() {
            push(block, Delta::Input(call.input), out);
        }
    }

    fn message_end(&mut self, delta: &Value, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        let word = str_at(delta, "finish_reason")
            .ok_or_else(|| BadAnswer::Malformed("the stream has no finish reason".to_owned()))?;
        self.over = true;
        let usage = delta.get("usage").and_then(read_usage).map(StreamEvent::Usage);
        let Some(reason) = finish_reason(word, self.has_calls) else {
            out.extend(usage);
            out.push(StreamEvent::Error(ended(word, str_at(delta, "error"))));
            return Ok(());
        };
        while let Some((_, block)) = self.open.pop_first() {
            out.push(StreamEvent::BlockEnd { choice: 0, block });
        }
        out.push(StreamEvent::Finish { choice: 0, reason });
        out.extend(usage);
        out.push(StreamEvent::End);
        Ok(())
    }

    fn block(&mut self, key: Key, kind: BlockKind, out: &mut Vec<StreamEvent>) -> u32 {
        match self.open.get(&key) {
            Some(block) => *block,
            None => self.begin(key, kind, out),
        }
    }

    /// The plan has no end of its own: whatever begins ends it.
    fn begin(&mut self, key: Key, kind: BlockKind, out: &mut Vec<StreamEvent>) -> u32 {
        self.end(Key::Plan, out);
        self.end(key, out);
        let block = self.next;
        self.next = block.saturating_add(1);
        self.open.insert(key, block);
        out.push(StreamEvent::BlockStart { choice: 0, block, kind });
        block
    }

    fn end(&mut self, key: Key, out: &mut Vec<StreamEvent>) {
        if let Some(block) = self.open.remove(&key) {
            out.push(StreamEvent::BlockEnd { choice: 0, block });
        }
    }
}

fn kind_of(content: &Value) -> BlockKind {
    let is_thinking = match str_at(content, "type") {
        Some(kind) => kind == "thinking",
        None => content.get("thinking").is_some_and(Value::is_string),
    };
    if is_thinking { BlockKind::Thinking { signed: false } } else { BlockKind::Text }
}

fn push(block: u32, delta: Delta, out: &mut Vec<StreamEvent>) {
    out.push(StreamEvent::Delta { choice: 0, block, delta });
}
