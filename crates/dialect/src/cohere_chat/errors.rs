//! Errors of this dialect, read and written: `{id?, message}`, told apart by their status alone
//! (<https://docs.cohere.com/reference/errors>; the SDK's `errors/`).

use domain::ErrorClass;
use serde_json::{Value, json};

use super::write_answer::answer_id;
use crate::fault;
use crate::wire::{ClientError, Headers, UpstreamFault};

pub(super) fn render(error: &ClientError<'_>) -> Vec<u8> {
    crate::json::to_bytes(&json!({
        "id": error.request_id,
        "message": error.message,
        "outrigger": outrigger(error),
    }))
}

fn outrigger(error: &ClientError<'_>) -> Value {
    json!({
        "code": error.code,
        "provider": error.provider,
        "attempts": error.attempts,
        "fix": error.fix,
        "field": error.field,
    })
}

/// Clients know no other error event than an end that says so. The blank line before it ends an event that was cut in the
/// middle, which the SDK then leaves out; after a whole event it means nothing.
pub(super) fn render_event(error: &ClientError<'_>) -> Vec<u8> {
    let body = crate::json::to_bytes(&json!({
        "type": "message-end",
        "id": answer_id(error.request_id),
        "delta": {"finish_reason": "ERROR", "error": error.message},
        "outrigger": outrigger(error),
    }));
    [b"\n\nevent: message-end\ndata: ".as_slice(), &body, b"\n\n"].concat()
}

/// Whether the body is an error as this dialect's clients read it.
pub(super) fn is_own(body: &[u8]) -> bool {
    fault::parse(body).is_some_and(|body| body["message"].is_string() && body["error"].is_null())
}

pub(super) fn classify(status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
    let mut fault = fault::of_answer(status, headers, body);
    let said = |words: &str| fault.message.to_ascii_lowercase().contains(words);
    fault.class = match status {
        // A request or an answer held a word that is on the account's list of denied ones.
        498 => ErrorClass::ContentFilter,
        // `request cancelled`, `streaming error`: the documentation says to try again.
        499 => ErrorClass::ServerError,
        // Calls a minute come back; those a month don't.
        429 if said("trial key") && said("month") => ErrorClass::Quota,
        _ => fault.class,
    };
    fault
}

/// What an answer means that ended in `ERROR` or `TIMEOUT`, with the message it gave, if any.
pub(super) fn ended(word: &str, message: Option<&str>) -> UpstreamFault {
    let text = match message {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ => format!("the provider ended the answer with `{word}`"),
    };
    let mut fault = fault::of_object(&crate::json::to_bytes(&Value::String(text)));
    if word == "TIMEOUT" {
        fault.class = ErrorClass::Timeout;
    }
    fault
}

/// What an error object in the place of an answer or an event means.
pub(super) fn classify_object(error: &[u8]) -> UpstreamFault {
    fault::of_object(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation's own statuses and messages.
    #[test]
    fn statuses_that_only_this_vendor_uses() {
        let class = |status, message: &str| {
            classify(status, &(), json!({"id": "1", "message": message}).to_string().as_bytes())
                .class
        };
        assert_eq!(class(498, "blocked"), ErrorClass::ContentFilter);
        assert_eq!(class(499, "request cancelled by user"), ErrorClass::ServerError);
        let trial = "You are using a Trial key, which is limited to";
        assert_eq!(class(429, &format!("{trial} 40 API calls / minute.")), ErrorClass::RateLimited);
        assert_eq!(class(429, &format!("{trial} 1000 API calls / month.")), ErrorClass::Quota);
        assert_eq!(class(401, "invalid api token"), ErrorClass::Auth);
        assert_eq!(class(402, "Please add or update your payment method"), ErrorClass::Quota);
        assert_eq!(class(404, "model 'x' not found"), ErrorClass::ModelNotFound);
        let long = "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.";
        assert_eq!(class(400, long), ErrorClass::ContextTooLong);
        let output = "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model";
        assert_eq!(class(400, output), ErrorClass::InvalidRequest);
        assert_eq!(class(500, "internal server error"), ErrorClass::ServerError);
        assert_eq!(class(503, "service unavailable"), ErrorClass::Overloaded);
    }

    #[test]
    fn an_answer_that_ended_in_an_error_says_why() {
        assert_eq!(ended("TIMEOUT", None).class, ErrorClass::Timeout);
        let fault = ended("ERROR", Some("generation failed"));
        assert_eq!(
            (fault.class, fault.message.as_str()),
            (ErrorClass::ServerError, "generation failed")
        );
        assert_eq!(ended("ERROR", None).message, "the provider ended the answer with `ERROR`");
    }
}
