//! The canonical exchange: what every dialect is read into and written from.
//!
//! It holds what more than one vendor can say, typed. What only one can say travels in
//! [`Exchange::extras`] under its own field name: a writer of the same dialect puts it back verbatim, any
//! other writer notes it as lost. So a new dialect adds readers and writers and touches no other dialect.

use std::collections::BTreeMap;

use domain::{Feature, Features, RequestLimits, Usage};
use serde_json::Value;

use crate::reasoning::Effort;
use crate::registry::DialectId;
use crate::wire::{FinishReason, UpstreamFault};

/// A request in no vendor's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// The client's dialect: decides how lost fields are spelled and where [`Self::extras`] may go back.
    pub from: DialectId,
    /// The client's `anthropic-version`, where it sent one.
    pub anthropic_version: Option<String>,
    /// The client's `anthropic-beta` words.
    pub betas: Vec<String>,
    /// The model as the client wrote it.
    pub model: String,
    /// What stands before the conversation.
    pub system: Vec<Part>,
    /// Whether the system prompt came as `developer` (OpenAI), to be written so again.
    pub system_is_developer: bool,
    /// The conversation. Tool results are parts of user messages.
    pub messages: Vec<Message>,
    /// Tools on offer.
    pub tools: Vec<Tool>,
    /// How tools are to be chosen.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called in one turn; absent means the vendor's default (yes).
    pub parallel_tools: Option<bool>,
    /// The shape of the answer.
    pub format: Option<OutputFormat>,
    /// Sampling.
    pub sampling: Sampling,
    /// Answers asked for; at least one.
    pub answers: u32,
    /// Log probabilities: wanted, with so many alternatives.
    pub logprobs: Option<Option<u32>>,
    /// Stop sequences.
    pub stop: Vec<String>,
    /// Most output tokens per answer.
    pub max_output: Option<u64>,
    /// Reasoning, as asked for.
    pub reasoning: Reasoning,
    /// Let the provider set cache breakpoints by itself (Anthropic's top-level `cache_control`, OpenAI's
    /// `prompt_cache_options.mode: implicit`), for that long.
    pub auto_cache: Option<CacheHint>,
    /// A stable, opaque id of the end user.
    pub user: Option<String>,
    /// Scheduling.
    pub tier: Option<Tier>,
    /// Stream the answer.
    pub stream: bool,
    /// The client asked for usage in the stream (always true where the dialect has it anyway).
    pub include_usage: bool,
    /// Fields of the client's dialect that no other dialect has.
    pub extras: BTreeMap<&'static str, Value>,
    /// Top-level fields that we don't know, by name. They are not carried.
    pub unknown: Vec<String>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The operator, in the middle of the conversation.
    System,
    /// The same, in OpenAI's newer word.
    Developer,
    /// The user, or tools answering.
    User,
    /// The model.
    Assistant,
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub speaker: Speaker,
    /// The participant's name (OpenAI).
    pub name: Option<String>,
    /// What is said.
    pub parts: Vec<Part>,
}

/// A prompt-cache breakpoint after a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheHint {
    /// The vendor's default lifetime (Anthropic 5 minutes, OpenAI 30 minutes).
    Default,
    /// The long lifetime (Anthropic 1 hour, OpenAI 12 hours).
    Long,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// A cache breakpoint after it.
    pub cache: Option<CacheHint>,
}

impl Part {
    /// A part without a cache hint.
    pub fn new(kind: PartKind) -> Self {
        Self { kind, cache: None }
    }

    /// Text without a cache hint.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(PartKind::Text(text.into()))
    }
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    /// Text.
    Text(String),
    /// An image.
    Image(Image),
    /// A document.
    Document(Document),
    /// Audio input.
    Audio {
        /// Base64.
        data: String,
        /// `wav`, `mp3`.
        format: String,
    },
    /// The model calls a tool.
    ToolUse(ToolUse),
    /// A tool's answer.
    ToolResult(ToolResult),
    /// Reasoning in the clear.
    Thinking(Thinking),
    /// Reasoning that only its vendor can read.
    Redacted(String),
    /// The model's refusal.
    Refusal(String),
    /// A block that only [`Exchange::from`] knows, verbatim, with the loss report's name for it.
    Vendor(Value),
}

