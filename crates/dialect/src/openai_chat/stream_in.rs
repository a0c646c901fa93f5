//! A provider's chat completion stream as canonical events. The protocol has no blocks: one begins where the kind
//! of what is streamed changes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::errors::classify_object;
use super::read_answer::{error_of, failed, finish_reason, made_up_id, read_usage, thinking_text};
use super::reasoning_fields;
use crate::exchange::{BlockKind, Delta, StreamEvent};
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

    fn end(&mut self, _out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        if self.state.over { Ok(()) } else { Err(BadAnswer::Cut) }
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    started: bool,
    /// After the end or an error: nothing more is read.
    pub(crate) over: bool,
    id: String,
    choices: BTreeMap<u32, ChoiceState>,
}

#[derive(Debug, Default)]
struct ChoiceState {
    next: u32,
    open: Option<(u32, Open)>,
    /// The provider's index of a tool call -> its id and block.
    calls: BTreeMap<u64, (String, u32)>,
    finished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Open {
    Text,
    Thinking,
    Refusal,
    Tool,
}

impl State {
    fn event(&mut self, data: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        if data == b"[DONE]" {
            return self.done(out);
        }
        let chunk: Value = serde_json::from_slice(data)
            .map_err(|error| BadAnswer::Malformed(format!("an event is not JSON: {error}")))?;
        self.chunk(&chunk, out)
    }

    /// Takes the next chunk.
    pub(crate) fn chunk(
        &mut self,
        chunk: &Value,
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), BadAnswer> {
        if let Some(error) = error_of(chunk) {
            self.over = true;
            out.push(StreamEvent::Error(classify_object(&to_bytes(error))));
            return Ok(());
        }
        let none = Vec::new();
        let choices = chunk.get("choices").and_then(Value::as_array).unwrap_or(&none);
        let usage = chunk.get("usage").and_then(read_usage).or_else(|| {
            // Groq's own place.
            chunk.get("x_groq").and_then(|own| own.get("usage")).and_then(read_usage)
        });
        // Azure's first chunk names neither model nor choices: the answer begins with the next.
        if !self.started && (!choices.is_empty() || usage.is_some()) {
            self.started = true;
            self.id = text_at(chunk, "id").unwrap_or_default();
            out.push(StreamEvent::Start {
                id: text_at(chunk, "id"),
                model: text_at(chunk, "model"),
                usage: None,
            });
        }
        for choice in choices {
            self.choice(choice, out)?;
        }
        out.extend(usage.map(StreamEvent::Usage));
        Ok(())
    }

    /// At the end that the protocol marks.
    pub(crate) fn done(&mut self, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        if !self.is_finished() {
            return Err(BadAnswer::Cut);
        }
        self.over = true;
        out.push(StreamEvent::End);
        Ok(())
    }

    /// Whether every choice has said why it ended.
    pub(crate) fn is_finished(&self) -> bool {
        !self.choices.is_empty() && self.choices.values().all(|choice| choice.finished)
    }

    fn choice(&mut self, raw: &Value, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        let index = raw.get("index").and_then(Value::as_u64).unwrap_or(0);
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let state = self.choices.entry(index).or_default();
        let mut cursor = Cursor { index, state, id: &self.id, out };
        if let Some(delta) = raw.get("delta") {
            cursor.delta(delta);
        }
        if let Some(value) = raw.get("logprobs").filter(|value| !value.is_null()) {
            cursor.out.push(StreamEvent::Logprobs { choice: index, value: value.clone() });
        }
        if let Some(word) = str_at(raw, "finish_reason") {
            cursor.finish(word)?;
        }
        Ok(())
    }
}

/// One choice, being read.
struct Cursor<'a> {
    index: u32,
    state: &'a mut ChoiceState,
    id: &'a str,
    out: &'a mut Vec<StreamEvent>,
}

