//! Streams at Bedrock: events in frames, each in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ErrorClass;
use serde_json::json;

use crate::bedrock_converse::errors;
use crate::cursor::Cursor;
use crate::event_stream::{BadFrame, Decoder, Frame, FrameKind, append_event, append_exception};
use crate::sse::{EventTooLarge, SseEvent, SseParser};

/// Frames of a provider as Anthropic's events.
#[derive(Debug, Default)]
pub struct Unframer(Decoder);

impl Unframer {
    /// Takes bytes and appends the events that they complete.
    ///
    /// # Errors
    /// Bytes that are no frames; the stream is spent.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BadFrame> {
        self.0.feed(bytes, |frame| match frame.kind {
            FrameKind::Event if frame.name == b"chunk" => chunk(frame.payload, out),
            FrameKind::Exception => exception(frame, out),
            FrameKind::Event | FrameKind::Other => {}
        })
    }
}

/// An event is named as its own JSON says. What can't be read is handed on as it is, for the reader to refuse.
fn chunk(payload: &[u8], out: &mut Vec<u8>) {
    let mut cursor = Cursor::new(payload);
    let mut members = cursor.object();
    while let Some(key) = cursor.key(&mut members) {
        if key.is("bytes") {
            let text = cursor.text().map(|text| text.raw).unwrap_or_default();
            let event = STANDARD.decode(text).unwrap_or_default();
            return append_sse(kind(&event).as_deref(), &event, out);
        }
        cursor.skip();
    }
    append_sse(None, payload, out);
}

fn kind(event: &[u8]) -> Option<String> {
    let mut cursor = Cursor::new(event);
    let mut members = cursor.object();
    while let Some(key) = cursor.key(&mut members) {
        if key.is("type") {
            let kind = cursor.text()?.decode().into_owned();
            return Some(kind).filter(|kind| !kind.contains(['\n', '\r']));
        }
        cursor.skip();
    }
    None
}

/// A line end within an event's JSON is white space: it begins another line of the same event.
fn append_sse(kind: Option<&str>, event: &[u8], out: &mut Vec<u8>) {
    if let Some(kind) = kind {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'\n');
    }
    for line in event.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

fn exception(frame: Frame<'_>, out: &mut Vec<u8>) {
    let fault = errors::of_exception(frame.name, frame.message, frame.payload);
    let kind = match fault.class {
        ErrorClass::RateLimited => "rate_limit_error",
        ErrorClass::Overloaded => "overloaded_error",
        ErrorClass::Timeout => "timeout_error",
        ErrorClass::Auth => "permission_error",
        ErrorClass::InvalidRequest | ErrorClass::ContextTooLong | ErrorClass::ContentFilter => {
            "invalid_request_error"
        }
        ErrorClass::ModelNotFound => "not_found_error",
        _ => "api_error",
    };
    let error = json!({"type": "error", "error": {"type": kind, "message": fault.message}});
    append_sse(Some("error"), &crate::json::to_bytes(&error), out);
}

/// Anthropic's events as frames for a client.
#[derive(Debug, Default)]
pub struct Framer(SseParser);

impl Framer {
    /// Takes bytes and appends the frames that they complete.
    ///
    /// # Errors
    /// An event beyond every bound; the stream is spent.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), EventTooLarge> {
        self.0.feed(bytes, |event| frame(event, out))
    }
}

fn frame(event: SseEvent<'_>, out: &mut Vec<u8>) {
    if event.event == b"error" {
        return failed(event.data, out);
    }
    let payload = format!(r#"{{"bytes":"{}"}}"#, STANDARD.encode(event.data));
    append_event("chunk", payload.as_bytes(), out);
}

/// An error of the provider's, within its stream.
fn failed(data: &[u8], out: &mut Vec<u8>) {
    let event: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
    let text = |name: &str| event["error"][name].as_str().unwrap_or_default().to_owned();
    let name = match text("type").as_str() {
        "overloaded_error" => "serviceUnavailableException",
        "rate_limit_error" => "throttlingException",
        "invalid_request_error" => "validationException",
        "timeout_error" => "modelTimeoutException",
        "api_error" => "internalServerException",
        _ => "modelStreamErrorException",
    };
    append_exception(name, &crate::json::to_bytes(&json!({"message": text("message")})), out);
}
