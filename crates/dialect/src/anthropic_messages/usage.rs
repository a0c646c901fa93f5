//! `usage` of messages, into disjoint buckets and back (protocols C5).

use domain::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

/// The wire object. In a stream it comes twice: [`Self::merge`] the one of `message_delta` into the one of
/// `message_start`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl WireUsage {
    /// Takes over what a later object says; its figures are cumulative, and what it leaves out still holds.
    pub fn merge(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_creation_input_tokens =
            later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens =
            later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation = later.cache_creation.or(self.cache_creation.take());
        self.output_tokens_details =
            later.output_tokens_details.or(self.output_tokens_details.take());
    }

    /// In disjoint buckets. `None` when the object says nothing about either side.
    pub fn to_usage(&self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let creation = self.cache_creation.clone().unwrap_or_default();
        let long = creation.ephemeral_1h_input_tokens.unwrap_or(0);
        let written = self.cache_creation_input_tokens.unwrap_or_else(|| {
            long.saturating_add(creation.ephemeral_5m_input_tokens.unwrap_or(0))
        });
        let long = long.min(written);
        let output = self.output_tokens.unwrap_or(0);
        let details = self.output_tokens_details.clone().unwrap_or_default();
        let reasoning = details.thinking_tokens.unwrap_or(0).min(output);
        Some(Usage {
            input: self.input_tokens.unwrap_or(0),
            cache_read: self.cache_read_input_tokens.unwrap_or(0),
            cache_write: written - long,
            cache_write_long: long,
            output: output - reasoning,
            reasoning,
            ..Usage::default()
        })
    }
}

/// The wire object of these buckets. Audio and image input have no place of their own there: they are input.
pub fn write(usage: &Usage) -> Value {
    let written = usage.cache_write.saturating_add(usage.cache_write_long);
    let beside = usage.cache_read.saturating_add(written);
    json!({
        "input_tokens": usage.input_total().saturating_sub(beside),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_long,
        },
        "output_tokens": usage.output_total(),
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    })
}
