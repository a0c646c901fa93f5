//! What crosses the borders between the steps of a request.

/// The operations the gateway serves, whatever the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Endpoint {
    /// Generate an answer.
    Chat = 0,
    /// Embed text.
    Embeddings = 1,
    /// Count the tokens of a request without running it.
    CountTokens = 2,
    /// List models.
    Models = 3,
    /// Make images of a text.
    ImageGeneration = 4,
    /// Change images.
    ImageEdit = 5,
    /// Make images like one.
    ImageVariation = 6,
    /// Say a text aloud.
    Speech = 7,
    /// Write down what is said.
    Transcription = 8,
    /// Write down in English what is said.
    Translation = 9,
    /// Judge texts and images.
    Moderation = 10,
    /// Order documents by how well they answer a question.
    Rerank = 11,
    /// A session in which client and provider talk, over a WebSocket.
    Realtime = 12,
    /// Keep, read and delete files at a provider.
    Files = 13,
    /// Have many requests run within a day, at their own price; ask for them and cancel them.
    Batches = 14,
}

impl Endpoint {
    /// The word used in rows and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
            Self::ImageGeneration => "image_generation",
            Self::ImageEdit => "image_edit",
            Self::ImageVariation => "image_variation",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Translation => "translation",
            Self::Moderation => "moderation",
            Self::Rerank => "rerank",
            Self::Realtime => "realtime",
            Self::Files => "files",
            Self::Batches => "batches",
        }
    }

    /// Every operation, in the order of its code.
    pub const ALL: &'static [Self] = &[
        Self::Chat,
        Self::Embeddings,
        Self::CountTokens,
        Self::Models,
        Self::ImageGeneration,
        Self::ImageEdit,
        Self::ImageVariation,
        Self::Speech,
        Self::Transcription,
        Self::Translation,
        Self::Moderation,
        Self::Rerank,
        Self::Realtime,
        Self::Files,
        Self::Batches,
    ];

    /// Whether it is only passed on, between a client and a provider of one dialect, and never translated.
    pub fn is_passed_on(self) -> bool {
        self as u8 >= Self::ImageGeneration as u8
    }

    /// Whether it is about what lies at one provider: such a call names no model and goes nowhere else.
    pub fn is_bound(self) -> bool {
        matches!(self, Self::Files | Self::Batches)
    }

    /// The inverse of the discriminant.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| *it as u8 == code)
    }
}

/// The limits a request sets on itself, as the client sent them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestLimits {
    /// Most output tokens per answer, where the client said so.
    pub max_output: Option<u64>,
    /// Number of answers asked for (`n`); at least one.
    pub answers: u32,
}

/// An upper bound of what an attempt can use, in tokens; what reservations are made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorstCase {
    /// Input tokens, all answers together.
    pub input: u64,
    /// Output tokens, all answers together; `None` when nothing bounds it.
    pub output: Option<u64>,
}

/// What a provider said about when to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHint {
    /// Milliseconds to wait, from `retry-after-ms`, `retry-after` or the body.
    pub retry_after_ms: Option<u64>,
}
