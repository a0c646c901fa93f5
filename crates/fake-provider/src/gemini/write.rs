//! Answers, whole or as a stream whose chunks are whole answers themselves.

use bytes::Bytes;
use serde_json::{Value, json};

use super::contents::signature;
use crate::ask::{Answer, Ask, Call, End, Refused};
use crate::demo::{Demo, Reply};
use crate::lorem;
use crate::model;
use crate::tokens;
use crate::tweak::Tweak;

/// A prompt with these words in it is blocked before any model sees it.
const BLOCKED: &str = "BLOCK THIS PROMPT";

/// How the chunks of a stream are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-sent events.
    Events,
    /// One array.
    Array,
}

struct Writer<'a> {
    ask: &'a Ask,
    tweak: &'a Tweak,
    model: &'a str,
    id: String,
    shows_thoughts: bool,
    answers: Vec<Answer>,
}

pub(super) fn reply(
    demo: &Demo,
    ask: &Ask,
    named: &str,
    (form, shows_thoughts): (Form, bool),
    tweak: &Tweak,
    cut: bool,
) -> Reply {
    let mut answers: Vec<Answer> = (0..ask.n).map(|index| model::answer(ask, index)).collect();
    if let Some(text) = &tweak.text {
        for answer in &mut answers {
            answer.text.clone_from(text);
            answer.tokens = tokens::count(text);
            answer.calls.clear();
            answer.end = End::Stop;
        }
    }
    let id = format!("{:016x}", lorem::mix(ask.seed));
    let writer = Writer { ask, tweak, model: named, id, shows_thoughts, answers };
    let json = "application/json; charset=UTF-8";
    let kind = if ask.stream && form == Form::Events { "text/event-stream" } else { json };
    let headers = vec![("content-type", kind.to_owned())];
    let body = if ask.stream {
        demo.timed(&ask.model, writer.stream(form), tweak, cut)
    } else {
        demo.whole(&ask.model, writer.whole().to_string().into_bytes(), tweak, cut)
    };
    Reply { status: 200, headers, body }
}

