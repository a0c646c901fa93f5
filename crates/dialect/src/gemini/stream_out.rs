//! Canonical events as this dialect's stream: each chunk a whole answer. Clients of this dialect take whole calls, so a
//! call's fragments are held until it is whole; the finish reason, which is the terminator here, is held to the end.

use std::collections::BTreeMap;

use domain::Usage;
use serde_json::{Value, json};

use super::errors::render_item;
use super::write_answer::{
    answer_id, arguments, call_part, finish_word, sign, signature_part, thought_part,
};
use super::{logprobs, thought, usage};
use crate::exchange::{BlockKind, Delta, StreamEvent};
use crate::json::{Object, append, to_bytes};
use crate::registry::StreamWriter;
use crate::wire::{AnswerContext, ClientError, FinishReason, StreamForm};

pub(super) struct Writer {
    form: StreamForm,
    id: String,
    model: String,
    hide_thoughts: bool,
    /// A chunk has been written.
    begun: bool,
    usage: Option<Usage>,
    choices: BTreeMap<u32, Choice>,
    broken: Option<&'static str>,
}

#[derive(Default)]
struct Choice {
    blocks: BTreeMap<u32, Block>,
    refused: bool,
    /// A call was cut: only a limit excuses that.
    cut: bool,
    finish: Option<FinishReason>,
    /// A call has been written.
    called: bool,
    /// A signature of Gemini's own: it belongs to the call that follows, if one does.
    signature: Option<String>,
}

/// What a block is written as.
enum Block {
    Text,
    Thought,
    /// A call, held until it is whole.
    Call {
        id: String,
        name: String,
        custom: bool,
        input: String,
    },
    Nothing,
}

impl Writer {
    pub(super) fn new(context: &AnswerContext<'_>) -> Self {
        Self {
            form: context.exchange.stream_form,
            id: answer_id(context.request_id).to_owned(),
            model: context.model.to_owned(),
            hide_thoughts: context.exchange.reasoning.hide_text,
            begun: false,
            usage: None,
            choices: BTreeMap::new(),
            broken: None,
        }
    }

    /// What stands before a chunk.
    fn open(&mut self, out: &mut Vec<u8>) {
        let begun = std::mem::replace(&mut self.begun, true);
        out.extend_from_slice(match (self.form, begun) {
            (StreamForm::Events, _) => b"data: ",
            (StreamForm::Array, false) => b"[",
            (StreamForm::Array, true) => b",\r\n",
        });
    }

    /// What stands after one.
    fn close(&self, out: &mut Vec<u8>) {
        if self.form == StreamForm::Events {
            out.extend_from_slice(b"\r\n\r\n");
        }
    }

    /// A chunk with one candidate's part.
    fn part(&mut self, choice: u32, part: &Value, out: &mut Vec<u8>) {
        self.chunk(choice, out, |out| append(out, part));
    }

    /// The same with a part that writes itself: text needs no tree.
    fn chunk(&mut self, choice: u32, out: &mut Vec<u8>, part: impl FnOnce(&mut Vec<u8>)) {
        self.open(out);
        out.extend_from_slice(b"{\"candidates\":[{\"content\":{\"parts\":[");
        part(out);
        out.extend_from_slice(b"],\"role\":\"model\"},\"index\":");
        append(out, &choice);
        out.extend_from_slice(b"}],\"modelVersion\":");
        append(out, &self.model);
        out.extend_from_slice(b",\"responseId\":");
        append(out, &self.id);
        out.push(b'}');
        self.close(out);
    }

    fn begin(&mut self, choice: u32, block: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        if !matches!(kind, BlockKind::ToolUse { .. }) {
            self.flush_signature(choice, out);
        }
        let state = self.choices.entry(choice).or_default();
        let mut whole = None;
        let written = match kind {
            BlockKind::Text => Block::Text,
            BlockKind::Refusal => {
                state.refused = true;
                Block::Text
            }
            BlockKind::Redacted(opaque) => {
                if let Some(own) = thought::own(opaque) {
                    state.signature = Some(own.to_owned());
                } else if !self.hide_thoughts {
                    whole = Some(thought_part("", Some(thought::redacted_for_client(opaque))));
                }
                Block::Nothing
            }
            BlockKind::Thinking { .. } if self.hide_thoughts => Block::Nothing,
            BlockKind::Thinking { .. } => Block::Thought,
            BlockKind::ToolUse { id, name, custom } => Block::Call {
                id: id.clone(),
                name: name.clone(),
                custom: *custom,
                input: String::new(),
            },
            BlockKind::Vendor => Block::Nothing,
        };
        state.blocks.insert(block, written);
        if let Some(part) = whole {
            self.part(choice, &part, out);
        }
    }

    /// Writes a signature that no call took.
    fn flush_signature(&mut self, choice: u32, out: &mut Vec<u8>) {
        let held = self.choices.get_mut(&choice).and_then(|state| state.signature.take());
        if let Some(signature) = held {
            self.part(choice, &signature_part(&signature), out);
        }
    }

