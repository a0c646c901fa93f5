//! The exchange as a v2 chat request.

use domain::LossReport;
use serde_json::{Value, json};

use super::write_messages;
use crate::exchange::{
    Exchange, JSON_INSTRUCTION, OutputFormat, Sampling, ThinkingMode, Tier, Tool, ToolChoice,
    schema_instruction,
};
use crate::json::{Object, str_at};
use crate::loss::{self, Corner};
use crate::quirks::ThinkingForm;
use crate::reasoning::Effort;
use crate::unwrap_input;
use crate::wire::{FieldError, Target, UpstreamRequest};
use domain::DialectId;

/// Most stop sequences that the provider takes.
const STOP_MAX: usize = 5;
/// The range of `p`: the neutral 1 is beyond it.
const P: (f64, f64) = (0.01, 0.99);
/// The end of the range of `k`.
const K_MAX: u64 = 500;

pub(super) fn write(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<UpstreamRequest, FieldError> {
    let (body, cut_at) = object(exchange, target, loss)?;
    Ok(UpstreamRequest { body: body.into_bytes(), headers: Vec::new(), cut_at })
}

/// The body's fields, and where the answer is to be cut.
pub(crate) fn object(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<(Object, Vec<String>), FieldError> {
    let mut writer = Writer { exchange, target, loss, body: Object::default() };
    writer.write()?;
    let cut_at = exchange.stops_if(target.quirks.no_stop);
    Ok((writer.body, cut_at))
}

struct Writer<'a, 'l> {
    exchange: &'a Exchange,
    target: &'a Target<'a>,
    loss: &'l mut LossReport,
    body: Object,
}

impl Writer<'_, '_> {
    fn note(&mut self, corner: Corner) {
        loss::note(self.loss, self.exchange, corner);
    }

    fn note_if(&mut self, met: bool, corner: Corner) {
        if met {
            self.note(corner);
        }
    }

    fn is_same(&self) -> bool {
        self.exchange.from == DialectId::CohereChat
    }

    fn write(&mut self) -> Result<(), FieldError> {
        self.body.put("model", self.target.model);
        let (mut messages, documents) =
            write_messages::write(self.exchange, self.target, self.loss)?;
        if messages.is_empty() {
            return Err(FieldError::new("messages", "no message has any content"));
        }
        self.write_tools();
        if let Some(instruction) = self.write_format() {
            add_instruction(&mut messages, &instruction);
        }
        self.body.put("messages", messages);
        if !documents.is_empty() {
            self.body.put("documents", documents);
        }
        self.write_limits()?;
        self.write_sampling();
        self.write_thinking();
        self.write_account();
        // The field is required, whatever it says.
        self.body.put("stream", self.exchange.stream);
        if self.is_same() {
            for (name, value) in &self.exchange.extras {
                self.body.put(name, value.clone());
            }
            loss::note_unknown(self.loss, self.exchange);
        } else {
            loss::note_extras(self.loss, self.exchange);
        }
        Ok(())
    }

    /// The provider knows a choice of any tool and of none: for one or some of them only these are sent.
    fn write_tools(&mut self) {
        let exchange = self.exchange;
        let (only, word) = match &exchange.tool_choice {
            None | Some(ToolChoice::Auto) => (None, None),
            Some(ToolChoice::None) => (None, Some("NONE")),
            Some(ToolChoice::Required) => (None, Some("REQUIRED")),
            Some(ToolChoice::Named(name)) => (Some(std::slice::from_ref(name)), Some("REQUIRED")),
            Some(ToolChoice::Allowed { names, required }) => {
                (Some(names.as_slice()), required.then_some("REQUIRED"))
            }
        };
        let allowed = |tool: &&Tool| match (only, tool.name()) {
            (Some(names), Some(name)) => names.iter().any(|it| it == name),
            _ => true,
        };
        let tools: Vec<Value> =
            exchange.tools.iter().filter(allowed).filter_map(|it| self.tool(it)).collect();
        if tools.is_empty() {
            return self.note_if(word == Some("REQUIRED"), Corner::ToolChoice);
        }
        self.note_if(only.is_some(), Corner::AllowedTools);
        self.note_if(exchange.parallel_tools == Some(false), Corner::ParallelTools);
        self.write_strict();
        self.body.put_some("tool_choice", word);
        self.body.put("tools", tools);
    }

    fn tool(&mut self, tool: &Tool) -> Option<Value> {
        let (name, description, schema) = match tool {
            Tool::Function { name, description, schema, extras, .. } => {
                self.note_if(!extras.is_empty(), Corner::ToolFields);
                let schema = schema.clone().filter(Value::is_object);
                let none = || json!({"type": "object", "properties": {}});
                (name, description, schema.unwrap_or_else(none))
            }
            Tool::Custom { name, description, .. } => {
                self.note(Corner::CustomTools);
                (name, description, unwrap_input::schema())
            }
            Tool::Hosted(_) => {
                self.note(Corner::HostedTools);
                return None;
            }
        };
        let mut function = Object::default();
        function.put("name", name.as_str());
        function.put_some("description", description.clone());
        function.put("parameters", schema);
        Some(json!({"type": "function", "function": function.into_value()}))
    }

    /// All tools are held to their schemas, or none.
    fn write_strict(&mut self) {
        let strict = |tool: &Tool| match tool {
            Tool::Function { strict, .. } => *strict,
            Tool::Custom { .. } | Tool::Hosted(_) => None,
        };
        let mut all = self.exchange.tools.iter().map(strict);
        if self.is_same() {
            let said = all.next().flatten();
            return self.body.put_some("strict_tools", said);
        }
        let (mut some, mut every) = (false, true);
        for strict in all {
            some |= strict == Some(true);
            every &= strict == Some(true);
        }
        if some && every && !self.target.quirks.no_strict_tools {
            self.body.put("strict_tools", true);
        } else {
            self.note_if(some, Corner::StrictTools);
        }
    }

    /// Writes the format; returns an instruction where the provider can't be told so: it takes none beside tools.
    fn write_format(&mut self) -> Option<String> {
        let apart = self.body.0.contains_key("tools") && !self.is_same();
        match self.exchange.format.as_ref()? {
            OutputFormat::JsonObject if apart => {
                self.note(Corner::JsonObject);
                Some(JSON_INSTRUCTION.to_owned())
            }
            OutputFormat::JsonObject => {
                self.body.put("response_format", json!({"type": "json_object"}));
                None
            }
            OutputFormat::JsonSchema { schema, .. }
                if apart || self.target.quirks.no_json_schema =>
            {
                self.note(Corner::JsonSchema);
                if !apart {
                    self.body.put("response_format", json!({"type": "json_object"}));
                }
                Some(schema_instruction(schema))
            }
            OutputFormat::JsonSchema { schema, description, .. } => {
                let mut schema = schema.clone();
                if let (Some(text), Value::Object(map)) = (description, &mut schema) {
                    map.entry("description").or_insert_with(|| text.as_str().into());
                }
                let format = json!({"type": "json_object", "json_schema": schema});
                self.body.put("response_format", format);
                None
            }
        }
    }

    fn write_limits(&mut self) -> Result<(), FieldError> {
        let exchange = self.exchange;
        if exchange.max_output == Some(0) && !self.is_same() {
            let why = "0 warms a cache at its own vendor only: this provider would refuse it";
            return Err(FieldError::new("max_tokens", why));
        }
        self.body.put_some("max_tokens", exchange.max_output);
        let stop = exchange.stop.as_slice();
        if stop.is_empty() {
            return Ok(());
        }
        if self.target.quirks.no_stop {
            self.note(Corner::Stop);
        } else {
            let beyond = stop.len() > STOP_MAX && !self.is_same();
            self.note_if(beyond, Corner::StopSome);
            let kept = if beyond { stop.get(..STOP_MAX).unwrap_or(stop) } else { stop };
            self.body.put("stop_sequences", kept);
        }
        Ok(())
    }

    fn write_sampling(&mut self) {
        let exchange = self.exchange;
        let Sampling { temperature, top_p, top_k, frequency_penalty, presence_penalty, seed } =
            exchange.sampling.clone();
        if self.target.quirks.no_sampling {
            self.note_if(temperature.is_some(), Corner::Temperature);
            self.note_if(top_p.is_some(), Corner::TopP);
            self.note_if(top_k.is_some(), Corner::TopK);
        } else {
            let p = if self.is_same() { top_p } else { top_p.map(|p| p.clamp(P.0, P.1)) };
            self.body.put_some("temperature", temperature);
            self.body.put_some("p", p);
            self.body.put_some("k", top_k.map(|k| k.min(K_MAX)));
        }
        self.write_penalties(frequency_penalty, presence_penalty);
        let seed_taken = seed.filter(|seed| *seed >= 0);
        self.note_if(seed_taken != seed, Corner::Seed);
        self.body.put_some("seed", seed_taken);
        self.note_if(exchange.answers > 1, Corner::ManyAnswers);
        if let Some(top) = exchange.logprobs {
            let taken = !self.target.quirks.no_logprobs;
            if taken {
                self.body.put("logprobs", true);
            }
            // Of the token that was taken, never of others.
            self.note_if(!taken || top.unwrap_or(0) > 0, Corner::Logprobs);
        }
    }

    /// From 0 to 1, and some models take only one of the two; 0 asks for nothing.
    fn write_penalties(&mut self, frequency: Option<f64>, presence: Option<f64>) {
        if self.is_same() {
            self.body.put_some("frequency_penalty", frequency);
            return self.body.put_some("presence_penalty", presence);
        }
        let refused = self.target.quirks.no_sampling || self.target.quirks.no_penalties;
        let mut room = !refused;
        for (name, value, corner) in [
            ("frequency_penalty", frequency, Corner::FrequencyPenalty),
            ("presence_penalty", presence, Corner::PresencePenalty),
        ] {
            let Some(value) = value.filter(|value| value.abs() > 0.0) else { continue };
            if room && (0.0..=1.0).contains(&value) {
                self.body.put(name, value);
                room = false;
            } else {
                self.note(corner);
            }
        }
    }

    fn write_thinking(&mut self) {
        let reasoning = self.exchange.reasoning;
        if self.target.quirks.thinking == ThinkingForm::None && !self.is_same() {
            return self.note_if(reasoning.is_on(), Corner::NoReasoning);
        }
        let budget = match (reasoning.thinking, reasoning.effort) {
            (None, None) => return,
            (Some(ThinkingMode::Off), _) | (None, Some(Effort::None)) => {
                return self.body.put("thinking", json!({"type": "disabled"}));
            }
            (Some(ThinkingMode::Budget(tokens)), effort) => {
                self.note_if(effort.is_some(), Corner::EffortAsBudget);
                Some(tokens)
            }
            (mode, effort) => {
                self.note_if(mode == Some(ThinkingMode::Between), Corner::ThinkingBetween);
                self.note_if(effort.is_some(), Corner::EffortAsBudget);
                // What is thought counts towards the limit: half of it is left for the answer.
                let most = self.exchange.max_output.map_or(u64::MAX, |most| (most / 2).max(1));
                effort.map(|effort| effort.budget().min(most))
            }
        };
        let mut thinking = json!({"type": "enabled"});
        if let Some(tokens) = budget {
            thinking["token_budget"] = tokens.into();
        }
        self.body.put("thinking", thinking);
    }

    fn write_account(&mut self) {
        let exchange = self.exchange;
        self.note_if(exchange.user.is_some(), Corner::User);
        let tier = matches!(exchange.tier, Some(Tier::Standard | Tier::Vendor(_)));
        self.note_if(tier, Corner::Tier);
        let said = exchange.messages.iter().flat_map(|message| &message.parts);
        let hints = exchange.system.iter().chain(said).any(|part| part.cache.is_some());
        let on_tools =
            exchange.tools.iter().any(|it| matches!(it, Tool::Function { cache: Some(_), .. }));
        let caches = hints || on_tools || exchange.auto_cache.is_some();
        self.note_if(caches, Corner::CacheBreakpoints);
    }
}

/// Adds to the system prompt: the provider takes one only.
fn add_instruction(messages: &mut Vec<Value>, instruction: &str) {
    let first = messages.first_mut().filter(|it| str_at(it, "role") == Some("system"));
    match first.map(|first| &mut first["content"]) {
        Some(Value::String(text)) => {
            text.push_str("\n\n");
            text.push_str(instruction);
        }
        Some(Value::Array(parts)) => parts.push(json!({"type": "text", "text": instruction})),
        _ => messages.insert(0, json!({"role": "system", "content": instruction})),
    }
}
