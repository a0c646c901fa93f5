//! Answers in each format, whole or as a stream of pieces, each of which is a choice.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Format;
use crate::ask::{Answer, Ask, Call, End, Refused};
use crate::demo::{Demo, Reply};
use crate::lorem;
use crate::model;
use crate::openai::write::{arguments, call_id, token_logprob};
use crate::tokens;
use crate::tweak::Tweak;

/// Characters of tool arguments in one streamed fragment.
const FRAGMENT: usize = 12;

struct Writer<'a> {
    ask: &'a Ask,
    format: Format,
    body: &'a Value,
    tweak: &'a Tweak,
    answers: Vec<Answer>,
}

pub(super) fn reply(
    demo: &Demo,
    ask: &Ask,
    format: Format,
    body: &Value,
    tweak: &Tweak,
    cut: bool,
) -> Reply {
    let mut answers: Vec<Answer> = (0..ask.n).map(|at| model::answer(ask, at)).collect();
    if let (Some(text), Some(first)) = (&tweak.text, answers.first_mut()) {
        first.text.clone_from(text);
        first.tokens = tokens::count(text);
        first.calls.clear();
        first.end = End::Stop;
    }
    let writer = Writer { ask, format, body, tweak, answers };
    let (kind, body) = if ask.stream {
        ("text/event-stream", demo.timed(&ask.model, writer.events(), tweak, cut))
    } else {
        let whole = writer.whole().to_string().into_bytes();
        ("application/json", demo.whole(&ask.model, whole, tweak, cut))
    };
    Reply { status: 200, headers: vec![("content-type", kind.to_owned())], body }
}

