//! What Cohere refuses in a v2 chat request, field by field.

use serde_json::{Map, Value};

use super::invalid;
use crate::ask::Refused;

const FIELDS: [&str; 21] = [
    "model",
    "messages",
    "tools",
    "strict_tools",
    "documents",
    "citation_options",
    "response_format",
    "safety_mode",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "k",
    "p",
    "logprobs",
    "tool_choice",
    "thinking",
    "priority",
    "stream",
];
const CITATIONS: [&str; 5] = ["ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF"];

/// Everything above the messages.
pub(super) fn top(body: &Value) -> Result<(), Refused> {
    let Value::Object(map) = body else {
        return Err(invalid("the body must be a JSON object."));
    };
    if let Some(unknown) = map.keys().find(|k| !FIELDS.contains(&k.as_str())) {
        return Err(invalid(format!("unknown field: {unknown}.")));
    }
    numbers(map)?;
    flags(map)?;
    stops(map)?;
    tools(map)?;
    documents(map)?;
    thinking(map)?;
    response_format(map)
}

fn numbers(map: &Map<String, Value>) -> Result<(), Refused> {
    range(map, "temperature", 0.0, f64::MAX)?;
    range(map, "p", 0.01, 0.99)?;
    range(map, "k", 0.0, 500.0)?;
    range(map, "frequency_penalty", 0.0, 1.0)?;
    range(map, "presence_penalty", 0.0, 1.0)?;
    let set = |name| present(map, name).and_then(Value::as_f64).is_some_and(|v| v > 0.0);
    if set("frequency_penalty") && set("presence_penalty") {
        return Err(invalid("cannot specify both frequency_penalty and presence_penalty."));
    }
    for name in ["max_tokens", "seed", "k", "priority"] {
        if present(map, name).is_some_and(|v| !v.is_u64()) {
            return Err(invalid(format!("{name} must be a whole number, not negative.")));
        }
    }
    Ok(())
}

fn flags(map: &Map<String, Value>) -> Result<(), Refused> {
    for name in ["stream", "logprobs", "strict_tools"] {
        if present(map, name).is_some_and(|v| !v.is_boolean()) {
            return Err(invalid(format!("{name} must be a boolean.")));
        }
    }
    one_of(map.get("safety_mode"), "safety_mode", &["CONTEXTUAL", "STRICT", "OFF"])?;
    let mode = map.get("citation_options").and_then(|o| o.get("mode"));
    one_of(mode, "citation_options.mode", &CITATIONS)
}

fn stops(map: &Map<String, Value>) -> Result<(), Refused> {
    match present(map, "stop_sequences") {
        None => Ok(()),
        Some(Value::Array(a)) if a.len() <= 5 && a.iter().all(Value::is_string) => Ok(()),
        Some(_) => Err(invalid("stop_sequences must be at most 5 strings.")),
    }
}

fn tools(map: &Map<String, Value>) -> Result<(), Refused> {
    let tools = match present(map, "tools") {
        None => &[][..],
        Some(Value::Array(a)) => a,
        Some(_) => return Err(invalid("tools must be an array.")),
    };
    for (at, tool) in tools.iter().enumerate() {
        let function = tool.get("function");
        let name = function.and_then(|f| f.get("name")).and_then(Value::as_str);
        let kind = tool.get("type").and_then(Value::as_str);
        if kind != Some("function") || name.is_none_or(str::is_empty) {
            return Err(invalid(format!("tools[{at}] must be a function with a name.")));
        }
        let parameters = function.and_then(|f| f.get("parameters"));
        if !parameters.is_some_and(Value::is_object) {
            return Err(invalid(format!("tools[{at}].function.parameters must be an object.")));
        }
        let known = ["name", "description", "parameters"];
        let unknown = function
            .and_then(Value::as_object)
            .and_then(|f| f.keys().find(|k| !known.contains(&k.as_str())));
        if let Some(unknown) = unknown {
            return Err(invalid(format!("unknown field: tools[{at}].function.{unknown}.")));
        }
    }
    one_of(map.get("tool_choice"), "tool_choice", &["REQUIRED", "NONE"])?;
    let required = map.get("tool_choice").is_some_and(|c| c == "REQUIRED");
    if required && tools.is_empty() {
        return Err(invalid("tool_choice REQUIRED needs tools."));
    }
    Ok(())
}

fn documents(map: &Map<String, Value>) -> Result<(), Refused> {
    let good = |document: &Value| match document {
        Value::String(text) => !text.is_empty(),
        Value::Object(map) => map.get("data").is_some_and(|d| d.is_object() || d.is_string()),
        _ => false,
    };
    match present(map, "documents") {
        None => Ok(()),
        Some(Value::Array(a)) if a.iter().all(good) => Ok(()),
        Some(_) => Err(invalid("each document must be a string or hold data.")),
    }
}

fn thinking(map: &Map<String, Value>) -> Result<(), Refused> {
    let Some(thinking) = present(map, "thinking") else { return Ok(()) };
    if thinking.get("type").is_none() {
        return Err(invalid("thinking.type is required."));
    }
    one_of(thinking.get("type"), "thinking.type", &["enabled", "disabled"])?;
    match thinking.get("token_budget") {
        None | Some(Value::Null) => Ok(()),
        Some(v) if v.as_u64().is_some_and(|n| n > 0) => Ok(()),
        Some(_) => Err(invalid("thinking.token_budget must be a positive integer.")),
    }
}

fn response_format(map: &Map<String, Value>) -> Result<(), Refused> {
    let Some(format) = present(map, "response_format") else { return Ok(()) };
    match format.get("type").and_then(Value::as_str) {
        Some("text") if format.get("json_schema").is_none_or(Value::is_null) => return Ok(()),
        Some("json_object") => {}
        _ => return Err(invalid("response_format.type must be text or json_object.")),
    }
    if !format.get("json_schema").is_none_or(|s| s.is_null() || s.is_object()) {
        return Err(invalid("response_format.json_schema must be an object."));
    }
    let some = |name| map.get(name).and_then(Value::as_array).is_some_and(|a| !a.is_empty());
    if some("documents") {
        return Err(invalid("response_format is not supported with RAG."));
    }
    if some("tools") {
        return Err(invalid("response_format is not supported with tools."));
    }
    Ok(())
}

/// A field that is there and not null (null means unset).
fn present<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).filter(|v| !v.is_null())
}

fn range(map: &Map<String, Value>, name: &str, low: f64, high: f64) -> Result<(), Refused> {
    match present(map, name).map(Value::as_f64) {
        None => Ok(()),
        Some(Some(v)) if (low..=high).contains(&v) => Ok(()),
        Some(_) => Err(invalid(format!("{name} must be between {low} and {high} inclusive."))),
    }
}

fn one_of(value: Option<&Value>, name: &str, good: &[&str]) -> Result<(), Refused> {
    match value {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(s)) if good.contains(&s.as_str()) => Ok(()),
        Some(_) => Err(invalid(format!("{name} must be one of {}.", good.join(", ")))),
    }
}
