//! What Anthropic refuses in a messages request, above the messages. Source: the vendor's API reference and the
//! request types of its Python SDK 2.12; the rules of version 2026-10-21 from its release notes.

use serde_json::{Map, Value};

use super::Version;
use crate::ask::Refused;
use crate::schema;

const FIELDS: [&str; 22] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "stop_sequences",
    "stream",
    "metadata",
    "service_tier",
    "speed",
    "inference_geo",
    "container",
    "diagnostics",
    "temperature",
    "top_p",
    "top_k",
    "output_format",
    "betas",
];
/// Accepted only beside an `anthropic-beta` header.
const BETA_FIELDS: [&str; 5] =
    ["context_management", "mcp_servers", "fallbacks", "compaction", "user_profile_id"];
const SAMPLING: [&str; 3] = ["temperature", "top_p", "top_k"];
const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// Everything above the messages. `beta`: it asks for some. `answer`: it wants an answer (not only a count).
pub(super) fn top(body: &Value, version: Version, beta: bool, answer: bool) -> Result<(), Refused> {
    let Value::Object(map) = body else {
        return Err(bad("The request body must be a JSON object"));
    };
    let known = |k: &str| FIELDS.contains(&k) || beta && BETA_FIELDS.contains(&k);
    if let Some(unknown) = map.keys().find(|k| !known(k)) {
        return Err(bad(format!("{unknown}: Extra inputs are not permitted")));
    }
    let max_tokens = max_tokens(map, answer)?;
    sampling(map, version)?;
    stops(map)?;
    words(map)?;
    tools(map)?;
    choice(map)?;
    thinking(map, max_tokens, version)?;
    output(map)?;
    breakpoints(body)
}

pub(super) fn bad(message: impl Into<String>) -> Refused {
    Refused::new(400, message)
}

fn max_tokens(map: &Map<String, Value>, answer: bool) -> Result<u64, Refused> {
    match map.get("max_tokens") {
        None if !answer => Ok(u64::MAX),
        None => Err(bad("max_tokens: Field required")),
        Some(v) => v.as_u64().ok_or_else(|| {
            bad("max_tokens: Input should be a valid integer, greater than or equal to 0")
        }),
    }
}

fn sampling(map: &Map<String, Value>, version: Version) -> Result<(), Refused> {
    for name in SAMPLING {
        let Some(v) = map.get(name) else { continue };
        if version == Version::V2026 {
            return Err(bad(format!("{name}: not supported in anthropic-version 2026-10-21")));
        }
        let ok = if name == "top_k" {
            v.as_u64().is_some()
        } else {
            v.as_f64().is_some_and(|v| (0.0..=1.0).contains(&v))
        };
        if !ok {
            return Err(bad(format!("{name}: range: 0..1")));
        }
    }
    Ok(())
}

fn stops(map: &Map<String, Value>) -> Result<(), Refused> {
    match map.get("stop_sequences") {
        None => Ok(()),
        Some(Value::Array(a)) => {
            let blank = |v: &Value| v.as_str().is_none_or(|s| s.trim().is_empty());
            if a.iter().any(blank) {
                return Err(bad("stop_sequences: each stop sequence must contain non-whitespace"));
            }
            Ok(())
        }
        Some(_) => Err(bad("stop_sequences: Input should be a valid list")),
    }
}

fn words(map: &Map<String, Value>) -> Result<(), Refused> {
    let among = |name: &str, good: &[&str]| match map.get(name) {
        None => Ok(()),
        Some(Value::String(s)) if good.contains(&s.as_str()) => Ok(()),
        Some(_) => Err(bad(format!("{name}: Input should be one of {}", good.join(", ")))),
    };
    among("service_tier", &["auto", "standard_only"])?;
    among("speed", &["standard", "fast"])?;
    if map.get("stream").is_some_and(|v| !v.is_boolean()) {
        return Err(bad("stream: Input should be a valid boolean"));
    }
    match map.get("metadata") {
        None => Ok(()),
        Some(Value::Object(m)) if m.keys().all(|k| k == "user_id") => Ok(()),
        Some(_) => Err(bad("metadata: Extra inputs are not permitted (only user_id)")),
    }
}

