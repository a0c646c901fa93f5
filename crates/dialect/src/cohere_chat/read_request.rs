//! A client's v2 chat request as the exchange.

use std::collections::BTreeMap;

use serde_json::Value;

use super::read_messages::{read_documents, read_messages};
use crate::exchange::{Exchange, OutputFormat, ThinkingMode, Tool, ToolChoice};
use crate::json::Fields;
use crate::wire::{FieldError, Incoming};
use domain::DialectId;

/// Fields that no other dialect has: carried verbatim to providers of this one, noted elsewhere.
const EXTRAS: [&str; 3] = ["citation_options", "safety_mode", "priority"];

pub(super) fn read(request: &Incoming<'_>) -> Result<Exchange, FieldError> {
    let mut fields = Fields::parse(request.body)?;
    let model = fields.model(request.path.model)?;
    let mut exchange = Exchange::new(DialectId::CohereChat, model);
    // Usage is always part of the stream.
    exchange.include_usage = true;
    let messages = fields
        .array("messages")?
        .filter(|messages| !messages.is_empty())
        .ok_or_else(|| fields.wrong("messages", "at least one message is required"))?;
    read_messages(messages, &mut exchange)?;
    read_documents(fields.array("documents")?.unwrap_or_default(), &mut exchange)?;
    read_tools(&mut fields, &mut exchange)?;
    read_output(&mut fields, &mut exchange)?;
    read_thinking(&mut fields, &mut exchange)?;
    read_sampling(&mut fields, &mut exchange)?;
    for name in EXTRAS {
        if let Some(value) = fields.value(name) {
            exchange.extras.insert(name, value);
        }
    }
    fields.finish(&mut exchange.unknown);
    Ok(exchange)
}

fn read_tools(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let strict = fields.boolean("strict_tools")?;
    for (index, raw) in fields.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        let mut tool = Fields::of(raw, format!("tools[{index}]"))?;
        if tool.string("type")?.is_some_and(|kind| kind != "function") {
            return Err(tool.wrong("type", "expected function"));
        }
        let function = tool.object("function")?;
        let mut function =
            function.ok_or_else(|| tool.wrong("function", "this field is required"))?;
        exchange.tools.push(Tool::Function {
            name: function.required_string("name")?,
            description: function.string("description")?,
            schema: function.value("parameters"),
            strict,
            cache: None,
            extras: BTreeMap::new(),
        });
        function.finish(&mut exchange.unknown);
        tool.finish(&mut exchange.unknown);
    }
    exchange.tool_choice = match fields.string("tool_choice")?.as_deref() {
        None => None,
        Some("REQUIRED") => Some(ToolChoice::Required),
        Some("NONE") => Some(ToolChoice::None),
        Some(_) => return Err(fields.wrong("tool_choice", "expected REQUIRED or NONE")),
    };
    Ok(())
}

fn read_output(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    exchange.stream = fields.boolean("stream")?.unwrap_or(false);
    exchange.max_output = fields.unsigned("max_tokens")?;
    for stop in fields.array("stop_sequences")?.unwrap_or_default() {
        match stop {
            Value::String(text) => exchange.stop.push(text),
            _ => return Err(fields.wrong("stop_sequences", "expected an array of strings")),
        }
    }
    let Some(mut format) = fields.object("response_format")? else { return Ok(()) };
    exchange.format = match format.required_string("type")?.as_str() {
        "text" => None,
        "json_object" => Some(match format.value("json_schema") {
            None => OutputFormat::JsonObject,
            // What the model writes is held to the schema.
            Some(schema) => OutputFormat::JsonSchema {
                name: None,
                description: None,
                schema,
                strict: Some(true),
            },
        }),
        _ => return Err(format.wrong("type", "expected text or json_object")),
    };
    format.finish(&mut exchange.unknown);
    Ok(())
}

fn read_thinking(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let Some(mut thinking) = fields.object("thinking")? else { return Ok(()) };
    let budget = thinking.unsigned("token_budget")?;
    exchange.reasoning.thinking = Some(match thinking.required_string("type")?.as_str() {
        "enabled" => budget.map_or(ThinkingMode::Adaptive, ThinkingMode::Budget),
        "disabled" => ThinkingMode::Off,
        _ => return Err(thinking.wrong("type", "expected enabled or disabled")),
    });
    thinking.finish(&mut exchange.unknown);
    Ok(())
}

fn read_sampling(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let sampling = &mut exchange.sampling;
    sampling.temperature = fields.number("temperature")?;
    sampling.top_p = fields.number("p")?;
    // 0 is the default, and means none.
    sampling.top_k = fields.unsigned("k")?.filter(|k| *k > 0);
    sampling.frequency_penalty = fields.number("frequency_penalty")?;
    sampling.presence_penalty = fields.number("presence_penalty")?;
    sampling.seed = fields.integer("seed")?;
    if fields.boolean("logprobs")?.unwrap_or(false) {
        exchange.logprobs = Some(None);
    }
    Ok(())
}
