//! What only Gemini has: signatures that must come back, calls without ids, streams that are arrays, a model in the path.

use bytes::Bytes;
use dialect::{
    BadAnswer, DialectId, Edits, Exchange, Incoming, PathFacts, Quirks, StreamEvent, StreamForm,
    TeeOptions, dialect as find,
};
use domain::Endpoint;
use proptest::prelude::*;
use serde_json::{Value, json};
use smallvec::SmallVec;

use crate::support::{
    NEW, asked, context, cut, events, fixtures, incoming, target, write_request, written,
};

const CHAT: DialectId = DialectId::OpenaiChat;
const MESSAGES: DialectId = DialectId::AnthropicMessages;
const GEMINI: DialectId = DialectId::Gemini;

fn read(id: DialectId, body: &Value) -> Exchange {
    let body = body.to_string();
    find(id).read_request(&incoming(id, body.as_bytes(), &())).expect("a good request")
}

fn to_gemini(exchange: &Exchange, words: &[&str]) -> (Value, String) {
    let quirks = Quirks::from_words(words.iter().copied()).expect("words");
    let (body, _, loss) = write_request(GEMINI, exchange, &target(&quirks, NEW));
    (body, loss.to_string())
}

fn fixture(kind: &str, name: &str) -> Vec<u8> {
    fixtures(GEMINI, kind).into_iter().find(|it| it.0 == name).expect("fixture").1
}

/// The next turn of a client that returns what it got, with results for both calls.
fn next_turn(client: DialectId) -> Exchange {
    let answer = find(GEMINI).read_answer(&fixture("answer", "tools")).expect("good");
    let exchange = asked(client);
    let shown = find(client).write_answer(&answer, &context(&exchange));
    let shown: Value = serde_json::from_slice(&shown).expect("JSON");
    if client == CHAT {
        let mut message = shown["choices"][0]["message"].clone();
        // Most clients return the calls and nothing of the reasoning.
        let fields = message.as_object_mut().expect("an object");
        fields.retain(|name, _| matches!(name.as_str(), "role" | "content" | "tool_calls"));
        let id = |at: usize| message["tool_calls"][at]["id"].clone();
        let results =
            [0, 1].map(|at| json!({"role": "tool", "tool_call_id": id(at), "content": "1"}));
        return read(
            CHAT,
            &json!({"model": "m", "messages": [
            {"role": "user", "content": "x"}, message, results[0], results[1]]}),
        );
    }
    let content = &shown["content"];
    let calls = content.as_array().expect("blocks").iter().filter(|it| it["type"] == "tool_use");
    let results: Vec<Value> = calls
        .map(|it| json!({"type": "tool_result", "tool_use_id": it["id"], "content": "1"}))
        .collect();
    read(
        MESSAGES,
        &json!({"model": "m", "max_tokens": 9000, "thinking": {"type": "adaptive"}, "messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "content": content},
        {"role": "user", "content": results}]}),
    )
}

/// Gemini 3 refuses a call whose signature is missing: it goes through other clients in the id of the call.
#[test]
fn a_calls_signature_comes_back_through_any_client() {
    for client in [CHAT, MESSAGES] {
        let (body, loss) = to_gemini(&next_turn(client), &[]);
        let parts = body["contents"][1]["parts"].as_array().expect("parts");
        let calls: Vec<&Value> =
            parts.iter().filter(|it| it.get("functionCall").is_some()).collect();
        assert_eq!(calls[0]["thoughtSignature"], "Y2FsbC1zaWc/Pg==", "{client:?}");
        // It gave no id for the first, and gets none; its own for the second.
        assert_eq!(calls[0]["functionCall"], json!({"name": "weather", "args": {"city": "Oslo"}}));
        assert_eq!(calls[1]["functionCall"]["id"], "fc.2");
        assert_eq!(calls[1].get("thoughtSignature"), None);
        let results = &body["contents"][2]["parts"];
        assert_eq!(results[0]["functionResponse"]["name"], "weather");
        assert_eq!(results[1]["functionResponse"]["id"], "fc.2");
        assert!(!loss.contains("skip") && !loss.contains("tool_calls[]="), "{loss}");
    }
    // A Messages client that shows thinking returns the signature of the text too.
    let (body, _) = to_gemini(&next_turn(MESSAGES), &[]);
    let parts = body["contents"][1]["parts"].as_array().expect("parts");
    assert!(parts.contains(&json!({"text": "I look.", "thoughtSignature": "dGV4dC1zaWc="})));
}

