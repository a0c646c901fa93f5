use domain::{Feature, Features, ImageInput};
use serde_json::{Value, json};

use super::*;

fn of(body: &Value) -> Peek {
    peek(&Incoming::new(body.to_string().as_bytes(), &())).unwrap()
}

fn features(all: &[Feature]) -> Features {
    all.iter().fold(Features::NONE, |set, feature| set.with(*feature))
}

#[test]
fn types_what_we_act_on() {
    let body = r#"{"max_tokens":9,"model":"claude-x","system":[{"type":"text","text":"s",
        "cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"u"}],"stream":true}"#;
    let peek = peek(&Incoming::new(body.as_bytes(), &())).unwrap();
    assert_eq!(peek.model, "claude-x");
    assert_eq!(&body.as_bytes()[peek.model_span.clone().unwrap()], b"\"claude-x\"");
    assert!(peek.stream && peek.wants_stream_usage);
    assert_eq!(peek.limits.max_output, Some(9));
    assert_eq!(peek.limits.answers, 1);
    assert_eq!(peek.features, features(&[Feature::Stream, Feature::System, Feature::CacheHints]));
}

#[test]
fn blocks_are_read_by_what_they_are() {
    let data = "A".repeat(1_000);
    let peek = of(&json!({"model": "m", "max_tokens": 1, "messages": [
        {"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
            {"type": "document", "source": {"data": "plain text", "type": "text"}, "citations": {"enabled": true}},
            {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"data": "counted"}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        ]}]},
        {"role": "assistant", "content": "Sure:"},
    ]}));
    // A text document is text.
    assert_eq!((peek.images.len(), peek.paged_documents), (3, 1));
    assert!(peek.text_bytes < 300, "{}", peek.text_bytes);
    assert_eq!(
        peek.features,
        features(&[
            Feature::Images,
            Feature::Documents,
            Feature::Citations,
            Feature::RemoteMedia,
            Feature::FileIds,
            Feature::SignedReasoning,
            Feature::ToolResults,
            Feature::Prefill,
        ])
    );
}

#[test]
fn a_source_is_what_its_block_says_wherever_that_stands() {
    let data = "iVBORw0KGgoAAAANSUhEUgAAACUAAAAVCAIAAABOhrD5";
    let peek = of(
        &json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [
            {"source": {"data": data, "media_type": "image/png", "type": "base64"}, "type": "image"},
            {"source": {"data": data, "type": "base64"}, "type": "document"},
            {"source": {"type": "content", "content": [
                {"source": {"type": "base64", "data": data}, "type": "image"},
                {"type": "text", "text": "some words of it"},
            ]}, "type": "document"},
            {"type": "search_result", "source": "https://example.com/found", "title": "t", "content": []},
        ]}]}),
    );
    let image = ImageInput { size: Some((37, 21)), detail: ImageDetail::Auto };
    assert_eq!(peek.images, [image, image]);
    assert_eq!(peek.paged_documents, 1);
    let bare = of(
        &json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{}, {}, {}, {}, {}, {}]}]}),
    );
    let counted = "some words of it".len() + "https://example.com/found".len() + "t".len();
    assert_eq!(peek.text_bytes, bare.text_bytes + counted as u64);
}

#[test]
fn tools_count_as_written_and_are_told_apart() {
    let user = json!([{"role": "user", "content": "x"}]);
    let bare = of(&json!({"model": "m", "max_tokens": 1, "messages": user}));
    let hosted = json!({"type": "web_search_20250305", "name": "web_search"});
    let tools = of(&json!({"model": "m", "max_tokens": 1, "messages": user, "tools": [
        {"name": "f", "input_schema": {"type": "object"}}, hosted,
    ], "tool_choice": {"type": "any"}}));
    assert!(tools.text_bytes > bare.text_bytes + hosted.to_string().len() as u64);
    assert_eq!(
        tools.features,
        features(&[Feature::Tools, Feature::HostedTools, Feature::ToolChoice])
    );
    let servers = json!({"model": "m", "max_tokens": 1, "messages": user,
        "mcp_servers": [{"url": "https://x.example"}]});
    assert_eq!(of(&servers).features, features(&[Feature::HostedTools]));
}

#[test]
fn the_prefix_key_does_not_turn_on_the_order_of_fields_or_on_cache_marks() {
    let one = of(&json!({"model": "m", "max_tokens": 1, "system": "s",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "u"}]}]}));
    let other = of(&json!({"messages": [
        {"role": "user", "content": [{"type": "text", "text": "u", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": "a"},
    ], "system": "s", "max_tokens": 2, "model": "m"}));
    assert_eq!(one.prefix_key, other.prefix_key);
    let swapped = of(&json!({"model": "m", "max_tokens": 1, "system": "u",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "s"}]}]}));
    assert_ne!(one.prefix_key, swapped.prefix_key);
}

#[test]
fn only_the_model_is_spliced() {
    let body = Bytes::from_static(
        br#"{"model":"a","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"x"}]}"#,
    );
    let peek = peek(&Incoming::new(&body, &())).unwrap();
    let out = forward(&body, &peek, &Edits { model: Some("b"), ask_usage: true });
    assert_eq!(
        std::str::from_utf8(&out).unwrap(),
        r#"{"model":"b","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"x"}]}"#
    );
    let same = forward(&body, &peek, &Edits { model: None, ask_usage: true });
    assert_eq!(same.as_ptr(), body.as_ptr());
}
