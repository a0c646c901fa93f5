//! What OpenAI refuses in a Responses request, field by field. Source: the request types of its Python SDK 3.54, and
//! the vendor's API reference.

use serde_json::Value;

use super::{present, text};
use crate::ask::Refused;
use crate::openai::check::{good_name, one_of, range, whole, wrong_type};
use crate::schema;

const FIELDS: [&str; 35] = [
    "model",
    "input",
    "access_programs",
    "background",
    "background_options",
    "client_metadata",
    "context_management",
    "conversation",
    "image",
    "include",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
const SUMMARIES: [&str; 3] = ["auto", "concise", "detailed"];
const TIERS: [&str; 6] = ["auto", "default", "flex", "scale", "priority", "ultrafast"];
const VERBOSITIES: [&str; 3] = ["low", "medium", "high"];
/// Tools that the vendor runs, or that its agents bring.
const HOSTED: [&str; 13] = [
    "namespace",
    "web_search",
    "web_search_preview",
    "file_search",
    "computer",
    "code_interpreter",
    "image_generation",
    "mcp",
    "local_shell",
    "shell",
    "apply_patch",
    "tool_search",
    "programmatic_tool_calling",
];

/// Everything beside the input.
pub(super) fn top(body: &Value) -> Result<(), Refused> {
    let Value::Object(map) = body else {
        return Err(Refused::new(400, "The body must be a JSON object."));
    };
    if let Some(unknown) = map.keys().find(|k| !FIELDS.contains(&k.as_str())) {
        return Err(Refused::field(unknown.as_str(), format!("Unknown parameter: '{unknown}'."))
            .code("unknown_parameter"));
    }
    range(map, "temperature", 0.0, 2.0)?;
    range(map, "top_p", 0.0, 1.0)?;
    whole(map, "max_output_tokens", 1, i64::MAX)?;
    whole(map, "max_tool_calls", 1, i64::MAX)?;
    whole(map, "top_logprobs", 0, 20)?;
    one_of(map, "service_tier", &TIERS)?;
    one_of(map, "truncation", &["auto", "disabled"])?;
    for name in ["stream", "store", "background", "parallel_tool_calls"] {
        if present(body, name).is_some_and(|v| !v.is_boolean()) {
            return Err(wrong_type(name, "a boolean"));
        }
    }
    for name in ["instructions", "user", "safety_identifier", "prompt_cache_key"] {
        if present(body, name).is_some_and(|v| !v.is_string()) {
            return Err(wrong_type(name, "a string"));
        }
    }
    state(body)?;
    stream_options(body)?;
    reasoning(body)?;
    format(body)?;
    tools(body)
}

/// Nothing was ever stored here.
fn state(body: &Value) -> Result<(), Refused> {
    if let Some(id) = present(body, "previous_response_id") {
        let message = format!("Previous response with id {id} not found.");
        return Err(Refused {
            param: Some("previous_response_id".to_owned()),
            ..Refused::new(400, message)
        }
        .code("previous_response_not_found"));
    }
    for name in ["conversation", "prompt"] {
        if let Some(id) = present(body, name) {
            return Err(Refused {
                param: Some(name.to_owned()),
                ..Refused::new(404, format!("{id} not found."))
            });
        }
    }
    Ok(())
}

fn stream_options(body: &Value) -> Result<(), Refused> {
    let Some(options) = present(body, "stream_options") else { return Ok(()) };
    if body.get("stream") != Some(&Value::Bool(true)) {
        return Err(Refused::field(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        ));
    }
    let Value::Object(options) = options else {
        return Err(wrong_type("stream_options", "an object"));
    };
    match options.keys().find(|key| *key != "include_obfuscation") {
        Some(key) => Err(Refused::field(
            "stream_options",
            format!("Unknown parameter: 'stream_options.{key}'."),
        )),
        None => Ok(()),
    }
}

fn reasoning(body: &Value) -> Result<(), Refused> {
    let Some(reasoning) = present(body, "reasoning") else { return Ok(()) };
    let Value::Object(map) = reasoning else { return Err(wrong_type("reasoning", "an object")) };
    one_of(map, "effort", &EFFORTS)?;
    one_of(map, "summary", &SUMMARIES)?;
    let known = ["effort", "summary", "generate_summary", "mode", "context"];
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Refused::field(
            format!("reasoning.{key}"),
            format!("Unknown parameter: 'reasoning.{key}'."),
        )),
        None => Ok(()),
    }
}

