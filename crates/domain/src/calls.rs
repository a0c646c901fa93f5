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
}

impl Endpoint {
    /// The word used in rows and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
        }
    }

    /// The inverse of the discriminant.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Chat, Self::Embeddings, Self::CountTokens, Self::Models]
            .into_iter()
            .find(|it| *it as u8 == code)
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
