//! What holds for every chunking, every mutation and every way round.

use dialect::{BadAnswer, DialectId, Incoming, Quirks, StreamEvent, StreamMerge, dialect as find};
use domain::{Fate, LossReport, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    ALL, NEW, OLD, PROVIDERS, asked, context, cut, events, fixtures, incoming, read_request,
    read_request_as, target, write_request, written,
};

fn last_usage(events: &[StreamEvent]) -> Option<Usage> {
    events.iter().rev().find_map(|event| match event {
        StreamEvent::Usage(usage) => Some(*usage),
        _ => None,
    })
}

proptest! {
    /// T-L14: any chunking gives the same events, and so the same usage and the same bytes. The long form
    /// sets PROPTEST_CASES=10000.
    #[test]
    fn chunking_changes_nothing(cuts in prop::collection::vec(any::<usize>(), 0..60)) {
        for &id in PROVIDERS {
            for (name, body) in fixtures(id, "stream") {
                let whole = events(id, [body.as_slice()]);
                let pieces = events(id, cut(&body, &cuts));
                prop_assert_eq!(&whole, &pieces, "{}", name);
            }
        }
    }

    /// No bytes make any reader panic, and a stream that ends early never ends well.
    #[test]
    fn damaged_input_is_survived(
        at in any::<prop::sample::Index>(),
        length in 0usize..40,
        junk in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        for &id in PROVIDERS {
            for kind in ["request", "answer", "stream"] {
                for (_, mut body) in fixtures(id, kind) {
                    let start = at.index(body.len());
                    let end = (start + length).min(body.len());
                    body.splice(start..end, junk.iter().copied());
                    survive(&body);
                }
            }
        }
    }

    /// JSON of the right shape with values of the wrong kind.
    #[test]
    fn wrong_values_are_survived(at in any::<usize>(), with in 0usize..8) {
        let values = [
            json!(null), json!(true), json!(-1), json!(1.5), json!("x"), json!([]), json!({}), json!([[{}]]),
        ];
        for &id in PROVIDERS {
            for kind in ["request", "answer"] {
                for (_, body) in fixtures(id, kind) {
                    let mut tree: Value = serde_json::from_slice(&body).expect("JSON");
                    let mut count = count(&tree);
                    count = at % count;
                    replace(&mut tree, &mut count, &values[with]);
                    survive(tree.to_string().as_bytes());
                }
            }
        }
    }
}

