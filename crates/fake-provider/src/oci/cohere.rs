//! `COHEREV2` requests: checked member by member, then read as Cohere's own v2 chat, which they respell.

use serde_json::{Map, Value, json};

use super::check::{self, malformed, members, present, text};
use crate::ask::{Ask, Refused};

const FIELDS: [&str; 24] = [
    "apiFormat",
    "messages",
    "documents",
    "citationOptions",
    "toolsChoice",
    "tools",
    "isStrictToolsEnabled",
    "isLogProbsEnabled",
    "thinking",
    "responseFormat",
    "isSearchQueriesOnly",
    "streamOptions",
    "isStream",
    "maxTokens",
    "temperature",
    "topK",
    "topP",
    "frequencyPenalty",
    "presencePenalty",
    "seed",
    "stopSequences",
    "priority",
    "isRawPrompting",
    "safetyMode",
];

pub(super) fn ask(asked: &Value) -> Result<Ask, Refused> {
    members(asked, &FIELDS, "chatRequest")?;
    top(asked)?;
    let list = present(asked, "messages").and_then(Value::as_array);
    let list = list.ok_or_else(|| malformed("chatRequest.messages must be a list"))?;
    let messages: Result<Vec<Value>, Refused> =
        list.iter().enumerate().map(|(at, it)| message(it, &format!("messages[{at}]"))).collect();
    let mut chat = json!({"messages": messages?, "tools": tools(asked)?});
    if let Some(thinking) = present(asked, "thinking") {
        members(thinking, &["type", "tokenBudget"], "thinking")?;
        check::one_of(thinking, "type", &["ENABLED", "DISABLED"])?;
        check::whole(thinking, "tokenBudget", 1, i64::MAX)?;
        let word = text(thinking, "type", "thinking")?.to_ascii_lowercase();
        chat["thinking"] = json!({"type": word, "token_budget": thinking.get("tokenBudget")});
    }
    if let Some(format) = present(asked, "responseFormat") {
        chat["response_format"] = response_format(format, asked)?;
    }
    for (name, to) in [
        ("documents", "documents"),
        ("toolsChoice", "tool_choice"),
        ("maxTokens", "max_tokens"),
        ("stopSequences", "stop_sequences"),
        ("seed", "seed"),
        ("isStream", "stream"),
    ] {
        if let Some(said) = present(asked, name) {
            chat[to] = said.clone();
        }
    }
    crate::cohere::read::ask(&chat)
}

fn top(asked: &Value) -> Result<(), Refused> {
    check::range(asked, "temperature", 0.0, f64::MAX)?;
    check::range(asked, "topP", 0.0, 1.0)?;
    check::range(asked, "topK", 0.0, 500.0)?;
    check::range(asked, "frequencyPenalty", 0.0, 1.0)?;
    check::range(asked, "presencePenalty", 0.0, 1.0)?;
    check::whole(asked, "maxTokens", 1, 4_000)?;
    check::whole(asked, "seed", 0, i64::MAX)?;
    check::whole(asked, "priority", 0, 999)?;
    check::flags(
        asked,
        &[
            "isStream",
            "isStrictToolsEnabled",
            "isLogProbsEnabled",
            "isSearchQueriesOnly",
            "isRawPrompting",
        ],
    )?;
    check::strings(asked, "stopSequences", 5)?;
    check::one_of(asked, "toolsChoice", &["REQUIRED", "NONE"])?;
    check::one_of(asked, "safetyMode", &["CONTEXTUAL", "STRICT", "OFF"])?;
    if let Some(options) = present(asked, "citationOptions") {
        members(options, &["mode"], "citationOptions")?;
        check::one_of(options, "mode", &["FAST", "ACCURATE", "OFF"])?;
    }
    if present(asked, "documents").is_some_and(|it| !it.is_array()) {
        return Err(malformed("documents must be a list"));
    }
    check::stream_options(asked)
}

