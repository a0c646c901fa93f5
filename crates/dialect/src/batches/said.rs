//! What a provider says of a file or of a batch, and lists of what was said.

use domain::Usage;
use serde_json::Value;

use crate::DialectId;
use crate::json::str_at;

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Its id.
    pub id: String,
    /// When its time is over, in seconds since the epoch, where that is said.
    pub expires_at: Option<i64>,
}

/// What is known of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchState {
    /// Its id.
    pub id: String,
    /// How it stands, in the provider's word.
    pub status: String,
    /// Whether nothing of it will run any more.
    pub ended: bool,
    /// What all of it used, where that is said.
    pub usage: Option<Usage>,
    /// The files that hold what came of it: results, then errors.
    pub files: [Option<String>; 2],
}

/// Reads what is said of a file.
pub fn file_state(said: &[u8]) -> Option<FileState> {
    let value: Value = serde_json::from_slice(said).ok()?;
    let id = str_at(&value, "id").filter(|id| !id.is_empty())?.to_owned();
    Some(FileState { id, expires_at: value.get("expires_at").and_then(Value::as_i64) })
}

/// Reads what is said of a batch, in OpenAI's words or in Anthropic's.
pub fn batch_state(said: &[u8], of: DialectId) -> Option<BatchState> {
    let value: Value = serde_json::from_slice(said).ok()?;
    let id = str_at(&value, "id").filter(|id| !id.is_empty())?.to_owned();
    if of == DialectId::AnthropicMessages {
        let status = str_at(&value, "processing_status")?.to_owned();
        let ended = status == "ended";
        return Some(BatchState { id, status, ended, usage: None, files: [None, None] });
    }
    let status = str_at(&value, "status")?.to_owned();
    let ended = matches!(status.as_str(), "failed" | "completed" | "expired" | "cancelled");
    let file = |name| str_at(&value, name).map(str::to_owned);
    let files = [file("output_file_id"), file("error_file_id")];
    // Providers that do not say leave it out, or say zero.
    let usage = value.get("usage").and_then(usage).filter(|usage| !usage.is_zero());
    Some(BatchState { id, status, ended, usage, files })
}

fn usage(value: &Value) -> Option<Usage> {
    let count = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
    let (input, output) = (count("/input_tokens")?, count("/output_tokens")?);
    let cached = count("/input_tokens_details/cached_tokens").unwrap_or(0).min(input);
    let reasoning = count("/output_tokens_details/reasoning_tokens").unwrap_or(0).min(output);
    Some(Usage {
        input: input - cached,
        cache_read: cached,
        output: output - reasoning,
        reasoning,
        ..Usage::default()
    })
}

/// What is said of an Anthropic batch, its results' address made one of ours: an SDK follows it with the key it has, which
/// is ours and none of Anthropic's. All else keeps its bytes.
pub fn local_results(said: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(said).ok()?;
    let url = value.get("results_url")?.as_str()?;
    let text = std::str::from_utf8(said).ok()?;
    let own = format!("/v1/messages/batches/{}/results", str_at(&value, "id")?);
    let quoted = [Value::from(url).to_string(), format!("\"{}\"", url.replace('/', "\\/"))];
    let found = quoted.iter().find(|it| text.matches(it.as_str()).count() == 1);
    if let Some(found) = found {
        return Some(text.replacen(found.as_str(), &Value::from(own).to_string(), 1).into_bytes());
    }
    let mut value = value;
    value.as_object_mut()?.insert("results_url".to_owned(), Value::from(own));
    Some(value.to_string().into_bytes())
}

/// A page of what was said, in the dialect's shape.
pub fn list(said: &[&str], more: bool, of: DialectId) -> Vec<u8> {
    let id = |text: Option<&&str>| {
        let value: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
        value.as_ref().and_then(|it| str_at(it, "id")).map(str::to_owned)
    };
    let (first, last) = (Value::from(id(said.first())), Value::from(id(said.last())));
    let object = if of == DialectId::AnthropicMessages { "" } else { "\"object\":\"list\"," };
    let data = said.join(",");
    format!(
        "{{{object}\"data\":[{data}],\"has_more\":{more},\"first_id\":{first},\"last_id\":{last}}}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_ended_when_nothing_of_it_will_run() {
        let said = br#"{"id":"batch_1","status":"completed","output_file_id":"file-2","error_file_id":null,
            "usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":6,
            "output_tokens_details":{"reasoning_tokens":1},"total_tokens":16}}"#;
        let state = batch_state(said, DialectId::OpenaiChat).unwrap();
        assert!(state.ended);
        assert_eq!(state.files, [Some("file-2".to_owned()), None]);
        let used = state.usage.unwrap();
        assert_eq!((used.input, used.cache_read, used.output, used.reasoning), (6, 4, 5, 1));
        for (status, ended) in [("validating", false), ("cancelling", false), ("cancelled", true)] {
            let said = format!(r#"{{"id":"b","status":"{status}"}}"#);
            let state = batch_state(said.as_bytes(), DialectId::OpenaiChat).unwrap();
            assert_eq!((state.ended, state.usage), (ended, None), "{status}");
        }
        let said = br#"{"id":"m","type":"message_batch","processing_status":"canceling"}"#;
        assert!(!batch_state(said, DialectId::AnthropicMessages).unwrap().ended);
        assert_eq!(batch_state(b"[]", DialectId::OpenaiChat), None);
    }

    #[test]
    fn the_address_of_results_is_ours_and_all_else_keeps_its_bytes() {
        let said = br#"{"id":"msgbatch_1", "results_url": "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results","x":1.0}"#;
        let local = local_results(said).unwrap();
        assert_eq!(
            String::from_utf8(local).unwrap(),
            r#"{"id":"msgbatch_1", "results_url": "/v1/messages/batches/msgbatch_1/results","x":1.0}"#
        );
        assert_eq!(local_results(br#"{"id":"m","results_url":null}"#), None);
    }

    #[test]
    fn lists_hold_what_was_said() {
        let page = list(&[r#"{"id":"a"}"#, r#"{"id":"b"}"#], true, DialectId::OpenaiChat);
        assert_eq!(
            String::from_utf8(page).unwrap(),
            r#"{"object":"list","data":[{"id":"a"},{"id":"b"}],"has_more":true,"first_id":"a","last_id":"b"}"#
        );
        let empty = list(&[], false, DialectId::AnthropicMessages);
        assert_eq!(
            String::from_utf8(empty).unwrap(),
            r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#
        );
    }
}
