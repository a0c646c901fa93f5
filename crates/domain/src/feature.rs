//! What a request uses, as bits: kept in the ledger, compared with what an offer can do.

use std::fmt;

macro_rules! features {
    ($($(#[$doc:meta])* $variant:ident = $bit:literal $word:literal,)*) => {
        /// One thing a request may use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Feature { $($(#[$doc])* $variant = $bit,)* }

        impl Feature {
            /// Every feature, in bit order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in rows and the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

features! {
    /// Streamed answer.
    Stream = 0 "stream",
    /// Function tools.
    Tools = 1 "tools",
    /// Custom (free text or grammar) tools.
    CustomTools = 2 "custom_tools",
    /// Tools the vendor runs.
    HostedTools = 3 "hosted_tools",
    /// A forced or restricted tool choice.
    ToolChoice = 4 "tool_choice",
    /// Image input.
    Images = 5 "images",
    /// Document input.
    Documents = 6 "documents",
    /// Audio input.
    AudioInput = 7 "audio_input",
    /// Audio or image output.
    MediaOutput = 8 "media_output",
    /// Output bound to a JSON schema.
    JsonSchema = 9 "json_schema",
    /// JSON mode without a schema.
    JsonObject = 10 "json_object",
    /// Reasoning asked for (effort or budget).
    Reasoning = 11 "reasoning",
    /// Signed or encrypted reasoning in the history: bound to one vendor.
    SignedReasoning = 12 "signed_reasoning",
    /// Explicit cache breakpoints.
    CacheHints = 13 "cache_hints",
    /// Sampling parameters.
    Sampling = 14 "sampling",
    /// `top_k`.
    TopK = 15 "top_k",
    /// A seed.
    Seed = 16 "seed",
    /// More than one answer.
    ManyAnswers = 17 "many_answers",
    /// Log probabilities.
    Logprobs = 18 "logprobs",
    /// Token biases.
    LogitBias = 19 "logit_bias",
    /// Stop sequences.
    StopSequences = 20 "stop_sequences",
    /// An assistant prefill.
    Prefill = 21 "prefill",
    /// Predicted output.
    Prediction = 22 "prediction",
    /// State kept by the vendor (`store`, `previous_response_id`, containers).
    ServerState = 23 "server_state",
    /// Beta headers or fields that change meaning.
    Beta = 24 "beta",
    /// Citations.
    Citations = 25 "citations",
    /// A service tier or speed.
    ServiceTier = 26 "service_tier",
    /// Files referenced by the vendor's ids.
    FileIds = 27 "file_ids",
    /// Images or documents by URL.
    RemoteMedia = 28 "remote_media",
    /// A system prompt.
    System = 29 "system",
    /// Tool results in the history.
    ToolResults = 30 "tool_results",
}

/// A set of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features(u64);

impl Features {
    /// None.
    pub const NONE: Self = Self(0);

    /// From stored bits; unknown bits are kept.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Adds one.
    pub const fn insert(&mut self, feature: Feature) {
        self.0 |= 1 << feature as u8;
    }

    /// This set and one more.
    pub const fn with(mut self, feature: Feature) -> Self {
        self.insert(feature);
        self
    }

    /// Whether it is in.
    pub fn contains(self, feature: Feature) -> bool {
        self.0 & (1 << feature as u8) != 0
    }

    /// The known features in the set, in bit order.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.iter().copied().filter(move |feature| self.contains(*feature))
    }
}

impl fmt::Display for Features {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, feature) in self.iter().enumerate() {
            if index > 0 {
                out.write_str(",")?;
            }
            out.write_str(feature.as_str())?;
        }
        Ok(())
    }
}