impl Writer<'_> {
    fn whole(&self) -> Value {
        let mut chat = match self.format {
            Format::Generic => {
                let choices: Vec<Value> = (0..)
                    .zip(&self.answers)
                    .map(|(at, it)| {
                        let mut choice = json!({"index": at, "message": generic_message(it),
                            "finishReason": self.finish(it)});
                        if let Some(figures) = self.logprobs(&it.text) {
                            choice["logprobs"] = figures;
                        }
                        choice
                    })
                    .collect();
                json!({"timeCreated": "2026-09-21T10:00:00.000Z", "choices": choices})
            }
            Format::Cohere => {
                let hash = lorem::hash(self.body.to_string().as_bytes());
                let mut chat = self.last(&Answer::default(), cohere_message);
                chat["id"] = json!(format!("{hash:016x}"));
                chat
            }
            Format::FirstCohere => self.last(&Answer::default(), first_message),
        };
        chat["apiFormat"] = json!(self.format_word());
        if !self.tweak.no_usage {
            chat["usage"] = self.usage();
        }
        let model = super::named(self.body).0;
        json!({"modelId": model, "modelVersion": "1.0", "chatResponse": chat})
    }

    /// What Cohere's formats say at the end: the answer once more, and why it ended.
    fn last(&self, none: &Answer, message: impl Fn(&Answer) -> Value) -> Value {
        let answer = self.answers.first().unwrap_or(none);
        let mut out = message(answer);
        out["finishReason"] = json!(self.finish(answer));
        if self.body.pointer("/chatRequest/isLogProbsEnabled") == Some(&Value::Bool(true)) {
            let pieces = tokens::pieces(&answer.text).into_iter().map(cohere_logprob);
            out["logProbabilities"] = pieces.collect();
        }
        out
    }

    fn format_word(&self) -> &'static str {
        match self.format {
            Format::Generic => "GENERIC",
            Format::Cohere => "COHEREV2",
            Format::FirstCohere => "COHERE",
        }
    }

    fn finish(&self, answer: &Answer) -> &'static str {
        match (self.format, &answer.end) {
            (Format::Generic, End::Stop | End::Sequence(_) | End::Refusal) => "stop",
            (Format::Generic, End::Length) => "length",
            (Format::Generic, End::Tools) => "tool_calls",
            (Format::Cohere, End::Sequence(_)) => "STOP_SEQUENCE",
            (Format::Cohere, End::Tools) => "TOOL_CALL",
            (_, End::Length) => "MAX_TOKENS",
            _ => "COMPLETE",
        }
    }

    fn usage(&self) -> Value {
        let told = &self.tweak.usage;
        let cached = told.cached.unwrap_or(self.ask.input.cache_read);
        let input = told.input.unwrap_or(self.ask.input.fresh) + cached;
        let thought = self.answers.iter().map(|it| it.thinking_tokens).sum();
        let thought: u64 = told.reasoning.unwrap_or(thought);
        let counted = self.answers.iter().map(|it| it.tokens + it.thinking_tokens).sum();
        let bound = self.ask.max_output.filter(|_| self.tweak.exact).map(|it| it * self.ask.n);
        let output: u64 = told.output.or(bound).unwrap_or(counted);
        let details = json!({"acceptedPredictionTokens": 0, "reasoningTokens": thought,
            "rejectedPredictionTokens": 0});
        json!({"promptTokens": input, "completionTokens": output, "totalTokens": input + output,
            "promptTokensDetails": {"cachedTokens": cached}, "completionTokensDetails": details})
    }

    /// Log probabilities when asked for: lists side by side, the figures of other tokens in texts.
    fn logprobs(&self, text: &str) -> Option<Value> {
        let most = self.body.pointer("/chatRequest/logProbs").and_then(Value::as_u64)?;
        let (mut tokens, mut own, mut tops, mut offsets) = (vec![], vec![], vec![], vec![]);
        let mut offset = 0;
        for piece in tokens::pieces(text) {
            let figure = token_logprob(piece, most);
            let of =
                |it: &Value| (it["token"].as_str().map(str::to_owned), it["logprob"].to_string());
            let top = figure["top_logprobs"].as_array().into_iter().flatten().map(of);
            let top: serde_json::Map<String, Value> =
                top.filter_map(|(token, it)| Some((token?, json!(it)))).collect();
            tokens.push(piece);
            own.push(figure["logprob"].clone());
            tops.push(top);
            offsets.push(offset);
            offset += piece.chars().count();
        }
        Some(
            json!({"tokens": tokens, "tokenLogprobs": own, "topLogprobs": tops, "textOffset": offsets}),
        )
    }

    fn events(&self) -> Vec<Bytes> {
        if self.tweak.error_first {
            return vec![failed()];
        }
        let mut out = Vec::new();
        match self.format {
            Format::Generic => {
                for (index, answer) in self.answers.iter().enumerate() {
                    self.generic_events(index, answer, &mut out);
                }
            }
            Format::Cohere => self.cohere_events(&mut out),
            Format::FirstCohere => self.first_events(&mut out),
        }
        if let Some(after) = self.tweak.error_after {
            out.truncate(after);
            out.push(failed());
        }
        out
    }

    fn asked_usage(&self) -> bool {
        self.body.pointer("/chatRequest/streamOptions/isIncludeUsage") == Some(&Value::Bool(true))
            && !self.tweak.no_usage
    }

    fn generic_events(&self, index: usize, answer: &Answer, out: &mut Vec<Bytes>) {
        let mut push = |message: Value, figures: Option<Value>| {
            let mut one = json!({"index": index, "message": message});
            one["message"]["role"] = json!("ASSISTANT");
            if let Some(figures) = figures {
                one["logprobs"] = figures;
            }
            out.push(event(one));
        };
        for piece in tokens::pieces(&answer.thinking) {
            push(json!({"content": [], "reasoningContent": piece}), None);
        }
        if answer.end == End::Refusal {
            push(json!({"content": [], "refusal": answer.text}), None);
        } else if answer.calls.is_empty() {
            for piece in tokens::pieces(&answer.text) {
                push(json!({"content": [text(piece)]}), self.logprobs(piece));
            }
        }
        for call in &answer.calls {
            let mut start = generic_call(call);
            start["arguments"] = json!("");
            push(json!({"content": null, "toolCalls": [start]}), None);
            let chars: Vec<char> = arguments(call).chars().collect();
            for part in chars.chunks(FRAGMENT) {
                let fragment: String = part.iter().collect();
                push(json!({"toolCalls": [{"type": "FUNCTION", "arguments": fragment}]}), None);
            }
        }
        if self.tweak.missing_done {
            return;
        }
        let message = json!({"role": "ASSISTANT", "content": [text("")]});
        let finish = self.finish(answer);
        out.push(event(json!({"index": index, "message": message, "finishReason": finish})));
        if index + 1 == self.answers.len() && self.asked_usage() {
            for _ in 0..=usize::from(self.tweak.usage_twice) {
                out.push(event(json!({"usage": self.usage()})));
            }
        }
    }

    fn cohere_events(&self, out: &mut Vec<Bytes>) {
        let Some(answer) = self.answers.first() else { return };
        let mut push = |message: Value| {
            let mut one = json!({"apiFormat": "COHEREV2", "message": message});
            one["message"]["role"] = json!("ASSISTANT");
            out.push(event(one));
        };
        for piece in tokens::pieces(&answer.thinking) {
            push(json!({"content": [{"type": "THINKING", "thinking": piece}]}));
        }
        if answer.calls.is_empty() {
            for piece in tokens::pieces(&answer.text) {
                push(json!({"content": [text(piece)]}));
            }
        }
        for call in &answer.calls {
            push(json!({"toolCalls": [cohere_call(call)]}));
        }
        if !self.tweak.missing_done {
            let mut last = self.last(answer, cohere_message);
            last["apiFormat"] = json!("COHEREV2");
            if self.asked_usage() {
                last["usage"] = self.usage();
            }
            out.push(event(last));
        }
    }

    fn first_events(&self, out: &mut Vec<Bytes>) {
        let Some(answer) = self.answers.first() else { return };
        for piece in tokens::pieces(&answer.text) {
            out.push(event(json!({"apiFormat": "COHERE", "text": piece})));
        }
        if !self.tweak.missing_done {
            let mut last = self.last(answer, first_message);
            last["apiFormat"] = json!("COHERE");
            if self.asked_usage() {
                last["usage"] = self.usage();
            }
            out.push(event(last));
        }
    }
}

