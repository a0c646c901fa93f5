//! An answer as a response.

use serde_json::{Value, json};

use super::{reasoning_items, usage};
use crate::exchange::{
    Answer, Choice, Exchange, OutputFormat, Part, PartKind, Thinking, ToolChoice, ToolUse,
};
use crate::json::{Object, str_at, to_bytes};
use crate::reasoning::Effort;
use crate::unwrap_input;
use crate::wire::{AnswerContext, FinishReason};

pub(super) fn write(answer: &Answer, context: &AnswerContext<'_>) -> Vec<u8> {
    let mut head = Head::new(context);
    if let Some(model) = &answer.model {
        head.model.clone_from(model);
    }
    // A client of this dialect can't ask for more than one.
    let choice = answer.choices.first();
    let finish = choice.map_or(&FinishReason::Stop, |choice| &choice.finish);
    let ids = Ids::new(context.request_id);
    let output = choice.map(|choice| write_output(choice, &ids, context.exchange));
    // Clients require usage; a silent provider leaves zeros here, and `bounded` in the ledger.
    let usage = usage::write(&answer.usage.unwrap_or_default());
    to_bytes(&head.response(Some(finish), output.unwrap_or_default(), Some(usage)))
}

/// The ids of the answer and its items: ours, in the shape of OpenAI's.
pub(super) struct Ids(String);

impl Ids {
    pub(super) fn new(request_id: &str) -> Self {
        Self(request_id.strip_prefix("req_").unwrap_or(request_id).to_owned())
    }

    fn response(&self) -> String {
        format!("resp_{}", self.0)
    }

    /// Of the item at that place of the output.
    pub(super) fn item(&self, prefix: &str, index: usize) -> String {
        format!("{prefix}_{}_{index}", self.0)
    }
}

/// What an answer has beside its output. Tools and schemas are not repeated, as OpenAI does: an agent's tools are 40 KB,
/// three times in each stream.
pub(super) struct Head {
    id: String,
    created: i64,
    pub(super) model: String,
    max_output: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    reasoning: Value,
    parallel_tools: bool,
    tool_choice: Value,
    text: Option<Value>,
    metadata: Value,
}

impl Head {
    pub(super) fn new(context: &AnswerContext<'_>) -> Self {
        let exchange = context.exchange;
        Self {
            id: Ids::new(context.request_id).response(),
            created: context.created.secs(),
            model: context.model.to_owned(),
            max_output: exchange.max_output,
            temperature: exchange.sampling.temperature,
            top_p: exchange.sampling.top_p,
            reasoning: json!({
                "effort": exchange.reasoning.effort.map(Effort::as_str),
                "summary": exchange.extras.get("reasoning.summary"),
            }),
            parallel_tools: exchange.parallel_tools.unwrap_or(true),
            tool_choice: tool_choice(exchange),
            text: text(exchange),
            metadata: exchange.extras.get("metadata").cloned().unwrap_or_else(|| json!({})),
        }
    }

    /// The response in progress, or as it ended.
    pub(super) fn response(
        &self,
        finish: Option<&FinishReason>,
        output: Vec<Value>,
        usage: Option<Value>,
    ) -> Value {
        let incomplete = finish.and_then(incomplete_word);
        let status = match (finish, incomplete) {
            (None, _) => "in_progress",
            (Some(_), None) => "completed",
            (Some(_), Some(_)) => "incomplete",
        };
        let mut body = Object::default();
        body.put("id", self.id.as_str());
        body.put("object", "response");
        body.put("created_at", self.created);
        body.put("status", status);
        body.put("background", false);
        body.put("error", Value::Null);
        body.put("incomplete_details", incomplete.map(|reason| json!({"reason": reason})));
        body.put("instructions", Value::Null);
        body.put("max_output_tokens", self.max_output);
        body.put("metadata", self.metadata.clone());
        body.put("model", self.model.as_str());
        body.put("output", output);
        body.put("parallel_tool_calls", self.parallel_tools);
        body.put("previous_response_id", Value::Null);
        body.put("reasoning", self.reasoning.clone());
        // Nothing is kept.
        body.put("store", false);
        body.put("temperature", self.temperature);
        body.put_some("text", self.text.clone());
        body.put("tool_choice", self.tool_choice.clone());
        body.put("tools", json!([]));
        body.put("top_p", self.top_p);
        body.put("truncation", "disabled");
        body.put("usage", usage);
        body.into_value()
    }
}

fn tool_choice(exchange: &Exchange) -> Value {
    match &exchange.tool_choice {
        Some(ToolChoice::None) => json!("none"),
        Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => {
            json!("required")
        }
        Some(ToolChoice::Named(name)) => {
            let kind = if exchange.is_custom_tool(name) { "custom" } else { "function" };
            json!({"type": kind, "name": name})
        }
        Some(ToolChoice::Auto | ToolChoice::Allowed { .. }) | None => json!("auto"),
    }
}

fn text(exchange: &Exchange) -> Option<Value> {
    match exchange.format {
        None => Some(json!({"format": {"type": "text"}})),
        Some(OutputFormat::JsonObject) => Some(json!({"format": {"type": "json_object"}})),
        Some(OutputFormat::JsonSchema { .. }) => None,
    }
}