fn tools(map: &Map<String, Value>) -> Result<(), Refused> {
    let list = match map.get("tools") {
        None => return Ok(()),
        Some(Value::Array(a)) => a,
        Some(_) => return Err(bad("tools: Input should be a valid list")),
    };
    let mut names: Vec<&str> = Vec::new();
    for (at, tool) in list.iter().enumerate() {
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        let good = (1..=128).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !good {
            return Err(bad(format!(
                "tools.{at}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            )));
        }
        if names.contains(&name) {
            return Err(bad("tools: Tool names must be unique."));
        }
        names.push(name);
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or("custom");
        if kind == "function" {
            return Err(bad(format!(
                "tools.{at}: Input tag 'function' found using 'type' does not match any of the expected tags"
            )));
        }
        if kind != "custom" {
            continue;
        }
        let Some(schema) = tool.get("input_schema") else {
            return Err(bad(format!("tools.{at}.custom.input_schema: Field required")));
        };
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(bad(format!(
                "tools.{at}.custom.input_schema.type: Input should be 'object'"
            )));
        }
        if tool.get("strict") == Some(&Value::Bool(true))
            && let Some(fault) = schema::strict_fault(schema, false)
        {
            return Err(bad(format!("tools.{at}.custom.input_schema: {fault}")));
        }
    }
    Ok(())
}

fn choice(map: &Map<String, Value>) -> Result<(), Refused> {
    let Some(choice) = map.get("tool_choice") else { return Ok(()) };
    let kind = choice.get("type").and_then(Value::as_str).unwrap_or_default();
    if !["auto", "any", "tool", "none"].contains(&kind) {
        return Err(bad(
            "tool_choice: Input tag does not match any of the expected tags: 'auto', 'any', 'tool', 'none'",
        ));
    }
    let list = map.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() && kind != "none" {
        return Err(bad("tool_choice may only be specified while providing tools"));
    }
    if kind == "tool" {
        let name = choice.get("name").and_then(Value::as_str);
        if name.is_none() || !list.iter().any(|t| t.get("name").and_then(Value::as_str) == name) {
            return Err(bad("tool_choice: the named tool was not found in 'tools'"));
        }
    }
    Ok(())
}

fn thinking(map: &Map<String, Value>, max_tokens: u64, version: Version) -> Result<(), Refused> {
    let Some(thinking) = map.get("thinking") else { return Ok(()) };
    let kind = thinking.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind == "enabled" {
        let Some(budget) = thinking.get("budget_tokens").and_then(Value::as_u64) else {
            return Err(bad("thinking.enabled.budget_tokens: Field required"));
        };
        if budget < 1_024 {
            return Err(bad(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
            ));
        }
        if budget >= max_tokens {
            return Err(bad("`max_tokens` must be greater than `thinking.budget_tokens`."));
        }
    } else if !["adaptive", "disabled", "between_tools"].contains(&kind) {
        return Err(bad("thinking: Input tag does not match any of the expected tags"));
    }
    if kind == "disabled" {
        return Ok(());
    }
    let forced = map.get("tool_choice").and_then(|c| c.get("type")).and_then(Value::as_str);
    if matches!(forced, Some("any" | "tool")) {
        return Err(bad("Thinking may not be enabled when tool_choice forces tool use."));
    }
    let hot = version == Version::V2023
        && map.get("temperature").and_then(Value::as_f64).is_some_and(|t| t < 1.0);
    if hot || map.contains_key("top_k") {
        return Err(bad(
            "`temperature` may only be set to 1 and `top_k` may not be set when thinking is enabled.",
        ));
    }
    Ok(())
}

fn output(map: &Map<String, Value>) -> Result<(), Refused> {
    let Some(config) = map.get("output_config") else { return Ok(()) };
    let Value::Object(config) = config else {
        return Err(bad("output_config: Input should be an object"));
    };
    if let Some(unknown) =
        config.keys().find(|k| !["effort", "format", "task_budget"].contains(&k.as_str()))
    {
        return Err(bad(format!("output_config.{unknown}: Extra inputs are not permitted")));
    }
    match config.get("effort").map(Value::as_str) {
        None => {}
        Some(Some(e)) if EFFORTS.contains(&e) => {}
        Some(_) => {
            return Err(bad(format!(
                "output_config.effort: Input should be one of {}",
                EFFORTS.join(", ")
            )));
        }
    }
    let Some(format) = config.get("format").filter(|f| !f.is_null()) else { return Ok(()) };
    if format.get("type").and_then(Value::as_str) != Some("json_schema") {
        return Err(bad("output_config.format.type: Input should be 'json_schema'"));
    }
    let Some(schema) = format.get("schema").filter(|s| s.is_object()) else {
        return Err(bad("output_config.format.schema: Field required"));
    };
    match schema::strict_fault(schema, false) {
        Some(fault) => Err(bad(format!("output_config.format.schema: {fault}"))),
        None => Ok(()),
    }
}

/// At most four cache breakpoints in a request.
fn breakpoints(body: &Value) -> Result<(), Refused> {
    let n = count_breakpoints(body);
    if n > 4 {
        return Err(bad(format!(
            "A maximum of 4 blocks with cache_control may be provided. Found {n}."
        )));
    }
    Ok(())
}

fn count_breakpoints(v: &Value) -> usize {
    match v {
        Value::Array(a) => a.iter().map(count_breakpoints).sum(),
        Value::Object(o) => {
            let own = usize::from(o.get("cache_control").is_some_and(Value::is_object));
            // What a tool's schema or input calls `cache_control` is not ours.
            own + o
                .iter()
                .filter(|(k, _)| !["input_schema", "input", "schema"].contains(&k.as_str()))
                .map(|(_, v)| count_breakpoints(v))
                .sum::<usize>()
        }
        _ => 0,
    }
}
