//! The exchange as a request to a Gemini provider (protocols A5). The model and the wish to stream are in the path.

use domain::{DialectId, LossReport};
use serde_json::{Value, json};

use super::write_parts;
use crate::exchange::{
    Exchange, OutputFormat, ThinkingMode, Tier, Tool, ToolChoice, schema_instruction,
};
use crate::json::Object;
use crate::loss::{self, Corner};
use crate::quirks::ThinkingForm;
use crate::reasoning::Effort;
use crate::unwrap_input;
use crate::wire::{FieldError, Target, UpstreamRequest};

/// Most stop sequences that the provider takes.
const STOP_MAX: usize = 5;
/// The largest thinking budget that every model with budgets takes.
const BUDGET_MAX: u64 = 24_576;

pub(super) fn write(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<UpstreamRequest, FieldError> {
    let (body, config) = (Object::default(), Object::default());
    let mut writer = Writer { exchange, target, loss, body, config };
    writer.write()?;
    let cut_at = exchange.stops_if(target.quirks.no_stop);
    Ok(UpstreamRequest { body: writer.body.into_bytes(), headers: Vec::new(), cut_at })
}

struct Writer<'a, 'l> {
    exchange: &'a Exchange,
    target: &'a Target<'a>,
    loss: &'l mut LossReport,
    body: Object,
    /// `generationConfig`.
    config: Object,
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
        self.exchange.from == DialectId::Gemini
    }

    fn write(&mut self) -> Result<(), FieldError> {
        let contents = write_parts::contents(self.exchange, self.target, self.loss)?;
        if contents.is_empty() {
            return Err(FieldError::new(
                "messages",
                "this provider needs a message with content beside the system prompt",
            ));
        }
        self.body.put("contents", contents);
        let mut system = write_parts::system(self.exchange, self.target, self.loss)?;
        system.extend(self.write_format());
        if !system.is_empty() {
            self.body.put("systemInstruction", json!({"parts": system}));
        }
        self.write_tools();
        self.write_limits()?;
        self.write_sampling();
        self.write_reasoning();
        self.write_account();
        self.write_extras();
        if !self.config.0.is_empty() {
            let config = std::mem::take(&mut self.config);
            self.body.put("generationConfig", config.into_value());
        }
        Ok(())
    }

    /// Writes the format; returns an instruction where the host can't be told so.
    fn write_format(&mut self) -> Option<Value> {
        let format = self.exchange.format.as_ref()?;
        let apart =
            self.target.quirks.tools_exclude_response_format && !self.exchange.tools.is_empty();
        let corner = match format {
            OutputFormat::JsonObject => Corner::JsonObject,
            OutputFormat::JsonSchema { .. } => Corner::JsonSchema,
        };
        if apart {
            self.note(corner);
            let text = match format {
                OutputFormat::JsonObject => {
                    "Answer with one JSON object and nothing else.".to_owned()
                }
                OutputFormat::JsonSchema { schema, .. } => schema_instruction(schema),
            };
            return Some(json!({"text": text}));
        }
        self.config.put("responseMimeType", "application/json");
        if let OutputFormat::JsonSchema { schema, description, .. } = format {
            let mut schema = schema.clone();
            if let (Some(text), Value::Object(map)) = (description, &mut schema) {
                map.entry("description").or_insert_with(|| text.as_str().into());
            }
            self.config.put("responseJsonSchema", schema);
        }
        None
    }

    fn write_tools(&mut self) {
        let mut functions = Vec::new();
        let mut tools = Vec::new();
        for tool in &self.exchange.tools {
            match tool {
                Tool::Hosted(raw) if self.is_same() => tools.push(raw.clone()),
                Tool::Hosted(_) => self.note(Corner::HostedTools),
                _ => functions.extend(self.function(tool)),
            }
        }
        let names: Vec<&str> = self.exchange.tools.iter().filter_map(Tool::name).collect();
        let has_functions = !functions.is_empty();
        if has_functions {
            tools.insert(0, json!({"functionDeclarations": functions}));
        }
        if !tools.is_empty() {
            self.body.put("tools", tools);
        }
        self.note_if(
            self.exchange.parallel_tools == Some(false) && has_functions,
            Corner::ParallelTools,
        );
        let choice = self.choice(has_functions, &names);
        let mut config = Object::default();
        config.put_some("functionCallingConfig", choice);
        if let (Some(value), true) =
            (self.exchange.extras.get("toolConfig.retrievalConfig"), self.is_same())
        {
            config.put("retrievalConfig", value.clone());
        }
        if !config.0.is_empty() {
            self.body.put("toolConfig", config.into_value());
        }
    }

    fn function(&mut self, tool: &Tool) -> Option<Value> {
        let mut out = Object::default();
        match tool {
            Tool::Function { name, description, schema, cache, extras, .. } => {
                self.note_if(cache.is_some(), Corner::CacheBreakpoints);
                out.put("name", name.as_str());
                out.put_some("description", description.clone());
                out.put_some("parametersJsonSchema", schema.clone());
                if self.is_same() {
                    for (name, value) in extras {
                        out.put(name, value.clone());
                    }
                } else {
                    self.note_if(!extras.is_empty(), Corner::ToolFields);
                }
            }
            Tool::Custom { name, description, .. } => {
                self.note(Corner::CustomTools);
                out.put("name", name.as_str());
                out.put_some("description", description.clone());
                out.put("parametersJsonSchema", unwrap_input::schema());
            }
            Tool::Hosted(_) => return None,
        }
        Some(out.into_value())
    }

    /// Whether calls are to be held to their schemas: that can be said of all functions only.
    fn is_strict(&mut self) -> bool {
        let functions = self.exchange.tools.iter().filter_map(|tool| match tool {
            Tool::Function { strict, .. } => Some(*strict == Some(true)),
            Tool::Custom { .. } | Tool::Hosted(_) => None,
        });
        let (strict, loose): (Vec<bool>, Vec<bool>) = functions.partition(|strict| *strict);
        self.note_if(!strict.is_empty() && !loose.is_empty(), Corner::StrictTools);
        !strict.is_empty() && loose.is_empty()
    }

    fn choice(&mut self, has_functions: bool, names: &[&str]) -> Option<Value> {
        let choice = self.exchange.tool_choice.as_ref();
        let strict = self.is_strict();
        if !has_functions {
            let forced = !matches!(choice, None | Some(ToolChoice::Auto | ToolChoice::None));
            self.note_if(forced, Corner::ToolChoice);
            return None;
        }
        Some(match choice {
            // Held to the schemas, as every forced call is.
            None | Some(ToolChoice::Auto) if strict => json!({"mode": "VALIDATED"}),
            None => return None,
            Some(ToolChoice::Auto) => json!({"mode": "AUTO"}),
            Some(ToolChoice::None) => json!({"mode": "NONE"}),
            Some(ToolChoice::Required) => json!({"mode": "ANY"}),
            Some(ToolChoice::Named(name)) if names.contains(&name.as_str()) => {
                json!({"mode": "ANY", "allowedFunctionNames": [name]})
            }
            Some(ToolChoice::Named(_)) => {
                self.note(Corner::ToolChoice);
                return None;
            }
            Some(ToolChoice::Allowed { names: only, required }) => {
                let mode = if *required { "ANY" } else { "VALIDATED" };
                json!({"mode": mode, "allowedFunctionNames": only})
            }
        })
    }

    fn write_limits(&mut self) -> Result<(), FieldError> {
        if self.exchange.max_output == Some(0) && !self.is_same() {
            let why = "0 warms a cache at its own vendor only: this provider would refuse it";
            return Err(FieldError::new("max_tokens", why));
        }
        self.config.put_some("maxOutputTokens", self.exchange.max_output);
        if self.exchange.answers > 1 {
            if self.target.quirks.single_answer {
                self.note(Corner::ManyAnswers);
            } else {
                self.config.put("candidateCount", self.exchange.answers);
            }
        }
        let all = &self.exchange.stop;
        if all.is_empty() {
            return Ok(());
        }
        if self.target.quirks.no_stop {
            self.note(Corner::Stop);
            return Ok(());
        }
        let kept: Vec<&str> =
            all.iter().map(String::as_str).filter(|it| !it.is_empty()).take(STOP_MAX).collect();
        self.note_if(kept.len() < all.len(), Corner::StopSome);
        if !kept.is_empty() {
            self.config.put("stopSequences", kept);
        }
        Ok(())
    }

    fn write_sampling(&mut self) {
        let sampling = self.exchange.sampling.clone();
        let quirks = self.target.quirks;
        let penalties = !quirks.no_sampling && !quirks.no_penalties;
        let numbers = [
            ("temperature", sampling.temperature, Corner::Temperature, !quirks.no_sampling),
            ("topP", sampling.top_p, Corner::TopP, !quirks.no_sampling),
            ("presencePenalty", sampling.presence_penalty, Corner::PresencePenalty, penalties),
            ("frequencyPenalty", sampling.frequency_penalty, Corner::FrequencyPenalty, penalties),
        ];
        for (name, value, corner, taken) in numbers {
            // A penalty of nothing asks for nothing, and some models refuse any.
            let is_penalty = name.ends_with("Penalty");
            let value = value.filter(|it| self.is_same() || !is_penalty || it.abs() > 0.0);
            if taken {
                self.config.put_some(name, value);
            } else {
                self.note_if(value.is_some(), corner);
            }
        }
        if quirks.no_sampling {
            self.note_if(sampling.top_k.is_some(), Corner::TopK);
        } else {
            self.config.put_some("topK", sampling.top_k);
        }
        // The provider's seeds have 31 bits; which one it is does not matter, only that it is the same again.
        let seed =
            sampling.seed.map(|seed| i32::try_from(seed).map_or(seed & 0x7fff_ffff, i64::from));
        self.config.put_some("seed", seed);
        if let Some(top) = self.exchange.logprobs {
            if quirks.no_logprobs {
                return self.note(Corner::Logprobs);
            }
            self.config.put("responseLogprobs", true);
            self.config.put_some("logprobs", top);
        }
    }

    fn write_reasoning(&mut self) {
        let reasoning = self.exchange.reasoning;
        let mut thinking = match self.target.quirks.thinking {
            ThinkingForm::None => {
                return self.note_if(reasoning.is_on(), Corner::NoReasoning);
            }
            ThinkingForm::Adaptive | ThinkingForm::Budget if self.is_same() => self.verbatim(),
            ThinkingForm::Adaptive => self.level(),
            ThinkingForm::Budget => self.budget(),
        };
        // Thoughts are shown only where they are asked for.
        if reasoning.is_on() && !reasoning.hide_text {
            thinking.put("includeThoughts", true);
        }
        if !thinking.0.is_empty() {
            self.config.put("thinkingConfig", thinking.into_value());
        }
    }

    fn verbatim(&self) -> Object {
        let reasoning = self.exchange.reasoning;
        let mut out = Object::default();
        let effort = reasoning.effort.map(|effort| effort.as_str().to_ascii_uppercase());
        out.put_some("thinkingLevel", effort);
        match reasoning.thinking {
            Some(ThinkingMode::Off) => out.put("thinkingBudget", 0),
            Some(ThinkingMode::Budget(tokens)) => out.put("thinkingBudget", tokens),
            // It is the default too: saying so is needed only where nothing else is said.
            Some(ThinkingMode::Adaptive) if reasoning.effort.is_none() && reasoning.hide_text => {
                out.put("thinkingBudget", -1);
            }
            _ => {}
        }
        out
    }

    /// Models of the third generation: a level, and no way to switch thinking off. Not every model has the outermost
    /// levels, so they are not asked for.
    fn level(&mut self) -> Object {
        let reasoning = self.exchange.reasoning;
        let effort = match (reasoning.effort, reasoning.thinking) {
            (_, Some(ThinkingMode::Off)) => Some(Effort::None),
            (Some(effort), _) => Some(effort),
            (None, Some(ThinkingMode::Budget(tokens))) => {
                self.note(Corner::Budget);
                Some(Effort::from_budget(tokens))
            }
            (None, mode) => {
                self.note_if(mode == Some(ThinkingMode::Between), Corner::ThinkingBetween);
                None
            }
        };
        let level = effort.map(|effort| match effort {
            Effort::None | Effort::Minimal => {
                self.note(Corner::EffortRange);
                "LOW"
            }
            Effort::Low => "LOW",
            Effort::Medium => "MEDIUM",
            Effort::High => "HIGH",
            Effort::Xhigh | Effort::Max => {
                self.note(Corner::EffortCeiling);
                "HIGH"
            }
        });
        let mut out = Object::default();
        out.put_some("thinkingLevel", level);
        out
    }

    /// Models before: a budget in tokens.
    fn budget(&mut self) -> Object {
        let reasoning = self.exchange.reasoning;
        let budget: Option<i64> = match (reasoning.thinking, reasoning.effort) {
            (Some(ThinkingMode::Off), _) | (None, Some(Effort::None)) => Some(0),
            (Some(ThinkingMode::Budget(tokens)), _) => Some(self.at_most(tokens)),
            (None, None) => None,
            (_, Some(effort)) => {
                self.note(Corner::EffortAsBudget);
                Some(self.at_most(effort.budget()))
            }
            (Some(mode), None) => {
                self.note_if(mode == ThinkingMode::Between, Corner::ThinkingBetween);
                Some(-1)
            }
        };
        let mut out = Object::default();
        out.put_some("thinkingBudget", budget);
        out
    }

    fn at_most(&mut self, tokens: u64) -> i64 {
        self.note_if(tokens > BUDGET_MAX, Corner::EffortCeiling);
        i64::try_from(tokens.min(BUDGET_MAX)).unwrap_or(i64::MAX)
    }

    fn write_account(&mut self) {
        self.note_if(self.exchange.user.is_some(), Corner::User);
        match &self.exchange.tier {
            None | Some(Tier::Auto) => {}
            Some(Tier::Standard) => self.body.put("serviceTier", "standard"),
            Some(Tier::Vendor(word)) if self.is_same() || word == "flex" || word == "priority" => {
                self.body.put("serviceTier", word.as_str());
            }
            Some(Tier::Vendor(_)) => self.note(Corner::Tier),
        }
        self.note_if(self.exchange.auto_cache.is_some(), Corner::CacheBreakpoints);
    }

    fn write_extras(&mut self) {
        if !self.is_same() {
            return loss::note_extras(self.loss, self.exchange);
        }
        for (name, value) in &self.exchange.extras {
            match name.split_once('.') {
                Some(("generationConfig", name)) => self.config.put(name, value.clone()),
                // Written with the tools.
                Some(_) => {}
                None => self.body.put(name, value.clone()),
            }
        }
        loss::note_unknown(self.loss, self.exchange);
    }
}
