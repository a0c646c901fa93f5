//! `usage` of messages, into disjoint buckets and back (protocols C5).

use domain::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

/// The wire object. In a stream it comes twice: [`Self::merge`] the one of `message_delta` into the one of
/// `message_start`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WireUsage {
    #[serde(flatten)]
    counts: Counts,
    /// The samplings of one request, where there were several: a compaction of the context before the answer, or a
    /// model that declined before its fallback. The counts beside it leave some of them out, but all are billed.
    /// <https://platform.claude.com/docs/en/build-with-claude/compaction-threshold>
    iterations: Option<Vec<Counts>>,
}

/// What one sampling used.
#[derive(Clone, Debug, Default, Deserialize)]
struct Counts {
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
        self.counts.merge(later.counts);
        if later.iterations.as_ref().map(Vec::len) >= self.iterations.as_ref().map(Vec::len) {
            self.iterations = later.iterations;
        }
    }

    /// In disjoint buckets. `None` when the object says nothing about either side.
    pub fn to_usage(&self) -> Option<Usage> {
        let stated = self.counts.to_usage();
        let iterations = self.iterations.iter().flatten().filter_map(Counts::to_usage);
        let Some(all) = iterations.reduce(|a, b| each(&a, &b, u64::saturating_add)) else {
            return stated;
        };
        // Which kinds of iteration are in the counts beside them differs: neither is less than what is billed.
        Some(stated.map_or(all, |stated| each(&stated, &all, u64::max)))
    }
}

/// The two of each bucket made one.
fn each(a: &Usage, b: &Usage, join: fn(u64, u64) -> u64) -> Usage {
    Usage {
        input: join(a.input, b.input),
        cache_read: join(a.cache_read, b.cache_read),
        cache_write: join(a.cache_write, b.cache_write),
        cache_write_long: join(a.cache_write_long, b.cache_write_long),
        output: join(a.output, b.output),
        reasoning: join(a.reasoning, b.reasoning),
        ..Usage::default()
    }
}

impl Counts {
    fn merge(&mut self, later: Self) {
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

    fn to_usage(&self) -> Option<Usage> {
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

    /// The vendor's own example of a compaction: what it took is not in the counts beside the iterations.
    /// <https://platform.claude.com/docs/en/build-with-claude/compaction-threshold>
    #[test]
    fn every_iteration_is_billed() {
        let mut usage: WireUsage =
            serde_json::from_str(r#"{"input_tokens": 23000, "output_tokens": 1}"#).unwrap();
        let later = r#"{"input_tokens": 23000, "output_tokens": 1000, "iterations": [
            {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500},
            {"type": "message", "input_tokens": 23000, "output_tokens": 1000}]}"#;
        usage.merge(serde_json::from_str(later).unwrap());
        let expected = Usage { input: 203_000, output: 4_500, ..Usage::default() };
        assert_eq!(usage.to_usage(), Some(expected));
        // A later object without them takes nothing back, and without a compaction nothing counts twice.
        usage.merge(WireUsage::default());
        assert_eq!(usage.to_usage(), Some(expected));
        let one = r#"{"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 3,
            "iterations": [{"type": "message", "input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 3}]}"#;
        let expected = Usage { input: 5, cache_read: 7, output: 3, ..Usage::default() };
        assert_eq!(serde_json::from_str::<WireUsage>(one).unwrap().to_usage(), Some(expected));
    }
}
