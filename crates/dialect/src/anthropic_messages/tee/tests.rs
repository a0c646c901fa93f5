use bytes::Bytes;
use domain::ErrorClass;
use smallvec::SmallVec;

use super::*;
use crate::wire::FirstEvent;

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

const START: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m-1","content":[],"stop_reason":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":30,"cache_read_input_tokens":20,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}}}

"#;
const TEXT: &str = r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hé"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

"#;
const DELTA: &str = r#"event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15,"output_tokens_details":{"thinking_tokens":5}}}

"#;
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

#[test]
fn a_stream_is_read_to_its_end() {
    let (seen, first) = streamed(&[START, PING, TEXT, DELTA, STOP]);
    assert_eq!(first, FirstEvent::Good);
    assert!(seen.complete);
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input, usage.cache_read), (10, 20));
    assert_eq!((usage.cache_write, usage.cache_write_long), (10, 20));
    assert_eq!((usage.output, usage.reasoning), (10, 5));
    assert_eq!(seen.output_bytes, 3);
    assert_eq!(seen.model.as_deref(), Some("m-1"));
    assert_eq!(seen.upstream_id.as_deref(), Some("msg_1"));
    assert_eq!(seen.finish, Some(FinishReason::Stop));
}

#[test]
fn only_stop_reason_and_terminator_together_make_an_answer_whole() {
    assert!(streamed(&[START, TEXT, DELTA, STOP.trim_end()]).0.complete, "no final blank line");
    assert!(!streamed(&[START, TEXT, DELTA]).0.complete, "no terminator");
    assert!(!streamed(&[START, TEXT, STOP]).0.complete, "no stop reason");
    // What was read so far is known all the same.
    assert_eq!(streamed(&[START, TEXT]).0.usage.unwrap().input_total(), 60);
    assert_eq!(streamed(&[PING]).0.usage, None);
}

#[test]
fn what_a_usage_leaves_out_still_holds_and_an_unreadable_one_leaves_nothing() {
    let again = DELTA.replace("15", "20");
    assert_eq!(streamed(&[START, DELTA, &again, STOP]).0.usage.unwrap().output_total(), 20);
    let full = DELTA.replace("\"output_tokens\":15", "\"input_tokens\":11,\"output_tokens\":15");
    assert_eq!(streamed(&[START, &full, STOP]).0.usage.unwrap().input, 11);
    let broken = DELTA.replace(":15", ":-15");
    assert_eq!(streamed(&[START, &broken, STOP]).0.usage, None);
}

#[test]
fn errors_are_seen_and_the_first_event_decides() {
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let (seen, first) = streamed(&[PING, error]);
    assert_eq!(seen.error.clone().map(|it| it.class), Some(ErrorClass::Overloaded));
    assert_eq!(first, FirstEvent::Error(seen.error.unwrap()));
    let (seen, first) = streamed(&[START, error]);
    assert_eq!(first, FirstEvent::Good);
    assert!(seen.error.is_some() && !seen.complete);
    // Hosts that leave names or types out.
    let (_, first) = streamed(&["data: {\"error\":{\"message\":\"x\"}}\n\n"]);
    assert!(matches!(first, FirstEvent::Error(_)));
    let (_, first) = streamed(&["event: error\ndata: {\"message\":\"x\"}\n\n"]);
    assert!(matches!(first, FirstEvent::Error(fault) if fault.message == "x"));
    let (_, first) = streamed(&[PING]);
    assert_eq!(first, FirstEvent::Pending);
}

#[test]
fn tool_input_and_thinking_count_as_output_and_signatures_do_not() {
    let delta = |delta: &str| {
        let event = format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{delta}}}\n\n"
        );
        streamed(&[&event]).0.output_bytes
    };
    assert_eq!(delta(r#"{"type":"input_json_delta","partial_json":"{\"a\""}"#), 4);
    assert_eq!(delta(r#"{"type":"thinking_delta","thinking":"hm"}"#), 2);
    assert_eq!(delta(r#"{"type":"signature_delta","signature":"abcd"}"#), 0);
}

#[test]
fn a_whole_body_is_read_at_its_end() {
    let body = r#"{"id":"msg_2","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"abc"},{"type":"tool_use","id":"t","name":"f","input":{"x":1}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4}}"#;
    let seen = whole(body);
    assert!(seen.complete);
    assert_eq!(seen.usage.unwrap().total(), 7);
    assert_eq!(seen.finish, Some(FinishReason::ToolCalls));
    assert_eq!(seen.output_bytes, 3 + 1 + 7);
    let stopped = body.replace(
        "\"tool_use\",\"stop_sequence\":null",
        "\"stop_sequence\",\"stop_sequence\":\"END\"",
    );
    assert_eq!(whole(&stopped).finish, Some(FinishReason::StopSequence("END".to_owned())));
    assert!(!whole(body.trim_start_matches('{')).complete);
    assert!(!whole("{}").complete);
    let fault = whole(r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#);
    assert_eq!(fault.error.unwrap().class, ErrorClass::RateLimited);
    assert!(!fault.complete);
}
