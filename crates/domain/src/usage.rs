//! Tokens of one attempt in disjoint buckets.

use std::fmt;

/// What an attempt consumed, in tokens. The buckets are **disjoint**: no token stands in two of them, whatever
/// the vendor's own arithmetic (protocols C5: OpenAI counts cached inside input and reasoning inside output,
/// Anthropic counts cached beside input).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Fresh text input.
    pub input: u64,
    /// Input read from the provider's prompt cache.
    pub cache_read: u64,
    /// Input written to the provider's prompt cache (its short or only lifetime).
    pub cache_write: u64,
    /// Input written to the provider's prompt cache with the one-hour lifetime.
    pub cache_write_long: u64,
    /// Visible text output.
    pub output: u64,
    /// Reasoning (thinking) output.
    pub reasoning: u64,
    /// Audio input.
    pub audio_input: u64,
    /// Audio output.
    pub audio_output: u64,
    /// Image input, where the provider reports it apart.
    pub image_input: u64,
}

impl Usage {
    /// All input: what OpenAI calls `prompt_tokens`.
    pub fn input_total(&self) -> u64 {
        [
            self.input,
            self.cache_read,
            self.cache_write,
            self.cache_write_long,
            self.audio_input,
            self.image_input,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// All output: what OpenAI calls `completion_tokens`.
    pub fn output_total(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.audio_output)
    }

    /// Input and output.
    pub fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output_total())
    }

    /// Whether nothing at all is counted.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// How far a usage figure can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum UsageQuality {
    /// The provider said so.
    Reported = 0,
    /// We counted what passed through.
    Counted = 1,
    /// An upper bound: nobody knows the true figure (a crash, a silent provider, a whole answer that was cut).
    Bounded = 2,
}

impl UsageQuality {
    /// The word used in rows, headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Counted => "counted",
            Self::Bounded => "bounded",
        }
    }

    /// The inverse of the discriminant.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Reported, Self::Counted, Self::Bounded]
            .into_iter()
            .find(|quality| *quality as u8 == code)
    }
}

impl fmt::Display for UsageQuality {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