/// An image.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Where it is.
    pub source: Media,
    /// OpenAI's `detail`.
    pub detail: Option<String>,
}

/// Where media is.
#[derive(Clone, Debug, PartialEq)]
pub enum Media {
    /// Inline, standard base64.
    Base64 {
        /// MIME type.
        media_type: String,
        /// Standard base64.
        data: String,
    },
    /// At a URL that the provider fetches.
    Url(String),
    /// Plain text (documents).
    Text(String),
    /// Uploaded to the vendor before.
    FileId(String),
}

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it is.
    pub source: Media,
    /// Title or file name.
    pub title: Option<String>,
    /// Anthropic's `context` and `citations`, verbatim.
    pub extras: BTreeMap<&'static str, Value>,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolUse {
    /// The call's id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// JSON text for a function, free text for a custom tool.
    pub input: String,
    /// Called as a custom tool.
    pub custom: bool,
}

/// What a tool said.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The call's id.
    pub id: String,
    /// Text, images, documents.
    pub parts: Vec<Part>,
    /// The tool failed.
    pub is_error: bool,
}

/// Reasoning with what its vendor needs to accept it back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thinking {
    /// The text; empty where the vendor keeps it.
    pub text: String,
    /// The vendor's signature. `None`: the host doesn't sign.
    pub signature: Option<String>,
}

/// A tool.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// With a JSON schema.
    Function {
        /// Name.
        name: String,
        /// What it does.
        description: Option<String>,
        /// JSON Schema of its input.
        schema: Option<Value>,
        /// Inputs are held to the schema.
        strict: Option<bool>,
        /// Cache breakpoint after it.
        cache: Option<CacheHint>,
        /// Fields that only the client's dialect knows.
        extras: BTreeMap<&'static str, Value>,
    },
    /// Free text, perhaps under a grammar (OpenAI).
    Custom {
        /// Name.
        name: String,
        /// What it does.
        description: Option<String>,
        /// OpenAI's `format`, verbatim.
        format: Option<Value>,
    },
    /// Run by the vendor, verbatim.
    Hosted(Value),
}

impl Tool {
    /// Its name, where we know it.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Function { name, .. } | Self::Custom { name, .. } => Some(name),
            Self::Hosted(raw) => raw.get("name").and_then(Value::as_str),
        }
    }
}

/// How tools are chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Required,
    /// That tool.
    Named(String),
    /// One of these, or none of them unless `required`.
    Allowed {
        /// Names.
        names: Vec<String>,
        /// One must be called.
        required: bool,
    },
}

/// The shape of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputFormat {
    /// Some JSON object.
    JsonObject,
    /// JSON of that schema.
    JsonSchema {
        /// OpenAI's name for it.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: Value,
        /// OpenAI's `strict`.
        strict: Option<bool>,
    },
}

/// Sampling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// In the client's range: 0 to 2 at OpenAI, 0 to 1 at Anthropic.
    pub temperature: Option<f64>,
    /// Nucleus.
    pub top_p: Option<f64>,
    /// The k most likely.
    pub top_k: Option<u64>,
    /// OpenAI's.
    pub frequency_penalty: Option<f64>,
    /// OpenAI's.
    pub presence_penalty: Option<f64>,
    /// For repeatable answers.
    pub seed: Option<i64>,
}

/// Reasoning, as asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// How hard.
    pub effort: Option<Effort>,
    /// Whether and how much.
    pub thinking: Option<ThinkingMode>,
    /// Leave the text out of the answer.
    pub hide_text: bool,
}

/// Anthropic's `thinking`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingMode {
    /// No reasoning.
    Off,
    /// The model decides.
    Adaptive,
    /// Between tool calls only.
    Between,
    /// At most so many tokens.
    Budget(u64),
}

impl Reasoning {
    /// Whether the client asked to see reasoning as blocks of its own.
    pub fn wants_blocks(self) -> bool {
        matches!(self.thinking, Some(mode) if mode != ThinkingMode::Off)
    }
}