fn message(message: &Value, place: &str) -> Result<Value, Refused> {
    let role = text(message, "role", place)?;
    let known: &[&str] = match role {
        "USER" | "SYSTEM" => &["role", "content"],
        "TOOL" => &["role", "content", "toolCallId"],
        "ASSISTANT" => &["role", "content", "toolPlan", "toolCalls", "citations"],
        _ => return Err(malformed(format!("{place}.role {role} is not known"))),
    };
    members(message, known, place)?;
    let mut out = Map::new();
    out.insert("role".to_owned(), json!(role.to_ascii_lowercase()));
    if let Some(content) = present(message, "content") {
        let list = content.as_array();
        let list = list.ok_or_else(|| malformed(format!("{place}.content must be a list")))?;
        let parts: Result<Vec<Value>, Refused> = list
            .iter()
            .enumerate()
            .map(|(at, it)| part(it, &format!("{place}.content[{at}]")))
            .collect();
        out.insert("content".to_owned(), json!(parts?));
    }
    for (name, to) in [("toolPlan", "tool_plan"), ("toolCallId", "tool_call_id")] {
        if let Some(said) = present(message, name) {
            out.insert(to.to_owned(), said.clone());
        }
    }
    let calls = present(message, "toolCalls").and_then(Value::as_array);
    if let Some(calls) = calls.filter(|it| !it.is_empty()) {
        let calls: Result<Vec<Value>, Refused> = calls
            .iter()
            .map(|it| {
                members(it, &["id", "type", "function"], place)?;
                let function = members(&it["function"], &["name", "arguments"], place)?;
                if it["type"] != "FUNCTION" {
                    return Err(malformed(format!("{place}: a call's type must be FUNCTION")));
                }
                Ok(json!({"id": it["id"], "type": "function", "function": function}))
            })
            .collect();
        out.insert("tool_calls".to_owned(), json!(calls?));
    }
    Ok(Value::Object(out))
}

fn part(part: &Value, place: &str) -> Result<Value, Refused> {
    let kind = text(part, "type", place)?;
    let field = match kind {
        "TEXT" => "text",
        "THINKING" => "thinking",
        "IMAGE_URL" => "imageUrl",
        "DOCUMENT" => "document",
        _ => return Err(malformed(format!("{place}.type {kind} is not known"))),
    };
    members(part, &["type", field], place)?;
    if kind == "IMAGE_URL" {
        members(&part[field], &["url", "detail"], place)?;
        check::one_of(&part[field], "detail", &["AUTO", "HIGH", "LOW"])?;
        return Ok(json!({"type": "image_url", "image_url": {"url": part[field]["url"]}}));
    }
    let (kind, said) = (kind.to_ascii_lowercase(), part[field].clone());
    Ok(json!({"type": kind, kind.clone(): said}))
}

fn tools(asked: &Value) -> Result<Vec<Value>, Refused> {
    let list = present(asked, "tools").and_then(Value::as_array).into_iter().flatten();
    let one = |(at, tool): (usize, &Value)| {
        let place = format!("tools[{at}]");
        members(tool, &["type", "function"], &place)?;
        let function = &tool["function"];
        members(function, &["name", "description", "parameters"], &place)?;
        text(function, "name", &place)?;
        if tool["type"] != "FUNCTION" || !function["parameters"].is_object() {
            return Err(malformed(format!("{place} must be a FUNCTION with parameters")));
        }
        Ok(json!({"type": "function", "function": function}))
    };
    let tools: Vec<Value> = list.enumerate().map(one).collect::<Result<_, Refused>>()?;
    if tools.is_empty() && asked["toolsChoice"] == "REQUIRED" {
        return Err(malformed("toolsChoice REQUIRED needs tools"));
    }
    Ok(tools)
}

fn response_format(format: &Value, asked: &Value) -> Result<Value, Refused> {
    match text(format, "type", "responseFormat")? {
        "TEXT" => members(format, &["type"], "responseFormat").map(|_| json!({"type": "text"})),
        "JSON_OBJECT" => {
            members(format, &["type", "schema"], "responseFormat")?;
            let some = |name| present(asked, name).is_some_and(|it| it != &json!([]));
            if some("tools") || some("documents") {
                return Err(malformed("responseFormat goes with neither tools nor documents"));
            }
            Ok(json!({"type": "json_object", "json_schema": format.get("schema")}))
        }
        _ => Err(malformed("responseFormat.type is none that is known")),
    }
}
