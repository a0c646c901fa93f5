//! What Google refuses in a request, beside the contents. Source: the vendor's API reference and the request types of
//! its Python SDK 3.4.

use serde_json::{Map, Value};

use crate::ask::Refused;

const TOP: [&str; 11] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "safetySettings",
    "generationConfig",
    "cachedContent",
    "labels",
    "serviceTier",
    "store",
    "model",
];
const CONFIG: [&str; 20] = [
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseLogprobs",
    "logprobs",
    "responseModalities",
    "thinkingConfig",
    "mediaResolution",
    "speechConfig",
    "imageConfig",
    "audioTimestamp",
];
const FUNCTION: [&str; 7] = [
    "name",
    "description",
    "parameters",
    "parametersJsonSchema",
    "response",
    "responseJsonSchema",
    "behavior",
];
const LEVELS: [&str; 5] = ["MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"];

/// proto3 JSON knows every field by two names.
fn camel(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut raise = false;
    for letter in key.chars() {
        if letter == '_' {
            raise = true;
        } else if std::mem::take(&mut raise) {
            out.push(letter.to_ascii_uppercase());
        } else {
            out.push(letter);
        }
    }
    out
}

/// A field, by either of its names; null is absent.
pub(super) fn field<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = map.get(name).or_else(|| map.iter().find(|(k, _)| camel(k) == name).map(|it| it.1));
    found.filter(|it| !it.is_null())
}

/// The object in a field.
pub(super) fn object<'a>(
    map: &'a Map<String, Value>,
    name: &str,
) -> Option<&'a Map<String, Value>> {
    field(map, name)?.as_object()
}

/// The string in a field.
pub(super) fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    field(map, name)?.as_str()
}

/// The items of a list in a field.
pub(super) fn items<'a>(map: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    field(map, name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn bad(message: impl Into<String>) -> Refused {
    Refused::new(400, message)
}

/// Names that the message type does not have.
pub(super) fn known(map: &Map<String, Value>, names: &[&str], at: &str) -> Result<(), Refused> {
    match map.keys().find(|key| !names.contains(&camel(key).as_str())) {
        Some(unknown) => Err(bad(format!(
            "Invalid JSON payload received. Unknown name \"{unknown}\" at '{at}': Cannot find field."
        ))),
        None => Ok(()),
    }
}

/// Everything but the contents.
pub(super) fn top(body: &Map<String, Value>) -> Result<(), Refused> {
    known(body, &TOP, "")?;
    let names = tools(body)?;
    choice(body, &names)?;
    match field(body, "generationConfig") {
        None => Ok(()),
        Some(Value::Object(config)) => generation(config),
        Some(_) => Err(bad("Invalid value at 'generation_config'")),
    }
}

