//! `usage` of messages, into disjoint buckets and back (protocols C5).

use domain::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

/// The wire object. In a stream it comes twice: [`Self::merge`] the one of `message_delta` into the one of
/// `message_start`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl WireUsage {
    /// Takes over what a later object says. Figures are cumulative, so the larger one holds: some hosts send zeros
    /// in one of the two, and what is left out still holds.
    pub fn merge(&mut self, later: Self) {
        self.input_tokens = self.input_tokens.max(later.input_tokens);
        self.output_tokens = self.output_tokens.max(later.output_tokens);
        self.cache_creation_input_tokens =
            self.cache_creation_input_tokens.max(later.cache_creation_input_tokens);
        self.cache_read_input_tokens =
            self.cache_read_input_tokens.max(later.cache_read_input_tokens);
        if let Some(later) = later.cache_creation {
            let mine = self.cache_creation.get_or_insert_default();
            mine.ephemeral_5m_input_tokens =
                mine.ephemeral_5m_input_tokens.max(later.ephemeral_5m_input_tokens);
            mine.ephemeral_1h_input_tokens =
                mine.ephemeral_1h_input_tokens.max(later.ephemeral_1h_input_tokens);
        }
        if let Some(later) = later.output_tokens_details {
            let mine = self.output_tokens_details.get_or_insert_default();
            mine.thinking_tokens = mine.thinking_tokens.max(later.thinking_tokens);
        }
    }

    /// In disjoint buckets. `None` when the object says nothing about either side.
    pub fn to_usage(&self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let creation = self.cache_creation.clone().unwrap_or_default();
        let long = creation.ephemeral_1h_input_tokens.unwrap_or(0);
        let written = self.cache_creation_input_tokens.unwrap_or_else(|| {
            long.saturating_add(creation.ephemeral_5m_input_tokens.unwrap_or(0))
        });
        let long = long.min(written);
        let output = self.output_tokens.unwrap_or(0);
        let details = self.output_tokens_details.clone().unwrap_or_default();
        let reasoning = details.thinking_tokens.unwrap_or(0).min(output);
        Some(Usage {
            input: self.input_tokens.unwrap_or(0),
            cache_read: self.cache_read_input_tokens.unwrap_or(0),
            cache_write: written - long,
            cache_write_long: long,
            output: output - reasoning,
            reasoning,
            ..Usage::default()
        })
    }
}

/// The wire object of these buckets. Audio and image input have no place of their own there: they are input.
pub fn write(usage: &Usage) -> Value {
    let written = usage.cache_write.saturating_add(usage.cache_write_long);
    let beside = usage.cache_read.saturating_add(written);
    json!({
        "input_tokens": usage.input_total().saturating_sub(beside),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_long,
        },
        "output_tokens": usage.output_total(),
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_does_not_erase_what_the_start_said() {
        let mut usage: WireUsage = serde_json::from_str(
            r#"{"input_tokens": 25, "cache_read_input_tokens": 7, "output_tokens": 1,
                "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}}"#,
        )
        .unwrap();
        let later = r#"{"input_tokens": 0, "output_tokens": 15, "output_tokens_details": {"thinking_tokens": 5}}"#;
        usage.merge(serde_json::from_str(later).unwrap());
        let expected = Usage {
            input: 25,
            cache_read: 7,
            cache_write: 3,
            cache_write_long: 4,
            output: 10,
            reasoning: 5,
            ..Usage::default()
        };
        assert_eq!(usage.to_usage(), Some(expected));
    }
}
