//! Answers, whole and in pieces, as chat completions for the reader of those.

use serde_json::{Value, json};

use super::errors::{classify_object, is_error};
use super::words::renamed;
use crate::exchange::Answer;
use crate::json::{Object, str_at, text_at};
use crate::openai_chat::read_answer::read_value;
use crate::tool_ids;
use crate::wire::BadAnswer;

pub(super) fn read(body: &[u8]) -> Result<Answer, BadAnswer> {
    let answer: Value = serde_json::from_slice(body)
        .map_err(|error| BadAnswer::Malformed(format!("the answer is not JSON: {error}")))?;
    if is_error(&answer) {
        return Err(BadAnswer::Fault(classify_object(&answer)));
    }
    let chat = answer
        .get("chatResponse")
        .filter(|chat| chat.is_object())
        .ok_or_else(|| BadAnswer::Malformed("the answer has no `chatResponse`".to_owned()))?;
    // Of Cohere's format, the answer itself is the choice.
    let alone = std::slice::from_ref(chat);
    let choices = match chat.get("choices").and_then(Value::as_array) {
        Some(choices) => choices.as_slice(),
        None => alone,
    };
    let usage = chat.get("usage").or_else(|| choices.iter().find_map(|it| it.get("usage")));
    if let Some(error) = choices.iter().find_map(failure) {
        return Err(BadAnswer::Fault(classify_object(&error)));
    }
    let seed = String::from_utf8_lossy(body);
    let choices: Vec<Value> = choices.iter().map(|it| whole(it, &seed)).collect();
    let mut out = Object::default();
    out.put_some("id", text_at(chat, "id"));
    out.put_some("model", text_at(&answer, "modelId"));
    out.put("choices", choices);
    out.put_some("usage", usage.map(usage_of));
    read_value(&out.into_value())
}

/// Why generation failed in the middle, where the host says so.
pub(super) fn failure(choice: &Value) -> Option<Value> {
    let said = str_at(choice, "errorMessage").filter(|it| !it.is_empty())?;
    let failed = str_at(choice, "finishReason") == Some("ERROR");
    failed.then(|| json!({"code": "ERROR", "message": said}))
}

fn whole(choice: &Value, seed: &str) -> Value {
    let none = Value::Null;
    let message = choice.get("message").unwrap_or(&none);
    let mut spelled = said(message);
    if let Some(calls) =
        message.get("toolCalls").and_then(Value::as_array).filter(|it| !it.is_empty())
    {
        let calls: Vec<Value> =
            (0..).zip(calls).map(|(at, call)| call_of(call, seed, at)).collect();
        spelled.put("tool_calls", calls);
    }
    let mut out = Object::default();
    out.put_some("index", choice.get("index").cloned());
    out.put("message", spelled.into_value());
    out.put_some("finish_reason", finish_word(choice));
    out.put_some("logprobs", logprobs(choice));
    out.into_value()
}

/// What a message, or a piece of it, says; not what it calls.
pub(super) fn said(message: &Value) -> Object {
    let parts = message.get("content").and_then(Value::as_array).into_iter().flatten();
    let mut content: Vec<Value> = parts.filter_map(piece).collect();
    // The plan before calls, of Cohere's models.
    let plan = text_at(message, "toolPlan").map(|plan| json!({"type": "text", "text": plan}));
    content.extend(plan);
    let mut out = Object::default();
    if !content.is_empty() {
        out.put("content", content);
    }
    out.put_some("reasoning_content", text_at(message, "reasoningContent"));
    out.put_some("refusal", text_at(message, "refusal"));
    out
}

fn piece(piece: &Value) -> Option<Value> {
    match str_at(piece, "type") {
        Some("THINKING") => {
            Some(json!({"type": "thinking", "thinking": text_at(piece, "thinking")?}))
        }
        Some("TEXT") | None => Some(json!({"type": "text", "text": text_at(piece, "text")?})),
        Some(_) => None,
    }
}

/// A call: flat, or with a function inside (Cohere's). An id made up where the host gave none, as it does for some models,
/// is the same for the same answer and place.
fn call_of(call: &Value, seed: &str, at: u64) -> Value {
    let inner = call.get("function").unwrap_or(call);
    let id = text_at(call, "id").unwrap_or_else(|| tool_ids::made_up(seed, at));
    json!({"id": id, "function": renamed(inner, &[("name", "name"), ("arguments", "arguments")])})
}

/// Why generation ended, in OpenAI's words. `GENERIC` answers have those words already.
pub(super) fn finish_word(choice: &Value) -> Option<String> {
    let word = str_at(choice, "finishReason").filter(|word| !word.is_empty())?;
    let lower = word.to_ascii_lowercase();
    Some(match lower.as_str() {
        "complete" => "stop".to_owned(),
        "max_tokens" => "length".to_owned(),
        "tool_call" => "tool_calls".to_owned(),
        "content_filtered" | "error_toxic" => "content_filter".to_owned(),
        _ => lower,
    })
}

pub(super) fn usage_of(usage: &Value) -> Value {
    let mut out = Object::default();
    let counts = [
        ("promptTokens", "prompt_tokens"),
        ("completionTokens", "completion_tokens"),
        ("totalTokens", "total_tokens"),
    ];
    if let Value::Object(counts) = renamed(usage, &counts) {
        out.0.extend(counts);
    }
    let cached = usage.get("promptTokensDetails");
    let cached = cached.map(|it| renamed(it, &[("cachedTokens", "cached_tokens")]));
    out.put_some("prompt_tokens_details", cached);
    let thought = usage.get("completionTokensDetails");
    let thought = thought.map(|it| renamed(it, &[("reasoningTokens", "reasoning_tokens")]));
    out.put_some("completion_tokens_details", thought);
    out.into_value()
}

/// Log probabilities: lists side by side, or Cohere's pieces with one figure for each of their tokens.
pub(super) fn logprobs(choice: &Value) -> Option<Value> {
    let content: Vec<Value> = match choice.get("logProbabilities").and_then(Value::as_array) {
        Some(pieces) => pieces.iter().filter_map(piece_figures).collect(),
        None => token_figures(choice.get("logprobs")?),
    };
    (!content.is_empty()).then(|| json!({"content": content, "refusal": null}))
}

fn piece_figures(piece: &Value) -> Option<Value> {
    let figures = piece.get("logProbabilities")?.as_array()?;
    let sum: f64 = figures.iter().filter_map(Value::as_f64).sum();
    figure(str_at(piece, "text")?, sum, Vec::new())
}

fn token_figures(figures: &Value) -> Vec<Value> {
    let list =
        |name: &str| figures.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let tops = list("topLogprobs");
    let tokens = list("tokens").iter().zip(list("tokenLogprobs")).enumerate();
    let of = |(at, (token, own)): (usize, (&Value, &Value))| {
        let others = tops.get(at).and_then(Value::as_object).into_iter().flatten();
        // The figures of the others are texts.
        let others = others.filter_map(|(token, it)| {
            alternative(token, it.as_f64().or_else(|| it.as_str()?.parse().ok())?)
        });
        figure(token.as_str()?, own.as_f64()?, others.collect())
    };
    tokens.filter_map(of).collect()
}

fn figure(token: &str, logprob: f64, others: Vec<Value>) -> Option<Value> {
    let mut out = alternative(token, logprob)?;
    out["top_logprobs"] = others.into();
    Some(out)
}

/// A token that might have come in a place.
fn alternative(token: &str, logprob: f64) -> Option<Value> {
    let out = json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()});
    logprob.is_finite().then_some(out)
}
