use bytes::Bytes;
use domain::{DialectId, Endpoint, Envelope, ErrorClass};

use super::*;
use crate::event_stream::{Decoder, FrameKind, append_event, append_exception};
use crate::sse::SseParser;
use crate::wire::{PathFacts, StreamForm};

const BEDROCK: Envelope = Envelope::BedrockInvoke;
const VERTEX: Envelope = Envelope::VertexRawPredict;
/// White space, numbers and escapes that a tree would write otherwise.
const MEMBERS: &str = r#""max_tokens": 1e2,"messages":[ {"role":"user","content":"\u00e9\/"} ]"#;

fn packed(
    envelope: Envelope,
    endpoint: Endpoint,
    body: &str,
    version: &str,
    betas: &str,
) -> String {
    let packed = pack(envelope, endpoint, &Bytes::from(body.to_owned()), version, betas);
    String::from_utf8(packed.to_vec()).unwrap()
}

fn opened(envelope: Envelope, body: &str, stream: bool) -> Result<Unpacked, FieldError> {
    let stream = stream.then_some(StreamForm::Events);
    let path = PathFacts { model: Some("claude-x"), stream };
    unpack(envelope, Endpoint::Chat, &Bytes::from(body.to_owned()), path)
}

/// What AnthropicBedrock and AnthropicVertex (Python SDK 2.12) make of a call.
#[test]
fn the_envelope_changes_its_own_members_and_no_others() {
    let body = format!(r#"{{"model":"m","stream":true, {MEMBERS}}}"#);
    assert_eq!(
        packed(BEDROCK, Endpoint::Chat, &body, "2023-06-01", "a-1, b-2"),
        format!(
            r#"{{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["a-1","b-2"],{}}}"#,
            MEMBERS.replace("\": 1e2", "\":1e2")
        )
    );
    assert_eq!(
        packed(VERTEX, Endpoint::Chat, &body, "2026-10-21", "a-1"),
        format!(
            r#"{{"anthropic_version":"2026-10-21","stream":true,{}}}"#,
            MEMBERS.replace("\": 1e2", "\":1e2")
        )
    );
    assert_eq!(packed(Envelope::None, Endpoint::Chat, &body, "2023-06-01", "a-1"), body);
}

#[test]
fn a_request_comes_out_as_anthropic_takes_it() {
    let inner = MEMBERS.replace("\": 1e2", "\":1e2");
    let body = format!(
        r#"{{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["a-1","b-2"],{MEMBERS}}}"#
    );
    let out = opened(BEDROCK, &body, true).unwrap();
    assert_eq!(out.body, format!(r#"{{"model":"claude-x","stream":true,{inner}}}"#));
    assert_eq!((out.version.as_str(), out.betas.as_str()), ("2023-06-01", "a-1,b-2"));

    let body = format!(r#"{{"anthropic_version":"2026-10-21","stream":true,{MEMBERS}}}"#);
    let out = opened(VERTEX, &body, true).unwrap();
    assert_eq!(out.body, format!(r#"{{"model":"claude-x","stream":true,{inner}}}"#));
    assert_eq!((out.version.as_str(), out.betas.as_str()), ("2026-10-21", ""));
    assert_eq!(
        opened(VERTEX, &body, false).unwrap().body,
        format!(r#"{{"model":"claude-x",{inner}}}"#)
    );
}

/// A key may be written with escapes: it is still the key, and no way past a check.
#[test]
fn what_the_cloud_refuses_is_refused() {
    let refused = |envelope, body: &str| opened(envelope, body, false).unwrap_err().field;
    assert_eq!(refused(BEDROCK, r#"{"messages":[]}"#), "anthropic_version");
    assert_eq!(refused(BEDROCK, r#"{"anthropic_version":7,"messages":[]}"#), "anthropic_version");
    let with = |member: &str| format!(r#"{{"anthropic_version":"bedrock-2023-05-31",{member}}}"#);
    assert_eq!(refused(BEDROCK, &with(r#""\u006dodel":"m""#)), "model");
    assert_eq!(refused(BEDROCK, &with(r#""stream":true"#)), "stream");
    assert_eq!(refused(VERTEX, &with(r#""model":"m""#)), "model");
}

#[test]
fn tokens_are_counted_in_each_cloud_its_own_way() {
    let body = r#"{"model":"m","messages":[]}"#;
    let outer = packed(BEDROCK, Endpoint::CountTokens, body, "2023-06-01", "");
    assert!(is_invoke_count(outer.as_bytes()));
    let path = PathFacts { model: Some("m"), stream: None };
    let back = unpack(BEDROCK, Endpoint::CountTokens, &Bytes::from(outer), path).unwrap();
    assert_eq!(back.body, r#"{"model":"m","messages":[],"max_tokens":1}"#);
    let thinks = r#"{"thinking":{"type":"enabled","budget_tokens":2048},"messages":[]}"#;
    let outer = Bytes::from(packed(BEDROCK, Endpoint::CountTokens, thinks, "2023-06-01", ""));
    let back = unpack(BEDROCK, Endpoint::CountTokens, &outer, path).unwrap();
    assert!(back.body.ends_with(br#""max_tokens":2049}"#));

    let outer = packed(VERTEX, Endpoint::CountTokens, body, "2023-06-01", "");
    assert_eq!(outer, r#"{"anthropic_version":"vertex-2023-10-16","model":"m","messages":[]}"#);
    let back = unpack(VERTEX, Endpoint::CountTokens, &Bytes::from(outer), PathFacts::default());
    assert_eq!(back.unwrap().body, body);

    assert!(!is_invoke_count(br#"{"input":{"converse":{"messages":[]}}}"#));
    let not_base64 = Bytes::from_static(br#"{"input":{"invokeModel":{"body":"?"}}}"#);
    let refused = unpack(BEDROCK, Endpoint::CountTokens, &not_base64, path).unwrap_err();
    assert_eq!(refused.field, "input.invokeModel.body");
    assert_eq!(rename(br#"{"inputTokens":17}"#), br#"{"input_tokens":17}"#);
    assert_eq!(rename(br#"{"message":"no"}"#), br#"{"message":"no"}"#);
}

fn rename(answer: &[u8]) -> Vec<u8> {
    rename_count(answer, Count::Bedrock, Count::Anthropic)
}

#[test]
fn paths_are_those_of_the_clouds() {
    let model = "us.anthropic.claude-x-v1:0";
    let at = |envelope, endpoint, stream| path(envelope, endpoint, model, stream);
    let encoded = "/model/us.anthropic.claude-x-v1%3A0";
    assert_eq!(at(BEDROCK, Endpoint::Chat, false), Some(format!("{encoded}/invoke")));
    let streamed = at(BEDROCK, Endpoint::Chat, true);
    assert_eq!(streamed, Some(format!("{encoded}/invoke-with-response-stream")));
    assert_eq!(at(BEDROCK, Endpoint::CountTokens, false), Some(format!("{encoded}/count-tokens")));
    let vertex = path(VERTEX, Endpoint::Chat, "claude-x@20260101", true);
    assert_eq!(vertex.as_deref(), Some("/models/claude-x@20260101:streamRawPredict"));
    assert_eq!(
        at(VERTEX, Endpoint::CountTokens, false).as_deref(),
        Some("/models/count-tokens:rawPredict")
    );
    assert_eq!(at(Envelope::None, Endpoint::Chat, false), None);
}

const EVENTS: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n\
                      event: ping\ndata: {\"type\":\"ping\"}\n\n\
                      event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Each event keeps its bytes, however the stream is cut.
#[test]
fn events_go_into_frames_and_come_out_again_in_any_chunking() {
    for size in [1, 7, 1_000] {
        let (mut framer, mut unframer) = (Framer::default(), Unframer::default());
        let (mut frames, mut events) = (Vec::new(), Vec::new());
        for piece in EVENTS.as_bytes().chunks(size) {
            framer.feed(piece, &mut frames).unwrap();
        }
        for piece in frames.chunks(size) {
            unframer.feed(piece, &mut events).unwrap();
        }
        assert_eq!(String::from_utf8(events).unwrap(), EVENTS, "in pieces of {size}");
    }
}

#[test]
fn an_event_with_line_ends_stays_one_event() {
    let payload = br#"{"p":"abc","bytes":"ewoidHlwZSI6DQoicGluZyJ9"}"#;
    let mut frame = Vec::new();
    append_event("chunk", payload, &mut frame);
    let mut events = Vec::new();
    Unframer::default().feed(&frame, &mut events).unwrap();
    let mut seen = Vec::new();
    SseParser::default()
        .feed(&events, |it| seen.push((it.event.to_vec(), it.data.to_vec())))
        .unwrap();
    assert_eq!(seen, [(b"ping".to_vec(), b"{\n\"type\":\n\n\"ping\"}".to_vec())]);
}

#[test]
fn an_exception_is_an_error_of_the_stream_and_the_other_way_round() {
    let mut frame = Vec::new();
    append_exception("throttlingException", br#"{"message":"slow down"}"#, &mut frame);
    let mut events = Vec::new();
    Unframer::default().feed(&frame, &mut events).unwrap();
    let text = String::from_utf8(events.clone()).unwrap();
    assert!(text.starts_with("event: error\ndata: "), "{text}");
    assert!(text.contains(r#""type":"rate_limit_error""#) && text.contains("slow down"), "{text}");
    let mut frames = Vec::new();
    Framer::default().feed(&events, &mut frames).unwrap();
    let mut seen = None;
    let mut decoder = Decoder::default();
    decoder
        .feed(&frames, |it| seen = Some((it.kind, it.name.to_vec(), it.payload.to_vec())))
        .unwrap();
    let (kind, name, payload) = seen.unwrap();
    assert_eq!((kind, name.as_slice()), (FrameKind::Exception, b"throttlingException".as_slice()));
    assert_eq!(payload, br#"{"message":"slow down"}"#);
    assert!(Unframer::default().feed(&[7; 64], &mut Vec::new()).is_err());
}

#[test]
fn errors_are_read_as_whoever_says_them_says_them() {
    let class = |envelope, status, headers: &[(&str, &str)], body: &str| {
        classify(envelope, DialectId::AnthropicMessages, status, &headers, body.as_bytes()).class
    };
    let named: &[(&str, &str)] = &[("x-amzn-errortype", "ThrottlingException")];
    assert_eq!(class(BEDROCK, 400, named, r#"{"message":"no"}"#), ErrorClass::RateLimited);
    let model = r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#;
    assert_eq!(class(VERTEX, 529, &[], model), ErrorClass::Overloaded);
    let platform = r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#;
    assert_eq!(class(VERTEX, 403, &[], platform), ErrorClass::Auth);
    assert_eq!(errors(BEDROCK, DialectId::AnthropicMessages), DialectId::BedrockConverse);
    assert_eq!(errors(VERTEX, DialectId::AnthropicMessages), DialectId::AnthropicMessages);
}

#[test]
fn azures_deployments_are_named_in_the_path_and_the_body_stays() {
    let azure = Envelope::AzureDeployment;
    let body = Bytes::from_static(br#"{"model": "m", "messages": []}"#);
    assert_eq!(pack(azure, Endpoint::Chat, &body, "", ""), body);
    let at = |endpoint, stream| path(azure, endpoint, "my gpt", stream);
    let chat = "/deployments/my%20gpt/chat/completions?api-version=2024-10-21";
    assert_eq!(at(Endpoint::Chat, true).as_deref(), Some(chat));
    let embeddings = "/deployments/my%20gpt/embeddings?api-version=2024-10-21";
    assert_eq!(at(Endpoint::Embeddings, false).as_deref(), Some(embeddings));
    assert_eq!(at(Endpoint::CountTokens, false), None);
}
