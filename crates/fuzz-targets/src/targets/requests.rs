//! Requests: the gate, the peeks, forwarding, translation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use catalog::image_rule;
use dialect::gate::{GateErrorKind, GateLimits, scan};
use dialect::realtime::{self, Does};
use dialect::{
    DialectId, Edits, EmbeddingContext, Exchange, Incoming, PathFacts, Quirks, StreamForm, Target,
    dialect,
};
use domain::{Endpoint, Feature, ImageDetail, ImageInput, LossReport};
use serde_json::{Value, json};

use crate::reference::is_unique_json;

/// The gate lets through what another parser takes, and nothing else but for its own limits.
pub fn json_gate(data: &[u8]) {
    let theirs = is_unique_json(data);
    match scan(data, GateLimits::default()) {
        Ok(()) => assert!(theirs, "the gate took what serde_json refuses"),
        Err(error) => {
            assert!(error.offset <= data.len());
            let own_limit = matches!(
                error.kind,
                GateErrorKind::TooDeep | GateErrorKind::TooManyKeys | GateErrorKind::NumberRange
            );
            assert!(own_limit || !theirs, "the gate refused what serde_json takes: {error}");
        }
    }
}

/// Events of realtime sessions: what asks for a response is what any other reader takes for that, and a model is where it
/// is said to be.
pub fn realtime_events(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    drop(realtime::provider_event(text));
    let Ok(event) = realtime::client_event(text) else { return };
    assert!(is_unique_json(data), "an event was taken that can be read in two ways");
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    assert_eq!(event.does == Does::Asks, value["type"] == "response.create");
    let named = |part: &str| value[part]["model"].as_str().map(str::to_owned);
    let theirs = named("session").or_else(|| named("response"));
    assert_eq!(event.model.as_ref().map(|(name, _)| name.clone()), theirs);
    if let Some((name, place)) = event.model {
        let piece = text.get(place).unwrap_or_default();
        assert_eq!(serde_json::from_str::<String>(piece).ok(), Some(name));
    }
}

/// Peek and forward of chat completions.
pub fn peek_openai_chat(data: &[u8]) {
    peek(DialectId::OpenaiChat, data);
}

/// Peek and forward of messages.
pub fn peek_anthropic_messages(data: &[u8]) {
    peek(DialectId::AnthropicMessages, data);
}

/// Peek and forward of Cohere's v2 chat.
pub fn peek_cohere_chat(data: &[u8]) {
    peek(DialectId::CohereChat, data);
}

/// Peek and forward of responses.
pub fn peek_openai_responses(data: &[u8]) {
    peek(DialectId::OpenaiResponses, data);
}

/// A request as it would come: with a path that names what the dialect has there.
fn incoming(id: DialectId, body: &[u8], stream: bool) -> Incoming<'_> {
    let path = match id {
        DialectId::Gemini | DialectId::BedrockConverse => PathFacts {
            model: Some("provider-model"),
            stream: stream.then_some(StreamForm::Events),
        },
        _ => PathFacts::default(),
    };
    Incoming { body, headers: &(), path }
}

/// Peek and forward of Converse.
pub fn peek_bedrock_converse(data: &[u8]) {
    let id = DialectId::BedrockConverse;
    let side = dialect(id);
    let request = incoming(id, data, true);
    let counted = side.peek(Endpoint::CountTokens, &request);
    let Ok(peek) = side.peek(Endpoint::Chat, &request) else { return };
    if scan(data, GateLimits::default()).is_err() {
        return;
    }
    if let Ok(counted) = counted {
        assert_eq!(counted.model, peek.model);
    }
    let body = Bytes::copy_from_slice(data);
    let edits = Edits { model: Some("other/\"m\""), ask_usage: true };
    let same = side.forward(&body, &peek, &edits);
    assert_eq!((same.as_ptr(), same.len()), (body.as_ptr(), body.len()), "the same bytes go on");
    if let Ok(exchange) = side.read_request(&request) {
        assert_eq!(exchange.model, peek.model);
        assert!(exchange.stream && peek.stream);
        assert!(peek.limits.max_output >= exchange.max_output);
    }
}

