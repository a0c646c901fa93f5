//! `GENERIC` requests: checked member by member, then read as the chat completions that they respell.

use serde_json::{Value, json};

use super::check::{self, malformed, members, present, text};
use crate::ask::{Ask, Refused};
use crate::openai;

const FIELDS: [&str; 27] = [
    "apiFormat",
    "messages",
    "reasoningEffort",
    "verbosity",
    "metadata",
    "isStream",
    "streamOptions",
    "numGenerations",
    "seed",
    "isEcho",
    "topK",
    "topP",
    "temperature",
    "frequencyPenalty",
    "presencePenalty",
    "stop",
    "logProbs",
    "maxTokens",
    "maxCompletionTokens",
    "logitBias",
    "prediction",
    "responseFormat",
    "toolChoice",
    "isParallelToolCalls",
    "tools",
    "webSearchOptions",
    "serviceTier",
];
const EFFORTS: [&str; 5] = ["NONE", "MINIMAL", "LOW", "MEDIUM", "HIGH"];
const LEVELS: [&str; 3] = ["LOW", "MEDIUM", "HIGH"];

/// What is asked of the fake model, if nothing offends. `lax` leaves the fields above the messages unchecked.
pub(super) fn ask(asked: &Value, model: &str, lax: bool) -> Result<Ask, Refused> {
    if !lax {
        members(asked, &FIELDS, "chatRequest")?;
        top(asked, model)?;
    }
    let list = present(asked, "messages").and_then(Value::as_array);
    let list = list.ok_or_else(|| malformed("chatRequest.messages must be a list"))?;
    let messages: Result<Vec<Value>, Refused> =
        list.iter().enumerate().map(|(at, it)| message(it, &format!("messages[{at}]"))).collect();
    let tools = tools(asked)?;
    let mut chat = json!({"messages": messages?});
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            chat[name] = value;
        }
    };
    put("tools", (!tools.is_empty()).then(|| json!(tools)));
    put("tool_choice", choice(asked, &tools)?);
    put("response_format", format(asked)?);
    let lower = |it: &Value| json!(it.as_str().unwrap_or_default().to_ascii_lowercase());
    put("reasoning_effort", present(asked, "reasoningEffort").map(lower));
    for (name, to) in [
        ("isStream", "stream"),
        ("numGenerations", "n"),
        ("seed", "seed"),
        ("stop", "stop"),
        ("maxTokens", "max_tokens"),
        ("maxCompletionTokens", "max_completion_tokens"),
        ("isParallelToolCalls", "parallel_tool_calls"),
    ] {
        put(to, present(asked, name).cloned());
    }
    openai::read::ask(&chat)
}

fn top(asked: &Value, model: &str) -> Result<(), Refused> {
    check::range(asked, "temperature", 0.0, 2.0)?;
    check::range(asked, "topP", 0.0, 1.0)?;
    check::range(asked, "frequencyPenalty", -2.0, 2.0)?;
    check::range(asked, "presencePenalty", -2.0, 2.0)?;
    check::whole(asked, "topK", -1, i64::MAX)?;
    check::whole(asked, "numGenerations", 1, 5)?;
    check::whole(asked, "seed", i64::MIN, i64::MAX)?;
    check::whole(asked, "logProbs", 0, 20)?;
    check::whole(asked, "maxTokens", 1, i64::MAX)?;
    check::whole(asked, "maxCompletionTokens", 1, i64::MAX)?;
    check::flags(asked, &["isStream", "isEcho", "isParallelToolCalls"])?;
    check::strings(asked, "stop", 4)?;
    check::one_of(asked, "reasoningEffort", &EFFORTS)?;
    check::one_of(asked, "verbosity", &LEVELS)?;
    check::one_of(asked, "serviceTier", &["AUTO", "DEFAULT", "PRIORITY"])?;
    check::stream_options(asked)?;
    for name in ["metadata", "logitBias", "webSearchOptions"] {
        if present(asked, name).is_some_and(|it| !it.is_object()) {
            return Err(malformed(format!("{name} must be an object")));
        }
    }
    if let Some(prediction) = present(asked, "prediction") {
        members(prediction, &["type", "content"], "prediction")?;
        check::one_of(prediction, "type", &["CONTENT"])?;
    }
    // OpenAI's newer models, wherever they are sold.
    let strict = model.starts_with("openai.gpt-");
    match (strict, present(asked, "maxTokens").is_some()) {
        (true, true) => Err(Refused::new(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        )),
        _ => Ok(()),
    }
}

fn message(message: &Value, place: &str) -> Result<Value, Refused> {
    let role = text(message, "role", place)?;
    let known: &[&str] = match role {
        "USER" | "SYSTEM" | "DEVELOPER" => &["role", "content", "name"],
        "TOOL" => &["role", "content", "toolCallId"],
        "ASSISTANT" => {
            &["role", "content", "name", "refusal", "toolCalls", "annotations", "reasoningContent"]
        }
        _ => return Err(malformed(format!("{place}.role {role} is not known"))),
    };
    members(message, known, place)?;
    let mut out = json!({"role": role.to_ascii_lowercase()});
    if let Some(content) = present(message, "content") {
        let list = content.as_array();
        let list = list.ok_or_else(|| malformed(format!("{place}.content must be a list")))?;
        let parts: Result<Vec<Value>, Refused> = list
            .iter()
            .enumerate()
            .map(|(at, it)| part(it, &format!("{place}.content[{at}]")))
            .collect();
        out["content"] = json!(parts?);
    }
    for (name, to) in [("refusal", "refusal"), ("toolCallId", "tool_call_id")] {
        if let Some(said) = present(message, name) {
            out[to] = said.clone();
        }
    }
    if present(message, "reasoningContent").is_some_and(|it| !it.is_string()) {
        return Err(malformed(format!("{place}.reasoningContent must be a string")));
    }
    if let Some(calls) = present(message, "toolCalls") {
        let list = calls.as_array();
        let list = list.ok_or_else(|| malformed(format!("{place}.toolCalls must be a list")))?;
        let calls: Result<Vec<Value>, Refused> = list
            .iter()
            .enumerate()
            .map(|(at, it)| call(it, &format!("{place}.toolCalls[{at}]")))
            .collect();
        out["tool_calls"] = json!(calls?);
    }
    Ok(out)
}

