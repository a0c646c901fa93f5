//! Answers as chat completions, whole or as a stream of chunks.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::hosts::Host;
use crate::ask::{Answer, Ask, Call, End, Refused};
use crate::demo::{Demo, Reply};
use crate::lorem;
use crate::model;
use crate::tokens;
use crate::tweak::Tweak;

/// Characters of tool arguments in one streamed fragment.
const FRAGMENT: usize = 12;

struct Writer<'a> {
    ask: &'a Ask,
    body: &'a Value,
    tweak: &'a Tweak,
    id: String,
    model: &'a str,
    answers: Vec<Answer>,
}

pub(super) fn reply(
    demo: &Demo,
    ask: &Ask,
    body: &Value,
    named: &str,
    tweak: &Tweak,
    cut: bool,
) -> Reply {
    let answers = (0..ask.n).map(|i| with_text(model::answer(ask, i), tweak)).collect();
    let id = format!("{:016x}", lorem::hash(body.to_string().as_bytes()));
    let writer = Writer { ask, body, tweak, id, model: named, answers };
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
        body: demo.whole(&ask.model, writer.completion().to_string().into_bytes(), tweak, cut),
    }
}

pub(crate) fn with_text(mut answer: Answer, tweak: &Tweak) -> Answer {
    if let Some(text) = &tweak.text {
        answer.text.clone_from(text);
        answer.tokens = tokens::count(text);
        answer.calls.clear();
        answer.end = End::Stop;
    }
    answer
}

impl Writer<'_> {
    fn completion(&self) -> Value {
        let choices: Vec<Value> =
            self.answers.iter().enumerate().map(|(i, a)| self.choice(i, a)).collect();
        let mut out = json!({
            "id": format!("chatcmpl-{}", self.id), "object": "chat.completion", "created": super::CREATED,
            "model": self.model, "choices": choices, "service_tier": "default", "system_fingerprint": "fp_fake",
        });
        if !self.tweak.no_usage {
            out["usage"] = self.usage();
        }
        out
    }

    fn choice(&self, index: usize, a: &Answer) -> Value {
        let refused = a.end == End::Refusal;
        let no_text = refused || !a.calls.is_empty();
        let mut message = json!({
            "role": "assistant",
            "content": if no_text { Value::Null } else { json!(a.text) },
            "refusal": if refused { json!(a.text) } else { Value::Null },
            "annotations": [],
        });
        if !a.calls.is_empty() {
            message["tool_calls"] = a.calls.iter().map(whole_call).collect();
        }
        if let Some(field) = self.reasoning_field()
            && !a.thinking.is_empty()
        {
            message[field] = json!(a.thinking);
        }
        if self.tweak.host == Some(Host::OpenRouter) && !a.thinking.is_empty() {
            message["reasoning_details"] = json!([signed(Some(&a.thinking))]);
        }
        json!({"index": index, "message": message, "logprobs": self.logprobs(&a.text), "finish_reason": finish(&a.end)})
    }

    fn usage(&self) -> Value {
        let told = &self.tweak.usage;
        let cached = told.cached.unwrap_or(self.ask.input.cache_read);
        let written = told.cache_write.unwrap_or(0);
        let fresh = told.input.unwrap_or(self.ask.input.fresh);
        let thought =
            told.reasoning.unwrap_or_else(|| self.answers.iter().map(|a| a.thinking_tokens).sum());
        let counted = self.answers.iter().map(|a| a.tokens + a.thinking_tokens).sum();
        let bound = self.ask.max_output.filter(|_| self.tweak.exact).map(|m| m * self.ask.n);
        let output = told.output.or(bound).unwrap_or(counted);
        let input = fresh + cached + written;
        let mut usage = json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
        });
        if let Some(host) = self.tweak.host {
            host.usage(&mut usage);
        }
        usage
    }

    fn reasoning_field(&self) -> Option<&str> {
        let told = self.tweak.reasoning_field.as_deref();
        told.or_else(|| self.tweak.host?.reasoning_field())
    }

    /// Log probabilities when asked for: derived from each token's own bytes.
    fn logprobs(&self, text: &str) -> Value {
        if self.body.get("logprobs") != Some(&Value::Bool(true)) || text.is_empty() {
            return Value::Null;
        }
        let top = self.body.get("top_logprobs").and_then(Value::as_u64).unwrap_or(0);
        let content: Vec<Value> =
            tokens::pieces(text).into_iter().map(|p| token_logprob(p, top)).collect();
        json!({"content": content, "refusal": null})
    }

    fn asked_usage(&self) -> bool {
        let asked = self.body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
        self.tweak.host.map_or(asked, |host| host.streams_usage(asked)) && !self.tweak.no_usage
    }

    fn events(&self) -> Vec<Bytes> {
        let mut out = Vec::new();
        if self.tweak.error_first {
            return vec![error_event(), done()];
        }
        out.extend(self.tweak.host.and_then(Host::comment));
        for (index, answer) in self.answers.iter().enumerate() {
            self.answer_events(index, answer, &mut out);
        }
        if let Some(after) = self.tweak.error_after {
            out.truncate(after);
            out.push(error_event());
            return out;
        }
        if self.asked_usage() {
            let usage = self.usage();
            for _ in 0..=usize::from(self.tweak.usage_twice) {
                out.push(self.chunk(&json!([]), &usage));
            }
        }
        if !self.tweak.missing_done {
            out.push(done());
        }
        out
    }

    fn answer_events(&self, index: usize, a: &Answer, out: &mut Vec<Bytes>) {
        let refused = a.end == End::Refusal;
        let first = if a.calls.is_empty() && !refused { json!("") } else { Value::Null };
        let mut delta = |delta: Value, logprobs: Value, finish: Value| {
            let choice = json!([{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}]);
            out.push(self.chunk(&choice, &Value::Null));
        };
        delta(
            json!({"role": "assistant", "content": first, "refusal": null}),
            Value::Null,
            Value::Null,
        );
        if let Some(field) = self.reasoning_field() {
            for piece in tokens::pieces(&a.thinking) {
                delta(one(field, piece), Value::Null, Value::Null);
            }
        }
        if self.tweak.host == Some(Host::OpenRouter) && !a.thinking.is_empty() {
            delta(json!({"reasoning_details": [signed(None)]}), Value::Null, Value::Null);
        }
        if a.calls.is_empty() {
            let field = if refused { "refusal" } else { "content" };
            for piece in tokens::pieces(&a.text) {
                delta(one(field, piece), self.logprobs(piece), Value::Null);
            }
        }
        for (at, call) in a.calls.iter().enumerate() {
            for fragment in call_fragments(at, call) {
                delta(json!({"tool_calls": [fragment]}), Value::Null, Value::Null);
            }
        }
        delta(json!({}), Value::Null, json!(finish(&a.end)));
    }

    fn chunk(&self, choices: &Value, usage: &Value) -> Bytes {
        let mut out = json!({
            "id": format!("chatcmpl-{}", self.id), "object": "chat.completion.chunk", "created": super::CREATED,
            "model": self.model, "service_tier": "default", "system_fingerprint": "fp_fake", "choices": choices,
        });
        if self.asked_usage() {
            out["usage"] = usage.clone();
        }
        Bytes::from(format!("data: {out}\n\n"))
    }
}