fn count(tree: &Value) -> usize {
    1 + match tree {
        Value::Object(map) => map.values().map(count).sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

fn replace(tree: &mut Value, at: &mut usize, with: &Value) -> bool {
    if *at == 0 {
        *tree = with.clone();
        return true;
    }
    *at -= 1;
    match tree {
        Value::Object(map) => map.iter_mut().any(|(_, inner)| replace(inner, at, with)),
        Value::Array(items) => items.iter_mut().any(|inner| replace(inner, at, with)),
        _ => false,
    }
}

/// Gives bytes to everything that reads, and what could be read to everything that writes.
fn survive(body: &[u8]) {
    let quirks = Quirks::default();
    for &id in PROVIDERS {
        if let Ok(exchange) = find(id).read_request(&incoming(id, body, &())) {
            let _ = (exchange.features(), exchange.limits());
            for &to in PROVIDERS {
                for version in [OLD, NEW] {
                    let mut loss = LossReport::default();
                    let target = target(&quirks, version);
                    let written = find(to).write_request(&exchange, &target, &mut loss);
                    if let Ok(request) = written {
                        let tree: Value = serde_json::from_slice(&request.body).expect("JSON");
                        assert!(tree.is_object());
                    }
                }
            }
        }
        if let Ok(answer) = find(id).read_answer(body) {
            for to in ALL {
                let exchange = asked(to);
                let body = find(to).write_answer(&answer, &context(&exchange));
                serde_json::from_slice::<Value>(&body).expect("JSON");
            }
        }
        let (events, result) = events(id, [body]);
        let well = events.last() == Some(&StreamEvent::End);
        let failed = matches!(events.last(), Some(StreamEvent::Error(_)));
        assert_eq!(result.is_ok(), well || failed);
    }
}

fn last(body: &[u8], terminator: &[u8]) -> usize {
    body.windows(terminator.len()).rposition(|it| it == terminator).expect("a whole stream")
}

/// A stream cut at any byte before its terminator is whole for nobody.
#[test]
fn a_cut_stream_gets_no_terminator() {
    for &from in PROVIDERS {
        for (name, body) in fixtures(from, "stream") {
            // A blocked prompt has nothing that could be cut: its one chunk says that there is no answer.
            if name == "error" || name == "blocked" {
                continue;
            }
            // Up to where the terminator's line begins, or, where it is a whole event, up to its last byte.
            let whole = match from {
                DialectId::OpenaiChat => last(&body, b"data: [DONE]"),
                DialectId::AnthropicMessages => last(&body, b"data: {\"type\":\"message_stop\"}"),
                DialectId::OpenaiResponses => body.len() - 2,
                DialectId::Gemini | DialectId::OciChat => last(&body, b"\"finishReason\""),
                // A frame begins with twelve bytes, and a header with its length; the frame before must be whole.
                DialectId::BedrockConverse => last(&body, b":event-type\x07\x00\x08metadata") - 13,
                DialectId::CohereChat => last(&body, b"data: {\"type\":\"message-end\""),
            };
            let mut seen = None;
            for length in 0..whole {
                let (events, result) = events(from, [&body[..length]]);
                assert_eq!(result, Err(BadAnswer::Cut.to_string()), "{name} cut at {length}");
                // Most bytes complete no event.
                if seen.replace(events.len()) == Some(events.len()) {
                    continue;
                }
                for to in ALL {
                    let text = written(to, &events);
                    for word in [
                        "[DONE]",
                        "message_stop",
                        "message_delta",
                        "message-end",
                        "messageStop",
                        "response.completed",
                        "response.incomplete",
                        "finishReason",
                    ] {
                        assert!(!text.contains(word), "{text}");
                    }
                }
            }
        }
    }
}

/// Usage in every bucket, through both dialects and back: exact where both have the bucket.
#[test]
fn usage_is_exact() {
    let (chat, messages) = (DialectId::OpenaiChat, DialectId::AnthropicMessages);
    let tools = |id, kind| fixtures(id, kind).into_iter().find(|(name, _)| name == "tools");
    let body = tools(messages, "answer").expect("fixture").1;
    let from_messages = find(messages).read_answer(&body).expect("good").usage.expect("usage");
    let expected = Usage {
        input: 150,
        cache_read: 1_000,
        cache_write: 100,
        cache_write_long: 200,
        output: 50,
        reasoning: 40,
        ..Usage::default()
    };
    assert_eq!(from_messages, expected);
    let body = tools(chat, "answer").expect("fixture").1;
    let from_chat = find(chat).read_answer(&body).expect("good").usage.expect("usage");
    let expected = Usage {
        input: 130,
        cache_read: 1_000,
        cache_write: 50,
        audio_input: 20,
        output: 50,
        reasoning: 40,
        ..Usage::default()
    };
    assert_eq!(from_chat, expected);
    let body = tools(messages, "stream").expect("fixture").1;
    assert_eq!(last_usage(&events(messages, [body.as_slice()]).0), Some(from_messages));
    let total = |usage: Usage| (usage.input_total(), usage.output_total());
    let same = dialect::openai_chat::usage::write(&from_messages);
    assert_eq!(same["prompt_tokens"], 1_450);
    assert_eq!(same["total_tokens"], 1_540);
    assert_eq!(total(from_messages), (1_450, 90));
    let same = dialect::anthropic_messages::usage::write(&from_chat);
    assert_eq!(same["input_tokens"], 150);
    assert_eq!(same["cache_read_input_tokens"], 1_000);
}

/// xAI counts reasoning beside completion tokens; overlapping details never exceed the total.
#[test]
fn odd_usage_objects() {
    let read = |usage: Value| {
        let body = json!({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage});
        let answer = find(DialectId::OpenaiChat).read_answer(body.to_string().as_bytes());
        answer.expect("good").usage
    };
    let xai = read(json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 22,
        "completion_tokens_details": {"reasoning_tokens": 7}}))
    .expect("usage");
    assert_eq!((xai.output, xai.reasoning, xai.total()), (5, 7, 22));
    let overlap = read(json!({"prompt_tokens": 10, "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 8}}))
    .expect("usage");
    assert_eq!((overlap.cache_read, overlap.audio_input, overlap.input), (8, 2, 0));
    assert_eq!(read(json!({"prompt_tokens": "ten"})), None);
    assert_eq!(read(json!({})), None);
    assert_eq!(read(json!(null)), None);
}

/// There and back again: a field of the request that is not as before is in one of the loss reports.
#[test]
fn what_a_round_trip_changes_is_reported() {
    let mut quirks = Quirks::from_words(["cache_breakpoints", "reasoning_details"]).expect("words");
    quirks.mid_system = true;
    let target = target(&quirks, OLD);
    let others = |near| ALL.into_iter().filter(move |far| *far != near).map(move |far| (near, far));
    for (near, far) in ALL.into_iter().flat_map(others) {
        for (name, body) in fixtures(near, "request") {
            let first = read_request(near, &body);
            let (straight, _, _) = write_request(near, &first, &target);
            let (over, _, loss_over) = write_request(far, &first, &target);
            let second = read_request_as(far, over.to_string().as_bytes(), first.stream);
            let (back, _, loss_back) = write_request(near, &second, &target);
            let noted = |field: &str| {
                let covers = |loss: &domain::Loss, id| stands_for((id, loss.field), (near, field));
                loss_over.losses().iter().any(|loss| covers(loss, near))
                    || loss_back.losses().iter().any(|loss| covers(loss, far))
            };
            let (straight, back) = (fields_of(&straight), fields_of(&back));
            for field in straight.keys().chain(back.keys()) {
                // A field that says what would be so anyway is no loss.
                let neutral = [json!(false), json!(0.0), json!("disabled")]
                    .map(Some)
                    .contains(&straight.get(field).cloned())
                    && back.get(field).is_none();
                // Kept by OpenAI's Responses only, and on the way back by nobody.
                let unkept = field == "store" && back.get(field) == Some(&json!(false));
                // A forced call of Gemini's is held to its schema anyway, and does not say so.
                let forced = field == "strict_tools"
                    && far == DialectId::Gemini
                    && first.tool_choice == Some(dialect::exchange::ToolChoice::Required);
                let equal = neutral
                    || unkept
                    || forced
                    || normal(straight.get(field)) == normal(back.get(field));
                assert!(
                    equal || noted(field),
                    "{near:?} by {far:?} {name}: `{field}` changed silently:\n{:?}\n{:?}\n{loss_over}\n{loss_back}",
                    straight.get(field),
                    back.get(field)
                );
            }
        }
    }
}

/// The fields at the top; those of Gemini's `generationConfig` are as good as that.
fn fields_of(request: &Value) -> serde_json::Map<String, Value> {
    let mut fields = request.as_object().cloned().expect("an object");
    if let Some(Value::Object(inner)) = fields.remove("generationConfig") {
        let inner = inner.into_iter();
        fields.extend(inner.map(|(name, value)| (format!("generationConfig.{name}"), value)));
    }
    fields
}

/// Without what means nothing: the name of a schema; a tool without parameters is one with none, and one of chat
/// completions is not strict unless it says so. A summary of reasoning is what other dialects give anyway.
fn normal(value: Option<&Value>) -> Option<Value> {
    let mut value = value.cloned();
    // Chat shows what reasoning there is; who did not ask for it is not shown it by us.
    if let Some(thinking) = value.as_mut().and_then(Value::as_object_mut) {
        thinking.remove("includeThoughts");
    }
    if let Some(inner) = value.as_mut().and_then(|it| it.pointer_mut("/json_schema/name")) {
        *inner = json!("response");
    }
    if let Some(Value::Object(inner)) = &mut value
        && inner.get("summary") == Some(&json!("auto"))
    {
        inner.shift_remove("summary");
    }
    for tool in value.iter_mut().filter_map(Value::as_array_mut).flatten() {
        if let Some(function) = tool.get_mut("function").filter(|it| it["parameters"].is_null()) {
            function["parameters"] = json!({"type": "object", "properties": {}});
        }
        if let Some(function) = tool.get_mut("function").and_then(Value::as_object_mut)
            && function.get("strict") == Some(&json!(false))
        {
            function.shift_remove("strict");
        }
    }
    value
}

/// `tools[].type` is about `tools`.
fn top(field: &str) -> &str {
    let from = if field.starts_with("generationConfig.") { "generationConfig.".len() } else { 0 };
    let length = field.bytes().skip(from).take_while(|byte| !matches!(byte, b'.' | b'[')).count();
    field.get(..from + length).expect("ASCII")
}

/// What fields are about, where their names differ between dialects.
fn fields_by_subject(id: DialectId) -> &'static [(&'static str, &'static [&'static str])] {
    match id {
        DialectId::OpenaiChat => &[
            ("conversation", &["messages"]),
            ("format", &["response_format"]),
            ("reasoning", &["reasoning_effort"]),
            ("limit", &["max_completion_tokens", "max_tokens"]),
            ("stop", &["stop"]),
            ("choice", &["tool_choice", "parallel_tool_calls"]),
            ("cache", &["prompt_cache_options"]),
            ("logprobs", &["logprobs", "top_logprobs"]),
            ("tools", &["tools"]),
            ("sampling", &["temperature", "top_p", "top_k"]),
            ("tier", &["service_tier"]),
        ],
        DialectId::AnthropicMessages => &[
            ("conversation", &["messages", "system"]),
            ("format", &["output_config"]),
            ("reasoning", &["thinking", "output_config"]),
            ("limit", &["max_tokens"]),
            ("stop", &["stop_sequences"]),
            ("choice", &["tool_choice"]),
            ("cache", &["cache_control"]),
            ("tools", &["tools"]),
            ("sampling", &["temperature", "top_p", "top_k"]),
            ("tier", &["service_tier"]),
        ],
        DialectId::OpenaiResponses => &[
            ("conversation", &["input", "instructions"]),
            ("format", &["text"]),
            ("reasoning", &["reasoning"]),
            ("limit", &["max_output_tokens"]),
            ("choice", &["tool_choice", "parallel_tool_calls"]),
            ("cache", &["prompt_cache_options"]),
            ("logprobs", &["top_logprobs", "include"]),
            ("tools", &["tools"]),
            ("sampling", &["temperature", "top_p", "top_k"]),
            ("tier", &["service_tier"]),
        ],
        DialectId::Gemini => &[
            ("conversation", &["contents", "systemInstruction"]),
            (
                "format",
                &["generationConfig.responseMimeType", "generationConfig.responseJsonSchema"],
            ),
            ("reasoning", &["generationConfig.thinkingConfig"]),
            ("limit", &["generationConfig.maxOutputTokens"]),
            ("stop", &["generationConfig.stopSequences"]),
            ("choice", &["toolConfig"]),
            ("cache", &["cachedContent"]),
            ("logprobs", &["generationConfig.responseLogprobs", "generationConfig.logprobs"]),
            ("tools", &["tools"]),
            (
                "sampling",
                &["generationConfig.temperature", "generationConfig.topP", "generationConfig.topK"],
            ),
            ("tier", &["serviceTier"]),
        ],
        DialectId::BedrockConverse => &[
            ("conversation", &["messages", "system"]),
            ("format", &["outputConfig"]),
            ("reasoning", &["outputConfig", "additionalModelRequestFields"]),
            ("limit", &["inferenceConfig"]),
            ("stop", &["inferenceConfig"]),
            ("sampling", &["inferenceConfig", "additionalModelRequestFields", "outputConfig"]),
            ("choice", &["toolConfig"]),
            ("cache", &["cachePoint", "toolConfig"]),
            ("tools", &["toolConfig"]),
            ("tier", &["serviceTier"]),
        ],
        DialectId::CohereChat => &[
            ("conversation", &["messages", "documents"]),
            ("format", &["response_format"]),
            ("reasoning", &["thinking"]),
            ("limit", &["max_tokens"]),
            ("stop", &["stop_sequences"]),
            ("sampling", &["temperature", "p", "k"]),
            ("choice", &["tool_choice"]),
            ("logprobs", &["logprobs"]),
            ("tools", &["tools", "strict_tools"]),
            ("tier", &["priority"]),
        ],
        DialectId::OciChat => &[],
    }
}

