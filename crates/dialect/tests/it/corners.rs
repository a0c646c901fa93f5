//! Single corners of the translation (protocols C1 and C2), each with what is said about it.

use dialect::{BadAnswer, DialectId, Exchange, Incoming, Quirks, dialect as find};
use serde_json::{Value, json};

use crate::support::{
    NEW, OLD, asked, context, events, fixtures, read_request, target, write_request, written,
};

fn read(id: DialectId, body: &Value) -> Exchange {
    find(id).read_request(&Incoming::new(body.to_string().as_bytes(), &())).expect("a good request")
}

/// Generation that failed in the middle is no answer and no clean end, whatever word the host has for it.
#[test]
fn an_answer_that_ended_in_an_error_is_none() {
    for word in ["error", "abort"] {
        let choice = json!({"index": 0, "message": {"content": "Half"}, "delta": {"content": "Half"},
            "finish_reason": word});
        let body = json!({"choices": [choice]});
        let answer = find(DialectId::OpenaiChat).read_answer(body.to_string().as_bytes());
        assert!(matches!(answer, Err(BadAnswer::Fault(_))), "{word}: {answer:?}");
        let stream = format!("data: {body}\n\ndata: [DONE]\n\n");
        let (events, result) = events(DialectId::OpenaiChat, [stream.as_bytes()]);
        assert!(result.is_err(), "{word}");
        let text = written(DialectId::AnthropicMessages, &events);
        assert!(text.contains("Half") && !text.contains("message_stop"), "{text}");
    }
}

/// Mistral's clients speak OpenAI's chat with words of their own, and ask for other vendors' models too.
#[test]
fn mistrals_words_are_read() {
    let image = json!({"type": "image_url", "image_url": "data:image/png;base64,iVBORw0KGgo="});
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let request = json!({"model": "m", "random_seed": 7, "tools": [tool], "tool_choice": "any",
        "messages": [{"role": "user", "content": [image,
            {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERi0xLjQ="},
            {"type": "document_url", "document_url": "https://example.org/a.pdf"}]}]});
    let exchange = read(DialectId::OpenaiChat, &request);
    let (body, _, loss) =
        write_request(DialectId::Gemini, &exchange, &target(&Quirks::default(), NEW));
    let parts = &body["contents"][0]["parts"];
    let inline = json!({"mimeType": "application/pdf", "data": "JVBERi0xLjQ="});
    assert_eq!(parts[1]["inlineData"], inline);
    assert_eq!(parts[2]["fileData"]["fileUri"], "https://example.org/a.pdf");
    assert_eq!(body["generationConfig"]["seed"], 7);
    assert_eq!(body["toolConfig"]["functionCallingConfig"]["mode"], "ANY");
    let inline = json!({"mimeType": "image/png", "data": "iVBORw0KGgo="});
    assert_eq!(body["contents"][0]["parts"][0]["inlineData"], inline);
    assert!(loss.is_empty(), "{loss}");
}

/// What a reseller says another vendor signed goes back to that reseller through a Messages client, unchanged, and to
/// nobody else.
#[test]
fn foreign_signatures_find_their_way_back_and_nowhere_else() {
    let (chat, messages) = (DialectId::OpenaiChat, DialectId::AnthropicMessages);
    let body = fixtures(chat, "answer").into_iter().find(|(name, _)| name == "resold");
    let answer = find(chat).read_answer(&body.expect("fixture").1).expect("good");
    let exchange = asked(messages);
    let shown = find(messages).write_answer(&answer, &context(&exchange));
    let shown: Value = serde_json::from_slice(&shown).expect("JSON");
    let call = &shown["content"][2]["id"];
    let request = json!({"model": "m", "max_tokens": 9000, "thinking": {"type": "adaptive"}, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": shown["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": "1"}]},
    ]});
    let exchange = read(messages, &request);
    let quirks = Quirks::from_words(["reasoning_details"]).expect("words");
    let (body, _, loss) = write_request(chat, &exchange, &target(&quirks, NEW));
    let turn = &body["messages"][1];
    assert_eq!(
        turn["reasoning_details"],
        json!([
            {"type": "reasoning.text", "index": 0, "text": "One place."},
            {"type": "reasoning.encrypted", "format": "google-gemini-v1", "index": 1, "data": "Zm9yZWlnbg=="},
        ])
    );
    // So does the call's id, which this model's own template reads.
    assert_eq!(turn["tool_calls"][0]["id"], "functions.weather:0");
    assert_eq!(body["messages"][2]["tool_call_id"], "functions.weather:0");
    assert!(!loss.to_string().contains("signature"), "{loss}");

    let (body, _, _) = write_request(messages, &exchange, &target(&quirks, NEW));
    let turn = body["messages"][1]["content"].as_array().expect("blocks");
    assert_eq!(turn.iter().map(|block| &block["type"]).collect::<Vec<_>>(), ["tool_use"]);
}

