//! What OpenAI refuses in a chat request, field by field. Source: the vendor's API reference and the request
//! types of its Python SDK 3.54.

use serde_json::{Map, Value};

use crate::ask::Refused;
use crate::schema;

const FIELDS: [&str; 37] = [
    "model",
    "messages",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const TIERS: [&str; 6] = ["auto", "default", "flex", "scale", "priority", "fast"];
const VERBOSITIES: [&str; 3] = ["low", "medium", "high"];

/// Everything above the messages.
pub(super) fn top(body: &Value) -> Result<(), Refused> {
    let Value::Object(map) = body else {
        return Err(Refused::new(400, "The body must be a JSON object."));
    };
    if let Some(unknown) = map.keys().find(|k| !FIELDS.contains(&k.as_str())) {
        return Err(Refused::new(
            400,
            format!("Unrecognized request argument supplied: {unknown}"),
        ));
    }
    numbers(map)?;
    words(map)?;
    flags(map)?;
    stops(map)?;
    limits(map)?;
    tools(map)?;
    response_format(map)
}

fn numbers(map: &Map<String, Value>) -> Result<(), Refused> {
    range(map, "temperature", 0.0, 2.0)?;
    range(map, "top_p", 0.0, 1.0)?;
    range(map, "frequency_penalty", -2.0, 2.0)?;
    range(map, "presence_penalty", -2.0, 2.0)?;
    whole(map, "n", 1, 128)?;
    whole(map, "max_tokens", 1, i64::MAX)?;
    whole(map, "max_completion_tokens", 1, i64::MAX)?;
    whole(map, "seed", i64::MIN, i64::MAX)?;
    whole(map, "top_logprobs", 0, 20)?;
    if set(map, "top_logprobs") && map.get("logprobs") != Some(&Value::Bool(true)) {
        return Err(Refused::field(
            "top_logprobs",
            "'logprobs' must be true to use 'top_logprobs'.",
        ));
    }
    Ok(())
}

fn words(map: &Map<String, Value>) -> Result<(), Refused> {
    one_of(map, "reasoning_effort", &EFFORTS)?;
    one_of(map, "service_tier", &TIERS)?;
    one_of(map, "verbosity", &VERBOSITIES)?;
    for name in ["user", "safety_identifier", "prompt_cache_key"] {
        if present(map, name).is_some_and(|v| !v.is_string()) {
            return Err(wrong_type(name, "a string"));
        }
    }
    match present(map, "metadata") {
        None => Ok(()),
        Some(Value::Object(m)) if m.len() <= 16 && m.values().all(Value::is_string) => Ok(()),
        Some(_) => Err(wrong_type("metadata", "an object of at most 16 strings")),
    }
}

fn flags(map: &Map<String, Value>) -> Result<(), Refused> {
    for name in ["stream", "logprobs", "parallel_tool_calls", "store"] {
        if present(map, name).is_some_and(|v| !v.is_boolean()) {
            return Err(wrong_type(name, "a boolean"));
        }
    }
    let streamed = map.get("stream") == Some(&Value::Bool(true));
    match present(map, "stream_options") {
        Some(_) if !streamed => Err(Refused::field(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )),
        Some(Value::Object(o)) => {
            match o.keys().find(|k| !["include_usage", "include_obfuscation"].contains(&k.as_str()))
            {
                Some(k) => Err(Refused::field(
                    "stream_options",
                    format!("Unknown parameter: 'stream_options.{k}'."),
                )),
                None => Ok(()),
            }
        }
        Some(_) => Err(wrong_type("stream_options", "an object")),
        None => Ok(()),
    }
}

fn stops(map: &Map<String, Value>) -> Result<(), Refused> {
    match present(map, "stop") {
        None => Ok(()),
        Some(Value::String(s)) if !s.is_empty() => Ok(()),
        Some(Value::Array(a)) if (1..=4).contains(&a.len()) && a.iter().all(Value::is_string) => {
            Ok(())
        }
        Some(_) => {
            Err(Refused::field("stop", "Invalid 'stop': expected a string or 1 to 4 strings."))
        }
    }
}

fn limits(map: &Map<String, Value>) -> Result<(), Refused> {
    if set(map, "max_tokens") && set(map, "max_completion_tokens") {
        return Err(Refused::field(
            "max_tokens",
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        ));
    }
    Ok(())
}

fn tools(map: &Map<String, Value>) -> Result<(), Refused> {
    let tools = match present(map, "tools") {
        None => &[][..],
        Some(Value::Array(a)) if (1..=128).contains(&a.len()) => a,
        Some(_) => {
            return Err(Refused::field(
                "tools",
                "Invalid 'tools': expected an array of 1 to 128 tools.",
            ));
        }
    };
    for (at, tool) in tools.iter().enumerate() {
        one_tool(tool, &format!("tools[{at}]"))?;
    }
    let legacy = set(map, "functions");
    for name in ["tool_choice", "parallel_tool_calls"] {
        if set(map, name) && tools.is_empty() && !legacy {
            return Err(Refused::field(
                name,
                format!("'{name}' is only allowed when 'tools' are specified."),
            ));
        }
    }
    choice(map, tools)
}

fn one_tool(tool: &Value, place: &str) -> Result<(), Refused> {
    let kind = tool.get("type").and_then(Value::as_str);
    let inner = match kind {
        Some("function") => tool.get("function"),
        Some("custom") => tool.get("custom"),
        _ => {
            return Err(Refused::field(
                format!("{place}.type"),
                "Invalid value: supported values are 'function' and 'custom'.",
            ));
        }
    };
    let name = inner.and_then(|f| f.get("name")).and_then(Value::as_str);
    if !name.is_some_and(good_name) {
        return Err(Refused::field(
            format!("{place}.function.name"),
            "Invalid tool name: it must match ^[a-zA-Z0-9_-]{1,64}$.",
        ));
    }
    let Some(inner) = inner else { return Ok(()) };
    let strict = inner.get("strict") == Some(&Value::Bool(true));
    if let Some(parameters) = inner.get("parameters") {
        if !parameters.is_object() {
            return Err(wrong_type(&format!("{place}.function.parameters"), "an object"));
        }
        if strict && let Some(fault) = schema::strict_fault(parameters, true) {
            return Err(Refused::field(
                format!("{place}.function.parameters"),
                format!("Invalid schema for function: {fault}."),
            ));
        }
    }
    Ok(())
}

fn choice(map: &Map<String, Value>, tools: &[Value]) -> Result<(), Refused> {
    let known = |name: &str| {
        tools.iter().any(|t| {
            ["function", "custom"]
                .iter()
                .any(|k| t.get(k).and_then(|f| f.get("name")).and_then(Value::as_str) == Some(name))
        })
    };
    match present(map, "tool_choice") {
        None => Ok(()),
        Some(Value::String(s)) if ["none", "auto", "required"].contains(&s.as_str()) => Ok(()),
        Some(Value::Object(o)) => {
            let kind = o.get("type").and_then(Value::as_str).unwrap_or_default();
            if kind == "allowed_tools" {
                return Ok(());
            }
            match o.get(kind).and_then(|f| f.get("name")).and_then(Value::as_str) {
                Some(name) if known(name) => Ok(()),
                Some(name) => Err(Refused::field(
                    "tool_choice",
                    format!("Tool choice '{name}' not found in 'tools' parameter."),
                )),
                None => Err(Refused::field("tool_choice", "Invalid 'tool_choice'.")),
            }
        }
        Some(_) => Err(Refused::field(
            "tool_choice",
            "Invalid 'tool_choice': supported values are 'none', 'auto' and 'required'.",
        )),
    }
}

fn response_format(map: &Map<String, Value>) -> Result<(), Refused> {
    let Some(format) = present(map, "response_format") else { return Ok(()) };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(()),
        Some("json_object") => {
            let said =
                map.get("messages").is_some_and(|m| m.to_string().to_lowercase().contains("json"));
            if said {
                return Ok(());
            }
            Err(Refused::field(
                "messages",
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            ))
        }
        Some("json_schema") => {
            let inner = format.get("json_schema").unwrap_or(&Value::Null);
            if !inner.get("name").and_then(Value::as_str).is_some_and(good_name) {
                return Err(Refused::field(
                    "response_format.json_schema.name",
                    "Missing or invalid 'name'.",
                ));
            }
            let Some(schema) = inner.get("schema").filter(|s| s.is_object()) else {
                return Err(Refused::field(
                    "response_format.json_schema.schema",
                    "Missing required parameter.",
                ));
            };
            let strict = inner.get("strict") == Some(&Value::Bool(true));
            match if strict { schema::strict_fault(schema, true) } else { None } {
                Some(fault) => Err(Refused::field(
                    "response_format",
                    format!("Invalid schema for response_format: {fault}."),
                )),
                None => Ok(()),
            }
        }
        _ => Err(Refused::field(
            "response_format.type",
            "Invalid value: supported values are 'json_object', 'json_schema' and 'text'.",
        )),
    }
}