    fn add(&mut self, choice: u32, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        let state = self.choices.get_mut(&choice);
        let Some(block) = state.and_then(|state| state.blocks.get_mut(&block)) else { return };
        match (block, delta) {
            (Block::Text, Delta::Text(text)) => self.chunk(choice, out, |out| {
                out.extend_from_slice(b"{\"text\":");
                append(out, text);
                out.push(b'}');
            }),
            (Block::Thought, Delta::Text(text)) => {
                self.part(choice, &thought_part(text, None), out);
            }
            (Block::Thought, Delta::Signature(signature)) => {
                let part = thought_part("", Some(thought::for_client(signature)));
                self.part(choice, &part, out);
            }
            (Block::Call { input, .. }, Delta::Input(fragment)) => input.push_str(fragment),
            _ => {}
        }
    }

    fn end_block(&mut self, choice: u32, block: u32, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get_mut(&choice) else { return };
        let Some(Block::Call { id, name, custom, input }) = state.blocks.remove(&block) else {
            return;
        };
        let args = if custom {
            Some(serde_json::Map::from_iter([("input".to_owned(), input.into())]))
        } else {
            arguments(&input)
        };
        match args {
            Some(args) => {
                let mut part = call_part(&id, &name, args);
                if part.get("thoughtSignature").is_none()
                    && let Some(signature) = state.signature.take()
                {
                    part["thoughtSignature"] = signature.into();
                }
                if !std::mem::replace(&mut state.called, true) {
                    sign(&mut part);
                }
                self.part(choice, &part, out);
            }
            None => state.cut = true,
        }
    }

    fn finish(&mut self, choice: u32, reason: &FinishReason, out: &mut Vec<u8>) {
        let state = self.choices.entry(choice).or_default();
        state.finish = Some(reason.clone());
        // Some providers end no blocks.
        let open: Vec<u32> = state.blocks.keys().copied().collect();
        for block in open {
            self.end_block(choice, block, out);
        }
        self.flush_signature(choice, out);
        let is_cut = self.choices.get(&choice).is_some_and(|state| state.cut);
        // A call that the limit cut is left out: it must not be made.
        if is_cut && !matches!(reason, FinishReason::Length | FinishReason::ContextFull) {
            self.broken = Some("the arguments of a tool call are not a JSON object");
        }
    }

    /// The last chunk: how each candidate ended, and usage.
    fn end(&mut self, out: &mut Vec<u8>) {
        let choices = std::mem::take(&mut self.choices);
        let mut candidates: Vec<Value> = choices
            .iter()
            .map(|(index, state)| {
                let finish = state.finish.as_ref().unwrap_or(&FinishReason::Stop);
                let (word, why) = finish_word(finish, state.refused);
                let mut candidate = Object::default();
                candidate.put("content", json!({"parts": [{"text": ""}], "role": "model"}));
                candidate.put("finishReason", word);
                candidate.put_some("finishMessage", why);
                candidate.put("index", *index);
                candidate.into_value()
            })
            .collect();
        if candidates.is_empty() {
            candidates.push(json!({"finishReason": "STOP", "index": 0}));
        }
        let mut chunk = Object::default();
        chunk.put("candidates", candidates);
        chunk.put_some("usageMetadata", self.usage.as_ref().map(usage::write));
        chunk.put("modelVersion", self.model.as_str());
        chunk.put("responseId", self.id.as_str());
        self.open(out);
        out.extend_from_slice(&to_bytes(&chunk.into_value()));
        self.close(out);
        if self.form == StreamForm::Array {
            out.push(b']');
        }
    }

    fn logprobs(&mut self, choice: u32, value: &Value, out: &mut Vec<u8>) {
        let Some(result) = logprobs::write(value) else { return };
        let candidate = json!({"index": choice, "logprobsResult": result});
        let chunk =
            json!({"candidates": [candidate], "modelVersion": self.model, "responseId": self.id});
        self.open(out);
        append(out, &chunk);
        self.close(out);
    }
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
            }
            StreamEvent::BlockStart { choice, block, kind } => {
                self.begin(*choice, *block, kind, out);
            }
            StreamEvent::Delta { choice, block, delta } => self.add(*choice, *block, delta, out),
            StreamEvent::BlockEnd { choice, block } => self.end_block(*choice, *block, out),
            StreamEvent::Logprobs { choice, value } => self.logprobs(*choice, value, out),
            StreamEvent::Finish { choice, reason } => self.finish(*choice, reason, out),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            // google-genai takes any line that is no data for a broken answer: comments are not for this dialect. The
            // server writes the error event, with what only it knows.
            StreamEvent::Ping | StreamEvent::Error(_) => {}
            StreamEvent::End => self.end(out),
        }
    }

    fn error_event(&self, error: &ClientError<'_>) -> Option<Vec<u8>> {
        (self.form == StreamForm::Array).then(|| render_item(error, self.begun))
    }

    fn broken(&self) -> Option<&'static str> {
        self.broken
    }
}