/// Corners of single hosts, each said.
#[test]
fn what_a_host_lacks_is_noted() {
    let noted = |from: DialectId, body: Value, to: DialectId, words: &[&str]| {
        let exchange = read(from, &body);
        let quirks = Quirks::from_words(words.iter().copied()).expect("words");
        write_request(to, &exchange, &target(&quirks, OLD)).2.to_string()
    };
    let (chat, messages) = (DialectId::OpenaiChat, DialectId::AnthropicMessages);
    let function = json!({"type": "function", "function": {"name": "f"}});
    let user = json!([{"role": "user", "content": "x"}]);
    let one_at_a_time = json!({"model": "m", "messages": user, "max_tokens": 5, "tools": [function],
        "parallel_tool_calls": false});
    assert_eq!(
        noted(chat, one_at_a_time, messages, &["no_messages_tool_choice"]),
        "parallel_tool_calls=dropped"
    );
    let both = json!({"model": "m", "messages": user, "max_tokens": 9000,
        "thinking": {"type": "enabled", "budget_tokens": 2000}, "output_config": {"effort": "high"}});
    assert_eq!(noted(messages, both, chat, &[]), "thinking.budget_tokens=approximated");
    let obfuscated = json!({"model": "m", "messages": user, "max_tokens": 5, "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": true}});
    assert_eq!(noted(chat, obfuscated, messages, &[]), "unknown_fields=dropped");
    let plain = json!({"model": "m", "messages": user, "max_tokens": 5, "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false}});
    assert_eq!(noted(chat, plain, messages, &[]), "");
}

/// What SDKs send back of an answer as it came is nothing new.
#[test]
fn an_answer_in_the_history_is_no_loss() {
    let (chat, messages) = (DialectId::OpenaiChat, DialectId::AnthropicMessages);
    let dumped = json!({"role": "assistant", "content": "Hello.", "refusal": null, "annotations": [], "audio": null,
        "function_call": null, "tool_calls": [{"id": "call_1", "type": "function", "index": 0,
            "function": {"name": "f", "arguments": "{}"}}]});
    let body = json!({"model": "m", "max_tokens": 5, "messages": [
        {"role": "user", "content": "x"}, dumped,
        {"role": "tool", "tool_call_id": "call_1", "content": "1", "name": "f"},
    ], "tools": [{"type": "function", "function": {"name": "f"}}]});
    let exchange = read(chat, &body);
    assert_eq!(exchange.unknown, [""; 0]);
    let quirks = Quirks::default();
    let (_, _, loss) = write_request(messages, &exchange, &target(&quirks, OLD));
    assert_eq!(loss.to_string(), "");

    let dumped = json!([{"type": "text", "text": "Hello.", "citations": null},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "caller": {"type": "direct"}}]);
    let result = json!([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "1"}]);
    let body = json!({"model": "m", "max_tokens": 5, "messages": [
        {"role": "user", "content": "x"}, {"role": "assistant", "content": dumped}, {"role": "user", "content": result},
    ], "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    let exchange = read(messages, &body);
    assert_eq!(exchange.unknown, [""; 0]);
    let (_, _, loss) = write_request(chat, &exchange, &target(&quirks, OLD));
    assert_eq!(loss.to_string(), "");
}

/// Anthropic's strict mode takes optional properties, OpenAI's refuses the request: there the schema guides, and the
/// client is told. One that both take stays strict.
#[test]
fn strict_is_sent_where_the_schema_allows_it() {
    let (chat, messages) = (DialectId::OpenaiChat, DialectId::AnthropicMessages);
    for (required, is_strict) in [(json!(["a", "b"]), true), (json!(["a"]), false)] {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "required": required, "additionalProperties": false});
        let request = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
            "tools": [{"name": "f", "input_schema": schema, "strict": true}],
            "output_config": {"format": {"type": "json_schema", "schema": schema}}});
        let (body, _, loss) =
            write_request(chat, &read(messages, &request), &target(&Quirks::default(), NEW));
        let strict = if is_strict { json!(true) } else { Value::Null };
        assert_eq!(body["tools"][0]["function"]["strict"], strict);
        assert_eq!(body["tools"][0]["function"]["parameters"], schema);
        assert_eq!(body["response_format"]["json_schema"]["strict"], strict);
        assert_eq!(body["response_format"]["json_schema"]["schema"], schema);
        let said = loss.to_string();
        assert_eq!(said.contains("tools[].strict"), !is_strict, "{said}");
        assert_eq!(said.contains("output_config.format.schema"), !is_strict, "{said}");
    }
}

