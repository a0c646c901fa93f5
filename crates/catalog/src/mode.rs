//! Ways of processing that have prices of their own.

use std::fmt;

/// The way a request is processed, where providers price that differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Interactive, default tier.
    #[default]
    Standard = 0,
    /// Asynchronous batch.
    Batch = 1,
    /// Cheaper and slower (`service_tier: flex`).
    Flex = 2,
    /// Dearer and faster (`service_tier: priority`, `speed: fast`).
    Fast = 3,
    /// Fastest tier (`ultrafast`).
    Ultrafast = 4,
    /// Models that cost more when they think.
    Thinking = 5,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::Batch, Self::Flex, Self::Fast, Self::Ultrafast, Self::Thinking];

    /// The word in data files and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Fast => "fast",
            Self::Ultrafast => "ultrafast",
            Self::Thinking => "thinking",
        }
    }

    /// The mode of that word; `priority` is `fast`.
    pub fn parse(word: &str) -> Option<Self> {
        if word == "priority" {
            return Some(Self::Fast);
        }
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