/// The same id at another provider is an id of its own kind, and both ends still match.
#[test]
fn no_other_vendor_sees_the_signature() {
    for client in [CHAT, MESSAGES] {
        for to in [CHAT, MESSAGES] {
            let quirks = Quirks::default();
            let (body, _, loss) = write_request(to, &next_turn(client), &target(&quirks, NEW));
            let text = body.to_string();
            assert!(!text.contains("__orthought__") && !text.contains("Y2FsbC1zaWc"), "{text}");
            assert!(loss.to_string().contains("dropped"), "{loss}");
            let ids = |call: &str, result: &str| {
                [call, result]
                    .map(|at| body.pointer(at).and_then(Value::as_str).expect("an id").to_owned())
            };
            let [call, result] = if to == CHAT {
                ids("/messages/1/tool_calls/0/id", "/messages/2/tool_call_id")
            } else {
                let blocks = body["messages"][1]["content"].as_array().expect("blocks");
                let at = blocks.iter().position(|it| it["type"] == "tool_use").expect("a call");
                ids(&format!("/messages/1/content/{at}/id"), "/messages/2/content/0/tool_use_id")
            };
            assert_eq!(call, result);
            assert!(call.len() <= 40, "{call}");
        }
    }
}

#[test]
fn a_lost_signature_is_said_where_one_is_needed() {
    let call =
        json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call, call]}, {"role": "tool", "tool_call_id": "call_1", "content": "1"}]});
    let exchange = read(CHAT, &body);
    let (body, loss) = to_gemini(&exchange, &[]);
    let parts = &body["contents"][1]["parts"];
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts[1].get("thoughtSignature"), None, "the first of a step has it");
    assert!(loss.contains("messages[].tool_calls[]=approximated"), "{loss}");
    // Models before the third generation have no such rule.
    let (body, loss) = to_gemini(&exchange, &["thinking_budget"]);
    assert_eq!(body["contents"][1]["parts"][0].get("thoughtSignature"), None);
    assert_eq!(loss, "");
}