/// The provider answers 400 to a text of white space alone; chat hosts take it.
#[test]
fn blank_text_is_not_sent_to_messages() {
    let request = json!({"model": "m", "messages": [
        {"role": "system", "content": " "},
        {"role": "user", "content": [{"type": "text", "text": "\n"}, {"type": "text", "text": "x"}]},
        {"role": "assistant", "content": "\t"},
        {"role": "user", "content": "y"},
    ]});
    let exchange = read(DialectId::OpenaiChat, &request);
    let (body, ..) =
        write_request(DialectId::AnthropicMessages, &exchange, &target(&Quirks::default(), NEW));
    assert_eq!(
        body["messages"].to_string(),
        json!([{"role": "user", "content":
        [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}])
        .to_string()
    );
    assert_eq!(body.get("system"), None);
}

#[test]
fn models_are_listed_with_the_fields_that_each_sdk_requires() {
    let row = dialect::ModelRow {
        id: "chat".to_owned(),
        created: 1_700_000_000,
        owned_by: "outrigger".to_owned(),
        display_name: "chat".to_owned(),
        max_input: Some(8_000),
        max_output: None,
    };
    let list = |id| -> Value {
        serde_json::from_slice(&find(id).write_models(std::slice::from_ref(&row))).unwrap()
    };
    let openai = list(DialectId::OpenaiChat);
    assert_eq!(openai["object"], "list");
    assert_eq!(openai["data"][0]["object"], "model");
    let anthropic = list(DialectId::AnthropicMessages);
    assert_eq!(anthropic["first_id"], "chat");
    assert_eq!(anthropic["data"][0]["created_at"], "2023-11-14T22:13:20.000Z");
    assert_eq!(anthropic["data"][0]["lifecycle"], "active");
    let cohere = list(DialectId::CohereChat);
    assert_eq!(
        (&cohere["models"][0]["name"], &cohere["models"][0]["context_length"]),
        (&json!("chat"), &json!(8_000))
    );
}

/// Pages that Cohere could never see are refused, not dropped; a text file goes as text.
#[test]
fn cohere_gets_text_and_no_pages() {
    let file = |data: &str| {
        json!({"model": "m", "messages": [{"role": "user", "content": [
            {"type": "file", "file": {"filename": "a.txt", "file_data": data}}]}]})
    };
    let (chat, cohere) = (DialectId::OpenaiChat, DialectId::CohereChat);
    let pages = read(chat, &file("data:application/pdf;base64,JVBERi0xLjQ="));
    let quirks = Quirks::default();
    let refused = find(cohere).write_request(
        &pages,
        &target(&quirks, NEW),
        &mut domain::LossReport::default(),
    );
    assert_eq!(refused.expect_err("refused").field, "messages[0].content");
    let text = read(chat, &file("data:text/plain;base64,d29yZHM="));
    let (body, _, loss) = write_request(cohere, &text, &target(&quirks, NEW));
    assert_eq!(body["messages"][0]["content"], "a.txt\n\nwords");
    assert_eq!(loss.to_string(), "messages[].content[].file=emulated");
}

/// What Cohere has beside the messages goes where other vendors have it, and comes back as it was.
#[test]
fn documents_of_cohere_stand_before_the_question() {
    let (cohere, messages) = (DialectId::CohereChat, DialectId::AnthropicMessages);
    let documents = json!(["The hut opens.", {"id": "hut", "data": {"title": "Hut", "snippet": "2,100 metres"}}]);
    let request = json!({"model": "m", "documents": documents, "messages": [
        {"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "And the hut?"}]});
    let exchange = read(cohere, &request);
    let quirks = Quirks::default();
    let (body, _, loss) = write_request(messages, &exchange, &target(&quirks, NEW));
    let said = &body["messages"][2]["content"];
    assert_eq!(said[0]["source"]["data"], "The hut opens.");
    assert_eq!((&said[1]["title"], &said[2]["text"]), (&json!("hut"), &json!("And the hut?")));
    assert_eq!(said[1]["source"]["data"], r#"{"title":"Hut","snippet":"2,100 metres"}"#);
    assert_eq!(loss.to_string(), "max_tokens=emulated");
    let (body, _, loss) = write_request(cohere, &exchange, &target(&quirks, NEW));
    assert_eq!((&body["documents"], loss.to_string().as_str()), (&documents, ""));
    assert_eq!(body["messages"], request["messages"]);
}

/// Where Cohere has no word for a choice, only what may be chosen is sent; formats and tools exclude each other there.
#[test]
fn choices_and_formats_that_cohere_has_no_word_for() {
    let (chat, cohere) = (DialectId::OpenaiChat, DialectId::CohereChat);
    let function =
        |name: &str| json!({"type": "function", "function": {"name": name, "strict": true}});
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "tools": [function("a"), function("b")],
        "tool_choice": {"type": "function", "function": {"name": "b"}}});
    let quirks = Quirks::default();
    let (body, _, loss) = write_request(cohere, &read(chat, &request), &target(&quirks, NEW));
    assert_eq!(body["tools"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&body["tools"][0]["function"]["name"], &body["tool_choice"]),
        (&json!("b"), &json!("REQUIRED"))
    );
    assert_eq!(body["strict_tools"], true);
    assert_eq!(loss.to_string(), "tool_choice.allowed_tools=emulated");

    request["tool_choice"] = json!("none");
    request["response_format"] = json!({"type": "json_object"});
    let (body, _, loss) = write_request(cohere, &read(chat, &request), &target(&quirks, NEW));
    assert_eq!((&body["tool_choice"], body.get("response_format")), (&json!("NONE"), None));
    assert_eq!(body["messages"][0]["role"], "system");
    assert_eq!(loss.to_string(), "response_format=approximated");
}

/// The ranges of Cohere's numbers, and one penalty of two.
#[test]
fn numbers_are_kept_within_coheres_ranges() {
    let (chat, cohere) = (DialectId::OpenaiChat, DialectId::CohereChat);
    let written = |more: Value| {
        let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
        request.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        let (body, _, loss) =
            write_request(cohere, &read(chat, &request), &target(&Quirks::default(), NEW));
        (body, loss.to_string())
    };
    let (body, loss) = written(json!({"top_p": 1, "top_k": 900, "seed": -1}));
    assert_eq!((&body["p"], &body["k"], body.get("seed")), (&json!(0.99), &json!(500), None));
    assert_eq!(loss, "seed=dropped");
    let (body, loss) = written(json!({"frequency_penalty": 0.5, "presence_penalty": 0.5}));
    assert_eq!((&body["frequency_penalty"], body.get("presence_penalty")), (&json!(0.5), None));
    assert_eq!(loss, "presence_penalty=dropped");
    let (body, loss) = written(json!({"frequency_penalty": -1.0, "presence_penalty": 0.5}));
    assert_eq!((body.get("frequency_penalty"), &body["presence_penalty"]), (None, &json!(0.5)));
    assert_eq!(loss, "frequency_penalty=dropped");
}

/// Fields of Cohere's that ask for what is so anyway elsewhere are no loss; others are.
#[test]
fn what_only_cohere_has_is_told_when_it_is_missed() {
    let cohere = DialectId::CohereChat;
    let noted = |more: Value| {
        let mut request =
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
        request.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        let exchange = read(cohere, &request);
        write_request(DialectId::OpenaiChat, &exchange, &target(&Quirks::default(), NEW))
            .2
            .to_string()
    };
    assert_eq!(noted(json!({"citation_options": {"mode": "OFF"}, "priority": 0, "k": 0})), "");
    assert_eq!(noted(json!({"safety_mode": "STRICT"})), "safety_mode=dropped");
    assert_eq!(noted(json!({"citation_options": {"mode": "FAST"}})), "citation_options=dropped");
}

/// A Cohere client that did not ask for reasoning finds the text first.
#[test]
fn reasoning_is_not_pushed_on_a_cohere_client() {
    let (chat, cohere) = (DialectId::OpenaiChat, DialectId::CohereChat);
    let body = json!({"choices": [{"finish_reason": "stop",
        "message": {"content": "Bern.", "reasoning_content": "Where?"}}]});
    let answer = find(chat).read_answer(body.to_string().as_bytes()).expect("good");
    let shown = |exchange: &Exchange| -> Value {
        let body = find(cohere).write_answer(&answer, &context(exchange));
        serde_json::from_slice(&body).expect("JSON")
    };
    let mut exchange = asked(cohere);
    assert_eq!(shown(&exchange)["message"]["content"][0]["thinking"], "Where?");
    exchange.reasoning.thinking = None;
    assert_eq!(shown(&exchange)["message"]["content"], json!([{"type": "text", "text": "Bern."}]));
    assert_eq!(shown(&exchange)["id"], "00000000-0000-7000-8000-000000000001");
}

/// A client's turn made of what a response said, with the results of its calls.
fn sent_back(shown: &Value) -> Value {
    let mut input = vec![json!({"role": "user", "content": "x"})];
    for item in shown["output"].as_array().expect("items") {
        input.push(item.clone());
    }
    for item in shown["output"].as_array().expect("items") {
        let kind = item["type"].as_str().expect("a type");
        if kind.ends_with("_call") {
            input.push(json!({"type": format!("{kind}_output"), "call_id": item["call_id"], "output": "1"}));
        }
    }
    json!({"model": "m", "input": input, "tools": [{"type": "custom", "name": "shell"}]})
}

/// A Responses client that returns the items it got gives Anthropic its signed thinking back, from a whole answer and
/// from a stream; a provider of its own dialect gets nothing of it.
#[test]
fn signed_thinking_survives_a_responses_client() {
    let (responses, messages) = (DialectId::OpenaiResponses, DialectId::AnthropicMessages);
    let of = |kind| {
        fixtures(messages, kind).into_iter().find(|(name, _)| name == "tools").expect("fixture").1
    };
    let answer = find(messages).read_answer(&of("answer")).expect("good");
    let whole = find(responses).write_answer(&answer, &context(&asked(responses)));
    let whole: Value = serde_json::from_slice(&whole).expect("JSON");
    let stream = of("stream");
    let (events, _) = events(messages, [stream.as_slice()]);
    let text = written(responses, &events);
    let last = text.rsplit("data: ").next().expect("an event");
    let last: Value = serde_json::from_str(last).expect("JSON");
    for shown in [&whole, &last["response"]] {
        let exchange = read(responses, &sent_back(shown));
        let quirks = Quirks::default();
        let (body, _, loss) = write_request(messages, &exchange, &target(&quirks, NEW));
        let turn = &body["messages"][1]["content"];
        assert_eq!(
            turn[0],
            json!({"type": "thinking", "thinking": "Two places.", "signature": "c2lnbmVk"})
        );
        assert_eq!(turn[1], json!({"type": "redacted_thinking", "data": "c2VjcmV0"}));
        assert_eq!(turn[2]["type"], "text");
        assert!(!loss.to_string().contains("encrypted_content"), "{loss}");

        let (body, _, loss) = write_request(responses, &exchange, &target(&quirks, NEW));
        assert!(!body["input"].to_string().contains("reasoning"), "{body}");
        assert!(loss.to_string().contains("input[].encrypted_content=dropped"), "{loss}");
    }
}

/// The other way round: what a Responses provider encrypted travels through clients of the other dialects and comes back
/// under its own id.
#[test]
fn encrypted_reasoning_survives_other_clients() {
    let responses = DialectId::OpenaiResponses;
    let body = fixtures(responses, "answer").into_iter().find(|(name, _)| name == "tools");
    let answer = find(responses).read_answer(&body.expect("fixture").1).expect("good");
    let expected = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Two places.\n\nTwo calls."}],
            "encrypted_content": "gAAAAABvcGVuYWk="},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAAABzZWNyZXQ="},
    ]);
    for client in [DialectId::OpenaiChat, DialectId::AnthropicMessages] {
        let shown = find(client).write_answer(&answer, &context(&asked(client)));
        let shown: Value = serde_json::from_slice(&shown).expect("JSON");
        let result = |id: &str| match client {
            DialectId::OpenaiChat => json!({"role": "tool", "tool_call_id": id, "content": "1"}),
            _ => {
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "1"}]})
            }
        };
        let turn = match client {
            DialectId::OpenaiChat => shown["choices"][0]["message"].clone(),
            _ => json!({"role": "assistant", "content": shown["content"]}),
        };
        let request = json!({"model": "m", "max_tokens": 9000, "messages": [{"role": "user", "content": "x"}, turn,
            result("call_1"), result("call_2"), result("call_3")]});
        let exchange = read(client, &request);
        let quirks = Quirks::default();
        let (body, _, loss) = write_request(responses, &exchange, &target(&quirks, NEW));
        let items = body["input"].as_array().expect("items");
        let reasoning: Vec<&Value> = items.iter().filter(|it| it["type"] == "reasoning").collect();
        assert_eq!(json!(reasoning), expected, "{client:?}");
        assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
        assert!(!loss.to_string().contains("signature"), "{loss}");

        // And no other vendor is given it.
        let (body, _, _) =
            write_request(DialectId::AnthropicMessages, &exchange, &target(&quirks, NEW));
        assert!(!body.to_string().contains("gAAAA"), "{body}");
    }
}

