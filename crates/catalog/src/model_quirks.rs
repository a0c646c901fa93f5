//! Peculiarities that follow from the model rather than from who serves it.

use crate::names::longest_prefix;

const TABLE: &str = include_str!("../data/model_quirks.csv");

/// The quirk words of a model, by the longest prefix of its name that the table knows.
pub fn model_quirks(model: &str) -> impl Iterator<Item = &'static str> {
    let words = longest_prefix(TABLE, model).map_or("", |[words, ..]: [&str; 4]| words);
    words.split_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use super::model_quirks;

    fn words(model: &str) -> Vec<&'static str> {
        model_quirks(model).collect()
    }

    #[test]
    fn the_longest_fitting_prefix_counts() {
        assert_eq!(words("gpt-5-mini"), ["no_sampling", "no_stop", "completion_limit"]);
        assert_eq!(words("gpt-5-chat-latest"), ["completion_limit"]);
        assert_eq!(
            words("openai/gpt-5.6"),
            ["no_sampling", "no_stop", "cache_breakpoints", "completion_limit"]
        );
        assert_eq!(words("openai.gpt-oss-120b"), ["completion_limit"]);
        assert_eq!(words("cohere.command-a-03-2025"), ["cohere_request"]);
        assert_eq!(words("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), ["thinking_budget"]);
        assert_eq!(words("claude-opus-4-6"), [""; 0]);
        assert_eq!(words("llama-4"), [""; 0]);
        assert_eq!(
            words("ft:o4-mini-2025-04-16:org::id"),
            ["no_sampling", "no_stop", "completion_limit"]
        );
    }
}
