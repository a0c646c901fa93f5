//! The exchange as a Messages request.

use domain::LossReport;
use serde_json::{Value, json};

use super::refuses_sampling;
use super::write_blocks::{self, cache_control};
use crate::closed_schema::close_objects;
use crate::exchange::{
    CacheHint, Exchange, JSON_INSTRUCTION, OutputFormat, PartKind, Sampling, Speaker, Thinking,
    ThinkingMode, Tier, Tool, ToolChoice, schema_instruction,
};
use crate::json::Object;
use crate::loss::{self, Corner};
use crate::quirks::ThinkingForm;
use crate::reasoning::{BUDGET_MIN, Effort};
use crate::signature::is_foreign;
use crate::unwrap_input;
use crate::wire::{FieldError, Target, UpstreamRequest};
use domain::DialectId;

/// The output limit where neither the request nor the catalog has one: every Claude model takes it.
const OUTPUT_FALLBACK: u64 = 4_096;

pub(super) fn write(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<UpstreamRequest, FieldError> {
    let mut writer = Writer { exchange, target, loss, body: Object::default() };
    writer.write()?;
    let body = writer.body.into_bytes();
    let mut headers = vec![("anthropic-version", target.anthropic_version.to_owned())];
    if exchange.from == DialectId::AnthropicMessages && !exchange.betas.is_empty() {
        headers.push(("anthropic-beta", exchange.betas.join(",")));
    }
    Ok(UpstreamRequest { body, headers, cut_at: exchange.stops_if(target.quirks.no_stop) })
}

/// The API requires a limit.
pub(super) fn output_limit(exchange: &Exchange, target: &Target<'_>) -> u64 {
    exchange.max_output.or(target.max_output).unwrap_or(OUTPUT_FALLBACK)
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

    fn is_same(&self) -> bool {
        self.exchange.from == DialectId::AnthropicMessages
    }

    fn write(&mut self) -> Result<(), FieldError> {
        self.body.put("model", self.target.model);
        let max_tokens = self.max_tokens();
        self.body.put("max_tokens", max_tokens);
        self.write_system()?;
        let messages = write_blocks::messages(self.exchange, self.target, self.loss)?;
        if messages.is_empty() {
            return Err(FieldError::new(
                "messages",
                "this provider needs a user message with content beside the system prompt",
            ));
        }
        self.body.put("messages", messages);
        self.write_tools();
        let thinks = self.write_reasoning(max_tokens);
        self.write_sampling(thinks);
        self.write_account();
        if self.exchange.stream {
            self.body.put("stream", true);
        }
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

    fn max_tokens(&mut self) -> u64 {
        self.exchange.max_output.unwrap_or_else(|| {
            self.note(Corner::MaxTokensAbsent);
            output_limit(self.exchange, self.target)
        })
    }

    fn write_system(&mut self) -> Result<(), FieldError> {
        let exchange = self.exchange;
        let mut blocks =
            write_blocks::blocks(&exchange.system, exchange, self.target, self.loss, "system")?;
        match &exchange.format {
            Some(OutputFormat::JsonObject) => {
                self.note(Corner::JsonObject);
                blocks.push(json!({"type": "text", "text": JSON_INSTRUCTION}));
            }
            Some(OutputFormat::JsonSchema { schema, .. })
                if self.target.quirks.no_messages_json_schema =>
            {
                self.note(Corner::JsonSchema);
                blocks.push(json!({"type": "text", "text": schema_instruction(schema)}));
            }
            Some(OutputFormat::JsonSchema { .. }) | None => {}
        }
        if !blocks.is_empty() {
            self.body.put("system", write_blocks::content(blocks));
        }
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
        let mut tools = Vec::new();
        for tool in &exchange.tools {
            let allowed = match (&only, tool.name()) {
                (Some(names), Some(name)) => names.iter().any(|it| it == name),
                _ => true,
            };
            if allowed {
                tools.extend(self.tool(tool));
            }
        }
        if tools.is_empty() && !self.is_same() {
            // The provider refuses calls in the history without tools: stand-ins, not to be called.
            tools = called_names(exchange).into_iter().map(stand_in).collect();
            if !tools.is_empty() {
                choice = Some(ToolChoice::None);
            }
        }
        if tools.is_empty() {
            if matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
                self.note(Corner::ToolChoice);
            }
            return;
        }
        if self.target.quirks.no_messages_tool_choice {
            let forced = !matches!(choice, None | Some(ToolChoice::Auto));
            self.note_if(forced, Corner::ToolChoice);
            self.note_if(exchange.parallel_tools == Some(false), Corner::ParallelTools);
        } else {
            self.write_choice(choice.as_ref(), &tools);
        }
        self.body.put("tools", tools);
    }

    fn tool(&mut self, tool: &Tool) -> Option<Value> {
        let mut object = Object::default();
        match tool {
            Tool::Function { name, description, schema, strict, cache, extras } => {
                object.put("name", name.as_str());
                object.put_some("description", description.clone());
                object.put("input_schema", input_schema(schema.as_ref()));
                if *strict == Some(true) && self.target.quirks.no_strict_tools {
                    self.note(Corner::StrictTools);
                } else {
                    object.put_some("strict", strict.filter(|strict| *strict));
                }
                object.put_some("cache_control", cache.map(cache_control));
                if self.is_same() {
                    for (name, value) in extras {
                        object.put(name, value.clone());
                    }
                } else {
                    self.note_if(!extras.is_empty(), Corner::ToolFields);
                }
            }
            Tool::Custom { name, description, .. } => {
                self.note(Corner::CustomTools);
                object.put("name", name.as_str());
                object.put_some("description", description.clone());
                object.put("input_schema", unwrap_input::schema());
            }
            Tool::Hosted(raw) if self.is_same() => return Some(raw.clone()),
            Tool::Hosted(_) => {
                self.note(Corner::HostedTools);
                return None;
            }
        }
        Some(object.into_value())
    }

    fn write_choice(&mut self, choice: Option<&ToolChoice>, tools: &[Value]) {
        let has = |name: &str| tools.iter().any(|tool| tool["name"] == name);
        let mut value = match choice {
            None if self.exchange.parallel_tools == Some(false) => json!({"type": "auto"}),
            None => return,
            Some(ToolChoice::Auto | ToolChoice::Allowed { .. }) => json!({"type": "auto"}),
            Some(ToolChoice::None) => json!({"type": "none"}),
            Some(ToolChoice::Required) => json!({"type": "any"}),
            Some(ToolChoice::Named(name)) if has(name) => json!({"type": "tool", "name": name}),
            Some(ToolChoice::Named(_)) => return self.note(Corner::ToolChoice),
        };
        if let (Some(parallel), false) = (self.exchange.parallel_tools, value["type"] == "none")
            && (!parallel || self.is_same())
        {
            value["disable_parallel_tool_use"] = (!parallel).into();
        }
        self.body.put("tool_choice", value);
    }

    /// Writes `thinking` and `output_config`; returns whether the model will think.
    fn write_reasoning(&mut self, max_tokens: u64) -> bool {
        let mut config = Object::default();
        let (thinking, effort) = match self.target.quirks.thinking {
            ThinkingForm::Adaptive => self.adaptive(),
            ThinkingForm::Budget => (self.budget(max_tokens), None),
            ThinkingForm::None => {
                if self.exchange.reasoning.is_on() {
                    self.note(Corner::NoReasoning);
                }
                (None, None)
            }
        };
        let thinks = thinking.as_ref().is_some_and(|thinking| thinking["type"] != "disabled");
        self.body.put_some("thinking", thinking);
        config.put_some("effort", effort);
        if let Some(OutputFormat::JsonSchema { schema, description, .. }) = &self.exchange.format
            && !self.target.quirks.no_messages_json_schema
        {
            let mut schema = schema.clone();
            if close_objects(&mut schema) {
                self.note(Corner::OpenSchema);
            }
            if let (Some(text), Value::Object(map)) = (description, &mut schema) {
                map.entry("description").or_insert_with(|| text.as_str().into());
            }
            config.put("format", json!({"type": "json_schema", "schema": schema}));
        }
        if !config.0.is_empty() {
            self.body.put("output_config", config.into_value());
        }
        thinks
    }

    /// Whether the choice of tools rules thinking out.
    fn is_forced(&self) -> bool {
        matches!(
            self.exchange.tool_choice,
            Some(
                ToolChoice::Required
                    | ToolChoice::Named(_)
                    | ToolChoice::Allowed { required: true, .. }
            )
        ) && self.body.0.contains_key("tools")
    }

    /// Whether `thinking` is Anthropic's own: Converse carries it as a field of the model's.
    fn has_own_thinking(&self) -> bool {
        self.is_same() || self.exchange.from == DialectId::BedrockConverse
    }

    fn adaptive(&mut self) -> (Option<Value>, Option<&'static str>) {
        let reasoning = self.exchange.reasoning;
        if self.has_own_thinking() && reasoning.thinking.is_some() || self.is_same() {
            let mode = reasoning.thinking.map(|mode| self.display(mode.to_value()));
            return (mode, reasoning.effort.map(Effort::as_messages_str));
        }
        let effort = match (reasoning.effort, reasoning.thinking) {
            (None, None) => return (None, None),
            (Some(effort), _) => Some(effort),
            (None, Some(ThinkingMode::Off)) => Some(Effort::None),
            (None, Some(ThinkingMode::Budget(tokens))) => {
                self.note(Corner::Budget);
                Some(Effort::from_budget(tokens))
            }
            (None, Some(ThinkingMode::Adaptive | ThinkingMode::Between)) => None,
        };
        if effort == Some(Effort::None) {
            return (Some(json!({"type": "disabled"})), None);
        }
        if effort == Some(Effort::Minimal) {
            self.note(Corner::EffortRange);
        }
        let word = effort.map(Effort::as_messages_str);
        if self.is_forced() {
            self.note(Corner::NoReasoning);
            return (None, word);
        }
        let display = if reasoning.hide_text { "omitted" } else { "summarized" };
        (Some(json!({"type": "adaptive", "display": display})), word)
    }

    fn display(&self, mut thinking: Value) -> Value {
        if self.exchange.reasoning.hide_text {
            thinking["display"] = "omitted".into();
        }
        thinking
    }

    fn budget(&mut self, max_tokens: u64) -> Option<Value> {
        let reasoning = self.exchange.reasoning;
        let wanted = match (reasoning.thinking, reasoning.effort) {
            (Some(ThinkingMode::Budget(tokens)), _) if self.has_own_thinking() => {
                return Some(self.display(ThinkingMode::Budget(tokens).to_value()));
            }
            (Some(ThinkingMode::Budget(tokens)), _) => tokens,
            (Some(ThinkingMode::Off), _) | (None, Some(Effort::None)) => {
                return Some(json!({"type": "disabled"}));
            }
            (None, None) => return None,
            (None, Some(effort)) => {
                self.note(Corner::EffortAsBudget);
                effort.budget()
            }
            (Some(ThinkingMode::Adaptive | ThinkingMode::Between), effort) => {
                self.note(Corner::ThinkingBetween);
                effort.unwrap_or(Effort::Medium).budget()
            }
        };
        if max_tokens <= BUDGET_MIN || self.is_forced() || lacks_thinking(self.exchange) {
            self.note(Corner::NoReasoning);
            return None;
        }
        Some(self.display(ThinkingMode::Budget(wanted.min(max_tokens - 1)).to_value()))
    }

    fn write_sampling(&mut self, thinks: bool) {
        let Sampling { temperature, top_p, top_k, frequency_penalty, presence_penalty, seed } =
            self.exchange.sampling.clone();
        let refused = self.target.quirks.no_sampling
            || refuses_sampling(self.target.anthropic_version)
            || thinks && !self.is_same();
        if refused {
            self.note_if(temperature.is_some(), Corner::Temperature);
            self.note_if(top_p.is_some_and(|top_p| top_p < 1.0 || self.is_same()), Corner::TopP);
            self.note_if(top_k.is_some(), Corner::TopK);
        } else {
            self.write_numbers(temperature, top_p);
            self.body.put_some("top_k", top_k);
        }
        let is_set = |penalty: Option<f64>| penalty.is_some_and(|penalty| penalty.abs() > 0.0);
        self.note_if(is_set(frequency_penalty), Corner::FrequencyPenalty);
        self.note_if(is_set(presence_penalty), Corner::PresencePenalty);
        self.note_if(seed.is_some(), Corner::Seed);
        self.note_if(self.exchange.answers > 1, Corner::ManyAnswers);
        self.note_if(self.exchange.logprobs.is_some(), Corner::Logprobs);
        self.write_stop();
    }

    fn write_numbers(&mut self, temperature: Option<f64>, top_p: Option<f64>) {
        if self.is_same() {
            self.body.put_some("temperature", temperature);
            return self.body.put_some("top_p", top_p);
        }
        self.note_if(temperature.is_some_and(|heat| heat > 1.0), Corner::TemperatureRange);
        self.body.put_some("temperature", temperature.map(|heat| heat.clamp(0.0, 1.0)));
        // Claude models since 4.1 refuse both together; 1 is the default and asks for nothing.
        let top_p = top_p.filter(|top_p| *top_p < 1.0);
        if temperature.is_some() {
            return self.note_if(top_p.is_some(), Corner::TopP);
        }
        self.body.put_some("top_p", top_p);
    }

    fn note_if(&mut self, met: bool, corner: Corner) {
        if met {
            self.note(corner);
        }
    }

    fn write_stop(&mut self) {
        if self.exchange.stop.is_empty() {
            return;
        }
        if self.target.quirks.no_stop {
            return self.note(Corner::Stop);
        }
        let all = &self.exchange.stop;
        let kept: Vec<&str> =
            all.iter().map(String::as_str).filter(|it| !it.trim().is_empty()).collect();
        self.note_if(kept.len() < all.len(), Corner::StopSome);
        if !kept.is_empty() {
            self.body.put("stop_sequences", kept);
        }
    }

    fn write_account(&mut self) {
        if let Some(user) = &self.exchange.user {
            self.body.put("metadata", json!({"user_id": user}));
        }
        match &self.exchange.tier {
            None => {}
            Some(Tier::Auto) => self.body.put("service_tier", "auto"),
            Some(Tier::Standard) => self.body.put("service_tier", "standard_only"),
            Some(Tier::Vendor(word)) if self.is_same() => {
                self.body.put("service_tier", word.as_str());
            }
            Some(Tier::Vendor(_)) => self.note(Corner::Tier),
        }
        if let Some(hint) = self.exchange.auto_cache {
            self.note_if(hint == CacheHint::Long && !self.is_same(), Corner::CacheLifetime);
            self.body.put("cache_control", cache_control(hint));
        }
    }
}

/// The provider wants an object schema, and one at all.
fn input_schema(schema: Option<&Value>) -> Value {
    match schema {
        Some(Value::Object(map)) if map.contains_key("type") => Value::Object(map.clone()),
        Some(Value::Object(map)) => {
            let mut map = map.clone();
            map.insert("type".to_owned(), "object".into());
            Value::Object(map)
        }
        _ => json!({"type": "object", "properties": {}}),
    }
}

fn stand_in(name: &str) -> Value {
    json!({"name": name, "input_schema": {"type": "object"}})
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

/// Whether the turn that goes on called tools without the reasoning that led to it: models with a thinking budget
/// refuse that.
fn lacks_thinking(exchange: &Exchange) -> bool {
    let last = exchange.messages.iter().rev().find(|it| it.speaker == Speaker::Assistant);
    let ends_in_results = exchange.messages.last().is_some_and(|message| {
        message.parts.iter().any(|part| matches!(part.kind, PartKind::ToolResult(_)))
    });
    let signed = |kind: &PartKind| match kind {
        PartKind::Thinking(Thinking { signature: Some(opaque), .. })
        | PartKind::Redacted(opaque) => !is_foreign(opaque),
        _ => false,
    };
    ends_in_results
        && last.is_some_and(|message| !message.parts.iter().any(|part| signed(&part.kind)))
}
