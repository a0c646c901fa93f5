//! A provider's Responses stream as canonical events. Items are told apart by their place in the output, the texts of a
//! message by theirs within it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::errors::classify_object;
use super::read_answer::{
    error_of, incomplete_reason, is_call, logprobs_value, read_call, read_output, read_usage,
    reason_of,
};
use super::reasoning_items;
use crate::exchange::{BlockKind, Delta, PartKind, StreamEvent};
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

/// Place of an item in the output, and of a text within it.
type Place = (u64, u64);

#[derive(Debug, Default)]
struct State {
    started: bool,
    over: bool,
    next: u32,
    has_calls: bool,
    blocks: BTreeMap<Place, Block>,
    reasoning: BTreeMap<u64, Reasoning>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    number: u32,
    /// Something was said in it.
    filled: bool,
    open: bool,
}

/// What a reasoning item is known to be.
#[derive(Clone, Copy, Debug, Default)]
struct Reasoning {
    /// Its vendor encrypts it.
    signed: bool,
    /// The text itself, rather than a summary, is being sent.
    in_clear: Option<bool>,
    /// The part of the summary that is being sent.
    part: u64,
}

fn number(event: &Value, key: &str) -> u64 {
    event.get(key).and_then(Value::as_u64).unwrap_or(0)
}

