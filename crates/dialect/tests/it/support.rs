//! Fixtures and shorthands.

use std::path::PathBuf;

use dialect::event_stream::{Decoder, FrameKind};
use dialect::exchange::{Media, PartKind};
use dialect::{
    AnswerContext, DialectId, Exchange, Incoming, PathFacts, Quirks, StreamEvent, StreamForm,
    Target, dialect as find,
};
use domain::{LossReport, UnixMicros};

/// Those that clients speak.
pub(crate) const ALL: [DialectId; 6] = [
    DialectId::OpenaiChat,
    DialectId::AnthropicMessages,
    DialectId::OpenaiResponses,
    DialectId::Gemini,
    DialectId::BedrockConverse,
    DialectId::CohereChat,
];
/// Those that providers speak: some of them no client does.
pub(crate) const PROVIDERS: &[DialectId] = DialectId::ALL;
pub(crate) const OLD: &str = "2023-06-01";
pub(crate) const NEW: &str = "2026-10-21";

fn folder(id: DialectId, kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(id.as_str()).join(kind)
}

/// The fixtures of a kind: name and bytes, sorted.
pub(crate) fn fixtures(id: DialectId, kind: &str) -> Vec<(String, Vec<u8>)> {
    if kind == "request" && !ALL.contains(&id) {
        return Vec::new();
    }
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

/// The headers a client of that dialect sends.
pub(crate) fn headers(id: DialectId) -> &'static [(&'static str, &'static str)] {
    match id {
        DialectId::AnthropicMessages => {
            &[("anthropic-version", OLD), ("anthropic-beta", "context-management-2025-06-27")]
        }
        _ => &[],
    }
}

/// What the path says where the dialect puts things there.
pub(crate) fn path(id: DialectId, stream: bool) -> PathFacts<'static> {
    match id {
        DialectId::Gemini | DialectId::BedrockConverse => PathFacts {
            model: Some("provider-model"),
            stream: stream.then_some(StreamForm::Events),
        },
        _ => PathFacts::default(),
    }
}

/// A request of a stream, where the path says so.
pub(crate) fn read_request(id: DialectId, body: &[u8]) -> Exchange {
    read_request_as(id, body, true)
}

/// The same, of a stream or not where the path says so.
pub(crate) fn read_request_as(id: DialectId, body: &[u8], stream: bool) -> Exchange {
    let headers = headers(id);
    let request = Incoming { body, headers: &headers, path: path(id, stream) };
    find(id).read_request(&request).expect("a good fixture")
}

/// A request of a stream, with these headers.
pub(crate) fn incoming<'a>(
    id: DialectId,
    body: &'a [u8],
    headers: &'a dyn dialect::Headers,
) -> Incoming<'a> {
    Incoming { body, headers, path: path(id, true) }
}

pub(crate) fn target<'a>(quirks: &'a Quirks, version: &'a str) -> Target<'a> {
    Target {
        model: "provider-model",
        max_output: Some(8_192),
        quirks,
        anthropic_version: version,
        compartment: Some("ocid1.compartment.oc1..a"),
        ask_usage: true,
    }
}

/// What a provider refuses to be given has tests of its own: media at URLs at Converse, pages at Cohere.
fn without_what_is_refused(to: DialectId, exchange: &Exchange, quirks: &Quirks) -> Exchange {
    let mut exchange = exchange.clone();
    for message in &mut exchange.messages {
        message.parts.retain(|part| match (&part.kind, to) {
            (PartKind::Image(image), DialectId::BedrockConverse) => {
                !matches!(image.source, Media::Url(_))
            }
            (kind, DialectId::CohereChat) => !has_pages(kind),
            (kind, DialectId::OciChat) if quirks.cohere_request => !has_pages(kind),
            _ => true,
        });
    }
    exchange
}

/// Writes for a provider; the body as a tree.
pub(crate) fn write_request(
    id: DialectId,
    exchange: &Exchange,
    target: &Target<'_>,
) -> (serde_json::Value, Vec<(&'static str, String)>, LossReport) {
    let mut loss = LossReport::default();
    let exchange = without_what_is_refused(id, exchange, target.quirks);
    let request = find(id).write_request(&exchange, target, &mut loss).expect("writable");
    (serde_json::from_slice(&request.body).expect("JSON"), request.headers, loss)
}

fn has_pages(kind: &PartKind) -> bool {
    let PartKind::Document(document) = kind else { return false };
    matches!(&document.source, Media::Base64 { media_type, .. } if media_type == "application/pdf")
}

pub(crate) fn context(exchange: &Exchange) -> AnswerContext<'_> {
    AnswerContext {
        request_id: "req_00000000000070008000000000000001",
        created: UnixMicros::from_secs(1_790_000_000),
        model: "asked-model",
        took_ms: 0,
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
        DialectId::Gemini => {
            br#"{"contents":[{"parts":[{"text":"x"}]}],
                 "generationConfig":{"thinkingConfig":{"includeThoughts":true}}}"#
        }
        DialectId::BedrockConverse => {
            br#"{"messages":[{"role":"user","content":[{"text":"x"}]}],"inferenceConfig":{"maxTokens":9000},
                 "additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2000}}}"#
        }
        DialectId::CohereChat => {
            br#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,
                 "thinking":{"type":"enabled"}}"#
        }
        DialectId::OciChat => unreachable!("no client speaks it"),
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

/// Events as a client's bytes, for people.
pub(crate) fn written(client: DialectId, events: &[StreamEvent]) -> String {
    let exchange = asked(client);
    let mut writer = find(client).stream_writer(&context(&exchange));
    let mut out = Vec::new();
    for event in events {
        writer.event(event, &mut out);
    }
    assert_eq!(writer.broken(), None);
    shown(client, &out)
}

/// Bytes of a stream for people: frames as lines.
pub(crate) fn shown(client: DialectId, bytes: &[u8]) -> String {
    if client != DialectId::BedrockConverse {
        return String::from_utf8(bytes.to_vec()).expect("UTF-8");
    }
    let mut text = String::new();
    let mut decoder = Decoder::default();
    let fed = decoder.feed(bytes, |frame| {
        let of = |bytes| std::str::from_utf8(bytes).expect("UTF-8");
        let kind = if frame.kind == FrameKind::Exception { "exception " } else { "" };
        text.extend([kind, of(frame.name), " ", of(frame.payload), "\n"]);
    });
    assert_eq!(fed.map(|()| decoder.is_between_frames()), Ok(true));
    text
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
