//! Errors of the admin API: `application/problem+json` (RFC 9457), with `error.message` besides for simple clients.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::reload::Refused;

/// A kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) code: &'static str,
    pub(super) status: u16,
    pub(super) title: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $code:literal, $status:literal, $title:literal;)*) => {
        $(pub(super) static $name: Kind = Kind { code: $code, status: $status, title: $title };)*
        /// Every kind.
        #[cfg(test)]
        pub(super) static KINDS: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    BODY = "bad_body", 400, "The body can't be read";
    INVALID = "invalid", 400, "A value is not allowed";
    UNAUTHORIZED = "unauthorized", 401, "The admin token is missing or wrong";
    FOREIGN = "origin_refused", 403, "The request comes from another site";
    NOT_FOUND = "not_found", 404, "There is no such thing";
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "The path has no such method";
    CONFLICT = "conflict", 409, "That can't be done in this state";
    MEDIA_TYPE = "media_type", 415, "The body is not JSON";
    CONFIG_REFUSED = "config_refused", 422, "The new configuration was refused; the old one stays";
    INTERNAL = "internal", 500, "A fault of the gateway";
    LEDGER = "ledger_unavailable", 503, "The ledger can't be used now";
    KEPT = "kept_unavailable", 503, "What is kept can't be used now";
    STOPPING = "stopping", 503, "The gateway is stopping";
}

/// What went wrong with one request.
#[derive(Debug)]
pub(super) struct Problem {
    kind: &'static Kind,
    detail: String,
    /// Each with its `detail` and where it is.
    errors: Vec<Value>,
}

impl Problem {
    pub(super) fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new() }
    }

    /// The ledger or the key table failed.
    pub(super) fn ledger(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            detail.push_str(": ");
            detail.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(&LEDGER, detail)
    }

    /// Several values at once; each with the JSON pointer of its place in the body.
    pub(super) fn invalid(errors: &[(String, String)]) -> Self {
        let detail: Vec<&str> = errors.iter().map(|(_, detail)| detail.as_str()).collect();
        let detail = detail.join("; ");
        let errors = errors.iter();
        let errors = errors.map(|(pointer, it)| json!({"pointer": pointer, "detail": it}));
        Self { detail, errors: errors.collect(), kind: &INVALID }
    }

    /// The new configuration was refused: every problem with its line and column.
    pub(super) fn config(refused: &Refused) -> Self {
        let errors = refused.problems.iter().map(|problem| {
            let mut error = config::to_json(problem);
            error["detail"] = problem.message.as_str().into();
            error
        });
        Self { detail: refused.why.clone(), errors: errors.collect(), kind: &CONFIG_REFUSED }
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "type": format!("/openapi.json#/x-outrigger-problems/{}", self.kind.code),
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "error": {"code": self.kind.code, "message": self.detail},
        });
        if !self.errors.is_empty() {
            body["errors"] = Value::Array(self.errors.clone());
        }
        body
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.body().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.kind == &UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"outrigger admin\""),
            );
        }
        response
    }
}
