//! Answers as Converse gives them, whole or as frames. Only calls are opened; text begins with its first delta.

use bytes::Bytes;
use serde_json::{Value, json};

use super::frame::{event, exception};
use crate::anthropic::signature;
use crate::ask::{Answer, Ask, Call, End};
use crate::demo::{Demo, Reply};
use crate::model;
use crate::tokens;
use crate::tweak::Tweak;

/// Characters of tool input in one streamed fragment.
const FRAGMENT: usize = 12;

struct Writer<'a> {
    ask: &'a Ask,
    body: &'a Value,
    tweak: &'a Tweak,
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
    let writer = Writer { ask, body, tweak, answer };
    let id = ("x-amzn-requestid", "fake-request".to_owned());
    if ask.stream {
        let kind = ("content-type", "application/vnd.amazon.eventstream".to_owned());
        let body = demo.timed(&ask.model, writer.events(), tweak, cut);
        return Reply { status: 200, headers: vec![kind, id], body };
    }
    let kind = ("content-type", "application/json".to_owned());
    let body = demo.whole(&ask.model, writer.message().to_string().into_bytes(), tweak, cut);
    Reply { status: 200, headers: vec![kind, id], body }
}

impl Writer<'_> {
    fn message(&self) -> Value {
        let a = &self.answer;
        let mut content = Vec::new();
        if a.thinking_tokens > 0 {
            let text = json!({"text": self.shown_thinking(), "signature": signature(&a.thinking)});
            content.push(json!({"reasoningContent": {"reasoningText": text}}));
        }
        if a.calls.is_empty() && !a.text.is_empty() {
            content.push(json!({"text": a.text}));
        }
        content.extend(a.calls.iter().map(|call| {
            json!({"toolUse": {"toolUseId": id(call), "name": call.name, "input": call.input}})
        }));
        let mut out = json!({
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": self.stop_reason(), "metrics": {"latencyMs": 1},
        });
        if !self.tweak.no_usage {
            out["usage"] = self.usage();
        }
        out
    }

    fn shown_thinking(&self) -> &str {
        let display = self.body.pointer("/additionalModelRequestFields/thinking/display");
        if display.is_some_and(|it| it == "omitted") { "" } else { &self.answer.thinking }
    }

    fn usage(&self) -> Value {
        let told = &self.tweak.usage;
        let input = &self.ask.input;
        let counted = self.answer.tokens + self.answer.thinking_tokens;
        let bound = self.ask.max_output.filter(|_| self.tweak.exact);
        let output = told.output.or(bound).unwrap_or(counted);
        let fresh = told.input.unwrap_or(input.fresh);
        let read = told.cached.unwrap_or(input.cache_read);
        let short = told.cache_write.unwrap_or(input.cache_write);
        let hour = if told.cache_write.is_some() { 0 } else { input.cache_write_1h };
        let written = short + hour;
        json!({
            "inputTokens": fresh, "outputTokens": output, "totalTokens": fresh + read + written + output,
            "cacheReadInputTokens": read, "cacheWriteInputTokens": written,
            "cacheDetails": [{"ttl": "5m", "inputTokens": short}, {"ttl": "1h", "inputTokens": hour}],
        })
    }

    fn stop_reason(&self) -> &'static str {
        match self.answer.end {
            End::Stop => "end_turn",
            End::Sequence(_) => "stop_sequence",
            End::Length => "max_tokens",
            End::Tools => "tool_use",
            End::Refusal => "content_filtered",
        }
    }

    fn events(&self) -> Vec<Bytes> {
        let failing = || exception("serviceUnavailableException", "Overloaded (by design)");
        if self.tweak.error_first {
            return vec![failing()];
        }
        let mut out = vec![event("messageStart", &json!({"role": "assistant"}))];
        self.blocks(&mut out);
        if let Some(after) = self.tweak.error_after {
            out.truncate(after);
            out.push(failing());
            return out;
        }
        if self.tweak.missing_done {
            return out;
        }
        out.push(event("messageStop", &json!({"stopReason": self.stop_reason()})));
        if !self.tweak.no_usage {
            for _ in 0..=usize::from(self.tweak.usage_twice) {
                let metadata = json!({"usage": self.usage(), "metrics": {"latencyMs": 1}});
                out.push(event("metadata", &metadata));
            }
        }
        out
    }

    fn blocks(&self, out: &mut Vec<Bytes>) {
        let a = &self.answer;
        let mut index = 0;
        let mut block = |start: Option<Value>, deltas: Vec<Value>| {
            if let Some(start) = start {
                let start = json!({"contentBlockIndex": index, "start": start});
                out.push(event("contentBlockStart", &start));
            }
            out.extend(deltas.iter().map(|delta| {
                event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}))
            }));
            out.push(event("contentBlockStop", &json!({"contentBlockIndex": index})));
            index += 1;
        };
        if a.thinking_tokens > 0 {
            let pieces = tokens::pieces(self.shown_thinking()).into_iter();
            let mut deltas: Vec<Value> =
                pieces.map(|text| json!({"reasoningContent": {"text": text}})).collect();
            deltas.push(json!({"reasoningContent": {"signature": signature(&a.thinking)}}));
            block(None, deltas);
        }
        if a.calls.is_empty() && !a.text.is_empty() {
            let pieces = tokens::pieces(&a.text).into_iter();
            block(None, pieces.map(|text| json!({"text": text})).collect());
        }
        for call in &a.calls {
            let chars: Vec<char> = call.input.to_string().chars().collect();
            let pieces = chars.chunks(FRAGMENT).map(|piece| piece.iter().collect::<String>());
            let deltas = [String::new()].into_iter().chain(pieces);
            block(
                Some(json!({"toolUse": {"toolUseId": id(call), "name": call.name}})),
                deltas.map(|input| json!({"toolUse": {"input": input}})).collect(),
            );
        }
    }
}

fn id(call: &Call) -> String {
    format!("tooluse_{}", call.id)
}
