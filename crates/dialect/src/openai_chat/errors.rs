//! Errors of this dialect, read and written.

use domain::{ErrorClass, RateHint};

use crate::wire::{ClientError, Headers, UpstreamFault};

pub(super) fn render(_error: &ClientError<'_>) -> Vec<u8> {
    Vec::new()
}

pub(super) fn render_event(_error: &ClientError<'_>) -> Vec<u8> {
    Vec::new()
}

pub(super) fn classify(_status: u16, _headers: &dyn Headers, _body: &[u8]) -> UpstreamFault {
    UpstreamFault {
        class: ErrorClass::ServerError,
        hint: RateHint::default(),
        message: String::new(),
        code: None,
    }
}

/// What an error object within a stream or a success body means: the value of its `error` field, as JSON.
pub(crate) fn classify_object(_error: &[u8]) -> UpstreamFault {
    classify(500, &(), b"")
}