/// Input that only its vendor holds is never left out.
#[test]
fn kept_state_is_refused_where_it_would_be_translated() {
    let responses = DialectId::OpenaiResponses;
    let refused = |body: Value| {
        find(responses)
            .read_request(&Incoming::new(body.to_string().as_bytes(), &()))
            .expect_err("refused")
    };
    let user = json!({"role": "user", "content": "x"});
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("background", json!(true)),
        ("prompt", json!({"id": "pmpt_1"})),
    ] {
        let error = refused(json!({"model": "m", "input": "x", field: value}));
        assert_eq!(error.field, field);
    }
    for item in [
        json!({"type": "item_reference", "id": "msg_1"}),
        json!({"id": "msg_1"}),
        json!({"type": "compaction", "encrypted_content": "gAAAA"}),
    ] {
        assert_eq!(refused(json!({"model": "m", "input": [user, item]})).field, "input[1]");
    }
}

/// What Codex 0.169 sends: tools and fields that nobody else knows, no instructions.
#[test]
fn an_agents_own_tools_are_left_out_and_said() {
    let responses = DialectId::OpenaiResponses;
    let body = json!({"model": "m", "stream": true, "store": false, "prompt_cache_key": "k",
        "include": ["reasoning.encrypted_content"], "client_metadata": {"window": "w"},
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        "tools": [{"type": "namespace", "name": "n", "tools": []}, {"type": "web_search", "external_web_access": false},
            {"type": "function", "name": "f", "strict": false, "parameters": {"type": "object", "properties": {}}}],
        "tool_choice": "auto", "parallel_tool_calls": true, "reasoning": {"effort": "medium", "summary": "auto"}});
    let exchange = read(responses, &body);
    assert_eq!(exchange.unknown, [""; 0]);
    for to in [DialectId::OpenaiChat, DialectId::AnthropicMessages] {
        let quirks = Quirks::default();
        let (written, _, loss) = write_request(to, &exchange, &target(&quirks, OLD));
        assert_eq!(written["tools"].as_array().map(Vec::len), Some(1));
        let told: Vec<&str> = loss.losses().iter().map(|loss| loss.field).collect();
        assert!(told.contains(&"tools[].type") && told.contains(&"client_metadata"), "{told:?}");
        assert!(!told.contains(&"include") && !told.contains(&"store"), "{told:?}");
    }
}

