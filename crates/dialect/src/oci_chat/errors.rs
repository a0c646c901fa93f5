//! Errors of this dialect: `{code, message}` (<https://docs.oracle.com/en-us/iaas/Content/API/References/apierrors.htm>).

use domain::ErrorClass;
use serde_json::Value;

use crate::fault;
use crate::json::str_at;
use crate::wire::{Headers, UpstreamFault};

/// Whether the body is an error as this dialect words it.
pub(super) fn is_own(body: &[u8]) -> bool {
    fault::parse(body).is_some_and(|body| is_error(&body))
}

/// An error in the place of an answer or an event. Events have a `message` too, which is no text.
pub(super) fn is_error(value: &Value) -> bool {
    str_at(value, "message").is_some() && value.get("code").is_some()
}

pub(super) fn classify(status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
    judged(fault::of_answer(status, headers, body), status)
}

/// What an error object in the place of an answer or an event means.
pub(super) fn classify_object(error: &Value) -> UpstreamFault {
    judged(fault::of_object(&crate::json::to_bytes(error)), 0)
}

fn judged(mut fault: UpstreamFault, status: u16) -> UpstreamFault {
    let code = fault.code.as_deref().unwrap_or_default();
    fault.class = match code {
        "NotAuthenticated" | "NotAuthorized" => ErrorClass::Auth,
        "TooManyRequests" => ErrorClass::RateLimited,
        "LimitExceeded" | "QuotaExceeded" | "SignUpRequired" => ErrorClass::Quota,
        // Whether a model is not there or not allowed is not told.
        "NotAuthorizedOrNotFound" | "NotFound" => ErrorClass::ModelNotFound,
        "RequestEntityTooLarge" => ErrorClass::ContextTooLong,
        "InternalServerError" | "InternalError" if status == 0 => ErrorClass::ServerError,
        "ServiceUnavailable" => ErrorClass::Overloaded,
        _ if fault.message.contains("Inappropriate content detected") => ErrorClass::ContentFilter,
        _ => fault.class,
    };
    fault
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_say_more_than_statuses() {
        let class = |status, code: &str, message: &str| {
            let body = json!({"code": code, "message": message}).to_string();
            assert!(is_own(body.as_bytes()));
            classify(status, &(), body.as_bytes()).class
        };
        let unsigned = "The required information to complete authentication was not provided.";
        assert_eq!(class(401, "NotAuthenticated", unsigned), ErrorClass::Auth);
        let absent = "Authorization failed or requested resource not found.";
        assert_eq!(class(404, "NotAuthorizedOrNotFound", absent), ErrorClass::ModelNotFound);
        assert_eq!(class(429, "TooManyRequests", "slow down"), ErrorClass::RateLimited);
        assert_eq!(class(400, "LimitExceeded", "the limit is met"), ErrorClass::Quota);
        assert_eq!(class(500, "InternalServerError", "oops"), ErrorClass::ServerError);
        assert_eq!(class(503, "ServiceUnavailable", "later"), ErrorClass::Overloaded);
        let wrong = "Invalid parameter: 'toolCallId' of 'call_1' not found in 'toolCalls' of previous message.";
        assert_eq!(class(400, "400", wrong), ErrorClass::InvalidRequest);
        let blocked = "Inappropriate content detected!!!";
        assert_eq!(class(400, "InvalidParameter", blocked), ErrorClass::ContentFilter);
    }

    #[test]
    fn an_event_is_no_error() {
        assert!(!is_error(&json!({"index": 0, "message": {"role": "ASSISTANT"}})));
        let object = json!({"code": "TooManyRequests", "message": "slow down"});
        assert!(is_error(&object));
        assert_eq!(classify_object(&object).class, ErrorClass::RateLimited);
        let numbered = json!({"code": "429", "message": "slow down"});
        assert_eq!(classify_object(&numbered).class, ErrorClass::RateLimited);
        let broken = json!({"code": "InternalServerError", "message": "oops"});
        assert_eq!(classify_object(&broken).class, ErrorClass::ServerError);
    }
}
