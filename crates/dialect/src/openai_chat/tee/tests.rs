use bytes::Bytes;
use domain::ErrorClass;
use smallvec::SmallVec;

use super::*;
use crate::wire::{FinishReason, FirstEvent};

fn run(options: TeeOptions, pieces: &[&str]) -> (String, Seen, FirstEvent) {
    let mut tee = tee(options);
    let mut out: SmallVec<[Bytes; 2]> = SmallVec::new();
    for piece in pieces {
        tee.feed(Bytes::copy_from_slice(piece.as_bytes()), &mut out);
    }
    let first = tee.first();
    let seen = tee.finish();
    (String::from_utf8(out.concat()).unwrap(), seen, first)
}

fn streamed(pieces: &[&str]) -> Seen {
    let options = TeeOptions { streamed: true, strip_usage_chunk: false, ..TeeOptions::default() };
    let (out, seen, _) = run(options, pieces);
    assert_eq!(out, pieces.concat());
    seen
}

fn whole(body: &str) -> Seen {
    run(TeeOptions::default(), &[body]).1
}

const HELLO: &str = r#"data: {"id":"c-1","model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"Hé\n"},"finish_reason":null}],"usage":null}

"#;
const STOP: &str = r#"data: {"id":"c-1","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

"#;
const USAGE: &str = r#"data: {"id":"c-1","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":1}}}

"#;
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn a_stream_is_read_to_its_end() {
    let seen = streamed(&[HELLO, STOP, USAGE, DONE]);
    assert!(seen.complete);
    let usage = seen.usage.unwrap();
    assert_eq!((usage.input, usage.cache_read, usage.output, usage.reasoning), (4, 6, 3, 1));
    assert_eq!(seen.output_bytes, 4);
    assert_eq!(seen.model.as_deref(), Some("m-1"));
    assert_eq!(seen.upstream_id.as_deref(), Some("c-1"));
    assert_eq!(seen.finish, Some(FinishReason::Stop));
}

#[test]
fn only_finish_and_terminator_together_make_an_answer_whole() {
    assert!(streamed(&[HELLO, STOP, "data: [DONE]"]).complete, "no final blank line");
    assert!(!streamed(&[HELLO, STOP]).complete, "no terminator");
    assert!(!streamed(&[HELLO, DONE]).complete, "no finish");
    assert!(!streamed(&[DONE]).complete, "nothing at all");
    let second = STOP.replace("\"index\":0", "\"index\":1").replace("\"stop\"", "null");
    assert!(!streamed(&[HELLO, STOP, &second, DONE]).complete, "one of two choices is cut");
}

#[test]
fn missing_usage_is_unknown_and_the_last_usage_counts() {
    assert_eq!(streamed(&[HELLO, STOP, DONE]).usage, None);
    let later = USAGE.replace("\"completion_tokens\":4", "\"completion_tokens\":9");
    assert_eq!(streamed(&[HELLO, STOP, USAGE, &later, DONE]).usage.unwrap().output_total(), 9);
    let broken = USAGE.replace("\"completion_tokens\":4", "\"completion_tokens\":\"4\"");
    assert_eq!(streamed(&[HELLO, STOP, &broken, DONE]).usage, None);
    let nothing = USAGE.replace("{\"prompt_tokens\"", "{},\"x\":{\"prompt_tokens\"");
    assert_eq!(streamed(&[HELLO, STOP, USAGE, &nothing, DONE]).usage.unwrap().total(), 14);
    let zero = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}\n\n";
    assert_eq!(streamed(&[HELLO, STOP, USAGE, zero, DONE]).usage.unwrap().total(), 14);
    assert!(streamed(&[HELLO, STOP, zero, DONE]).usage.unwrap().is_zero());
    let groq = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}}\n\n";
    assert_eq!(streamed(&[HELLO, groq, DONE]).usage.unwrap().total(), 5);
    // Proxies' own usage is overruled by the standard place, in either order.
    let both = "data: {\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":2},\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}}\n\n";
    assert_eq!(streamed(&[both, DONE]).usage.unwrap().total(), 32);
}

