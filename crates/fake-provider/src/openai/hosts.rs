//! Hosts of OpenAI's chat protocol with ways of their own: what each refuses beyond OpenAI, and how its answers differ.
//! Sources: the request types of the vendors' SDKs (mistralai 3.7, groq), their documentation, and what gateways that ask
//! them had to learn (litellm 1.109).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::ask::Refused;
use crate::demo::{Body, Reply};

/// Whose ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Mistral AI.
    Mistral,
    /// Groq.
    Groq,
    /// Databricks Model Serving.
    Databricks,
    /// Fireworks AI.
    Fireworks,
    /// DeepSeek, thinking.
    DeepSeek,
    /// xAI.
    Xai,
    /// OpenRouter.
    OpenRouter,
    /// Together AI.
    Together,
    /// llama-cpp-python's server.
    LlamaCppPython,
}

const WORDS: [(&str, Host); 9] = [
    ("mistral", Host::Mistral),
    ("groq", Host::Groq),
    ("databricks", Host::Databricks),
    ("fireworks", Host::Fireworks),
    ("deepseek", Host::DeepSeek),
    ("xai", Host::Xai),
    ("openrouter", Host::OpenRouter),
    ("together", Host::Together),
    ("llama-cpp-python", Host::LlamaCppPython),
];

/// Fields that every host of the protocol takes.
const COMMON: [&str; 12] = [
    "model",
    "messages",
    "temperature",
    "top_p",
    "max_tokens",
    "stream",
    "stop",
    "response_format",
    "tools",
    "tool_choice",
    "n",
    "reasoning_effort",
];

impl Host {
    /// The host of that word.
    pub fn parse(word: &str) -> Option<Self> {
        WORDS.iter().find(|it| it.0 == word).map(|it| it.1)
    }

