//! A client's Messages request as the exchange.

use std::collections::BTreeMap;

use serde_json::Value;

use super::read_blocks::{cache_hint, read_content};
use super::refuses_sampling;
use crate::exchange::{
    Exchange, Message, OutputFormat, Speaker, ThinkingMode, Tier, Tool, ToolChoice,
};
use crate::json::{Fields, str_at};
use crate::reasoning::Effort;
use crate::wire::{FieldError, Headers, Incoming};
use domain::DialectId;

/// Fields that no other dialect has: carried verbatim to Messages providers, noted elsewhere.
const EXTRAS: [&str; 8] = [
    "speed",
    "inference_geo",
    "container",
    "diagnostics",
    "context_management",
    "mcp_servers",
    "fallbacks",
    "compaction",
];

/// The same of a tool.
const TOOL_EXTRAS: [&str; 4] =
    ["defer_loading", "allowed_callers", "eager_input_streaming", "input_examples"];

pub(super) fn read(request: &Incoming<'_>) -> Result<Exchange, FieldError> {
    let headers = request.headers;
    let mut fields = Fields::parse(request.body)?;
    let model = fields.model(request.path.model)?;
    let mut exchange = Exchange::new(DialectId::AnthropicMessages, model);
    exchange.anthropic_version = headers.get("anthropic-version").map(str::to_owned);
    exchange.betas = read_betas(headers);
    exchange.include_usage = true;
    read_conversation(&mut fields, &mut exchange)?;
    read_tools(&mut fields, &mut exchange)?;
    read_reasoning(&mut fields, &mut exchange)?;
    read_limits(&mut fields, &mut exchange)?;
    read_account(&mut fields, &mut exchange)?;
    for name in EXTRAS {
        if let Some(value) = fields.value(name) {
            exchange.extras.insert(name, value);
        }
    }
    fields.finish(&mut exchange.unknown);
    Ok(exchange)
}

fn read_betas(headers: &dyn Headers) -> Vec<String> {
    let words = headers.get("anthropic-beta").unwrap_or_default().split(',').map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn read_conversation(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    if let Some(system) = fields.value("system") {
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
            .value("content")
            .ok_or_else(|| message.wrong("content", "this field is required"))?;
        let parts = read_content(content, &message.at("content"), &mut exchange.unknown)?;
        message.finish(&mut exchange.unknown);
        exchange.messages.push(Message { at: index, speaker, name: None, parts });
    }
    Ok(())
}

fn read_tools(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    for (index, raw) in fields.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        exchange.tools.push(match str_at(&raw, "type") {
            None | Some("custom") => {
                let tool = Fields::of(raw, format!("tools[{index}]"))?;
                read_tool(tool, &mut exchange.unknown)?
            }
            Some(_) => Tool::Hosted(raw),
        });
    }
    let Some(mut choice) = fields.object("tool_choice")? else { return Ok(()) };
    if let Some(disable) = choice.boolean("disable_parallel_tool_use")? {
        exchange.parallel_tools = Some(!disable);
    }
    exchange.tool_choice = Some(match choice.required_string("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.required_string("name")?),
        _ => return Err(choice.wrong("type", "expected auto, any, tool or none")),
    });
    choice.finish(&mut exchange.unknown);
    Ok(())
}

fn read_tool(mut tool: Fields, unknown: &mut Vec<String>) -> Result<Tool, FieldError> {
    tool.value("type");
    let mut extras = BTreeMap::new();
    for name in TOOL_EXTRAS {
        if let Some(value) = tool.value(name) {
            extras.insert(name, value);
        }
    }
    let read = Tool::Function {
        name: tool.required_string("name")?,
        description: tool.string("description")?,
        schema: tool.value("input_schema"),
        strict: tool.boolean("strict")?,
        cache: tool.value("cache_control").map(|hint| cache_hint(&hint)),
        extras,
    };
    tool.finish(unknown);
    Ok(read)
}

fn read_reasoning(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    if let Some(mut thinking) = fields.object("thinking")? {
        exchange.reasoning.hide_text = thinking.string("display")?.as_deref() == Some("omitted");
        exchange.reasoning.thinking = Some(match thinking.required_string("type")?.as_str() {
            "enabled" => {
                let tokens = thinking.unsigned("budget_tokens")?;
                ThinkingMode::Budget(
                    tokens
                        .ok_or_else(|| thinking.wrong("budget_tokens", "this field is required"))?,
                )
            }
            "adaptive" => ThinkingMode::Adaptive,
            "between_tools" => ThinkingMode::Between,
            "disabled" => ThinkingMode::Off,
            _ => {
                return Err(
                    thinking.wrong("type", "expected enabled, adaptive, between_tools or disabled")
                );
            }
        });
        thinking.finish(&mut exchange.unknown);
    }
    let Some(mut config) = fields.object("output_config")? else { return Ok(()) };
    if let Some(word) = config.string("effort")? {
        let effort = Effort::parse(&word).filter(|effort| *effort >= Effort::Low);
        exchange.reasoning.effort =
            Some(effort.ok_or_else(|| {
                config.wrong("effort", "expected low, medium, high, xhigh or max")
            })?);
    }
    if let Some(mut format) = config.object("format")? {
        if format.required_string("type")? != "json_schema" {
            return Err(format.wrong("type", "expected json_schema"));
        }
        let schema = format.value("schema");
        exchange.format = Some(OutputFormat::JsonSchema {
            name: None,
            description: None,
            schema: schema.ok_or_else(|| format.wrong("schema", "this field is required"))?,
            strict: Some(true),
        });
        format.finish(&mut exchange.unknown);
    }
    config.finish(&mut exchange.unknown);
    Ok(())
}

fn read_limits(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let max = fields.unsigned("max_tokens")?;
    exchange.max_output =
        Some(max.ok_or_else(|| fields.wrong("max_tokens", "this field is required"))?);
    for stop in fields.array("stop_sequences")?.unwrap_or_default() {
        match stop {
            Value::String(text) => exchange.stop.push(text),
            _ => return Err(fields.wrong("stop_sequences", "expected an array of strings")),
        }
    }
    exchange.stream = fields.boolean("stream")?.unwrap_or(false);
    exchange.sampling.temperature = fields.number("temperature")?;
    exchange.sampling.top_p = fields.number("top_p")?;
    exchange.sampling.top_k = fields.unsigned("top_k")?;
    let version = exchange.anthropic_version.as_deref().unwrap_or_default();
    if exchange.sampling.is_set() && refuses_sampling(version) {
        return Err(FieldError::new(
            "temperature",
            "temperature, top_p and top_k are not accepted from anthropic-version 2026-10-21 on",
        ));
    }
    Ok(())
}

fn read_account(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    if let Some(mut metadata) = fields.object("metadata")? {
        exchange.user = metadata.string("user_id")?;
        metadata.finish(&mut exchange.unknown);
    }
    exchange.tier = fields.string("service_tier")?.map(|word| match word.as_str() {
        "auto" => Tier::Auto,
        "standard_only" => Tier::Standard,
        _ => Tier::Vendor(word),
    });
    exchange.auto_cache = fields.value("cache_control").map(|hint| cache_hint(&hint));
    Ok(())
}