#[test]
fn every_kind_of_output_is_counted_once() {
    let delta = |delta: &str| {
        let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
        streamed(&[&event]).output_bytes
    };
    assert_eq!(delta(r#"{"content":"abc"}"#), 3);
    assert_eq!(
        delta(
            r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"ab"}]},{"type":"text","text":"c"}]}"#
        ),
        3
    );
    assert_eq!(delta(r#"{"reasoning":"abc","reasoning_content":"abc"}"#), 3);
    assert_eq!(delta(r#"{"refusal":"no"}"#), 2);
    assert_eq!(
        delta(
            r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"ab","arguments":"{\"x\":1}"}}]}"#
        ),
        9
    );
    assert_eq!(delta(r#"{"tool_calls":[{"index":0,"custom":{"name":"a","input":"ls"}}]}"#), 3);
    assert_eq!(delta(r#"{"content":null,"role":"assistant"}"#), 0);
}

#[test]
fn errors_in_a_stream_are_seen_and_the_first_event_decides() {
    let options = TeeOptions { streamed: true, strip_usage_chunk: false, ..TeeOptions::default() };
    let error = "data: {\"error\":{\"message\":\"no room\",\"type\":\"overloaded_error\"}}\n\n";
    let (_, seen, first) = run(options, &[": processing\n\n", error]);
    assert_eq!(seen.error.clone().map(|it| it.class), Some(ErrorClass::Overloaded));
    assert_eq!(first, FirstEvent::Error(seen.error.unwrap()));
    assert!(!seen.complete);
    let (_, seen, first) = run(options, &[HELLO, error, DONE]);
    assert_eq!(first, FirstEvent::Good);
    assert!(seen.error.is_some() && !seen.complete);
    let (_, _, first) = run(options, &[": processing\n\n", "data: {\"choi"]);
    assert_eq!(first, FirstEvent::Pending);
    let (_, seen, first) = run(options, &["event: error\ndata: {\"message\":\"x\"}\n\n"]);
    assert!(matches!(first, FirstEvent::Error(_)));
    assert_eq!(seen.error.unwrap().message, "x");
    let (_, _, first) = run(options, &["data: <html>\n\n"]);
    assert!(matches!(first, FirstEvent::Error(fault) if fault.class == ErrorClass::BadResponse));
    let harmless = "data: {\"error\":null,\"choices\":[]}\n\n";
    assert_eq!(run(options, &[harmless]).2, FirstEvent::Good);
}

/// A chunk as it is for a client that did not ask for usage.
fn untold(chunk: &str) -> String {
    chunk.replace(",\"usage\":null", "")
}

#[test]
fn only_the_usage_chunk_is_cut_out_in_any_chunking() {
    let options = TeeOptions { streamed: true, strip_usage_chunk: true, ..TeeOptions::default() };
    let filter = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
    let text = [filter, HELLO, ": ping\n\n", STOP, USAGE, DONE].concat();
    let expected = [filter, &untold(HELLO), ": ping\n\n", STOP, DONE].concat();
    let bytes = text.as_bytes();
    for size in 1..bytes.len() {
        let mut tee = tee(options);
        let mut out: SmallVec<[Bytes; 2]> = SmallVec::new();
        for piece in bytes.chunks(size) {
            tee.feed(Bytes::copy_from_slice(piece), &mut out);
        }
        assert!(tee.is_complete(), "{size}");
        assert_eq!(out.concat(), expected.as_bytes(), "{size}");
        assert_eq!(tee.finish().usage.unwrap().total(), 14, "{size}");
    }
}

#[test]
fn a_place_for_usage_that_nobody_asked_for_is_cut_out_in_any_chunking() {
    let options = TeeOptions { streamed: true, strip_usage_chunk: true, ..TeeOptions::default() };
    // Where it may stand: last, alone before others, between, and as text of the answer, where it stays.
    let text = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\\"usage\\\":null\"}}],\"usage\":null}\n\n",
        "data: { \"usage\" : null , \"choices\":[{\"index\":0,\"delta\":{\"usage\":null}}]}\n\n",
        ": ping\n\n",
        "data: {\"id\":\"c\", \"usage\":null, \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        USAGE,
        DONE,
    ]
    .concat();
    let expected = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\\"usage\\\":null\"}}]}\n\n",
        "data: { \"choices\":[{\"index\":0,\"delta\":{\"usage\":null}}]}\n\n",
        ": ping\n\n",
        "data: {\"id\":\"c\", \"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        DONE,
    ]
    .concat();
    for size in 1..=text.len() {
        let pieces: Vec<&str> =
            text.as_bytes().chunks(size).map(|it| std::str::from_utf8(it).unwrap()).collect();
        let (out, seen, _) = run(options, &pieces);
        assert_eq!(out, expected, "{size}");
        assert_eq!(seen.usage.unwrap().total(), 14, "{size}");
    }
    // Asked for, it stays.
    let options = TeeOptions { strip_usage_chunk: false, ..options };
    assert_eq!(run(options, &[&text]).0, text);
    // Data over several lines passes as it is.
    let options = TeeOptions { strip_usage_chunk: true, ..options };
    let lines = "data: {\"choices\":[],\ndata: \"usage\":null}\n\n";
    assert_eq!(run(options, &[lines]).0, lines);
}

#[test]
fn cutting_keeps_what_has_no_end_and_uncut_events_of_other_shapes() {
    let options = TeeOptions { streamed: true, strip_usage_chunk: true, ..TeeOptions::default() };
    // No blank line follows the terminator.
    let hello = untold(HELLO);
    let (out, ..) = run(options, &[HELLO, USAGE, "data", ": [DO", "NE]\n"]);
    assert_eq!(out, [&hello, "data: [DONE]\n"].concat());
    let (out, ..) = run(options, &[HELLO, USAGE, "data: [DONE]\n"]);
    assert_eq!(out, [&hello, "data: [DONE]\n"].concat());
    let last = STOP.replace("]}", "],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}");
    let (out, seen, _) = run(options, &[HELLO, &last, DONE]);
    assert_eq!(out, [&hello, last.as_str(), DONE].concat());
    assert_eq!(seen.usage.unwrap().total(), 2);
    let crlf = [HELLO, STOP, USAGE, DONE].concat().replace('\n', "\r\n");
    let (out, ..) = run(options, &[&crlf]);
    assert_eq!(out, [&hello, STOP, DONE].concat().replace('\n', "\r\n"));
}

#[test]
fn an_event_that_goes_on_for_ever_is_not_held() {
    let options = TeeOptions { streamed: true, strip_usage_chunk: true, ..TeeOptions::default() };
    let mut tee = tee(options);
    let mut out: SmallVec<[Bytes; 2]> = SmallVec::new();
    let piece = Bytes::from(vec![b'x'; 16 * 1024]);
    for _ in 0..600 {
        tee.feed(piece.clone(), &mut out);
    }
    assert!(out.len() >= 595);
    assert!(!tee.finish().complete);
}

#[test]
fn pieces_pass_without_a_copy() {
    for strip_usage_chunk in [false, true] {
        let mut tee =
            tee(TeeOptions { streamed: true, strip_usage_chunk, ..TeeOptions::default() });
        let mut out: SmallVec<[Bytes; 2]> = SmallVec::new();
        let piece = Bytes::from(untold(HELLO).repeat(2));
        tee.feed(piece.clone(), &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!((out[0].as_ptr(), out[0].len()), (piece.as_ptr(), piece.len()));
    }
}

#[test]
fn a_whole_body_is_read_at_its_end() {
    let body = r#"{"id":"c-2","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}"#;
    let seen = whole(body);
    assert!(seen.complete);
    assert_eq!(seen.usage.unwrap().total(), 12);
    assert_eq!(seen.finish, Some(FinishReason::ToolCalls));
    assert_eq!(seen.output_bytes, 3);
    assert!(!whole(body.trim_end_matches('}')).complete, "cut");
    assert!(!whole("<html></html>").complete);
    assert!(!whole("{}").complete);
    assert!(!whole(r#"{"choices":[]}"#).complete);
    assert!(!whole("[]").complete);
    assert!(!whole("").complete);
    let fault = whole(r#"{"error":{"message":"x","code":"insufficient_quota"},"choices":[1]}"#);
    assert_eq!(fault.error.unwrap().class, ErrorClass::Quota);
    assert!(!fault.complete);
}
