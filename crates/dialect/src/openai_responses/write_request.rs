//! The exchange as a Responses request.

use domain::LossReport;
use serde_json::{Value, json};

use super::read_request::{INCLUDE_LOGPROBS, flat_format};
use super::write_items;
use crate::exchange::{
    CacheHint, Exchange, OutputFormat, PartKind, ThinkingMode, Tier, Tool, ToolChoice,
    schema_instruction,
};
use crate::json::Object;
use crate::loss::{self, Corner};
use crate::openai;
use crate::openai_chat::strict_schema;
use crate::quirks::EffortForm;
use crate::reasoning::Effort;
use crate::unwrap_input;
use crate::wire::{FieldError, Target, UpstreamRequest};
use domain::DialectId;

/// Asks for reasoning in a form that can be sent back.
pub(super) const INCLUDE_ENCRYPTED: &str = "reasoning.encrypted_content";

/// Fields that hosts which refuse unknown fields don't know.
const OPENAI_ONLY: [&str; 9] = [
    "access_programs",
    "background_options",
    "client_metadata",
    "image",
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
];

pub(super) fn write(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<UpstreamRequest, FieldError> {
    let mut writer = Writer { exchange, target, loss, body: Object::default() };
    writer.write()?;
    let cut_at = exchange.stops_if(true);
    Ok(UpstreamRequest { body: writer.body.into_bytes(), headers: Vec::new(), cut_at })
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
        self.exchange.from == DialectId::OpenaiResponses
    }

    fn write(&mut self) -> Result<(), FieldError> {
        self.body.put("model", self.target.model);
        let instruction = self.write_text();
        let (instructions, mut items) =
            write_items::write(self.exchange, self.target, self.loss, instruction)?;
        if items.is_empty() {
            return Err(FieldError::new("input", "no message has any content"));
        }
        let bare = self.exchange.format == Some(OutputFormat::JsonObject);
        if bare && !self.is_same() && !self.exchange.says("json") {
            // OpenAI refuses the mode where no message of the input speaks of JSON.
            self.note(Corner::JsonObject);
            let text = "Answer with one JSON object and nothing else.";
            items.insert(0, json!({"type": "message", "role": "system", "content": text}));
        }
        self.body.put_some("instructions", instructions);
        self.body.put("input", items);
        self.write_tools();
        self.write_limits()?;
        self.write_sampling();
        self.write_reasoning();
        self.write_include();
        self.write_account();
        self.write_cache();
        self.write_extras();
        if self.exchange.stream {
            self.body.put("stream", true);
        }
        Ok(())
    }

    /// Writes the format; returns an instruction where the host can't be told so.
    fn write_text(&mut self) -> Option<String> {
        let mut text = Object::default();
        let mut instruction = None;
        let alone = self.exchange.tools.is_empty();
        let apart = self.target.quirks.tools_exclude_response_format && !alone;
        match &self.exchange.format {
            None => {}
            Some(OutputFormat::JsonObject) if apart => {
                self.note(Corner::JsonObject);
                instruction = Some("Answer with one JSON object and nothing else.".to_owned());
            }
            Some(OutputFormat::JsonObject) => text.put("format", json!({"type": "json_object"})),
            Some(OutputFormat::JsonSchema { schema, .. })
                if apart || self.target.quirks.no_json_schema =>
            {
                self.note(Corner::JsonSchema);
                if !apart {
                    text.put("format", json!({"type": "json_object"}));
                }
                instruction = Some(schema_instruction(schema));
            }
            Some(OutputFormat::JsonSchema { name, description, schema, strict }) => {
                let mut format = Object::default();
                format.put("type", "json_schema");
                format.put("name", name.as_deref().unwrap_or("response"));
                format.put_some("description", description.clone());
                format.put("schema", schema.clone());
                format.put_some("strict", self.strict(*strict, Some(schema), Corner::StrictFormat));
                text.put("format", format.into_value());
            }
        }
        let verbosity = match self.exchange.from {
            DialectId::OpenaiResponses => "text.verbosity",
            _ => "verbosity",
        };
        if !self.target.quirks.no_openai_fields || self.is_same() {
            text.put_some("verbosity", self.exchange.extras.get(verbosity).cloned());
        }
        if !text.0.is_empty() {
            self.body.put("text", text.into_value());
        }
        instruction
    }

    fn write_tools(&mut self) {
        let exchange = self.exchange;
        let mut choice = exchange.tool_choice.clone();
        let mut only: Option<Vec<String>> = None;
        if let (Some(ToolChoice::Allowed { names, required }), true) =
            (&choice, self.target.quirks.no_allowed_tools)
        {
            only = Some(names.clone());
            choice = Some(if *required { ToolChoice::Required } else { ToolChoice::Auto });
            self.note(Corner::AllowedTools);
        }
        let allowed = |tool: &&Tool| match (&only, tool.name()) {
            (Some(names), Some(name)) => names.iter().any(|it| it == name),
            _ => true,
        };
        let tools: Vec<Value> =
            exchange.tools.iter().filter(allowed).filter_map(|tool| self.tool(tool)).collect();
        let none_left = tools.is_empty();
        if !none_left {
            self.body.put("tools", tools);
        }
        self.write_choice(choice.as_ref(), none_left);
        if let (Some(parallel), false) = (exchange.parallel_tools, none_left) {
            if self.target.quirks.no_parallel_tool_calls {
                self.note_if(!parallel, Corner::ParallelTools);
            } else {
                self.body.put("parallel_tool_calls", parallel);
            }
        }
    }

    fn tool(&mut self, tool: &Tool) -> Option<Value> {
        let mut object = Object::default();
        match tool {
            Tool::Function { name, description, schema, strict, extras, .. } => {
                object.put("type", "function");
                object.put("name", name.as_str());
                object.put_some("description", description.clone());
                object.put_some("parameters", schema.clone());
                self.write_strict(*strict, schema.as_ref(), &mut object);
                if self.is_same() {
                    for (name, value) in extras {
                        object.put(name, value.clone());
                    }
                } else {
                    self.note_if(!extras.is_empty(), Corner::ToolFields);
                }
            }
            Tool::Custom { name, description, .. } if self.target.quirks.no_custom_tools => {
                self.note(Corner::CustomTools);
                object.put("type", "function");
                object.put("name", name.as_str());
                object.put_some("description", description.clone());
                object.put("parameters", unwrap_input::schema());
            }
            Tool::Custom { name, description, format } => {
                object.put("type", "custom");
                object.put("name", name.as_str());
                object.put_some("description", description.clone());
                object.put_some("format", format.as_ref().map(flat_format));
            }
            Tool::Hosted(raw) if self.is_same() => return Some(raw.clone()),
            Tool::Hosted(_) => {
                self.note(Corner::HostedTools);
                return None;
            }
        }
        Some(object.into_value())
    }

    /// Tools are strict here unless it is said that they are not; elsewhere it is the other way round.
    fn write_strict(&mut self, asked: Option<bool>, schema: Option<&Value>, object: &mut Object) {
        if self.target.quirks.no_strict_tools {
            return self.note_if(asked == Some(true), Corner::StrictTools);
        }
        let strict = self.strict(asked, schema, Corner::StrictSubset);
        let strict = if self.is_same() { strict } else { Some(strict.unwrap_or(false)) };
        object.put_some("strict", strict);
    }

    /// `strict` as asked, but not for a schema with which the provider would refuse the request.
    fn strict(
        &mut self,
        asked: Option<bool>,
        schema: Option<&Value>,
        corner: Corner,
    ) -> Option<bool> {
        if asked == Some(true)
            && !openai::speaks(self.exchange.from)
            && !schema.is_some_and(strict_schema::fits)
        {
            self.note(corner);
            return None;
        }
        asked
    }

    fn named(&self, name: &str) -> Value {
        let custom = self.exchange.is_custom_tool(name) && !self.target.quirks.no_custom_tools;
        json!({"type": if custom { "custom" } else { "function" }, "name": name})
    }

    fn write_choice(&mut self, choice: Option<&ToolChoice>, none_left: bool) {
        let Some(choice) = choice else { return };
        if none_left {
            // Providers refuse a choice without tools; `auto` and `none` then say nothing.
            let says_nothing = matches!(choice, ToolChoice::Auto | ToolChoice::None);
            return self.note_if(!says_nothing, Corner::ToolChoice);
        }
        let value = match choice {
            ToolChoice::Auto => json!("auto"),
            ToolChoice::None => json!("none"),
            ToolChoice::Required => json!("required"),
            ToolChoice::Named(name) if self.is_sent(name) => self.named(name),
            ToolChoice::Named(_) => return self.note(Corner::ToolChoice),
            ToolChoice::Allowed { names, required } => {
                let tools: Vec<Value> = names.iter().map(|name| self.named(name)).collect();
                let mode = if *required { "required" } else { "auto" };
                json!({"type": "allowed_tools", "mode": mode, "tools": tools})
            }
        };
        self.body.put("tool_choice", value);
    }

    fn is_sent(&self, name: &str) -> bool {
        self.exchange.tools.iter().any(|tool| {
            tool.name() == Some(name) && (self.is_same() || !matches!(tool, Tool::Hosted(_)))
        })
    }

    fn write_limits(&mut self) -> Result<(), FieldError> {
        if self.exchange.max_output == Some(0) && !self.is_same() {
            let why = "0 warms a cache at its own vendor only: this provider would refuse it";
            return Err(FieldError::new("max_tokens", why));
        }
        self.body.put_some("max_output_tokens", self.exchange.max_output);
        self.note_if(!self.exchange.stop.is_empty(), Corner::Stop);
        Ok(())
    }

    fn write_sampling(&mut self) {
        let sampling = self.exchange.sampling.clone();
        if self.target.quirks.no_sampling {
            self.note_if(sampling.temperature.is_some(), Corner::Temperature);
            self.note_if(sampling.top_p.is_some(), Corner::TopP);
        } else {
            self.body.put_some("temperature", sampling.temperature);
            self.body.put_some("top_p", sampling.top_p);
        }
        let is_set = |penalty: Option<f64>| penalty.is_some_and(|penalty| penalty.abs() > 0.0);
        self.note_if(sampling.top_k.is_some(), Corner::TopK);
        self.note_if(is_set(sampling.frequency_penalty), Corner::FrequencyPenalty);
        self.note_if(is_set(sampling.presence_penalty), Corner::PresencePenalty);
        self.note_if(sampling.seed.is_some(), Corner::Seed);
        self.note_if(self.exchange.answers > 1, Corner::ManyAnswers);
    }

    fn write_reasoning(&mut self) {
        let reasoning = self.exchange.reasoning;
        let mut object = Object::default();
        match self.target.quirks.effort {
            EffortForm::None => self.note_if(reasoning.is_on(), Corner::NoReasoning),
            // A switch is a matter of chat completions; here the host has efforts.
            EffortForm::Effort | EffortForm::Switch => {
                let effort = self.effort();
                object.put_some("effort", effort.map(Effort::as_str));
                // Whoever asks for blocks is to see something in them.
                if !self.is_same() && reasoning.wants_blocks() && !reasoning.hide_text {
                    object.put("summary", "auto");
                }
            }
        }
        if self.is_same() {
            for (name, value) in &self.exchange.extras {
                if let Some(name) = name.strip_prefix("reasoning.") {
                    object.put(name, value.clone());
                }
            }
        }
        if !object.0.is_empty() {
            self.body.put("reasoning", object.into_value());
        }
    }

    fn effort(&mut self) -> Option<Effort> {
        let reasoning = self.exchange.reasoning;
        match (reasoning.effort, reasoning.thinking) {
            (_, Some(ThinkingMode::Off | ThinkingMode::Between)) => {
                self.note(Corner::ThinkingBetween);
                None
            }
            (Some(effort), budget) => {
                self.note_if(matches!(budget, Some(ThinkingMode::Budget(_))), Corner::Budget);
                Some(effort)
            }
            (None, Some(ThinkingMode::Budget(tokens))) => {
                self.note(Corner::Budget);
                Some(Effort::from_budget(tokens))
            }
            (None, Some(ThinkingMode::Adaptive) | None) => None,
        }
    }

    /// What the answer is to hold beside the text.
    fn write_include(&mut self) {
        if self.target.quirks.no_logprobs {
            self.note_if(self.exchange.logprobs.is_some(), Corner::Logprobs);
        } else if let Some(top) = self.exchange.logprobs {
            self.body.put_some("top_logprobs", top);
        }
        if self.is_same() {
            return self.body.put_some("include", self.exchange.extras.get("include").cloned());
        }
        let mut include = Vec::new();
        // Models that don't reason refuse it, so it is asked for only where reasoning is at hand.
        let reasons = self.target.quirks.effort != EffortForm::None
            && (self.exchange.reasoning.is_on() || has_reasoned(self.exchange));
        if reasons {
            include.push(INCLUDE_ENCRYPTED);
        }
        if self.exchange.logprobs.is_some() && !self.target.quirks.no_logprobs {
            include.push(INCLUDE_LOGPROBS);
        }
        if !include.is_empty() {
            self.body.put("include", include);
        }
    }

    fn write_account(&mut self) {
        let foreign_host = self.target.quirks.no_openai_fields;
        match &self.exchange.user {
            Some(user) if !foreign_host => self.body.put("safety_identifier", user.as_str()),
            user => self.note_if(user.is_some(), Corner::User),
        }
        let is_vendors_own = openai::speaks(self.exchange.from);
        let word = match &self.exchange.tier {
            None => None,
            Some(Tier::Auto) => (!foreign_host).then(|| "auto".to_owned()),
            Some(Tier::Standard) if !foreign_host => Some("default".to_owned()),
            Some(Tier::Vendor(word)) if is_vendors_own && !foreign_host => Some(word.clone()),
            Some(_) => return self.note(Corner::Tier),
        };
        self.body.put_some("service_tier", word);
    }

    fn write_cache(&mut self) {
        let exchange = self.exchange;
        let hints = write_items::has_hints(exchange);
        let on_tools =
            exchange.tools.iter().any(|it| matches!(it, Tool::Function { cache: Some(_), .. }));
        if !hints && !on_tools && exchange.auto_cache.is_none() {
            return;
        }
        if !self.target.quirks.cache_breakpoints {
            // Asking for what happens anyway is no loss.
            return self.note_if(hints || on_tools || !self.is_same(), Corner::CacheBreakpoints);
        }
        self.note_if(on_tools, Corner::CacheBreakpoints);
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

    fn write_extras(&mut self) {
        let exchange = self.exchange;
        if !self.is_same() {
            // Kept by default here, and by nobody else.
            self.body.put("store", false);
            if exchange.from != DialectId::OpenaiChat || self.target.quirks.no_openai_fields {
                return loss::note_extras(self.loss, exchange);
            }
            let mut carried = vec!["verbosity"];
            for name in openai::SHARED {
                let refused =
                    name == "prompt_cache_options" && !self.target.quirks.cache_breakpoints;
                if let (Some(value), false) = (exchange.extras.get(name), refused) {
                    self.body.put(name, value.clone());
                    carried.push(name);
                }
            }
            return loss::note_other_extras(self.loss, exchange, &carried);
        }
        for (name, value) in &exchange.extras {
            let refused = self.target.quirks.no_openai_fields && OPENAI_ONLY.contains(name)
                || !self.target.quirks.cache_breakpoints && *name == "prompt_cache_options";
            let is_written = name.contains('.') || self.body.0.contains_key(*name);
            if refused {
                loss::note_extra(self.loss, name, value);
            } else if !is_written {
                self.body.put(name, value.clone());
            }
        }
        loss::note_unknown(self.loss, exchange);
    }
}

/// Whether the history holds reasoning that a vendor signed or encrypted.
fn has_reasoned(exchange: &Exchange) -> bool {
    exchange.messages.iter().flat_map(|message| &message.parts).any(|part| match &part.kind {
        PartKind::Thinking(thinking) => thinking.signature.is_some(),
        PartKind::Redacted(_) => true,
        _ => false,
    })
}