/// A Converse request as each other dialect's, and theirs as Converse requests.
pub fn translate_converse(data: &[u8]) {
    for other in DialectId::CLIENTS.iter().filter(|id| **id != DialectId::BedrockConverse) {
        translate(DialectId::BedrockConverse, *other, data);
        translate(*other, DialectId::BedrockConverse, data);
    }
}

/// Takes out what is cut out of a forwarded Responses request: reasoning of another dialect's vendor, and signatures in
/// the ids of calls. Whether there was any.
fn without_foreign(body: &mut Value) -> bool {
    let Some(items) = body.get_mut("input").and_then(Value::as_array_mut) else { return false };
    let before = items.len();
    let text = |item: &Value, key: &str| {
        item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    items.retain(|item| {
        text(item, "type") != "reasoning" || !text(item, "encrypted_content").starts_with("orx.")
    });
    let mut has_thought = false;
    for id in items.iter_mut().filter_map(|item| item.get_mut("call_id")) {
        if let Some((bare, _)) = id.as_str().and_then(|text| text.split_once("__orthought__")) {
            has_thought = true;
            *id = bare.into();
        }
    }
    items.len() < before || has_thought
}

/// Peek and forward of Gemini's requests, of both kinds.
pub fn peek_gemini(data: &[u8]) {
    embeddings(DialectId::Gemini, data);
    let side = dialect(DialectId::Gemini);
    let through = scan(data, GateLimits::default()).is_ok();
    for endpoint in [Endpoint::Chat, Endpoint::CountTokens, Endpoint::Embeddings] {
        let Ok(peek) = side.peek(endpoint, &incoming(DialectId::Gemini, data, true)) else {
            continue;
        };
        if !through {
            continue;
        }
        let body = Bytes::copy_from_slice(data);
        let same = side.forward(&body, &peek, &Edits::default());
        assert_eq!(
            (same.as_ptr(), same.len()),
            (body.as_ptr(), body.len()),
            "the same bytes go on"
        );
        let edits = Edits { model: Some("other/\"m\""), ask_usage: true };
        let out = side.forward(&body, &peek, &edits);
        assert_eq!(scan(&out, GateLimits::default()), Ok(()), "a forwarded body is still JSON");
        assert_eq!(peek.model, "provider-model");
        if endpoint != Endpoint::Chat {
            continue;
        }
        if let Ok(exchange) = side.read_request(&incoming(DialectId::Gemini, data, true)) {
            assert_eq!((exchange.model.as_str(), exchange.stream), ("provider-model", peek.stream));
            assert!(peek.limits.answers >= exchange.answers);
            assert!(peek.limits.max_output >= exchange.max_output);
        }
    }
}

/// Embedding requests and answers of one dialect, for every other.
fn embeddings(id: DialectId, data: &[u8]) {
    let all = [DialectId::OpenaiChat, DialectId::Gemini, DialectId::CohereChat];
    let others = || all.into_iter().filter_map(|id| dialect(id).embeddings());
    let Some(own) = dialect(id).embeddings() else { return };
    if let Ok(request) = own.read_request(&incoming(id, data, true)) {
        let target = Target {
            model: "provider-model",
            max_output: None,
            quirks: &Quirks::default(),
            anthropic_version: "2023-06-01",
            compartment: None,
            ask_usage: false,
        };
        for other in others() {
            let mut loss = LossReport::default();
            if let Ok(written) = other.write_request(&request, &target, &mut loss) {
                assert!(
                    serde_json::from_slice::<Value>(&written.body).is_ok(),
                    "what we write is JSON"
                );
            }
        }
    }
    if let Ok(answer) = own.read_answer(data) {
        let asked = br#"{"model":"m","input":"x","texts":["x"],"content":{"parts":[]}}"#;
        for (id, other) in all.into_iter().zip(others()) {
            let Ok(request) = other.read_request(&incoming(id, asked, true)) else { continue };
            let context = EmbeddingContext { request_id: "r", model: "m", request: &request };
            let written = other.write_answer(&answer, &context);
            assert!(serde_json::from_slice::<Value>(&written).is_ok(), "what we write is JSON");
        }
    }
}

fn peek(id: DialectId, data: &[u8]) {
    embeddings(id, data);
    let side = dialect(id);
    let through = scan(data, GateLimits::default()).is_ok();
    // On anything at all, no panic; what it says counts only behind the gate.
    let Ok(peek) = side.peek(Endpoint::Chat, &Incoming::new(data, &())) else { return };
    if !through {
        return;
    }
    let body = Bytes::copy_from_slice(data);
    let whole = serde_json::from_slice::<Value>(data);
    let is_cut =
        id == DialectId::OpenaiResponses && whole.is_ok_and(|mut it| without_foreign(&mut it));
    let same = side.forward(&body, &peek, &Edits::default());
    let is_same = (same.as_ptr(), same.len()) == (body.as_ptr(), body.len());
    assert_eq!(is_same, !is_cut, "the same bytes go on");

    let edits = Edits { model: Some("other/\"m\""), ask_usage: true };
    let out = side.forward(&body, &peek, &edits);
    // A body at the very limit may pass it by the option that was added.
    let wide = GateLimits { depth: 66, keys_per_object: 5_000, keys: 70_000, key_bytes: 1_024 };
    assert_eq!(scan(&out, wide), Ok(()), "a forwarded body is still JSON");
    let (Ok(mut before), Ok(after)) =
        (serde_json::from_slice::<Value>(data), serde_json::from_slice::<Value>(&out))
    else {
        return;
    };
    assert_eq!(before.get("model").and_then(Value::as_str), Some(peek.model.as_str()));
    if let Some(model) = before.get_mut("model") {
        *model = json!("other/\"m\"");
    }
    if is_cut {
        without_foreign(&mut before);
    }
    if id == DialectId::OpenaiChat && peek.stream {
        let mut options = before.get("stream_options").cloned().unwrap_or_default();
        if !options.is_object() {
            options = json!({});
        }
        if let (Some(options), Some(top)) = (options.as_object_mut(), before.as_object_mut()) {
            options.insert("include_usage".to_owned(), json!(true));
            top.insert("stream_options".to_owned(), Value::Object(options.clone()));
        }
    }
    assert_eq!(before, after, "nothing but the edits changed");

    if let Ok(exchange) = side.read_request(&Incoming::new(data, &())) {
        assert_eq!(exchange.model, peek.model);
        assert_eq!(exchange.stream, peek.stream);
        assert_eq!(exchange.answers, peek.limits.answers);
        assert!(peek.limits.max_output >= exchange.max_output);
        assert_eq!(exchange.stream, peek.features.contains(Feature::Stream));
    }
}

/// The head of an image's file, as bytes and as a request carries it.
pub fn image_size(data: &[u8]) {
    let size = dialect::image_size(data.iter().copied());
    assert!(size.is_none_or(|(width, height)| width > 0 && height > 0));
    let cut = dialect::image_size(data.iter().copied().take(data.len() / 2));
    assert!(cut.is_none() || cut == size, "the first bytes tell the size or nothing");

    let url = format!("data:image/png;base64,{}", STANDARD.encode(data));
    let part = json!({"type": "image_url", "image_url": {"url": url, "detail": "high"}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [part]}]}).to_string();
    let Ok(peek) =
        dialect(DialectId::OpenaiChat).peek(Endpoint::Chat, &Incoming::new(body.as_bytes(), &()))
    else {
        unreachable!("a whole request is read");
    };
    assert_eq!(peek.images, [ImageInput { size, detail: ImageDetail::High }]);

    for model in ["gpt-4o", "gpt-6", "claude-opus-5", "m"] {
        let Some(rule) = image_rule(model).map(|fact| fact.value) else {
            unreachable!("every model has a rule");
        };
        let most = |size| rule.most_tokens(ImageInput { size, detail: ImageDetail::High });
        assert!((1..=most(None)).contains(&most(size)), "{model}: {size:?}");
    }
}

