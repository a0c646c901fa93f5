//! The error catalogue of the data plane: one row a code, and the failure that a request ends in.
//!
//! Statuses and retry advice are those that the official SDKs act on: both obey `x-should-retry` before anything else,
//! so a spent budget says `false` or it is hammered three times.

use dialect::ClientError;
use domain::{ErrorClass, RateHint};

/// One row of the catalogue.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorKind {
    /// The stable code in `error.outrigger.code`.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Value of `x-should-retry`.
    pub retry: bool,
    /// What it means and what to do; `outrigger explain CODE` prints it.
    pub explanation: &'static str,
}

macro_rules! catalogue {
    ($($name:ident = $code:literal, $status:literal, $retry:literal, $text:literal;)*) => {
        $(#[doc = $text] pub static $name: ErrorKind = ErrorKind { code: $code, status: $status, retry: $retry, explanation: $text };)*
        /// Every row.
        pub static CATALOGUE: &[&ErrorKind] = &[$(&$name),*];
    };
}

catalogue! {
    MISSING_API_KEY = "missing_api_key", 401, false, "The request bears no virtual key. Send it as `Authorization: Bearer or-...` or `x-api-key`; make one with `outrigger key create --app NAME`.";
    INVALID_API_KEY = "invalid_api_key", 401, false, "The key is not one of ours, or two headers bear different keys. `outrigger key ls` shows the keys there are.";
    KEY_EXPIRED = "key_expired", 401, false, "The key's time is over. `outrigger key rotate` makes a new secret for it.";
    KEY_REVOKED = "key_revoked", 401, false, "The key was revoked. Ask whoever runs the gateway for a new one.";
    MODEL_NOT_ALLOWED = "model_not_allowed", 403, false, "The key, or its team, may ask for some capabilities only, and this is none of them. `GET /v1/models` lists what it may use.";
    ORIGIN_REFUSED = "origin_refused", 403, false, "Without required keys only this machine's own programs may call: a foreign `Host` or `Origin` is refused, so that a web page can't spend. Set `auth: {keys: required}` to serve others.";
    MODEL_NOT_FOUND = "model_not_found", 404, false, "No capability, offer or model of that name is configured. `GET /v1/models` lists what there is.";
    ROUTE_NOT_FOUND = "route_not_found", 404, false, "There is no such path. The answer names the nearest one.";
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, false, "The path exists, but not for this method.";
    BAD_PATH = "bad_path", 400, false, "The path holds an escape, a dot segment or a character that no route of ours has.";
    BAD_JSON = "bad_json", 400, false, "The body is not a JSON object; the message says where.";
    DUPLICATE_FIELD = "duplicate_field", 400, false, "A field stands twice in one object. Two parsers could read it differently, so it is refused.";
    BAD_FIELD = "bad_field", 400, false, "A field has a value that its API does not allow.";
    FEATURE_NOT_PORTABLE = "feature_not_portable", 400, false, "The only offers left speak another dialect, which can't carry a feature of the request, and `on_loss` is `reject`. The message names the feature.";
    BODY_TOO_LARGE = "body_too_large", 413, false, "The body is longer than `server.limits.body`.";
    BODY_CODED = "body_coded", 415, false, "The body is compressed. Send it plain: a small bomb must not become a big body.";
    BODY_TIMEOUT = "body_timeout", 408, true, "The body came in too slowly.";
    CONTEXT_TOO_LONG = "context_too_long", 400, false, "The request does not fit the context of any offer that could serve it.";
    BUDGET_EXCEEDED = "budget_exceeded", 402, false, "A hard budget does not cover the worst case of this request. The message names the budget and when it starts again.";
    UNPRICED = "unpriced", 402, false, "The offer has no known price, a money budget applies, and `prices.unpriced` is `reject`. Give it a price under `prices.overrides`.";
    RATE_LIMITED = "rate_limited", 429, true, "A rate or parallel limit of this gateway is reached; `retry-after-ms` says when to come back.";
    UPSTREAM_RATE_LIMITED = "upstream_rate_limited", 429, true, "Every offer that could serve this is rate limited by its provider.";
    OVERLOADED = "overloaded", 503, true, "The gateway itself is at its limit and sheds load.";
    NO_CANDIDATE = "no_candidate", 503, true, "No offer can serve this now; the message says why each was left out.";
    UPSTREAM_ERROR = "upstream_error", 502, true, "The provider failed, and no other offer could take over.";
    UPSTREAM_REFUSED = "upstream_refused", 400, false, "The provider found the request wrong; its own message is passed on.";
    UPSTREAM_UNREACHABLE = "upstream_unreachable", 502, true, "No connection to the provider. Nothing was sent and nothing billed. `outrigger provider test NAME` looks into it.";
    UPSTREAM_BAD_RESPONSE = "upstream_bad_response", 502, false, "The provider answered something that its protocol does not allow. It may have billed.";
    UPSTREAM_TIMEOUT = "upstream_timeout", 504, false, "The provider did not answer in time. It may have billed, so nothing is tried again.";
    UPSTREAM_AUTH = "upstream_auth", 502, false, "The provider refused the gateway's own credential. `outrigger provider test NAME` checks it.";
    UPSTREAM_QUOTA = "upstream_quota", 502, false, "The gateway's account at the provider has no quota or balance left.";
    STREAM_INTERRUPTED = "stream_interrupted", 502, false, "The provider's stream was cut after it had begun. What arrived is accounted.";
    DRAINING = "draining", 503, true, "The gateway is shutting down and takes no new requests.";
    LEDGER_UNAVAILABLE = "ledger_unavailable", 503, true, "The ledger can't be written, so nothing may be sent. It recovers by itself once there is space; `outrigger doctor` looks into it.";
    REQUEST_NOT_FOUND = "request_not_found", 404, false, "No request of this key has that id.";
    INTERNAL = "internal", 500, false, "A fault of the gateway. Only this request failed; the log has more.";
}

/// The row of that code.
pub fn by_code(code: &str) -> Option<&'static ErrorKind> {
    CATALOGUE.iter().copied().find(|kind| kind.code == code)
}

