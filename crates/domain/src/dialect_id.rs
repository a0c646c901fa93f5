//! The wire formats by name. What they are is the `dialect` crate's; configuration and ledger need the words.

/// A wire format. The discriminant is stored in the ledger: never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DialectId {
    /// OpenAI Chat Completions.
    OpenaiChat = 0,
    /// Anthropic Messages.
    AnthropicMessages = 1,
    /// OpenAI Responses.
    OpenaiResponses = 2,
    /// Gemini `generateContent`.
    Gemini = 3,
    /// Amazon Bedrock's Converse.
    BedrockConverse = 4,
    /// Cohere's v2 chat.
    CohereChat = 5,
    /// Oracle's native chat. Only providers speak it.
    OciChat = 6,
}

impl DialectId {
    /// Every dialect, in the order of its code.
    pub const ALL: &'static [Self] = &[
        Self::OpenaiChat,
        Self::AnthropicMessages,
        Self::OpenaiResponses,
        Self::Gemini,
        Self::BedrockConverse,
        Self::CohereChat,
        Self::OciChat,
    ];

    /// Those that clients speak too.
    pub const CLIENTS: &'static [Self] = Self::ALL.split_at(6).0;

    /// Their words, in the same order.
    pub const WORDS: &'static [&'static str] = &[
        "openai-chat",
        "anthropic-messages",
        "openai-responses",
        "gemini",
        "bedrock-converse",
        "cohere-chat",
        "oci-chat",
    ];

    /// The word used in config, rows and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai-chat",
            Self::AnthropicMessages => "anthropic-messages",
            Self::OpenaiResponses => "openai-responses",
            Self::Gemini => "gemini",
            Self::BedrockConverse => "bedrock-converse",
            Self::CohereChat => "cohere-chat",
            Self::OciChat => "oci-chat",
        }
    }

    /// The inverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|id| id.as_str() == word)
    }

    /// The inverse of the discriminant.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|id| *id as u8 == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes_lead_back() {
        for (id, word) in DialectId::ALL.iter().zip(DialectId::WORDS) {
            assert_eq!(id.as_str(), *word);
            assert_eq!(DialectId::parse(word), Some(*id));
            assert_eq!(DialectId::from_code(*id as u8), Some(*id));
        }
        assert_eq!(DialectId::ALL.len(), DialectId::WORDS.len());
        assert!(!DialectId::CLIENTS.contains(&DialectId::OciChat));
    }
}