/// Codex lets its model know things in the shape of outputs that nobody called for.
#[test]
fn an_output_without_a_call_is_the_users_text() {
    let responses = DialectId::OpenaiResponses;
    let told = json!({"type": "function_call_output", "id": "fco_1", "name": "goal", "namespace": "agent", "output": "win"});
    let body = json!({"model": "m", "input": [{"role": "user", "content": "x"}, told]});
    let exchange = read(responses, &body);
    assert_eq!(exchange.unknown, [""; 0]);
    let (body, _, loss) =
        write_request(DialectId::OpenaiChat, &exchange, &target(&Quirks::default(), OLD));
    let expected =
        json!([{"type": "text", "text": "Output of agent.goal:"}, {"type": "text", "text": "win"}]);
    assert_eq!(body["messages"][1], json!({"role": "user", "content": expected}));
    assert_eq!(loss.to_string(), "");
}

/// What SDKs send back of a response as it came is nothing new.
#[test]
fn a_response_in_the_history_is_no_loss() {
    let (chat, responses) = (DialectId::OpenaiChat, DialectId::OpenaiResponses);
    let dumped = json!([
        {"role": "user", "content": "x"},
        {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "phase": null, "content": [
            {"type": "output_text", "text": "Hello.", "annotations": [], "logprobs": []}]},
        {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}", "status": "completed",
            "caller": {"type": "direct"}, "async": false, "namespace": null},
        {"type": "function_call_output", "call_id": "call_1", "output": "1", "id": null, "status": null},
    ]);
    let body = json!({"model": "m", "input": dumped, "tools": [{"type": "function", "name": "f"}]});
    let exchange = read(responses, &body);
    assert_eq!(exchange.unknown, [""; 0]);
    let (_, _, loss) = write_request(chat, &exchange, &target(&Quirks::default(), OLD));
    assert_eq!(loss.to_string(), "");
}

