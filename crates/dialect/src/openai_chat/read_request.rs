//! A client's chat completion request as the exchange.

use serde_json::Value;

use super::read_messages::read_messages;
use crate::exchange::{CacheHint, Exchange, OutputFormat, Tier, Tool, ToolChoice};
use crate::json::{Fields, str_at};
use crate::reasoning::Effort;
use crate::wire::{FieldError, Incoming};
use domain::DialectId;

/// Most answers a request may ask for: OpenAI's own bound.
const ANSWERS_MAX: u64 = 128;

/// Fields that no other dialect has: carried verbatim to chat providers, noted elsewhere.
const EXTRAS: [&str; 13] = [
    "logit_bias",
    "metadata",
    "store",
    "prediction",
    "modalities",
    "audio",
    "moderation",
    "verbosity",
    "web_search_options",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "thinking",
];

pub(super) fn read(request: &Incoming<'_>) -> Result<Exchange, FieldError> {
    let mut fields = Fields::parse(request.body)?;
    let model = fields.model(request.path.model)?;
    let mut exchange = Exchange::new(DialectId::OpenaiChat, model);
    let long = read_cache_options(&mut fields, &mut exchange)?;
    let messages = fields
        .array("messages")?
        .filter(|messages| !messages.is_empty())
        .ok_or_else(|| fields.wrong("messages", "at least one message is required"))?;
    read_messages(messages, long, &mut exchange)?;
    read_tools(&mut fields, &mut exchange)?;
    read_output(&mut fields, &mut exchange)?;
    read_sampling(&mut fields, &mut exchange)?;
    read_account(&mut fields, &mut exchange)?;
    for name in EXTRAS {
        if let Some(value) = fields.value(name) {
            exchange.extras.insert(name, value);
        }
    }
    fields.finish(&mut exchange.unknown);
    Ok(exchange)
}

/// Returns whether breakpoints without a lifetime of their own are long.
pub(crate) fn read_cache_options(
    fields: &mut Fields,
    exchange: &mut Exchange,
) -> Result<bool, FieldError> {
    let Some(raw) = fields.value("prompt_cache_options") else { return Ok(false) };
    // Kept verbatim too: absent and `explicit` differ for chat providers.
    exchange.extras.insert("prompt_cache_options", raw.clone());
    let mut options = Fields::of(raw, fields.at("prompt_cache_options"))?;
    let long = options.string("ttl")?.as_deref() == Some("12h");
    if options.string("mode")?.as_deref() != Some("explicit") {
        exchange.auto_cache = Some(if long { CacheHint::Long } else { CacheHint::Default });
    }
    options.finish(&mut exchange.unknown);
    Ok(long)
}

fn read_tools(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let Exchange { tools, unknown, .. } = exchange;
    for (index, raw) in fields.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        tools.push(read_tool(raw, format!("tools[{index}]"), unknown)?);
    }
    // The deprecated spelling of function tools.
    for (index, raw) in fields.array("functions")?.unwrap_or_default().into_iter().enumerate() {
        let function = Fields::of(raw, format!("functions[{index}]"))?;
        tools.push(read_function(function, unknown)?);
    }
    exchange.parallel_tools = fields.boolean("parallel_tool_calls")?;
    let choice = match fields.value("tool_choice") {
        Some(choice) => Some(choice),
        None => fields.value("function_call"),
    };
    exchange.tool_choice = choice.map(|choice| read_choice(&choice)).transpose()?;
    Ok(())
}

fn read_tool(raw: Value, path: String, unknown: &mut Vec<String>) -> Result<Tool, FieldError> {
    let kind = str_at(&raw, "type").map(str::to_owned);
    if kind.as_deref().is_some_and(|kind| kind != "function" && kind != "custom") {
        return Ok(Tool::Hosted(raw));
    }
    let mut tool = Fields::of(raw, path)?;
    let kind = tool.required_string("type")?;
    let mut inner =
        tool.object(&kind)?.ok_or_else(|| tool.wrong(&kind, "this field is required"))?;
    let read = if kind == "function" {
        read_function(inner, unknown)?
    } else {
        let read = Tool::Custom {
            name: inner.required_string("name")?,
            description: inner.string("description")?,
            format: inner.value("format"),
        };
        inner.finish(unknown);
        read
    };
    tool.finish(unknown);
    Ok(read)
}

fn read_function(mut function: Fields, unknown: &mut Vec<String>) -> Result<Tool, FieldError> {
    let read = Tool::Function {
        name: function.required_string("name")?,
        description: function.string("description")?,
        schema: function.value("parameters"),
        strict: function.boolean("strict")?,
        cache: None,
        extras: std::collections::BTreeMap::new(),
    };
    function.finish(unknown);
    Ok(read)
}