/// Why an answer is incomplete (protocols C2); `None` where it is not.
pub(super) fn incomplete_word(finish: &FinishReason) -> Option<&'static str> {
    match finish {
        FinishReason::Length | FinishReason::ContextFull => Some("max_output_tokens"),
        FinishReason::Filtered | FinishReason::Refusal(_) => Some("content_filter"),
        FinishReason::Stop
        | FinishReason::StopSequence(_)
        | FinishReason::ToolCalls
        | FinishReason::Pause
        | FinishReason::Error
        | FinishReason::Other(_) => None,
    }
}

fn write_output(choice: &Choice, ids: &Ids, exchange: &Exchange) -> Vec<Value> {
    let mut output: Vec<Value> = Vec::new();
    let mut said: Vec<Value> = Vec::new();
    let mut logprobs = logprobs_of(choice.logprobs.as_ref());
    let refused = choice.parts.iter().any(|part| matches!(part.kind, PartKind::Refusal(_)));
    for part in &choice.parts {
        if let Some(text) = text_of(part) {
            said.push(text_part(text, &std::mem::take(&mut logprobs)));
            continue;
        }
        if let PartKind::Refusal(text) = &part.kind {
            said.push(refusal_part(text));
            continue;
        }
        flush(&mut said, ids, &mut output, "completed");
        let index = output.len();
        output.extend(match &part.kind {
            PartKind::ToolUse(call) => Some(write_call(call, ids, index, exchange)),
            PartKind::Thinking(thinking) => Some(write_thinking(thinking, ids, index)),
            PartKind::Redacted(opaque) => Some(reasoning("", opaque, true, ids, index)),
            _ => None,
        });
    }
    if let (FinishReason::Refusal(Some(why)), false) = (&choice.finish, refused) {
        said.push(refusal_part(why));
    }
    let status = if incomplete_word(&choice.finish).is_some() { "incomplete" } else { "completed" };
    flush(&mut said, ids, &mut output, status);
    output
}

/// Text, also such as another vendor cited.
fn text_of(part: &Part) -> Option<&str> {
    match &part.kind {
        PartKind::Text(text) => Some(text),
        PartKind::Vendor(raw) => str_at(raw, "text"),
        _ => None,
    }
}

/// Texts that follow each other are one message.
fn flush(said: &mut Vec<Value>, ids: &Ids, output: &mut Vec<Value>, status: &str) {
    if !said.is_empty() {
        let id = ids.item("msg", output.len());
        output.push(message(&id, status, said));
        said.clear();
    }
}

/// A message item.
pub(super) fn message(id: &str, status: &str, content: &[Value]) -> Value {
    json!({"type": "message", "id": id, "role": "assistant", "status": status, "content": content})
}

/// A text of a message.
pub(super) fn text_part(text: &str, logprobs: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs})
}

/// A refusal of a message.
pub(super) fn refusal_part(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}

/// The tokens of log probabilities in the shape of chat completions.
pub(super) fn logprobs_of(logprobs: Option<&Value>) -> Vec<Value> {
    let content = logprobs.and_then(|it| it.get("content")).and_then(Value::as_array);
    content.cloned().unwrap_or_default()
}

fn write_call(call: &ToolUse, ids: &Ids, index: usize, exchange: &Exchange) -> Value {
    let ToolUse { id, name, input, custom } = call;
    if *custom || exchange.is_custom_tool(name) {
        let input = if *custom { input.clone() } else { unwrap_input::unwrap(input) };
        return custom_call(&ids.item("ctc", index), id, name, "completed", &input);
    }
    let arguments = if input.trim().is_empty() { "{}" } else { input };
    function_call(&ids.item("fc", index), id, name, "completed", arguments)
}

/// A function call item.
pub(super) fn function_call(
    id: &str,
    call_id: &str,
    name: &str,
    status: &str,
    arguments: &str,
) -> Value {
    json!({
        "type": "function_call", "id": id, "call_id": call_id, "name": name, "status": status,
        "arguments": arguments,
    })
}

/// A custom tool call item.
pub(super) fn custom_call(id: &str, call_id: &str, name: &str, status: &str, input: &str) -> Value {
    json!({
        "type": "custom_tool_call", "id": id, "call_id": call_id, "name": name, "status": status,
        "input": input,
    })
}

fn write_thinking(thinking: &Thinking, ids: &Ids, index: usize) -> Value {
    match &thinking.signature {
        Some(signature) => reasoning(&thinking.text, signature, false, ids, index),
        None => reasoning_items::client_item(&ids.item("rs", index), &thinking.text, None),
    }
}

/// A reasoning item with what its vendor takes back, under the vendor's own id where it has one.
fn reasoning(text: &str, opaque: &str, is_data: bool, ids: &Ids, index: usize) -> Value {
    let id = reasoning_items::own_id(opaque).map_or_else(|| ids.item("rs", index), str::to_owned);
    let encrypted = reasoning_items::for_client(opaque, is_data, &id);
    reasoning_items::client_item(&id, text, Some(&encrypted))
}
