//! The few fields typed of a forwarded request.

use bytes::Bytes;

use crate::wire::{Edits, FieldError, Headers, Peek};

pub(super) fn peek(_body: &[u8], _headers: &dyn Headers) -> Result<Peek, FieldError> {
    Ok(Peek::default())
}

pub(super) fn forward(body: &Bytes, _peek: &Peek, _edits: &Edits<'_>) -> Bytes {
    body.clone()
}