/// What another vendor signed comes back through a Gemini client as it was.
#[test]
fn another_vendors_thinking_survives_a_gemini_client() {
    let body =
        fixtures(MESSAGES, "answer").into_iter().find(|it| it.0 == "tools").expect("fixture").1;
    let answer = find(MESSAGES).read_answer(&body).expect("good");
    let exchange = asked(GEMINI);
    let shown = find(GEMINI).write_answer(&answer, &context(&exchange));
    let shown: Value = serde_json::from_slice(&shown).expect("JSON");
    let result =
        |name: &str| json!({"functionResponse": {"name": name, "response": {"output": "1"}}});
    let request = json!({"contents": [{"parts": [{"text": "x"}]}, shown["candidates"][0]["content"],
        {"parts": [result("weather"), result("shell")]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": true}}});
    let quirks = Quirks::default();
    let (body, _, loss) = write_request(MESSAGES, &read(GEMINI, &request), &target(&quirks, NEW));
    let turn = &body["messages"][1]["content"];
    assert_eq!(
        turn[0],
        json!({"type": "thinking", "thinking": "Two places.", "signature": "c2lnbmVk"})
    );
    assert_eq!(turn[1], json!({"type": "redacted_thinking", "data": "c2VjcmV0"}));
    assert_eq!(body["messages"][2]["content"][1]["tool_use_id"], turn[4]["id"]);
    assert!(!loss.to_string().contains("thoughtSignature"), "{loss}");
}

/// Ids are optional: results without them belong to the calls of their name, in order.
#[test]
fn results_without_ids_find_their_calls() {
    let call = |name: &str, n: u64| json!({"functionCall": {"name": name, "args": {"n": n}}});
    let result =
        |name: &str, n: u64| json!({"functionResponse": {"name": name, "response": {"output": n}}});
    let request = json!({"contents": [
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "model", "parts": [call("f", 1), call("g", 2), call("f", 3)]},
        {"role": "user", "parts": [result("f", 1), result("f", 3), result("g", 2)]},
        {"role": "model", "parts": [call("f", 4)]},
        {"role": "user", "parts": [result("f", 4)]},
    ]});
    let quirks = Quirks::default();
    let (body, _, _) = write_request(CHAT, &read(GEMINI, &request), &target(&quirks, NEW));
    let messages = body["messages"].as_array().expect("messages");
    let mut made = std::collections::BTreeMap::new();
    for call in messages.iter().filter_map(|it| it["tool_calls"].as_array()).flatten() {
        let args: Value =
            serde_json::from_str(call["function"]["arguments"].as_str().expect("text"))
                .expect("JSON");
        made.insert(call["id"].to_string(), args["n"].to_string());
    }
    assert_eq!(made.len(), 4, "each call has an id of its own");
    for result in messages.iter().filter(|it| it["role"] == "tool") {
        assert_eq!(result["content"], made[&result["tool_call_id"].to_string()].as_str());
    }
}

#[test]
fn generation_that_failed_is_no_answer() {
    for word in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE"] {
        let candidate = json!({"content": {"parts": [{"text": "Half"}]}, "finishReason": word, "finishMessage": "why"});
        let body = json!({"candidates": [candidate]}).to_string();
        let answer = find(GEMINI).read_answer(body.as_bytes());
        assert!(
            matches!(&answer, Err(BadAnswer::Fault(fault)) if fault.message.ends_with("why")),
            "{answer:?}"
        );
        let (events, result) = events(GEMINI, [format!("data: {body}\n\n").as_bytes()]);
        assert!(result.is_err());
        assert!(!written(CHAT, &events).contains("[DONE]"));
    }
    assert!(matches!(find(GEMINI).read_answer(b"{}"), Err(BadAnswer::Malformed(_))));
}

/// Fragments are held until a call is whole; a call that the limit cut is not made, any other that is none is an error.
#[test]
fn a_gemini_client_gets_whole_calls_only() {
    let chunk = |delta: Value, finish: Value| {
        format!(
            "data: {}\n\n",
            json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        )
    };
    let start = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{\"a\":"}}]});
    for (word, broken) in [("length", false), ("tool_calls", true)] {
        let stream =
            chunk(start.clone(), Value::Null) + &chunk(json!({}), json!(word)) + "data: [DONE]\n\n";
        let (events, result) = events(CHAT, [stream.as_bytes()]);
        assert_eq!(result, Ok(()));
        let exchange = asked(GEMINI);
        let mut writer = find(GEMINI).stream_writer(&context(&exchange));
        let mut out = Vec::new();
        for event in &events {
            writer.event(event, &mut out);
        }
        let out = String::from_utf8(out).expect("UTF-8");
        assert_eq!(writer.broken().is_some(), broken, "{word}");
        assert!(!out.contains("functionCall"), "{out}");
        assert_eq!(out.contains("MAX_TOKENS"), !broken, "{out}");
    }
}

