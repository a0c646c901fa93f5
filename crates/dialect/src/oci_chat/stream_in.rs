//! A provider's stream as canonical events: each event is a piece of a choice, and the last says why generation ended.
//! Nothing marks the end but the end of the body.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::errors::{classify_object, is_error};
use super::read_answer::{failure, finish_word, logprobs, said, usage_of};
use crate::exchange::StreamEvent;
use crate::json::{Object, str_at, text_at};
use crate::openai_chat::stream_in::State;
use crate::registry::StreamReader;
use crate::sse::SseParser;
use crate::tool_ids;
use crate::wire::BadAnswer;

#[derive(Debug, Default)]
pub(super) struct Reader {
    parser: SseParser,
    pieces: Pieces,
}

impl StreamReader for Reader {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        let Self { parser, pieces } = self;
        let mut result = Ok(());
        parser
            .feed(bytes, |event| {
                if result.is_ok() && !pieces.chat.over {
                    result = pieces.event(event.data, out);
                }
            })
            .map_err(|error| BadAnswer::Malformed(error.to_string()))?;
        result
    }

    fn end(&mut self, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        if self.pieces.chat.over { Ok(()) } else { self.pieces.chat.done(out) }
    }
}

#[derive(Debug, Default)]
pub(super) struct Pieces {
    chat: State,
    /// The calls of each choice so far: how many, and the id of the last as the host gave it.
    calls: BTreeMap<u64, (u64, Option<String>)>,
    /// Whether anything was said.
    said: bool,
}

impl Pieces {
    /// Whether nothing more is read.
    pub(super) fn is_over(&self) -> bool {
        self.chat.over
    }

    /// Whether every choice has said why it ended.
    pub(super) fn is_finished(&self) -> bool {
        self.chat.is_finished()
    }

    pub(super) fn event(
        &mut self,
        data: &[u8],
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), BadAnswer> {
        if data == b"[DONE]" {
            return Ok(());
        }
        let event: Value = serde_json::from_slice(data)
            .map_err(|error| BadAnswer::Malformed(format!("an event is not JSON: {error}")))?;
        let failed = if is_error(&event) { Some(event.clone()) } else { failure(&event) };
        if let Some(error) = failed {
            self.chat.over = true;
            out.push(StreamEvent::Error(classify_object(&error)));
            return Ok(());
        }
        let usage = event.get("usage").filter(|usage| !usage.is_null()).map(usage_of);
        let mut chunk = Object::default();
        chunk.put("choices", self.choice(&event).into_iter().collect::<Vec<_>>());
        chunk.put_some("usage", usage);
        self.chat.chunk(&chunk.into_value(), out)
    }

    fn choice(&mut self, event: &Value) -> Option<Value> {
        let finish = finish_word(event);
        let message = event.get("message").filter(|message| message.is_object());
        if message.is_none() && finish.is_none() {
            return None;
        }
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0);
        // The last event of Cohere's models may say the whole once more.
        let repeats =
            self.said && finish.is_some() && str_at(event, "apiFormat") == Some("COHEREV2");
        let delta = message.filter(|_| !repeats).map(|message| self.delta(index, message));
        let mut choice = Object::default();
        choice.put("index", index);
        choice.put_some("delta", delta);
        choice.put_some("logprobs", logprobs(event));
        choice.put_some("finish_reason", finish);
        Some(choice.into_value())
    }

    fn delta(&mut self, index: u64, message: &Value) -> Value {
        let mut delta = said(message);
        let calls = message.get("toolCalls").and_then(Value::as_array);
        let calls: Vec<Value> =
            calls.into_iter().flatten().map(|call| self.call(index, call)).collect();
        if !calls.is_empty() {
            delta.put("tool_calls", calls);
        }
        self.said |= !delta.0.is_empty();
        delta.into_value()
    }

    /// A call begins with its name. More of its arguments comes without one, or with the same id, or with no id at all.
    fn call(&mut self, index: u64, call: &Value) -> Value {
        let inner = call.get("function").unwrap_or(call);
        let (id, name) = (text_at(call, "id"), text_at(inner, "name"));
        let (count, last) = self.calls.entry(index).or_default();
        let goes_on = *count > 0 && (name.is_none() || id.is_some() && id == *last);
        let arguments = inner.get("arguments").cloned().unwrap_or_default();
        if goes_on {
            return json!({"index": *count - 1, "function": {"arguments": arguments}});
        }
        let at = *count;
        *count = at.saturating_add(1);
        last.clone_from(&id);
        let id = id.unwrap_or_else(|| tool_ids::made_up(&call.to_string(), at));
        json!({"index": at, "id": id, "function": {"name": name, "arguments": arguments}})
    }
}