fn subjects(id: DialectId, field: &str) -> Vec<&'static str> {
    let rows = fields_by_subject(id).iter().filter(|row| row.1.contains(&field));
    rows.map(|row| row.0).collect()
}

/// Whether a loss at one dialect's field says why a field of another (or another of its own) is not as before.
fn stands_for((id, field): (DialectId, &str), (other_id, other): (DialectId, &str)) -> bool {
    // Whether breakpoints are set or automatic is said in one field, where they stand in others.
    let breakpoints = field.contains("breakpoint");
    let field = top(field);
    if field == other || field == other.strip_prefix("generationConfig.").unwrap_or(other) {
        return true;
    }
    let mut about = subjects(id, field);
    // Where they may be moved to: a schema into the prompt, breakpoints onto what they stand at, how tools are held to
    // their schemas.
    if breakpoints {
        about.push("cache");
    }
    if about.contains(&"format") {
        about.push("conversation");
    }
    if about.contains(&"cache") {
        about.extend(["conversation", "tools"]);
    }
    if id == DialectId::Gemini && about.contains(&"choice") {
        about.push("tools");
    }
    subjects(other_id, other).iter().any(|subject| about.contains(subject))
}

/// A chat client that returns what it got gives Anthropic its signed thinking back; the stream's pieces too.
#[test]
fn signed_thinking_survives_a_chat_client() {
    let (chat, messages) = (DialectId::OpenaiChat, DialectId::AnthropicMessages);
    let body = fixtures(messages, "answer").into_iter().find(|(name, _)| name == "tools");
    let answer = find(messages).read_answer(&body.expect("fixture").1).expect("good");
    let exchange = asked(chat);
    let shown = find(chat).write_answer(&answer, &context(&exchange));
    let shown: Value = serde_json::from_slice(&shown).expect("JSON");
    let request = json!({"model": "m", "messages": [
        {"role": "user", "content": "x"}, shown["choices"][0]["message"],
        {"role": "tool", "tool_call_id": "toolu_1", "content": "1"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": "2"},
    ]});
    let exchange = read_request(chat, request.to_string().as_bytes());
    let quirks = Quirks::default();
    let (body, _, _) = write_request(messages, &exchange, &target(&quirks, NEW));
    let turn = &body["messages"][1]["content"];
    assert_eq!(
        turn[0],
        json!({"type": "thinking", "thinking": "Two places.", "signature": "c2lnbmVk"})
    );
    assert_eq!(turn[1], json!({"type": "redacted_thinking", "data": "c2VjcmV0"}));
    assert_eq!(turn[2]["type"], "text");
    assert_eq!(turn[4]["input"], json!({"input": "ls -l"}));
}

/// Without thinking asked for, the first block is the text: what every client reads first.
#[test]
fn reasoning_is_not_pushed_on_a_messages_client() {
    let (chat, messages) = (DialectId::OpenaiChat, DialectId::AnthropicMessages);
    let body = fixtures(chat, "answer").into_iter().find(|(name, _)| name == "tools");
    let answer = find(chat).read_answer(&body.expect("fixture").1).expect("good");
    let mut exchange = asked(messages);
    exchange.reasoning.thinking = None;
    let shown = find(messages).write_answer(&answer, &context(&exchange));
    let shown: Value = serde_json::from_slice(&shown).expect("JSON");
    assert_eq!(shown["content"][0], json!({"type": "text", "text": "I look."}));
}

#[test]
fn several_calls_become_one_answer() {
    let messages = DialectId::AnthropicMessages;
    let body = fixtures(messages, "stream").into_iter().find(|(name, _)| name == "refusal");
    let (single, _) = events(messages, [body.expect("fixture").1.as_slice()]);
    let mut merge = StreamMerge::new(2);
    let mut merged = Vec::new();
    for event in &single {
        merge.push(0, event.clone(), &mut merged);
        merge.push(1, event.clone(), &mut merged);
    }
    assert_eq!(merged.iter().filter(|it| **it == StreamEvent::End).count(), 1);
    assert_eq!(merged.last(), Some(&StreamEvent::End));
    assert_eq!(last_usage(&merged).map(|usage| usage.total()), Some(22));
    let text = written(DialectId::OpenaiChat, &merged);
    assert_eq!(text.matches("\"role\":\"assistant\"").count(), 2);
    assert_eq!(text.matches("\"finish_reason\":\"content_filter\"").count(), 2);
}

/// Fragments of two calls at once can't be written as blocks one after another: said, never garbled.
#[test]
fn mixed_fragments_break_a_messages_stream() {
    let call = |index: u32, id: &str, text: &str| {
        let mut call = json!({"index": index, "function": {"arguments": text}});
        if !id.is_empty() {
            call["id"] = id.into();
            call["function"]["name"] = "f".into();
        }
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
    };
    let stream =
        [call(0, "a", "{"), call(1, "b", "{"), call(0, "", "}"), call(1, "", "}")].concat();
    let (events, _) = events(DialectId::OpenaiChat, [stream.as_bytes()]);
    let exchange = asked(DialectId::AnthropicMessages);
    let mut writer = find(DialectId::AnthropicMessages).stream_writer(&context(&exchange));
    let mut out = Vec::new();
    for event in &events {
        writer.event(event, &mut out);
    }
    assert!(writer.broken().is_some());
    let text = written(DialectId::OpenaiChat, &events);
    assert!(text.contains(r#""tool_calls":[{"index":1,"function":{"arguments":"}"}}]"#));
}

#[test]
fn a_broken_call_is_a_bad_answer_and_a_cut_one_is_left_out() {
    let answer = |finish: &str| {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":"}});
        let body =
            json!({"choices": [{"message": {"tool_calls": [call]}, "finish_reason": finish}]});
        find(DialectId::OpenaiChat).read_answer(body.to_string().as_bytes())
    };
    assert!(matches!(answer("tool_calls"), Err(BadAnswer::Malformed(_))));
    assert_eq!(answer("length").expect("cut").choices[0].parts, vec![]);
}

