//! A checked v2 chat request -> what the fake model needs.

use serde_json::Value;

use super::messages;
use crate::ask::{Ask, Choice, Format, Input, Refused, Tool};
use crate::lorem;
use crate::tokens;

/// Prompts shorter than this are not cached; the vendor tells no figure.
const CACHE_FROM: u64 = 1_024;

pub(crate) fn ask(body: &Value) -> Result<Ask, Refused> {
    let mut walk = messages::walk(body)?;
    let list = |name: &str| body.get(name).and_then(Value::as_array).into_iter().flatten();
    let beside: u64 =
        list("tools").chain(list("documents")).map(|it| tokens::count(&it.to_string())).sum();
    for (at, document) in list("documents").enumerate() {
        let id = document.get("id").and_then(Value::as_str);
        let id = id.map_or_else(|| format!("doc_{at}"), str::to_owned);
        walk.attachments.push(format!("document {id}"));
    }
    let total = walk.tokens + beside;
    // A prefix was seen before if an assistant has answered it: no state is needed to know.
    let read = if walk.seen_before >= CACHE_FROM { walk.seen_before } else { 0 };
    Ok(Ask {
        model: String::new(),
        text: walk.text,
        attachments: walk.attachments,
        results: walk.results,
        choice: match body.get("tool_choice").and_then(Value::as_str) {
            Some("NONE") => Choice::None,
            Some("REQUIRED") => Choice::Any,
            _ => Choice::Auto,
        },
        tools: list("tools").filter_map(tool).collect(),
        parallel: true,
        format: format(body),
        max_output: body.get("max_tokens").and_then(Value::as_u64),
        stop: list("stop_sequences").filter_map(Value::as_str).map(str::to_owned).collect(),
        n: 1,
        seed: body.get("seed").and_then(Value::as_u64).unwrap_or_else(|| {
            let said = body.get("messages").map(Value::to_string).unwrap_or_default();
            lorem::hash(said.as_bytes())
        }),
        thinking: thinking(body),
        input: Input { fresh: total - read, cache_read: read, ..Input::default() },
        stream: body.get("stream") == Some(&Value::Bool(true)),
    })
}

/// A budget is used by a sixteenth.
fn thinking(body: &Value) -> u64 {
    if body.pointer("/thinking/type").and_then(Value::as_str) != Some("enabled") {
        return 0;
    }
    let budget = body.pointer("/thinking/token_budget").and_then(Value::as_u64);
    budget.map_or(64, |budget| (budget / 16).clamp(1, 256))
}

fn tool(tool: &Value) -> Option<Tool> {
    Some(Tool {
        name: tool.pointer("/function/name")?.as_str()?.to_owned(),
        schema: tool.pointer("/function/parameters")?.clone(),
        custom: false,
    })
}

fn format(body: &Value) -> Format {
    let format = body.get("response_format");
    if format.and_then(|f| f.get("type")).and_then(Value::as_str) != Some("json_object") {
        return Format::Text;
    }
    match format.and_then(|f| f.get("json_schema")).filter(|s| s.is_object()) {
        Some(schema) => Format::Schema(schema.clone()),
        None => Format::Object,
    }
}
