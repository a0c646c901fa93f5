//! The canonical exchange: what every dialect is read into and written from.
//!
//! It holds what more than one vendor can say, typed. What only one can say travels in
//! [`Exchange::extras`] under its own field name: a writer of the same dialect puts it back verbatim, any
//! other writer notes it as lost. So a new dialect adds readers and writers and touches no other dialect.

use std::collections::BTreeMap;

use domain::{DialectId, RequestLimits};
use serde_json::{Value, json};

pub use crate::answer::{Answer, BlockKind, Choice, Delta, StreamEvent, StreamMerge};
use crate::json::to_text;
use crate::reasoning::Effort;
use crate::registry::dialect;
use crate::wire::StreamForm;

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
    /// In which form.
    pub stream_form: StreamForm,
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
    /// Where it stands among the client's own messages, for errors: system messages and several tool results
    /// in a row don't stand here one to one.
    pub at: usize,
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

/// The system prompt's part for a host without a mode for JSON.
pub(crate) const JSON_INSTRUCTION: &str =
    "Answer with a single valid JSON object and nothing else: no prose, no code fences.";

/// The system prompt's part for a host that can't be given the schema otherwise.
pub(crate) fn schema_instruction(schema: &Value) -> String {
    let schema = to_text(schema);
    format!("Answer with one JSON object that satisfies this JSON Schema: {schema}")
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

impl ThinkingMode {
    /// As Claude takes it, wherever it is served.
    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::Off => json!({"type": "disabled"}),
            Self::Adaptive => json!({"type": "adaptive"}),
            Self::Between => json!({"type": "between_tools"}),
            Self::Budget(tokens) => json!({"type": "enabled", "budget_tokens": tokens}),
        }
    }
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
            stream_form: StreamForm::Events,
            include_usage: false,
            extras: BTreeMap::new(),
            unknown: Vec::new(),
        }
    }

    /// The limits the request sets on itself.
    pub fn limits(&self) -> RequestLimits {
        RequestLimits { max_output: self.max_output, answers: self.answers }
    }

    /// The stop sequences that the answer must be cut at, where the provider is not told of them.
    pub(crate) fn stops_if(&self, untold: bool) -> Vec<String> {
        let stops = self.stop.iter().filter(|stop| untold && !stop.is_empty());
        stops.cloned().collect()
    }

    /// Where a message's content stands in the client's own request, for errors.
    pub(crate) fn place(&self, message: &Message) -> String {
        dialect(self.from).message_place(message.at)
    }

    /// The custom tool of that name, if there is one.
    pub fn is_custom_tool(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| matches!(tool, Tool::Custom { name: it, .. } if it == name))
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