/// A chat request as a message request.
pub fn translate_chat_to_messages(data: &[u8]) {
    translate(DialectId::OpenaiChat, DialectId::AnthropicMessages, data);
}

/// A Responses request as each of the others.
pub fn translate_responses(data: &[u8]) {
    for to in [DialectId::OpenaiChat, DialectId::AnthropicMessages] {
        translate(DialectId::OpenaiResponses, to, data);
    }
}

/// Each of the others as a Responses request.
pub fn translate_to_responses(data: &[u8]) {
    for from in [DialectId::OpenaiChat, DialectId::AnthropicMessages] {
        translate(from, DialectId::OpenaiResponses, data);
    }
}

/// A message request as a chat request.
pub fn translate_messages_to_chat(data: &[u8]) {
    translate(DialectId::AnthropicMessages, DialectId::OpenaiChat, data);
}

/// Another's request as Gemini's.
pub fn translate_to_gemini(data: &[u8]) {
    translate(DialectId::OpenaiChat, DialectId::Gemini, data);
    translate(DialectId::AnthropicMessages, DialectId::Gemini, data);
}

/// Gemini's request as another's.
pub fn translate_from_gemini(data: &[u8]) {
    translate(DialectId::Gemini, DialectId::OpenaiChat, data);
    translate(DialectId::Gemini, DialectId::AnthropicMessages, data);
}