pub(crate) fn good_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A field that is there and not null (null means unset).
fn present<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).filter(|v| !v.is_null())
}

fn set(map: &Map<String, Value>, name: &str) -> bool {
    present(map, name).is_some()
}

pub(crate) fn wrong_type(name: &str, wanted: &str) -> Refused {
    Refused::field(name, format!("Invalid type for '{name}': expected {wanted}."))
}

pub(crate) fn range(
    map: &Map<String, Value>,
    name: &str,
    low: f64,
    high: f64,
) -> Result<(), Refused> {
    match present(map, name).map(Value::as_f64) {
        None => Ok(()),
        Some(Some(v)) if (low..=high).contains(&v) => Ok(()),
        Some(Some(v)) => Err(Refused::field(
            name,
            format!("Invalid '{name}': {v} is not between {low} and {high}."),
        )),
        Some(None) => Err(wrong_type(name, "a number")),
    }
}

pub(crate) fn whole(
    map: &Map<String, Value>,
    name: &str,
    low: i64,
    high: i64,
) -> Result<(), Refused> {
    match present(map, name).map(Value::as_i64) {
        None => Ok(()),
        Some(Some(v)) if (low..=high).contains(&v) => Ok(()),
        Some(Some(v)) => {
            Err(Refused::field(name, format!("Invalid '{name}': {v} is out of range.")))
        }
        Some(None) => Err(wrong_type(name, "an integer")),
    }
}

pub(crate) fn one_of(map: &Map<String, Value>, name: &str, good: &[&str]) -> Result<(), Refused> {
    match present(map, name) {
        None => Ok(()),
        Some(Value::String(s)) if good.contains(&s.as_str()) => Ok(()),
        Some(_) => Err(Refused::field(
            name,
            format!("Invalid value for '{name}': supported values are {}.", good.join(", ")),
        )),
    }
}
