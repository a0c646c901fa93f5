//! The requests of a batch, and their results.

use std::ops::Range;

use bytes::Bytes;
use domain::{Endpoint, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::DialectId;
use crate::cursor::Cursor;
use crate::registry::dialect;
use crate::wire::{FieldError, TeeOptions};

/// One request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The dialect of its body.
    pub dialect: DialectId,
    /// What it asks for.
    pub endpoint: Endpoint,
    /// The path that it is for: a batch has one.
    pub url: &'static str,
    /// Where its body stands.
    pub body: Range<usize>,
}

/// What the requests of a file may be for: all that can be bounded before it runs.
const URLS: [(&str, DialectId, Endpoint); 3] = [
    ("/v1/chat/completions", DialectId::OpenaiChat, Endpoint::Chat),
    ("/v1/responses", DialectId::OpenaiResponses, Endpoint::Chat),
    ("/v1/embeddings", DialectId::OpenaiChat, Endpoint::Embeddings),
];

/// One line of an input file. Runs after [`crate::gate::scan`] has passed the line.
///
/// # Errors
/// What is missing or wrong, by its field.
pub fn input_line(line: &[u8]) -> Result<Line, FieldError> {
    let mut cursor = Cursor::new(line);
    let mut top = cursor.object();
    let (mut named, mut method, mut url, mut body) = (false, None, None, None);
    while let Some(key) = cursor.key(&mut top) {
        match &*key.decode() {
            "custom_id" => named = cursor.text().is_some_and(|it| !it.is_empty()),
            "method" => method = cursor.text().map(|it| it.decode().into_owned()),
            "url" => url = cursor.text().map(|it| it.decode().into_owned()),
            "body" => body = Some(cursor.span()),
            _ => cursor.skip(),
        }
    }
    let is_object = |span: &Range<usize>| line.get(span.start) == Some(&b'{');
    let body =
        body.filter(is_object).ok_or_else(|| FieldError::new("body", "expected an object"))?;
    if !named {
        return Err(FieldError::new("custom_id", "expected a text"));
    }
    if method.as_deref() != Some("POST") {
        return Err(FieldError::new("method", "expected `POST`"));
    }
    let url = url.unwrap_or_default();
    let known = URLS.into_iter().find(|it| it.0 == url).ok_or_else(|| {
        let names: Vec<&str> = URLS.iter().map(|it| it.0).collect();
        FieldError::new("url", format!("expected one of {}", names.join(", ")))
    })?;
    Ok(Line { dialect: known.1, endpoint: known.2, url: known.0, body })
}

/// The requests that stand in the body of an Anthropic batch. Runs after [`crate::gate::scan`] has passed it.
///
/// # Errors
/// What is missing or wrong, by its field.
pub fn inline_lines(body: &[u8]) -> Result<Vec<Line>, FieldError> {
    let mut lines = Vec::new();
    let mut cursor = Cursor::new(body);
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        if !key.is("requests") {
            cursor.skip();
            continue;
        }
        let mut requests = cursor.array();
        while cursor.item(&mut requests) {
            let mut params = None;
            let mut request = cursor.object();
            while let Some(key) = cursor.key(&mut request) {
                if key.is("params") {
                    params = Some(cursor.span());
                } else {
                    cursor.skip();
                }
            }
            let params = params.filter(|span| body.get(span.start) == Some(&b'{'));
            let missing = || {
                FieldError::new(format!("requests[{}].params", lines.len()), "expected an object")
            };
            lines.push(Line {
                dialect: DialectId::AnthropicMessages,
                endpoint: Endpoint::Chat,
                url: "/v1/messages",
                body: params.ok_or_else(missing)?,
            });
        }
    }
    if lines.is_empty() {
        return Err(FieldError::new("requests", "expected at least one request"));
    }
    Ok(lines)
}

/// A line of an output file of OpenAI's, or of Anthropic's results.
#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow, default)]
    response: Option<Response<'a>>,
    #[serde(borrow, default)]
    result: Option<Ended<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Ended<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

/// What the request of a result's line used; nothing where it was not run or failed. `None`: the line can't be read.
pub fn result_usage(line: &[u8], of: DialectId, endpoint: Endpoint) -> Option<Usage> {
    let outcome: Outcome<'_> = serde_json::from_slice(line).ok()?;
    let answer = match (&outcome.response, &outcome.result) {
        (Some(response), _) => response.body,
        (_, Some(result)) => result.message,
        _ => None,
    };
    let Some(answer) = answer else { return Some(Usage::default()) };
    let mut tee = dialect(of).tee(endpoint, TeeOptions::default());
    let mut out = SmallVec::new();
    tee.feed(Bytes::copy_from_slice(answer.get().as_bytes()), &mut out);
    Some(tee.finish().usage.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_it_asks_for_and_where_its_body_stands() {
        let text = br#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x"}}"#;
        let line = input_line(text).unwrap();
        assert_eq!((line.endpoint, line.dialect), (Endpoint::Embeddings, DialectId::OpenaiChat));
        assert_eq!(text.get(line.body).unwrap(), br#"{"model":"m","input":"x"}"#);
        for (bad, field) in [
            (r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":"x"}"#, "body"),
            (r#"{"custom_id":"a","method":"GET","url":"/v1/embeddings","body":{}}"#, "method"),
            (r#"{"custom_id":"a","method":"POST","url":"/v1/videos","body":{}}"#, "url"),
            (r#"{"custom_id":"","method":"POST","url":"/v1/embeddings","body":{}}"#, "custom_id"),
            ("[]", "body"),
        ] {
            assert_eq!(input_line(bad.as_bytes()).unwrap_err().field, field, "{bad}");
        }
    }

    #[test]
    fn the_requests_of_a_message_batch_stand_in_its_body() {
        let text = br#"{"requests":[{"custom_id":"a","params":{"model":"m"}},{"params":{"model":"n"},"custom_id":"b"}]}"#;
        let lines = inline_lines(text).unwrap();
        let bodies: Vec<&[u8]> =
            lines.iter().map(|line| text.get(line.body.clone()).unwrap()).collect();
        assert_eq!(bodies, [br#"{"model":"m"}"#, br#"{"model":"n"}"#]);
        assert_eq!(inline_lines(br#"{"requests":[]}"#).unwrap_err().field, "requests");
        let none = inline_lines(br#"{"requests":[{"custom_id":"a"}]}"#).unwrap_err();
        assert_eq!(none.field, "requests[0].params");
    }

    #[test]
    fn a_result_uses_what_its_answer_says_and_nothing_where_there_is_none() {
        let chat = br#"{"id":"r","custom_id":"a","response":{"status_code":200,"body":{"id":"c","object":"chat.completion",
            "model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12,
            "prompt_tokens_details":{"cached_tokens":4}}}},"error":null}"#;
        let usage = result_usage(chat, DialectId::OpenaiChat, Endpoint::Chat).unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.output), (6, 4, 2));
        let message = br#"{"custom_id":"a","result":{"type":"succeeded","message":{"id":"m","type":"message","role":"assistant",
            "model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,
            "usage":{"input_tokens":9,"output_tokens":3}}}}"#;
        let usage = result_usage(message, DialectId::AnthropicMessages, Endpoint::Chat).unwrap();
        assert_eq!((usage.input, usage.output), (9, 3));
        let expired = br#"{"custom_id":"a","result":{"type":"expired"}}"#;
        let unrun = result_usage(expired, DialectId::AnthropicMessages, Endpoint::Chat);
        assert_eq!(unrun, Some(Usage::default()));
        assert_eq!(result_usage(b"{", DialectId::OpenaiChat, Endpoint::Chat), None);
    }
}