impl Cursor<'_> {
    fn delta(&mut self, delta: &Value) {
        self.reasoning(delta);
        match delta.get("content") {
            Some(Value::String(text)) => self.text(Open::Text, text),
            Some(Value::Array(pieces)) => pieces.iter().for_each(|piece| self.piece(piece)),
            _ => {}
        }
        self.text(Open::Refusal, str_at(delta, "refusal").unwrap_or_default());
        let calls = delta.get("tool_calls").and_then(Value::as_array);
        for (place, call) in calls.into_iter().flatten().enumerate() {
            let index = call.get("index").and_then(Value::as_u64).unwrap_or(place as u64);
            self.call(index, call);
        }
        if let Some(function) = delta.get("function_call").filter(|call| call.is_object()) {
            let call = serde_json::json!({"function": function});
            self.call(0, &call);
        }
    }

    fn piece(&mut self, piece: &Value) {
        match str_at(piece, "type") {
            Some("text") => self.text(Open::Text, str_at(piece, "text").unwrap_or_default()),
            Some("thinking") => self.text(Open::Thinking, &thinking_text(piece)),
            _ => {}
        }
    }

    /// Details, where there are any, say the same as the plain fields and more.
    fn reasoning(&mut self, delta: &Value) {
        let details = delta.get("reasoning_details").and_then(Value::as_array);
        let details = details.map_or(&[][..], Vec::as_slice);
        let has_text = details.iter().any(|it| reasoning_fields::detail_text(it).is_some());
        if !has_text {
            let plain = [delta.get("reasoning_content").cloned(), delta.get("reasoning").cloned()];
            if let Some(text) = reasoning_fields::plain_text(&plain) {
                self.thinking(&text, !details.is_empty());
            }
        }
        for detail in details {
            if let Some(data) = reasoning_fields::bound(detail, "data") {
                self.close();
                let block = self.begin(BlockKind::Redacted(data));
                self.out.push(StreamEvent::BlockEnd { choice: self.index, block });
                continue;
            }
            if let Some(text) = reasoning_fields::detail_text(detail) {
                self.thinking(text, true);
            }
            if let Some(signature) = reasoning_fields::bound(detail, "signature") {
                let block = self.open(Open::Thinking, BlockKind::Thinking { signed: true });
                self.push(block, Delta::Signature(signature));
                // What follows a signature is a block of its own.
                self.close();
            }
        }
    }

    fn thinking(&mut self, text: &str, signed: bool) {
        let block = self.open(Open::Thinking, BlockKind::Thinking { signed });
        self.push(block, Delta::Text(text.to_owned()));
    }

    fn text(&mut self, kind: Open, text: &str) {
        if text.is_empty() {
            return;
        }
        let block = match kind {
            Open::Refusal => self.open(kind, BlockKind::Refusal),
            Open::Thinking => self.open(kind, BlockKind::Thinking { signed: false }),
            Open::Text | Open::Tool => self.open(kind, BlockKind::Text),
        };
        self.push(block, Delta::Text(text.to_owned()));
    }

    fn call(&mut self, index: u64, call: &Value) {
        let custom = call.get("custom").filter(|custom| custom.is_object());
        let inner = custom.or_else(|| call.get("function")).unwrap_or(&Value::Null);
        let id = text_at(call, "id");
        let known = self.state.calls.get(&index);
        // Some hosts give every parallel call the index 0; a new id with a name is a new call.
        let is_new = match (known, &id) {
            (None, _) => true,
            (Some((last, _)), Some(id)) => last != id && text_at(inner, "name").is_some(),
            (Some(_), None) => false,
        };
        if is_new {
            self.close();
            let id = id.unwrap_or_else(|| made_up_id(self.id, self.state.next.into()));
            let name = str_at(inner, "name").unwrap_or_default().to_owned();
            let kind = BlockKind::ToolUse { id: id.clone(), name, custom: custom.is_some() };
            let block = self.begin(kind);
            self.state.open = Some((block, Open::Tool));
            self.state.calls.insert(index, (id, block));
        }
        let key = if custom.is_some() { "input" } else { "arguments" };
        let fragment = match inner.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(value @ Value::Object(_)) => crate::json::to_text(value),
            _ => String::new(),
        };
        if let (Some((_, block)), false) = (self.state.calls.get(&index), fragment.is_empty()) {
            let block = *block;
            self.push(block, Delta::Input(fragment));
        }
    }

    fn finish(&mut self, word: &str) -> Result<(), BadAnswer> {
        let reason = finish_reason(word, !self.state.calls.is_empty());
        if reason == FinishReason::Error {
            return Err(failed(word));
        }
        if std::mem::replace(&mut self.state.finished, true) {
            return Ok(());
        }
        self.close();
        self.out.push(StreamEvent::Finish { choice: self.index, reason });
        Ok(())
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
