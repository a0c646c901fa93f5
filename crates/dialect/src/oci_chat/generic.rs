//! `GENERIC` requests: chat completions, respelled.

use domain::LossReport;
use serde_json::{Value, json};

use super::words::{image_url, parameters, renamed, text, upper};
use crate::exchange::{Exchange, Media, PartKind};
use crate::json::{Object, str_at};
use crate::loss::{self, Corner};
use crate::openai_chat::write_request;
use crate::quirks::{EffortForm, Quirks, ReasoningField};
use crate::wire::{FieldError, Target};

/// Fields that have another name and the same meaning.
const RENAMED: [(&str, &str); 11] = [
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("frequency_penalty", "frequencyPenalty"),
    ("presence_penalty", "presencePenalty"),
    ("seed", "seed"),
    ("stop", "stop"),
    ("n", "numGenerations"),
    ("logit_bias", "logitBias"),
    ("metadata", "metadata"),
    ("parallel_tool_calls", "isParallelToolCalls"),
];
/// Fields that are written by name below, or stand in the envelope.
const WRITTEN: [&str; 15] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "max_tokens",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "prediction",
    "logprobs",
    "top_logprobs",
    "stream",
    "stream_options",
    "service_tier",
    "safety_identifier",
];

pub(super) fn request(
    exchange: &Exchange,
    target: &Target<'_>,
    loss: &mut LossReport,
) -> Result<(Object, Vec<String>), FieldError> {
    refuse_foreign_files(exchange)?;
    let quirks = Quirks {
        developer_role: true,
        top_k: true,
        no_strict_tools: true,
        no_custom_tools: true,
        no_allowed_tools: true,
        max_completion_tokens: false,
        no_openai_fields: false,
        cache_breakpoints: false,
        reasoning_details: false,
        tool_choice_any: false,
        random_seed: false,
        reasoning_field: ReasoningField::ReasoningContent,
        effort: match target.quirks.effort {
            EffortForm::Effort => EffortForm::Effort,
            EffortForm::Switch | EffortForm::None => EffortForm::None,
        },
        ..*target.quirks
    };
    let target = Target { quirks: &quirks, ..*target };
    let (chat, cut_at) = write_request::object(exchange, &target, loss)?;
    let chat = Value::Object(chat.0);
    let mut writer = Writer { exchange, loss, chat: &chat, out: Object::default() };
    writer.write();
    Ok((writer.out, cut_at))
}

/// Only OpenAI knows its own files.
fn refuse_foreign_files(exchange: &Exchange) -> Result<(), FieldError> {
    for message in &exchange.messages {
        let is_file = |kind: &PartKind| matches!(kind, PartKind::Document(it) if matches!(it.source, Media::FileId(_)));
        if message.parts.iter().any(|part| is_file(&part.kind)) {
            let why = "a file id is known to one vendor only: send the file inline";
            return Err(FieldError::new(exchange.place(message), why));
        }
    }
    Ok(())
}

struct Writer<'a, 'l> {
    exchange: &'a Exchange,
    loss: &'l mut LossReport,
    chat: &'a Value,
    out: Object,
}

impl Writer<'_, '_> {
    fn note(&mut self, corner: Corner) {
        loss::note(self.loss, self.exchange, corner);
    }

    fn write(&mut self) {
        let chat = self.chat;
        self.out.put("apiFormat", "GENERIC");
        let messages = chat.get("messages").and_then(Value::as_array);
        let messages: Vec<Value> =
            messages.into_iter().flatten().map(|it| self.message(it)).collect();
        self.out.put("messages", messages);
        self.write_tools();
        for (name, to) in RENAMED {
            self.out.put_some(to, chat.get(name).cloned());
        }
        self.write_output();
        self.write_account();
        self.note_others();
    }

    fn message(&mut self, message: &Value) -> Value {
        let role = str_at(message, "role").unwrap_or_default();
        let mut out = Object::default();
        out.put("role", role.to_ascii_uppercase());
        let mut content = match message.get("content") {
            Some(Value::String(said)) => vec![text(said)],
            Some(Value::Array(parts)) => parts.iter().filter_map(|it| self.part(it)).collect(),
            _ => Vec::new(),
        };
        // Some of its models fail with a turn without any text; Oracle's own library sends this.
        let silent = content.iter().all(|it| str_at(it, "text") == Some(""));
        if role == "assistant" && silent {
            content = vec![text(".")];
        }
        out.put("content", content);
        let names = [
            ("name", "name"),
            ("refusal", "refusal"),
            ("reasoning_content", "reasoningContent"),
            ("tool_call_id", "toolCallId"),
        ];
        if let Value::Object(rest) = renamed(message, &names) {
            out.0.extend(rest);
        }
        if message.get("audio").is_some() {
            self.note(Corner::VendorBlocks);
        }
        if let Some(calls) = message.get("tool_calls").and_then(Value::as_array) {
            let calls: Vec<Value> = calls.iter().map(call).collect();
            out.put("toolCalls", calls);
        }
        out.into_value()
    }