/// Scheduling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The account's own default.
    Auto,
    /// The standard tier, and no other.
    Standard,
    /// A tier of the client's vendor, verbatim (`flex`, `priority`).
    Vendor(String),
}

impl Exchange {
    /// An empty request of that dialect.
    pub fn new(from: DialectId, model: String) -> Self {
        Self {
            from,
            anthropic_version: None,
            betas: Vec::new(),
            model,
            system: Vec::new(),
            system_is_developer: false,
            messages: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tools: None,
            format: None,
            sampling: Sampling::default(),
            answers: 1,
            logprobs: None,
            stop: Vec::new(),
            max_output: None,
            reasoning: Reasoning::default(),
            auto_cache: None,
            user: None,
            tier: None,
            stream: false,
            include_usage: false,
            extras: BTreeMap::new(),
            unknown: Vec::new(),
        }
    }

    /// The limits the request sets on itself.
    pub fn limits(&self) -> RequestLimits {
        RequestLimits { max_output: self.max_output, answers: self.answers }
    }

    /// The custom tool of that name, if there is one.
    pub fn is_custom_tool(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| matches!(tool, Tool::Custom { name: it, .. } if it == name))
    }

    /// What the request uses.
    pub fn features(&self) -> Features {
        let mut set = Features::NONE;
        let flags = [
            (Feature::Stream, self.stream),
            (Feature::System, !self.system.is_empty()),
            (Feature::ManyAnswers, self.answers > 1),
            (Feature::Logprobs, self.logprobs.is_some()),
            (Feature::StopSequences, !self.stop.is_empty()),
            (Feature::Seed, self.sampling.seed.is_some()),
            (Feature::TopK, self.sampling.top_k.is_some()),
            (Feature::Sampling, self.sampling.is_set()),
            (Feature::Reasoning, self.reasoning.is_on()),
            (Feature::ServiceTier, self.tier.is_some()),
            (Feature::LogitBias, self.extras.contains_key("logit_bias")),
            (Feature::Prediction, self.extras.contains_key("prediction")),
            (Feature::MediaOutput, self.extras.contains_key("audio")),
            (Feature::ServerState, self.has_server_state()),
            (Feature::Beta, !self.betas.is_empty()),
            (Feature::Prefill, self.prefill().is_some()),
            (Feature::CacheHints, self.auto_cache.is_some()),
            (Feature::ToolChoice, !matches!(self.tool_choice, None | Some(ToolChoice::Auto))),
        ];
        for (feature, on) in flags {
            if on {
                set.insert(feature);
            }
        }
        match self.format {
            Some(OutputFormat::JsonObject) => set.insert(Feature::JsonObject),
            Some(OutputFormat::JsonSchema { .. }) => set.insert(Feature::JsonSchema),
            None => {}
        }
        self.tools.iter().for_each(|tool| tool_features(tool, &mut set));
        self.parts().for_each(|part| part_features(part, &mut set));
        set
    }

    fn has_server_state(&self) -> bool {
        self.extras.contains_key("container")
            || self.extras.contains_key("diagnostics")
            || self.extras.get("store") == Some(&Value::Bool(true))
    }

    /// The trailing assistant turn that the model is to go on from, if there is one.
    pub fn prefill(&self) -> Option<&Message> {
        self.messages.last().filter(|last| last.speaker == Speaker::Assistant)
    }

    /// Every part of system prompt and conversation, tool results opened.
    fn parts(&self) -> impl Iterator<Item = &Part> {
        let said = self.messages.iter().flat_map(|message| &message.parts);
        self.system.iter().chain(said).flat_map(|part| {
            let inner = match &part.kind {
                PartKind::ToolResult(result) => result.parts.as_slice(),
                _ => &[],
            };
            std::iter::once(part).chain(inner)
        })
    }

    /// UTF-8 bytes of everything that becomes text input, with an allowance per message and tool: no byte-level
    /// tokenizer makes more tokens.
    pub fn text_bytes(&self) -> u64 {
        let tools: usize = self.tools.iter().map(|tool| ALLOWANCE + tool_bytes(tool)).sum();
        let parts: usize = self.parts().map(part_bytes).sum();
        let format = match &self.format {
            Some(OutputFormat::JsonSchema { schema, .. }) => ALLOWANCE + value_bytes(schema),
            Some(OutputFormat::JsonObject) => ALLOWANCE,
            None => 0,
        };
        (ALLOWANCE * (self.messages.len() + 1) + tools + parts + format) as u64
    }
}