fn format(body: &Value) -> Result<(), Refused> {
    let Some(config) = present(body, "text") else { return Ok(()) };
    if let Value::Object(map) = config {
        one_of(map, "verbosity", &VERBOSITIES)?;
    }
    let Some(format) = present(config, "format") else { return Ok(()) };
    match text(format, "type") {
        Some("text") => Ok(()),
        Some("json_object") => {
            let said = ["input", "instructions"].iter().any(|name| {
                body.get(name).is_some_and(|it| it.to_string().to_lowercase().contains("json"))
            });
            if said {
                return Ok(());
            }
            Err(Refused::field(
                "input",
                "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
            ))
        }
        Some("json_schema") => {
            if !text(format, "name").is_some_and(good_name) {
                return Err(Refused::field("text.format.name", "Missing or invalid 'name'."));
            }
            let Some(schema) = format.get("schema").filter(|schema| schema.is_object()) else {
                return Err(Refused::field("text.format.schema", "Missing required parameter."));
            };
            let strict = format.get("strict") == Some(&Value::Bool(true));
            match if strict { schema::strict_fault(schema, true) } else { None } {
                Some(fault) => Err(Refused::field(
                    "text.format.schema",
                    format!("Invalid schema for response_format: {fault}."),
                )),
                None => Ok(()),
            }
        }
        _ => Err(Refused::field(
            "text.format.type",
            "Invalid value: supported values are 'json_object', 'json_schema' and 'text'.",
        )),
    }
}

fn tools(body: &Value) -> Result<(), Refused> {
    let tools = match present(body, "tools") {
        None => &[][..],
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err(wrong_type("tools", "an array")),
    };
    for (at, tool) in tools.iter().enumerate() {
        one_tool(tool, &format!("tools[{at}]"))?;
    }
    choice(body, tools)
}

fn one_tool(tool: &Value, place: &str) -> Result<(), Refused> {
    let kind = text(tool, "type").unwrap_or_default();
    if HOSTED.contains(&kind) {
        return Ok(());
    }
    if !["function", "custom"].contains(&kind) {
        return Err(Refused::field(format!("{place}.type"), format!("Invalid value: '{kind}'.")));
    }
    // The shape of chat completions, which many send here by mistake.
    if !text(tool, "name").is_some_and(good_name) {
        return Err(Refused::field(
            format!("{place}.name"),
            format!("Missing required parameter: '{place}.name'."),
        ));
    }
    if kind == "custom" {
        return custom_format(tool, place);
    }
    let Some(parameters) = present(tool, "parameters") else { return Ok(()) };
    if !parameters.is_object() {
        return Err(wrong_type(&format!("{place}.parameters"), "an object"));
    }
    if tool.get("strict") == Some(&Value::Bool(true))
        && let Some(fault) = schema::strict_fault(parameters, true)
    {
        return Err(Refused::field(
            format!("{place}.parameters"),
            format!("Invalid schema for function: {fault}."),
        ));
    }
    Ok(())
}

fn custom_format(tool: &Value, place: &str) -> Result<(), Refused> {
    match present(tool, "format").map(|format| (text(format, "type"), format)) {
        None | Some((Some("text"), _)) => Ok(()),
        Some((Some("grammar"), format))
            if text(format, "syntax").is_some() && text(format, "definition").is_some() =>
        {
            Ok(())
        }
        Some(_) => Err(Refused::field(format!("{place}.format"), "Invalid custom tool format.")),
    }
}

fn choice(body: &Value, tools: &[Value]) -> Result<(), Refused> {
    let known = |name: Option<&str>| tools.iter().any(|tool| text(tool, "name") == name);
    match present(body, "tool_choice") {
        None => Ok(()),
        Some(Value::String(word)) if ["none", "auto"].contains(&word.as_str()) => Ok(()),
        Some(Value::String(word)) if word == "required" && !tools.is_empty() => Ok(()),
        Some(choice @ Value::Object(_)) => match text(choice, "type").unwrap_or_default() {
            "function" | "custom" if known(text(choice, "name")) => Ok(()),
            "function" | "custom" => {
                Err(Refused::field("tool_choice", "Tool choice not found in 'tools' parameter."))
            }
            "allowed_tools" if choice.get("tools").is_some_and(Value::is_array) => Ok(()),
            kind if HOSTED.contains(&kind) => Ok(()),
            _ => Err(Refused::field("tool_choice", "Invalid 'tool_choice'.")),
        },
        Some(_) => Err(Refused::field("tool_choice", "Invalid 'tool_choice'.")),
    }
}
