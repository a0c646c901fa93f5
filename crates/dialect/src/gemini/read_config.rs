//! `generationConfig` as what the exchange asks for.

use serde_json::Value;

use super::names::{fields, integer, unsigned, whole};
use super::schema::json_schema;
use crate::exchange::{Exchange, OutputFormat, ThinkingMode};
use crate::json::Fields;
use crate::reasoning::Effort;
use crate::wire::FieldError;

/// Fields that no other dialect has, with the names under which they go through the exchange.
pub(super) const EXTRAS: [(&str, &str); 10] = [
    ("audioTimestamp", "generationConfig.audioTimestamp"),
    ("enableAffectiveDialog", "generationConfig.enableAffectiveDialog"),
    ("enableEnhancedCivicAnswers", "generationConfig.enableEnhancedCivicAnswers"),
    ("imageConfig", "generationConfig.imageConfig"),
    ("mediaResolution", "generationConfig.mediaResolution"),
    ("modelSelectionConfig", "generationConfig.modelSelectionConfig"),
    ("responseModalities", "generationConfig.responseModalities"),
    ("routingConfig", "generationConfig.routingConfig"),
    ("speechConfig", "generationConfig.speechConfig"),
    // Kept here only where it asks for a format that nobody else has.
    ("responseMimeType", "generationConfig.responseMimeType"),
];

pub(super) fn read(config: Value, exchange: &mut Exchange) -> Result<(), FieldError> {
    let mut config = fields(config, "generationConfig".to_owned())?;
    read_limits(&mut config, exchange)?;
    read_sampling(&mut config, exchange)?;
    read_format(&mut config, exchange)?;
    if let Some(thinking) = config.value("thinkingConfig") {
        let path = config.at("thinkingConfig");
        read_thinking(fields(thinking, path)?, exchange)?;
    }
    for (name, key) in EXTRAS {
        // Text alone is what is answered anyway.
        let is_plain = |value: &Value| *value == serde_json::json!(["TEXT"]);
        if let Some(value) = config.value(name).filter(|value| !is_plain(value)) {
            exchange.extras.insert(key, value);
        }
    }
    config.finish(&mut exchange.unknown);
    Ok(())
}

fn read_limits(config: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    exchange.max_output = unsigned(config, "maxOutputTokens")?;
    if let Some(count) = unsigned(config, "candidateCount")? {
        exchange.answers = u32::try_from(count)
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| config.wrong("candidateCount", "expected a number from 1 on"))?;
    }
    for stop in config.array("stopSequences")?.unwrap_or_default() {
        match stop {
            Value::String(text) => exchange.stop.push(text),
            _ => return Err(config.wrong("stopSequences", "expected an array of strings")),
        }
    }
    Ok(())
}

fn read_sampling(config: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    exchange.sampling.temperature = config.number("temperature")?;
    exchange.sampling.top_p = config.number("topP")?;
    exchange.sampling.top_k = unsigned(config, "topK")?;
    exchange.sampling.presence_penalty = config.number("presencePenalty")?;
    exchange.sampling.frequency_penalty = config.number("frequencyPenalty")?;
    exchange.sampling.seed = integer(config, "seed")?;
    let wanted = config.boolean("responseLogprobs")?.unwrap_or(false);
    let top = unsigned(config, "logprobs")?.map(|top| u32::try_from(top).unwrap_or(u32::MAX));
    // Alternatives are refused without the flag.
    exchange.logprobs = wanted.then_some(top);
    Ok(())
}

fn read_format(config: &mut Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let own = config.value("responseSchema").map(json_schema);
    let plain = config.value("responseJsonSchema").or_else(|| config.value("_responseJsonSchema"));
    let schema = plain.or(own);
    let kind = config.string("responseMimeType")?;
    exchange.format = match (kind.as_deref(), schema) {
        (Some("application/json"), None) => Some(OutputFormat::JsonObject),
        (Some("application/json"), Some(schema)) => Some(OutputFormat::JsonSchema {
            name: None,
            description: None,
            schema,
            strict: Some(true),
        }),
        (None | Some("" | "text/plain"), None) => None,
        // A bare word out of an enumeration, or a type of later days.
        (Some(other), schema) => {
            exchange.extras.insert("generationConfig.responseMimeType", other.into());
            exchange.extras.extend(schema.map(|it| ("generationConfig.responseJsonSchema", it)));
            None
        }
        (None, Some(_)) => {
            return Err(config.wrong("responseMimeType", "a schema needs application/json"));
        }
    };
    Ok(())
}

fn read_thinking(mut thinking: Fields, exchange: &mut Exchange) -> Result<(), FieldError> {
    let shown = thinking.boolean("includeThoughts")?;
    let level = thinking.string("thinkingLevel")?;
    let budget = match thinking.value("thinkingBudget") {
        None => None,
        Some(value) => Some(
            whole(&value)
                .ok_or_else(|| thinking.wrong("thinkingBudget", "expected a whole number"))?,
        ),
    };
    let reasoning = &mut exchange.reasoning;
    reasoning.hide_text = shown != Some(true);
    reasoning.effort = match level.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "thinking_level_unspecified") => None,
        Some(word) => Some(Effort::parse(word).ok_or_else(|| {
            thinking.wrong("thinkingLevel", "expected MINIMAL, LOW, MEDIUM, HIGH or XHIGH")
        })?),
    };
    reasoning.thinking = match budget {
        Some(0) => Some(ThinkingMode::Off),
        Some(tokens) if tokens > 0 => Some(ThinkingMode::Budget(tokens.unsigned_abs())),
        // As much as the model likes.
        Some(_) => Some(ThinkingMode::Adaptive),
        None => (shown == Some(true)).then_some(ThinkingMode::Adaptive),
    };
    thinking.finish(&mut exchange.unknown);
    Ok(())
}