fn text(text: &str) -> Value {
    json!({"type": "TEXT", "text": text})
}

fn generic_message(answer: &Answer) -> Value {
    let refused = answer.end == End::Refusal;
    let silent = refused || !answer.calls.is_empty();
    let mut out = json!({"role": "ASSISTANT", "refusal": null, "toolCalls": null});
    out["content"] = if silent { Value::Null } else { json!([text(&answer.text)]) };
    if refused {
        out["refusal"] = json!(answer.text);
    }
    if !answer.thinking.is_empty() {
        out["reasoningContent"] = json!(answer.thinking);
    }
    if !answer.calls.is_empty() {
        out["toolCalls"] = answer.calls.iter().map(generic_call).collect();
    }
    out
}

fn generic_call(call: &Call) -> Value {
    json!({"type": "FUNCTION", "id": call_id(call), "name": call.name, "arguments": arguments(call)})
}

fn cohere_message(answer: &Answer) -> Value {
    let mut content = Vec::new();
    if !answer.thinking.is_empty() {
        content.push(json!({"type": "THINKING", "thinking": answer.thinking}));
    }
    if answer.calls.is_empty() {
        content.push(text(&answer.text));
    }
    let mut message = json!({"role": "ASSISTANT", "content": content});
    if !answer.calls.is_empty() {
        message["toolCalls"] = answer.calls.iter().map(cohere_call).collect();
    }
    json!({"message": message})
}

fn cohere_call(call: &Call) -> Value {
    let function = json!({"name": call.name, "arguments": call.input.to_string()});
    json!({"id": format!("{}_{}", call.name, call.id), "type": "FUNCTION", "function": function})
}

fn first_message(answer: &Answer) -> Value {
    let mut out = json!({"text": answer.text});
    if !answer.calls.is_empty() {
        let calls = answer.calls.iter().map(|it| json!({"name": it.name, "parameters": it.input}));
        out["toolCalls"] = calls.collect();
    }
    out
}

fn cohere_logprob(piece: &str) -> Value {
    let hash = lorem::hash(piece.as_bytes());
    let figure = -((hash % 100) as f64) / 100.0;
    json!({"text": piece, "tokenIds": [hash % 250_000], "logProbabilities": [figure]})
}

/// An event, with padding that hides how long its text is.
fn event(mut data: Value) -> Bytes {
    let length = lorem::hash(data.to_string().as_bytes()) % 8;
    let length = usize::try_from(length).unwrap_or_default();
    data["pad"] = json!("a".repeat(length + 1));
    Bytes::from(format!("data: {data}\n\n"))
}

fn failed() -> Bytes {
    let refused = Refused::new(500, "The service failed while it answered, by design.");
    Bytes::from(format!("data: {}\n\n", super::error_json(&refused)))
}
