//! `logprobsResult` as OpenAI's `logprobs`, which is how the exchange has them, and back.

use serde_json::{Value, json};

use crate::json::str_at;

/// OpenAI's form; `None` where there is nothing.
pub(super) fn read(result: &Value) -> Option<Value> {
    let chosen = result.get("chosenCandidates")?.as_array()?;
    let top = result.get("topCandidates").and_then(Value::as_array);
    let content: Vec<Value> = chosen
        .iter()
        .enumerate()
        .map(|(index, chosen)| {
            let others = top.and_then(|top| top.get(index)?.get("candidates")?.as_array());
            let others: Vec<Value> = others.into_iter().flatten().map(token).collect();
            let mut one = token(chosen);
            one["top_logprobs"] = others.into();
            one
        })
        .collect();
    Some(json!({"content": content, "refusal": null}))
}

fn token(candidate: &Value) -> Value {
    let token = str_at(candidate, "token").unwrap_or_default();
    let logprob = candidate.get("logProbability").cloned().unwrap_or_else(|| 0.into());
    json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()})
}

/// Gemini's form of OpenAI's; `None` where there is nothing.
pub(super) fn write(logprobs: &Value) -> Option<Value> {
    let content = logprobs.get("content")?.as_array().filter(|all| !all.is_empty())?;
    let candidate =
        |one: &Value| json!({"token": one.get("token"), "logProbability": one.get("logprob")});
    let chosen: Vec<Value> = content.iter().map(candidate).collect();
    let top: Vec<Value> = content
        .iter()
        .map(|one| {
            let others = one.get("top_logprobs").and_then(Value::as_array);
            let others: Vec<Value> = others.into_iter().flatten().map(candidate).collect();
            json!({"candidates": others})
        })
        .collect();
    Some(json!({"topCandidates": top, "chosenCandidates": chosen}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let own = json!({
            "topCandidates": [{"candidates": [
                {"token": "Hi", "logProbability": -0.1}, {"token": "Ho", "logProbability": -2.5}]}],
            "chosenCandidates": [{"token": "Hi", "logProbability": -0.1}],
        });
        let openai = read(&own).unwrap();
        assert_eq!(
            openai["content"][0],
            json!({"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": [
                {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]},
                {"token": "Ho", "logprob": -2.5, "bytes": [72, 111]},
            ]})
        );
        assert_eq!(write(&openai), Some(own));
        assert_eq!(read(&json!({})), None);
        assert_eq!(write(&json!(null)), None);
    }
}
