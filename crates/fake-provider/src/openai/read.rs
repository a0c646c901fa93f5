//! A checked chat request -> what the fake model needs.

use serde_json::Value;

use super::messages;
use crate::ask::{Ask, Choice, Format, Input, Refused, Tool};
use crate::lorem;
use crate::tokens;

/// Prompts shorter than this are not cached; longer ones in steps of [`CACHE_STEP`]. The vendor's figures.
const CACHE_FROM: u64 = 1_024;
const CACHE_STEP: u64 = 128;

pub(crate) fn ask(body: &Value) -> Result<Ask, Refused> {
    let walk = messages::walk(body)?;
    let tools = tools(body);
    let tool_tokens: u64 = body
        .get("tools")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|t| tokens::count(&t.to_string()))
        .sum();
    let total = walk.tokens + tool_tokens;
    let read = cached(walk.seen_before, tool_tokens);
    Ok(Ask {
        model: String::new(),
        text: walk.text,
        attachments: walk.attachments,
        results: walk.results,
        choice: choice(body),
        tools,
        parallel: body.get("parallel_tool_calls") != Some(&Value::Bool(false)),
        format: format(body),
        max_output: body
            .get("max_completion_tokens")
            .and_then(Value::as_u64)
            .or(body.get("max_tokens").and_then(Value::as_u64)),
        stop: stops(body),
        n: body.get("n").and_then(Value::as_u64).unwrap_or(1),
        seed: seed(body),
        thinking: thinking_of(body.get("reasoning_effort").and_then(Value::as_str)),
        input: Input { fresh: total - read, cache_read: read, ..Input::default() },
        stream: body.get("stream") == Some(&Value::Bool(true)),
    })
}

/// Input tokens read from a cache. A prefix was seen before if an assistant has answered it: no state is needed to
/// know.
pub(crate) fn cached(seen_before: u64, tool_tokens: u64) -> u64 {
    match seen_before + tool_tokens {
        seen if seen_before > 0 && seen >= CACHE_FROM => seen / CACHE_STEP * CACHE_STEP,
        _ => 0,
    }
}

fn seed(body: &Value) -> u64 {
    match body.get("seed").and_then(Value::as_i64) {
        Some(seed) => seed.cast_unsigned(),
        None => {
            lorem::hash(body.get("messages").map(Value::to_string).unwrap_or_default().as_bytes())
        }
    }
}

/// Reasoning tokens for an effort; without one, none.
pub(crate) fn thinking_of(effort: Option<&str>) -> u64 {
    match effort {
        Some("minimal") => 8,
        Some("low") => 16,
        Some("medium") => 32,
        Some("high") => 64,
        Some("xhigh") => 96,
        Some("max") => 128,
        _ => 0,
    }
}

fn tools(body: &Value) -> Vec<Tool> {
    let list = body.get("tools").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|tool| {
            let custom = tool.get("type").and_then(Value::as_str) == Some("custom");
            let inner = tool.get(if custom { "custom" } else { "function" })?;
            Some(Tool {
                name: inner.get("name")?.as_str()?.to_owned(),
                schema: inner
                    .get("parameters")
                    .cloned()
                    .unwrap_or_else(|| serde_json::json!({"type": "object", "properties": {}})),
                custom,
            })
        })
        .collect()
}

fn choice(body: &Value) -> Choice {
    match body.get("tool_choice") {
        Some(Value::String(s)) if s == "none" => Choice::None,
        Some(Value::String(s)) if s == "required" => Choice::Any,
        Some(Value::Object(o)) => ["function", "custom"]
            .iter()
            .find_map(|k| o.get(*k)?.get("name")?.as_str())
            .map_or(Choice::Auto, |name| Choice::Named(name.to_owned())),
        _ => Choice::Auto,
    }
}

fn format(body: &Value) -> Format {
    let format = body.get("response_format");
    match format.and_then(|f| f.get("type")).and_then(Value::as_str) {
        Some("json_object") => Format::Object,
        Some("json_schema") => Format::Schema(
            format.and_then(|f| f.pointer("/json_schema/schema")).cloned().unwrap_or_default(),
        ),
        _ => Format::Text,
    }
}

fn stops(body: &Value) -> Vec<String> {
    match body.get("stop") {
        Some(Value::String(s)) => vec![s.clone()],
        Some(Value::Array(a)) => a.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