fn items(stream: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).expect("UTF-8");
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Without `alt=sse` the same chunks come as one growing array.
#[test]
fn a_stream_can_be_an_array() {
    for from in [CHAT, MESSAGES, GEMINI] {
        let body =
            fixtures(from, "stream").into_iter().find(|it| it.0 == "tools").expect("fixture").1;
        let (events, _) = events(from, [body.as_slice()]);
        let mut exchange = asked(GEMINI);
        let written = |exchange: &Exchange| {
            let mut writer = find(GEMINI).stream_writer(&context(exchange));
            let mut out = Vec::new();
            for event in &events {
                writer.event(event, &mut out);
            }
            out
        };
        let in_events = items(&written(&exchange));
        exchange.stream_form = StreamForm::Array;
        let array = written(&exchange);
        assert_eq!(serde_json::from_slice::<Vec<Value>>(&array).expect("an array"), in_events);
        assert_eq!(events.last(), Some(&StreamEvent::End));
    }
    let media = |form| find(GEMINI).stream_media_type(form);
    assert!(media(StreamForm::Array).starts_with("application/json"));
    assert!(media(StreamForm::Events).starts_with("text/event-stream"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// T-L14 for arrays: what is read does not turn on the pieces, and is what events would have told.
    #[test]
    fn an_array_is_read_as_its_events_are(
        which in 0_usize..16,
        cuts in prop::collection::vec(any::<usize>(), 0..40),
    ) {
        let streams = fixtures(GEMINI, "stream");
        let (name, bytes) = &streams[which % streams.len()];
        let array = serde_json::to_vec_pretty(&items(bytes)).expect("JSON");
        let pass = |form, pieces: &[&[u8]]| {
            let options = TeeOptions { streamed: true, form, ..TeeOptions::default() };
            let mut tee = find(GEMINI).tee(Endpoint::Chat, options);
            let mut out: SmallVec<[Bytes; 2]> = SmallVec::new();
            for piece in pieces {
                tee.feed(Bytes::copy_from_slice(piece), &mut out);
            }
            let first = tee.first();
            (out.concat(), first, format!("{:?}", tee.finish()))
        };
        let whole = pass(StreamForm::Array, &[&array]);
        prop_assert_eq!(&pass(StreamForm::Array, &cut(&array, &cuts)), &whole, "{}", name);
        // The end of an answer that is none is kept back: our error stands before it.
        let kept = if whole.2.contains("complete: true") { 0 } else { "\n]".len() };
        prop_assert_eq!(&whole.0, &array[..array.len() - kept]);
        let events = pass(StreamForm::Events, &[bytes]);
        // What stands in arguments is counted as it is written.
        if name != "tools" {
            prop_assert_eq!((&whole.1, &whole.2), (&events.1, &events.2), "{}", name);
        }
    }
}

/// A stream that ends before its last chunk is whole for nobody; while it runs, nothing says that it is over.
#[test]
fn the_bodys_end_is_the_terminator() {
    let body = fixture("stream", "text");
    let mut tee =
        find(GEMINI).tee(Endpoint::Chat, TeeOptions { streamed: true, ..TeeOptions::default() });
    let mut out = SmallVec::new();
    tee.feed(Bytes::from(body), &mut out);
    assert!(!tee.is_complete());
    assert!(tee.finish().complete);
}

/// The path names the model; where the body names it once more, it must not say another.
#[test]
fn the_model_in_a_body_follows_the_path() {
    let path = PathFacts { model: Some("embed"), stream: None };
    let forward = |endpoint, body: &'static str| {
        let request = Incoming { body: body.as_bytes(), headers: &(), path };
        let peek = find(GEMINI).peek(endpoint, &request).expect("good");
        let edits = Edits { model: Some("gemini-embedding-2"), ask_usage: false };
        let out = find(GEMINI).forward(&Bytes::from_static(body.as_bytes()), &peek, &edits);
        let upstream = find(GEMINI).forward_path(endpoint, "gemini-embedding-2", &peek);
        (String::from_utf8(out.to_vec()).expect("UTF-8"), upstream.into_owned())
    };
    let (body, path) = forward(
        Endpoint::Embeddings,
        r#"{"requests": [{"model": "models/embed", "content": {"parts": [{"text": "\"model\": \"models/embed\""}]}}]}"#,
    );
    assert_eq!(
        body,
        r#"{"requests": [{"model": "models/gemini-embedding-2", "content": {"parts": [{"text": "\"model\": \"models/embed\""}]}}]}"#
    );
    assert_eq!(path, "/models/gemini-embedding-2:batchEmbedContents");
    let (_, path) = forward(Endpoint::Embeddings, r#"{"content": {"parts": [{"text": "x"}]}}"#);
    assert_eq!(path, "/models/gemini-embedding-2:embedContent");
    let counted = r#"{"generateContentRequest": {"model": "models/embed", "contents": [{"parts": [{"text": "x"}]}]}}"#;
    let (body, path) = forward(Endpoint::CountTokens, counted);
    assert!(body.contains(r#""model": "models/gemini-embedding-2""#), "{body}");
    assert_eq!(path, "/models/gemini-embedding-2:countTokens");
    let request = Incoming {
        body: counted.as_bytes(),
        headers: &(),
        path: PathFacts { model: Some("m"), stream: None },
    };
    assert_eq!(find(GEMINI).read_request(&request).expect("good").messages.len(), 1);
}

#[test]
fn what_is_wrong_is_named_in_the_clients_words() {
    for (body, field) in [
        (json!({}), "contents"),
        (json!({"contents": []}), "contents"),
        (json!({"contents": 1}), "contents"),
        (json!({"contents": [{"role": "robot", "parts": []}]}), "contents[0].role"),
        (
            json!({"contents": [{"parts": [{"inline_data": {}}]}]}),
            "contents[0].parts[0].inlineData.data",
        ),
        (
            json!({"contents": [{"parts": [{"text": "x"}]}], "generation_config": {"top_k": "many"}}),
            "generationConfig.topK",
        ),
        (
            json!({"contents": [{"parts": [{"text": "x"}]}], "toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}}),
            "toolConfig.functionCallingConfig.mode",
        ),
    ] {
        let text = body.to_string();
        let error =
            find(GEMINI).read_request(&incoming(GEMINI, text.as_bytes(), &())).expect_err("bad");
        assert_eq!(error.field, field, "{body}");
    }
}

#[test]
fn models_are_listed_by_their_resource_names() {
    let row = dialect::ModelRow {
        id: "mock/echo".to_owned(),
        created: 1_700_000_000,
        owned_by: "mock".to_owned(),
        display_name: "echo".to_owned(),
        max_input: Some(8_000),
        max_output: None,
    };
    let list: Value = serde_json::from_slice(&find(GEMINI).write_models(&[row])).expect("JSON");
    assert_eq!(list["models"][0]["name"], "models/mock/echo");
    assert_eq!(list["models"][0]["inputTokenLimit"], 8_000);
    assert_eq!(list["models"][0].get("outputTokenLimit"), None);
}

/// A conversation that began elsewhere goes on at a provider of the client's own dialect, which gets the client's bytes:
/// what it would refuse in them is taken out, and nothing else.
#[test]
fn what_is_forwarded_holds_nothing_that_its_provider_would_refuse() {
    let forward = |id: DialectId, body: &Value| -> Value {
        let text = body.to_string();
        let request = incoming(id, text.as_bytes(), &());
        let peek = find(id).peek(Endpoint::Chat, &request).expect("good");
        let out = find(id).forward(&Bytes::from(text.clone()), &peek, &Edits::default());
        serde_json::from_slice(&out).expect("JSON")
    };
    let id = "call_1__orthought__Y2FsbC1zaWc_Pg";
    let chat = |id: &str| {
        json!({"model": "m", "messages": [{"role": "user", "content": "see call_1__orthought__Y2FsbC1zaWc_Pg"},
            {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": id, "content": "1"}]})
    };
    assert_eq!(forward(CHAT, &chat(id)), chat("call_1"));
    let messages = |id: &str| {
        json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "1"}]}]})
    };
    assert_eq!(forward(MESSAGES, &messages(id)), messages("call_1"));
    let gemini = |signature: &str| {
        json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}, {"role": "model", "parts": [
            {"text": "Two places.", "thought": true, "thoughtSignature": signature},
            {"text": "I look.", "thoughtSignature": "dGV4dC1zaWc="}]}, {"role": "user", "parts": [{"text": "y"}]}]})
    };
    // `outrigger:signature:c2lnbmVk`, as a client gets it that is shown Claude's thinking.
    let foreign = gemini("b3V0cmlnZ2VyOnNpZ25hdHVyZTpjMmxuYm1Waw==");
    assert_eq!(forward(GEMINI, &foreign), gemini("skip_thought_signature_validator"));
}

