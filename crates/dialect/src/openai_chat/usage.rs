//! `usage` of chat completions, into disjoint buckets and back (protocols C5).

use domain::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

/// The wire object. Unknown fields are ignored; a field of the wrong type makes the whole unreadable, so that
/// the row says `bounded` rather than a wrong figure.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's spelling of cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
    /// Together's and Moonshot's.
    cached_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

/// Takes up to `wanted` out of `rest`: a vendor's details can overlap (cached audio is counted as both), and
/// the buckets must add up to the vendor's own total.
fn take(rest: &mut u64, wanted: Option<u64>) -> u64 {
    let taken = wanted.unwrap_or(0).min(*rest);
    *rest -= taken;
    taken
}

impl WireUsage {
    /// In disjoint buckets. `None` when the object says nothing about either side.
    pub fn to_usage(&self) -> Option<Usage> {
        if self.prompt_tokens.is_none() && self.completion_tokens.is_none() {
            return None;
        }
        let prompt = self.prompt_tokens_details.clone().unwrap_or_default();
        let completion = self.completion_tokens_details.clone().unwrap_or_default();
        let mut input = self.prompt_tokens.unwrap_or(0);
        let cached = prompt.cached_tokens.or(self.prompt_cache_hit_tokens).or(self.cached_tokens);
        let mut output = self.output_total(input, completion.reasoning_tokens.unwrap_or(0));
        Some(Usage {
            cache_read: take(&mut input, cached),
            cache_write: take(&mut input, prompt.cache_write_tokens),
            cache_write_long: 0,
            audio_input: take(&mut input, prompt.audio_tokens),
            image_input: take(&mut input, prompt.image_tokens),
            input,
            reasoning: take(&mut output, completion.reasoning_tokens),
            audio_output: take(&mut output, completion.audio_tokens),
            output,
        })
    }

    /// xAI counts reasoning beside `completion_tokens`, not inside it: its total tells (protocols C5).
    fn output_total(&self, input: u64, reasoning: u64) -> u64 {
        let completion = self.completion_tokens.unwrap_or(0);
        let beside = completion.saturating_add(reasoning);
        match self.total_tokens {
            Some(total) if reasoning > 0 && total == input.saturating_add(beside) => beside,
            _ => completion,
        }
    }
}

/// The wire object of these buckets.
pub fn write(usage: &Usage) -> Value {
    let written = usage.cache_write.saturating_add(usage.cache_write_long);
    json!({
        "prompt_tokens": usage.input_total(),
        "completion_tokens": usage.output_total(),
        "total_tokens": usage.total(),
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
            "audio_tokens": usage.audio_input,
            "image_tokens": usage.image_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
