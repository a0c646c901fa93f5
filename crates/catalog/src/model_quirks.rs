//! Peculiarities that follow from the model rather than from who serves it.

const TABLE: &str = include_str!("../data/model_quirks.csv");

/// The quirk words of a model, by the longest prefix of its name that the table knows. Vendor prefixes (`openai/`,
/// `anthropic.`, `us.anthropic.`) don't count.
pub fn model_quirks(model: &str) -> impl Iterator<Item = &'static str> {
    let plain = plain_name(model).unwrap_or(model);
    let rows = TABLE.lines().filter(|line| !line.starts_with('#')).skip(1);
    let fitting = rows.filter_map(|line| {
        let mut cells = line.split(',');
        let (pattern, words) = (cells.next()?, cells.next()?);
        plain.starts_with(pattern).then_some((pattern.len(), words))
    });
    fitting.max_by_key(|(len, _)| *len).map_or("", |(_, words)| words).split_ascii_whitespace()
}

/// The name behind the last slash, and behind a vendor's dotted prefix (`us.anthropic.claude-...`). A version's dot
/// (`gpt-5.6`) is part of the name.
fn plain_name(model: &str) -> Option<&str> {
    let tail = model.rsplit('/').next()?;
    let vendors = ["anthropic.", "openai."];
    let cut = vendors.iter().find_map(|vendor| tail.find(vendor).map(|at| at + vendor.len()));
    tail.get(cut.unwrap_or(0)..)
}

#[cfg(test)]
mod tests {
    use super::model_quirks;

    fn words(model: &str) -> Vec<&'static str> {
        model_quirks(model).collect()
    }

    #[test]
    fn the_longest_fitting_prefix_counts() {
        assert_eq!(words("gpt-5-mini"), ["no_sampling", "no_stop"]);
        assert_eq!(words("gpt-5-chat-latest"), [""; 0]);
        assert_eq!(words("openai/gpt-5.6"), ["no_sampling", "no_stop", "cache_breakpoints"]);
        assert_eq!(words("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), ["thinking_budget"]);
        assert_eq!(words("claude-opus-4-6"), [""; 0]);
        assert_eq!(words("llama-4"), [""; 0]);
    }
}
