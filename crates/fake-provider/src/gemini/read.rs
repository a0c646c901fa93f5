//! A checked request -> what the fake model needs.

use serde_json::{Map, Value};

use super::check::{field, items, object, text};
use super::contents::Walk;
use crate::ask::{Ask, Choice, Format, Input, Refused, Tool};
use crate::lorem;

pub(super) fn ask(body: &Map<String, Value>) -> Result<Ask, Refused> {
    let mut walk = Walk::default();
    walk.prompt(body)?;
    let empty = Map::new();
    let config = object(body, "generationConfig").unwrap_or(&empty);
    let number = |name: &str| field(config, name).and_then(Value::as_f64).map(|it| it as u64);
    Ok(Ask {
        model: String::new(),
        text: walk.text,
        attachments: walk.attachments,
        results: walk.results,
        tools: tools(body),
        choice: choice(body),
        parallel: true,
        format: format(config),
        max_output: number("maxOutputTokens"),
        stop: items(config, "stopSequences")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        n: number("candidateCount").unwrap_or(1),
        seed: lorem::hash(
            field(body, "contents").map(Value::to_string).unwrap_or_default().as_bytes(),
        ),
        thinking: thinking_tokens(config),
        input: Input { fresh: walk.tokens, ..Input::default() },
        stream: false,
    })
}

/// Whether thoughts are to be shown.
pub(super) fn shows_thoughts(body: &Map<String, Value>) -> bool {
    let config = object(body, "generationConfig").and_then(|it| object(it, "thinkingConfig"));
    config.and_then(|it| field(it, "includeThoughts")) == Some(&Value::Bool(true))
}

/// A budget is used by a sixteenth; else it goes by level. Who says nothing of thinking gets none.
fn thinking_tokens(config: &Map<String, Value>) -> u64 {
    let Some(thinking) = object(config, "thinkingConfig") else { return 0 };
    if let Some(budget) = field(thinking, "thinkingBudget").and_then(Value::as_i64) {
        return u64::try_from(budget).map_or(64, |budget| (budget / 16).min(256));
    }
    match text(thinking, "thinkingLevel").map(str::to_ascii_uppercase).as_deref() {
        Some("MINIMAL") => 4,
        Some("LOW") => 16,
        Some("MEDIUM") => 32,
        Some("XHIGH") => 96,
        _ => 64,
    }
}

fn tools(body: &Map<String, Value>) -> Vec<Tool> {
    let allowed = calling(body).map(|it| items(it, "allowedFunctionNames")).unwrap_or_default();
    let is_allowed =
        |name: &str| allowed.is_empty() || allowed.iter().any(|it| it.as_str() == Some(name));
    items(body, "tools")
        .iter()
        .filter_map(Value::as_object)
        .flat_map(|tool| items(tool, "functionDeclarations"))
        .filter_map(|function| {
            let function = function.as_object()?;
            let name = text(function, "name").filter(|name| is_allowed(name))?.to_owned();
            let schema = field(function, "parametersJsonSchema").cloned();
            let schema = schema.or_else(|| field(function, "parameters").map(lower));
            let schema = schema.unwrap_or_else(|| serde_json::json!({"type": "object"}));
            Some(Tool { name, schema, custom: false })
        })
        .collect()
}

fn calling(body: &Map<String, Value>) -> Option<&Map<String, Value>> {
    object(body, "toolConfig").and_then(|it| object(it, "functionCallingConfig"))
}

fn choice(body: &Map<String, Value>) -> Choice {
    let names = calling(body).map(|it| items(it, "allowedFunctionNames")).unwrap_or_default();
    match (calling(body).and_then(|it| text(it, "mode")), names) {
        (Some("NONE"), _) => Choice::None,
        (Some("ANY"), [Value::String(only)]) => Choice::Named(only.clone()),
        (Some("ANY"), _) => Choice::Any,
        _ => Choice::Auto,
    }
}

fn format(config: &Map<String, Value>) -> Format {
    let own = field(config, "responseSchema").map(lower);
    match field(config, "responseJsonSchema").cloned().or(own) {
        Some(schema) => Format::Schema(schema),
        None if text(config, "responseMimeType") == Some("application/json") => Format::Object,
        None => Format::Text,
    }
}

/// Google's form of a schema with the types of JSON Schema: enough for an instance.
fn lower(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("type", Value::String(kind)) => (key.clone(), kind.to_ascii_lowercase().into()),
                ("any_of", _) => ("anyOf".to_owned(), lower(value)),
                _ => (key.clone(), lower(value)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(lower).collect(),
        other => other.clone(),
    }
}
