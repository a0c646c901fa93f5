//! Deviations from a plain answer that live inside the dialect: told by a test, never by a client.

use serde_json::Value;

use crate::openai::hosts::Host;

/// How this one answer differs from the usual. All fields off: it doesn't.
#[derive(Debug, Clone, Default)]
pub struct Tweak {
    /// Answer this text instead of the model's.
    pub text: Option<String>,
    /// Report these figures as usage instead of what was counted.
    pub usage: UsageTold,
    /// Report exactly the bound: output tokens = the request's max tokens (text is not lengthened).
    pub exact: bool,
    /// Milliseconds before the first byte.
    pub first_ms: Option<u64>,
    /// Milliseconds between events.
    pub gap_ms: Option<u64>,
    /// Leave usage out altogether, also when asked for.
    pub no_usage: bool,
    /// Send the usage twice in a stream.
    pub usage_twice: bool,
    /// End a stream without `[DONE]` / `message_stop`.
    pub missing_done: bool,
    /// The first event of the stream is an error.
    pub error_first: bool,
    /// After so many events comes an error event, then the end.
    pub error_after: Option<usize>,
    /// Put reasoning text into this field of OpenAI messages (`reasoning_content`, `reasoning`), as hosts of
    /// open models do; OpenAI itself shows none.
    pub reasoning_field: Option<String>,
    /// Be as strict, and answer in the way, of another host of OpenAI's protocol.
    pub host: Option<Host>,
    /// Do not refuse what the real one would (a lax OpenAI-compatible server).
    pub lax: bool,
}

/// Usage figures to report; `None` leaves the counted one.
#[derive(Debug, Clone, Default)]
pub struct UsageTold {
    /// Fresh input tokens.
    pub input: Option<u64>,
    /// Output tokens, reasoning included.
    pub output: Option<u64>,
    /// Input tokens read from a cache.
    pub cached: Option<u64>,
    /// Input tokens written to a cache.
    pub cache_write: Option<u64>,
    /// Reasoning tokens within the output.
    pub reasoning: Option<u64>,
}

impl Tweak {
    /// Reads the fields of a behaviour object; unknown ones are left to the caller.
    pub fn from_json(v: &Value) -> Self {
        let num = |k: &str| v.get(k).and_then(Value::as_u64);
        let flag = |k: &str| v.get(k).and_then(Value::as_bool).unwrap_or(false);
        let text = |k: &str| v.get(k).and_then(Value::as_str).map(str::to_owned);
        let used = |k: &str| v.pointer("/usage").and_then(|u| u.get(k)).and_then(Value::as_u64);
        Tweak {
            text: text("text"),
            usage: UsageTold {
                input: used("input"),
                output: used("output"),
                cached: used("cached"),
                cache_write: used("cache_write"),
                reasoning: used("reasoning"),
            },
            exact: flag("exact"),
            first_ms: num("first_ms"),
            gap_ms: num("gap_ms"),
            no_usage: flag("no_usage"),
            usage_twice: flag("usage_twice"),
            missing_done: flag("missing_done"),
            error_first: flag("error_first"),
            error_after: num("error_after").and_then(|n| usize::try_from(n).ok()),
            reasoning_field: text("reasoning_field"),
            host: v.get("as").and_then(Value::as_str).and_then(Host::parse),
            lax: flag("lax"),
        }
    }
}
