//! What the gateway says itself, in the provider's shape.

use serde_json::{Value, json};

use crate::openai_chat::errors;
use crate::wire::ClientError;

/// An `error` event. `refers_to` is the client's own name for the event that is refused.
pub fn error_event(error: &ClientError<'_>, refers_to: Option<&str>) -> String {
    let mut inner = match serde_json::from_slice(&errors::render(error)) {
        Ok(Value::Object(mut body)) => body.remove("error").unwrap_or(Value::Null),
        _ => Value::Null,
    };
    if let Value::Object(inner) = &mut inner {
        inner.insert("event_id".to_owned(), json!(refers_to));
    }
    let id = format!("event_{}", error.request_id);
    json!({"type": "error", "event_id": id, "error": inner}).to_string()
}
