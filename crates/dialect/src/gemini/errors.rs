//! Errors of this dialect, read and written (protocols A5, ux 6.5).

use domain::ErrorClass;
use serde_json::{Value, json};

use crate::fault;
use crate::json::{str_at, text_at, to_bytes};
use crate::wire::{ClientError, Headers, UpstreamFault};

/// The status word by which this dialect's clients tell errors apart.
fn word(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        402 | 429 => "RESOURCE_EXHAUSTED",
        400..=498 => "INVALID_ARGUMENT",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

pub(super) fn render(error: &ClientError<'_>) -> Vec<u8> {
    to_bytes(&tree(error))
}

fn tree(error: &ClientError<'_>) -> Value {
    let mut tree = json!({
        "error": {
            "code": error.status,
            "message": error.message,
            "status": word(error.status),
            "outrigger": {
                "code": error.code,
                "provider": error.provider,
                "attempts": error.attempts,
                "fix": error.fix,
                "field": error.field,
                "request_id": error.request_id,
            },
        },
    });
    if let Some(millis) = error.retry_after_ms {
        tree["error"]["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": duration(millis),
        }]);
    }
    tree
}

/// As protobuf writes a `Duration` in JSON: seconds, with three digits where they are not whole.
fn duration(millis: u64) -> String {
    match (millis / 1_000, millis % 1_000) {
        (seconds, 0) => format!("{seconds}s"),
        (seconds, rest) => format!("{seconds}.{rest:03}s"),
    }
}

/// As the last item of a stream that is a JSON array; `begun`: it is not the first.
pub(super) fn render_item(error: &ClientError<'_>, begun: bool) -> Vec<u8> {
    let before: &[u8] = if begun { b",\r\n" } else { b"[" };
    [before, &render(error), b"]"].concat()
}

/// The blank line before it ends an event that was cut in the middle; after a whole event it means nothing.
pub(super) fn render_event(error: &ClientError<'_>) -> Vec<u8> {
    [b"\n\ndata: ".as_slice(), &render(error), b"\n\n"].concat()
}

/// Whether the body is an error as this dialect's clients read it. Where a JSON array was asked for, it stands in one.
pub(super) fn is_own(body: &[u8]) -> bool {
    fault::parse(body).is_some_and(|body| {
        let error = &one(&body)["error"];
        error["code"].is_u64() && error["message"].is_string() && error["status"].is_string()
    })
}

fn one(body: &Value) -> &Value {
    body.as_array().and_then(|many| many.first()).unwrap_or(body)
}

pub(super) fn classify(status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
    let fault = fault::of_answer(status, headers, body);
    let parsed = fault::parse(body).unwrap_or_default();
    refine(fault, &one(&parsed)["error"])
}

/// What an error object within a stream or a success body means: the value of its `error` field, as JSON.
pub(super) fn classify_object(error: &[u8]) -> UpstreamFault {
    let fault = fault::of_object(error);
    refine(fault, &fault::parse(error).unwrap_or_default())
}

/// What Google says in its details only.
fn refine(mut fault: UpstreamFault, error: &Value) -> UpstreamFault {
    let details = error.get("details").and_then(Value::as_array);
    let details = || details.into_iter().flatten();
    // A key that is not valid is 400 there, like a field that is not.
    let reasons = || details().filter_map(|it| str_at(it, "reason"));
    if fault.class == ErrorClass::InvalidRequest
        && reasons().any(|reason| reason.starts_with("API_KEY_"))
    {
        fault.class = ErrorClass::Auth;
    }
    // Every kind of limit has the words of a spent quota. One that ends within the minute is a rate.
    let quotas = || {
        details()
            .filter_map(|it| it.get("violations")?.as_array())
            .flatten()
            .filter_map(|it| str_at(it, "quotaId"))
    };
    if fault.class == ErrorClass::Quota
        && fault.hint.retry_after_ms.is_some()
        && !quotas().any(|id| id.contains("PerDay"))
    {
        fault.class = ErrorClass::RateLimited;
    }
    if let Some(status) = text_at(error, "status").filter(|word| word.len() <= 64) {
        fault.code = Some(status);
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, error: &Value) -> UpstreamFault {
        classify(status, &(), json!({"error": error}).to_string().as_bytes())
    }

    #[test]
    fn googles_details_tell_what_its_status_does_not() {
        let key = json!({"code": 400, "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]});
        assert_eq!(class(400, &key).class, ErrorClass::Auth);
        let field =
            json!({"code": 400, "message": "Invalid JSON payload", "status": "INVALID_ARGUMENT"});
        let fault = class(400, &field);
        assert_eq!(
            (fault.class, fault.code.as_deref()),
            (ErrorClass::InvalidRequest, Some("INVALID_ARGUMENT"))
        );
        let long = json!({"code": 400, "status": "INVALID_ARGUMENT", "message":
            "The input token count exceeds the maximum number of tokens allowed (1048576)."});
        assert_eq!(class(400, &long).class, ErrorClass::ContextTooLong);

        let spent = |id: &str| {
            json!({"code": 429, "status": "RESOURCE_EXHAUSTED", "message":
            "You exceeded your current quota, please check your plan and billing details.",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"},
            ]})
        };
        let minute = class(429, &spent("GenerateRequestsPerMinutePerProjectPerModel"));
        assert_eq!(minute.class, ErrorClass::RateLimited);
        assert_eq!(minute.hint.retry_after_ms, Some(34_500));
        let day = class(429, &spent("GenerateRequestsPerDayPerProjectPerModel-FreeTier"));
        assert_eq!(day.class, ErrorClass::Quota);
        let busy =
            json!({"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"});
        assert_eq!(class(503, &busy).class, ErrorClass::Overloaded);
        // A stream that was to be an array: the error stands in one.
        let listed = classify(
            404,
            &(),
            br#"[{"error": {"code": 404, "message": "no", "status": "NOT_FOUND"}}]"#,
        );
        assert_eq!(listed.class, ErrorClass::ModelNotFound);
        assert_eq!(listed.code.as_deref(), Some("NOT_FOUND"));
    }
}
