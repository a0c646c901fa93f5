//! `usage` of responses, into disjoint buckets and back (protocols C5).

use domain::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

/// The wire object. Unknown fields are ignored; a field of the wrong type makes the whole unreadable, so that
/// the row says `bounded` rather than a wrong figure.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

/// Takes up to `wanted` out of `rest`: details can overlap, and the buckets must add up to the vendor's own total.
fn take(rest: &mut u64, wanted: Option<u64>) -> u64 {
    let taken = wanted.unwrap_or(0).min(*rest);
    *rest -= taken;
    taken
}

impl WireUsage {
    /// In disjoint buckets. `None` when the object says nothing about either side.
    pub fn to_usage(&self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let read = self.input_tokens_details.clone().unwrap_or_default();
        let made = self.output_tokens_details.clone().unwrap_or_default();
        let mut input = self.input_tokens.unwrap_or(0);
        let mut output = self.output_total(input, made.reasoning_tokens.unwrap_or(0));
        Some(Usage {
            cache_read: take(&mut input, read.cached_tokens),
            cache_write: take(&mut input, read.cache_write_tokens),
            cache_write_long: 0,
            audio_input: take(&mut input, read.audio_tokens),
            image_input: take(&mut input, read.image_tokens),
            input,
            reasoning: take(&mut output, made.reasoning_tokens),
            audio_output: take(&mut output, made.audio_tokens),
            output,
        })
    }

    /// A host that counts reasoning beside the output, not inside it, says so by its total (protocols C5).
    fn output_total(&self, input: u64, reasoning: u64) -> u64 {
        let output = self.output_tokens.unwrap_or(0);
        let beside = output.saturating_add(reasoning);
        match self.total_tokens {
            Some(total) if reasoning > 0 && total == input.saturating_add(beside) => beside,
            _ => output,
        }
    }
}

/// The wire object of these buckets. The details are required (protocols A2).
pub fn write(usage: &Usage) -> Value {
    let written = usage.cache_write.saturating_add(usage.cache_write_long);
    json!({
        "input_tokens": usage.input_total(),
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": written},
        "output_tokens": usage.output_total(),
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total(),
    })
}
