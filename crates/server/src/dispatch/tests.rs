//! What is reserved is what the provider is held to.

use policy::{Reason, Verdict};
use serde_json::Value;

use super::*;
use crate::testing::Trial;

const CONFIG: &str = "
providers:
  known: {type: openai, base_url: 'http://127.0.0.1:1/v1', key: plain, models: [gpt-4o-mini]}
  claude: {type: anthropic, base_url: 'http://127.0.0.1:1/v1', key: plain, models: [some, claude-opus-4-1]}
  bare: {type: openai-compatible, base_url: 'http://127.0.0.1:1/v1', models: [some]}
capabilities:
  short-known: {core: {offers: [known/gpt-4o-mini]}, max_output: 100}
  short-bare: {core: {offers: [bare/some]}, max_output: 100}
  short-claude: {core: {offers: [claude/some]}, max_output: 100}
routing: {default_max_output: 7000}
";

/// The output bound that is reserved for, and the limit that the provider is told.
fn bounds(body: &'static str) -> (Option<u64>, Option<u64>) {
    let trial = Trial::new(CONFIG, DialectId::OpenaiChat, body);
    let sent: Value = serde_json::from_slice(&trial.call.body).unwrap();
    (trial.bound().tokens.output, sent["max_tokens"].as_u64())
}

#[test]
fn a_capability_bounds_nothing_of_what_is_forwarded_as_it_came() {
    // The model's own limit: 16,384 tokens.
    let body = r#"{"model":"short-known","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(bounds(body), (Some(16_384), None));
    // Nothing is known of the model: the default is the operator's word for it.
    let body = r#"{"model":"short-bare","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(bounds(body), (Some(7_000), None));
}

#[test]
fn a_requests_own_limit_is_what_is_reserved() {
    let body =
        r#"{"model":"short-known","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(bounds(body), (Some(50), Some(50)));
    let body =
        r#"{"model":"short-claude","max_tokens":150,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(bounds(body), (Some(150), Some(150)));
}

#[test]
fn a_translation_is_told_what_is_reserved() {
    let body = r#"{"model":"short-claude","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(bounds(body), (Some(100), Some(100)));
    let body = r#"{"model":"claude/some","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(bounds(body), (Some(7_000), Some(7_000)));
    // The model's own limit is known, so the default for unknown ones is not used.
    let body = r#"{"model":"claude/claude-opus-4-1","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(bounds(body), (Some(32_000), Some(32_000)));
}

#[test]
fn a_dialect_that_insists_on_a_limit_bounds_what_nothing_else_does() {
    const BARE: &str = "
providers:
  claude: {type: anthropic, base_url: 'http://127.0.0.1:1/v1', key: plain, models: [some]}
";
    let body = r#"{"model":"claude/some","messages":[{"role":"user","content":"hi"}]}"#;
    let trial = Trial::new(BARE, DialectId::OpenaiChat, body);
    let sent: Value = serde_json::from_slice(&trial.call.body).unwrap();
    let told = sent["max_tokens"].as_u64();
    assert_eq!((trial.bound().tokens.output, told), (Some(4_096), Some(4_096)));
}

const CLOUD: &str = "
providers:
  bedrock: {base_url: 'http://127.0.0.1:1', key: plain}
  invoke: {type: bedrock, base_url: 'http://127.0.0.1:1', key: plain, dialects: [anthropic-messages]}
  vertex: {base_url: 'http://127.0.0.1:1/publishers/anthropic', key: plain}
";

fn sent(client: DialectId, body: &'static str) -> (String, String) {
    let call = Trial::new(CLOUD, client, body).call;
    (call.path.into_owned(), String::from_utf8(call.body.to_vec()).unwrap())
}

/// Bedrock has Claude's own API beside Converse, and other makers' models that don't speak it.
#[test]
fn bedrock_is_asked_for_claude_as_claude_and_for_others_by_converse() {
    let messages = DialectId::AnthropicMessages;
    let body = r#"{"model":"bedrock/us.anthropic.claude-x","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    let (path, claude) = sent(messages, body);
    assert_eq!(path, "/model/us.anthropic.claude-x/invoke");
    let rest = r#""max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(claude, format!(r#"{{"anthropic_version":"bedrock-2023-05-31",{rest}"#));
    let other = r#"{"model":"bedrock/amazon.nova-x","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(sent(messages, other).0, "/model/amazon.nova-x/converse");
    let chat =
        r#"{"model":"bedrock/us.anthropic.claude-x","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(sent(DialectId::OpenaiChat, chat).0, "/model/us.anthropic.claude-x/converse");
    // An inference profile of one's own does not say whose model it is: the user does.
    let named = r#"{"model":"invoke/my-profile","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(sent(messages, named).0, "/model/my-profile/invoke");
}

#[test]
fn a_translated_request_goes_into_the_envelope_too() {
    let body = r#"{"model":"vertex/claude-x@20260101","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let (path, body) = sent(DialectId::OpenaiChat, body);
    assert_eq!(path, "/models/claude-x@20260101:streamRawPredict");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["anthropic_version"], "vertex-2023-10-16");
    assert_eq!((body.get("model"), &body["stream"]), (None, &Value::Bool(true)));
}

#[test]
fn an_offer_that_a_request_cannot_be_written_for_leaves_it_to_the_others() {
    const STRICT: &str = "
providers:
  chat: {type: openai-compatible, base_url: 'http://127.0.0.1:1/v1', models: [some]}
  converse: {type: bedrock, base_url: 'http://127.0.0.1:1', key: plain, models: [some]}
capabilities:
  see: {core: {offers: [chat/some, converse/some]}, on_loss: reject}
";
    // Converse takes no address of an image.
    let body = r#"{"model":"see","messages":[{"role":"user","content":[
        {"type":"image_url","image_url":{"url":"https://example.org/a.png"}}]}]}"#;
    let trial = Trial::new(STRICT, DialectId::OpenaiChat, body);
    let verdicts: Vec<_> =
        trial.planned.explanation.candidates.iter().map(|it| it.verdict).collect();
    assert!(matches!(verdicts.as_slice(), [Verdict::Taken(..), Verdict::Left(Reason::Lossy(_))]));
}

#[test]
fn where_urls_may_be_fetched_they_keep_no_request_from_an_offer() {
    const STRICT: &str = "
providers:
  converse: {type: bedrock, base_url: 'http://127.0.0.1:1', key: plain, models: [some]}
  inline: {type: ollama, base_url: 'http://127.0.0.1:1/v1', models: [some]}
capabilities:
  see: {core: {offers: [converse/some, inline/some]}, on_loss: reject}
routing: {fetch_urls: allow}
";
    let body = r#"{"model":"see","messages":[{"role":"user","content":[
        {"type":"image_url","image_url":{"url":"https://example.org/a.png"}}]}]}"#;
    let trial = Trial::new(STRICT, DialectId::OpenaiChat, body);
    let candidates = &trial.planned.explanation.candidates;
    assert!(candidates.iter().all(|it| matches!(it.verdict, Verdict::Taken(..))));
}
