//! Errors of this dialect, read and written (protocols A6). Their name stands in a header, their words in the body.

use domain::ErrorClass;
use serde_json::{Value, json};

use crate::event_stream::append_exception;
use crate::fault;
use crate::wire::{ClientError, Headers, UpstreamFault};

/// The header that names the error.
pub(super) const NAME_HEADER: &str = "x-amzn-errortype";

/// What the body of an AWS error may hold; anything else is a stranger's.
const MEMBERS: [&str; 7] = [
    "message",
    "Message",
    "__type",
    "originalStatusCode",
    "originalMessage",
    "resourceName",
    "outrigger",
];

/// The name by which this dialect's clients tell errors apart.
pub(super) fn name(code: &str, status: u16) -> &'static str {
    match (code, status) {
        ("overloaded" | "draining", _) => "ServiceUnavailableException",
        ("unknown_access_key", _) => "UnrecognizedClientException",
        ("malformed_signature", _) => "IncompleteSignatureException",
        ("bad_signature", _) => "InvalidSignatureException",
        ("budget_exceeded" | "max_cost_exceeded" | "unpriced", _) | (_, 402) => {
            "ServiceQuotaExceededException"
        }
        (_, 401 | 403) => "AccessDeniedException",
        (_, 404) => "ResourceNotFoundException",
        (_, 408 | 504) => "ModelTimeoutException",
        (_, 424) => "ModelErrorException",
        (_, 429) => "ThrottlingException",
        (_, 503) => "ServiceUnavailableException",
        (_, 400..=499) => "ValidationException",
        _ => "InternalServerException",
    }
}

pub(super) fn render(error: &ClientError<'_>) -> Vec<u8> {
    crate::json::to_bytes(&json!({
        "message": error.message,
        "outrigger": {
            "code": error.code,
            "provider": error.provider,
            "attempts": error.attempts,
            "fix": error.fix,
            "field": error.field,
            "request_id": error.request_id,
        },
    }))
}

/// An exception within a stream. Of the names that a stream may bear, the one that says that the model's stream broke is
/// what an interruption is.
pub(super) fn render_event(error: &ClientError<'_>) -> Vec<u8> {
    let name = match name(error.code, error.status) {
        "ThrottlingException" => "throttlingException",
        "ServiceUnavailableException" => "serviceUnavailableException",
        "ValidationException" => "validationException",
        "InternalServerException" if error.code != "stream_interrupted" => {
            "internalServerException"
        }
        _ => "modelStreamErrorException",
    };
    let mut out = Vec::new();
    append_exception(name, &render(error), &mut out);
    out
}

/// Whether the body is an error as this dialect's clients read it.
pub(super) fn is_own(body: &[u8]) -> bool {
    let Some(Value::Object(body)) = fault::parse(body) else { return false };
    let said = body.get("message").or_else(|| body.get("Message"));
    said.is_some_and(Value::is_string) && body.keys().all(|key| MEMBERS.contains(&key.as_str()))
}

pub(super) fn classify(status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
    let fault = fault::of_answer(status, headers, body);
    // `ThrottlingException:http://internal.amazon.com/...` and `com.amazonaws...#ThrottlingException` are in use.
    let header = headers.get(NAME_HEADER).map(str::to_owned);
    let name = header
        .or_else(|| fault::parse(body)?.get("__type").and_then(Value::as_str).map(str::to_owned));
    match name.as_deref().map(bare) {
        Some(name) if !name.is_empty() => named(name, fault),
        _ => fault,
    }
}

/// What an exception within a stream means.
pub(crate) fn of_exception(name: &[u8], message: &[u8], payload: &[u8]) -> UpstreamFault {
    let mut fault = fault::of_object(payload);
    if fault.message.is_empty() {
        fault.message = fault::clean(&String::from_utf8_lossy(message));
    }
    let name = String::from_utf8_lossy(name);
    named(bare(&name), fault)
}

fn bare(name: &str) -> &str {
    let name = name.split([':', ',']).next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default().trim()
}

