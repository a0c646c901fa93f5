//! Answers as responses, whole or as a stream of numbered events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{present, sealed, text};
use crate::ask::{Answer, Ask, Call, End};
use crate::demo::{Demo, Reply};
use crate::lorem;
use crate::model;
use crate::openai::CREATED;
use crate::openai::write::{arguments, call_id, token_logprob, with_text};
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
    let answer = with_text(model::answer(ask, 0), tweak);
    let id = format!("{:016x}", lorem::hash(body.to_string().as_bytes()));
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
    let whole = writer.response(true, &writer.output()).to_string().into_bytes();
    Reply {
        status: 200,
        headers: vec![("content-type", "application/json".to_owned())],
        body: demo.whole(&ask.model, whole, tweak, cut),
    }
}

impl Writer<'_> {
    /// The response as it begins, or as it ends. What was asked is repeated.
    fn response(&self, ended: bool, output: &[Value]) -> Value {
        let cut = ended && self.answer.end == End::Length;
        let status = match (ended, cut) {
            (false, _) => "in_progress",
            (true, true) => "incomplete",
            (true, false) => "completed",
        };
        let usage = if ended && !self.tweak.no_usage { self.usage() } else { Value::Null };
        let echo = |name: &str, usual: Value| present(self.body, name).cloned().unwrap_or(usual);
        json!({
            "id": format!("resp_{}", self.id), "object": "response", "created_at": CREATED, "status": status,
            "background": false, "error": null,
            "incomplete_details": if cut { json!({"reason": "max_output_tokens"}) } else { Value::Null },
            "instructions": echo("instructions", Value::Null), "max_output_tokens": self.ask.max_output,
            "metadata": echo("metadata", json!({})), "model": self.model, "output": output,
            "parallel_tool_calls": self.ask.parallel, "previous_response_id": null,
            "reasoning": echo("reasoning", json!({"effort": null, "summary": null})),
            "service_tier": "default", "store": echo("store", json!(true)),
            "temperature": echo("temperature", json!(1.0)), "text": echo("text", json!({"format": {"type": "text"}})),
            "tool_choice": echo("tool_choice", json!("auto")), "tools": echo("tools", json!([])),
            "top_p": echo("top_p", json!(1.0)), "truncation": "disabled", "usage": usage, "user": null,
        })
    }

    fn usage(&self) -> Value {
        let told = &self.tweak.usage;
        let cached = told.cached.unwrap_or(self.ask.input.cache_read);
        let written = told.cache_write.unwrap_or(0);
        let fresh = told.input.unwrap_or(self.ask.input.fresh);
        let thought = told.reasoning.unwrap_or(self.answer.thinking_tokens);
        let counted = self.answer.tokens + self.answer.thinking_tokens;
        let bound = self.ask.max_output.filter(|_| self.tweak.exact);
        let output = told.output.or(bound).unwrap_or(counted);
        let input = fresh + cached + written;
        json!({
            "input_tokens": input,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "output_tokens": output, "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": input + output,
        })
    }

    fn item_id(&self, prefix: &str, at: usize) -> String {
        format!("{prefix}_{}{at:02}", self.id)
    }

    fn output(&self) -> Vec<Value> {
        let mut out = Vec::new();
        let answer = &self.answer;
        if answer.thinking_tokens > 0 {
            out.push(self.reasoning(out.len()));
        }
        if answer.calls.is_empty() && !answer.text.is_empty() {
            let status = if answer.end == End::Length { "incomplete" } else { "completed" };
            let id = self.item_id("msg", out.len());
            out.push(json!({"type": "message", "id": id, "role": "assistant", "status": status, "content": [self.part(&answer.text)]}));
        }
        for call in &answer.calls {
            out.push(self.call(out.len(), call, "completed", &arguments(call)));
        }
        out
    }

    /// Summarised where that was asked for; encrypted always.
    fn reasoning(&self, at: usize) -> Value {
        let id = self.item_id("rs", at);
        let summary = match self.summary() {
            Some(text) => json!([{"type": "summary_text", "text": text}]),
            None => json!([]),
        };
        json!({"type": "reasoning", "id": id, "summary": summary, "encrypted_content": sealed(&id)})
    }

    fn summary(&self) -> Option<&str> {
        let asked = present(self.body, "reasoning").is_some_and(|it| text(it, "summary").is_some());
        asked.then_some(self.answer.thinking.as_str())
    }

    fn part(&self, said: &str) -> Value {
        if self.answer.end == End::Refusal {
            return json!({"type": "refusal", "refusal": said});
        }
        json!({"type": "output_text", "text": said, "annotations": [], "logprobs": self.logprobs(said)})
    }

    fn call(&self, at: usize, call: &Call, status: &str, input: &str) -> Value {
        let (kind, field, prefix) = if call.custom {
            ("custom_tool_call", "input", "ctc")
        } else {
            ("function_call", "arguments", "fc")
        };
        let mut item = json!({"type": kind, "id": self.item_id(prefix, at), "call_id": call_id(call), "name": call.name, "status": status});
        item[field] = json!(input);
        item
    }

    /// Log probabilities when asked for: derived from each token's own bytes.
    fn logprobs(&self, said: &str) -> Value {
        let include = self.body.get("include").and_then(Value::as_array);
        let asked = include.is_some_and(|it| it.contains(&json!("message.output_text.logprobs")));
        if !asked {
            return json!([]);
        }
        let top = self.body.get("top_logprobs").and_then(Value::as_u64).unwrap_or(0);
        tokens::pieces(said).into_iter().map(|piece| token_logprob(piece, top)).collect()
    }

    fn events(&self) -> Vec<Bytes> {
        let mut out = Events::default();
        if self.tweak.error_first {
            out.push("error", json!({"code": "server_error", "message": "The server had an error, by design.", "param": null}));
            return out.events;
        }
        let begun = self.response(false, &[]);
        out.push("response.created", json!({"response": begun.clone()}));
        out.push("response.in_progress", json!({"response": begun}));
        let items = self.output();
        for (at, item) in items.iter().enumerate() {
            self.item_events(at, item, &mut out);
        }
        if let Some(after) = self.tweak.error_after {
            out.events.truncate(after);
            out.next = after;
            let mut failed = self.response(false, &[]);
            failed["status"] = json!("failed");
            failed["error"] =
                json!({"code": "server_error", "message": "The server had an error, by design."});
            out.push("response.failed", json!({"response": failed}));
            return out.events;
        }
        if !self.tweak.missing_done {
            let name = if self.answer.end == End::Length {
                "response.incomplete"
            } else {
                "response.completed"
            };
            out.push(name, json!({"response": self.response(true, &items)}));
        }
        out.events
    }

    fn item_events(&self, at: usize, item: &Value, out: &mut Events) {
        let id = text(item, "id").unwrap_or_default();
        let place = |fields: Value| {
            let mut all = json!({"item_id": id, "output_index": at});
            if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
                all.extend(fields);
            }
            all
        };
        let mut begun = item.clone();
        for (field, empty) in [
            ("content", json!([])),
            ("summary", json!([])),
            ("arguments", json!("")),
            ("input", json!("")),
        ] {
            if let Some(value) = begun.get_mut(field) {
                *value = empty;
            }
        }
        if begun.get("status").is_some() {
            begun["status"] = json!("in_progress");
        }
        out.push("response.output_item.added", json!({"output_index": at, "item": begun}));
        match text(item, "type") {
            Some("message") => self.text_events(item, place, out),
            Some("reasoning") => self.summary_events(place, out),
            Some(kind) => {
                let (name, field) = if kind == "function_call" {
                    ("response.function_call_arguments", "arguments")
                } else {
                    ("response.custom_tool_call_input", "input")
                };
                let input = text(item, field).unwrap_or_default();
                let letters: Vec<char> = input.chars().collect();
                for piece in letters.chunks(FRAGMENT) {
                    let piece: String = piece.iter().collect();
                    out.push(
                        &format!("{name}.delta"),
                        place(json!({"delta": piece, "obfuscation": "x"})),
                    );
                }
                let mut done = json!({});
                done[field] = json!(input);
                out.push(&format!("{name}.done"), place(done));
            }
            None => {}
        }
        out.push("response.output_item.done", json!({"output_index": at, "item": item}));
    }

    fn text_events(&self, item: &Value, place: impl Fn(Value) -> Value, out: &mut Events) {
        let part = item.pointer("/content/0").cloned().unwrap_or_default();
        let refused = self.answer.end == End::Refusal;
        let field = if refused { "refusal" } else { "text" };
        let mut empty = part.clone();
        empty[field] = json!("");
        if !refused {
            empty["logprobs"] = json!([]);
        }
        out.push("response.content_part.added", place(json!({"content_index": 0, "part": empty})));
        let name = if refused { "response.refusal" } else { "response.output_text" };
        for piece in tokens::pieces(&self.answer.text) {
            let mut delta = json!({"content_index": 0, "delta": piece, "obfuscation": "x"});
            if !refused {
                delta["logprobs"] = self.logprobs(piece);
            }
            out.push(&format!("{name}.delta"), place(delta));
        }
        let mut done = json!({"content_index": 0});
        done[field] = json!(self.answer.text);
        if !refused {
            done["logprobs"] = part["logprobs"].clone();
        }
        out.push(&format!("{name}.done"), place(done));
        out.push("response.content_part.done", place(json!({"content_index": 0, "part": part})));
    }

    fn summary_events(&self, place: impl Fn(Value) -> Value, out: &mut Events) {
        let Some(whole) = self.summary() else { return };
        let part = |said: &str| json!({"summary_index": 0, "part": {"type": "summary_text", "text": said}});
        out.push("response.reasoning_summary_part.added", place(part("")));
        for piece in tokens::pieces(whole) {
            let delta = json!({"summary_index": 0, "delta": piece});
            out.push("response.reasoning_summary_text.delta", place(delta));
        }
        let done = json!({"summary_index": 0, "text": whole});
        out.push("response.reasoning_summary_text.done", place(done));
        out.push("response.reasoning_summary_part.done", place(part(whole)));
    }
}

/// Events, each named like its type and numbered.
#[derive(Default)]
struct Events {
    events: Vec<Bytes>,
    next: usize,
}

impl Events {
    fn push(&mut self, kind: &str, fields: Value) {
        let mut data = json!({"type": kind, "sequence_number": self.next});
        if let (Value::Object(data), Value::Object(fields)) = (&mut data, fields) {
            data.extend(fields);
        }
        self.next += 1;
        self.events.push(Bytes::from(format!("event: {kind}\ndata: {data}\n\n")));
    }
}
