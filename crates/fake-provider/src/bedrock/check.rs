//! What Bedrock refuses in a Converse request, above the messages. Source: botocore 1.44's service model
//! (required members, unions, ranges, patterns) and the vendor's API reference.

use serde_json::{Map, Value};

use crate::ask::Refused;
use crate::schema;

const FIELDS: [&str; 13] = [
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "guardrailConfig",
    "projectIdentifier",
    "additionalModelRequestFields",
    "promptVariables",
    "additionalModelResponseFieldPaths",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
    "outputConfig",
];

pub(super) fn bad(message: impl Into<String>) -> Refused {
    Refused::new(400, message)
}

/// Everything above the messages.
pub(super) fn top(body: &Value) -> Result<(), Refused> {
    let map = members(body, &FIELDS, "request")?;
    inference(map)?;
    tools(map)?;
    output(map)?;
    thinking(map)?;
    if let Some(tier) = map.get("serviceTier") {
        let word = tier.get("type").and_then(Value::as_str).unwrap_or_default();
        if !["priority", "default", "flex", "reserved"].contains(&word) {
            return Err(bad("serviceTier.type: not a known tier"));
        }
    }
    let points = body.to_string().matches("\"cachePoint\":{").count();
    if points > 4 {
        return Err(bad(format!("You can use at most 4 cache points. Found {points}.")));
    }
    Ok(())
}

/// An object with no other members than these.
pub(super) fn members<'a>(
    value: &'a Value,
    known: &[&str],
    place: &str,
) -> Result<&'a Map<String, Value>, Refused> {
    let Value::Object(map) = value else { return Err(bad(format!("{place}: expected an object"))) };
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(bad(format!("{place}: extraneous key [{key}] is not permitted"))),
        None => Ok(map),
    }
}

/// The one member of a union.
pub(super) fn union<'a>(value: &'a Value, place: &str) -> Result<(&'a str, &'a Value), Refused> {
    match value.as_object().map(|map| map.iter().collect::<Vec<_>>()).as_deref() {
        Some([(key, inner)]) => Ok((key.as_str(), *inner)),
        _ => Err(bad(format!("{place}: a union must have exactly one member"))),
    }
}

fn inference(map: &Map<String, Value>) -> Result<(), Refused> {
    let Some(config) = map.get("inferenceConfig") else { return Ok(()) };
    let known = ["maxTokens", "temperature", "topP", "stopSequences"];
    let config = members(config, &known, "inferenceConfig")?;
    if config.get("maxTokens").is_some_and(|it| it.as_u64().is_none_or(|it| it == 0)) {
        return Err(bad("inferenceConfig.maxTokens: must be at least 1"));
    }
    for name in ["temperature", "topP"] {
        let good = |it: &Value| it.as_f64().is_some_and(|it| (0.0..=1.0).contains(&it));
        if config.get(name).is_some_and(|it| !good(it)) {
            return Err(bad(format!("inferenceConfig.{name}: must be between 0 and 1")));
        }
    }
    let stops = config.get("stopSequences").and_then(Value::as_array);
    if stops.into_iter().flatten().any(|it| it.as_str().is_none_or(|it| it.trim().is_empty())) {
        return Err(bad("inferenceConfig.stopSequences: a stop sequence is blank"));
    }
    Ok(())
}

fn tools(map: &Map<String, Value>) -> Result<(), Refused> {
    let Some(config) = map.get("toolConfig") else { return Ok(()) };
    let config = members(config, &["tools", "toolChoice"], "toolConfig")?;
    let list = config.get("tools").and_then(Value::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| bad("toolConfig.tools: must have length of at least 1"))?;
    let mut names = Vec::new();
    for (at, tool) in list.iter().enumerate() {
        let place = format!("toolConfig.tools.{at}");
        if let ("toolSpec", spec) = union(tool, &place)? {
            names.push(spec_name(spec, &place)?);
        }
    }
    let unique: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    if unique.len() < names.len() {
        return Err(bad("toolConfig.tools: the tool names are not unique"));
    }
    let Some(choice) = config.get("toolChoice") else { return Ok(()) };
    match union(choice, "toolConfig.toolChoice")? {
        ("auto" | "any", inner) if inner.as_object().is_some_and(Map::is_empty) => Ok(()),
        ("tool", named) if named["name"].as_str().is_some_and(|it| names.contains(&it)) => Ok(()),
        _ => Err(bad("toolConfig.toolChoice: not a choice, or of a tool that is not there")),
    }
}

fn spec_name<'a>(spec: &'a Value, place: &str) -> Result<&'a str, Refused> {
    members(spec, &["name", "description", "inputSchema", "strict"], place)?;
    let name = spec["name"].as_str().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(bad(format!("{place}.name: must match [a-zA-Z0-9_-]{{1,64}}")));
    }
    if spec.get("description").is_some_and(|it| it.as_str().is_none_or(str::is_empty)) {
        return Err(bad(format!("{place}.description: must have length of at least 1")));
    }
    let schema = &spec["inputSchema"]["json"];
    if schema["type"] != "object" {
        return Err(bad(format!("{place}.inputSchema.json.type must be object")));
    }
    if spec["strict"] == true
        && let Some(fault) = schema::strict_fault(schema, false)
    {
        return Err(bad(format!("{place}.inputSchema: {fault}")));
    }
    Ok(name)
}

fn output(map: &Map<String, Value>) -> Result<(), Refused> {
    let Some(config) = map.get("outputConfig") else { return Ok(()) };
    let config = members(config, &["textFormat", "effort"], "outputConfig")?;
    let efforts = ["low", "medium", "high", "xhigh", "max"];
    if config.get("effort").is_some_and(|it| !efforts.iter().any(|word| it == word)) {
        return Err(bad("outputConfig.effort: not a known effort"));
    }
    let Some(format) = config.get("textFormat") else { return Ok(()) };
    members(format, &["type", "structure"], "outputConfig.textFormat")?;
    let inner = &format["structure"]["jsonSchema"];
    members(inner, &["schema", "name", "description"], "outputConfig.textFormat.structure")?;
    if format["type"] != "json_schema" {
        return Err(bad("outputConfig.textFormat.type: must be json_schema"));
    }
    let schema = inner["schema"].as_str().and_then(|text| serde_json::from_str(text).ok());
    let schema: Value =
        schema.ok_or_else(|| bad("outputConfig...jsonSchema.schema: must be JSON in a string"))?;
    match schema::strict_fault(&schema, false) {
        Some(fault) => Err(bad(format!("outputConfig.textFormat: {fault}"))),
        None => Ok(()),
    }
}

/// Claude's own fields: its host passes on what it says about them.
fn thinking(map: &Map<String, Value>) -> Result<(), Refused> {
    let Some(thinking) = map.get("additionalModelRequestFields").and_then(|it| it.get("thinking"))
    else {
        return Ok(());
    };
    match thinking["type"].as_str() {
        Some("enabled") => {
            let budget = thinking["budget_tokens"].as_u64().unwrap_or_default();
            let most = map.get("inferenceConfig").and_then(|it| it["maxTokens"].as_u64());
            if budget < 1_024 || most.is_some_and(|most| budget >= most) {
                return Err(bad(
                    "thinking.budget_tokens must be at least 1024 and below max_tokens",
                ));
            }
        }
        Some("disabled") => return Ok(()),
        Some("adaptive" | "between_tools") => {}
        _ => return Err(bad("thinking.type: not a known type")),
    }
    let choice = map.get("toolConfig").and_then(|it| it.get("toolChoice"));
    if choice.is_some_and(|choice| choice.get("auto").is_none()) {
        return Err(bad("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(())
}