    /// All words.
    pub fn words() -> Vec<&'static str> {
        WORDS.iter().map(|it| it.0).collect()
    }

    /// Fields beside the common ones; `None`: whatever is unknown is ignored.
    fn fields(self) -> Option<&'static [&'static str]> {
        Some(match self {
            Self::Mistral => &[
                "random_seed",
                "metadata",
                "presence_penalty",
                "frequency_penalty",
                "prediction",
                "parallel_tool_calls",
                "prompt_mode",
                "safe_prompt",
                "guardrails",
                "prompt_cache_key",
                "service_tier",
            ],
            Self::Groq => &[
                "seed",
                "presence_penalty",
                "frequency_penalty",
                "max_completion_tokens",
                "parallel_tool_calls",
                "include_reasoning",
                "reasoning_format",
                "stream_options",
                "user",
            ],
            Self::Databricks => {
                &["top_k", "seed", "stream_options", "logprobs", "top_logprobs", "thinking", "user"]
            }
            Self::Fireworks => &[
                "top_k",
                "min_p",
                "seed",
                "presence_penalty",
                "frequency_penalty",
                "logprobs",
                "top_logprobs",
                "logit_bias",
                "parallel_tool_calls",
                "stream_options",
                "user",
            ],
            _ => return None,
        })
    }

    /// Checks a request as this host would, and turns it into one that OpenAI would take.
    pub(super) fn admit(self, body: &Value) -> Result<Value, Reply> {
        self.check(body).map_err(|why| self.refusal(&why))?;
        let mut body = body.clone();
        let Some(map) = body.as_object_mut() else { return Ok(body) };
        for (own, openai) in [("random_seed", "seed")] {
            if let Some(value) = map.remove(own) {
                map.insert(openai.into(), value);
            }
        }
        for own in ["safe_prompt", "prompt_mode", "guardrails", "thinking", "top_k", "min_p"] {
            map.remove(own);
        }
        if map.get("tool_choice") == Some(&json!("any")) {
            map.insert("tool_choice".into(), json!("required"));
        }
        if let Some(schema) = body.pointer("/response_format/schema").cloned() {
            let inner = json!({"name": "response", "schema": schema});
            body["response_format"] = json!({"type": "json_schema", "json_schema": inner});
        }
        let messages = body.get_mut("messages").and_then(Value::as_array_mut);
        for message in messages.into_iter().flatten().filter_map(Value::as_object_mut) {
            for own in ["prefix", "reasoning_content", "reasoning", "reasoning_details"] {
                message.remove(own);
            }
        }
        Ok(body)
    }

    fn check(self, body: &Value) -> Result<(), String> {
        let Some(map) = body.as_object() else { return Ok(()) };
        if let Some(fields) = self.fields() {
            let known =
                |key: &&String| COMMON.contains(&key.as_str()) || fields.contains(&key.as_str());
            if let Some(extra) = map.keys().find(|key| !known(key)) {
                return Err(format!("{extra}: Extra inputs are not permitted"));
            }
        }
        let functions = tools(body).all(|tool| tool["type"] == "function");
        let chosen = body["tool_choice"]["type"].as_str().is_none_or(|it| it == "function");
        if self != Self::OpenRouter && (!functions || !chosen) {
            return Err("tools: only functions are supported".into());
        }
        match self {
            Self::Mistral => mistral(body),
            Self::Groq => groq(body, map),
            Self::Databricks => databricks(body),
            Self::Fireworks => fireworks(body),
            Self::DeepSeek => deepseek(body),
            Self::Xai => xai(map),
            Self::LlamaCppPython if body["response_format"]["type"] == "json_schema" => {
                Err("response_format: Input should be 'text' or 'json_object'".into())
            }
            Self::OpenRouter | Self::Together | Self::LlamaCppPython => Ok(()),
        }
    }

    /// A refusal in the host's own shape.
    fn refusal(self, why: &str) -> Reply {
        let (field, _) = why.split_once(": ").unwrap_or(("body", why));
        let (status, body) = match self {
            Self::Mistral => {
                let detail =
                    json!([{"type": "extra_forbidden", "loc": ["body", field], "msg": why}]);
                let body = json!({"object": "error", "message": {"detail": detail},
                    "type": "invalid_request_error", "param": null, "code": null});
                (422, body)
            }
            Self::Databricks => (400, json!({"error_code": "BAD_REQUEST", "message": why})),
            Self::LlamaCppPython => (500, super::error_json(&Refused::new(500, why))),
            _ => (400, super::error_json(&Refused::field(field, why))),
        };
        Reply {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: Body::Whole(Bytes::from(body.to_string())),
        }
    }

    /// Usage as this host tells it, of OpenAI's.
    pub(super) fn usage(self, usage: &mut Value) {
        let at = |usage: &Value, pointer: &str| {
            usage.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
        };
        let cached = at(usage, "/prompt_tokens_details/cached_tokens");
        let thought = at(usage, "/completion_tokens_details/reasoning_tokens");
        match self {
            Self::Xai => {
                let output = at(usage, "/completion_tokens") - thought;
                usage["completion_tokens"] = output.into();
            }
            Self::DeepSeek => {
                usage["prompt_cache_hit_tokens"] = cached.into();
                usage["prompt_cache_miss_tokens"] = (at(usage, "/prompt_tokens") - cached).into();
                usage["prompt_tokens_details"] = Value::Null;
            }
            Self::Together => {
                usage["cached_tokens"] = cached.into();
                usage["prompt_tokens_details"] = Value::Null;
            }
            Self::OpenRouter => {
                usage["cost"] = json!(0.0123);
                usage["is_byok"] = json!(false);
                usage["cost_details"] = json!({"upstream_inference_cost": null});
            }
            _ => {}
        }
    }

    /// Whether a stream tells usage, of whether it was asked to.
    pub(super) fn streams_usage(self, asked: bool) -> bool {
        match self {
            Self::Mistral => true,
            Self::LlamaCppPython => false,
            _ => asked,
        }
    }

    /// The field of a message, or of a delta, that shows what the model thinks.
    pub(super) fn reasoning_field(self) -> Option<&'static str> {
        match self {
            Self::DeepSeek | Self::Xai | Self::Fireworks => Some("reasoning_content"),
            Self::Groq | Self::OpenRouter => Some("reasoning"),
            _ => None,
        }
    }

    /// What a stream says before anything else.
    pub(super) fn comment(self) -> Option<Bytes> {
        (self == Self::OpenRouter).then(|| Bytes::from_static(b": OPENROUTER PROCESSING\n\n"))
    }
}

fn tools(body: &Value) -> impl Iterator<Item = &Value> {
    body["tools"].as_array().into_iter().flatten()
}

fn messages(body: &Value) -> &[Value] {
    body["messages"].as_array().map_or(&[], Vec::as_slice)
}

fn role(message: &Value) -> &str {
    message["role"].as_str().unwrap_or_default()
}

/// A field that is there, and not null.
fn set(map: &Map<String, Value>, name: &str) -> bool {
    map.get(name).is_some_and(|it| !it.is_null())
}

