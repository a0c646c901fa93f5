//! How a request of the data plane fails. The catalogue itself, one row a code, is [`config::data_plane`]: what a client
//! is told and what `outrigger explain` says come from the same row.

use dialect::ClientError;
use domain::{ErrorClass, RateHint};

pub use config::data_plane::*;

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
            fix: kind.fix.to_owned(),
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
            retry_after_ms: self.retry_after_ms,
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