/// How a request failed: a row of the catalogue and this request's particulars.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The row.
    pub kind: &'static ErrorKind,
    /// What went wrong, for a person.
    pub message: String,
    /// What to do about it.
    pub fix: String,
    /// Who failed, if a provider did.
    pub provider: Option<String>,
    /// Attempts made.
    pub attempts: u32,
    /// The request field that is to blame.
    pub field: Option<String>,
    /// When to come back, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure with a message; the fix is the catalogue's until [`Failure::fix`] says better.
    pub fn new(kind: &'static ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            fix: kind.explanation.to_owned(),
            provider: None,
            attempts: 0,
            field: None,
            retry_after_ms: None,
        }
    }

    /// Says what to do about it.
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Names the field to blame.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says when to come back.
    pub fn retry_after_ms(mut self, millis: Option<u64>) -> Self {
        self.retry_after_ms = millis;
        self
    }

    /// The failure of the last attempt, once no other is made.
    pub fn upstream(
        class: ErrorClass,
        hint: RateHint,
        provider: &str,
        attempts: u32,
        message: &str,
    ) -> Self {
        let kind = match class {
            ErrorClass::Unreachable => &UPSTREAM_UNREACHABLE,
            ErrorClass::Timeout | ErrorClass::Stall => &UPSTREAM_TIMEOUT,
            ErrorClass::RateLimited => &UPSTREAM_RATE_LIMITED,
            ErrorClass::Overloaded | ErrorClass::ServerError | ErrorClass::None => &UPSTREAM_ERROR,
            ErrorClass::BadResponse => &UPSTREAM_BAD_RESPONSE,
            ErrorClass::Auth => &UPSTREAM_AUTH,
            ErrorClass::Quota => &UPSTREAM_QUOTA,
            ErrorClass::ModelNotFound => &MODEL_NOT_FOUND,
            ErrorClass::ContextTooLong => &CONTEXT_TOO_LONG,
            ErrorClass::InvalidRequest | ErrorClass::ContentFilter => &UPSTREAM_REFUSED,
            ErrorClass::Refusal | ErrorClass::Internal => &INTERNAL,
        };
        let said = if message.is_empty() { class.as_str() } else { message };
        Self {
            provider: Some(provider.to_owned()),
            attempts,
            retry_after_ms: hint.retry_after_ms,
            ..Self::new(kind, format!("{provider}: {said}"))
        }
    }

    /// What the dialects render.
    pub fn as_client_error<'a>(&'a self, request_id: &'a str) -> ClientError<'a> {
        ClientError {
            code: self.kind.code,
            status: self.kind.status,
            message: &self.message,
            fix: &self.fix,
            request_id,
            provider: self.provider.as_deref(),
            attempts: self.attempts,
            field: self.field.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_errors_that_may_have_billed_are_not_retried() {
        for (at, kind) in CATALOGUE.iter().enumerate() {
            assert!(
                CATALOGUE.iter().skip(at + 1).all(|other| other.code != kind.code),
                "{}",
                kind.code
            );
        }
        for kind in [&UPSTREAM_TIMEOUT, &UPSTREAM_BAD_RESPONSE, &BUDGET_EXCEEDED] {
            assert!(!kind.retry, "{}", kind.code);
        }
    }
}