/// A v2 chat request of Cohere's as a request of every other dialect.
pub fn translate_from_cohere(data: &[u8]) {
    translate(DialectId::CohereChat, DialectId::OpenaiChat, data);
    translate(DialectId::CohereChat, DialectId::AnthropicMessages, data);
    translate(DialectId::CohereChat, DialectId::OpenaiResponses, data);
}

/// A request of every other dialect as a v2 chat request of Cohere's.
pub fn translate_to_cohere(data: &[u8]) {
    translate(DialectId::OpenaiChat, DialectId::CohereChat, data);
    translate(DialectId::AnthropicMessages, DialectId::CohereChat, data);
    translate(DialectId::OpenaiResponses, DialectId::CohereChat, data);
}

/// A request of every other dialect as Oracle's, in either of its formats. Nothing here reads those.
pub fn translate_to_oci(data: &[u8]) {
    if scan(data, GateLimits::default()).is_err() {
        return;
    }
    for from in DialectId::CLIENTS {
        let Ok(exchange) = dialect(*from).read_request(&incoming(*from, data, true)) else {
            continue;
        };
        for words in [&[][..], &["cohere_request"][..]] {
            let Ok(quirks) = Quirks::from_words(words.iter().copied()) else { return };
            let target = target(&quirks, "2023-06-01");
            let mut loss = LossReport::default();
            let oci = dialect(DialectId::OciChat);
            let Ok(request) = oci.write_request(&exchange, &target, &mut loss) else { continue };
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            assert_eq!(body["servingMode"]["modelId"], "provider-model");
            let chat = &body["chatRequest"];
            assert!(chat["messages"].as_array().is_some_and(|all| !all.is_empty()));
            assert!(chat["maxTokens"].is_u64());
            assert_eq!(chat["isStream"].as_bool().unwrap_or(false), exchange.stream);
        }
    }
}

fn target<'a>(quirks: &'a Quirks, version: &'a str) -> Target<'a> {
    Target {
        model: "provider-model",
        max_output: Some(4_096),
        quirks,
        anthropic_version: version,
        compartment: Some("ocid1.compartment.oc1..a"),
        ask_usage: true,
    }
}

fn translate(from: DialectId, to: DialectId, data: &[u8]) {
    if scan(data, GateLimits::default()).is_err() {
        return;
    }
    let Ok(exchange) = dialect(from).read_request(&incoming(from, data, true)) else { return };
    for version in ["2023-06-01", "2026-10-21"] {
        for side in [to, from] {
            written(side, &exchange, version);
        }
    }
}

/// What is written is JSON that the dialect's own readers take.
fn written(to: DialectId, exchange: &Exchange, version: &str) {
    let quirks = Quirks::default();
    let target = target(&quirks, version);
    let mut loss = LossReport::default();
    let Ok(request) = dialect(to).write_request(exchange, &target, &mut loss) else { return };
    // Translation may nest deeper and name more than the client did.
    let wide =
        GateLimits { depth: 80, keys_per_object: 100_000, keys: 1_000_000, key_bytes: 1 << 20 };
    assert_eq!(scan(&request.body, wide), Ok(()), "a written request is JSON");
    let peek = dialect(to).peek(Endpoint::Chat, &incoming(to, &request.body, exchange.stream));
    assert!(peek.is_ok(), "a written request can be read: {peek:?}");
    if let Ok(peek) = peek {
        assert_eq!(peek.model, "provider-model");
        assert!(to == DialectId::Gemini || peek.stream == exchange.stream);
    }
}