/// The fault under its name, which says more than the status: several names share one.
fn named(name: &str, mut fault: UpstreamFault) -> UpstreamFault {
    let kind = name.strip_suffix("Exception").unwrap_or(name);
    let class = match kind.to_ascii_lowercase().as_str() {
        "throttling" | "servicequotaexceeded" | "toomanyrequests" => ErrorClass::RateLimited,
        "modelnotready" | "serviceunavailable" => ErrorClass::Overloaded,
        "modeltimeout" => ErrorClass::Timeout,
        "modelerror" | "modelstreamerror" | "internalserver" | "internalfailure" | "conflict" => {
            ErrorClass::ServerError
        }
        "accessdenied"
        | "unrecognizedclient"
        | "expiredtoken"
        | "invalidsignature"
        | "incompletesignature"
        | "missingauthenticationtoken"
        | "signaturedoesnotmatch"
        | "invalidclienttokenid"
        | "optinrequired" => ErrorClass::Auth,
        "resourcenotfound" => ErrorClass::ModelNotFound,
        "validation" if is_unknown_model(&fault.message) => ErrorClass::ModelNotFound,
        "validation" => match fault.class {
            class @ (ErrorClass::ContextTooLong | ErrorClass::ContentFilter) => class,
            _ => ErrorClass::InvalidRequest,
        },
        _ => fault.class,
    };
    fault.class = class;
    // Names are short words; a hostile one is cut by what keeps codes.
    fault.code = Some(name.chars().filter(char::is_ascii_alphanumeric).take(64).collect());
    fault
}

/// Said by a 400: a model that the region does not have, or has only behind an inference profile.
fn is_unknown_model(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "model identifier is invalid",
        "on-demand throughput isn",
        "model is not supported in this region",
    ]
    .iter()
    .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, name: &str, message: &str) -> (ErrorClass, Option<String>) {
        let body = json!({"message": message}).to_string();
        let headers: &[(&str, &str)] = &[(NAME_HEADER, name)];
        let fault = classify(status, &headers, body.as_bytes());
        (fault.class, fault.code)
    }

    /// The table of protocols A6, and what a class is for: a breaker must not blame an offer for a bad request.
    #[test]
    fn names_say_more_than_statuses() {
        for (status, name, expected) in [
            (400, "ValidationException", ErrorClass::InvalidRequest),
            (400, "ServiceQuotaExceededException", ErrorClass::RateLimited),
            (403, "AccessDeniedException", ErrorClass::Auth),
            (403, "ExpiredTokenException", ErrorClass::Auth),
            (404, "ResourceNotFoundException", ErrorClass::ModelNotFound),
            (408, "ModelTimeoutException", ErrorClass::Timeout),
            (424, "ModelErrorException", ErrorClass::ServerError),
            (429, "ThrottlingException", ErrorClass::RateLimited),
            (429, "ModelNotReadyException", ErrorClass::Overloaded),
            (500, "InternalServerException", ErrorClass::ServerError),
            (503, "ServiceUnavailableException", ErrorClass::Overloaded),
        ] {
            assert_eq!(class(status, name, "no"), (expected, Some(name.to_owned())), "{name}");
        }
        let long = "Input is too long for requested model.";
        assert_eq!(class(400, "ValidationException", long).0, ErrorClass::ContextTooLong);
        let unknown = "The provided model identifier is invalid.";
        assert_eq!(class(400, "ValidationException", unknown).0, ErrorClass::ModelNotFound);
        let with_url = "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/";
        assert_eq!(class(429, with_url, "no").1.as_deref(), Some("ThrottlingException"));
    }

    #[test]
    fn a_body_may_bear_the_name() {
        let body = br#"{"__type":"com.amazon.coral.service#ThrottlingException","Message":"slow"}"#;
        let fault = classify(400, &(), body);
        assert_eq!(fault.class, ErrorClass::RateLimited);
        assert!(is_own(body));
        assert_eq!(classify(500, &(), b"{\"message\":\"x\"}").class, ErrorClass::ServerError);
    }
}