    fn part(&mut self, part: &Value) -> Option<Value> {
        let written = match str_at(part, "type")? {
            "text" => Some(text(str_at(part, "text").unwrap_or_default())),
            "image_url" => image_url(part).map(|it| json!({"type": "IMAGE", "imageUrl": it})),
            "file" => part
                .get("file")
                .and_then(|it| str_at(it, "file_data"))
                .map(|data| json!({"type": "DOCUMENT", "documentUrl": {"url": data}})),
            "input_audio" => part.get("input_audio").and_then(audio),
            _ => None,
        };
        if written.is_none() {
            self.note(Corner::VendorBlocks);
        }
        written
    }

    fn write_tools(&mut self) {
        let given = self.chat.get("tools").and_then(Value::as_array);
        let tools: Vec<Value> = given.into_iter().flatten().filter_map(tool).collect();
        if given.is_some_and(|given| given.len() > tools.len()) {
            self.note(Corner::HostedTools);
        }
        if tools.is_empty() {
            return;
        }
        self.out.put("tools", tools);
        let choice = match self.chat.get("tool_choice") {
            Some(word @ Value::String(_)) => json!({"type": upper(word)}),
            Some(choice) => match choice.get("function").and_then(|it| str_at(it, "name")) {
                Some(name) => json!({"type": "FUNCTION", "name": name}),
                None => return self.note(Corner::ToolChoice),
            },
            None => return,
        };
        self.out.put("toolChoice", choice);
    }

    fn write_output(&mut self) {
        let chat = self.chat;
        self.out.put_some("responseFormat", chat.get("response_format").and_then(format));
        self.out.put_some("verbosity", chat.get("verbosity").map(upper));
        self.out.put_some("prediction", chat.get("prediction").map(prediction));
        if let Some(effort) = chat.get("reasoning_effort").and_then(Value::as_str) {
            let beyond = matches!(effort, "xhigh" | "max");
            if beyond {
                self.note(Corner::EffortCeiling);
            }
            let word = if beyond { "HIGH".to_owned() } else { effort.to_ascii_uppercase() };
            self.out.put("reasoningEffort", word);
        }
        if chat.get("logprobs") == Some(&Value::Bool(true)) {
            let most = chat.get("top_logprobs").and_then(Value::as_u64).unwrap_or(0);
            self.out.put("logProbs", most.max(1));
        }
        if chat.get("stream") == Some(&Value::Bool(true)) {
            self.out.put("isStream", true);
            let asks = chat.get("stream_options").is_some();
            self.out.put_some("streamOptions", asks.then(|| json!({"isIncludeUsage": true})));
        }
    }

    fn write_account(&mut self) {
        match self.chat.get("service_tier").and_then(Value::as_str) {
            None => {}
            Some(word @ ("auto" | "default" | "priority")) => {
                self.out.put("serviceTier", word.to_ascii_uppercase());
            }
            Some(_) => self.note(Corner::Tier),
        }
        if self.chat.get("safety_identifier").is_some() {
            self.note(Corner::User);
        }
    }

    /// What only OpenAI's own service has.
    fn note_others(&mut self) {
        let known = |name: &str| {
            WRITTEN.contains(&name) || RENAMED.iter().any(|(renamed, _)| *renamed == name)
        };
        let fields = self.chat.as_object().into_iter().flatten();
        for (name, value) in fields.filter(|(name, _)| !known(name)) {
            if let Some((name, _)) = self.exchange.extras.get_key_value(name.as_str()) {
                loss::note_extra(self.loss, name, value);
            }
        }
    }
}

fn call(call: &Value) -> Value {
    let function = call.get("function").unwrap_or(&Value::Null);
    json!({"id": call["id"], "type": "FUNCTION", "name": function["name"],
        "arguments": function["arguments"]})
}

fn tool(tool: &Value) -> Option<Value> {
    let function = tool.get("function")?;
    let mut out = Object::default();
    out.put("type", "FUNCTION");
    out.put("name", str_at(function, "name")?);
    out.put_some("description", str_at(function, "description"));
    out.put("parameters", parameters(function));
    Some(out.into_value())
}

fn audio(audio: &Value) -> Option<Value> {
    let (format, data) = (str_at(audio, "format")?, str_at(audio, "data")?);
    let url = format!("data:audio/{format};base64,{data}");
    Some(json!({"type": "AUDIO", "audioUrl": {"url": url}}))
}

fn format(format: &Value) -> Option<Value> {
    match str_at(format, "type")? {
        "json_schema" => {
            let names = [
                ("name", "name"),
                ("description", "description"),
                ("schema", "schema"),
                ("strict", "isStrict"),
            ];
            let schema = renamed(format.get("json_schema")?, &names);
            Some(json!({"type": "JSON_SCHEMA", "jsonSchema": schema}))
        }
        kind => Some(json!({"type": kind.to_ascii_uppercase()})),
    }
}

fn prediction(prediction: &Value) -> Value {
    let content = match prediction.get("content") {
        Some(Value::String(said)) => vec![text(said)],
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| str_at(part, "text")).map(text).collect()
        }
        _ => Vec::new(),
    };
    json!({"type": "CONTENT", "content": content})
}
