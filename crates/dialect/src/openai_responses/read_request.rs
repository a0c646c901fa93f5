//! A client's Responses request as the exchange.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::read_items::read_input;
use super::{STATEFUL, state_refusal};
use crate::exchange::{Exchange, OutputFormat, Part, Tool, ToolChoice};
use crate::json::{Fields, str_at};
use crate::openai_chat::read_request::{read_account, read_cache_options};
use crate::reasoning::Effort;
use crate::wire::{FieldError, Incoming};
use domain::DialectId;

/// Fields that no other dialect has, or that only OpenAI has: carried verbatim to Responses providers, noted elsewhere.
const EXTRAS: [&str; 12] = [
    "access_programs",
    "background_options",
    "client_metadata",
    "context_management",
    "image",
    "max_tool_calls",
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_retention",
    "store",
    "truncation",
];

/// The same of a function tool.
const TOOL_EXTRAS: [&str; 4] = ["allowed_callers", "async", "defer_loading", "output_schema"];

/// Asks for log probabilities.
pub(super) const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

pub(super) fn read(request: &Incoming<'_>) -> Result<Exchange, FieldError> {
    let mut fields = Fields::parse(request.body)?;
    let model = fields.model(request.path.model)?;
    let mut exchange = Exchange::new(DialectId::OpenaiResponses, model);
    exchange.include_usage = true;
    refuse_state(&mut fields)?;
    let long = read_cache_options(&mut fields, &mut exchange)?;
    if let Some(instructions) = fields.string("instructions")? {
        exchange.system.push(Part::text(instructions));
    }
    let input =
        fields.value("input").ok_or_else(|| fields.wrong("input", "this field is required"))?;
    read_input(input, long, &mut exchange)?;
    read_tools(&mut fields, &mut exchange)?;
    read_text(&mut fields, &mut exchange)?;
    read_reasoning(&mut fields, &mut exchange)?;
    read_output(&mut fields, &mut exchange)?;
    read_account(&mut fields, &mut exchange)?;
    for name in EXTRAS {
        if let Some(value) = fields.value(name) {
            exchange.extras.insert(name, value);
        }
    }
    fields.finish(&mut exchange.unknown);
    Ok(exchange)
}

/// What stands for input that only the vendor holds can't be left out: the model would answer something else.
fn refuse_state(fields: &mut Fields) -> Result<(), FieldError> {
    for field in STATEFUL {
        if fields.value(field).is_some_and(|value| value != Value::Bool(false)) {
            return Err(state_refusal(field, None));
        }
    }
    if fields.value("prompt").is_some() {
        let why = "a prompt template is kept by the vendor, and the provider chosen here can't read it: send its text as `instructions` and `input`";
        return Err(FieldError::new("prompt", why));
    }
    Ok(())
}

fn read_tools(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    for (index, raw) in fields.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        let tool = read_tool(raw, format!("tools[{index}]"), &mut exchange.unknown)?;
        exchange.tools.push(tool);
    }
    exchange.parallel_tools = fields.boolean("parallel_tool_calls")?;
    if let Some(choice) = fields.value("tool_choice") {
        match read_choice(&choice)? {
            Some(choice) => exchange.tool_choice = Some(choice),
            // Of a tool that the vendor runs.
            None => {
                exchange.extras.insert("tool_choice", choice);
            }
        }
    }
    Ok(())
}

fn read_tool(raw: Value, path: String, unknown: &mut Vec<String>) -> Result<Tool, FieldError> {
    let kind = str_at(&raw, "type").map(str::to_owned);
    if kind.as_deref().is_some_and(|kind| kind != "function" && kind != "custom") {
        return Ok(Tool::Hosted(raw));
    }
    let mut tool = Fields::of(raw, path)?;
    let read = if tool.required_string("type")? == "function" {
        let mut extras = BTreeMap::new();
        for name in TOOL_EXTRAS {
            if let Some(value) = tool.value(name).filter(|value| *value != Value::Bool(false)) {
                extras.insert(name, value);
            }
        }
        Tool::Function {
            name: tool.required_string("name")?,
            description: tool.string("description")?,
            schema: tool.value("parameters"),
            strict: tool.boolean("strict")?,
            cache: None,
            extras,
        }
    } else {
        Tool::Custom {
            name: tool.required_string("name")?,
            description: tool.string("description")?,
            format: tool.value("format").map(nested_format),
        }
    };
    tool.finish(unknown);
    Ok(read)
}

