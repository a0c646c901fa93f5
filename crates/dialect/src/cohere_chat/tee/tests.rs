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

const START: &str = r#"event: message-start
data: {"id":"m-1","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}

"#;
const TEXT: &str = r#"event: content-start
data: {"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}

event: content-delta
data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Hé"}}}}

event: content-end
data: {"type":"content-end","index":0}

"#;
const CALL: &str = r#"event: tool-plan-delta
data: {"type":"tool-plan-delta","delta":{"message":{"tool_plan":"I look"}}}

event: tool-call-start
data: {"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"c","type":"function","function":{"name":"now","arguments":""}}}}}

event: tool-call-delta
data: {"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{}"}}}}}

event: tool-call-end
data: {"type":"tool-call-end","index":0}

"#;
const END: &str = r#"event: message-end
data: {"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":5,"output_tokens":8},"tokens":{"input_tokens":71,"output_tokens":9},"cached_tokens":2}}}

"#;

#[test]
fn a_stream_is_read_to_its_end() {
    let (seen, first) = streamed(&[START, TEXT, END]);
    assert_eq!(first, FirstEvent::Good);
    assert!(seen.complete);
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input, usage.cache_read, usage.output), (3, 2, 8));
    assert_eq!(seen.output_bytes, 3);
    assert_eq!(seen.upstream_id.as_deref(), Some("m-1"));
    assert_eq!(seen.model, None);
    assert_eq!(seen.finish, Some(FinishReason::Stop));
    let (calls, _) = streamed(&[START, CALL, END, "data: [DONE]\n\n"]);
    assert!(calls.complete);
    assert_eq!(calls.finish, Some(FinishReason::ToolCalls));
    assert_eq!(calls.output_bytes, 6 + 3 + 2);
}

#[test]
fn only_an_end_with_its_reason_makes_an_answer_whole() {
    assert!(streamed(&[START, TEXT, END.trim_end()]).0.complete, "no final blank line");
    assert!(!streamed(&[START, TEXT]).0.complete);
    let silent = END.replace("\"finish_reason\":\"COMPLETE\",", "");
    assert!(!streamed(&[START, TEXT, &silent]).0.complete);
    assert!(!streamed(&[START, "data: [DONE]\n\n"]).0.complete);
}

#[test]
fn failures_are_told() {
    let failed = END.replace("\"COMPLETE\"", "\"ERROR\",\"error\":\"generation failed\"");
    let (seen, first) = streamed(&[START, TEXT, &failed]);
    assert_eq!(first, FirstEvent::Good);
    assert!(!seen.complete);
    assert_eq!(seen.error.unwrap().message, "generation failed");
    // What failed was billed all the same.
    assert_eq!(seen.usage.unwrap().output, 8);
    let late = END.replace("COMPLETE", "TIMEOUT");
    assert_eq!(streamed(&[&late]).0.error.unwrap().class, ErrorClass::Timeout);
    let (seen, first) = streamed(&["data: {\"id\":\"x\",\"message\":\"too many tokens\"}\n\n"]);
    assert!(matches!(first, FirstEvent::Error(_)) && seen.error.is_some());
    assert!(streamed(&["data: nonsense\n\n"]).0.error.is_some());
}

#[test]
fn a_body_is_read_whole() {
    let seen = whole(
        r#"{"id":"c-1","finish_reason":"COMPLETE","message":{"role":"assistant","content":[
            {"type":"thinking","thinking":"hm"},{"type":"text","text":"Hello"}]},
            "usage":{"billed_units":{"input_tokens":5,"output_tokens":8}}}"#,
    );
    assert!(seen.complete && seen.error.is_none());
    assert_eq!(seen.output_bytes, 7);
    assert_eq!(seen.finish, Some(FinishReason::Stop));
    assert_eq!(seen.usage.unwrap().output, 8);
    let refused = whole(r#"{"id":"c-2","message":"invalid request"}"#);
    assert!(!refused.complete && refused.error.is_some());
    let failed = whole(r#"{"id":"c","finish_reason":"ERROR","message":{"role":"assistant"}}"#);
    assert!(!failed.complete && failed.error.is_some());
    assert!(!whole(r#"{"id":"c","message":{"role":"assistant"}}"#).complete);
}
