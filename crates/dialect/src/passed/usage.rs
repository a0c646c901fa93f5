//! `usage` of the passed endpoints, into disjoint buckets.

use domain::{Endpoint, Usage};
use serde::Deserialize;

/// The wire object, in the spellings of images, transcripts, speech and reranking. A duration, or a number of searches,
/// is no number of tokens.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    prompt_tokens: Option<u64>,
    total_tokens: Option<u64>,
    #[serde(alias = "input_token_details")]
    input_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
    image_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

fn take(rest: &mut u64, wanted: Option<u64>) -> u64 {
    let taken = wanted.unwrap_or(0).min(*rest);
    *rest -= taken;
    taken
}

impl WireUsage {
    /// In disjoint buckets; `None` where nothing is said in tokens.
    pub(super) fn to_usage(&self, endpoint: Endpoint) -> Option<Usage> {
        let total = self.total_tokens.filter(|_| self.output_tokens.is_none());
        let mut input = self.input_tokens.or(self.prompt_tokens).or(total)?;
        let details = self.input_tokens_details.unwrap_or_default();
        let output = self.output_tokens.unwrap_or(0);
        let spoken = endpoint == Endpoint::Speech;
        Some(Usage {
            cache_read: take(&mut input, details.cached_tokens),
            image_input: take(&mut input, details.image_tokens),
            audio_input: take(&mut input, details.audio_tokens),
            input,
            output: if spoken { 0 } else { output },
            audio_output: if spoken { output } else { 0 },
            ..Usage::default()
        })
    }
}
