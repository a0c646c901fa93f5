//! Log probabilities. Cohere lists pieces of text, each with one figure for every token of it
//! (`types/logprob_item.py`); the exchange holds OpenAI's list of tokens.

use serde_json::{Value, json};

use crate::json::str_at;

/// One piece as a token: its probability is the product of those of its tokens.
fn read_item(item: &Value) -> Option<Value> {
    let text = str_at(item, "text")?;
    let figures = item.get("logprobs").and_then(Value::as_array)?;
    let sum: f64 = figures.iter().filter_map(Value::as_f64).sum();
    Some(json!({"token": text, "logprob": sum, "bytes": text.as_bytes(), "top_logprobs": []}))
}

/// Pieces, or the one piece of an event, in OpenAI's words; `None` where there is nothing.
pub(super) fn read(value: &Value) -> Option<Value> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        Value::Object(_) => std::slice::from_ref(value),
        _ => return None,
    };
    let content: Vec<Value> = items.iter().filter_map(read_item).collect();
    (!content.is_empty()).then(|| json!({"content": content, "refusal": null}))
}

/// OpenAI's tokens as pieces. The ids that the type requires are another vendor's: none are given.
pub(super) fn write(value: &Value) -> Vec<Value> {
    let tokens = value.get("content").and_then(Value::as_array);
    let piece = |token: &Value| {
        let figure = token.get("logprob").and_then(Value::as_f64)?;
        let text = str_at(token, "token")?;
        Some(json!({"text": text, "token_ids": [], "logprobs": [figure]}))
    };
    tokens.into_iter().flatten().filter_map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_tokens_stand_for_each_other() {
        let pieces = json!([{"text": "He", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]}]);
        let tokens = read(&pieces).unwrap();
        assert_eq!(tokens["content"][0]["token"], "He");
        assert_eq!(tokens["content"][0]["logprob"], -0.75);
        assert_eq!(write(&tokens), [json!({"text": "He", "token_ids": [], "logprobs": [-0.75]})]);
        assert_eq!(read(&pieces[0]), Some(tokens));
        assert_eq!(read(&json!(null)), None);
        assert_eq!(read(&json!([{}])), None);
    }
}
