//! Reasoning effort and thinking budgets: the one table between them (protocols C4).
//!
//! | effort | to Messages effort | budget written | budgets read as it |
//! | --- | --- | --- | --- |
//! | none | thinking off | - | - |
//! | minimal | low | 1,024 | up to 1,024 |
//! | low | low | 2,048 | up to 4,096 |
//! | medium | medium | 8,192 | up to 12,288 |
//! | high | high | 16,384 | up to 24,576 |
//! | xhigh | xhigh | 32,768 | up to 49,152 |
//! | max | max | 65,536 | above |
//!
//! The budgets are ours, not a vendor's: powers of two around the values that vendors' own guides use, with the
//! reading borders midway. Both ways lose the exact figure, and the loss report says so.

/// How hard to think, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// Normally.
    Medium,
    /// Hard.
    High,
    /// Harder.
    Xhigh,
    /// As hard as possible.
    Max,
}

/// The least budget that Anthropic takes.
pub const BUDGET_MIN: u64 = 1_024;

const TABLE: [(Effort, &str, u64, u64); 7] = [
    (Effort::None, "none", 0, 0),
    (Effort::Minimal, "minimal", 1_024, 1_024),
    (Effort::Low, "low", 2_048, 4_096),
    (Effort::Medium, "medium", 8_192, 12_288),
    (Effort::High, "high", 16_384, 24_576),
    (Effort::Xhigh, "xhigh", 32_768, 49_152),
    (Effort::Max, "max", 65_536, u64::MAX),
];

impl Effort {
    /// OpenAI's word.
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == word).map(|row| row.0)
    }

    /// Anthropic's word: it has neither `none` nor `minimal`.
    pub fn as_messages_str(self) -> &'static str {
        match self {
            Self::None | Self::Minimal => "low",
            _ => self.as_str(),
        }
    }

    /// The thinking budget that stands for it, in tokens.
    pub fn budget(self) -> u64 {
        self.row().2
    }

    /// The effort that stands for a budget.
    pub fn from_budget(tokens: u64) -> Self {
        TABLE.iter().find(|row| tokens <= row.3).map_or(Self::Max, |row| row.0)
    }

    fn row(self) -> (Self, &'static str, u64, u64) {
        TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effort_written_as_a_budget_reads_back_as_itself() {
        for (effort, word, budget, _) in TABLE {
            assert_eq!(Effort::from_budget(budget), effort);
            assert_eq!(Effort::parse(word), Some(effort));
            assert_eq!(effort.as_str(), word);
        }
    }
}
