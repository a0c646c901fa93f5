//! A client's Converse request as the exchange.

use std::collections::BTreeMap;

use domain::DialectId;
use serde_json::Value;

use super::read_blocks::{cache_hint, read_content};
use crate::exchange::{
    Exchange, Message, OutputFormat, Speaker, ThinkingMode, Tier, Tool, ToolChoice,
};
use crate::json::Fields;
use crate::reasoning::Effort;
use crate::wire::{FieldError, Incoming};

/// Fields of a model's own.
pub(super) const ADDITIONAL: &str = "additionalModelRequestFields";

/// Fields that no other dialect has: carried verbatim to Converse providers, noted elsewhere.
const EXTRAS: [&str; 6] = [
    "guardrailConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "additionalModelResponseFieldPaths",
    "projectIdentifier",
];

pub(super) fn read(request: &Incoming<'_>) -> Result<Exchange, FieldError> {
    let mut fields = Fields::parse(request.body)?;
    let model = request.path.model.filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| FieldError::new("modelId", "the path names no model"))?;
    let mut exchange = Exchange::new(DialectId::BedrockConverse, model.to_owned());
    exchange.stream = request.path.stream.is_some();
    exchange.include_usage = true;
    read_conversation(&mut fields, &mut exchange)?;
    read_inference(&mut fields, &mut exchange)?;
    read_tools(&mut fields, &mut exchange)?;
    read_output(&mut fields, &mut exchange)?;
    read_additional(&mut fields, &mut exchange)?;
    if let Some(mut tier) = fields.object("serviceTier")? {
        exchange.tier = Some(match tier.required_string("type")?.as_str() {
            "default" => Tier::Standard,
            word => Tier::Vendor(word.to_owned()),
        });
        tier.finish(&mut exchange.unknown);
    }
    for name in EXTRAS {
        if let Some(value) = fields.value(name) {
            exchange.extras.insert(name, value);
        }
    }
    fields.finish(&mut exchange.unknown);
    Ok(exchange)
}

fn read_conversation(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    if let Some(system) = fields.array("system")? {
        exchange.system = read_content(system, "system", &mut exchange.unknown)?;
    }
    let messages = fields
        .array("messages")?
        .filter(|messages| !messages.is_empty())
        .ok_or_else(|| fields.wrong("messages", "at least one message is required"))?;
    for (index, raw) in messages.into_iter().enumerate() {
        let mut message = Fields::of(raw, format!("messages[{index}]"))?;
        let speaker = match message.required_string("role")?.as_str() {
            "user" => Speaker::User,
            "assistant" => Speaker::Assistant,
            "system" => Speaker::System,
            _ => return Err(message.wrong("role", "expected user, assistant or system")),
        };
        let content = message
            .array("content")?
            .ok_or_else(|| message.wrong("content", "this field is required"))?;
        let parts = read_content(content, &message.at("content"), &mut exchange.unknown)?;
        message.finish(&mut exchange.unknown);
        exchange.messages.push(Message { at: index, speaker, name: None, parts });
    }
    Ok(())
}

fn read_inference(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let Some(mut config) = fields.object("inferenceConfig")? else { return Ok(()) };
    exchange.max_output = config.unsigned("maxTokens")?;
    exchange.sampling.temperature = config.number("temperature")?;
    exchange.sampling.top_p = config.number("topP")?;
    for stop in config.array("stopSequences")?.unwrap_or_default() {
        match stop {
            Value::String(text) => exchange.stop.push(text),
            _ => return Err(config.wrong("stopSequences", "expected an array of strings")),
        }
    }
    config.finish(&mut exchange.unknown);
    Ok(())
}

fn read_tools(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let Some(mut config) = fields.object("toolConfig")? else { return Ok(()) };
    for (index, raw) in config.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        read_tool(raw, format!("toolConfig.tools[{index}]"), exchange)?;
    }
    if let Some(mut choice) = config.object("toolChoice")? {
        exchange.tool_choice = Some(if choice.value("auto").is_some() {
            ToolChoice::Auto
        } else if choice.value("any").is_some() {
            ToolChoice::Required
        } else if let Some(mut named) = choice.object("tool")? {
            let name = named.required_string("name")?;
            named.finish(&mut exchange.unknown);
            ToolChoice::Named(name)
        } else {
            return Err(config.wrong("toolChoice", "expected auto, any or tool"));
        });
        choice.finish(&mut exchange.unknown);
    }
    config.finish(&mut exchange.unknown);
    Ok(())
}