fn part(part: &Value, place: &str) -> Result<Value, Refused> {
    let kind = text(part, "type", place)?;
    let (field, details): (&str, &[&str]) = match kind {
        "TEXT" => ("text", &[]),
        "IMAGE" => ("imageUrl", &["url", "detail"]),
        "DOCUMENT" => ("documentUrl", &["url", "detail"]),
        "AUDIO" => ("audioUrl", &["url", "detail"]),
        "VIDEO" => ("videoUrl", &["url", "detail"]),
        _ => return Err(malformed(format!("{place}.type {kind} is not known"))),
    };
    members(part, &["type", field], place)?;
    if kind == "TEXT" {
        return Ok(json!({"type": "text", "text": text(part, "text", place)?}));
    }
    let inner = &part[field];
    members(inner, details, &format!("{place}.{field}"))?;
    check::one_of(inner, "detail", &["AUTO", "HIGH", "LOW"])?;
    let url = text(inner, "url", place)?;
    Ok(match kind {
        "IMAGE" => json!({"type": "image_url", "image_url": {"url": url}}),
        "DOCUMENT" => json!({"type": "file", "file": {"file_data": url}}),
        _ => {
            let (kind, data) = crate::media::data_url(url)
                .ok_or_else(|| malformed(format!("{place}: a data URL is wanted")))?;
            let format = kind.rsplit('/').next().unwrap_or(kind);
            json!({"type": "input_audio", "input_audio": {"format": format, "data": data}})
        }
    })
}

fn call(call: &Value, place: &str) -> Result<Value, Refused> {
    members(call, &["id", "type", "name", "arguments"], place)?;
    if text(call, "type", place)? != "FUNCTION" {
        return Err(malformed(format!("{place}.type must be FUNCTION")));
    }
    let function =
        json!({"name": text(call, "name", place)?, "arguments": text(call, "arguments", place)?});
    Ok(json!({"id": text(call, "id", place)?, "type": "function", "function": function}))
}

fn tools(asked: &Value) -> Result<Vec<Value>, Refused> {
    let list = match present(asked, "tools") {
        None => return Ok(Vec::new()),
        Some(Value::Array(all)) if (1..=128).contains(&all.len()) => all,
        Some(_) => return Err(malformed("tools must be a list of 1 to 128")),
    };
    let one = |(at, tool): (usize, &Value)| {
        let place = format!("tools[{at}]");
        members(tool, &["type", "name", "description", "parameters"], &place)?;
        let name = text(tool, "name", &place)?;
        if tool["type"] != "FUNCTION" || !openai::check::good_name(name) {
            return Err(malformed(format!("{place} must be a FUNCTION with a good name")));
        }
        let parameters = tool.get("parameters").filter(|it| it.is_object());
        let parameters = parameters.ok_or_else(|| Refused::new(400, "Invalid function schema."))?;
        Ok(json!({"type": "function", "function": {"name": name, "parameters": parameters}}))
    };
    list.iter().enumerate().map(one).collect()
}

fn choice(asked: &Value, tools: &[Value]) -> Result<Option<Value>, Refused> {
    let Some(choice) = present(asked, "toolChoice") else { return Ok(None) };
    if tools.is_empty() {
        return Err(Refused::new(400, "'toolChoice' is only allowed when 'tools' are specified."));
    }
    let named = choice["type"] == "FUNCTION";
    let known: &[&str] = if named { &["type", "name"] } else { &["type"] };
    members(choice, known, "toolChoice")?;
    match choice["type"].as_str() {
        Some(word @ ("AUTO" | "NONE" | "REQUIRED")) => Ok(Some(json!(word.to_ascii_lowercase()))),
        Some("FUNCTION") => {
            let name = text(choice, "name", "toolChoice")?;
            if !tools.iter().any(|it| it["function"]["name"] == name) {
                return Err(Refused::new(400, format!("Tool choice '{name}' is not in 'tools'.")));
            }
            Ok(Some(json!({"type": "function", "function": {"name": name}})))
        }
        _ => Err(malformed("toolChoice.type is none that is known")),
    }
}

fn format(asked: &Value) -> Result<Option<Value>, Refused> {
    let Some(format) = present(asked, "responseFormat") else { return Ok(None) };
    let kind = text(format, "type", "responseFormat")?;
    if kind != "JSON_SCHEMA" {
        members(format, &["type"], "responseFormat")?;
        return match kind {
            "TEXT" | "JSON_OBJECT" => Ok(Some(json!({"type": kind.to_ascii_lowercase()}))),
            _ => Err(malformed("responseFormat.type is none that is known")),
        };
    }
    members(format, &["type", "jsonSchema"], "responseFormat")?;
    let inner = &format["jsonSchema"];
    members(inner, &["name", "description", "schema", "isStrict"], "responseFormat.jsonSchema")?;
    text(inner, "name", "responseFormat.jsonSchema")?;
    check::flags(inner, &["isStrict"])?;
    match inner.get("schema").filter(|it| it.is_object()) {
        Some(schema) => Ok(Some(json!({"type": "json_schema", "json_schema": {"schema": schema}}))),
        None => Err(malformed("responseFormat.jsonSchema.schema must be an object")),
    }
}
