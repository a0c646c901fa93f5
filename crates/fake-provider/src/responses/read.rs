//! A checked Responses request -> what the fake model needs.

use serde_json::Value;

use super::items;
use super::{present, text};
use crate::ask::{Ask, Choice, Format, Input, Refused, Tool};
use crate::lorem;
use crate::openai::read::{cached, thinking_of};
use crate::tokens;

pub(super) fn ask(body: &Value) -> Result<Ask, Refused> {
    let walk = items::walk(body)?;
    let tools = body.get("tools").and_then(Value::as_array);
    let tool_tokens: u64 =
        tools.into_iter().flatten().map(|tool| tokens::count(&tool.to_string())).sum();
    let total = walk.tokens + tool_tokens;
    let read = cached(walk.seen_before, tool_tokens);
    let input = body.get("input").map(Value::to_string).unwrap_or_default();
    Ok(Ask {
        model: String::new(),
        text: walk.text,
        attachments: walk.attachments,
        results: walk.results,
        tools: tools.into_iter().flatten().filter_map(tool).collect(),
        choice: choice(body),
        parallel: body.get("parallel_tool_calls") != Some(&Value::Bool(false)),
        format: format(body),
        max_output: body.get("max_output_tokens").and_then(Value::as_u64),
        stop: Vec::new(),
        n: 1,
        seed: lorem::hash(input.as_bytes()),
        thinking: thinking_of(present(body, "reasoning").and_then(|it| text(it, "effort"))),
        input: Input { fresh: total - read, cache_read: read, ..Input::default() },
        stream: body.get("stream") == Some(&Value::Bool(true)),
    })
}

/// A tool that the client runs; what the vendor runs is never called here.
fn tool(tool: &Value) -> Option<Tool> {
    let kind = text(tool, "type")?;
    let empty = || serde_json::json!({"type": "object", "properties": {}});
    ["function", "custom"].contains(&kind).then_some(())?;
    Some(Tool {
        name: text(tool, "name")?.to_owned(),
        schema: tool.get("parameters").cloned().unwrap_or_else(empty),
        custom: kind == "custom",
    })
}

fn choice(body: &Value) -> Choice {
    match body.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => Choice::None,
        Some(Value::String(word)) if word == "required" => Choice::Any,
        Some(choice @ Value::Object(_))
            if ["function", "custom"].contains(&text(choice, "type").unwrap_or_default()) =>
        {
            text(choice, "name").map_or(Choice::Auto, |name| Choice::Named(name.to_owned()))
        }
        _ => Choice::Auto,
    }
}

fn format(body: &Value) -> Format {
    let format = body.pointer("/text/format");
    match format.and_then(|format| text(format, "type")) {
        Some("json_object") => Format::Object,
        Some("json_schema") => {
            Format::Schema(format.and_then(|it| it.get("schema")).cloned().unwrap_or_default())
        }
        _ => Format::Text,
    }
}
