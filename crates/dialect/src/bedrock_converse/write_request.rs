//! The exchange as a Converse request. Model and streaming are in the path.

use domain::{DialectId, LossReport};
use serde_json::{Value, json};

use super::read_request::ADDITIONAL;
use super::write_blocks::{self, cache_point};
use crate::closed_schema::close_objects;
use crate::exchange::{
    Exchange, JSON_INSTRUCTION, OutputFormat, PartKind, Sampling, ThinkingMode, Tier, Tool,
    ToolChoice, schema_instruction,
};
use crate::json::{Object, to_text};
use crate::loss::{self, Corner};
use crate::quirks::ThinkingForm;
use crate::reasoning::{BUDGET_MIN, Effort};
use crate::unwrap_input;
use crate::wire::{FieldError, Target, UpstreamRequest};

/// The words of `serviceTier.type` beside `default`.
const TIERS: [&str; 3] = ["flex", "priority", "reserved"];

pub(super) fn write(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<UpstreamRequest, FieldError> {
    let [body, config, additional] = [(); 3].map(|()| Object::default());
    let mut writer = Writer { exchange, target, loss, body, config, additional };
    writer.write()?;
    let cut_at = exchange.stops_if(target.quirks.no_stop);
    Ok(UpstreamRequest { body: writer.body.into_bytes(), headers: Vec::new(), cut_at })
}

struct Writer<'a, 'l> {
    exchange: &'a Exchange,
    target: &'a Target<'a>,
    loss: &'l mut LossReport,
    body: Object,
    /// `outputConfig`.
    config: Object,
    /// Fields of the model's own.
    additional: Object,
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
        self.exchange.from == DialectId::BedrockConverse
    }

    fn write(&mut self) -> Result<(), FieldError> {
        self.write_conversation()?;
        self.write_tools();
        let thinks = self.write_reasoning();
        self.write_format();
        self.write_inference(thinks)?;
        self.write_account();
        self.write_extras();
        if !self.config.0.is_empty() {
            let config = std::mem::take(&mut self.config);
            self.body.put("outputConfig", config.into_value());
        }
        if !self.additional.0.is_empty() {
            let additional = std::mem::take(&mut self.additional);
            self.body.put(ADDITIONAL, additional.into_value());
        }
        Ok(())
    }

    fn write_conversation(&mut self) -> Result<(), FieldError> {
        let (exchange, target) = (self.exchange, self.target);
        let mut writer = write_blocks::Writer::new(exchange, target, self.loss);
        let mut system = writer.system()?;
        let messages = writer.messages()?;
        match &exchange.format {
            Some(OutputFormat::JsonObject) => {
                self.note(Corner::JsonObject);
                system.push(json!({"text": JSON_INSTRUCTION}));
            }
            Some(OutputFormat::JsonSchema { schema, .. }) if target.quirks.no_json_schema => {
                self.note(Corner::JsonSchema);
                system.push(json!({"text": schema_instruction(schema)}));
            }
            Some(OutputFormat::JsonSchema { .. }) | None => {}
        }
        if messages.is_empty() {
            return Err(FieldError::new(
                "messages",
                "this provider needs a user message with content beside the system prompt",
            ));
        }
        if !system.is_empty() {
            self.body.put("system", system);
        }
        self.body.put("messages", messages);
        Ok(())
    }

    fn write_tools(&mut self) {
        let exchange = self.exchange;
        let mut choice = exchange.tool_choice.clone();
        let mut only = None;
        if let Some(ToolChoice::Allowed { names, required }) = &choice {
            only = Some(names.clone());
            choice = Some(if *required { ToolChoice::Required } else { ToolChoice::Auto });
            self.note(Corner::AllowedTools);
        }
        let called = called_names(exchange);
        // There is no such choice: without tools none is called. The provider refuses calls in the history without tools.
        let forbidden = choice == Some(ToolChoice::None);
        if forbidden && called.is_empty() {
            return self.note_if(!exchange.tools.is_empty(), Corner::ToolChoiceNone);
        }
        let mut tools = Vec::new();
        for tool in &exchange.tools {
            let allowed = match (&only, tool.name()) {
                (Some(names), Some(name)) => names.iter().any(|it| it == name),
                _ => true,
            };
            if allowed {
                self.tool(tool, &mut tools);
            }
        }
        if tools.is_empty() && !self.is_same() {
            tools = called.into_iter().map(stand_in).collect();
        }
        let has = |name: &str| {
            tools.iter().any(|tool| tool.pointer("/toolSpec/name").is_some_and(|it| it == name))
        };
        let choice = match choice {
            None => None,
            Some(ToolChoice::Auto | ToolChoice::Allowed { .. }) => Some(json!({"auto": {}})),
            Some(ToolChoice::Required) if !tools.is_empty() => Some(json!({"any": {}})),
            Some(ToolChoice::Named(name)) if has(&name) => Some(json!({"tool": {"name": name}})),
            Some(ToolChoice::None | ToolChoice::Required | ToolChoice::Named(_)) => {
                self.note(Corner::ToolChoice);
                None
            }
        };
        self.note_if(
            exchange.parallel_tools == Some(false) && !tools.is_empty(),
            Corner::ParallelTools,
        );
        if tools.is_empty() {
            return;
        }
        let mut config = Object::default();
        config.put("tools", tools);
        config.put_some("toolChoice", choice);
        self.body.put("toolConfig", config.into_value());
    }

    fn tool(&mut self, tool: &Tool, out: &mut Vec<Value>) {
        let mut spec = Object::default();
        match tool {
            Tool::Function { name, description, schema, strict, cache, extras } => {
                spec.put("name", name.as_str());
                // An empty one is refused.
                spec.put_some("description", description.clone().filter(|text| !text.is_empty()));
                spec.put("inputSchema", json!({"json": input_schema(schema.as_ref())}));
                if *strict == Some(true) && self.target.quirks.no_strict_tools {
                    self.note(Corner::StrictTools);
                } else {
                    spec.put_some("strict", strict.filter(|strict| *strict));
                }
                self.note_if(!extras.is_empty(), Corner::ToolFields);
                out.push(json!({"toolSpec": spec.into_value()}));
                if let Some(hint) = cache {
                    let mut writer =
                        write_blocks::Writer::new(self.exchange, self.target, self.loss);
                    writer.note_lifetime(*hint);
                    out.push(cache_point(*hint));
                }
            }
            Tool::Custom { name, description, .. } => {
                self.note(Corner::CustomTools);
                spec.put("name", name.as_str());
                spec.put_some("description", description.clone().filter(|text| !text.is_empty()));
                spec.put("inputSchema", json!({"json": unwrap_input::schema()}));
                out.push(json!({"toolSpec": spec.into_value()}));
            }
            Tool::Hosted(raw) if self.is_same() => out.push(raw.clone()),
            Tool::Hosted(_) => self.note(Corner::HostedTools),
        }
    }

    /// Writes `outputConfig.effort` and Claude's `thinking`; returns whether Claude will think for sure.
    fn write_reasoning(&mut self) -> bool {
        let reasoning = self.exchange.reasoning;
        let (thinking, effort) = match self.target.quirks.thinking {
            ThinkingForm::None if self.is_same() => (reasoning.thinking, reasoning.effort),
            ThinkingForm::None => {
                self.note_if(reasoning.is_on(), Corner::NoReasoning);
                (None, None)
            }
            ThinkingForm::Budget => (self.budget(), None),
            ThinkingForm::Adaptive => (reasoning.thinking, reasoning.effort),
        };
        if let Some(mode) = thinking {
            let mut value = mode.to_value();
            if reasoning.hide_text {
                value["display"] = "omitted".into();
            }
            self.additional.put("thinking", value);
        }
        if let Some(effort) = effort {
            self.write_effort(effort);
        }
        thinking.is_some_and(|mode| mode != ThinkingMode::Off)
    }

    fn write_effort(&mut self, effort: Effort) {
        let word = match effort {
            _ if self.is_same() => effort.as_str(),
            // Nothing asked for is nothing done.
            Effort::None => return,
            Effort::Minimal => {
                self.note(Corner::EffortRange);
                effort.as_messages_str()
            }
            _ => effort.as_messages_str(),
        };
        self.config.put("effort", word);
    }

    /// For a Claude model that takes a budget and no effort.
    fn budget(&mut self) -> Option<ThinkingMode> {
        let reasoning = self.exchange.reasoning;
        let wanted = match (reasoning.thinking, reasoning.effort) {
            (Some(ThinkingMode::Off), _) => return Some(ThinkingMode::Off),
            (None, None | Some(Effort::None)) => return None,
            (Some(ThinkingMode::Budget(tokens)), _) => tokens,
            (None, Some(effort)) => {
                self.note(Corner::EffortAsBudget);
                effort.budget()
            }
            (Some(ThinkingMode::Adaptive | ThinkingMode::Between), effort) => {
                self.note(Corner::ThinkingBetween);
                effort.unwrap_or(Effort::Medium).budget()
            }
        };
        // The budget is part of the output, and must be below its limit.
        let most = self.exchange.max_output.or(self.target.max_output);
        if most.is_some_and(|most| most <= BUDGET_MIN) || self.is_forced() {
            self.note(Corner::NoReasoning);
            return None;
        }
        let most = most.map_or(u64::MAX, |most| most - 1);
        Some(ThinkingMode::Budget(wanted.min(most)))
    }

    /// Whether the choice of tools rules thinking out.
    fn is_forced(&self) -> bool {
        let choice = self.body.0.get("toolConfig").and_then(|config| config.get("toolChoice"));
        choice.is_some_and(|choice| choice.get("auto").is_none())
    }

    fn write_format(&mut self) {
        let Some(OutputFormat::JsonSchema { name, description, schema, .. }) =
            &self.exchange.format
        else {
            return;
        };
        if self.target.quirks.no_json_schema {
            return;
        }
        let mut schema = schema.clone();
        if !self.is_same() && close_objects(&mut schema) {
            self.note(Corner::OpenSchema);
        }
        let mut inner = Object::default();
        // The schema is JSON in a string here.
        inner.put("schema", to_text(&schema));
        inner.put_some("name", name.clone());
        inner.put_some("description", description.clone());
        let structure = json!({"jsonSchema": inner.into_value()});
        let format = json!({"type": "json_schema", "structure": structure});
        self.config.put("textFormat", format);
    }

    fn write_inference(&mut self, thinks: bool) -> Result<(), FieldError> {
        if self.exchange.max_output == Some(0) && !self.is_same() {
            let why = "0 warms a cache at its own vendor only: this provider would refuse it";
            return Err(FieldError::new("max_tokens", why));
        }
        let mut config = Object::default();
        config.put_some("maxTokens", self.exchange.max_output);
        self.write_sampling(thinks, &mut config);
        self.write_stop(&mut config);
        if !config.0.is_empty() {
            self.body.put("inferenceConfig", config.into_value());
        }
        Ok(())
    }

    fn write_sampling(&mut self, thinks: bool, config: &mut Object) {
        let Sampling { temperature, top_p, top_k, frequency_penalty, presence_penalty, seed } =
            self.exchange.sampling.clone();
        if self.is_same() {
            config.put_some("temperature", temperature);
            config.put_some("topP", top_p);
            self.additional.put_some("top_k", top_k);
        } else if self.target.quirks.no_sampling || thinks {
            self.note_if(temperature.is_some(), Corner::Temperature);
            self.note_if(top_p.is_some_and(|top_p| top_p < 1.0), Corner::TopP);
            self.note_if(top_k.is_some(), Corner::TopK);
        } else {
            self.note_if(temperature.is_some_and(|heat| heat > 1.0), Corner::TemperatureRange);
            config.put_some("temperature", temperature.map(|heat| heat.clamp(0.0, 1.0)));
            // Claude models since 4.1 refuse both together; 1 is the default and asks for nothing.
            let top_p = top_p.filter(|top_p| *top_p < 1.0);
            if temperature.is_some() {
                self.note_if(top_p.is_some(), Corner::TopP);
            } else {
                config.put_some("topP", top_p);
            }
            self.additional.put_some("top_k", top_k);
        }
        let is_set = |penalty: Option<f64>| penalty.is_some_and(|penalty| penalty.abs() > 0.0);
        self.note_if(is_set(frequency_penalty), Corner::FrequencyPenalty);
        self.note_if(is_set(presence_penalty), Corner::PresencePenalty);
        self.note_if(seed.is_some(), Corner::Seed);
        self.note_if(self.exchange.answers > 1, Corner::ManyAnswers);
        self.note_if(self.exchange.logprobs.is_some(), Corner::Logprobs);
    }

    fn write_stop(&mut self, config: &mut Object) {
        let all = &self.exchange.stop;
        if all.is_empty() {
            return;
        }
        if self.target.quirks.no_stop {
            return self.note(Corner::Stop);
        }
        let kept: Vec<&str> =
            all.iter().map(String::as_str).filter(|it| !it.trim().is_empty()).collect();
        self.note_if(kept.len() < all.len(), Corner::StopSome);
        if !kept.is_empty() {
            config.put("stopSequences", kept);
        }
    }

    fn write_account(&mut self) {
        self.note_if(self.exchange.user.is_some(), Corner::User);
        let tier = match &self.exchange.tier {
            None | Some(Tier::Auto) => return,
            Some(Tier::Standard) => "default",
            Some(Tier::Vendor(word)) if self.is_same() || TIERS.contains(&word.as_str()) => word,
            Some(Tier::Vendor(_)) => return self.note(Corner::Tier),
        };
        self.body.put("serviceTier", json!({"type": tier}));
    }

    fn write_extras(&mut self) {
        if !self.is_same() {
            return loss::note_extras(self.loss, self.exchange);
        }
        for (name, value) in &self.exchange.extras {
            match value {
                Value::Object(own) if *name == ADDITIONAL => {
                    self.additional.0.extend(own.clone());
                }
                _ => self.body.put(name, value.clone()),
            }
        }
        if !self.exchange.betas.is_empty() {
            self.additional.put("anthropic_beta", self.exchange.betas.clone());
        }
        loss::note_unknown(self.loss, self.exchange);
    }
}

/// The provider wants an object schema, and one at all.
fn input_schema(schema: Option<&Value>) -> Value {
    match schema {
        Some(Value::Object(map)) => {
            let mut map = map.clone();
            map.entry("type").or_insert_with(|| "object".into());
            Value::Object(map)
        }
        _ => json!({"type": "object", "properties": {}}),
    }
}

/// For a tool that was called before and is not on offer now.
fn stand_in(name: &str) -> Value {
    json!({"toolSpec": {
        "name": name,
        "description": "Was called earlier in this conversation. It can't be called any more.",
        "inputSchema": {"json": {"type": "object"}},
    }})
}

/// The tools called in the history, each once.
fn called_names(exchange: &Exchange) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for part in exchange.messages.iter().flat_map(|message| &message.parts) {
        if let PartKind::ToolUse(call) = &part.kind
            && !names.contains(&call.name.as_str())
        {
            names.push(&call.name);
        }
    }
    names
}
