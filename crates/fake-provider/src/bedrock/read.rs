//! A checked Converse request -> what the fake model needs.

use serde_json::Value;

use super::blocks::Walk;
use crate::ask::{Ask, Choice, Format, Refused, Tool};
use crate::lorem;

pub(super) fn ask(body: &Value, stream: bool) -> Result<Ask, Refused> {
    let mut walk = Walk::default();
    walk.prompt(body)?;
    let input = walk.input();
    let stops = body.pointer("/inferenceConfig/stopSequences").and_then(Value::as_array);
    Ok(Ask {
        model: String::new(),
        text: walk.text,
        attachments: walk.attachments,
        results: walk.results,
        tools: tools(body),
        choice: choice(body),
        parallel: true,
        format: format(body),
        max_output: body.pointer("/inferenceConfig/maxTokens").and_then(Value::as_u64),
        stop: stops.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        n: 1,
        seed: lorem::hash(body["messages"].to_string().as_bytes()),
        thinking: thinking_tokens(body),
        input,
        stream,
    })
}

/// A budget is used by a sixteenth; otherwise thinking goes by effort.
fn thinking_tokens(body: &Value) -> u64 {
    let thinking = body.pointer("/additionalModelRequestFields/thinking");
    let effort = body.pointer("/outputConfig/effort").and_then(Value::as_str);
    match thinking.and_then(|it| it["type"].as_str()) {
        Some("enabled") => {
            let budget = thinking.and_then(|it| it["budget_tokens"].as_u64()).unwrap_or(0);
            (budget / 16).min(256)
        }
        Some("disabled") => 0,
        kind => match effort {
            None if kind.is_none() => 0,
            Some("low") => 16,
            Some("medium") => 32,
            Some("xhigh") => 96,
            Some("max") => 128,
            _ => 64,
        },
    }
}

fn tools(body: &Value) -> Vec<Tool> {
    let list = body.pointer("/toolConfig/tools").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|tool| {
            Some(Tool {
                name: tool.pointer("/toolSpec/name")?.as_str()?.to_owned(),
                schema: tool.pointer("/toolSpec/inputSchema/json")?.clone(),
                custom: false,
            })
        })
        .collect()
}

fn choice(body: &Value) -> Choice {
    let choice = body.pointer("/toolConfig/toolChoice");
    let name = choice.and_then(|it| it.pointer("/tool/name")).and_then(Value::as_str);
    match (choice.and_then(|it| it.get("any")), name) {
        (Some(_), _) => Choice::Any,
        (None, Some(name)) => Choice::Named(name.to_owned()),
        (None, None) => Choice::Auto,
    }
}

fn format(body: &Value) -> Format {
    let schema = body.pointer("/outputConfig/textFormat/structure/jsonSchema/schema");
    let schema = schema.and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    schema.map_or(Format::Text, Format::Schema)
}
