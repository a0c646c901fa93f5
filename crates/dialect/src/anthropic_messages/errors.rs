//! Errors of this dialect, read and written (protocols A4, ux 6.5).

use serde_json::json;

use crate::fault;
use crate::wire::{ClientError, Headers, UpstreamFault};

/// The `type` by which this dialect's clients tell errors apart.
fn kind(code: &str, status: u16) -> &'static str {
    match (code, status) {
        ("overloaded" | "draining", _) | (_, 529) => "overloaded_error",
        ("budget_exceeded" | "max_cost_exceeded" | "unpriced", _) | (_, 402) => "billing_error",
        (_, 401) => "authentication_error",
        (_, 403) => "permission_error",
        (_, 404) => "not_found_error",
        (_, 409) => "conflict_error",
        (_, 413) => "request_too_large",
        (_, 429) => "rate_limit_error",
        (_, 400..=499) => "invalid_request_error",
        (_, 504) => "timeout_error",
        _ => "api_error",
    }
}

pub(super) fn render(error: &ClientError<'_>) -> Vec<u8> {
    let body = json!({
        "type": "error",
        "error": {
            "type": kind(error.code, error.status),
            "message": error.message,
            "outrigger": {
                "code": error.code,
                "provider": error.provider,
                "attempts": error.attempts,
                "fix": error.fix,
                "field": error.field,
            },
        },
        "request_id": error.request_id,
    });
    crate::json::to_bytes(&body)
}

/// The SDKs drop events without a name. The line end before it ends a line that was cut in the middle; the event that
/// this line belonged to becomes part of the error, whose name counts because it comes last. A blank line instead would
/// hand the SDK half an event, and it would fail on that before it saw the error. After a whole event it means nothing.
pub(super) fn render_event(error: &ClientError<'_>) -> Vec<u8> {
    let body = render(error);
    [b"\nevent: error\ndata: ".as_slice(), &body, b"\n\n"].concat()
}

/// Whether the body is an error as this dialect's clients read it.
pub(super) fn is_own(body: &[u8]) -> bool {
    fault::parse(body).is_some_and(|body| {
        let error = &body["error"];
        body["type"] == "error" && error["type"].is_string() && error["message"].is_string()
    })
}

pub(super) fn classify(status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
    fault::of_answer(status, headers, body)
}

/// What an error object within a stream or a success body means: the value of its `error` field, as JSON.
pub(crate) fn classify_object(error: &[u8]) -> UpstreamFault {
    fault::of_object(error)
}