/// A grammar stands within an object of its own in chat completions, which is how the exchange keeps it.
fn nested_format(format: Value) -> Value {
    match format {
        Value::Object(mut map) if map.get("type").is_some_and(|kind| kind == "grammar") => {
            map.shift_remove("type");
            json!({"type": "grammar", "grammar": map})
        }
        other => other,
    }
}

/// The other way round.
pub(super) fn flat_format(format: &Value) -> Value {
    match format.get("grammar") {
        Some(Value::Object(grammar)) => {
            let mut flat = serde_json::Map::new();
            flat.insert("type".to_owned(), "grammar".into());
            flat.extend(grammar.clone());
            Value::Object(flat)
        }
        _ => format.clone(),
    }
}

/// `None` for a choice of a tool that the vendor runs.
fn read_choice(choice: &Value) -> Result<Option<ToolChoice>, FieldError> {
    let wrong = || {
        FieldError::new(
            "tool_choice",
            "expected none, auto, required, a function or custom tool by name, allowed_tools or a tool's type",
        )
    };
    if let Some(word) = choice.as_str() {
        return Ok(Some(match word {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(wrong()),
        }));
    }
    match str_at(choice, "type").ok_or_else(wrong)? {
        "function" | "custom" => {
            let name = str_at(choice, "name").ok_or_else(wrong)?;
            Ok(Some(ToolChoice::Named(name.to_owned())))
        }
        "allowed_tools" => {
            let tools = choice.get("tools").and_then(Value::as_array).ok_or_else(wrong)?;
            let names =
                tools.iter().filter_map(|tool| str_at(tool, "name")).map(str::to_owned).collect();
            let required = str_at(choice, "mode") == Some("required");
            Ok(Some(ToolChoice::Allowed { names, required }))
        }
        _ => Ok(None),
    }
}

fn read_text(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let Some(mut text) = fields.object("text")? else { return Ok(()) };
    if let Some(mut format) = text.object("format")? {
        exchange.format = match format.required_string("type")?.as_str() {
            "text" => None,
            "json_object" => Some(OutputFormat::JsonObject),
            "json_schema" => Some(OutputFormat::JsonSchema {
                name: format.string("name")?,
                description: format.string("description")?,
                schema: format
                    .value("schema")
                    .ok_or_else(|| format.wrong("schema", "this field is required"))?,
                strict: format.boolean("strict")?,
            }),
            _ => return Err(format.wrong("type", "expected text, json_object or json_schema")),
        };
        format.finish(&mut exchange.unknown);
    }
    if let Some(verbosity) = text.value("verbosity") {
        exchange.extras.insert("text.verbosity", verbosity);
    }
    text.finish(&mut exchange.unknown);
    Ok(())
}

fn read_reasoning(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let Some(mut reasoning) = fields.object("reasoning")? else { return Ok(()) };
    if let Some(word) = reasoning.string("effort")? {
        let effort = Effort::parse(&word).ok_or_else(|| {
            reasoning.wrong("effort", "expected none, minimal, low, medium, high, xhigh or max")
        })?;
        exchange.reasoning.effort = Some(effort);
    }
    // The older name of the summary.
    let older = reasoning.value("generate_summary");
    let own = [
        ("reasoning.summary", reasoning.value("summary").or(older)),
        ("reasoning.mode", reasoning.value("mode")),
        ("reasoning.context", reasoning.value("context")),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            exchange.extras.insert(name, value);
        }
    }
    reasoning.finish(&mut exchange.unknown);
    Ok(())
}

fn read_output(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    exchange.max_output = fields.unsigned("max_output_tokens")?;
    exchange.sampling.temperature = fields.number("temperature")?;
    exchange.sampling.top_p = fields.number("top_p")?;
    let top = fields.unsigned("top_logprobs")?.map(|top| top.min(u64::from(u32::MAX)) as u32);
    let include = fields.array("include")?.unwrap_or_default();
    if include.iter().any(|it| it == INCLUDE_LOGPROBS) || top.is_some_and(|top| top > 0) {
        exchange.logprobs = Some(top);
    }
    if !include.is_empty() {
        exchange.extras.insert("include", Value::Array(include));
    }
    exchange.stream = fields.boolean("stream")?.unwrap_or(false);
    if let Some(mut options) = fields.object("stream_options")? {
        // Padding against onlookers, which is not made here: only asking for it is a loss.
        if options.boolean("include_obfuscation")?.unwrap_or(false) {
            exchange.unknown.push(options.at("include_obfuscation"));
        }
        options.finish(&mut exchange.unknown);
    }
    Ok(())
}
