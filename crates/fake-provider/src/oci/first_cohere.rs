//! `COHERE` requests, the first of Cohere's formats here: one message, and what came before it apart.

use serde_json::{Value, json};

use super::check::{self, malformed, members, present, text};
use crate::ask::{Ask, Refused};

const FIELDS: [&str; 26] = [
    "apiFormat",
    "message",
    "chatHistory",
    "documents",
    "responseFormat",
    "isSearchQueriesOnly",
    "preambleOverride",
    "isStream",
    "streamOptions",
    "maxTokens",
    "maxInputTokens",
    "temperature",
    "topK",
    "topP",
    "promptTruncation",
    "frequencyPenalty",
    "presencePenalty",
    "seed",
    "isEcho",
    "tools",
    "toolResults",
    "isForceSingleStep",
    "stopSequences",
    "isRawPrompting",
    "citationQuality",
    "safetyMode",
];

pub(super) fn ask(asked: &Value) -> Result<Ask, Refused> {
    members(asked, &FIELDS, "chatRequest")?;
    check::range(asked, "temperature", 0.0, 1.0)?;
    check::whole(asked, "maxTokens", 1, 4_000)?;
    check::flags(asked, &["isStream", "isEcho", "isForceSingleStep", "isRawPrompting"])?;
    check::strings(asked, "stopSequences", 5)?;
    check::stream_options(asked)?;
    let mut messages = Vec::new();
    if let Some(preamble) = present(asked, "preambleOverride") {
        messages.push(json!({"role": "system", "content": preamble}));
    }
    let history = present(asked, "chatHistory").and_then(Value::as_array);
    for (at, turn) in history.into_iter().flatten().enumerate() {
        let place = format!("chatHistory[{at}]");
        let role = match text(turn, "role", &place)? {
            "USER" => "user",
            "CHATBOT" => "assistant",
            "SYSTEM" if messages.is_empty() => "system",
            _ => return Err(malformed(format!("{place}.role is none that the fake knows"))),
        };
        messages.push(json!({"role": role, "content": text(turn, "message", &place)?}));
    }
    messages.push(json!({"role": "user", "content": text(asked, "message", "chatRequest")?}));
    let mut chat = json!({"messages": messages, "tools": tools(asked)?});
    for (name, to) in [
        ("documents", "documents"),
        ("maxTokens", "max_tokens"),
        ("stopSequences", "stop_sequences"),
        ("seed", "seed"),
        ("isStream", "stream"),
    ] {
        if let Some(said) = present(asked, name) {
            chat[to] = said.clone();
        }
    }
    let mut ask = crate::cohere::read::ask(&chat)?;
    for result in present(asked, "toolResults").and_then(Value::as_array).into_iter().flatten() {
        let name = text(&result["call"], "name", "toolResults.call")?;
        ask.results.push((name.to_owned(), result["outputs"].to_string()));
    }
    Ok(ask)
}

/// Parameters have types of Python here; a schema is made of them.
fn tools(asked: &Value) -> Result<Vec<Value>, Refused> {
    let list = present(asked, "tools").and_then(Value::as_array).into_iter().flatten();
    let one = |(at, tool): (usize, &Value)| {
        let place = format!("tools[{at}]");
        members(tool, &["name", "description", "parameterDefinitions"], &place)?;
        let name = text(tool, "name", &place)?;
        text(tool, "description", &place)?;
        let mut schema = json!({"type": "object", "properties": {}, "required": []});
        let parameters = tool.get("parameterDefinitions").and_then(Value::as_object);
        for (name, parameter) in parameters.into_iter().flatten() {
            members(parameter, &["description", "type", "isRequired"], &place)?;
            let kind = match text(parameter, "type", &place)? {
                "int" => "integer",
                "float" => "number",
                "bool" => "boolean",
                _ => "string",
            };
            schema["properties"][name] = json!({"type": kind});
            if parameter["isRequired"] == true
                && let Some(required) = schema["required"].as_array_mut()
            {
                required.push(json!(name));
            }
        }
        Ok(json!({"type": "function", "function": {"name": name, "parameters": schema}}))
    };
    list.enumerate().map(one).collect()
}
