//! A provider's whole answer (protocols A5).

use serde::Deserialize;
use serde_json::Value;

use super::errors::classify_object;
use super::logprobs;
use super::names::get;
use super::read_parts::Reader;
use super::usage::WireUsage;
use crate::exchange::{Answer, Choice, Part, PartKind};
use crate::json::{str_at, text_at, to_bytes};
use crate::watch::failed_answer;
use crate::wire::{BadAnswer, FinishReason};

pub(super) fn read(body: &[u8]) -> Result<Answer, BadAnswer> {
    let mut answer: Value = serde_json::from_slice(body)
        .map_err(|error| BadAnswer::Malformed(format!("the answer is not JSON: {error}")))?;
    if let Some(error) = error_of(&answer) {
        return Err(BadAnswer::Fault(classify_object(&to_bytes(error))));
    }
    let id = text_at(&answer, "responseId");
    let candidates = match answer.get_mut("candidates").map(Value::take) {
        Some(Value::Array(candidates)) => candidates,
        _ => Vec::new(),
    };
    let seed = id.clone().unwrap_or_default();
    let mut choices: Vec<Choice> = candidates
        .into_iter()
        .enumerate()
        .map(|(index, candidate)| read_candidate(candidate, format!("{seed}:{index}")))
        .collect::<Result<_, _>>()?;
    if choices.is_empty() {
        // A prompt that was blocked is a success without candidates.
        let finish = blocked(&answer)
            .ok_or_else(|| BadAnswer::Malformed("the answer has no candidates".to_owned()))?;
        choices.push(Choice { parts: Vec::new(), finish, logprobs: None });
    }
    Ok(Answer {
        model: text_at(&answer, "modelVersion"),
        usage: read_usage(&answer).and_then(|usage| usage.to_usage()),
        fingerprint: None,
        choices,
        id,
    })
}

/// An `error` that says something.
pub(super) fn error_of(answer: &Value) -> Option<&Value> {
    answer.get("error").filter(|error| !error.is_null())
}

/// The usage object of an answer or chunk; `None` where it is missing or unreadable.
pub(super) fn read_usage(of: &Value) -> Option<WireUsage> {
    WireUsage::deserialize(get(of, "usageMetadata")?).ok()
}

/// How a prompt that was blocked ends.
pub(super) fn blocked(answer: &Value) -> Option<FinishReason> {
    let feedback = get(answer, "promptFeedback")?;
    let reason = get(feedback, "blockReason")?.as_str()?;
    (!reason.is_empty()).then_some(FinishReason::Filtered)
}

/// The finish reason (protocols C2). There is none of its own for calls.
pub(super) fn finish_reason(word: &str, has_calls: bool) -> Option<FinishReason> {
    Some(match word {
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        "STOP" if has_calls => FinishReason::ToolCalls,
        "STOP" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => FinishReason::Filtered,
        "CONTINUATION" => FinishReason::Pause,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE" => FinishReason::Error,
        other => FinishReason::Other(other.to_owned()),
    })
}

/// Generation that failed in the middle is no answer, whatever there is of it.
pub(super) fn failed(candidate: &Value, word: &str) -> BadAnswer {
    let why = get(candidate, "finishMessage").and_then(Value::as_str).unwrap_or_default();
    let colon = if why.is_empty() { "" } else { ": " };
    let message = format!("the provider ended the answer with `{word}`{colon}{why}");
    BadAnswer::Fault(failed_answer(&message, word))
}

fn read_candidate(mut candidate: Value, seed: String) -> Result<Choice, BadAnswer> {
    let parts = match candidate.get_mut("content").map(Value::take) {
        Some(content) => read_parts(content, &mut Reader::of_answer(seed, 0, &mut Vec::new()))?,
        None => Vec::new(),
    };
    let has_calls = parts.iter().any(|part| matches!(part.kind, PartKind::ToolUse(_)));
    let word = str_at(&candidate, "finishReason").unwrap_or_default();
    let plain = if has_calls { FinishReason::ToolCalls } else { FinishReason::Stop };
    let finish = finish_reason(word, has_calls).unwrap_or(plain);
    if finish == FinishReason::Error {
        return Err(failed(&candidate, word));
    }
    let logprobs = get(&candidate, "logprobsResult").and_then(logprobs::read);
    Ok(Choice { parts, finish, logprobs })
}

/// The parts of a candidate's content.
pub(super) fn read_parts(
    mut content: Value,
    reader: &mut Reader<'_>,
) -> Result<Vec<Part>, BadAnswer> {
    let Some(parts) = content.get_mut("parts").map(Value::take).filter(|it| !it.is_null()) else {
        return Ok(Vec::new());
    };
    reader.parts(parts, "parts").map_err(|error| BadAnswer::Malformed(error.to_string()))
}
