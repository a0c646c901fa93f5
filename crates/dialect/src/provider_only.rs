//! The client's side of a dialect that has none: whatever asks is told so.

use domain::DialectId;
use serde_json::json;

use crate::exchange::StreamEvent;
use crate::json::to_bytes;
use crate::loss::Corner;
use crate::registry::StreamWriter;
use crate::wire::{ClientError, FieldError};

/// The refusal of a request.
pub(crate) fn refused(id: DialectId) -> FieldError {
    let why = format!("clients do not speak `{}`: only providers do", id.as_str());
    FieldError::new("", why)
}

pub(crate) fn render_error(error: &ClientError<'_>) -> Vec<u8> {
    to_bytes(&json!({"code": error.code, "message": error.message}))
}

/// No client's request, no field of it.
pub(crate) fn spell(_corner: Corner) -> &'static str {
    ""
}

/// Writes nothing, and says so.
#[derive(Debug)]
pub(crate) struct Unwritten;

impl StreamWriter for Unwritten {
    fn event(&mut self, _event: &StreamEvent, _out: &mut Vec<u8>) {}

    fn broken(&self) -> Option<&'static str> {
        Some("clients do not speak the provider's dialect")
    }
}