/// Log probabilities are the same tokens in both of OpenAI's shapes, whole and streamed.
#[test]
fn log_probabilities_pass_between_openais_dialects() {
    let (chat, responses) = (DialectId::OpenaiChat, DialectId::OpenaiResponses);
    let token = json!({"token": "I", "bytes": [73], "logprob": -0.5, "top_logprobs": []});
    let body = json!({"choices": [{"message": {"content": "I"}, "finish_reason": "stop",
        "logprobs": {"content": [token], "refusal": null}}]});
    let answer = find(chat).read_answer(body.to_string().as_bytes()).expect("good");
    let shown = find(responses).write_answer(&answer, &context(&asked(responses)));
    let shown: Value = serde_json::from_slice(&shown).expect("JSON");
    assert_eq!(shown["output"][0]["content"][0]["logprobs"], json!([token]));
    let answer = find(responses).read_answer(shown.to_string().as_bytes()).expect("good");
    assert_eq!(answer.choices[0].logprobs, Some(json!({"content": [token], "refusal": null})));

    let chunk = json!({"choices": [{"index": 0, "delta": {"content": "I"}, "finish_reason": "stop",
        "logprobs": {"content": [token], "refusal": null}}]});
    let stream = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    let text = written(responses, &events(chat, [stream.as_bytes()]).0);
    let (back, result) = events(responses, [text.as_bytes()]);
    assert_eq!(result, Ok(()));
    let logprobs = back.iter().find_map(|event| match event {
        dialect::StreamEvent::Logprobs { value, .. } => Some(value),
        _ => None,
    });
    assert_eq!(logprobs, Some(&json!({"content": [token], "refusal": null})));
}

