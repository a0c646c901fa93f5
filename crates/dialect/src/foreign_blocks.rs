//! Blocks that only one vendor knows, as text for the others: search results, cited text, guarded text.

use serde_json::Value;

use crate::json::str_at;
use crate::loss::Corner;

/// The text of a block kept verbatim, and what is lost with it; `None` where nothing of it can be told.
pub(crate) fn as_text(raw: &Value) -> Option<(Corner, String)> {
    // Messages names a block's kind by its type, Converse by its only key.
    match str_at(raw, "type") {
        Some("search_result") => return Some((Corner::SearchResults, search_result(raw))),
        // Text is kept verbatim only for the citations that it carries.
        Some("text") => return str_at(raw, "text").map(|it| (Corner::Citations, it.to_owned())),
        Some(_) => return None,
        None => {}
    }
    if let Some(result) = raw.get("searchResult") {
        return Some((Corner::SearchResults, search_result(result)));
    }
    if let Some(cited) = raw.get("citationsContent") {
        return Some((Corner::Citations, texts(cited).concat()));
    }
    let guarded = raw.get("guardContent")?.get("text")?;
    str_at(guarded, "text").map(|text| (Corner::GuardedText, text.to_owned()))
}

fn search_result(result: &Value) -> String {
    let mut lines: Vec<&str> =
        ["title", "source"].iter().filter_map(|key| str_at(result, key)).collect();
    lines.extend(texts(result));
    lines.join("\n")
}

/// Of the blocks within.
pub(crate) fn texts(of: &Value) -> Vec<&str> {
    let content = of.get("content").and_then(Value::as_array);
    content.into_iter().flatten().filter_map(|block| str_at(block, "text")).collect()
}
