//! What both dialects' requests come down to for the fake model, and what it answers.
//!
//! This is deliberately not the gateway's canonical exchange: the fake is the oracle that the gateway's
//! translation is held against, so it has a reading of its own.

use serde_json::Value;

/// A request as the fake model sees it.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The model as named by the caller; the last path segment picks the behaviour.
    pub(crate) model: String,
    /// Text of the last user message (or of the last message, when no user spoke).
    pub(crate) text: String,
    /// One line for each attachment in the last user message.
    pub(crate) attachments: Vec<String>,
    /// Tool results that follow the last assistant turn: tool name, text.
    pub(crate) results: Vec<(String, String)>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    pub(crate) parallel: bool,
    pub(crate) format: Format,
    /// Most output tokens, thinking included.
    pub(crate) max_output: Option<u64>,
    pub(crate) stop: Vec<String>,
    /// Answers wanted.
    pub(crate) n: u64,
    pub(crate) seed: u64,
    /// Tokens to spend on thinking.
    pub(crate) thinking: u64,
    pub(crate) input: Input,
    pub(crate) stream: bool,
}

/// Input tokens in disjoint buckets.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Input {
    pub(crate) fresh: u64,
    pub(crate) cache_read: u64,
    /// Written to the short-lived (5 minute) cache.
    pub(crate) cache_write: u64,
    /// Written to the one-hour cache.
    pub(crate) cache_write_1h: u64,
}

impl Input {
    /// All buckets together.
    pub(crate) fn total(&self) -> u64 {
        self.fresh + self.cache_read + self.cache_write + self.cache_write_1h
    }
}

#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
    /// Takes free text instead of JSON (OpenAI `custom`).
    pub(crate) custom: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Auto,
    None,
    Any,
    Named(String),
}

#[derive(Debug)]
pub(crate) enum Format {
    Text,
    /// Any JSON object.
    Object,
    Schema(Value),
}

/// One answer (of `n`).
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) thinking: String,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) end: End,
    /// Output tokens without thinking.
    pub(crate) tokens: u64,
    pub(crate) thinking_tokens: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Without the dialect's prefix.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) input: Value,
    pub(crate) custom: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum End {
    #[default]
    Stop,
    Sequence(String),
    Length,
    Tools,
    Refusal,
}

/// A request that the provider refuses, or a failure it plays.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) message: String,
    /// OpenAI's `param`.
    pub(crate) param: Option<String>,
    /// OpenAI's `code`.
    pub(crate) code: Option<&'static str>,
    /// Milliseconds for `retry-after-ms` (and, rounded up, `retry-after`).
    pub(crate) retry_after_ms: Option<u64>,
}

impl Refused {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Refused { status, message: message.into(), param: None, code: None, retry_after_ms: None }
    }

    /// A 400 about one field.
    pub(crate) fn field(param: impl Into<String>, message: impl Into<String>) -> Self {
        Refused { param: Some(param.into()), ..Refused::new(400, message) }
    }

    pub(crate) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
}
