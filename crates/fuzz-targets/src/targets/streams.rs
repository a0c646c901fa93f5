//! Answers: event streams, usage, translation.

use bytes::Bytes;
use dialect::event_stream::{BadFrame, Decoder, append_event, append_exception};
use dialect::sse::SseParser;
use dialect::{
    AnswerContext, DialectId, Exchange, FirstEvent, Seen, StreamEvent, StreamForm, TeeOptions,
    dialect,
};
use domain::UnixMicros;
use smallvec::SmallVec;

use crate::reference::{self, Event};

/// Pieces of the rest, whose lengths the first four bytes give.
fn pieces(data: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let (sizes, mut rest) = data.split_at(data.len().min(4));
    let whole = rest;
    let mut sizes = sizes.iter().map(|size| usize::from(*size) % 40).cycle();
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(1).min(rest.len());
        let (piece, after) = rest.split_at(size);
        pieces.push(piece);
        // Lengths of zero all around would never end.
        rest = if pieces.len() > 4 * whole.len() { &[] } else { after };
        if rest.is_empty() && !after.is_empty() {
            pieces.push(after);
        }
    }
    (whole, pieces)
}

fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut parser = SseParser::default();
    let mut events = Vec::new();
    for piece in pieces {
        let fed = parser.feed(piece, |it| events.push((it.event.to_vec(), it.data.to_vec())));
        if fed.is_err() {
            break;
        }
    }
    events
}

/// The parser reads as the standard does.
pub fn sse_bytes(data: &[u8]) {
    assert_eq!(parse([data]), reference::events(data));
}

/// Any chunking gives the same events.
pub fn sse_rechunk(data: &[u8]) {
    let (whole, pieces) = pieces(data);
    assert_eq!(parse(pieces), reference::events(whole));
}

/// Usage of chat completions.
pub fn usage_openai_chat(data: &[u8]) {
    usage(DialectId::OpenaiChat, data);
}

/// Usage of messages.
pub fn usage_anthropic_messages(data: &[u8]) {
    usage(DialectId::AnthropicMessages, data);
}

/// Usage of Cohere's v2 chat.
pub fn usage_cohere_chat(data: &[u8]) {
    usage(DialectId::CohereChat, data);
}

/// Usage of responses.
pub fn usage_openai_responses(data: &[u8]) {
    usage(DialectId::OpenaiResponses, data);
}

/// Usage of Gemini's answers, in events and in a growing array.
pub fn usage_gemini(data: &[u8]) {
    usage(DialectId::Gemini, data);
    let (whole, pieces) = pieces(data);
    let options = TeeOptions { streamed: true, form: StreamForm::Array, ..TeeOptions::default() };
    let (one, one_out) = tee(DialectId::Gemini, options, &[whole]);
    let (many, many_out) = tee(DialectId::Gemini, options, &pieces);
    assert_eq!(format!("{one:?}"), format!("{many:?}"));
    assert!(one_out == many_out && whole.starts_with(&one_out), "the bytes go on as they came");
    // What follows the last item of an answer that did not end well makes room for an error.
    assert!(!one.1.complete || one_out == whole, "a good answer goes on whole");
}

fn usage(id: DialectId, data: &[u8]) {
    let (whole, pieces) = pieces(data);
    for (streamed, strip_usage_chunk) in [(true, false), (true, true), (false, false)] {
        let options = TeeOptions { streamed, strip_usage_chunk, ..TeeOptions::default() };
        let (one, one_out) = tee(id, options, &[whole]);
        let (many, many_out) = tee(id, options, &pieces);
        assert_eq!(format!("{one:?}"), format!("{many:?}"), "{options:?}");
        assert!(one_out == many_out, "{options:?}: {}", shown(&one_out, &many_out));
        if strip_usage_chunk {
            assert!(one_out.len() <= whole.len());
        } else {
            assert!(one_out == whole, "the bytes go on as they came: {}", shown(&one_out, whole));
        }
    }
}

/// Two outputs, for a person.
fn shown(one: &[u8], other: &[u8]) -> String {
    format!("{:?} or {:?}", String::from_utf8_lossy(one), String::from_utf8_lossy(other))
}

