//! Fixtures and shorthands.

use std::path::PathBuf;

use dialect::{
    AnswerContext, DialectId, Exchange, Incoming, Quirks, StreamEvent, Target, dialect as find,
};
use domain::{LossReport, UnixMicros};

pub(crate) const ALL: [DialectId; 3] =
    [DialectId::OpenaiChat, DialectId::AnthropicMessages, DialectId::OpenaiResponses];
pub(crate) const OLD: &str = "2023-06-01";
pub(crate) const NEW: &str = "2026-10-21";

fn folder(id: DialectId, kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(id.as_str()).join(kind)
}

/// The fixtures of a kind: name and bytes, sorted.
pub(crate) fn fixtures(id: DialectId, kind: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder(id, kind)).expect("fixture folder");
    let mut all: Vec<_> = entries
        .map(|entry| entry.expect("entry").path())
        .map(|path| {
            let name = path.file_stem().expect("stem").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("fixture"))
        })
        .collect();
    all.sort();
    all
}

pub(crate) fn read_request(id: DialectId, body: &[u8]) -> Exchange {
    let headers: &[(&str, &str)] =
        &[("anthropic-version", OLD), ("anthropic-beta", "context-management-2025-06-27")];
    let headers = if id == DialectId::AnthropicMessages { headers } else { &[] };
    find(id).read_request(&Incoming::new(body, &headers)).expect("a good fixture")
}

pub(crate) fn target<'a>(quirks: &'a Quirks, version: &'a str) -> Target<'a> {
    Target {
        model: "provider-model",
        max_output: Some(8_192),
        quirks,
        anthropic_version: version,
        ask_usage: true,
    }
}

/// Writes for a provider; the body as a tree.
pub(crate) fn write_request(
    id: DialectId,
    exchange: &Exchange,
    target: &Target<'_>,
) -> (serde_json::Value, Vec<(&'static str, String)>, LossReport) {
    let mut loss = LossReport::default();
    let request = find(id).write_request(exchange, target, &mut loss).expect("writable");
    (serde_json::from_slice(&request.body).expect("JSON"), request.headers, loss)
}

pub(crate) fn context(exchange: &Exchange) -> AnswerContext<'_> {
    AnswerContext {
        request_id: "req_00000000000070008000000000000001",
        created: UnixMicros::from_secs(1_790_000_000),
        model: "asked-model",
        exchange,
    }
}

/// What a client of that dialect asked who is to get the answers of the fixtures: reasoning shown, usage wanted,
/// a custom tool `shell`.
pub(crate) fn asked(client: DialectId) -> Exchange {
    let body: &[u8] = match client {
        DialectId::OpenaiChat => {
            br#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,
                 "stream_options":{"include_usage":true},
                 "tools":[{"type":"custom","custom":{"name":"shell"}}]}"#
        }
        DialectId::AnthropicMessages => {
            br#"{"model":"m","max_tokens":9000,"messages":[{"role":"user","content":"x"}],
                 "stream":true,"thinking":{"type":"enabled","budget_tokens":2000}}"#
        }
        DialectId::OpenaiResponses => {
            br#"{"model":"m","input":"x","stream":true,"reasoning":{"effort":"low","summary":"auto"},
                 "tools":[{"type":"custom","name":"shell"}]}"#
        }
    };
    read_request(client, body)
}

/// All events of a stream in the given pieces; an error as its text.
pub(crate) fn events<'a>(
    id: DialectId,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<StreamEvent>, Result<(), String>) {
    let mut reader = find(id).stream_reader();
    let mut out = Vec::new();
    let mut result = Ok(());
    for piece in pieces {
        result = result.and_then(|()| reader.feed(piece, &mut out).map_err(|it| it.to_string()));
    }
    let result = result.and_then(|()| reader.end(&mut out).map_err(|it| it.to_string()));
    (out, result)
}

/// Events as a client's bytes.
pub(crate) fn written(client: DialectId, events: &[StreamEvent]) -> String {
    let exchange = asked(client);
    let mut writer = find(client).stream_writer(&context(&exchange));
    let mut out = Vec::new();
    for event in events {
        writer.event(event, &mut out);
    }
    assert_eq!(writer.broken(), None);
    String::from_utf8(out).expect("UTF-8")
}

/// Cuts bytes at the given places (taken modulo the length).
pub(crate) fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[from..place]);
        from = place;
    }
    pieces
}
