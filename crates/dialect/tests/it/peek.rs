//! The peek and the exchange are two readers of one request: they must not disagree.

use bytes::Bytes;
use dialect::{DialectId, Edits, Incoming, Peek, Quirks, dialect as find, gate};
use domain::Feature;

use crate::support::{ALL, OLD, fixtures, headers, path, read_request, target, write_request};

fn peek(id: DialectId, body: &[u8]) -> Peek {
    gate::scan(body, gate::GateLimits::default()).expect("a good fixture");
    let headers = headers(id);
    let request = Incoming { body, headers: &headers, path: path(id, true) };
    find(id).peek(domain::Endpoint::Chat, &request).expect("a good fixture")
}

#[test]
fn both_readers_see_the_same_request() {
    for id in ALL {
        for (name, body) in fixtures(id, "request") {
            let (peek, exchange) = (peek(id, &body), read_request(id, &body));
            let words = |features: domain::Features| features.to_string();
            assert_eq!(words(peek.features), words(exchange.features()), "{name}");
            assert_eq!(peek.limits, exchange.limits(), "{name}");
            assert_eq!(peek.model, exchange.model, "{name}");
            assert_eq!(peek.stream, exchange.stream, "{name}");
            assert_eq!(peek.wants_stream_usage, exchange.include_usage, "{name}");
        }
    }
}

/// A reservation is made from the client's own request: what a provider of another dialect gets in its place holds no
/// more, but for what `admit` allows a translation.
#[test]
fn the_peeks_bound_holds_for_the_translated_text() {
    let hosts = [
        Quirks::default(),
        Quirks::from_words(["no_json_schema", "no_custom_tools", "text_content"]).expect("words"),
        Quirks::from_words(["cache_breakpoints", "reasoning_details"]).expect("words"),
    ];
    for id in ALL {
        for (name, body) in fixtures(id, "request") {
            let (before, exchange) = (peek(id, &body), read_request(id, &body));
            for (to, quirks) in ALL.into_iter().flat_map(|to| hosts.iter().map(move |it| (to, it)))
            {
                if to == id {
                    continue;
                }
                let (written, _, _) = write_request(to, &exchange, &target(quirks, OLD));
                let after = peek(to, written.to_string().as_bytes());
                assert!(
                    before.text_bytes + 128 >= after.text_bytes,
                    "{name} to {to:?}: {} < {}",
                    before.text_bytes,
                    after.text_bytes
                );
            }
        }
    }
}

/// T-S3 on the way up.
#[test]
fn what_is_forwarded_is_what_came() {
    for id in ALL {
        for (name, body) in fixtures(id, "request") {
            let peek = peek(id, &body);
            let body = Bytes::from(body);
            let same = find(id).forward(&body, &peek, &Edits::default());
            assert_eq!((same.as_ptr(), same.len()), (body.as_ptr(), body.len()), "{name}");

            let edits = Edits { model: Some("provider/other"), ask_usage: false };
            let out = find(id).forward(&body, &peek, &edits);
            let Some(span) = peek.model_span.clone() else {
                // The path names it.
                assert!(matches!(id, DialectId::Gemini | DialectId::BedrockConverse), "{name}");
                assert_eq!(out, body, "{name}");
                continue;
            };
            let (before, after) = (span.start, body.len() - span.end);
            assert_eq!(out[..before], body[..before], "{name}");
            assert_eq!(out[out.len() - after..], body[span.end..], "{name}");
            assert_eq!(&out[before..out.len() - after], b"\"provider/other\"", "{name}");

            let asked = find(id).forward(&body, &peek, &Edits { model: None, ask_usage: true });
            let changed = id == DialectId::OpenaiChat
                && peek.features.contains(Feature::Stream)
                && !peek.wants_stream_usage;
            assert_eq!(asked != body, changed, "{name}");
            gate::scan(&asked, gate::GateLimits::default()).expect("still JSON");
        }
    }
}

/// Gemini's signatures travel in the ids of calls, through every client; a provider of the client's own dialect, which
/// bounds the length of ids, gets calls and results without them. An id that is not ours may be its own.
#[test]
fn signatures_in_ids_are_not_forwarded() {
    let bodies = [
        (
            DialectId::OpenaiChat,
            r#"{"model":"m","messages":[{"role":"user","content":"x"},
                {"role":"assistant","tool_calls":[{"type":"function","id":"orm_1__orthought__YWJj","function":{"name":"f","arguments":"{}"}}]},
                {"role":"tool","tool_call_id":"orm_1__orthought__YWJj","content":"1"}]}"#,
        ),
        (
            DialectId::AnthropicMessages,
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"},
                {"role":"assistant","content":[{"type":"tool_use","id":"orm_1__orthought__YWJj","name":"f","input":{}}]},
                {"role":"user","content":[{"type":"tool_result","tool_use_id":"orm_1__orthought__YWJj","content":"1"}]}]}"#,
        ),
        (
            DialectId::OpenaiResponses,
            r#"{"model":"m","input":[{"role":"user","content":"x"},
                {"type":"function_call","call_id":"orm_1__orthought__YWJj","name":"f","arguments":"{}"},
                {"type":"function_call_output","call_id":"orm_1__orthought__YWJj","output":"1"}]}"#,
        ),
        (
            DialectId::BedrockConverse,
            r#"{"messages":[{"role":"user","content":[{"text":"x"}]},
                {"role":"assistant","content":[{"toolUse":{"toolUseId":"orm_1__orthought__YWJj","name":"f","input":{}}}]},
                {"role":"user","content":[{"toolResult":{"toolUseId":"orm_1__orthought__YWJj","content":[{"text":"1"}]}}]}]}"#,
        ),
        (
            DialectId::CohereChat,
            r#"{"model":"m","messages":[{"role":"user","content":"x"},
                {"role":"assistant","tool_calls":[{"type":"function","id":"orm_1__orthought__YWJj","function":{"name":"f","arguments":"{}"}}]},
                {"role":"tool","tool_call_id":"orm_1__orthought__YWJj","content":"1"}]}"#,
        ),
    ];
    for (id, body) in bodies {
        let peek = peek(id, body.as_bytes());
        let out = find(id).forward(&Bytes::from(body), &peek, &Edits::default());
        let expected = body.replace("__orthought__YWJj", "");
        assert_eq!(String::from_utf8_lossy(&out), expected, "{id:?}");

        let theirs = body.replace("orm_", "call_");
        let peek = self::peek(id, theirs.as_bytes());
        let out = find(id).forward(&Bytes::from(theirs.clone()), &peek, &Edits::default());
        let expected = theirs.replace("__orthought__YWJj", "");
        assert_eq!(String::from_utf8_lossy(&out), expected, "{id:?}");

        // A gateway that joins them with words of its own gets its ids back.
        let joined = theirs.replace("__orthought__", "__thought__");
        let peek = self::peek(id, joined.as_bytes());
        let out = find(id).forward(&Bytes::from(joined.clone()), &peek, &Edits::default());
        assert_eq!(String::from_utf8_lossy(&out), joined, "{id:?}");
    }
}
