use bytes::Bytes;
use domain::ErrorClass;
use smallvec::SmallVec;

use super::*;
use crate::wire::{FinishReason, FirstEvent};

fn run(options: TeeOptions, pieces: &[&str]) -> (Seen, FirstEvent) {
    let mut tee = tee(options);
    let mut out: SmallVec<[Bytes; 2]> = SmallVec::new();
    for piece in pieces {
        tee.feed(Bytes::copy_from_slice(piece.as_bytes()), &mut out);
    }
    assert!(out.concat() == pieces.concat().as_bytes());
    let first = tee.first();
    (tee.finish(), first)
}

fn streamed(pieces: &[&str]) -> (Seen, FirstEvent) {
    run(TeeOptions { streamed: true, strip_usage_chunk: true, ..TeeOptions::default() }, pieces)
}

fn whole(body: &str) -> Seen {
    run(TeeOptions::default(), &[body]).0
}

const CREATED: &str = r#"event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress","error":null,"model":"m-1","output":[],"usage":null}}

"#;
const ITEM: &str = r#"event: response.output_item.added
data: {"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","content":[]}}

"#;
const TEXT: &str = r#"event: response.output_text.delta
data: {"type":"response.output_text.delta","output_index":0,"delta":"Hé"}

"#;
const COMPLETED: &str = r#"event: response.completed
data: {"type":"response.completed","response":{"id":"resp_1","status":"completed","error":null,"incomplete_details":null,"model":"m-1","output":[{"type":"message","content":[{"type":"output_text","text":"Hé"}]}],"usage":{"input_tokens":30,"input_tokens_details":{"cached_tokens":20},"output_tokens":15,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":45}}}

"#;
const FAILED: &str = r#"event: response.failed
data: {"type":"response.failed","response":{"id":"resp_1","status":"failed","error":{"code":"rate_limit_exceeded","message":"Slow down."},"output":[]}}

"#;

#[test]
fn a_stream_is_read_to_its_end() {
    let (seen, first) = streamed(&[CREATED, ITEM, TEXT, COMPLETED]);
    assert_eq!(first, FirstEvent::Good);
    assert!(seen.complete);
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input, usage.cache_read, usage.output, usage.reasoning), (10, 20, 10, 5));
    assert_eq!(seen.output_bytes, 3);
    assert_eq!(seen.model.as_deref(), Some("m-1"));
    assert_eq!(seen.upstream_id.as_deref(), Some("resp_1"));
    assert_eq!(seen.finish, Some(FinishReason::Stop));
}

/// What is said before the model is asked does not count as an answer: another offer may still take over.
#[test]
fn a_failure_after_the_first_words_is_the_first_event() {
    assert_eq!(streamed(&[CREATED]).1, FirstEvent::Pending);
    let (seen, first) = streamed(&[CREATED, FAILED]);
    let FirstEvent::Error(fault) = first else { panic!("{first:?}") };
    assert_eq!(fault.class, ErrorClass::RateLimited);
    assert!(!seen.complete && seen.error == Some(fault));
    assert_eq!(streamed(&[CREATED, ITEM, FAILED]).1, FirstEvent::Good);
    // But not for ever: a host that repeats very large tools is passed on.
    let large =
        CREATED.replace("\"output\":[]", &format!("\"tools\":\"{}\"", "x".repeat(HELD_MAX)));
    assert_eq!(streamed(&[&large]).1, FirstEvent::Good);
}

#[test]
fn a_stream_without_its_last_event_is_not_complete() {
    let (seen, _) = streamed(&[CREATED, ITEM, TEXT]);
    assert!(!seen.complete);
    assert_eq!((seen.usage, seen.finish, seen.output_bytes), (None, None, 3));
    let cut = COMPLETED.replace("completed", "incomplete");
    let (seen, _) = streamed(&[CREATED, ITEM, TEXT, &cut]);
    assert!(seen.complete);
    assert_eq!(seen.finish, Some(FinishReason::Length));
}

#[test]
fn errors_are_known_in_every_shape() {
    for error in [
        r#"{"type":"error","code":"rate_limit_exceeded","message":"Slow down.","sequence_number":3}"#,
        r#"{"type":"error","error":{"code":"rate_limit_exceeded","message":"Slow down."}}"#,
        r#"{"error":{"code":"rate_limit_exceeded","message":"Slow down."}}"#,
    ] {
        let (seen, first) = streamed(&["event: error\ndata: ", error, "\n\n"]);
        let FirstEvent::Error(fault) = first else { panic!("{error}") };
        assert_eq!((fault.class, fault.message.as_str()), (ErrorClass::RateLimited, "Slow down."));
        assert!(!seen.complete);
    }
}

#[test]
fn a_whole_answer_is_one_that_ended() {
    let body =
        COMPLETED.split_once("\"response\":").unwrap().1.trim_end().strip_suffix('}').unwrap();
    let seen = whole(body);
    assert!(seen.complete);
    assert_eq!(seen.usage.map(|usage| usage.total()), Some(45));
    assert_eq!((seen.finish, seen.output_bytes), (Some(FinishReason::Stop), 3));
    for status in ["queued", "in_progress", "cancelled", "failed"] {
        let seen = whole(&body.replacen("completed", status, 1));
        assert!(!seen.complete, "{status}");
        assert_eq!(seen.error.is_some(), status == "failed");
    }
    assert!(!whole("{}").complete);
    let called = body.replace("\"type\":\"message\"", "\"type\":\"function_call\"");
    assert_eq!(whole(&called).finish, Some(FinishReason::ToolCalls));
}
