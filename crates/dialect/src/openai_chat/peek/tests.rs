use domain::{Feature, Features, ImageInput, RequestLimits};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn of(body: &Value) -> Peek {
    peek(&Incoming::new(body.to_string().as_bytes(), &())).unwrap()
}

fn refused(body: &Value) -> (String, Option<usize>) {
    let error = peek(&Incoming::new(body.to_string().as_bytes(), &())).unwrap_err();
    (error.field, error.offset)
}

fn features(all: &[Feature]) -> Features {
    all.iter().fold(Features::NONE, |set, feature| set.with(*feature))
}

#[test]
fn types_what_we_act_on() {
    let body = r#"{ "messages":[{"role":"system","content":"be brief"},{"role":"user","content":"h\u00e9"}],
        "model" : "gpt-\u0035", "stream":true, "max_tokens":7, "n":2, "unknown":{"deep":[1,2,{}]} }"#;
    let peek = peek(&Incoming::new(body.as_bytes(), &())).unwrap();
    assert_eq!(peek.model, "gpt-5");
    assert_eq!(&body.as_bytes()[peek.model_span.clone().unwrap()], br#""gpt-\u0035""#);
    assert!(peek.stream && !peek.wants_stream_usage);
    assert_eq!(peek.limits, RequestLimits { max_output: Some(7), answers: 2 });
    assert_eq!(peek.message_count, 2);
    assert_eq!(peek.features, features(&[Feature::Stream, Feature::System, Feature::ManyAnswers]));
}

#[test]
fn of_two_limits_the_larger_bounds_the_request() {
    let user = json!([{"role": "user", "content": "x"}]);
    for body in [
        json!({"model": "m", "messages": user, "max_tokens": 5, "max_completion_tokens": 9}),
        json!({"max_completion_tokens": 9, "max_tokens": 5, "model": "m", "messages": user}),
        json!({"max_completion_tokens": null, "max_tokens": 9, "model": "m", "messages": user}),
    ] {
        assert_eq!(of(&body).limits.max_output, Some(9));
    }
}

#[test]
fn what_decides_how_a_request_is_treated_is_not_guessed() {
    let user = json!([{"role": "user", "content": "x"}]);
    assert_eq!(refused(&json!({"messages": user})).0, "model");
    assert_eq!(refused(&json!({"model": 5, "messages": user})), ("model".to_owned(), Some(9)));
    assert_eq!(refused(&json!({"model": "m"})).0, "messages");
    assert_eq!(refused(&json!({"model": "m", "messages": []})).0, "messages");
    assert_eq!(refused(&json!({"model": "m", "messages": "hello"})).0, "messages");
    for (field, value) in [
        ("stream", json!("true")),
        ("stream", json!(1)),
        ("max_tokens", json!("5")),
        ("max_tokens", json!(-1)),
        ("max_completion_tokens", json!(1.5)),
        ("n", json!(0)),
        ("n", json!(129)),
        ("stream_options", json!([])),
    ] {
        assert_eq!(refused(&json!({"model": "m", "messages": user, field: value})).0, field);
    }
}

