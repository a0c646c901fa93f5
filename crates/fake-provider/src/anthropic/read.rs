//! A checked messages request -> what the fake model needs.

use serde_json::Value;

use super::Version;
use super::blocks::Walk;
use crate::ask::{Ask, Choice, Format, Refused, Tool};
use crate::lorem;

pub(super) fn ask(body: &Value, version: Version) -> Result<Ask, Refused> {
    let thinking = body.pointer("/thinking/type").and_then(Value::as_str);
    let mut walk = Walk::new(version, thinking == Some("enabled"));
    walk.prompt(body)?;
    let input = walk.input();
    Ok(Ask {
        model: String::new(),
        text: walk.text,
        attachments: walk.attachments,
        results: walk.results,
        tools: tools(body),
        choice: choice(body),
        parallel: body.pointer("/tool_choice/disable_parallel_tool_use")
            != Some(&Value::Bool(true)),
        format: format(body),
        max_output: body.get("max_tokens").and_then(Value::as_u64),
        stop: body
            .get("stop_sequences")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        n: 1,
        seed: lorem::hash(
            body.get("messages").map(Value::to_string).unwrap_or_default().as_bytes(),
        ),
        thinking: thinking_tokens(body),
        input,
        stream: body.get("stream") == Some(&Value::Bool(true)),
    })
}

/// A budget is used by a sixteenth; adaptive thinking goes by effort.
fn thinking_tokens(body: &Value) -> u64 {
    match body.pointer("/thinking/type").and_then(Value::as_str) {
        Some("enabled") => {
            (body.pointer("/thinking/budget_tokens").and_then(Value::as_u64).unwrap_or(0) / 16)
                .min(256)
        }
        Some("adaptive" | "between_tools") => {
            match body.pointer("/output_config/effort").and_then(Value::as_str) {
                Some("low") => 16,
                Some("medium") => 32,
                Some("xhigh") => 96,
                Some("max") => 128,
                _ => 64,
            }
        }
        _ => 0,
    }
}

fn tools(body: &Value) -> Vec<Tool> {
    let list = body.get("tools").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|tool| {
            Some(Tool {
                name: tool.get("name")?.as_str()?.to_owned(),
                schema: tool.get("input_schema")?.clone(),
                custom: false,
            })
        })
        .collect()
}

fn choice(body: &Value) -> Choice {
    let name = body.pointer("/tool_choice/name").and_then(Value::as_str);
    match (body.pointer("/tool_choice/type").and_then(Value::as_str), name) {
        (Some("none"), _) => Choice::None,
        (Some("any"), _) => Choice::Any,
        (Some("tool"), Some(name)) => Choice::Named(name.to_owned()),
        _ => Choice::Auto,
    }
}

fn format(body: &Value) -> Format {
    body.pointer("/output_config/format/schema").map_or(Format::Text, |s| Format::Schema(s.clone()))
}