/// Input that another vendor could never see is refused, not dropped.
#[test]
fn what_would_falsify_the_request_is_refused() {
    let part = |part: Value| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": [part]}]});
        let exchange = read_request(DialectId::OpenaiChat, body.to_string().as_bytes());
        let quirks = Quirks::default();
        let mut loss = LossReport::default();
        find(DialectId::AnthropicMessages)
            .write_request(&exchange, &target(&quirks, OLD), &mut loss)
            .expect_err("refused")
            .field
    };
    let audio = json!({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}});
    assert_eq!(part(audio), "messages[0].content");
    assert_eq!(part(json!({"type": "file", "file": {"file_id": "file-1"}})), "messages[0].content");

    let body =
        json!({"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "x"}]});
    let exchange = read_request(DialectId::AnthropicMessages, body.to_string().as_bytes());
    let quirks = Quirks::default();
    let mut loss = LossReport::default();
    let warmed =
        find(DialectId::OpenaiChat).write_request(&exchange, &target(&quirks, OLD), &mut loss);
    assert_eq!(warmed.expect_err("refused").field, "max_tokens");
}

/// Every loss of the fixtures is spelled as a field of the client's own request, or stands for one.
#[test]
fn unknown_fields_are_reported_and_nothing_is_reported_twice() {
    for from in ALL {
        let body = fixtures(from, "request").into_iter().find(|(name, _)| name == "agent");
        let exchange = read_request(from, &body.expect("fixture").1);
        let mut unknown = exchange.unknown.clone();
        unknown.sort_unstable();
        let expected: &[&str] = match from {
            DialectId::OpenaiChat => &[
                "brand_new_field",
                "messages[1].content[3].image_url.brand_new_crop",
                "tools[0].function.brand_new_option",
            ],
            DialectId::AnthropicMessages => &[
                "brand_new_field",
                "messages[2].content[2].brand_new_mark",
                "tools[0].brand_new_option",
            ],
            DialectId::OpenaiResponses => &[
                "brand_new_field",
                "input[11].content[0].brand_new_mark",
                "tools[0].brand_new_option",
            ],
            DialectId::Gemini => &[
                "brandNewField",
                "contents[1].parts[1].brandNewMark",
                "tools[0].functionDeclarations[1].brandNewOption",
            ],
            DialectId::BedrockConverse => &[
                "brand_new_field",
                "inferenceConfig.brand_new_knob",
                "toolConfig.tools[0].toolSpec.brand_new_option",
            ],
            DialectId::CohereChat => &[
                "brand_new_field",
                "messages[1].content[2].image_url.brand_new_crop",
                "tools[0].function.brand_new_option",
            ],
            DialectId::OciChat => unreachable!("no client speaks it"),
        };
        assert_eq!(unknown, expected);
        for &to in PROVIDERS {
            let quirks = Quirks::default();
            let (_, _, loss) = write_request(to, &exchange, &target(&quirks, OLD));
            let unknown = loss.losses().iter().find(|loss| loss.field == "unknown_fields");
            assert_eq!(unknown.map(|loss| loss.fate), Some(Fate::Dropped));
        }
    }
}

#[test]
fn the_new_version_takes_no_sampling() {
    let exchange = read_request(
        DialectId::OpenaiChat,
        br#"{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0,"top_p":0.5}"#,
    );
    let quirks = Quirks::default();
    let messages = DialectId::AnthropicMessages;
    let (body, headers, loss) = write_request(messages, &exchange, &target(&quirks, NEW));
    assert_eq!(headers, [("anthropic-version", NEW.to_owned())]);
    assert!(body.get("temperature").is_none() && body.get("top_p").is_none());
    assert!(loss.to_string().contains("temperature=dropped"));
    let (body, _, _) = write_request(messages, &exchange, &target(&quirks, OLD));
    assert_eq!(body["temperature"], 0.0);
    let headers: &[(&str, &str)] = &[("anthropic-version", NEW)];
    let refused = find(messages).read_request(&Incoming::new(
        br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"temperature":0}"#,
        &headers,
    ));
    assert_eq!(refused.expect_err("refused").field, "temperature");
}