fn read_tool(raw: Value, path: String, exchange: &mut Exchange) -> Result<(), FieldError> {
    if let Some(point) = raw.get("cachePoint").filter(|point| point.is_object()) {
        match exchange.tools.last_mut() {
            Some(Tool::Function { cache, .. }) => *cache = Some(cache_hint(point)),
            _ => exchange.unknown.push(format!("{path}.cachePoint")),
        }
        return Ok(());
    }
    if raw.is_object() && raw.get("toolSpec").is_none() {
        exchange.tools.push(Tool::Hosted(raw));
        return Ok(());
    }
    let mut tool = Fields::of(raw, path)?;
    let mut spec =
        tool.object("toolSpec")?.ok_or_else(|| tool.wrong("toolSpec", "this field is required"))?;
    let mut schema = None;
    if let Some(mut wrapped) = spec.object("inputSchema")? {
        schema = wrapped.value("json");
        wrapped.finish(&mut exchange.unknown);
    }
    exchange.tools.push(Tool::Function {
        name: spec.required_string("name")?,
        description: spec.string("description")?,
        schema,
        strict: spec.boolean("strict")?,
        cache: None,
        extras: BTreeMap::new(),
    });
    spec.finish(&mut exchange.unknown);
    tool.finish(&mut exchange.unknown);
    Ok(())
}

fn read_output(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let Some(mut config) = fields.object("outputConfig")? else { return Ok(()) };
    if let Some(word) = config.string("effort")? {
        let effort = Effort::parse(&word).ok_or_else(|| {
            config.wrong("effort", "expected none, minimal, low, medium, high, xhigh or max")
        })?;
        exchange.reasoning.effort = Some(effort);
    }
    if let Some(mut format) = config.object("textFormat")? {
        if format.required_string("type")? != "json_schema" {
            return Err(format.wrong("type", "expected json_schema"));
        }
        let mut structure = format
            .object("structure")?
            .ok_or_else(|| format.wrong("structure", "this field is required"))?;
        let mut inner = structure
            .object("jsonSchema")?
            .ok_or_else(|| structure.wrong("jsonSchema", "this field is required"))?;
        let text = inner.required_string("schema")?;
        let schema = serde_json::from_str(&text).map_err(|error| {
            inner.wrong("schema", format!("expected JSON in a string: {error}"))
        })?;
        exchange.format = Some(OutputFormat::JsonSchema {
            name: inner.string("name")?,
            description: inner.string("description")?,
            schema,
            strict: Some(true),
        });
        inner.finish(&mut exchange.unknown);
        structure.finish(&mut exchange.unknown);
        format.finish(&mut exchange.unknown);
    }
    config.finish(&mut exchange.unknown);
    Ok(())
}

/// What Claude's fields say is typed; the rest stays for the model it was meant for.
fn read_additional(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let mut rest = match fields.value(ADDITIONAL) {
        None => return Ok(()),
        Some(Value::Object(rest)) => rest,
        Some(_) => return Err(fields.wrong(ADDITIONAL, "expected an object")),
    };
    if let Some(top_k) = rest.get("top_k").and_then(Value::as_u64) {
        exchange.sampling.top_k = Some(top_k);
        rest.shift_remove("top_k");
    }
    for name in ["thinking", "reasoning_config"] {
        if let Some(mode) = rest.get(name).and_then(read_thinking) {
            exchange.reasoning.thinking = Some(mode);
            let display = rest.get(name).and_then(|it| it.get("display"));
            exchange.reasoning.hide_text = display.is_some_and(|word| word == "omitted");
            rest.shift_remove(name);
        }
    }
    if let Some(Value::Array(betas)) = rest.get("anthropic_beta")
        && let Some(betas) = betas.iter().map(|it| it.as_str().map(str::to_owned)).collect()
    {
        exchange.betas = betas;
        rest.shift_remove("anthropic_beta");
    }
    if !rest.is_empty() {
        exchange.extras.insert(ADDITIONAL, Value::Object(rest));
    }
    Ok(())
}

/// Anthropic's `thinking`; `None` where it says anything more than we know.
fn read_thinking(value: &Value) -> Option<ThinkingMode> {
    let known = ["type", "budget_tokens", "display"];
    if !value.as_object()?.keys().all(|key| known.contains(&key.as_str())) {
        return None;
    }
    match value.get("type")?.as_str()? {
        "enabled" => value.get("budget_tokens")?.as_u64().map(ThinkingMode::Budget),
        "adaptive" => Some(ThinkingMode::Adaptive),
        "between_tools" => Some(ThinkingMode::Between),
        "disabled" => Some(ThinkingMode::Off),
        _ => None,
    }
}
