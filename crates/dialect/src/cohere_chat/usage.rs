//! `usage` of v2 chat and `meta` of v2 embed, into disjoint buckets and back (protocols C5).
//!
//! Two counts come: `tokens` is everything that passed through the model, with what Cohere put there itself (its preamble,
//! special tokens); `billed_units` is what is on the bill. What is priced is the bill: "since these are tokens you don't
//! have control over, you are not charged for them"
//! (<https://docs.cohere.com/docs/how-does-cohere-pricing-work>). Only a host that gives no `billed_units` is read by
//! `tokens`. `cached_tokens` counts prompt tokens of `tokens`; so many of the billed ones count as read from the cache.

use domain::Usage;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// The wire object. Unknown fields are ignored; a field of the wrong type makes the whole unreadable, so that the row
/// says `bounded` rather than a wrong figure.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WireUsage {
    billed_units: Option<Units>,
    tokens: Option<Units>,
    #[serde(default, deserialize_with = "count")]
    cached_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Units {
    #[serde(default, deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    output_tokens: Option<u64>,
    /// Of images that were embedded; beside `input_tokens`.
    #[serde(default, deserialize_with = "count")]
    image_tokens: Option<u64>,
}

/// The SDK types counts as floats, and some come so (`71.0`). A fraction is rounded up; less than nothing is no count.
fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let Some(value) = Option::<f64>::deserialize(from)? else { return Ok(None) };
    if !(0.0..9e15).contains(&value) {
        return Err(serde::de::Error::custom("not a count"));
    }
    Ok(Some(value.ceil() as u64))
}

impl Units {
    fn says_nothing(&self) -> bool {
        self.input_tokens.is_none() && self.output_tokens.is_none() && self.image_tokens.is_none()
    }
}

impl WireUsage {
    /// In disjoint buckets. `None` when the object says nothing about either side.
    pub fn to_usage(&self) -> Option<Usage> {
        let counts = [&self.billed_units, &self.tokens].into_iter().flatten();
        let counts = counts.into_iter().find(|units| !units.says_nothing())?;
        let input = counts.input_tokens.unwrap_or(0);
        let cache_read = self.cached_tokens.unwrap_or(0).min(input);
        Some(Usage {
            input: input - cache_read,
            cache_read,
            output: counts.output_tokens.unwrap_or(0),
            image_input: counts.image_tokens.unwrap_or(0),
            ..Usage::default()
        })
    }
}

/// The wire object of these buckets. There is no place for kinds of tokens: all input is input, reasoning is output.
pub fn write(usage: &Usage) -> Value {
    let units = json!({
        "input_tokens": usage.input_total(),
        "output_tokens": usage.output_total(),
    });
    json!({"billed_units": units, "tokens": units, "cached_tokens": usage.cache_read})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        serde_json::from_str::<WireUsage>(text).ok()?.to_usage()
    }

    /// The figures of the vendor's own example.
    #[test]
    fn the_bill_is_priced_and_not_what_the_vendor_added() {
        let usage = read(
            r#"{"billed_units": {"input_tokens": 6772, "output_tokens": 248},
                "tokens": {"input_tokens": 7596, "output_tokens": 645}, "cached_tokens": 6000}"#,
        );
        let expected = Usage { input: 772, cache_read: 6_000, output: 248, ..Usage::default() };
        assert_eq!(usage, Some(expected));
        let beyond = read(r#"{"billed_units": {"input_tokens": 5}, "cached_tokens": 16}"#).unwrap();
        assert_eq!((beyond.input, beyond.cache_read), (0, 5));
    }

    #[test]
    fn a_host_without_a_bill_is_read_by_its_tokens() {
        for text in [
            r#"{"tokens": {"input_tokens": 71.0, "output_tokens": 17.2}}"#,
            r#"{"billed_units": {}, "tokens": {"input_tokens": 71, "output_tokens": 18}}"#,
            r#"{"billed_units": null, "tokens": {"input_tokens": 71, "output_tokens": 18}}"#,
        ] {
            let usage = read(text).unwrap();
            assert_eq!((usage.input, usage.output), (71, 18), "{text}");
        }
    }

    #[test]
    fn what_is_no_count_is_not_guessed() {
        for text in [
            "{}",
            r#"{"tokens": {}}"#,
            r#"{"billed_units": {"input_tokens": -1}}"#,
            r#"{"billed_units": {"input_tokens": "5"}, "tokens": {"input_tokens": 5}}"#,
            r#"{"billed_units": {"input_tokens": 1e99}}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let usage = Usage { input: 7, cache_read: 3, output: 5, ..Usage::default() };
        assert_eq!(read(&write(&usage).to_string()), Some(usage));
        let rich = Usage { input: 7, cache_write: 2, output: 5, reasoning: 4, ..usage };
        let back = read(&write(&rich).to_string()).unwrap();
        assert_eq!((back.input_total(), back.output_total()), (12, 9));
    }
}
