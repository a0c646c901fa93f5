use domain::{Features, ImageInput};
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
    let body = r#"{"max_tokens":9,"model":"command-a","messages":[{"role":"system","content":"s"},
        {"role":"user","content":"u"}],"stream":true,"p":0.5,"k":3,"seed":1,"logprobs":true,
        "stop_sequences":["x"],"tool_choice":"REQUIRED","thinking":{"type":"enabled","token_budget":5}}"#;
    let peek = peek(&Incoming::new(body.as_bytes(), &())).unwrap();
    assert_eq!(peek.model, "command-a");
    assert_eq!(&body.as_bytes()[peek.model_span.clone().unwrap()], b"\"command-a\"");
    assert!(peek.stream && peek.wants_stream_usage);
    assert_eq!((peek.limits.max_output, peek.limits.answers), (Some(9), 1));
    assert_eq!(
        peek.features,
        features(&[
            Feature::Stream,
            Feature::System,
            Feature::Sampling,
            Feature::TopK,
            Feature::Seed,
            Feature::Logprobs,
            Feature::StopSequences,
            Feature::ToolChoice,
            Feature::Reasoning,
        ])
    );
}

#[test]
fn what_asks_for_nothing_is_no_feature() {
    let peek = of(
        &json!({"model": "m", "messages": [{"role": "user", "content": "u"}], "k": 0, "p": null,
        "logprobs": false, "stop_sequences": [], "thinking": {"type": "disabled"}, "tools": null,
        "documents": [], "response_format": {"type": "text"}, "stream": false, "seed": null}),
    );
    assert_eq!(peek.features, Features::NONE);
    assert_eq!(peek.text_bytes, 16 + 16 + 1);
}

#[test]
fn parts_are_read_by_what_they_are() {
    let data = "iVBORw0KGgoAAAANSUhEUgAAACUAAAAVCAIAAABOhrD5";
    let peek = of(&json!({"model": "m", "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "12345"},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}"), "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}},
        ]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}], "tool_plan": "I look.",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": [
            {"type": "document", "document": {"id": "1", "data": {"a": "b"}}}]},
    ]}));
    let low = ImageInput { size: Some((37, 21)), detail: ImageDetail::Low };
    let remote = ImageInput { size: None, detail: ImageDetail::Auto };
    assert_eq!(peek.images, [low, remote]);
    assert_eq!(
        peek.features,
        features(&[
            Feature::Images,
            Feature::RemoteMedia,
            Feature::Documents,
            Feature::ToolResults,
        ])
    );
    assert_eq!(peek.message_count, 3);
}

#[test]
fn a_schema_is_told_from_json_as_such_wherever_its_type_stands() {
    let format = |format: Value| {
        of(&json!({"model": "m", "messages": [{"role": "user", "content": "u"}], "response_format": format}))
            .features
    };
    let schema = json!({"json_schema": {"type": "object"}, "type": "json_object"});
    assert_eq!(format(schema), features(&[Feature::JsonSchema]));
    let plain = json!({"json_schema": null, "type": "json_object"});
    assert_eq!(format(plain), features(&[Feature::JsonObject]));
}

/// What comes after the conversation is not its prefix.
#[test]
fn documents_are_counted_and_leave_the_prefix_alone() {
    let with = |documents: Value| {
        of(
            &json!({"documents": documents, "model": "m", "messages": [{"role": "user", "content": "u"}]}),
        )
    };
    let (none, some) =
        (with(json!([])), with(json!([{"id": "1", "data": {"text": "words"}}, "plain"])));
    assert_eq!(none.prefix_key, some.prefix_key);
    let written = r#"{"id":"1","data":{"text":"words"}}"#.len() + r#""plain""#.len();
    assert_eq!(some.text_bytes - none.text_bytes, 32 + written as u64);
    assert_eq!(some.features, features(&[Feature::Documents]));
}

#[test]
fn what_is_wrong_is_named() {
    for (body, field) in [
        (json!({"messages": [{}]}), "model"),
        (json!({"model": "m"}), "messages"),
        (json!({"model": "m", "messages": []}), "messages"),
        (json!({"model": "m", "messages": "x"}), "messages"),
        (json!({"model": "m", "stream": 1}), "stream"),
        (json!({"model": "m", "max_tokens": "9"}), "max_tokens"),
    ] {
        let error = peek(&Incoming::new(body.to_string().as_bytes(), &())).unwrap_err();
        assert_eq!(error.field, field);
    }
}
