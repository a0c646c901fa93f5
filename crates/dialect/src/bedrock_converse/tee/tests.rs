use domain::{ErrorClass, Usage};

use super::*;
use crate::event_stream::{append_event, append_exception};

fn stream(events: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, payload) in events {
        if name.ends_with("Exception") {
            append_exception(name, payload.as_bytes(), &mut out);
        } else {
            append_event(name, payload.as_bytes(), &mut out);
        }
    }
    out
}

fn pass(bytes: &[u8]) -> (FirstEvent, Seen) {
    let mut tee = tee(TeeOptions { streamed: true, ..TeeOptions::default() });
    let mut out = SmallVec::new();
    tee.feed(Bytes::copy_from_slice(bytes), &mut out);
    assert_eq!(out.concat(), bytes);
    let first = tee.first();
    (first, tee.finish())
}

const START: (&str, &str) = ("messageStart", r#"{"role":"assistant","p":"abc"}"#);
const TEXT: (&str, &str) =
    ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"text":"four"}}"#);
const STOP: (&str, &str) = ("messageStop", r#"{"stopReason":"end_turn"}"#);
const META: (&str, &str) = (
    "metadata",
    r#"{"usage":{"inputTokens":3,"outputTokens":4,"totalTokens":7},"metrics":{"latencyMs":1}}"#,
);

#[test]
fn usage_and_finish_are_read() {
    let (first, seen) = pass(&stream(&[START, TEXT, STOP, META]));
    assert_eq!(first, FirstEvent::Good);
    assert_eq!(seen.usage, Some(Usage { input: 3, output: 4, ..Usage::default() }));
    assert_eq!((seen.complete, seen.output_bytes), (true, 4));
    assert_eq!(seen.finish, Some(FinishReason::Stop));
}

#[test]
fn a_cut_stream_is_not_complete() {
    let whole = stream(&[START, TEXT, STOP, META]);
    let before = stream(&[START, TEXT, STOP]).len();
    for length in 0..whole.len() {
        let (_, seen) = pass(&whole[..length]);
        // Between stop reason and usage it is whole, without usage; in the middle of a frame it never is.
        assert_eq!(seen.complete, length == before, "cut at {length}");
        assert_eq!(seen.usage, None);
    }
}

#[test]
fn an_exception_first_is_no_answer() {
    let slow = ("throttlingException", r#"{"message":"Too many requests"}"#);
    let (first, seen) = pass(&stream(&[slow]));
    let FirstEvent::Error(fault) = first else { panic!("{first:?}") };
    assert_eq!(
        (fault.class, fault.message.as_str()),
        (ErrorClass::RateLimited, "Too many requests")
    );
    assert_eq!(seen.error, Some(fault));
    let (first, seen) = pass(&stream(&[START, TEXT, slow]));
    assert_eq!(first, FirstEvent::Good);
    assert_eq!((seen.complete, seen.error.unwrap().class), (false, ErrorClass::RateLimited));
}

/// Server-sent events, or a page: another offer may take over.
#[test]
fn what_is_no_event_stream_is_a_bad_response() {
    for text in [&b"data: {\"a\": 1}\n\n"[..], b"<html><body>502</body></html>"] {
        let (first, _) = pass(text);
        let FirstEvent::Error(fault) = first else { panic!("{first:?}") };
        assert_eq!(fault.class, ErrorClass::BadResponse);
    }
}
