//! Canonical events as a chat completion stream.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use domain::Usage;
use serde_json::{Value, json};

use super::write_answer::{answer_id, finish_word};
use super::{reasoning_fields, usage};
use crate::exchange::{BlockKind, Delta, StreamEvent, Tool};
use crate::json::{append, to_bytes};
use crate::registry::StreamWriter;
use crate::unwrap_input::Unwrapper;
use crate::wire::{AnswerContext, FinishReason};

pub(super) struct Writer {
    id: String,
    created: i64,
    model: String,
    include_usage: bool,
    custom_tools: BTreeSet<String>,
    /// What every chunk begins with, up to its choices.
    head: Vec<u8>,
    usage: Option<Usage>,
    choices: BTreeMap<u32, ChoiceState>,
}

#[derive(Default)]
struct ChoiceState {
    blocks: BTreeMap<u32, Block>,
    calls: usize,
    details: usize,
}

/// A chunk that neither ends its choice nor has log probabilities.
const PLAIN: (&Value, Option<&str>) = (&Value::Null, None);

/// What a block is written as.
enum Block {
    Text,
    Refusal,
    /// With the index of its detail where it is signed.
    Thinking(Option<usize>),
    Function {
        index: usize,
        empty: bool,
    },
    Custom {
        index: usize,
        unwrapper: Option<Unwrapper>,
    },
    Nothing,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext<'_>) -> Self {
        let custom = context.exchange.tools.iter().filter_map(|tool| match tool {
            Tool::Custom { name, .. } => Some(name.clone()),
            _ => None,
        });
        Self {
            id: answer_id(context.request_id),
            created: context.created.secs(),
            model: context.model.to_owned(),
            include_usage: context.exchange.include_usage,
            custom_tools: custom.collect(),
            head: Vec::new(),
            usage: None,
            choices: BTreeMap::new(),
        }
    }

    /// A chunk of one choice.
    fn chunk(
        &mut self,
        choice: u32,
        delta: &Value,
        rest: (&Value, Option<&str>),
        out: &mut Vec<u8>,
    ) {
        self.chunk_with(choice, rest, out, |out| append(out, delta));
    }

    /// The same with a delta that writes itself: text needs no tree.
    fn chunk_with(
        &mut self,
        choice: u32,
        (logprobs, finish): (&Value, Option<&str>),
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Vec<u8>),
    ) {
        self.begin_chunk(out);
        out.extend_from_slice(b"{\"index\":");
        append(out, &choice);
        out.extend_from_slice(b",\"delta\":");
        delta(out);
        out.extend_from_slice(b",\"logprobs\":");
        append(out, logprobs);
        out.extend_from_slice(b",\"finish_reason\":");
        append(out, &finish);
        out.push(b'}');
        self.end_chunk(None, out);
    }

    /// Writes up to the opening bracket of the choices.
    fn begin_chunk(&mut self, out: &mut Vec<u8>) {
        if self.head.is_empty() {
            let head = json!({
                "id": self.id, "object": "chat.completion.chunk", "created": self.created,
                "model": self.model,
            });
            self.head = to_bytes(&head);
            self.head.pop();
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&self.head);
        out.extend_from_slice(b",\"choices\":[");
    }

    /// Writes from the closing bracket on.
    fn end_chunk(&self, usage: Option<&Value>, out: &mut Vec<u8>) {
        out.push(b']');
        if self.include_usage {
            out.extend_from_slice(b",\"usage\":");
            append(out, &usage);
        }
        out.extend_from_slice(b"}\n\n");
    }

    fn delta(&mut self, choice: u32, delta: &Value, out: &mut Vec<u8>) {
        self.chunk(choice, delta, PLAIN, out);
    }

    /// The first chunk of a choice says who speaks.
    fn ensure_role(&mut self, choice: u32, out: &mut Vec<u8>) {
        if let Entry::Vacant(entry) = self.choices.entry(choice) {
            entry.insert(ChoiceState::default());
            self.delta(choice, &json!({"role": "assistant", "content": "", "refusal": null}), out);
        }
    }

    fn begin(&mut self, choice: u32, block: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        self.ensure_role(choice, out);
        let Some(state) = self.choices.get_mut(&choice) else { return };
        let mut first = None;
        let written = match kind {
            BlockKind::Text => Block::Text,
            BlockKind::Refusal => Block::Refusal,
            BlockKind::Vendor => Block::Nothing,
            BlockKind::Thinking { signed } => {
                Block::Thinking(signed.then(|| next(&mut state.details)))
            }
            BlockKind::Redacted(data) => {
                let detail = reasoning_fields::encrypted_detail(next(&mut state.details), data);
                first = Some(json!({"reasoning_details": [detail]}));
                Block::Nothing
            }
            BlockKind::ToolUse { id, name, custom } => {
                let index = next(&mut state.calls);
                if *custom || self.custom_tools.contains(name) {
                    let call = json!({"name": name, "input": ""});
                    let call = json!({"index": index, "id": id, "type": "custom", "custom": call});
                    first = Some(json!({"tool_calls": [call]}));
                    Block::Custom { index, unwrapper: (!custom).then(Unwrapper::default) }
                } else {
                    let call = json!({"name": name, "arguments": ""});
                    let call =
                        json!({"index": index, "id": id, "type": "function", "function": call});
                    first = Some(json!({"tool_calls": [call]}));
                    Block::Function { index, empty: true }
                }
            }
        };
        state.blocks.insert(block, written);
        if let Some(first) = first {
            self.delta(choice, &first, out);
        }
    }

    fn add(&mut self, choice: u32, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        let state = self.choices.get_mut(&choice);
        let Some(block) = state.and_then(|state| state.blocks.get_mut(&block)) else { return };
        let delta = match (block, delta) {
            (Block::Text, Delta::Text(text)) => {
                return self.chunk_with(choice, PLAIN, out, |out| {
                    out.extend_from_slice(b"{\"content\":");
                    append(out, text);
                    out.push(b'}');
                });
            }
            (Block::Refusal, Delta::Text(text)) => json!({"refusal": text}),
            (Block::Thinking(detail), Delta::Text(text)) => {
                let mut delta = json!({"reasoning_content": text, "reasoning": text});
                if let Some(index) = detail {
                    let detail = reasoning_fields::text_detail(*index, Some(text), None);
                    delta["reasoning_details"] = json!([detail]);
                }
                delta
            }
            (Block::Thinking(detail), Delta::Signature(signature)) => {
                let index = detail.unwrap_or_default();
                let detail = reasoning_fields::text_detail(index, None, Some(signature));
                json!({"reasoning_details": [detail]})
            }
            (Block::Function { index, empty }, Delta::Input(fragment)) => {
                *empty &= fragment.is_empty();
                arguments(*index, fragment)
            }
            (Block::Custom { index, unwrapper }, Delta::Input(fragment)) => {
                let text = match unwrapper {
                    Some(unwrapper) => unwrapper.feed(fragment),
                    None => fragment.clone(),
                };
                if text.is_empty() {
                    return;
                }
                json!({"tool_calls": [{"index": index, "custom": {"input": text}}]})
            }
            _ => return,
        };
        self.delta(choice, &delta, out);
    }

    /// A call without input still needs arguments that parse.
    fn close(&mut self, choice: u32, block: u32, out: &mut Vec<u8>) {
        let state = self.choices.get_mut(&choice);
        if let Some(Block::Function { index, empty }) =
            state.and_then(|state| state.blocks.get_mut(&block))
            && std::mem::replace(empty, false)
        {
            let delta = arguments(*index, "{}");
            self.delta(choice, &delta, out);
        }
    }

    fn finish(&mut self, choice: u32, reason: &FinishReason, out: &mut Vec<u8>) {
        self.ensure_role(choice, out);
        let delta = match reason {
            FinishReason::Refusal(Some(why)) => json!({"refusal": why}),
            _ => json!({}),
        };
        self.chunk(choice, &delta, (&Value::Null, Some(finish_word(reason))), out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let (true, Some(usage)) = (self.include_usage, self.usage) {
            self.begin_chunk(out);
            self.end_chunk(Some(&usage::write(&usage)), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

fn next(counter: &mut usize) -> usize {
    let now = *counter;
    *counter += 1;
    now
}

fn arguments(index: usize, fragment: &str) -> Value {
    json!({"tool_calls": [{"index": index, "function": {"arguments": fragment}}]})
}

impl StreamWriter for Writer {
    fn event(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        match event {
            StreamEvent::Start { model, usage, .. } => {
                if let Some(model) = model {
                    self.model.clone_from(model);
                }
                self.usage = *usage;
                self.ensure_role(0, out);
            }
            StreamEvent::BlockStart { choice, block, kind } => {
                self.begin(*choice, *block, kind, out);
            }
            StreamEvent::Delta { choice, block, delta } => self.add(*choice, *block, delta, out),
            StreamEvent::BlockEnd { choice, block } => self.close(*choice, *block, out),
            StreamEvent::Logprobs { choice, value } => {
                self.ensure_role(*choice, out);
                self.chunk(*choice, &json!({}), (value, None), out);
            }
            StreamEvent::Finish { choice, reason } => self.finish(*choice, reason, out),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            // A comment: keeps what stands between alive, and no client sees it.
            StreamEvent::Ping => out.extend_from_slice(b": ping\n\n"),
            // The server writes the error event, with what only it knows.
            StreamEvent::Error(_) => {}
            StreamEvent::End => self.end(out),
        }
    }
}