/// Results stand directly after the calls, whatever a chat history has between; calls without tools on offer
/// get stand-ins that can't be called.
#[test]
fn tool_results_follow_their_calls() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "system", "content": "Be quick."},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
    ]});
    let exchange = read_request(DialectId::OpenaiChat, body.to_string().as_bytes());
    let quirks = Quirks::default();
    let (body, _, _) =
        write_request(DialectId::AnthropicMessages, &exchange, &target(&quirks, OLD));
    let turns = body["messages"].as_array().expect("turns");
    assert_eq!(turns.len(), 3);
    let kinds: Vec<&str> = turns[2]["content"]
        .as_array()
        .expect("blocks")
        .iter()
        .map(|block| block["type"].as_str().expect("type"))
        .collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
    assert_eq!(body["tools"][0]["name"], "f");
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

/// The spellings of reasoning at chat hosts (protocols C3) are all read, and never into the content.
#[test]
fn every_spelling_of_reasoning_is_read() {
    let chat = DialectId::OpenaiChat;
    let spellings = [
        json!({"content": "x", "reasoning_content": "why"}),
        json!({"content": "x", "reasoning": "why"}),
        json!({"content": "x", "reasoning": "why", "reasoning_content": "why"}),
        json!({"content": "x", "reasoning": "why", "reasoning_details": [{"type": "reasoning.text", "text": "why"}]}),
        json!({"content": "x", "reasoning_details": [{"type": "reasoning.summary", "summary": "why"}]}),
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "why"}]}, {"type": "text", "text": "x"}]}),
    ];
    for said in spellings {
        let body = json!({"choices": [{"message": said, "finish_reason": "stop"}]});
        let answer = find(chat).read_answer(body.to_string().as_bytes()).expect("good");
        let exchange = asked(chat);
        let shown = find(chat).write_answer(&answer, &context(&exchange));
        let shown: Value = serde_json::from_slice(&shown).expect("JSON");
        let message = &shown["choices"][0]["message"];
        assert_eq!(message["reasoning_content"], "why", "{said}");
        assert_eq!(message["reasoning"], "why");
        assert_eq!(message["content"], "x");

        let chunk = json!({"choices": [{"index": 0, "delta": said, "finish_reason": "stop"}]});
        let stream = format!("data: {chunk}\n\ndata: [DONE]\n\n");
        let (events, result) = events(chat, [stream.as_bytes()]);
        assert_eq!(result, Ok(()));
        let text = written(DialectId::AnthropicMessages, &events);
        assert!(text.contains(r#""type":"thinking_delta","thinking":"why"}"#), "{said}\n{text}");
        assert!(text.contains(r#""type":"text_delta","text":"x"}"#), "{said}");
    }
}