impl Writer<'_> {
    fn shell(&self, candidates: Vec<Value>) -> Value {
        let mut out = json!({"modelVersion": self.model, "responseId": self.id});
        if !candidates.is_empty() {
            out["candidates"] = Value::Array(candidates);
        }
        out
    }

    fn is_blocked(&self) -> bool {
        self.ask.text.contains(BLOCKED)
    }

    fn blocked(&self) -> Value {
        let mut out = self.shell(Vec::new());
        out["promptFeedback"] = json!({"blockReason": "PROHIBITED_CONTENT"});
        let input = self.tweak.usage.input.unwrap_or(self.ask.input.total());
        out["usageMetadata"] = json!({"promptTokenCount": input, "totalTokenCount": input});
        out
    }

    fn whole(&self) -> Value {
        if self.is_blocked() {
            return self.blocked();
        }
        let candidates = self.answers.iter().enumerate().map(|(index, answer)| {
            let mut content = json!({"role": "model"});
            let parts = self.parts(answer);
            if !parts.is_empty() {
                content["parts"] = Value::Array(parts);
            }
            json!({"content": content, "finishReason": finish(&answer.end), "index": index})
        });
        let mut out = self.shell(candidates.collect());
        if !self.tweak.no_usage {
            out["usageMetadata"] = self.usage(true);
        }
        out
    }

    /// The parts of a whole answer. A signature stands with the first call, or else with the last part.
    fn parts(&self, answer: &Answer) -> Vec<Value> {
        let mut out = Vec::new();
        if answer.thinking_tokens > 0 && self.shows_thoughts {
            out.push(json!({"text": answer.thinking, "thought": true}));
        }
        if answer.end == End::Refusal {
            return out;
        }
        if answer.calls.is_empty() && !answer.text.is_empty() {
            let mut part = json!({"text": answer.text});
            if answer.thinking_tokens > 0 {
                part["thoughtSignature"] = signature(&answer.text).into();
            }
            out.push(part);
        }
        out.extend(calls(&answer.calls));
        out
    }

    fn usage(&self, at_end: bool) -> Value {
        let told = &self.tweak.usage;
        let cached = told.cached.unwrap_or(self.ask.input.cache_read);
        let input = told.input.unwrap_or(self.ask.input.fresh) + cached;
        let thought: u64 = self.answers.iter().map(|answer| answer.thinking_tokens).sum();
        let thought = told.reasoning.unwrap_or(thought);
        let counted: u64 = self.answers.iter().map(|answer| answer.tokens).sum();
        let bound = self.ask.max_output.filter(|_| self.tweak.exact);
        let spoken = told.output.or(bound).map_or(counted, |all| all.saturating_sub(thought));
        let mut out = json!({"promptTokenCount": input, "totalTokenCount": input,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": input}]});
        if cached > 0 {
            out["cachedContentTokenCount"] = cached.into();
        }
        if at_end {
            out["candidatesTokenCount"] = spoken.into();
            if thought > 0 {
                out["thoughtsTokenCount"] = thought.into();
            }
            out["totalTokenCount"] = (input + spoken + thought).into();
        }
        out
    }

    /// The chunks of a stream, each as it goes out.
    fn stream(&self, form: Form) -> Vec<Bytes> {
        let mut chunks = self.chunks();
        if let Some(after) = self.tweak.error_after {
            chunks.truncate(after);
            chunks.push(error_chunk());
        }
        let last = chunks.len().saturating_sub(1);
        let frame = |(at, chunk): (usize, Value)| {
            Bytes::from(match form {
                Form::Events => format!("data: {chunk}\r\n\r\n"),
                Form::Array => {
                    let (before, after) = (
                        if at == 0 { "[" } else { ",\r\n" },
                        if at == last { "\n]\n" } else { "\n" },
                    );
                    format!("{before}{chunk}{after}")
                }
            })
        };
        chunks.into_iter().enumerate().map(frame).collect()
    }

    fn chunks(&self) -> Vec<Value> {
        if self.tweak.error_first {
            return vec![error_chunk()];
        }
        if self.is_blocked() {
            return vec![self.blocked()];
        }
        let mut out = Vec::new();
        for (index, answer) in self.answers.iter().enumerate() {
            let mut say = |parts: Value| {
                let content = json!({"parts": parts, "role": "model"});
                let mut chunk = self.shell(vec![json!({"content": content, "index": index})]);
                if !self.tweak.no_usage {
                    chunk["usageMetadata"] = self.usage(false);
                }
                out.push(chunk);
            };
            if self.shows_thoughts {
                for piece in tokens::pieces(&answer.thinking) {
                    say(json!([{"text": piece, "thought": true}]));
                }
            }
            if answer.end == End::Refusal {
                continue;
            }
            if answer.calls.is_empty() {
                for piece in tokens::pieces(&answer.text) {
                    say(json!([{"text": piece}]));
                }
            } else {
                say(Value::Array(calls(&answer.calls)));
            }
        }
        if self.tweak.missing_done {
            return out;
        }
        out.push(self.last());
        out
    }

    /// The chunk that says how each candidate ended; the signature of a text comes with it.
    fn last(&self) -> Value {
        let candidates = self.answers.iter().enumerate().map(|(index, answer)| {
            let mut part = json!({"text": ""});
            if answer.thinking_tokens > 0 && answer.calls.is_empty() && answer.end != End::Refusal {
                part["thoughtSignature"] = signature(&answer.text).into();
            }
            json!({"content": {"parts": [part], "role": "model"}, "finishReason": finish(&answer.end), "index": index})
        });
        let mut chunk = self.shell(candidates.collect());
        if !self.tweak.no_usage {
            chunk["usageMetadata"] = self.usage(true);
        }
        chunk
    }
}

/// Calls as parts; ids are optional in the protocol, and this model gives none.
fn calls(calls: &[Call]) -> Vec<Value> {
    let part = |(at, call): (usize, &Call)| {
        let mut part = json!({"functionCall": {"name": call.name, "args": call.input}});
        if at == 0 {
            part["thoughtSignature"] = signature(&call.id).into();
        }
        part
    };
    calls.iter().enumerate().map(part).collect()
}

fn finish(end: &End) -> &'static str {
    match end {
        End::Stop | End::Sequence(_) | End::Tools => "STOP",
        End::Length => "MAX_TOKENS",
        End::Refusal => "SAFETY",
    }
}

fn error_chunk() -> Value {
    super::error_json(&Refused::new(503, "The model is overloaded (by design)."))
}