fn interrupted() -> dialect::ClientError<'static> {
    dialect::ClientError {
        code: "stream_interrupted",
        status: 503,
        message: "it broke off",
        fix: "try again",
        request_id: "req_1",
        provider: Some("acme"),
        attempts: 1,
        field: None,
        retry_after_ms: None,
    }
}

/// The items of a growing array that ends in our error.
fn items_with_error(passed: &[u8], error: &[u8]) -> Vec<Value> {
    let all: Value = serde_json::from_slice(&[passed, error].concat()).expect("a JSON array");
    let items = all.as_array().expect("an array").clone();
    assert_eq!(items.last().expect("one")["error"]["status"], "UNAVAILABLE");
    items
}

#[test]
fn wherever_an_array_is_cut_our_error_is_its_last_item() {
    let whole = br#"[{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}
,
{"candidates": [{"content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"}]}
]
"#;
    for cut in 0..whole.len() - 2 {
        for step in [1, 7, whole.len()] {
            let options =
                TeeOptions { streamed: true, form: StreamForm::Array, ..TeeOptions::default() };
            let mut tee = find(GEMINI).tee(Endpoint::Chat, options);
            let mut out = smallvec::SmallVec::new();
            for piece in whole[..cut].chunks(step) {
                tee.feed(bytes::Bytes::copy_from_slice(piece), &mut out);
            }
            let passed = out.concat();
            let error = tee.error_event(&interrupted()).expect("of its own");
            let items = items_with_error(&passed, &error);
            let first = whole.iter().position(|byte| *byte == b'\n').expect("a line");
            let ends = [first, whole.len() - 3];
            let expected = ends.iter().filter(|end| cut >= **end).count();
            assert_eq!(items.len(), expected + 1, "cut at {cut}");
        }
    }
}