#[test]
fn media_is_counted_apart_from_text() {
    let data = "A".repeat(4_000);
    let peek = of(&json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        {"type": "file", "file": {"file_data": data, "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]}]}));
    assert!(peek.text_bytes < 300, "{}", peek.text_bytes);
    assert_eq!((peek.images.len(), peek.paged_documents), (2, 2));
    assert_eq!(peek.audio_bytes, 4_000);
    assert_eq!(
        peek.features,
        features(&[
            Feature::Images,
            Feature::Documents,
            Feature::AudioInput,
            Feature::RemoteMedia,
            Feature::FileIds,
        ])
    );
}

#[test]
fn an_image_has_the_size_of_its_file_and_the_detail_asked_for() {
    let data = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACUAAAAVCAIAAABOhrD5";
    let peek = of(&json!({"model": "m", "messages": [{"role": "user", "content": [
        {"image_url": {"detail": "low", "url": data}, "type": "image_url"},
        {"type": "image_url", "image_url": data},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": data, "detail": "closest"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,broken", "detail": null}},
        {"type": "image_url"},
    ]}]}));
    let image = |size, detail| ImageInput { size, detail };
    let size = Some((37, 21));
    assert_eq!(
        peek.images,
        [
            image(size, ImageDetail::Low),
            image(size, ImageDetail::Auto),
            image(None, ImageDetail::High),
            image(size, ImageDetail::Original),
            image(None, ImageDetail::Auto),
        ]
    );
}

#[test]
fn the_sizes_of_more_images_than_any_provider_takes_are_not_kept() {
    let part = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let many = vec![part; Peek::IMAGES_MAX + 3];
    let peek = of(&json!({"model": "m", "messages": [{"role": "user", "content": many}]}));
    assert_eq!((peek.images.len(), peek.further_images), (Peek::IMAGES_MAX, 3));
}

#[test]
fn the_prefix_key_is_that_of_system_tools_and_first_message() {
    let key = |messages: Value, tools: Value| {
        of(&json!({"model": "m", "messages": messages, "tools": tools})).prefix_key
    };
    let system = json!({"role": "system", "content": "s"});
    let user = json!({"role": "user", "content": "u"});
    let base = key(json!([system, user]), json!([]));
    let more = json!([system, user, {"role": "assistant", "content": "a"}, {"role": "user", "content": "v"}]);
    assert_eq!(key(more, json!([])), base);
    assert_ne!(key(json!([system, {"role": "user", "content": "w"}]), json!([])), base);
    assert_ne!(key(json!([user]), json!([])), base);
    assert_ne!(key(json!([system, user]), json!([{"type": "function"}])), base);
    let swapped = peek(&Incoming::new(
        br#"{"messages":[{"content":"s","role":"system"},{"content":"u","role":"user"}],"tools":[],"model":"x"}"#,
        &(),
    ));
    assert_eq!(swapped.unwrap().prefix_key, base);
    // Stored in the ledger: the same in every version.
    assert_eq!(base, 0x3477_4fa6_bf53_1c4d);
}

fn forwarded(body: &str, model: Option<&str>, ask_usage: bool) -> String {
    let bytes = Bytes::from(body.to_owned());
    let peek = peek(&Incoming::new(&bytes, &())).unwrap();
    let out = forward(&bytes, &peek, &Edits { model, ask_usage });
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn only_the_model_and_the_usage_option_are_spliced() {
    let rest = r#""messages":[{"role":"user","content":"x"}]"#;
    for (body, expected) in [
        (
            format!("{{ \"model\" : \"a\",{rest},\"stream\":true}}"),
            format!(
                "{{\"stream_options\":{{\"include_usage\":true}}, \"model\" : \"b/c\",{rest},\"stream\":true}}"
            ),
        ),
        (
            format!("{{{rest},\"stream_options\":{{}},\"stream\":true,\"model\":\"a\"}}"),
            format!(
                "{{{rest},\"stream_options\":{{\"include_usage\":true}},\"stream\":true,\"model\":\"b/c\"}}"
            ),
        ),
        (
            format!("{{\"model\":\"a\",{rest},\"stream\":true,\"stream_options\":{{\"x\":1}}}}"),
            format!(
                "{{\"model\":\"b/c\",{rest},\"stream\":true,\"stream_options\":{{\"include_usage\":true,\"x\":1}}}}"
            ),
        ),
        (
            format!(
                "{{\"model\":\"a\",{rest},\"stream\":true,\"stream_options\":{{\"include_usage\": false }}}}"
            ),
            format!(
                "{{\"model\":\"b/c\",{rest},\"stream\":true,\"stream_options\":{{\"include_usage\": true }}}}"
            ),
        ),
        (
            format!("{{\"model\":\"a\",{rest},\"stream\":true,\"stream_options\":null}}"),
            format!(
                "{{\"model\":\"b/c\",{rest},\"stream\":true,\"stream_options\":{{\"include_usage\":true}}}}"
            ),
        ),
        (
            format!(
                "{{\"model\":\"a\",{rest},\"stream\":true,\"stream_options\":{{\"include_usage\":true}}}}"
            ),
            format!(
                "{{\"model\":\"b/c\",{rest},\"stream\":true,\"stream_options\":{{\"include_usage\":true}}}}"
            ),
        ),
        (format!("{{\"model\":\"a\",{rest}}}"), format!("{{\"model\":\"b/c\",{rest}}}")),
    ] {
        assert_eq!(forwarded(&body, Some("b/c"), true), expected);
        assert!(serde_json::from_str::<Value>(&expected).is_ok());
    }
}

#[test]
fn without_an_edit_the_same_bytes_go_on() {
    let bytes = Bytes::from_static(br#"{"model":"a","stream":true,"messages":[{}]}"#);
    let peek = peek(&Incoming::new(&bytes, &())).unwrap();
    let out = forward(&bytes, &peek, &Edits { model: Some("a"), ask_usage: false });
    assert_eq!(out.as_ptr(), bytes.as_ptr());
    assert_eq!(out, bytes);
}

proptest! {
    /// No byte-level tokenizer makes more tokens than `text_bytes`, however the text is spelled.
    #[test]
    fn all_text_is_counted(system: String, texts in prop::collection::vec(any::<String>(), 1..5)) {
        let mut bytes = system.len();
        let mut messages = vec![json!({"role": "system", "content": system})];
        for text in &texts {
            bytes += text.len();
            messages.push(json!({"role": "user", "content": [{"type": "text", "text": text}]}));
        }
        let least = (bytes + 4 * messages.len()) as u64;
        let peek = of(&json!({"model": "m", "messages": messages}));
        prop_assert!(peek.text_bytes >= least);
    }

    /// T-S3: what is forwarded is the client's body but for the edits.
    #[test]
    fn forwarding_changes_nothing_else(
        model in "[a-z/\"\\\\\u{e9}]{1,8}",
        to in "[a-z/\"\\\\]{1,8}",
        stream: bool,
        options in prop_oneof![
            Just(None), Just(Some(json!(null))), Just(Some(json!({}))),
            Just(Some(json!({"include_usage": false}))), Just(Some(json!({"include_usage": true, "y": []}))),
        ],
        text: String,
        pretty: bool,
    ) {
        let mut body = json!({"a": [text], "model": model, "messages": [{"role": "user", "content": text}], "stream": stream});
        if let Some(options) = &options {
            body["stream_options"] = options.clone();
        }
        let written = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) }.unwrap();
        let out: Value = serde_json::from_str(&forwarded(&written, Some(&to), true)).unwrap();
        let mut expected = body;
        expected["model"] = json!(to);
        if stream {
            let mut options = options.filter(Value::is_object).unwrap_or_else(|| json!({}));
            options["include_usage"] = json!(true);
            expected["stream_options"] = options;
        }
        prop_assert_eq!(out, expected);
    }
}

#[test]
fn a_model_in_the_path_is_put_into_the_body() {
    let bodies: [(&[u8], &[u8]); 2] = [
        (br#" {"messages":[{}]}"#, br#" {"model":"gpt-5","messages":[{}]}"#),
        (br#"{"model":"other","messages":[{}]}"#, br#"{"model":"gpt-5","messages":[{}]}"#),
    ];
    for (body, expected) in bodies {
        let path = crate::PathFacts { model: Some("deployed"), stream: None };
        let peek = peek(&Incoming { body, headers: &(), path }).unwrap();
        assert_eq!(peek.model, "deployed");
        let edits = Edits { model: Some("gpt-5"), ask_usage: false };
        assert_eq!(forward(&Bytes::copy_from_slice(body), &peek, &edits), expected);
    }
}