fn tools(body: &Map<String, Value>) -> Result<Vec<String>, Refused> {
    let mut names: Vec<String> = Vec::new();
    for (at, tool) in items(body, "tools").iter().enumerate() {
        let Value::Object(tool) = tool else {
            return Err(bad(format!("Invalid value at 'tools[{at}]'")));
        };
        for function in items(tool, "functionDeclarations") {
            let Value::Object(function) = function else {
                return Err(bad(format!("Invalid value at 'tools[{at}].function_declarations'")));
            };
            known(function, &FUNCTION, &format!("tools[{at}].function_declarations"))?;
            let name = text(function, "name").unwrap_or_default();
            let inner = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
            let first = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
            let good = (1..=64).contains(&name.len())
                && name.as_bytes().first().is_some_and(first)
                && name.bytes().all(inner);
            if !good {
                return Err(bad(format!(
                    "Invalid function name: `{name}`. Must start with a letter or an underscore; alphameric, underscores, dots, colons or dashes, at most 64."
                )));
            }
            if names.iter().any(|it| it == name) {
                return Err(bad(format!("Duplicate function declaration found: {name}")));
            }
            schema(function, "parameters", "parametersJsonSchema")?;
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// One of the two forms: Google's own with its upper-case types, or JSON Schema.
fn schema(of: &Map<String, Value>, own: &str, plain: &str) -> Result<(), Refused> {
    let (own_schema, json) = (field(of, own), field(of, plain));
    if own_schema.is_some() && json.is_some() {
        return Err(bad(format!("Only one of `{own}` and `{plain}` may be set.")));
    }
    if let Some(schema) = own_schema {
        let kind = schema.as_object().and_then(|it| text(it, "type")).unwrap_or_default();
        let kinds = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];
        if !kinds.contains(&kind.to_ascii_uppercase().as_str()) {
            return Err(bad(format!("Invalid value at '{own}.type': \"{kind}\"")));
        }
    }
    if json.is_some_and(|it| !it.is_object() && !it.is_boolean()) {
        return Err(bad(format!("Invalid value at '{plain}'")));
    }
    Ok(())
}

fn choice(body: &Map<String, Value>, names: &[String]) -> Result<(), Refused> {
    let Some(config) = object(body, "toolConfig") else { return Ok(()) };
    known(config, &["functionCallingConfig", "retrievalConfig"], "tool_config")?;
    let Some(calling) = object(config, "functionCallingConfig") else { return Ok(()) };
    let fields = ["mode", "allowedFunctionNames", "streamFunctionCallArguments"];
    known(calling, &fields, "tool_config.function_calling_config")?;
    let mode = text(calling, "mode").unwrap_or("AUTO");
    if !["AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED"].contains(&mode) {
        return Err(bad(format!(
            "Invalid value at 'tool_config.function_calling_config.mode': \"{mode}\""
        )));
    }
    let allowed = items(calling, "allowedFunctionNames");
    if !allowed.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        return Err(bad(
            "allowed_function_names should only be set when the mode is ANY or VALIDATED.",
        ));
    }
    let has = |name: &Value| names.iter().any(|it| name.as_str() == Some(it));
    match allowed.iter().find(|name| !has(name)) {
        Some(name) => {
            Err(bad(format!("allowed_function_names holds {name}, which is not declared.")))
        }
        None => Ok(()),
    }
}

fn generation(config: &Map<String, Value>) -> Result<(), Refused> {
    known(config, &CONFIG, "generation_config")?;
    let range = |name: &str, least: f64, most: f64| match field(config, name).map(Value::as_f64) {
        None => Ok(()),
        Some(Some(value)) if (least..=most).contains(&value) => Ok(()),
        Some(_) => Err(bad(format!("{name} must be in the range [{least}, {most}]."))),
    };
    range("temperature", 0.0, 2.0)?;
    range("topP", 0.0, 1.0)?;
    range("topK", 1.0, 1_000.0)?;
    range("candidateCount", 1.0, 8.0)?;
    range("maxOutputTokens", 1.0, 1e9)?;
    range("seed", -2_147_483_648.0, 2_147_483_647.0)?;
    range("presencePenalty", -2.0, 1.99)?;
    range("frequencyPenalty", -2.0, 1.99)?;
    range("logprobs", 0.0, 20.0)?;
    let wanted = field(config, "responseLogprobs") == Some(&Value::Bool(true));
    if field(config, "logprobs").is_some() && !wanted {
        return Err(bad("logprobs may only be set when response_logprobs is true."));
    }
    if items(config, "stopSequences").len() > 5 {
        return Err(bad("At most 5 stop sequences are supported."));
    }
    schema(config, "responseSchema", "responseJsonSchema")?;
    let has_schema =
        ["responseSchema", "responseJsonSchema"].iter().any(|it| field(config, it).is_some());
    let kind = text(config, "responseMimeType").unwrap_or("text/plain");
    if !["text/plain", "application/json", "text/x.enum"].contains(&kind) {
        return Err(bad(format!("response_mime_type: unsupported {kind}")));
    }
    if has_schema && kind == "text/plain" {
        return Err(bad("response_schema needs response_mime_type application/json."));
    }
    thinking(config)
}

fn thinking(config: &Map<String, Value>) -> Result<(), Refused> {
    let Some(thinking) = object(config, "thinkingConfig") else { return Ok(()) };
    let fields = ["includeThoughts", "thinkingBudget", "thinkingLevel"];
    known(thinking, &fields, "generation_config.thinking_config")?;
    let (level, budget) = (text(thinking, "thinkingLevel"), field(thinking, "thinkingBudget"));
    if level.is_some() && budget.is_some() {
        return Err(bad("You can only set only one of thinking budget and thinking level."));
    }
    if level.is_some_and(|it| !LEVELS.contains(&it.to_ascii_uppercase().as_str())) {
        return Err(bad("Invalid value at 'generation_config.thinking_config.thinking_level'"));
    }
    match budget.map(Value::as_i64) {
        None | Some(Some(-1..=32_768)) => Ok(()),
        Some(_) => {
            Err(bad("The thinking budget is invalid. Please choose a value between 0 and 32768."))
        }
    }
}