/// Converse has no word for it: without tools none is called, unless the history needs them.
#[test]
fn converse_forbids_tools_by_leaving_them_out() {
    let (chat, converse) = (DialectId::OpenaiChat, DialectId::BedrockConverse);
    let function = json!({"type": "function", "function": {"name": "f"}});
    let user = json!({"role": "user", "content": "x"});
    let request = |messages: Value| json!({"model": "m", "messages": messages, "tools": [function], "tool_choice": "none"});
    let quirks = Quirks::default();
    let (body, _, loss) =
        write_request(converse, &read(chat, &request(json!([user]))), &target(&quirks, NEW));
    assert_eq!(body.get("toolConfig"), None);
    assert_eq!(loss.to_string(), "tool_choice=emulated");
    let call = json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function",
        "function": {"name": "f", "arguments": "{}"}}]});
    let result = json!({"role": "tool", "tool_call_id": "c", "content": "1"});
    let history = request(json!([user, call, result]));
    let (body, _, loss) = write_request(converse, &read(chat, &history), &target(&quirks, NEW));
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
    assert_eq!(body["toolConfig"].get("toolChoice"), None);
    assert_eq!(loss.to_string(), "tool_choice=dropped");
    // The provider refuses calls in the history without tools: one stands in.
    let bare = json!({"model": "m", "messages": [user, call, result]});
    let (body, ..) = write_request(converse, &read(chat, &bare), &target(&quirks, NEW));
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
}

/// What only a vendor's own place or another format holds is refused, never dropped: the model would answer about a
/// picture that it did not see.
#[test]
fn converse_takes_inline_media_of_its_own_formats_only() {
    let part = |part: Value| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": [part]}]});
        let exchange = read(DialectId::OpenaiChat, &body);
        let mut loss = domain::LossReport::default();
        let quirks = Quirks::default();
        let target = target(&quirks, NEW);
        find(DialectId::BedrockConverse).write_request(&exchange, &target, &mut loss)
    };
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    for refused in [
        image("https://pictures.example/alps.jpg"),
        image("data:image/tiff;base64,AA=="),
        json!({"type": "file", "file": {"file_id": "file-1"}}),
        json!({"type": "file", "file": {"filename": "a.zip", "file_data": "data:application/zip;base64,AA=="}}),
    ] {
        assert_eq!(part(refused).expect_err("refused").field, "messages[0].content");
    }
    for taken in [image("data:image/webp;base64,AA=="), image("s3://bucket/alps.png")] {
        assert!(part(taken).is_ok());
    }
}

/// Names of documents are fitted, and no name comes twice: the provider refuses both.
#[test]
fn converse_gets_names_that_it_takes() {
    let file = |name: &str| json!({"type": "file", "file": {"filename": name, "file_data": "data:application/pdf;base64,JVBERi0="}});
    let content =
        json!([file("a_b.pdf"), file("a b.pdf"), file("a b 2.pdf"), {"type": "text", "text": "x"}]);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
    let quirks = Quirks::default();
    let exchange = read(DialectId::OpenaiChat, &body);
    let (body, ..) = write_request(DialectId::BedrockConverse, &exchange, &target(&quirks, NEW));
    let blocks = body["messages"][0]["content"].as_array().expect("blocks");
    let names: Vec<&str> =
        blocks.iter().filter_map(|it| it.pointer("/document/name")?.as_str()).collect();
    assert_eq!(names, ["a b", "a b 2", "a b 2 2"]);
}

/// Reasoning of another vendor passes through AWS's SDKs, which take it for base64.
#[test]
fn opaque_reasoning_survives_a_converse_client() {
    let (responses, converse) = (DialectId::OpenaiResponses, DialectId::BedrockConverse);
    let body = fixtures(responses, "answer").into_iter().find(|(name, _)| name == "tools");
    let answer = find(responses).read_answer(&body.expect("fixture").1).expect("good");
    let shown = find(converse).write_answer(&answer, &context(&asked(converse)));
    let shown: Value = serde_json::from_slice(&shown).expect("JSON");
    let content = &shown["output"]["message"]["content"];
    let user = json!({"role": "user", "content": [{"text": "x"}]});
    let request = json!({"messages": [user, {"role": "assistant", "content": content}, user]});
    let request = request.to_string();
    let exchange = read_request(converse, request.as_bytes());
    let opaque = |parts: &[dialect::exchange::Part]| {
        let data = parts.iter().filter_map(|part| match &part.kind {
            dialect::exchange::PartKind::Redacted(data) => Some(data.clone()),
            _ => None,
        });
        data.collect::<Vec<_>>()
    };
    let sent = opaque(&answer.choices[0].parts);
    assert!(!sent.is_empty());
    assert_eq!(opaque(&exchange.messages[1].parts), sent);
}

