//! `usage` of Converse, into disjoint buckets and back (protocols C5).

use domain::Usage;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::json::Object;

/// The wire object. Reasoning is part of the output and is not told apart.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
    /// What was written, by lifetime.
    cache_details: Option<Vec<CacheDetail>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    ttl: Option<String>,
    input_tokens: Option<u64>,
}

impl WireUsage {
    /// In disjoint buckets: `inputTokens` holds neither what was read from the cache nor what was written to it. `None`
    /// when the object says nothing about either side.
    pub fn to_usage(&self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let details = self.cache_details.as_deref().unwrap_or_default();
        let sum = |long: bool| {
            let of_kind = details.iter().filter(|it| (it.ttl.as_deref() == Some("1h")) == long);
            of_kind.filter_map(|it| it.input_tokens).fold(0, u64::saturating_add)
        };
        let written =
            self.cache_write_input_tokens.unwrap_or_else(|| sum(true).saturating_add(sum(false)));
        let long = sum(true).min(written);
        Some(Usage {
            input: self.input_tokens.unwrap_or(0),
            cache_read: self.cache_read_input_tokens.unwrap_or(0),
            cache_write: written - long,
            cache_write_long: long,
            output: self.output_tokens.unwrap_or(0),
            ..Usage::default()
        })
    }
}

/// The wire object of these buckets. Audio and image input have no place of their own there: they are input.
pub fn write(usage: &Usage) -> Value {
    let written = usage.cache_write.saturating_add(usage.cache_write_long);
    let beside = usage.cache_read.saturating_add(written);
    let mut object = Object::default();
    object.put("inputTokens", usage.input_total().saturating_sub(beside));
    object.put("outputTokens", usage.output_total());
    object.put("totalTokens", usage.input_total().saturating_add(usage.output_total()));
    object.put("cacheReadInputTokens", usage.cache_read);
    object.put("cacheWriteInputTokens", written);
    let details: Vec<Value> = [("5m", usage.cache_write), ("1h", usage.cache_write_long)]
        .into_iter()
        .filter(|(_, tokens)| *tokens > 0)
        .map(|(ttl, tokens)| json!({"ttl": ttl, "inputTokens": tokens}))
        .collect();
    if !details.is_empty() {
        object.put("cacheDetails", details);
    }
    object.into_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        serde_json::from_str::<WireUsage>(text).unwrap().to_usage()
    }

    #[test]
    fn cached_input_stands_beside_the_input() {
        let wire = r#"{"inputTokens": 14, "outputTokens": 20, "totalTokens": 1875, "cacheReadInputTokens": 1000,
            "cacheWriteInputTokens": 841, "cacheDetails": [{"ttl": "1h", "inputTokens": 800}, {"ttl": "5m", "inputTokens": 41}]}"#;
        let expected = Usage {
            input: 14,
            cache_read: 1_000,
            cache_write: 41,
            cache_write_long: 800,
            output: 20,
            ..Usage::default()
        };
        assert_eq!(read(wire), Some(expected));
        let again = write(&expected);
        assert_eq!(again["totalTokens"], 1_875);
        assert_eq!(read(&again.to_string()), Some(expected));
    }

    #[test]
    fn what_is_not_said_is_not_made_up() {
        assert_eq!(read("{}"), None);
        let plain = Usage { input: 3, output: 4, ..Usage::default() };
        assert_eq!(read(r#"{"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}"#), Some(plain));
        // Details that say more than the total: the total holds.
        let odd = r#"{"inputTokens": 3, "outputTokens": 4, "cacheWriteInputTokens": 5,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 9}, {}]}"#;
        assert_eq!(read(odd), Some(Usage { cache_write_long: 5, ..plain }));
    }
}