fn one(field: &str, text: &str) -> Value {
    Value::Object(Map::from_iter([(field.to_owned(), json!(text))]))
}

fn done() -> Bytes {
    Bytes::from_static(b"data: [DONE]\n\n")
}

fn error_event() -> Bytes {
    let refused =
        Refused::new(500, "The server had an error while processing your request. (By design.)");
    Bytes::from(format!("data: {}\n\n", super::error_json(&refused)))
}

fn finish(end: &End) -> &'static str {
    match end {
        End::Stop | End::Sequence(_) | End::Refusal => "stop",
        End::Length => "length",
        End::Tools => "tool_calls",
    }
}

pub(crate) fn call_id(call: &Call) -> String {
    format!("call_{}", call.id)
}

/// The arguments as OpenAI carries them: a string.
pub(crate) fn arguments(call: &Call) -> String {
    match &call.input {
        Value::String(free) if call.custom => free.clone(),
        input => input.to_string(),
    }
}

fn whole_call(call: &Call) -> Value {
    if call.custom {
        return json!({"id": call_id(call), "type": "custom", "custom": {"name": call.name, "input": arguments(call)}});
    }
    json!({"id": call_id(call), "type": "function", "function": {"name": call.name, "arguments": arguments(call)}})
}

/// First id, type and name with empty arguments, then the arguments in fragments.
fn call_fragments(index: usize, call: &Call) -> Vec<Value> {
    let (kind, field) = if call.custom { ("custom", "input") } else { ("function", "arguments") };
    let mut head = json!({"index": index, "id": call_id(call), "type": kind});
    head[kind] = json!({"name": call.name});
    head[kind][field] = json!("");
    let mut out = vec![head];
    let chars: Vec<char> = arguments(call).chars().collect();
    for part in chars.chunks(FRAGMENT) {
        let mut fragment = json!({"index": index});
        fragment[kind] = one(field, &part.iter().collect::<String>());
        out.push(fragment);
    }
    out
}

pub(crate) fn token_logprob(token: &str, top: u64) -> Value {
    // In hundredths, so that no float arithmetic is needed to be deterministic.
    let base = lorem::hash(token.as_bytes()) % 100;
    let entry = |token: &str, rank: u64| {
        let hundredths = base + 150 * rank;
        json!({"token": token, "logprob": -(hundredths as f64) / 100.0, "bytes": token.as_bytes()})
    };
    let mut out = entry(token, 0);
    let ranks = (0..top)
        .map(|rank| if rank == 0 { entry(token, 0) } else { entry(&format!("alt{rank}"), rank) });
    out["top_logprobs"] = ranks.collect();
    out
}

/// What OpenRouter says another vendor signed: `reasoning.text` of its documentation of reasoning tokens.
fn signed(text: Option<&str>) -> Value {
    let mut detail = json!({"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0,
        "signature": "c2lnbmVk"});
    if let Some(text) = text {
        detail["text"] = text.into();
    }
    detail
}