/// Bytes allowed per message, tool or part for the markers around it.
const ALLOWANCE: usize = 16;

fn value_bytes(value: &Value) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.len())
}

fn tool_bytes(tool: &Tool) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    match tool {
        Tool::Function { name, description, schema, .. } => {
            name.len() + text(description) + schema.as_ref().map_or(0, value_bytes)
        }
        Tool::Custom { name, description, format } => {
            name.len() + text(description) + format.as_ref().map_or(0, value_bytes)
        }
        Tool::Hosted(raw) => value_bytes(raw),
    }
}

/// Text bytes of a part itself; the parts within a tool result are walked apart.
fn part_bytes(part: &Part) -> usize {
    ALLOWANCE
        + match &part.kind {
            PartKind::Text(text) | PartKind::Refusal(text) | PartKind::Redacted(text) => text.len(),
            PartKind::Document(Document { source: Media::Text(text), .. }) => text.len(),
            PartKind::ToolUse(call) => call.name.len() + call.input.len(),
            PartKind::Thinking(thinking) => thinking.text.len(),
            PartKind::Vendor(raw) => value_bytes(raw),
            PartKind::ToolResult(result) => result.id.len(),
            PartKind::Image(_) | PartKind::Document(_) | PartKind::Audio { .. } => 0,
        }
}

fn tool_features(tool: &Tool, set: &mut Features) {
    set.insert(match tool {
        Tool::Function { .. } => Feature::Tools,
        Tool::Custom { .. } => Feature::CustomTools,
        Tool::Hosted(_) => Feature::HostedTools,
    });
    if let Tool::Function { cache: Some(_), .. } = tool {
        set.insert(Feature::CacheHints);
    }
}

fn media_features(media: &Media, set: &mut Features) {
    match media {
        Media::Url(_) => set.insert(Feature::RemoteMedia),
        Media::FileId(_) => set.insert(Feature::FileIds),
        Media::Base64 { .. } | Media::Text(_) => {}
    }
}

fn part_features(part: &Part, set: &mut Features) {
    if part.cache.is_some() {
        set.insert(Feature::CacheHints);
    }
    match &part.kind {
        PartKind::Image(image) => {
            set.insert(Feature::Images);
            media_features(&image.source, set);
        }
        PartKind::Document(document) => {
            set.insert(Feature::Documents);
            media_features(&document.source, set);
            if document.extras.contains_key("citations") {
                set.insert(Feature::Citations);
            }
        }
        PartKind::Audio { .. } => set.insert(Feature::AudioInput),
        PartKind::ToolResult(_) => set.insert(Feature::ToolResults),
        PartKind::Redacted(_) => set.insert(Feature::SignedReasoning),
        PartKind::Thinking(thinking) if thinking.signature.is_some() => {
            set.insert(Feature::SignedReasoning);
        }
        PartKind::Text(_)
        | PartKind::ToolUse(_)
        | PartKind::Thinking(_)
        | PartKind::Refusal(_)
        | PartKind::Vendor(_) => {}
    }
}

impl Sampling {
    /// Whether anything but a seed is set.
    pub fn is_set(&self) -> bool {
        self.temperature.is_some()
            || self.top_p.is_some()
            || self.top_k.is_some()
            || self.frequency_penalty.is_some()
            || self.presence_penalty.is_some()
    }
}

impl Reasoning {
    /// Whether reasoning is asked for at all.
    pub fn is_on(self) -> bool {
        self.wants_blocks() || matches!(self.effort, Some(effort) if effort != Effort::None)
    }
}

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
    /// The tier that served it, in the provider's word.
    pub tier: Option<String>,
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
                out.push(StreamEvent::BlockEnd { choice, block })
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
