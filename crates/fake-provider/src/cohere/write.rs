//! Answers as v2 chat has them, whole or as a stream of named events.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::ask::{Answer, Ask, Call, End};
use crate::demo::{Demo, Reply};
use crate::lorem;
use crate::model;
use crate::tokens;
use crate::tweak::Tweak;

/// Characters of tool arguments in one streamed fragment.
const FRAGMENT: usize = 12;
/// What the vendor adds to a prompt, and does not bill.
const PREAMBLE: u64 = 60;

struct Writer<'a> {
    ask: &'a Ask,
    body: &'a Value,
    tweak: &'a Tweak,
    id: String,
    answer: Answer,
}

pub(super) fn reply(demo: &Demo, ask: &Ask, body: &Value, tweak: &Tweak, cut: bool) -> Reply {
    let mut answer = model::answer(ask, 0);
    if let Some(text) = &tweak.text {
        answer.text.clone_from(text);
        answer.tokens = tokens::count(text);
        answer.calls.clear();
        answer.end = End::Stop;
    }
    let hash = lorem::hash(body.to_string().as_bytes());
    let id = format!("{:08x}-0000-4000-8000-{:012x}", hash >> 32, hash & 0xffff_ffff_ffff);
    let writer = Writer { ask, body, tweak, id, answer };
    if ask.stream {
        let headers = vec![
            ("content-type", "text/event-stream".to_owned()),
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
        body: demo.whole(&ask.model, writer.whole().to_string().into_bytes(), tweak, cut),
    }
}

impl Writer<'_> {
    fn whole(&self) -> Value {
        let a = &self.answer;
        let mut message = json!({"role": "assistant"});
        let mut content = Vec::new();
        if a.thinking_tokens > 0 {
            content.push(json!({"type": "thinking", "thinking": a.thinking}));
        }
        if a.calls.is_empty() {
            content.push(json!({"type": "text", "text": a.text}));
        } else {
            message["tool_calls"] = a.calls.iter().map(call).collect();
            if let Some(plan) = self.plan() {
                message["tool_plan"] = json!(plan);
            }
        }
        if !content.is_empty() {
            message["content"] = Value::Array(content);
        }
        let mut out = json!({"id": self.id, "finish_reason": self.finish(), "message": message});
        if !self.tweak.no_usage {
            out["usage"] = self.usage();
        }
        if self.wants_logprobs() {
            out["logprobs"] = tokens::pieces(&a.text).into_iter().map(logprob).collect();
        }
        out
    }

    /// What the model says before it calls tools: said to who asks for it.
    fn plan(&self) -> Option<String> {
        let names: Vec<&str> = self.answer.calls.iter().map(|c| c.name.as_str()).collect();
        let asked = self.ask.text.starts_with("say your plan") && !names.is_empty();
        asked.then(|| format!("I will call {}.", names.join(" and ")))
    }

    fn finish(&self) -> &'static str {
        match self.answer.end {
            End::Stop | End::Refusal => "COMPLETE",
            End::Sequence(_) => "STOP_SEQUENCE",
            End::Length => "MAX_TOKENS",
            End::Tools => "TOOL_CALL",
        }
    }

    fn wants_logprobs(&self) -> bool {
        self.body.get("logprobs") == Some(&Value::Bool(true))
    }

    /// Counts come as floats, as the vendor's SDK types them.
    fn usage(&self) -> Value {
        let told = &self.tweak.usage;
        let input = &self.ask.input;
        let cached = told.cached.unwrap_or(input.cache_read);
        let billed = told.input.unwrap_or(input.fresh) + cached;
        let counted = self.answer.tokens + self.answer.thinking_tokens;
        let bound = self.ask.max_output.filter(|_| self.tweak.exact);
        let output = told.output.or(bound).unwrap_or(counted);
        let figure = |n: u64| json!(n as f64);
        json!({
            "billed_units": {"input_tokens": figure(billed), "output_tokens": figure(output)},
            "tokens": {"input_tokens": figure(billed + PREAMBLE), "output_tokens": figure(output + 2)},
            "cached_tokens": figure(cached),
        })
    }

    fn events(&self) -> Vec<Bytes> {
        let message = json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
        let start =
            event(&json!({"id": self.id, "type": "message-start", "delta": {"message": message}}));
        if self.tweak.error_first {
            return vec![self.failed()];
        }
        let mut out = vec![start];
        self.content(&mut out);
        self.calls(&mut out);
        if let Some(after) = self.tweak.error_after {
            out.truncate(after);
            out.push(self.failed());
            return out;
        }
        let mut delta = json!({"finish_reason": self.finish()});
        if !self.tweak.no_usage {
            delta["usage"] = self.usage();
        }
        if !self.tweak.missing_done {
            out.push(event(&json!({"type": "message-end", "delta": delta})));
        }
        out
    }

    fn failed(&self) -> Bytes {
        let delta = json!({"finish_reason": "ERROR", "error": "generation failed, by design"});
        event(&json!({"id": self.id, "type": "message-end", "delta": delta}))
    }

    fn content(&self, out: &mut Vec<Bytes>) {
        let a = &self.answer;
        let mut index = 0;
        let mut block = |kind: &str, text: &str, logprobs: bool| {
            let content = |map: Value| json!({"message": {"content": map}});
            let start = json!({"type": kind, kind: ""});
            out.push(event(
                &json!({"type": "content-start", "index": index, "delta": content(start)}),
            ));
            for piece in tokens::pieces(text) {
                let delta = content(json!({kind: piece}));
                let mut one = json!({"type": "content-delta", "index": index, "delta": delta});
                if logprobs {
                    one["logprobs"] = logprob(piece);
                }
                out.push(event(&one));
            }
            out.push(event(&json!({"type": "content-end", "index": index})));
            index += 1;
        };
        if a.thinking_tokens > 0 {
            block("thinking", &a.thinking, false);
        }
        if a.calls.is_empty() {
            block("text", &a.text, self.wants_logprobs());
        }
    }

    fn calls(&self, out: &mut Vec<Bytes>) {
        let plan = self.plan().unwrap_or_default();
        for piece in tokens::pieces(&plan) {
            let delta = json!({"message": {"tool_plan": piece}});
            out.push(event(&json!({"type": "tool-plan-delta", "delta": delta})));
        }
        for (index, one) in self.answer.calls.iter().enumerate() {
            let mut start = call(one);
            start["function"]["arguments"] = json!("");
            let mut push = |kind: &str, calls: Value| {
                let delta = json!({"message": {"tool_calls": calls}});
                out.push(event(&json!({"type": kind, "index": index, "delta": delta})));
            };
            push("tool-call-start", start);
            let chars: Vec<char> = one.input.to_string().chars().collect();
            for part in chars.chunks(FRAGMENT) {
                let fragment: String = part.iter().collect();
                push("tool-call-delta", json!({"function": {"arguments": fragment}}));
            }
            out.push(event(&json!({"type": "tool-call-end", "index": index})));
        }
    }
}

fn call(call: &Call) -> Value {
    let function = json!({"name": call.name, "arguments": call.input.to_string()});
    json!({"id": format!("{}_{}", call.name, call.id), "type": "function", "function": function})
}

/// Derived from the piece's own bytes, in hundredths, so that no float arithmetic is needed to be deterministic.
fn logprob(piece: &str) -> Value {
    let hash = lorem::hash(piece.as_bytes());
    let figure = -((hash % 100) as f64) / 100.0;
    json!({"text": piece, "token_ids": [hash % 250_000], "logprobs": [figure]})
}

/// An event whose name is its type.
fn event(data: &Value) -> Bytes {
    let kind = data.get("type").and_then(Value::as_str).unwrap_or_default();
    Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
}
