//! Answers as messages, whole or as a stream of named events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::blocks::signature;
use crate::ask::{Answer, Ask, Call, End, Refused};
use crate::demo::{Demo, Reply};
use crate::lorem;
use crate::model;
use crate::tokens;
use crate::tweak::Tweak;

/// Characters of tool input in one streamed fragment.
const FRAGMENT: usize = 12;

struct Writer<'a> {
    ask: &'a Ask,
    body: &'a Value,
    tweak: &'a Tweak,
    id: String,
    model: &'a str,
    answer: Answer,
}

pub(super) fn reply(
    demo: &Demo,
    ask: &Ask,
    body: &Value,
    named: &str,
    tweak: &Tweak,
    cut: bool,
) -> Reply {
    let mut answer = model::answer(ask, 0);
    if let Some(text) = &tweak.text {
        answer.text.clone_from(text);
        answer.tokens = tokens::count(text);
        answer.calls.clear();
        answer.end = End::Stop;
    }
    let id = format!("msg_{:016x}", lorem::hash(body.to_string().as_bytes()));
    let writer = Writer { ask, body, tweak, id, model: named, answer };
    if ask.stream {
        let headers = vec![
            ("content-type", "text/event-stream; charset=utf-8".to_owned()),
            ("cache-control", "no-cache".to_owned()),
        ];
        return Reply {
            status: 200,
            headers,
            body: demo.timed(&ask.model, writer.events(), tweak, cut),
        };
    }
    Reply {
        status: 200,
        headers: vec![("content-type", "application/json".to_owned())],
        body: demo.whole(&ask.model, writer.message().to_string().into_bytes(), tweak, cut),
    }
}

