use domain::{Feature, Features, RequestLimits};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn of(body: &Value) -> Peek {
    peek(&Incoming::new(body.to_string().as_bytes(), &())).unwrap()
}

fn refused(body: &Value) -> FieldError {
    peek(&Incoming::new(body.to_string().as_bytes(), &())).unwrap_err()
}

fn features(all: &[Feature]) -> Features {
    all.iter().fold(Features::NONE, |set, feature| set.with(*feature))
}

#[test]
fn types_what_we_act_on() {
    let body = r#"{ "input" : "h\u00e9", "instructions":"be brief", "model" : "gpt-\u0035", "stream":true,
        "max_output_tokens":7, "unknown":{"deep":[1,2,{}]} }"#;
    let peek = peek(&Incoming::new(body.as_bytes(), &())).unwrap();
    assert_eq!(peek.model, "gpt-5");
    assert_eq!(&body.as_bytes()[peek.model_span.clone().unwrap()], br#""gpt-\u0035""#);
    assert!(peek.stream && peek.wants_stream_usage);
    assert_eq!(peek.limits, RequestLimits { max_output: Some(7), answers: 1 });
    assert_eq!(peek.message_count, 1);
    assert_eq!(peek.features, features(&[Feature::Stream, Feature::System]));
}

#[test]
fn what_decides_how_a_request_is_treated_is_not_guessed() {
    assert_eq!(refused(&json!({"input": "x"})).field, "model");
    assert_eq!(refused(&json!({"model": 5, "input": "x"})).field, "model");
    assert_eq!(refused(&json!({"model": "m"})).field, "input");
    assert_eq!(refused(&json!({"model": "m", "input": []})).field, "input");
    assert_eq!(refused(&json!({"model": "m", "input": {}})).field, "input");
    for (field, value) in [("stream", json!("true")), ("max_output_tokens", json!(-1))] {
        assert_eq!(refused(&json!({"model": "m", "input": "x", field: value})).field, field);
    }
}

/// A gateway that routes freely can't promise that the state is where the request goes.
#[test]
fn what_refers_to_kept_state_is_refused_and_says_what_to_do() {
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!({"id": "conv_1"})),
        ("background", json!(true)),
    ] {
        let error = refused(&json!({"model": "m", "input": "x", field: value}));
        assert_eq!(error.field, field);
        assert!(error.offset.is_some());
        let why = match field {
            "previous_response_id" => "keeps no responses",
            "conversation" => "keeps no conversations",
            _ => "this gateway makes none",
        };
        assert!(error.message.contains(why), "{}", error.message);
    }
    for item in [json!({"type": "item_reference", "id": "msg_1"}), json!({"id": "msg_1"})] {
        let error =
            refused(&json!({"model": "m", "input": [{"role": "user", "content": "x"}, item]}));
        assert_eq!(error.field, "input[1]");
        assert!(error.message.contains("send the earlier items again"), "{}", error.message);
    }
    of(&json!({"model": "m", "input": "x", "previous_response_id": null, "background": false}));
}

#[test]
fn media_is_counted_apart_from_text() {
    let data = "A".repeat(4_000);
    let peek = of(&json!({"model": "m", "input": [
        {"role": "user", "content": [
            {"type": "input_text", "text": "look"},
            {"image_url": format!("data:image/png;base64,{data}"), "type": "input_image", "detail": "high"},
            {"type": "input_image", "image_url": "https://example.com/a.png"},
            {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
            {"type": "input_file", "file_data": data, "filename": "a.pdf"},
            {"file_id": "file-1", "type": "input_file"},
        ]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [
            {"type": "input_image", "image_url": format!("data:image/png;base64,{data}")}]},
    ]}));
    assert!(peek.text_bytes < 400, "{}", peek.text_bytes);
    assert_eq!((peek.images.len(), peek.paged_documents), (3, 2));
    assert_eq!(peek.images[0].detail, ImageDetail::of_word("high"));
    assert_eq!(peek.audio_bytes, 4_000);
    assert_eq!(
        peek.features,
        features(&[
            Feature::Images,
            Feature::Documents,
            Feature::AudioInput,
            Feature::RemoteMedia,
            Feature::FileIds,
            Feature::ToolResults,
        ])
    );
}

#[test]
fn the_prefix_is_what_stands_before_the_conversation() {
    let key = |instructions: &str, first: &str, later: &str| {
        of(&json!({"model": "m", "instructions": instructions, "input": [
            {"role": "developer", "content": "rules"}, {"role": "user", "content": first},
            {"role": "user", "content": later}]}))
        .prefix_key
    };
    assert_eq!(key("a", "b", "c"), key("a", "b", "d"));
    assert_ne!(key("a", "b", "c"), key("x", "b", "c"));
    assert_ne!(key("a", "b", "c"), key("a", "x", "c"));
}

/// Forwards; which of the items arrive.
fn arriving(items: &[Value]) -> Vec<Value> {
    let body = json!({"model": "m", "input": items, "store": false}).to_string();
    let peek = peek(&Incoming::new(body.as_bytes(), &())).unwrap();
    let edits = Edits { model: Some("other"), ask_usage: false };
    let out = forward(&Bytes::from(body), &peek, &edits);
    let mut out: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&out["model"], &out["store"]), (&json!("other"), &json!(false)));
    out["input"].as_array_mut().unwrap().drain(..).collect()
}

proptest! {
    /// Another vendor's reasoning, which came here through us, goes to no provider of this dialect: it would refuse
    /// the whole request. All else passes.
    #[test]
    fn foreign_reasoning_is_cut_out_of_what_is_forwarded(foreign in prop::collection::vec(any::<bool>(), 1..8)) {
        let items: Vec<Value> = foreign.iter().enumerate().map(|(at, foreign)| {
            let encrypted = if *foreign { "orx.signature.c2lnbmVk" } else { "gAAAA" };
            json!({"type": "reasoning", "id": at, "summary": [], "encrypted_content": encrypted})
        }).collect();
        let kept: Vec<Value> =
            items.iter().zip(&foreign).filter(|(_, foreign)| !**foreign).map(|(it, _)| it.clone()).collect();
        prop_assert_eq!(arriving(&items), kept);
    }
}

/// A signature that Gemini wants back with a call travels in the call's id, longer than this dialect's may be.
#[test]
fn a_signature_in_a_calls_id_is_cut_out_of_what_is_forwarded() {
    let with = |id: &str| {
        [
            json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"}),
            json!({"type": "function_call_output", "output": "orm_1__orthought__YWJj", "call_id": id}),
            json!({"type": "function_call_output", "name": "goal", "call_id": null, "output": "x"}),
        ]
    };
    assert_eq!(arriving(&with("orm_1__orthought__YWJj")), with("orm_1"));
    assert_eq!(arriving(&with("call_1__orthought__YWJj"))[0], with("call_1")[0]);
    assert_eq!(arriving(&with("orm_1")), with("orm_1"));
}

#[test]
fn what_only_looks_foreign_is_not_cut_out() {
    let items = [
        json!({"role": "user", "content": "orx.signature.c2lnbmVk"}),
        json!({"type": "compaction", "encrypted_content": "orx.signature.c2lnbmVk"}),
    ];
    assert_eq!(arriving(&items), items);
}