fn mistral(body: &Value) -> Result<(), String> {
    for (at, message) in messages(body).iter().enumerate() {
        let known: &[&str] = match role(message) {
            "system" | "user" => &["role", "content"],
            "assistant" => &["role", "content", "tool_calls", "prefix"],
            "tool" => &["role", "content", "tool_call_id", "name"],
            other => return Err(format!("messages.{at}.role: unknown role {other}")),
        };
        let keys = message.as_object().into_iter().flat_map(Map::keys);
        if let Some(extra) = keys.into_iter().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("messages.{at}.{extra}: Extra inputs are not permitted"));
        }
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        let ids = calls.map(|call| &call["id"]).chain(message.get("tool_call_id"));
        for id in ids.filter_map(Value::as_str) {
            if id.len() != 9 || !id.bytes().all(|it| it.is_ascii_alphanumeric()) {
                return Err(format!(
                    "messages.{at}.tool_calls: Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9."
                ));
            }
        }
    }
    let last = messages(body).last().unwrap_or(&Value::Null);
    if role(last) == "assistant" && last["prefix"] != true {
        return Err(
            "messages: Expected last role User or Tool (or Assistant with prefix True) for serving"
                .into(),
        );
    }
    let schemas = [&body["tools"], &body["response_format"]];
    if schemas.iter().any(|it| it.to_string().contains("\"$ref\"")) {
        return Err("tools: $ref is not supported".into());
    }
    Ok(())
}

fn groq(body: &Value, map: &Map<String, Value>) -> Result<(), String> {
    for name in ["logprobs", "top_logprobs", "logit_bias"] {
        if set(map, name) {
            return Err(format!("{name}: property '{name}' is not supported"));
        }
    }
    if body["n"].as_u64().is_some_and(|n| n != 1) {
        return Err("n: 'n' must be 1".into());
    }
    if messages(body).iter().any(|it| it.get("name").is_some()) {
        return Err("messages: property 'name' is unsupported".into());
    }
    let format = body["response_format"]["type"].as_str().is_some_and(|it| it != "text");
    if format && body["stream"] == true {
        return Err("response_format: json mode cannot be combined with streaming".into());
    }
    if format && tools(body).next().is_some() {
        return Err(
            "response_format: json mode cannot be combined with tool/function calling".into()
        );
    }
    Ok(())
}

fn databricks(body: &Value) -> Result<(), String> {
    let all = messages(body);
    if all.windows(2).any(|pair| pair.iter().all(|it| role(it) == "tool")) {
        return Err(
            "messages: a tool message must follow an assistant message with its call".into()
        );
    }
    let blocks = all.iter().filter_map(|it| it["content"].as_array()).flatten();
    if blocks.into_iter().any(|it| it["type"] == "text" && it["text"] == "") {
        return Err("messages: text content blocks must be non-empty".into());
    }
    if all.iter().any(|it| it.get("name").is_some()) {
        return Err("messages: name: Extra inputs are not permitted".into());
    }
    Ok(())
}

fn fireworks(body: &Value) -> Result<(), String> {
    let format = body["response_format"]["type"].as_str().is_some_and(|it| it != "text");
    if format && tools(body).next().is_some() {
        return Err("response_format: You cannot specify response format and function call at the same time".into());
    }
    if tools(body).any(|tool| tool["function"].get("strict").is_some()) {
        return Err("tools: strict: Extra inputs are not permitted".into());
    }
    Ok(())
}

fn deepseek(body: &Value) -> Result<(), String> {
    if body["response_format"]["type"] == "json_schema" {
        return Err("response_format: This response_format type is unavailable now".into());
    }
    if body["n"].as_u64().is_some_and(|n| n != 1) {
        return Err("n: Invalid n value (currently only n = 1 is supported)".into());
    }
    let thinks = body["thinking"]["type"] == "enabled";
    let silent =
        |it: &&Value| it.get("tool_calls").is_some() && it.get("reasoning_content").is_none();
    if thinks && messages(body).iter().any(|it| silent(&it)) {
        return Err("messages: Missing `reasoning_content` field in the assistant message".into());
    }
    Ok(())
}

fn xai(map: &Map<String, Value>) -> Result<(), String> {
    let reasons = map.get("reasoning_effort").is_some_and(|it| !it.is_null() && *it != "none");
    for name in ["stop", "presence_penalty", "frequency_penalty"] {
        if reasons && set(map, name) {
            return Err(format!("{name}: Argument not supported on this model: {name}"));
        }
    }
    Ok(())
}
