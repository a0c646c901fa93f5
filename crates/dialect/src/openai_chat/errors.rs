//! Errors of this dialect, read and written (protocols A3, ux 6.5).

use serde_json::json;

use crate::fault;
use crate::wire::{ClientError, Headers, UpstreamFault};

/// `type` and `code` as this dialect's clients know them; a code of ours where the dialect has none.
fn words(code: &str, status: u16) -> (&'static str, &str) {
    match code {
        "missing_api_key" | "invalid_api_key" | "key_expired" | "key_revoked" => {
            ("invalid_request_error", "invalid_api_key")
        }
        "model_not_found" => ("invalid_request_error", "model_not_found"),
        "context_too_long" => ("invalid_request_error", "context_length_exceeded"),
        "budget_exceeded" | "max_cost_exceeded" | "unpriced" => {
            ("insufficient_quota", "insufficient_quota")
        }
        "rate_limited" | "upstream_rate_limited" => ("rate_limit_exceeded", "rate_limit_exceeded"),
        other => match status {
            403 => ("permission_error", other),
            400..=499 => ("invalid_request_error", other),
            _ => ("server_error", other),
        },
    }
}

pub(crate) fn render(error: &ClientError<'_>) -> Vec<u8> {
    let (kind, code) = words(error.code, error.status);
    let body = json!({
        "error": {
            "message": error.message,
            "type": kind,
            "param": error.field,
            "code": code,
            "outrigger": {
                "code": error.code,
                "provider": error.provider,
                "attempts": error.attempts,
                "fix": error.fix,
                "request_id": error.request_id,
            },
        },
    });
    crate::json::to_bytes(&body)
}

/// The SDKs raise on any event whose data has a truthy `error`. The blank line before it ends an event that was cut
/// in the middle; after a whole event it means nothing.
pub(super) fn render_event(error: &ClientError<'_>) -> Vec<u8> {
    let body = render(error);
    [b"\n\ndata: ".as_slice(), &body, b"\n\n"].concat()
}

/// Whether the body is an error as this dialect's clients read it.
pub(crate) fn is_own(body: &[u8]) -> bool {
    fault::parse(body).is_some_and(|body| body["error"]["message"].is_string())
}

pub(crate) fn classify(status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
    fault::of_answer(status, headers, body)
}

/// What an error object within a stream or a success body means: the value of its `error` field, as JSON.
pub(crate) fn classify_object(error: &[u8]) -> UpstreamFault {
    fault::of_object(error)
}
