//! Errors of this dialect, read and written (protocols A3). Bodies are those of chat completions.

use serde_json::{Value, json};

use crate::openai_chat::errors as chat;
use crate::wire::{ClientError, Headers, UpstreamFault};

pub(super) fn render(error: &ClientError<'_>) -> Vec<u8> {
    chat::render(error)
}

/// As an event. Clients read the flat fields or the object: SDKs raise on a truthy `error`, which the vendor's newer
/// streams have too. `number`: of the event in its stream. The blank line before it ends an event that was cut in the
/// middle; after a whole event it means nothing.
pub(super) fn render_event(error: &ClientError<'_>, number: u64) -> Vec<u8> {
    let body: Value = serde_json::from_slice(&render(error)).unwrap_or_default();
    let inner = &body["error"];
    let event = json!({
        "type": "error",
        "sequence_number": number,
        "code": inner["code"],
        "message": inner["message"],
        "param": inner["param"],
        "error": inner,
    });
    let event = crate::json::to_bytes(&event);
    [b"\n\nevent: error\ndata: ".as_slice(), &event, b"\n\n"].concat()
}

pub(super) fn is_own(body: &[u8]) -> bool {
    chat::is_own(body)
}

pub(super) fn classify(status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
    chat::classify(status, headers, body)
}

/// What an error event, or the error of a failed response, means.
pub(super) fn classify_object(error: &[u8]) -> UpstreamFault {
    chat::classify_object(error)
}
