//! The mock over a real socket: what other crates' tests rely on.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use fake_provider::{Body, Call, Demo, DemoOptions, Mock, MockOptions, OciUser};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(10);

fn connect(mock: &Mock) -> TcpStream {
    let stream = TcpStream::connect(mock.addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(stream: &mut TcpStream, path: &str, extra: &str, body: &Value) {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n{extra}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
}

/// The whole answer of a connection that closes; an abort shows as the bytes that came before it.
fn exchange(mock: &Mock, path: &str, extra: &str, body: &Value) -> String {
    let mut stream = connect(mock);
    send(&mut stream, path, extra, body);
    let mut out = Vec::new();
    drop(stream.read_to_end(&mut out));
    String::from_utf8_lossy(&out).into_owned()
}

fn chat(text: &str) -> Value {
    json!({"model": "echo", "messages": [{"role": "user", "content": text}]})
}

fn demo(path: &str, version: Option<&str>, body: &Value) -> (u16, Value) {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(version.map(|v| ("anthropic-version", v)));
    let bytes = body.to_string();
    let reply = Demo::default().respond(&Call {
        method: "POST",
        path,
        headers: &headers,
        body: bytes.as_bytes(),
    });
    let Body::Whole(body) = reply.body else { panic!("a plain answer comes at once") };
    (reply.status, serde_json::from_slice(&body).unwrap())
}

#[test]
fn both_dialects_echo_the_last_user_text_and_count_alike() {
    let (status, openai) = demo("/v1/chat/completions", None, &chat("hello there"));
    assert_eq!(status, 200);
    assert_eq!(openai["choices"][0]["message"]["content"], "hello there");
    // 3 for the request, 3 for the message, 3 for eleven bytes of text.
    assert_eq!(openai["usage"]["prompt_tokens"], 9);
    assert_eq!(openai["usage"]["completion_tokens"], 3);
    let body = json!({"model": "echo", "max_tokens": 10, "messages": [{"role": "user", "content": "hello there"}]});
    let (status, anthropic) = demo("/v1/messages", Some("2026-10-21"), &body);
    assert_eq!(status, 200);
    assert_eq!(anthropic["content"][0]["text"], "hello there");
    assert_eq!(anthropic["usage"]["input_tokens"], 9);
}

#[test]
fn responses_echo_count_alike_and_number_their_events() {
    let body = json!({"model": "echo", "input": "hello there"});
    let (status, answer) = demo("/v1/responses", None, &body);
    assert_eq!(status, 200);
    assert_eq!(answer["output"][0]["content"][0]["text"], "hello there");
    assert_eq!(answer["usage"]["input_tokens"], 9);
    assert_eq!(answer["usage"]["output_tokens"], 3);
    let (_, count) = demo("/v1/responses/input_tokens", None, &body);
    assert_eq!(count, json!({"object": "response.input_tokens", "input_tokens": 9}));

    let body = json!({"model": "tools", "stream": true, "reasoning": {"effort": "low", "summary": "auto"},
        "input": "x", "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]});
    let bytes = body.to_string();
    let headers = [("content-type", "application/json")];
    let reply = Demo::default().respond(&Call {
        method: "POST",
        path: "/v1/responses",
        headers: &headers,
        body: bytes.as_bytes(),
    });
    let Body::Timed { parts, .. } = reply.body else { panic!("a stream") };
    let events: Vec<Value> = parts
        .iter()
        .map(|part| {
            let text = String::from_utf8_lossy(&part.bytes).into_owned();
            let (name, data) = text.split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data.trim_end()).unwrap();
            assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
            data
        })
        .collect();
    let numbers: Vec<u64> =
        events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events.last().unwrap()["type"], "response.completed");
    let output = events.last().unwrap()["response"]["output"].clone();
    assert_eq!(
        (&output[0]["type"], &output[1]["type"]),
        (&json!("reasoning"), &json!("function_call"))
    );
    // What it gave out it takes back, and from nobody else.
    let mut history = vec![json!({"role": "user", "content": "x"})];
    history.extend(output.as_array().unwrap().clone());
    history.push(
        json!({"type": "function_call_output", "call_id": output[1]["call_id"], "output": "1"}),
    );
    let again = |items: &[Value]| {
        demo("/v1/responses", None, &json!({"model": "echo", "input": items, "store": false}))
    };
    let (status, answer) = again(&history);
    assert_eq!((status, &answer["output"][0]["content"][0]["text"]), (200, &json!("f: 1")));
    history[1]["encrypted_content"] = json!("somebody else's");
    assert_eq!(again(&history).0, 400);
}

#[test]
fn the_new_api_version_refuses_sampling_and_the_old_one_does_not() {
    let body = json!({"model": "echo", "max_tokens": 10, "temperature": 1, "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(demo("/v1/messages", Some("2023-06-01"), &body).0, 200);
    let (status, error) = demo("/v1/messages", Some("2026-10-21"), &body);
    assert_eq!((status, error["error"]["type"].as_str().unwrap()), (400, "invalid_request_error"));
    assert_eq!(demo("/v1/messages", Some("2020-01-01"), &body).0, 400);
}

#[test]
fn requests_that_the_real_ones_refuse_are_refused() {
    let user = json!([{"role": "user", "content": "x"}]);
    let call =
        json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let openai = [
        json!({"messages": user}),
        json!({"model": "gpt-nope", "messages": user}),
        json!({"model": "echo", "messages": []}),
        json!({"model": "echo", "messages": [{"role": "robot", "content": "x"}]}),
        json!({"model": "echo", "messages": user, "top_k": 5}),
        json!({"model": "echo", "messages": user, "stream_options": {"include_usage": true}}),
        json!({"model": "echo", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}]}),
        json!({"model": "echo", "messages": [{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c9", "content": "y"}]}),
    ];
    for body in openai {
        assert!(demo("/v1/chat/completions", None, &body).0 >= 400, "{body}");
    }
    let call = json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"});
    let responses = [
        json!({"model": "echo"}),
        json!({"model": "echo", "input": []}),
        json!({"model": "echo", "input": "x", "messages": user}),
        json!({"model": "echo", "input": "x", "stop": ["y"]}),
        json!({"model": "echo", "input": "x", "previous_response_id": "resp_1"}),
        json!({"model": "echo", "input": [{"type": "item_reference", "id": "msg_1"}]}),
        json!({"model": "echo", "input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
        json!({"model": "echo", "input": [call]}),
        json!({"model": "echo", "input": [{"type": "function_call_output", "call_id": "c9", "output": "y"}]}),
        json!({"model": "echo", "input": "x", "tools": [{"type": "function", "function": {"name": "f"}}]}),
        json!({"model": "echo", "input": "x", "text": {"format": {"type": "json_schema", "schema": {}}}}),
        json!({"model": "echo", "input": "x", "reasoning": {"effort": "utmost"}}),
    ];
    for body in responses {
        assert!(demo("/v1/responses", None, &body).0 >= 400, "{body}");
    }
    let user = json!([{"role": "user", "content": "x"}]);
    let anthropic = [
        json!({"model": "echo", "messages": user}),
        json!({"model": "echo", "max_tokens": 5, "messages": [{"role": "assistant", "content": "x"}]}),
        json!({"model": "echo", "max_tokens": 5, "messages": user, "n": 2}),
        json!({"model": "echo", "max_tokens": 5, "messages": user, "tools": [{"type": "function", "function": {"name": "f"}}]}),
        json!({"model": "echo", "max_tokens": 5, "messages": user, "thinking": {"type": "enabled", "budget_tokens": 2000}}),
        json!({"model": "echo", "max_tokens": 5, "messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}),
        json!({"model": "echo", "max_tokens": 5, "messages": [{"role": "user", "content": "x"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "of somebody else"}]}]}),
    ];
    for body in anthropic {
        assert!(demo("/v1/messages", Some("2026-10-21"), &body).0 >= 400, "{body}");
    }
}

fn gemini(path: &str, body: &Value) -> (u16, Value) {
    let bytes = body.to_string();
    let reply = Demo::default().respond(&Call {
        method: "POST",
        path,
        headers: &[("content-type", "application/json")],
        body: bytes.as_bytes(),
    });
    let body = match reply.body {
        Body::Whole(body) => body.to_vec(),
        Body::Timed { parts, .. } => parts.iter().flat_map(|part| part.bytes.to_vec()).collect(),
    };
    (reply.status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[test]
fn gemini_echoes_counts_and_streams_in_both_forms() {
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "hello there"}]}]});
    for version in ["v1", "v1beta"] {
        let (status, answer) = gemini(&format!("/{version}/models/echo:generateContent"), &body);
        assert_eq!(status, 200);
        assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"], "hello there");
        assert_eq!(answer["usageMetadata"]["promptTokenCount"], 9);
    }
    let (_, array) = gemini("/v1beta/models/echo:streamGenerateContent", &body);
    assert_eq!(array.as_array().unwrap().last().unwrap()["candidates"][0]["finishReason"], "STOP");
    let (status, count) = gemini("/v1beta/models/echo:countTokens", &body);
    assert_eq!((status, &count["totalTokens"]), (200, &json!(9)));
    let (status, error) = gemini("/v1beta/models/gemini-nope:generateContent", &body);
    assert_eq!((status, error["error"]["status"].as_str()), (404, Some("NOT_FOUND")));
}

#[test]
fn gemini_refuses_what_google_refuses() {
    let user = json!({"role": "user", "parts": [{"text": "x"}]});
    let call = |more: &Value| {
        let mut part = json!({"functionCall": {"name": "f", "args": {}}});
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"role": "model", "parts": [part]})
    };
    let result = json!({"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "1"}}}]});
    let skip = json!({"thoughtSignature": "skip_thought_signature_validator"});
    let ask = |body: &Value| gemini("/v1beta/models/echo:generateContent", body).0;
    let good = json!({"contents": [user, call(&skip), result]});
    assert_eq!(ask(&good), 200);
    // An older turn is not looked at.
    assert_eq!(ask(&json!({"contents": [user, call(&json!({})), result, user]})), 200);
    for bad in [
        json!({"contents": []}),
        json!({"contents": [user], "messages": []}),
        json!({"contents": [{"role": "robot", "parts": [{"text": "x"}]}]}),
        json!({"contents": [{"role": "user", "parts": [{"text": "x", "inlineData": {}}]}]}),
        json!({"contents": [user, call(&json!({})), result]}),
        json!({"contents": [user, call(&json!({"thoughtSignature": "c29tZWJvZHkgZWxzZSdz"})), result]}),
        json!({"contents": [user, call(&skip)]}),
        json!({"contents": [user, call(&skip), user]}),
        json!({"contents": [user], "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 5}}}),
        json!({"contents": [user], "generationConfig": {"responseJsonSchema": {"type": "object"}}}),
        json!({"contents": [user], "tools": [{"functionDeclarations": [{"name": "9 lives"}]}]}),
        json!({"contents": [user], "toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["f"]}}}),
    ] {
        assert_eq!(ask(&bad), 400, "{bad}");
    }
}

#[test]
fn keys_are_checked_when_there_are_any() {
    let demo =
        Demo::new(DemoOptions { keys: vec!["sk-good".to_owned()], ..DemoOptions::default() });
    let body = chat("x").to_string();
    let status = |key: &str| {
        let headers = [("content-type", "application/json"), ("authorization", key)];
        demo.respond(&Call {
            method: "POST",
            path: "/v1/chat/completions",
            headers: &headers,
            body: body.as_bytes(),
        })
        .status
    };
    assert_eq!(status("Bearer sk-good"), 200);
    assert_eq!(status("Bearer sk-bad"), 401);
    assert_eq!(status("sk-good"), 401);
}

#[test]
fn flaky_fails_its_share_in_the_same_order_every_time() {
    let run = || {
        let demo = Demo::default();
        let body =
            json!({"model": "flaky", "messages": [{"role": "user", "content": "x"}]}).to_string();
        let headers = [("content-type", "application/json")];
        let call = Call {
            method: "POST",
            path: "/v1/chat/completions",
            headers: &headers,
            body: body.as_bytes(),
        };
        (0..1_000)
            .map(|_| demo.respond(&call))
            .map(|r| (r.status, matches!(r.body, Body::Timed { cut: true, .. })))
            .collect::<Vec<_>>()
    };
    let fates = run();
    assert_eq!(fates, run());
    let failed = fates.iter().filter(|f| **f != (200, false)).count();
    assert!((250..350).contains(&failed), "{failed} of 1000");
    for status in [429, 500, 503] {
        assert!(fates.iter().any(|f| f.0 == status));
    }
}

#[test]
fn a_marked_prefix_is_written_to_the_cache_and_then_read_from_it() {
    let long = "word ".repeat(2_000);
    let system = json!([{"type": "text", "text": long, "cache_control": {"type": "ephemeral"}}]);
    let first = json!({"model": "echo", "max_tokens": 9, "system": system, "messages": [{"role": "user", "content": "a"}]});
    let usage = demo("/v1/messages", Some("2026-10-21"), &first).1["usage"].clone();
    assert_eq!(
        (usage["cache_creation_input_tokens"].as_u64(), usage["cache_read_input_tokens"].as_u64()),
        (Some(2_503), Some(0))
    );
    let second = json!({"model": "echo", "max_tokens": 9, "system": system, "messages": [{"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]});
    let usage = demo("/v1/messages", Some("2026-10-21"), &second).1["usage"].clone();
    assert_eq!(
        (usage["cache_creation_input_tokens"].as_u64(), usage["cache_read_input_tokens"].as_u64()),
        (Some(0), Some(2_503))
    );
}

#[test]
fn the_journal_tells_arrivals_ends_and_cancellations() {
    let folder = std::env::temp_dir().join(format!("fake-provider-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("journal.jsonl");
    let mock =
        Mock::start_with(MockOptions { journal: Some(file.clone()), ..MockOptions::default() })
            .unwrap();
    assert!(
        exchange(&mock, "/v1/chat/completions", "x-request-id: one\r\n", &chat("hi"))
            .contains("200 OK")
    );
    let mut leaver = connect(&mock);
    send(&mut leaver, "/v1/chat/completions", "x-mock: {\"hold\":true}\r\n", &chat("never"));
    assert!(mock.wait_for("held", 1, PATIENCE));
    drop(leaver);
    assert!(mock.wait_for("cancelled", 1, PATIENCE));
    drop(mock);
    let lines: Vec<Value> = std::fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    std::fs::remove_dir_all(&folder).unwrap();
    let events: Vec<_> =
        lines.iter().map(|l| (l["ev"].as_str().unwrap(), l["n"].as_u64().unwrap())).collect();
    assert_eq!(events, [("arrive", 1), ("done", 1), ("arrive", 2), ("cancelled", 2)]);
    assert_eq!(lines[0]["ids"]["x-request-id"], "one");
}

#[test]
fn held_answers_go_when_released() {
    let mock = Mock::start().unwrap();
    mock.rule(&json!({"do": {"hold": true}})).unwrap();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = connect(&mock);
            send(&mut stream, "/v1/chat/completions", "", &chat("x"));
            stream
        })
        .collect();
    assert!(mock.wait_for("held", 20, PATIENCE));
    assert_eq!(mock.count("done"), 0);
    mock.release(None);
    for mut stream in waiting {
        let mut out = String::new();
        stream.read_to_string(&mut out).unwrap();
        assert!(out.starts_with("HTTP/1.1 200 OK"));
    }
}

#[test]
fn each_fault_is_what_its_name_says() {
    let mock = Mock::start().unwrap();
    let streamed = json!({"model": "lorem", "stream": true, "messages": [{"role": "user", "content": "40 words"}]});
    let play = |what: &Value| {
        exchange(&mock, "/v1/chat/completions", &format!("x-mock: {what}\r\n"), &streamed)
    };
    let whole = play(&json!({}));
    assert!(whole.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"));
    assert_eq!(play(&json!("rst")), "");
    assert_eq!(play(&json!("close")), "");
    let cut = play(&json!({"fault": "cut", "at": 1_000}));
    assert!(cut.contains("200 OK") && !cut.contains("0\r\n\r\n"));
    assert!(!play(&json!({"missing_done": true})).contains("[DONE]"));
    assert!(play(&json!({"error_first": true})).contains("data: {\"error\""));
    assert!(play(&json!({"error_after": 3})).contains("data: {\"error\""));
    assert!(play(&json!("html_200")).contains("<!doctype html>"));
    assert!(play(&json!({"status": 429, "retry_after": "2"})).contains("retry-after: 2\r\n"));
    assert!(play(&json!("no_such_fault")).contains("400 Bad Request"));
    assert!(
        play(&json!({"fault": "flood_1xx", "count": 5})).matches("103 Early Hints").count() == 5
    );
    let split = play(&json!({"split": 1}));
    assert!(split.contains("\r\n1\r\n{\r\n"));
}

#[test]
fn a_closed_listener_refuses_and_an_opened_one_serves_on_the_same_port() {
    let mock = Mock::start().unwrap();
    mock.accept(false, true);
    // Closing is another thread's work: wait for the fact.
    let until = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect(mock.addr()).is_ok() {
        assert!(std::time::Instant::now() < until);
    }
    mock.accept(true, false);
    while TcpStream::connect(mock.addr()).is_err() {
        assert!(std::time::Instant::now() < until);
    }
    assert!(exchange(&mock, "/v1/chat/completions", "", &chat("back")).contains("back"));
}

fn cohere(body: &Value) -> (u16, Value) {
    demo("/v2/chat", None, body)
}

#[test]
fn cohere_bills_what_it_was_given_and_not_what_it_added() {
    let body = json!({"model": "echo", "stream": false, "messages": [{"role": "user", "content": "hello there"}]});
    let (status, answer) = cohere(&body);
    assert_eq!(status, 200);
    assert_eq!(answer["message"]["content"][0]["text"], "hello there");
    assert_eq!(answer["finish_reason"], "COMPLETE");
    let usage = &answer["usage"];
    assert_eq!(usage["billed_units"], json!({"input_tokens": 9.0, "output_tokens": 3.0}));
    assert_eq!(usage["tokens"]["input_tokens"], 69.0);
}

#[test]
fn cohere_refuses_what_the_real_one_refuses() {
    // The reference calls `stream` required, and the Vercel AI SDK leaves it out.
    let good = json!({"model": "echo", "messages": [{"role": "user", "content": "x"}]});
    assert_eq!(cohere(&good).0, 200);
    let tool =
        json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    let call =
        json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let user = json!({"role": "user", "content": "x"});
    let bad = [
        json!({"stream": "yes"}),
        json!({"model": "nope"}),
        json!({"top_p": 0.5}),
        json!({"p": 1.0}),
        json!({"frequency_penalty": 0.5, "presence_penalty": 0.5}),
        json!({"seed": -1}),
        json!({"stop_sequences": ["a", "b", "c", "d", "e", "f"]}),
        json!({"tools": [tool], "tool_choice": "auto"}),
        json!({"tool_choice": "REQUIRED"}),
        json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
        json!({"tools": [tool], "response_format": {"type": "json_object"}}),
        json!({"documents": ["x"], "response_format": {"type": "json_object"}}),
        json!({"thinking": {"type": "enabled", "token_budget": 0}}),
        json!({"messages": []}),
        json!({"messages": [{"role": "user", "content": ""}]}),
        json!({"messages": [user, {"role": "system", "content": "x"}]}),
        json!({"messages": [user, {"role": "assistant", "tool_calls": [call]}]}),
        json!({"messages": [user, {"role": "tool", "tool_call_id": "c9", "content": "y"}]}),
    ];
    for more in bad {
        let mut body = good.clone();
        let fields = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let (status, error) = cohere(&body);
        assert!(status >= 400, "{more}");
        assert!(error["message"].is_string() && error.get("error").is_none(), "{error}");
    }
    let (status, error) = demo("/v2/nothing", None, &good);
    assert_eq!((status, error["message"].is_string()), (404, true));
}

#[test]
fn cohere_says_its_plan_when_it_is_asked_for_one_and_streams_by_named_events() {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}});
    let mut body = json!({"model": "tools", "stream": false, "tools": [tool],
        "messages": [{"role": "user", "content": "say your plan"}]});
    let message = &cohere(&body).1["message"];
    assert_eq!(message["tool_plan"], "I will call f.");
    assert_eq!(
        (message.get("content"), &message["tool_calls"][0]["function"]["arguments"]),
        (None, &json!("{}"))
    );
    body["stream"] = json!(true);
    let mock = Mock::start().unwrap();
    let out = exchange(&mock, "/v2/chat", "", &body);
    let events = [
        "message-start",
        "tool-plan-delta",
        "tool-call-start",
        "tool-call-delta",
        "tool-call-end",
        "message-end",
    ];
    let mut order: Vec<&str> =
        out.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    order.dedup();
    assert_eq!(order, events, "{out}");
}

#[test]
fn cohere_embeds_texts() {
    let body = json!({"model": "embed", "texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["float"]});
    let (status, answer) = demo("/v2/embed", None, &body);
    assert_eq!(status, 200);
    assert_eq!(answer["embeddings"]["float"].as_array().unwrap().len(), 2);
    assert_eq!(answer["meta"]["billed_units"]["input_tokens"], 2.0);
    let untyped = json!({"model": "embed", "texts": ["a"]});
    assert_eq!(demo("/v2/embed", None, &untyped).0, 400);
}

fn oracle(path: &str, asked: &Value) -> (u16, Value) {
    let mut body = json!({"compartmentId": "ocid1.compartment.oc1..a",
        "servingMode": {"servingType": "ON_DEMAND", "modelId": "meta.llama/echo"}});
    for (name, value) in asked.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    demo(&format!("/20231130/actions/{path}"), None, &body)
}

fn oracle_user(text: &str) -> Value {
    json!([{"role": "USER", "content": [{"type": "TEXT", "text": text}]}])
}

#[test]
fn oracle_echoes_in_each_of_its_formats_and_counts_alike() {
    let (status, openai) = demo("/v1/chat/completions", None, &chat("hello there"));
    assert_eq!(status, 200);
    let generic = json!({"apiFormat": "GENERIC", "messages": oracle_user("hello there")});
    let (status, answer) = oracle("chat", &json!({"chatRequest": generic}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["modelId"], "meta.llama/echo");
    let chat = &answer["chatResponse"];
    assert_eq!(chat["choices"][0]["message"]["content"][0]["text"], "hello there");
    assert_eq!(chat["usage"]["promptTokens"], openai["usage"]["prompt_tokens"]);
    assert_eq!(chat["usage"]["completionTokens"], openai["usage"]["completion_tokens"]);

    let mode = json!({"servingType": "ON_DEMAND", "modelId": "cohere.command/echo"});
    let cohere = json!({"apiFormat": "COHEREV2", "messages": oracle_user("hello there")});
    let (_, answer) = oracle("chat", &json!({"servingMode": mode, "chatRequest": cohere}));
    assert_eq!(answer["chatResponse"]["message"]["content"][0]["text"], "hello there");
    let first = json!({"apiFormat": "COHERE", "message": "hello there"});
    let (_, answer) = oracle("chat", &json!({"servingMode": mode, "chatRequest": first}));
    assert_eq!(answer["chatResponse"]["text"], "hello there");
    let mismatched = json!({"servingMode": mode, "chatRequest": generic});
    assert_eq!(oracle("chat", &mismatched).0, 400);
}

#[test]
fn oracle_gives_twenty_tokens_where_nothing_is_said() {
    let mode = json!({"servingType": "ON_DEMAND", "modelId": "lorem"});
    let asked = |more: Value| {
        let mut chat = json!({"apiFormat": "GENERIC", "messages": oracle_user("50 words")});
        chat["maxTokens"] = more;
        let (_, answer) = oracle("chat", &json!({"servingMode": mode, "chatRequest": chat}));
        let chat = &answer["chatResponse"];
        (chat["usage"]["completionTokens"].clone(), chat["choices"][0]["finishReason"].clone())
    };
    assert_eq!(asked(Value::Null), (json!(20), json!("length")));
    assert_eq!(asked(json!(100)), (json!(50), json!("stop")));
}

#[test]
fn oracle_refuses_what_the_real_one_refuses() {
    let user = oracle_user("x");
    let asked = |more: Value| {
        let mut chat = json!({"apiFormat": "GENERIC", "messages": user});
        for (name, value) in more.as_object().into_iter().flatten() {
            chat[name] = value.clone();
        }
        json!({"chatRequest": chat})
    };
    let schema =
        |more: Value| json!({"responseFormat": {"type": "JSON_SCHEMA", "jsonSchema": more}});
    let good = json!({"name": "x", "schema": {"type": "object"}, "isStrict": true});
    assert_eq!(oracle("chat", &asked(schema(good))).0, 200);
    for bad in [
        asked(schema(json!({"name": "x", "schema": {"type": "object"}, "strict": true}))),
        asked(json!({"temperature": 3})),
        asked(json!({"max_tokens": 5})),
        asked(json!({"reasoningEffort": "low"})),
        asked(json!({"messages": [{"role": "user", "content": [{"type": "TEXT", "text": "x"}]}]})),
        asked(json!({"messages": [{"role": "USER", "content": "x"}]})),
        asked(
            json!({"tools": [{"type": "FUNCTION", "function": {"name": "f", "parameters": {}}}]}),
        ),
        asked(json!({"toolChoice": {"type": "REQUIRED"}})),
        json!({"compartmentId": null, "chatRequest": {"apiFormat": "GENERIC", "messages": user}}),
        json!({"servingMode": {"modelId": "echo"}, "chatRequest": {"apiFormat": "GENERIC", "messages": user}}),
        json!({"chatRequest": {"messages": user}}),
    ] {
        let (status, answer) = oracle("chat", &bad);
        assert_eq!(status, 400, "{bad}");
        assert!(answer["code"].is_string() && answer["message"].is_string(), "{answer}");
    }
    let mode = json!({"servingType": "ON_DEMAND", "modelId": "meta.none"});
    let (status, answer) = oracle("chat", &json!({"servingMode": mode, "chatRequest": {}}));
    assert_eq!((status, &answer["code"]), (404, &json!("404")));
    let mode = json!({"servingType": "ON_DEMAND", "modelId": "openai.gpt-5/echo"});
    let old = json!({"apiFormat": "GENERIC", "messages": user, "maxTokens": 50});
    assert_eq!(oracle("chat", &json!({"servingMode": mode, "chatRequest": old})).0, 400);
}

#[test]
fn oracle_embeds_texts() {
    let asked = json!({"inputs": ["a", "b"], "inputType": "SEARCH_QUERY", "outputDimensions": 256});
    let (status, answer) = oracle("embedText", &asked);
    assert_eq!(status, 200, "{answer}");
    let lengths: Vec<usize> = answer["embeddings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_array().unwrap().len())
        .collect();
    assert_eq!(lengths, [256, 256]);
    assert_eq!(answer["usage"]["promptTokens"], 2);
    assert_eq!(oracle("embedText", &json!({"inputs": ["a"], "outputDimensions": 300})).0, 400);
    assert_eq!(oracle("embedText", &json!({"inputs": ["a"], "inputType": "search_query"})).0, 400);
}

#[test]
fn oracle_takes_only_what_its_user_signs() {
    let (user, _) = OciUser::generate().unwrap();
    let demo = Demo::new(DemoOptions { oci_user: Some(user), ..DemoOptions::default() });
    let headers = [("content-type", "application/json"), ("opc-request-id", "mine")];
    let path = "/20231130/actions/chat";
    let reply = demo.respond(&Call { method: "POST", path, headers: &headers, body: b"{}" });
    assert_eq!(reply.status, 401);
    let Body::Whole(body) = reply.body else { panic!("comes at once") };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["code"], "NotAuthenticated");
    assert!(
        reply.headers.iter().any(|(name, it)| *name == "opc-request-id" && it.starts_with("mine/"))
    );
}
