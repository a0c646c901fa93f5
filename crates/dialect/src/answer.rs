//! An answer in no vendor's words, whole and streamed.

use domain::Usage;
use serde_json::Value;

use crate::exchange::Part;
use crate::wire::{FinishReason, UpstreamFault};

/// A whole answer in no vendor's words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The provider's id of it.
    pub id: Option<String>,
    /// The model the provider named.
    pub model: Option<String>,
    /// One per answer asked for.
    pub choices: Vec<Choice>,
    /// What was used; `None` where the provider kept silent.
    pub usage: Option<Usage>,
    /// OpenAI's `system_fingerprint`.
    pub fingerprint: Option<String>,
}

/// One of the answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What the model said, in order.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: FinishReason,
    /// OpenAI's `logprobs`, verbatim.
    pub logprobs: Option<Value>,
}

impl Answer {
    /// The answers of several calls as one: choices in order, usage summed. A sum with an unknown is unknown.
    pub fn combine(answers: Vec<Self>) -> Self {
        let mut answers = answers.into_iter();
        let Some(mut first) = answers.next() else { return Self::default() };
        for answer in answers {
            first.choices.extend(answer.choices);
            first.usage = match (first.usage, answer.usage) {
                (Some(one), Some(two)) => Some(sum(&one, &two)),
                _ => None,
            };
        }
        first
    }
}

/// Bucket by bucket; saturates.
fn sum(one: &Usage, two: &Usage) -> Usage {
    Usage {
        input: one.input.saturating_add(two.input),
        cache_read: one.cache_read.saturating_add(two.cache_read),
        cache_write: one.cache_write.saturating_add(two.cache_write),
        cache_write_long: one.cache_write_long.saturating_add(two.cache_write_long),
        output: one.output.saturating_add(two.output),
        reasoning: one.reasoning.saturating_add(two.reasoning),
        audio_input: one.audio_input.saturating_add(two.audio_input),
        audio_output: one.audio_output.saturating_add(two.audio_output),
        image_input: one.image_input.saturating_add(two.image_input),
    }
}

/// A piece of a streamed answer. Blocks are numbered from 0 within a choice, in order of their start.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEvent {
    /// The answer begins.
    Start {
        /// The provider's id of it.
        id: Option<String>,
        /// The model the provider named.
        model: Option<String>,
        /// Input usage, where the provider knows it at the start.
        usage: Option<Usage>,
    },
    /// A block begins.
    BlockStart {
        /// Which answer.
        choice: u32,
        /// Which block.
        block: u32,
        /// What it is.
        kind: BlockKind,
    },
    /// More of a block.
    Delta {
        /// Which answer.
        choice: u32,
        /// Which block.
        block: u32,
        /// What is added.
        delta: Delta,
    },
    /// A block is whole.
    BlockEnd {
        /// Which answer.
        choice: u32,
        /// Which block.
        block: u32,
    },
    /// OpenAI's `logprobs` of the last delta, verbatim.
    Logprobs {
        /// Which answer.
        choice: u32,
        /// Verbatim.
        value: Value,
    },
    /// An answer is whole.
    Finish {
        /// Which answer.
        choice: u32,
        /// Why.
        reason: FinishReason,
    },
    /// Usage so far; the last one counts.
    Usage(Usage),
    /// The provider is alive.
    Ping,
    /// The provider failed in the middle; nothing follows.
    Error(UpstreamFault),
    /// The provider's success terminator.
    End,
}

/// What a streamed block is.
#[derive(Clone, Debug, PartialEq)]
pub enum BlockKind {
    /// Text.
    Text,
    /// Reasoning; `signed`: a signature will follow.
    Thinking {
        /// A signature will follow.
        signed: bool,
    },
    /// Reasoning that only its vendor can read, whole.
    Redacted(String),
    /// A tool call.
    ToolUse {
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
        /// Called as a custom tool.
        custom: bool,
    },
    /// A refusal.
    Refusal,
    /// A block that only its vendor knows: not carried.
    Vendor,
}

/// What is added to a block.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text of a text, refusal or reasoning block.
    Text(String),
    /// The signature of a reasoning block.
    Signature(String),
    /// A fragment of a tool's input.
    Input(String),
}

/// Several calls' streams as one answer with several choices: call `i` becomes choice `i`.
#[derive(Debug)]
pub struct StreamMerge {
    started: bool,
    open: Vec<bool>,
    usage: Vec<Option<Usage>>,
}

impl StreamMerge {
    /// For that many calls.
    pub fn new(calls: usize) -> Self {
        Self { started: false, open: vec![true; calls], usage: vec![None; calls] }
    }

    /// Takes an event of call `call`; pushes what belongs in the merged stream. Usage and [`StreamEvent::End`]
    /// come once, after the last call's end; usage only when every call reported it.
    pub fn push(&mut self, call: usize, event: StreamEvent, out: &mut Vec<StreamEvent>) {
        let choice = u32::try_from(call).unwrap_or(u32::MAX);
        match event {
            StreamEvent::Start { id, model, usage } => {
                if !self.started {
                    self.started = true;
                    out.push(StreamEvent::Start { id, model, usage: None });
                }
                self.note_usage(call, usage);
            }
            StreamEvent::Usage(usage) => self.note_usage(call, Some(usage)),
            StreamEvent::End => self.end(call, out),
            StreamEvent::BlockStart { block, kind, .. } => {
                out.push(StreamEvent::BlockStart { choice, block, kind });
            }
            StreamEvent::Delta { block, delta, .. } => {
                out.push(StreamEvent::Delta { choice, block, delta });
            }
            StreamEvent::BlockEnd { block, .. } => {
                out.push(StreamEvent::BlockEnd { choice, block });
            }
            StreamEvent::Logprobs { value, .. } => {
                out.push(StreamEvent::Logprobs { choice, value });
            }
            StreamEvent::Finish { reason, .. } => out.push(StreamEvent::Finish { choice, reason }),
            StreamEvent::Ping | StreamEvent::Error(_) => out.push(event),
        }
    }

    fn note_usage(&mut self, call: usize, usage: Option<Usage>) {
        if let (Some(slot), Some(_)) = (self.usage.get_mut(call), usage) {
            *slot = usage;
        }
    }

    fn end(&mut self, call: usize, out: &mut Vec<StreamEvent>) {
        let was_open = self.open.get_mut(call).is_some_and(|open| std::mem::replace(open, false));
        if !was_open || self.open.contains(&true) {
            return;
        }
        let total = self.usage.iter().try_fold(Usage::default(), |total, usage| {
            usage.as_ref().map(|usage| sum(&total, usage))
        });
        out.extend(total.map(StreamEvent::Usage));
        out.push(StreamEvent::End);
    }
}
