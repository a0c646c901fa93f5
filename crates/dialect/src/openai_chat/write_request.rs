//! The exchange as a chat completion request.

use domain::LossReport;
use serde_json::{Value, json};

use super::strict_schema;
use super::write_messages::{self, has_hints};
use crate::exchange::{
    CacheHint, Exchange, OutputFormat, ThinkingMode, Tier, Tool, ToolChoice, schema_instruction,
};
use crate::inline_refs::{Inlined, inlined};
use crate::json::Object;
use crate::loss::{self, Corner};
use crate::openai;
use crate::quirks::EffortForm;
use crate::reasoning::Effort;
use crate::unwrap_input;
use crate::wire::{FieldError, Target, UpstreamRequest};
use domain::DialectId;

/// Most stop sequences that OpenAI takes.
const STOP_MAX: usize = 4;

/// Top-level fields that compatible hosts which refuse unknown fields don't know.
const OPENAI_ONLY: [&str; 8] = [
    "metadata",
    "store",
    "prediction",
    "moderation",
    "verbosity",
    "web_search_options",
    "prompt_cache_key",
    "prompt_cache_options",
];

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
    let cut_at = exchange.stops_if(writer.takes_no_stop());
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

    fn is_same(&self) -> bool {
        self.exchange.from == DialectId::OpenaiChat
    }

    fn write(&mut self) -> Result<(), FieldError> {
        self.body.put("model", self.target.model);
        let mut messages = write_messages::write(self.exchange, self.target, self.loss)?;
        if messages.is_empty() {
            return Err(FieldError::new("messages", "no message has any content"));
        }
        if let Some(instruction) = self.write_format() {
            add_instruction(&mut messages, &instruction);
        }
        self.body.put("messages", messages);
        self.write_tools();
        self.write_limits()?;
        self.write_sampling();
        self.write_reasoning();
        self.write_account();
        self.write_cache();
        self.write_extras();
        if self.exchange.stream {
            self.body.put("stream", true);
            let ask = self.exchange.include_usage || self.target.ask_usage;
            if ask && !self.target.quirks.no_stream_options {
                self.body.put("stream_options", json!({"include_usage": true}));
            }
        }
        Ok(())
    }

    /// Writes the format; returns an instruction where the host can't be told so.
    fn write_format(&mut self) -> Option<String> {
        let quirks = self.target.quirks;
        let apart = quirks.tools_exclude_response_format && !self.exchange.tools.is_empty()
            || quirks.stream_excludes_response_format && self.exchange.stream;
        match self.exchange.format.as_ref()? {
            OutputFormat::JsonObject if apart => {
                self.note(Corner::JsonObject);
                Some("Answer with one JSON object and nothing else.".to_owned())
            }
            OutputFormat::JsonObject => {
                self.body.put("response_format", json!({"type": "json_object"}));
                // OpenAI refuses the mode where nobody speaks of JSON.
                let unsaid = !self.is_same() && !self.exchange.says("json");
                unsaid.then(|| {
                    self.note(Corner::JsonObject);
                    "Answer with one JSON object and nothing else.".to_owned()
                })
            }
            OutputFormat::JsonSchema { schema, .. }
                if apart || quirks.no_json_schema || self.is_recursive(schema) =>
            {
                self.note(Corner::JsonSchema);
                if !apart {
                    self.body.put("response_format", json!({"type": "json_object"}));
                }
                Some(schema_instruction(schema))
            }
            OutputFormat::JsonSchema { schema, .. } if quirks.json_object_schema => {
                let schema = self.schema(schema);
                self.body.put("response_format", json!({"type": "json_object", "schema": schema}));
                None
            }
            OutputFormat::JsonSchema { name, description, schema, strict } => {
                let mut inner = Object::default();
                inner.put("name", name.as_deref().unwrap_or("response"));
                inner.put_some("description", description.clone());
                inner.put("schema", self.schema(schema));
                inner.put_some("strict", self.strict(*strict, Some(schema), Corner::StrictFormat));
                let format = json!({"type": "json_schema", "json_schema": inner.into_value()});
                self.body.put("response_format", format);
                None
            }
        }
    }

    /// Whether the host would be given a schema in part only, because it knows no references.
    fn is_recursive(&self, schema: &Value) -> bool {
        self.target.quirks.no_schema_ref && matches!(inlined(schema), Inlined::Opened(_))
    }

    /// The schema in the form that the host takes.
    fn schema(&mut self, schema: &Value) -> Value {
        if !self.target.quirks.no_schema_ref {
            return schema.clone();
        }
        match inlined(schema) {
            Inlined::Whole(schema) => schema,
            Inlined::Opened(schema) => {
                self.note(Corner::StrictTools);
                schema
            }
        }
    }

    fn write_tools(&mut self) {
        let mut choice = self.exchange.tool_choice.clone();
        let mut only: Option<Vec<String>> = None;
        if let (Some(ToolChoice::Allowed { names, required }), true) =
            (&choice, self.target.quirks.no_allowed_tools)
        {
            only = Some(names.clone());
            choice = Some(if *required { ToolChoice::Required } else { ToolChoice::Auto });
            self.note(Corner::AllowedTools);
        }
        let allowed = |tool: &Tool| match (&only, tool.name()) {
            (Some(names), Some(name)) => names.iter().any(|it| it == name),
            _ => true,
        };
        let tools: Vec<&Tool> = self.exchange.tools.iter().filter(|tool| allowed(tool)).collect();
        let tools: Vec<Value> = tools.into_iter().filter_map(|tool| self.tool(tool)).collect();
        let none_left = tools.is_empty();
        if !none_left {
            self.body.put("tools", tools);
        }
        self.write_choice(choice.as_ref(), none_left);
        self.write_parallel(none_left);
    }

    fn tool(&mut self, tool: &Tool) -> Option<Value> {
        match tool {
            Tool::Function { name, description, schema, strict, extras, .. } => {
                if !extras.is_empty() {
                    self.note(Corner::ToolFields);
                }
                let mut function = Object::default();
                function.put("name", name.as_str());
                function.put_some("description", description.clone());
                function.put_some("parameters", schema.as_ref().map(|it| self.schema(it)));
                if !self.target.quirks.no_strict_tools {
                    let strict = self.strict(*strict, schema.as_ref(), Corner::StrictSubset);
                    function.put_some("strict", strict);
                } else if *strict == Some(true) {
                    self.note(Corner::StrictTools);
                }
                Some(json!({"type": "function", "function": function.into_value()}))
            }
            Tool::Custom { name, description, .. } if self.target.quirks.no_custom_tools => {
                self.note(Corner::CustomTools);
                let mut function = Object::default();
                function.put("name", name.as_str());
                function.put_some("description", description.clone());
                function.put("parameters", unwrap_input::schema());
                Some(json!({"type": "function", "function": function.into_value()}))
            }
            Tool::Custom { name, description, format } => {
                let mut custom = Object::default();
                custom.put("name", name.as_str());
                custom.put_some("description", description.clone());
                custom.put_some("format", format.clone());
                Some(json!({"type": "custom", "custom": custom.into_value()}))
            }
            Tool::Hosted(raw) if self.is_same() => Some(raw.clone()),
            Tool::Hosted(_) => {
                self.note(Corner::HostedTools);
                None
            }
        }
    }

    /// `strict` as asked, but not for a schema with which the provider would refuse the request.
    fn strict(
        &mut self,
        asked: Option<bool>,
        schema: Option<&Value>,
        corner: Corner,
    ) -> Option<bool> {
        if asked == Some(true) && !self.is_same() && !schema.is_some_and(strict_schema::fits) {
            self.note(corner);
            return None;
        }
        asked
    }

    fn named(&self, name: &str) -> Value {
        if self.exchange.is_custom_tool(name) && !self.target.quirks.no_custom_tools {
            json!({"type": "custom", "custom": {"name": name}})
        } else {
            json!({"type": "function", "function": {"name": name}})
        }
    }

    fn write_choice(&mut self, choice: Option<&ToolChoice>, none_left: bool) {
        let Some(choice) = choice else { return };
        if none_left {
            // Providers refuse a choice without tools; `auto` and `none` then say nothing.
            if !matches!(choice, ToolChoice::Auto | ToolChoice::None) {
                self.note(Corner::ToolChoice);
            }
            return;
        }
        let value = match choice {
            ToolChoice::Auto => json!("auto"),
            ToolChoice::None => json!("none"),
            ToolChoice::Required if self.target.quirks.tool_choice_any => json!("any"),
            ToolChoice::Required => json!("required"),
            ToolChoice::Named(name) if self.is_sent(name) => self.named(name),
            ToolChoice::Named(_) => return self.note(Corner::ToolChoice),
            ToolChoice::Allowed { names, required } => {
                let tools: Vec<Value> = names.iter().map(|name| self.named(name)).collect();
                let mode = if *required { "required" } else { "auto" };
                json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
            }
        };
        self.body.put("tool_choice", value);
    }

    fn is_sent(&self, name: &str) -> bool {
        self.exchange.tools.iter().any(|tool| {
            tool.name() == Some(name) && (self.is_same() || !matches!(tool, Tool::Hosted(_)))
        })
    }

    fn write_parallel(&mut self, none_left: bool) {
        match self.exchange.parallel_tools {
            Some(parallel) if !none_left => {
                if !self.target.quirks.no_parallel_tool_calls {
                    self.body.put("parallel_tool_calls", parallel);
                } else if !parallel {
                    self.note(Corner::ParallelTools);
                }
            }
            _ => {}
        }
    }

    fn write_limits(&mut self) -> Result<(), FieldError> {
        if self.exchange.max_output == Some(0) && !self.is_same() {
            let why = "0 warms a cache at its own vendor only: this provider would refuse it";
            return Err(FieldError::new("max_tokens", why));
        }
        let name = if self.target.quirks.max_completion_tokens {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        self.body.put_some(name, self.exchange.max_output);
        self.write_stop();
        Ok(())
    }

    fn write_stop(&mut self) {
        if self.exchange.stop.is_empty() {
            return;
        }
        if self.takes_no_stop() {
            return self.note(Corner::Stop);
        }
        if self.exchange.stop.len() > STOP_MAX && !self.is_same() {
            self.note(Corner::StopSome);
            return self.body.put("stop", &self.exchange.stop[..STOP_MAX]);
        }
        self.body.put("stop", self.exchange.stop.as_slice());
    }

    fn write_sampling(&mut self) {
        let sampling = self.exchange.sampling.clone();
        let quirks = self.target.quirks;
        let penalties = !quirks.no_sampling && !quirks.no_penalties && !self.reasons_only();
        let numbers = [
            ("temperature", sampling.temperature, Corner::Temperature, !quirks.no_sampling),
            ("top_p", sampling.top_p, Corner::TopP, !quirks.no_sampling),
            ("frequency_penalty", sampling.frequency_penalty, Corner::FrequencyPenalty, penalties),
            ("presence_penalty", sampling.presence_penalty, Corner::PresencePenalty, penalties),
        ];
        for (name, value, corner, taken) in numbers {
            self.put_or_note(name, value, corner, taken);
        }
        let takes_top_k = (self.is_same() || quirks.top_k) && !quirks.no_sampling;
        self.put_or_note("top_k", sampling.top_k, Corner::TopK, takes_top_k);
        let seed = if quirks.random_seed { "random_seed" } else { "seed" };
        self.body.put_some(seed, sampling.seed);
        if self.exchange.answers > 1 {
            let answers = Some(u64::from(self.exchange.answers));
            self.put_or_note("n", answers, Corner::ManyAnswers, !quirks.single_answer);
        }
        if let Some(top) = self.exchange.logprobs {
            if quirks.no_logprobs {
                return self.note(Corner::Logprobs);
            }
            self.body.put("logprobs", true);
            self.body.put_some("top_logprobs", top);
        }
    }

    /// Whether the answer must be cut at stop sequences that the host is not told of.
    fn takes_no_stop(&self) -> bool {
        self.target.quirks.no_stop || self.reasons_only()
    }

    /// Whether reasoning is on at a host that then refuses stop sequences and penalties.
    fn reasons_only(&self) -> bool {
        self.target.quirks.reasoning_refuses_stop && self.exchange.reasoning.is_on()
    }

    fn put_or_note<T: Into<Value>>(
        &mut self,
        name: &str,
        value: Option<T>,
        corner: Corner,
        taken: bool,
    ) {
        if taken {
            self.body.put_some(name, value);
        } else if value.is_some() {
            self.note(corner);
        }
    }

    fn write_reasoning(&mut self) {
        let reasoning = self.exchange.reasoning;
        match self.target.quirks.effort {
            EffortForm::None => {
                if reasoning.is_on() {
                    self.note(Corner::NoReasoning);
                }
            }
            EffortForm::Switch => self.write_switch(),
            EffortForm::Effort => {
                let effort = match (reasoning.effort, reasoning.thinking) {
                    (_, Some(ThinkingMode::Off | ThinkingMode::Between)) => {
                        self.note(Corner::ThinkingBetween);
                        None
                    }
                    (Some(effort), budget) => {
                        if matches!(budget, Some(ThinkingMode::Budget(_))) {
                            self.note(Corner::Budget);
                        }
                        Some(effort)
                    }
                    (None, Some(ThinkingMode::Budget(tokens))) => {
                        self.note(Corner::Budget);
                        Some(Effort::from_budget(tokens))
                    }
                    (None, Some(ThinkingMode::Adaptive) | None) => None,
                };
                self.body.put_some("reasoning_effort", effort.map(Effort::as_str));
            }
        }
    }

    fn write_switch(&mut self) {
        let reasoning = self.exchange.reasoning;
        if reasoning == crate::exchange::Reasoning::default() {
            return;
        }
        let word = if reasoning.is_on() { "enabled" } else { "disabled" };
        if matches!(reasoning.effort, Some(effort) if effort != Effort::None) {
            self.note(Corner::EffortAsSwitch);
        } else if matches!(reasoning.thinking, Some(ThinkingMode::Budget(_))) {
            self.note(Corner::Budget);
        }
        self.body.put("thinking", json!({"type": word}));
    }

    fn write_account(&mut self) {
        let foreign_host = self.target.quirks.no_openai_fields;
        let user = self.exchange.user.clone();
        self.put_or_note("safety_identifier", user, Corner::User, !foreign_host);
        let word = match &self.exchange.tier {
            None => None,
            Some(Tier::Auto) => (!foreign_host).then(|| "auto".to_owned()),
            Some(Tier::Standard) if !foreign_host => Some("default".to_owned()),
            Some(Tier::Vendor(word)) if openai::speaks(self.exchange.from) && !foreign_host => {
                Some(word.clone())
            }
            Some(_) => return self.note(Corner::Tier),
        };
        self.body.put_some("service_tier", word);
    }

    fn write_cache(&mut self) {
        let exchange = self.exchange;
        let hints = has_hints(exchange);
        let on_tools =
            exchange.tools.iter().any(|it| matches!(it, Tool::Function { cache: Some(_), .. }));
        if !hints && !on_tools && exchange.auto_cache.is_none() {
            return;
        }
        if !self.target.quirks.cache_breakpoints {
            // Asking for what happens anyway is no loss.
            if hints || on_tools || !self.is_same() {
                self.note(Corner::CacheBreakpoints);
            }
            return;
        }
        if on_tools {
            self.note(Corner::CacheBreakpoints);
        }
        if !openai::speaks(exchange.from) {
            let mode = if exchange.auto_cache.is_some() { "implicit" } else { "explicit" };
            let mut options = json!({"mode": mode});
            if exchange.auto_cache == Some(CacheHint::Long) {
                self.note(Corner::CacheLifetime);
                options["ttl"] = "12h".into();
            }
            self.body.put("prompt_cache_options", options);
        }
    }

    /// Carries what OpenAI's other dialect has too; returns its fields.
    fn write_shared(&mut self) -> Vec<&'static str> {
        let exchange = self.exchange;
        let mut carried = Vec::new();
        if exchange.from != DialectId::OpenaiResponses || self.target.quirks.no_openai_fields {
            return carried;
        }
        let renamed = [("text.verbosity", "verbosity")];
        for (from, to) in openai::SHARED.map(|name| (name, name)).into_iter().chain(renamed) {
            let refused = to == "prompt_cache_options" && !self.target.quirks.cache_breakpoints;
            if let (Some(value), false) = (exchange.extras.get(from), refused) {
                self.body.put(to, value.clone());
                carried.push(from);
            }
        }
        carried
    }

    fn write_extras(&mut self) {
        let exchange = self.exchange;
        if !self.is_same() {
            let carried = self.write_shared();
            return loss::note_other_extras(self.loss, exchange, &carried);
        }
        for (name, value) in &exchange.extras {
            let refused = self.target.quirks.no_openai_fields && OPENAI_ONLY.contains(name)
                || self.target.quirks.no_logit_bias && *name == "logit_bias"
                || !self.target.quirks.cache_breakpoints && *name == "prompt_cache_options";
            if refused {
                loss::note_extra(self.loss, name, value);
            } else if !self.body.0.contains_key(*name) {
                self.body.put(name, value.clone());
            }
        }
        loss::note_unknown(self.loss, exchange);
    }
}

/// Adds to the system prompt: many chat templates take no second one.
fn add_instruction(messages: &mut Vec<Value>, instruction: &str) {
    let first =
        messages.first_mut().filter(|it| it["role"] == "system" || it["role"] == "developer");
    match first.map(|first| &mut first["content"]) {
        Some(Value::String(text)) => {
            text.push_str("\n\n");
            text.push_str(instruction);
        }
        Some(Value::Array(parts)) => parts.push(json!({"type": "text", "text": instruction})),
        _ => messages.insert(0, json!({"role": "system", "content": instruction})),
    }
}
