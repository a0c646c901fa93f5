//! A client's request as the exchange (protocols A5).

use std::collections::BTreeMap;

use domain::DialectId;
use serde_json::{Value, json};

use super::names::{fields, get};
use super::read_config;
use super::read_parts::Reader;
use super::schema::json_schema;
use crate::exchange::{Exchange, Part, Tier, Tool, ToolChoice};
use crate::json::Fields;
use crate::wire::{FieldError, Incoming};

/// Fields that no other dialect has: carried verbatim to Gemini providers, noted elsewhere.
pub(super) const EXTRAS: [&str; 5] =
    ["safetySettings", "cachedContent", "labels", "store", "modelArmorConfig"];

/// The same of a function.
pub(super) const TOOL_EXTRAS: [&str; 3] = ["behavior", "response", "responseJsonSchema"];

pub(super) fn read(request: &Incoming<'_>) -> Result<Exchange, FieldError> {
    let body: Value = serde_json::from_slice(request.body)
        .map_err(|error| FieldError::new("", format!("the body is not valid JSON: {error}")))?;
    // A whole request, to be counted.
    let body = match get(&body, "generateContentRequest") {
        Some(inner @ Value::Object(_)) => inner.clone(),
        _ => body,
    };
    let Ok(mut top) = fields(body, String::new()) else {
        return Err(FieldError::new("", "the body must be a JSON object"));
    };
    let model = request.path.model.unwrap_or_default();
    if model.is_empty() {
        return Err(FieldError::new("model", "the path must name the model"));
    }
    let mut exchange = Exchange::new(DialectId::Gemini, model.to_owned());
    // Usage is always part of the stream.
    exchange.include_usage = true;
    exchange.stream = request.path.stream.is_some();
    exchange.stream_form = request.path.stream.unwrap_or_default();
    // Thoughts are shown to who asks for them.
    exchange.reasoning.hide_text = true;
    // The path names the model; what the body says of it is the same once more.
    top.value("model");
    read_conversation(&mut top, &mut exchange)?;
    read_tools(&mut top, &mut exchange)?;
    if let Some(config) = top.value("generationConfig") {
        read_config::read(config, &mut exchange)?;
    }
    exchange.tier = top.string("serviceTier")?.and_then(|word| tier(&word));
    for name in EXTRAS {
        if let Some(value) = top.value(name) {
            exchange.extras.insert(name, value);
        }
    }
    top.finish(&mut exchange.unknown);
    Ok(exchange)
}

fn tier(word: &str) -> Option<Tier> {
    match word.to_ascii_lowercase().as_str() {
        "unspecified" | "service_tier_unspecified" => None,
        "standard" => Some(Tier::Standard),
        other => Some(Tier::Vendor(other.to_owned())),
    }
}

fn read_conversation(top: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    if let Some(system) = top.value("systemInstruction") {
        exchange.system = read_system(system, &mut exchange.unknown)?;
    }
    let contents = match top.value("contents") {
        Some(Value::Array(contents)) => contents,
        Some(one @ Value::Object(_)) => vec![one],
        Some(_) => return Err(FieldError::new("contents", "expected an array")),
        None => Vec::new(),
    };
    if contents.is_empty() {
        return Err(FieldError::new("contents", "at least one content is required"));
    }
    exchange.messages = Reader::of_request(&mut exchange.unknown).contents(contents)?;
    Ok(())
}

/// A content; its role says nothing. A bare string is what some clients send.
fn read_system(system: Value, unknown: &mut Vec<String>) -> Result<Vec<Part>, FieldError> {
    if let Value::String(text) = system {
        return Ok(vec![Part::text(text)]);
    }
    let mut content = fields(system, "systemInstruction".to_owned())?;
    content.value("role");
    let parts = match content.value("parts") {
        Some(parts) => Reader::of_request(unknown).parts(parts, "systemInstruction.parts")?,
        None => Vec::new(),
    };
    content.finish(unknown);
    Ok(parts)
}

fn read_tools(top: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    for (index, raw) in top.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("tools[{index}]");
        let mut tool = fields(raw, path.clone())?;
        let functions = tool.array("functionDeclarations")?.unwrap_or_default();
        for (index, raw) in functions.into_iter().enumerate() {
            let path = format!("{path}.functionDeclarations[{index}]");
            exchange.tools.push(read_function(fields(raw, path)?, &mut exchange.unknown)?);
        }
        // Whatever else is there is a tool that the vendor runs.
        exchange.tools.extend(tool.rest().map(|(name, value)| Tool::Hosted(json!({name: value}))));
    }
    let Some(config) = top.value("toolConfig") else { return Ok(()) };
    let mut config = fields(config, "toolConfig".to_owned())?;
    if let Some(calling) = config.value("functionCallingConfig") {
        let path = config.at("functionCallingConfig");
        read_choice(fields(calling, path)?, exchange)?;
    }
    if let Some(value) = config.value("retrievalConfig") {
        exchange.extras.insert("toolConfig.retrievalConfig", value);
    }
    config.finish(&mut exchange.unknown);
    Ok(())
}

fn read_function(mut tool: Fields, unknown: &mut Vec<String>) -> Result<Tool, FieldError> {
    let mut extras = BTreeMap::new();
    for name in TOOL_EXTRAS {
        // Blocking is what every function is elsewhere.
        let plain = |value: &Value| value == "UNSPECIFIED" || value == "BLOCKING";
        if let Some(value) = tool.value(name).filter(|value| !plain(value)) {
            extras.insert(name, value);
        }
    }
    let own = tool.value("parameters").map(json_schema);
    let read = Tool::Function {
        name: tool.required_string("name")?,
        description: tool.string("description")?,
        schema: tool.value("parametersJsonSchema").or(own),
        strict: None,
        cache: None,
        extras,
    };
    tool.finish(unknown);
    Ok(read)
}

fn read_choice(mut config: Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let mode = config.string("mode")?.unwrap_or_default();
    let mut names = Vec::new();
    for name in config.array("allowedFunctionNames")?.unwrap_or_default() {
        match name {
            Value::String(name) => names.push(name),
            _ => return Err(config.wrong("allowedFunctionNames", "expected an array of strings")),
        }
    }
    exchange.tool_choice = match mode.to_ascii_uppercase().as_str() {
        "" | "MODE_UNSPECIFIED" if names.is_empty() => None,
        "NONE" => Some(ToolChoice::None),
        "ANY" if names.is_empty() => Some(ToolChoice::Required),
        "ANY" if names.len() == 1 => names.pop().map(ToolChoice::Named),
        "ANY" => Some(ToolChoice::Allowed { names, required: true }),
        word @ ("" | "MODE_UNSPECIFIED" | "AUTO" | "VALIDATED") => {
            if word == "VALIDATED" {
                hold_to_schemas(exchange);
            }
            Some(if names.is_empty() {
                ToolChoice::Auto
            } else {
                ToolChoice::Allowed { names, required: false }
            })
        }
        _ => return Err(config.wrong("mode", "expected AUTO, ANY, NONE or VALIDATED")),
    };
    // Only how the call is streamed: a client that takes whole calls loses nothing.
    config.value("streamFunctionCallArguments");
    config.finish(&mut exchange.unknown);
    Ok(())
}

/// `VALIDATED`: calls are held to their schemas.
fn hold_to_schemas(exchange: &mut Exchange) {
    for tool in &mut exchange.tools {
        if let Tool::Function { strict, .. } = tool {
            *strict = Some(true);
        }
    }
}