fn tee(id: DialectId, options: TeeOptions, pieces: &[&[u8]]) -> ((FirstEvent, Seen), Vec<u8>) {
    let mut tee = dialect(id).tee(domain::Endpoint::Chat, options);
    let mut out = Vec::new();
    for piece in pieces {
        let mut now = SmallVec::new();
        tee.feed(Bytes::copy_from_slice(piece), &mut now);
        out.extend(now.concat());
    }
    let seen = tee.finish();
    ((tee.first(), seen), out)
}

/// A whole answer and a stream, read as either dialect and written as either.
pub fn answer_and_stream(data: &[u8]) {
    let (whole, pieces) = pieces(data);
    for from in DialectId::ALL {
        if let Ok(answer) = dialect(*from).read_answer(whole) {
            for to in DialectId::CLIENTS {
                let exchange = asked(*to);
                let body = dialect(*to).write_answer(&answer, &context(&exchange));
                assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
            }
        }
        let (one, well) = events(*from, &[whole]);
        assert_eq!((&one, well), (&events(*from, &pieces).0, events(*from, &pieces).1));
        for to in DialectId::CLIENTS {
            let exchange = asked(*to);
            let mut writer = dialect(*to).stream_writer(&context(&exchange));
            let mut out = Vec::new();
            for event in &one {
                writer.event(event, &mut out);
            }
            for data in payloads(*to, &out) {
                let json = serde_json::from_slice::<serde_json::Value>(&data).is_ok();
                assert!(json || data == b"[DONE]", "what is written is JSON");
            }
        }
    }
}

/// What the events of a written stream carry.
fn payloads(of: DialectId, bytes: &[u8]) -> Vec<Vec<u8>> {
    if of != DialectId::BedrockConverse {
        return reference::events(bytes).into_iter().map(|(_, data)| data).collect();
    }
    let (frames, end) = frames([bytes]);
    assert_eq!(end, Ok(true), "whole frames are written");
    frames
}

/// The payloads of frames, and whether the bytes end between two.
fn frames<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Vec<u8>>, Result<bool, BadFrame>) {
    let mut decoder = Decoder::default();
    let mut payloads = Vec::new();
    for piece in pieces {
        if let Err(bad) = decoder.feed(piece, |frame| payloads.push(frame.payload.to_vec())) {
            return (payloads, Err(bad));
        }
    }
    (payloads, Ok(decoder.is_between_frames()))
}

/// Any chunking of frames gives the same; a frame around the bytes is read whatever its headers are.
pub fn event_stream(data: &[u8]) {
    let (whole, pieces) = pieces(data);
    let one = frames([whole]);
    assert_eq!(frames(pieces), one);
    let mut written = Vec::new();
    append_event("chunk", whole, &mut written);
    append_exception("exception", whole, &mut written);
    let (read, end) = frames([written.as_slice()]);
    assert_eq!((read.as_slice(), end), ([whole.to_vec(), whole.to_vec()].as_slice(), Ok(true)));
}

/// Usage of Converse, as it is and within frames.
pub fn usage_bedrock_converse(data: &[u8]) {
    usage(DialectId::BedrockConverse, data);
    let mut framed = vec![3, 5, 7, 11];
    for (at, piece) in data.split(|byte| *byte == b'\n').enumerate() {
        let names =
            ["messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata"];
        append_event(names.get(at % names.len()).unwrap_or(&"metadata"), piece, &mut framed);
    }
    usage(DialectId::BedrockConverse, &framed);
}

fn events(from: DialectId, pieces: &[&[u8]]) -> (Vec<StreamEvent>, bool) {
    let mut reader = dialect(from).stream_reader();
    let mut out = Vec::new();
    let mut well = true;
    for piece in pieces {
        well = well && reader.feed(piece, &mut out).is_ok();
    }
    well = well && reader.end(&mut out).is_ok();
    (out, well)
}

fn asked(from: DialectId) -> Exchange {
    let mut exchange = Exchange::new(from, "asked".to_owned());
    exchange.include_usage = true;
    exchange
}

fn context(exchange: &Exchange) -> AnswerContext<'_> {
    AnswerContext {
        request_id: "req_00000000000070008000000000000001",
        created: UnixMicros::from_secs(1_790_000_000),
        model: "asked",
        took_ms: 0,
        exchange,
    }
}
