//! The peek and the exchange are two readers of one request: they must not disagree.

use bytes::Bytes;
use dialect::{DialectId, Edits, Peek, dialect as find, gate};
use domain::Feature;

use crate::support::{BOTH, OLD, fixtures, read_request};

fn peek(id: DialectId, body: &[u8]) -> Peek {
    gate::scan(body, gate::GateLimits::default()).expect("a good fixture");
    let headers: &[(&str, &str)] =
        &[("anthropic-version", OLD), ("anthropic-beta", "context-management-2025-06-27")];
    let headers = if id == DialectId::AnthropicMessages { headers } else { &[] };
    find(id).peek(body, &headers).expect("a good fixture")
}

#[test]
fn both_readers_see_the_same_request() {
    for id in BOTH {
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

/// A reservation is made from the peek before it is known whether the request is translated.
#[test]
fn the_peeks_bound_holds_for_the_translated_text() {
    for id in BOTH {
        for (name, body) in fixtures(id, "request") {
            let (peek, exchange) = (peek(id, &body), read_request(id, &body));
            assert!(
                peek.text_bytes >= exchange.text_bytes(),
                "{name}: {} < {}",
                peek.text_bytes,
                exchange.text_bytes()
            );
        }
    }
}

/// T-S3 on the way up.
#[test]
fn what_is_forwarded_is_what_came() {
    for id in BOTH {
        for (name, body) in fixtures(id, "request") {
            let peek = peek(id, &body);
            let body = Bytes::from(body);
            let same = find(id).forward(&body, &peek, &Edits::default());
            assert_eq!((same.as_ptr(), same.len()), (body.as_ptr(), body.len()), "{name}");

            let edits = Edits { model: Some("provider/other"), ask_usage: false };
            let out = find(id).forward(&body, &peek, &edits);
            let (before, after) = (peek.model_span.start, body.len() - peek.model_span.end);
            assert_eq!(out[..before], body[..before], "{name}");
            assert_eq!(out[out.len() - after..], body[peek.model_span.end..], "{name}");
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