fn read_choice(choice: &Value) -> Result<ToolChoice, FieldError> {
    let wrong = || {
        FieldError::new(
            "tool_choice",
            "expected none, auto, required, a named function or custom tool, or allowed_tools",
        )
    };
    let name = |of: &Value| of.get("name").and_then(Value::as_str).map(str::to_owned);
    if let Some(word) = choice.as_str() {
        return match word {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            _ => Err(wrong()),
        };
    }
    let named = ["function", "custom"].iter().find_map(|kind| choice.get(kind).and_then(name));
    if let Some(named) = named {
        return Ok(ToolChoice::Named(named));
    }
    let Some(allowed) = choice.get("allowed_tools") else {
        // The deprecated `function_call: {name}`.
        return name(choice).map(ToolChoice::Named).ok_or_else(wrong);
    };
    let tools = allowed.get("tools").and_then(Value::as_array).ok_or_else(wrong)?;
    let names = tools
        .iter()
        .filter_map(|tool| ["function", "custom"].iter().find_map(|kind| tool.get(kind)))
        .filter_map(name)
        .collect();
    let required = allowed.get("mode").and_then(Value::as_str) == Some("required");
    Ok(ToolChoice::Allowed { names, required })
}

fn read_output(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let current = fields.unsigned("max_completion_tokens")?;
    let legacy = fields.unsigned("max_tokens")?;
    exchange.max_output = current.or(legacy);
    exchange.format = read_format(fields, &mut exchange.unknown)?;
    exchange.stop = match fields.value("stop") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many
            .into_iter()
            .map(|stop| match stop {
                Value::String(text) => Ok(text),
                _ => Err(fields.wrong("stop", "expected a string or an array of strings")),
            })
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(fields.wrong("stop", "expected a string or an array of strings")),
    };
    if let Some(word) = fields.string("reasoning_effort")? {
        let effort = Effort::parse(&word).ok_or_else(|| {
            fields.wrong(
                "reasoning_effort",
                "expected none, minimal, low, medium, high, xhigh or max",
            )
        })?;
        exchange.reasoning.effort = Some(effort);
    }
    exchange.stream = fields.boolean("stream")?.unwrap_or(false);
    if let Some(mut options) = fields.object("stream_options")? {
        exchange.include_usage = options.boolean("include_usage")?.unwrap_or(false);
        // Padding against onlookers, which is not made here: only asking for it is a loss.
        if options.boolean("include_obfuscation")?.unwrap_or(false) {
            exchange.unknown.push(options.at("include_obfuscation"));
        }
        options.finish(&mut exchange.unknown);
    }
    Ok(())
}

fn read_format(
    fields: &mut Fields,
    unknown: &mut Vec<String>,
) -> Result<Option<OutputFormat>, FieldError> {
    let Some(mut format) = fields.object("response_format")? else { return Ok(None) };
    let read = match format.required_string("type")?.as_str() {
        "text" => None,
        "json_object" => Some(OutputFormat::JsonObject),
        "json_schema" => {
            let mut inner = format
                .object("json_schema")?
                .ok_or_else(|| format.wrong("json_schema", "this field is required"))?;
            let read = OutputFormat::JsonSchema {
                name: inner.string("name")?,
                description: inner.string("description")?,
                schema: inner
                    .value("schema")
                    .unwrap_or_else(|| Value::Object(serde_json::Map::new())),
                strict: inner.boolean("strict")?,
            };
            inner.finish(unknown);
            Some(read)
        }
        _ => return Err(format.wrong("type", "expected text, json_object or json_schema")),
    };
    format.finish(unknown);
    Ok(read)
}

fn read_sampling(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let sampling = &mut exchange.sampling;
    sampling.temperature = fields.number("temperature")?;
    sampling.top_p = fields.number("top_p")?;
    sampling.top_k = fields.unsigned("top_k")?;
    sampling.frequency_penalty = fields.number("frequency_penalty")?;
    sampling.presence_penalty = fields.number("presence_penalty")?;
    // Mistral's clients call it `random_seed`.
    let random = fields.integer("random_seed")?;
    sampling.seed = fields.integer("seed")?.or(random);
    let answers = fields.unsigned("n")?.unwrap_or(1);
    if !(1..=ANSWERS_MAX).contains(&answers) {
        return Err(fields.wrong("n", format!("expected 1 to {ANSWERS_MAX}")));
    }
    exchange.answers = answers as u32;
    let top = fields.unsigned("top_logprobs")?.map(|top| top.min(u64::from(u32::MAX)) as u32);
    if fields.boolean("logprobs")?.unwrap_or(false) || top.is_some() {
        exchange.logprobs = Some(top);
    }
    Ok(())
}

pub(crate) fn read_account(fields: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let user = fields.string("user")?;
    exchange.user = fields.string("safety_identifier")?.or(user);
    exchange.tier = fields.string("service_tier")?.map(|word| match word.as_str() {
        "auto" => Tier::Auto,
        "default" => Tier::Standard,
        _ => Tier::Vendor(word),
    });
    Ok(())
}