impl Writer<'_> {
    fn message(&self) -> Value {
        let mut out = self.shell(&self.content(), &json!(self.stop_reason()), &self.sequence());
        if !self.tweak.no_usage {
            out["usage"] = self.usage(self.output_tokens(), self.answer.thinking_tokens);
        }
        if self.answer.end == End::Refusal {
            out["stop_details"] = refusal_details();
        }
        out
    }

    fn shell(&self, content: &Value, stop_reason: &Value, sequence: &Value) -> Value {
        json!({"id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": content,
            "stop_reason": stop_reason, "stop_sequence": sequence, "stop_details": null})
    }

    fn content(&self) -> Value {
        let a = &self.answer;
        let mut out = Vec::new();
        if a.thinking_tokens > 0 {
            out.push(json!({"type": "thinking", "thinking": self.shown_thinking(), "signature": signature(&a.thinking)}));
        }
        if a.calls.is_empty() && !a.text.is_empty() {
            out.push(json!({"type": "text", "text": a.text, "citations": null}));
        }
        out.extend(a.calls.iter().map(
            |c| json!({"type": "tool_use", "id": call_id(c), "name": c.name, "input": c.input}),
        ));
        Value::Array(out)
    }

    fn shown_thinking(&self) -> &str {
        let omitted =
            self.body.pointer("/thinking/display").and_then(Value::as_str) == Some("omitted");
        if omitted { "" } else { &self.answer.thinking }
    }

    fn output_tokens(&self) -> u64 {
        let counted = self.answer.tokens + self.answer.thinking_tokens;
        let bound = self.ask.max_output.filter(|_| self.tweak.exact);
        self.tweak.usage.output.or(bound).unwrap_or(counted)
    }

    fn usage(&self, output: u64, thought: u64) -> Value {
        let told = &self.tweak.usage;
        let input = &self.ask.input;
        let short = told.cache_write.unwrap_or(input.cache_write);
        let hour = if told.cache_write.is_some() { 0 } else { input.cache_write_1h };
        json!({
            "input_tokens": told.input.unwrap_or(input.fresh),
            "cache_creation_input_tokens": short + hour,
            "cache_read_input_tokens": told.cached.unwrap_or(input.cache_read),
            "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": hour},
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": told.reasoning.unwrap_or(thought)},
            "service_tier": "standard", "speed": "standard", "inference_geo": "global", "server_tool_use": null,
        })
    }

    fn stop_reason(&self) -> &'static str {
        match self.answer.end {
            End::Stop => "end_turn",
            End::Sequence(_) => "stop_sequence",
            End::Length => "max_tokens",
            End::Tools => "tool_use",
            End::Refusal => "refusal",
        }
    }

    fn sequence(&self) -> Value {
        match &self.answer.end {
            End::Sequence(s) => json!(s),
            _ => Value::Null,
        }
    }

    fn events(&self) -> Vec<Bytes> {
        if self.tweak.error_first {
            return vec![error_event()];
        }
        let mut start = self.shell(&json!([]), &Value::Null, &Value::Null);
        start["usage"] = self.usage(1, 0);
        let mut out = vec![event("message_start", &json!({"message": start}))];
        self.blocks(&mut out);
        if let Some(after) = self.tweak.error_after {
            out.truncate(after);
            out.push(error_event());
            return out;
        }
        let details = if self.answer.end == End::Refusal { refusal_details() } else { Value::Null };
        let delta = json!({"stop_reason": self.stop_reason(), "stop_sequence": self.sequence(), "stop_details": details});
        let mut last = json!({"delta": delta});
        if !self.tweak.no_usage {
            last["usage"] = self.usage(self.output_tokens(), self.answer.thinking_tokens);
        }
        for _ in 0..=usize::from(self.tweak.usage_twice) {
            out.push(event("message_delta", &last));
        }
        if !self.tweak.missing_done {
            out.push(event("message_stop", &json!({})));
        }
        out
    }

    fn blocks(&self, out: &mut Vec<Bytes>) {
        let a = &self.answer;
        let mut index = 0;
        let mut block = |start: Value, deltas: Vec<Value>| {
            out.push(event(
                "content_block_start",
                &json!({"index": index, "content_block": start}),
            ));
            if index == 0 {
                out.push(event("ping", &json!({})));
            }
            out.extend(
                deltas
                    .iter()
                    .map(|d| event("content_block_delta", &json!({"index": index, "delta": d}))),
            );
            out.push(event("content_block_stop", &json!({"index": index})));
            index += 1;
        };
        if a.thinking_tokens > 0 {
            let shown = tokens::pieces(self.shown_thinking());
            let mut deltas: Vec<Value> = shown
                .into_iter()
                .map(|p| json!({"type": "thinking_delta", "thinking": p}))
                .collect();
            deltas.push(json!({"type": "signature_delta", "signature": signature(&a.thinking)}));
            block(json!({"type": "thinking", "thinking": "", "signature": ""}), deltas);
        }
        if a.calls.is_empty() && !a.text.is_empty() {
            let deltas = tokens::pieces(&a.text)
                .into_iter()
                .map(|p| json!({"type": "text_delta", "text": p}))
                .collect();
            block(json!({"type": "text", "text": "", "citations": null}), deltas);
        }
        for call in &a.calls {
            let chars: Vec<char> = call.input.to_string().chars().collect();
            let mut deltas = vec![json!({"type": "input_json_delta", "partial_json": ""})];
            deltas.extend(chars.chunks(FRAGMENT).map(|c| json!({"type": "input_json_delta", "partial_json": c.iter().collect::<String>()})));
            block(
                json!({"type": "tool_use", "id": call_id(call), "name": call.name, "input": {}}),
                deltas,
            );
        }
    }
}

fn call_id(call: &Call) -> String {
    format!("toolu_{}", call.id)
}

fn refusal_details() -> Value {
    json!({"type": "refusal", "category": "other", "explanation": "This model always refuses."})
}

/// An event whose name is its type.
fn event(kind: &str, fields: &Value) -> Bytes {
    let mut data = json!({"type": kind});
    if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
        data.extend(fields.clone());
    }
    Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
}

fn error_event() -> Bytes {
    let mut data = super::error_json(&Refused::new(529, "Overloaded (by design)"));
    if let Value::Object(map) = &mut data {
        map.remove("request_id");
    }
    Bytes::from(format!("event: error\ndata: {data}\n\n"))
}
