//! Names of models: what may be left off when looking one up, and which names are near.

/// `gpt-4o-2024-08-06`, `claude-x-20251001`, `claude-x@20251001` without their dates; `None` when there is none.
pub(crate) fn without_date(name: &str) -> Option<&str> {
    let dashed = |text: &str| {
        let bytes = text.as_bytes();
        bytes.len() == 11
            && [0, 5, 8].into_iter().all(|at| bytes.get(at) == Some(&b'-'))
            && is_date(&text.replace('-', ""))
    };
    let solid = |text: &str| text.strip_prefix(['-', '@']).is_some_and(is_date);
    let tail = |len: usize| name.len().checked_sub(len).and_then(|at| name.split_at_checked(at));
    match (tail(11), tail(9)) {
        (Some((head, text)), _) if !head.is_empty() && dashed(text) => Some(head),
        (_, Some((head, text))) if !head.is_empty() && solid(text) => Some(head),
        _ => None,
    }
}

/// Eight digits that can be a day of this century.
fn is_date(digits: &str) -> bool {
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u32>().ok();
    digits.len() == 8
        && digits.starts_with("20")
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && number(4..6).is_some_and(|month| (1..=12).contains(&month))
        && number(6..8).is_some_and(|day| (1..=31).contains(&day))
}

/// Region and resource prefixes that hosts put before a model id.
const PREFIXES: &[(&str, &str)] = &[
    ("google", "models/"),
    ("bedrock", "us-gov."),
    ("bedrock", "global."),
    ("bedrock", "apac."),
    ("bedrock", "us."),
    ("bedrock", "eu."),
    ("bedrock", "jp."),
    ("bedrock", "au."),
    ("bedrock", "ca."),
];

/// A model id without the prefix its host allows before it.
pub(crate) fn without_prefix<'a>(host: &str, name: &'a str) -> Option<&'a str> {
    PREFIXES
        .iter()
        .filter(|(of, _)| *of == host)
        .find_map(|(_, prefix)| name.strip_prefix(prefix))
        .filter(|rest| !rest.is_empty())
}

/// The cells after the pattern in the row of a table (CSV without quoting, `#` comments, a header) whose pattern is the
/// longest prefix of the model's name. Vendor prefixes (`openai/`, `us.anthropic.`, `ft:`) don't count.
pub(crate) fn longest_prefix<const N: usize>(
    table: &'static str,
    model: &str,
) -> Option<[&'static str; N]> {
    let plain = plain_name(model).unwrap_or(model);
    let rows = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    let (_, cells) = rows
        .filter_map(|line| line.split_once(','))
        .filter(|(pattern, _)| plain.starts_with(pattern))
        .max_by_key(|(pattern, _)| pattern.len())?;
    let mut cells = cells.split(',');
    let mut row = [""; N];
    for cell in &mut row {
        *cell = cells.next()?;
    }
    Some(row)
}

/// The name behind the last slash, behind a vendor's dotted prefix (`us.anthropic.claude-...`) and behind the mark of a
/// fine-tuned model. A version's dot (`gpt-5.6`) is part of the name.
fn plain_name(model: &str) -> Option<&str> {
    let tail = model.rsplit('/').next()?;
    let vendors = ["anthropic.", "openai."];
    let cut = vendors.iter().find_map(|vendor| tail.find(vendor).map(|at| at + vendor.len()));
    let name = tail.get(cut.unwrap_or(0)..)?;
    Some(name.strip_prefix("ft:").unwrap_or(name))
}

/// The nearest of `names` to `asked`, best first, at most `most`: for "did you mean".
///
/// Jaro-Winkler favours common beginnings, which model ids have; below 0.82 two ids look unrelated to people.
pub fn nearest<'a>(
    asked: &str,
    names: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    let asked = asked.to_ascii_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&asked, &name.to_ascii_lowercase()), name))
        .filter(|(score, _)| *score >= 0.82)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(most).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_told_from_versions() {
        assert_eq!(without_date("gpt-4o-2024-08-06"), Some("gpt-4o"));
        assert_eq!(without_date("claude-sonnet-4-5-20250929"), Some("claude-sonnet-4-5"));
        assert_eq!(without_date("claude-sonnet-4-5@20250929"), Some("claude-sonnet-4-5"));
        for name in
            ["gpt-4-0613", "model-12345678", "model-20251301", "-20250101", "gpt-4o", "", "é"]
        {
            assert_eq!(without_date(name), None, "{name}");
        }
    }

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["gpt-4o", "gpt-4o-mini", "claude-opus-4-8", "o3"];
        assert_eq!(nearest("gpt-4o-mimi", names, 1), ["gpt-4o-mini"]);
        assert_eq!(nearest("Claude-Opus-48", names, 3), ["claude-opus-4-8"]);
        assert!(nearest("llama", names, 3).is_empty());
    }
}