impl State {
    fn event(&mut self, data: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        if data == b"[DONE]" {
            // Not of the protocol; some hosts send it after the end.
            return Ok(());
        }
        let event: Value = serde_json::from_slice(data)
            .map_err(|error| BadAnswer::Malformed(format!("an event is not JSON: {error}")))?;
        let place = (number(&event, "output_index"), number(&event, "content_index"));
        match str_at(&event, "type").unwrap_or_default() {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(&event, out);
            }
            "response.output_item.added" => self.item_added(place.0, &event, out),
            "response.output_text.delta" => self.text(place, BlockKind::Text, &event, out),
            "response.refusal.delta" => self.text(place, BlockKind::Refusal, &event, out),
            "response.output_text.done" => {
                self.text_done(place, BlockKind::Text, str_at(&event, "text"), out);
            }
            "response.refusal.done" => {
                self.text_done(place, BlockKind::Refusal, str_at(&event, "refusal"), out);
            }
            "response.reasoning_summary_text.delta" => self.thinking(place.0, false, &event, out),
            "response.reasoning_text.delta" => self.thinking(place.0, true, &event, out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let fragment = str_at(&event, "delta").unwrap_or_default();
                self.push((place.0, 0), Delta::Input(fragment.to_owned()), out);
            }
            "response.output_item.done" => self.item_done(place.0, &event, out),
            kind @ ("response.completed" | "response.incomplete") => {
                self.finish(kind == "response.completed", &event, out)?;
            }
            "response.failed" => {
                let response = event.get("response").unwrap_or(&Value::Null);
                self.fail(error_of(response).unwrap_or(response), out);
            }
            // The fields stand in the event itself, or in an object.
            "error" => self.fail(error_of(&event).unwrap_or(&event), out),
            _ => {
                if let Some(error) = error_of(&event) {
                    self.fail(error, out);
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: &Value, out: &mut Vec<StreamEvent>) {
        self.over = true;
        out.push(StreamEvent::Error(classify_object(&to_bytes(error))));
    }

    fn start(&mut self, event: &Value, out: &mut Vec<StreamEvent>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let response = event.get("response").unwrap_or(&Value::Null);
        out.push(StreamEvent::Start {
            id: text_at(response, "id"),
            model: text_at(response, "model"),
            usage: None,
        });
    }

    fn item_added(&mut self, index: u64, event: &Value, out: &mut Vec<StreamEvent>) {
        let item = event.get("item").unwrap_or(&Value::Null);
        if is_call(item) {
            self.call(index, item, out);
        } else if str_at(item, "type") == Some("reasoning") {
            let signed = text_at(item, "encrypted_content").is_some();
            self.reasoning.insert(index, Reasoning { signed, ..Reasoning::default() });
        }
    }

    /// Opens a call, with what is there of its input.
    fn call(&mut self, index: u64, item: &Value, out: &mut Vec<StreamEvent>) {
        self.has_calls = true;
        let call = read_call(item);
        let kind = BlockKind::ToolUse { id: call.id, name: call.name, custom: call.custom };
        self.open((index, 0), kind, out);
        self.push((index, 0), Delta::Input(call.input), out);
    }

    fn text(&mut self, place: Place, kind: BlockKind, event: &Value, out: &mut Vec<StreamEvent>) {
        let text = str_at(event, "delta").unwrap_or_default();
        if !text.is_empty() {
            self.open(place, kind, out);
            self.push(place, Delta::Text(text.to_owned()), out);
        }
        let tokens = event.get("logprobs").and_then(Value::as_array);
        if let Some(tokens) = tokens.filter(|tokens| !tokens.is_empty()) {
            let value = logprobs_value(tokens);
            out.push(StreamEvent::Logprobs { choice: 0, value });
        }
    }

    /// The whole text: said already, but by hosts that send no pieces.
    fn text_done(
        &mut self,
        place: Place,
        kind: BlockKind,
        text: Option<&str>,
        out: &mut Vec<StreamEvent>,
    ) {
        if let (Some(text), None) = (text.filter(|it| !it.is_empty()), self.blocks.get(&place)) {
            self.open(place, kind, out);
            self.push(place, Delta::Text(text.to_owned()), out);
        }
        self.close(place, out);
    }

    fn thinking(&mut self, index: u64, clear: bool, event: &Value, out: &mut Vec<StreamEvent>) {
        let text = str_at(event, "delta").unwrap_or_default();
        let part = number(event, if clear { "content_index" } else { "summary_index" });
        let state = self.reasoning.entry(index).or_default();
        // A host that sends both says the same twice.
        if text.is_empty() || *state.in_clear.get_or_insert(clear) != clear {
            return;
        }
        let signed = state.signed;
        let begins_part = std::mem::replace(&mut state.part, part) != part;
        let is_more = self.blocks.contains_key(&(index, 0));
        self.open((index, 0), BlockKind::Thinking { signed }, out);
        let text = if begins_part && is_more { format!("\n\n{text}") } else { text.to_owned() };
        self.push((index, 0), Delta::Text(text), out);
    }

    fn item_done(&mut self, index: u64, event: &Value, out: &mut Vec<StreamEvent>) {
        let item = event.get("item").unwrap_or(&Value::Null);
        match str_at(item, "type").unwrap_or_default() {
            "function_call" | "custom_tool_call" => {
                match self.blocks.get(&(index, 0)) {
                    None => self.call(index, item, out),
                    Some(Block { filled: false, .. }) => {
                        self.push((index, 0), Delta::Input(read_call(item).input), out);
                    }
                    Some(_) => {}
                }
                self.close((index, 0), out);
            }
            "reasoning" => self.reasoning_done(index, item, out),
            "message" => {
                let content = item.get("content").and_then(Value::as_array);
                for (place, piece) in (0..).zip(content.into_iter().flatten()) {
                    match str_at(piece, "type") {
                        Some("output_text") => {
                            let text = str_at(piece, "text");
                            self.text_done((index, place), BlockKind::Text, text, out);
                        }
                        Some("refusal") => {
                            let text = str_at(piece, "refusal");
                            self.text_done((index, place), BlockKind::Refusal, text, out);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// The item is whole: what its vendor encrypted counts as it stands now.
    fn reasoning_done(&mut self, index: u64, item: &Value, out: &mut Vec<StreamEvent>) {
        let place = (index, 0);
        match reasoning_items::read(item).map(|part| part.kind) {
            Some(PartKind::Thinking(thinking)) => {
                let signed = thinking.signature.is_some();
                if !self.blocks.contains_key(&place) {
                    self.open(place, BlockKind::Thinking { signed }, out);
                    self.push(place, Delta::Text(thinking.text), out);
                }
                if let Some(signature) = thinking.signature {
                    self.push(place, Delta::Signature(signature), out);
                }
            }
            Some(PartKind::Redacted(opaque)) if self.blocks.contains_key(&place) => {
                self.push(place, Delta::Signature(opaque), out);
            }
            Some(PartKind::Redacted(opaque)) => {
                self.open(place, BlockKind::Redacted(opaque), out);
            }
            _ => {}
        }
        self.close(place, out);
    }

    fn finish(
        &mut self,
        completed: bool,
        event: &Value,
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), BadAnswer> {
        self.start(event, out);
        let response = event.get("response").unwrap_or(&Value::Null);
        let incomplete = (!completed).then(|| incomplete_reason(response));
        if self.blocks.is_empty() {
            self.whole(response, incomplete, out)?;
        }
        let open: Vec<Place> =
            self.blocks.iter().filter(|(_, block)| block.open).map(|(place, _)| *place).collect();
        for place in open {
            self.close(place, out);
        }
        let reason = reason_of(incomplete, self.has_calls);
        out.push(StreamEvent::Finish { choice: 0, reason });
        out.extend(response.get("usage").and_then(read_usage).map(StreamEvent::Usage));
        self.over = true;
        out.push(StreamEvent::End);
        Ok(())
    }

    /// A host that streams nothing but the end says everything there.
    fn whole(
        &mut self,
        response: &Value,
        incomplete: Option<&str>,
        out: &mut Vec<StreamEvent>,
    ) -> Result<(), BadAnswer> {
        let finish = reason_of(incomplete, false);
        let mut logprobs = Vec::new();
        let parts = read_output(response, &finish, &mut logprobs)?;
        for (index, part) in (0..).zip(parts) {
            let place = (index, 0);
            let (kind, said) = match part.kind {
                PartKind::Text(text) => (BlockKind::Text, vec![Delta::Text(text)]),
                PartKind::Refusal(text) => (BlockKind::Refusal, vec![Delta::Text(text)]),
                PartKind::Thinking(thinking) => {
                    let kind = BlockKind::Thinking { signed: thinking.signature.is_some() };
                    let signature = thinking.signature.map(Delta::Signature);
                    (kind, [Delta::Text(thinking.text)].into_iter().chain(signature).collect())
                }
                PartKind::Redacted(opaque) => (BlockKind::Redacted(opaque), Vec::new()),
                PartKind::ToolUse(call) => {
                    self.has_calls = true;
                    let kind =
                        BlockKind::ToolUse { id: call.id, name: call.name, custom: call.custom };
                    (kind, vec![Delta::Input(call.input)])
                }
                _ => continue,
            };
            self.open(place, kind, out);
            for delta in said {
                self.push(place, delta, out);
            }
            self.close(place, out);
        }
        if !logprobs.is_empty() {
            let value = logprobs_value(&logprobs);
            out.push(StreamEvent::Logprobs { choice: 0, value });
        }
        Ok(())
    }

    /// Opens the block of that place, unless it is there.
    fn open(&mut self, place: Place, kind: BlockKind, out: &mut Vec<StreamEvent>) {
        if self.blocks.contains_key(&place) {
            return;
        }
        let number = self.next;
        self.next = number.saturating_add(1);
        self.blocks.insert(place, Block { number, filled: false, open: true });
        out.push(StreamEvent::BlockStart { choice: 0, block: number, kind });
    }

    fn push(&mut self, place: Place, delta: Delta, out: &mut Vec<StreamEvent>) {
        let (Delta::Text(text) | Delta::Input(text) | Delta::Signature(text)) = &delta;
        if text.is_empty() {
            return;
        }
        if let Some(block) = self.blocks.get_mut(&place) {
            block.filled = true;
            out.push(StreamEvent::Delta { choice: 0, block: block.number, delta });
        }
    }

    fn close(&mut self, place: Place, out: &mut Vec<StreamEvent>) {
        if let Some(block) = self.blocks.get_mut(&place)
            && std::mem::replace(&mut block.open, false)
        {
            out.push(StreamEvent::BlockEnd { choice: 0, block: block.number });
        }
    }
}