/// An error that ends a translated stream goes on counting; SDKs raise on its object, older ones read its fields.
#[test]
fn an_error_event_is_numbered_after_the_others() {
    let responses = DialectId::OpenaiResponses;
    let exchange = asked(responses);
    let mut writer = find(responses).stream_writer(&context(&exchange));
    let mut out = Vec::new();
    writer.event(&dialect::StreamEvent::Start { id: None, model: None, usage: None }, &mut out);
    let error = dialect::ClientError {
        code: "stream_interrupted",
        status: 502,
        message: "it broke off",
        fix: "try again",
        request_id: "req_1",
        provider: Some("acme"),
        attempts: 1,
        field: None,
        retry_after_ms: None,
    };
    out.extend(writer.error_event(&error).expect("of its own"));
    let text = String::from_utf8(out).expect("UTF-8");
    let events: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect();
    let numbers: Vec<u64> =
        events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, [0, 1, 2]);
    let last = &events[2];
    assert_eq!((&last["type"], &last["message"]), (&json!("error"), &json!("it broke off")));
    assert_eq!(last["error"]["message"], last["message"]);
    assert_eq!(last["error"]["outrigger"]["request_id"], "req_1");
}

/// A document that is text stays in the result that it came with, where the provider takes text there.
#[test]
fn a_text_document_in_a_result_stays_there() {
    let document = json!({"type": "document", "document": {"data": {"time": "noon"}}});
    let call =
        json!({"id": "c", "type": "function", "function": {"name": "clock", "arguments": "{}"}});
    let exchange = read(
        DialectId::CohereChat,
        &json!({"model": "m", "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": [document]},
        ]}),
    );
    let quirks = Quirks::default();
    let (body, ..) = write_request(DialectId::Gemini, &exchange, &target(&quirks, NEW));
    let parts = &body["contents"][2]["parts"];
    assert_eq!(parts.as_array().map(Vec::len), Some(1), "{parts}");
    assert_eq!(parts[0]["functionResponse"]["response"], json!({"time": "noon"}));
}

#[test]
fn an_error_after_a_forwarded_stream_is_numbered_after_its_events() {
    let options = dialect::TeeOptions { streamed: true, ..dialect::TeeOptions::default() };
    let mut tee = find(DialectId::OpenaiResponses).tee(domain::Endpoint::Chat, options);
    let mut out = smallvec::SmallVec::new();
    let number = |tee: &dyn dialect::Tee| {
        let error = dialect::ClientError {
            code: "stream_interrupted",
            status: 502,
            message: "it broke off",
            fix: "try again",
            request_id: "req_1",
            provider: None,
            attempts: 1,
            field: None,
            retry_after_ms: None,
        };
        let event = String::from_utf8(tee.error_event(&error).expect("of its own")).expect("UTF-8");
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
        serde_json::from_str::<Value>(data).expect("JSON")["sequence_number"].clone()
    };
    assert_eq!(number(&*tee), 0);
    for at in [0, 1, 7] {
        let event =
            json!({"type": "response.output_text.delta", "sequence_number": at, "delta": "a"});
        tee.feed(bytes::Bytes::from(format!("data: {event}\n\n")), &mut out);
    }
    assert_eq!(number(&*tee), 8);
    // A host that numbers nothing: counted on.
    tee.feed(bytes::Bytes::from_static(b"data: {\"type\": \"x\"}\n\n"), &mut out);
    assert_eq!(number(&*tee), 9);
}

#[test]
fn a_converse_answer_says_how_long_it_took() {
    let converse = DialectId::BedrockConverse;
    let exchange = asked(converse);
    let context = dialect::AnswerContext { took_ms: 41, ..context(&exchange) };
    let answer = find(converse).write_answer(&dialect::Answer::default(), &context);
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(answer["metrics"]["latencyMs"], 41);
    let mut writer = find(converse).stream_writer(&context);
    writer.took(1_234);
    let mut out = Vec::new();
    writer.event(&dialect::StreamEvent::End, &mut out);
    assert!(String::from_utf8_lossy(&out).contains(r#""metrics":{"latencyMs":1234}"#));
}

#[test]
fn stops_that_a_provider_is_not_told_of_are_cut_here() {
    let request =
        json!({"model": "m", "stop": ["END", ""], "messages": [{"role": "user", "content": "x"}]});
    let exchange = read(DialectId::OpenaiChat, &request);
    let quirks = Quirks::from_words(["no_stop"]).expect("known");
    for to in crate::support::ALL {
        let untold = to == DialectId::OpenaiResponses;
        for (quirks, cut) in [(&Quirks::default(), untold), (&quirks, true)] {
            let mut loss = domain::LossReport::default();
            let written = find(to).write_request(&exchange, &target(quirks, OLD), &mut loss);
            let written = written.expect("writable");
            assert_eq!(written.cut_at, if cut { vec!["END".to_owned()] } else { vec![] }, "{to:?}");
            let told = String::from_utf8_lossy(&written.body).contains("END");
            assert_eq!(told, !cut, "{to:?}");
            assert_eq!(loss.to_string().contains("stop=emulated"), cut, "{to:?}: {loss}");
        }
    }
}