#[test]
fn an_array_that_we_write_ends_in_our_error_too() {
    let mut exchange = asked(GEMINI);
    exchange.stream_form = StreamForm::Array;
    for begun in [false, true] {
        let mut writer = find(GEMINI).stream_writer(&context(&exchange));
        let mut out = Vec::new();
        if begun {
            let (choice, block) = (0, 0);
            let kind = dialect::exchange::BlockKind::Text;
            writer.event(&StreamEvent::BlockStart { choice, block, kind }, &mut out);
            let delta = dialect::exchange::Delta::Text("a".to_owned());
            writer.event(&StreamEvent::Delta { choice, block, delta }, &mut out);
        }
        let error = writer.error_event(&interrupted()).expect("of its own");
        assert_eq!(items_with_error(&out, &error).len(), 1 + usize::from(begun));
    }
    let events = find(GEMINI).stream_writer(&context(&asked(GEMINI)));
    assert!(events.error_event(&interrupted()).is_none());
}

#[test]
fn a_wait_is_told_as_google_tells_it() {
    let delay = |wait| {
        let error = dialect::ClientError { retry_after_ms: wait, ..interrupted() };
        let body: Value = serde_json::from_slice(&find(GEMINI).render_error(&error)).expect("JSON");
        body["error"]["details"].clone()
    };
    let info = |wait: &str| json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait}]);
    assert_eq!(delay(Some(34_500)), info("34.500s"));
    assert_eq!(delay(Some(2_000)), info("2s"));
    assert_eq!(delay(None), Value::Null);
}
