//! Stop sequences at a provider that is not told of them: the answer's text is cut at the first one, whole or streamed.
//! What the provider goes on to say is read all the same, for its usage and its end.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::answer::{Answer, BlockKind, Choice, Delta, StreamEvent};
use crate::exchange::{Part, PartKind};
use crate::registry::StreamReader;
use crate::wire::{BadAnswer, FinishReason};

/// Where the first of the stop sequences begins, and which it is: the one that is whole first, as generation would have
/// ended there. Of two that end at the same place the longer counts.
fn first_stop<'a>(text: &str, stops: &'a [String]) -> Option<(usize, &'a str)> {
    let found = stops.iter().filter_map(|stop| Some((text.find(stop.as_str())?, stop.as_str())));
    found.min_by_key(|(at, stop)| (at + stop.len(), *at))
}

/// How much of the end of a text may be the beginning of a stop sequence.
fn may_begin(text: &str, stops: &[String]) -> usize {
    let begins = |stop: &String| {
        let most = stop.len().min(text.len());
        (1..=most).rev().find(|length| {
            let from = text.len() - length;
            text.as_bytes().get(from..) == stop.as_bytes().get(..*length)
        })
    };
    stops.iter().filter_map(begins).max().unwrap_or(0)
}

fn cut_choice(choice: &mut Choice, stops: &[String]) {
    let found = choice.parts.iter().enumerate().find_map(|(index, part)| {
        let PartKind::Text(text) = &part.kind else { return None };
        first_stop(text, stops).map(|(at, stop)| (index, at, stop.to_owned()))
    });
    let Some((index, at, stop)) = found else { return };
    choice.parts.truncate(index + 1);
    if let Some(Part { kind: PartKind::Text(text), .. }) = choice.parts.last_mut() {
        text.truncate(at);
    }
    choice.finish = FinishReason::StopSequence(stop);
    let said = choice.parts.iter().map(|part| match &part.kind {
        PartKind::Text(text) => text.len(),
        _ => 0,
    });
    if let Some(logprobs) = &mut choice.logprobs {
        cut_tokens(logprobs, said.sum());
    }
}

/// Leaves the log probabilities of the tokens within so many bytes of text.
fn cut_tokens(logprobs: &mut Value, bytes: usize) {
    let Some(tokens) = logprobs.get_mut("content").and_then(Value::as_array_mut) else { return };
    let mut left = bytes;
    let whole = tokens.iter().take_while(|token| {
        let length = token.get("token").and_then(Value::as_str).map_or(0, str::len);
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    });
    let whole = whole.count();
    tokens.truncate(whole);
}

/// A provider's stream, cut at the first stop sequence. Text that may be the beginning of one is held until it is known.
pub struct StopCut {
    inner: Box<dyn StreamReader>,
    stops: Vec<String>,
    choices: BTreeMap<u32, Cutter>,
    read: Vec<StreamEvent>,
}

impl StopCut {
    /// The stream that `inner` reads, cut at any of `stops`; `inner` itself where there are none.
    pub fn around(inner: Box<dyn StreamReader>, stops: &[String]) -> Box<dyn StreamReader> {
        if stops.is_empty() {
            return inner;
        }
        let stops = stops.to_vec();
        Box::new(Self { inner, stops, choices: BTreeMap::new(), read: Vec::new() })
    }

    /// Cuts a whole answer: nothing that follows a stop sequence was said.
    pub fn whole(answer: &mut Answer, stops: &[String]) {
        answer.choices.iter_mut().for_each(|choice| cut_choice(choice, stops));
    }

    fn pass(&mut self, out: &mut Vec<StreamEvent>) {
        let Self { stops, choices, read, .. } = self;
        for event in read.drain(..) {
            match event {
                StreamEvent::BlockStart { choice, .. }
                | StreamEvent::Delta { choice, .. }
                | StreamEvent::BlockEnd { choice, .. }
                | StreamEvent::Logprobs { choice, .. }
                | StreamEvent::Finish { choice, .. } => {
                    choices.entry(choice).or_default().take(choice, event, stops, out);
                }
                StreamEvent::Error(_) | StreamEvent::End => {
                    for (choice, cutter) in choices.iter_mut() {
                        cutter.release(*choice, out);
                    }
                    out.push(event);
                }
                StreamEvent::Start { .. } | StreamEvent::Usage(_) | StreamEvent::Ping => {
                    out.push(event);
                }
            }
        }
    }
}

impl StreamReader for StopCut {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        let result = self.inner.feed(bytes, &mut self.read);
        self.pass(out);
        result
    }

    fn end(&mut self, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        let result = self.inner.end(&mut self.read);
        self.pass(out);
        result
    }
}

/// One of the answers.
#[derive(Default)]
struct Cutter {
    /// The text block that is open, and its text that is held.
    text: Option<u32>,
    held: String,
    /// Blocks that have begun and not ended.
    open: Vec<u32>,
    met: Option<String>,
}

impl Cutter {
    fn take(
        &mut self,
        choice: u32,
        event: StreamEvent,
        stops: &[String],
        out: &mut Vec<StreamEvent>,
    ) {
        if let Some(stop) = &self.met {
            // Of what the provider goes on to say only that it ended.
            if matches!(event, StreamEvent::Finish { .. }) {
                let reason = FinishReason::StopSequence(stop.clone());
                out.push(StreamEvent::Finish { choice, reason });
            }
            return;
        }
        match &event {
            StreamEvent::Delta { block, delta: Delta::Text(text), .. }
                if self.text == Some(*block) =>
            {
                return self.add(choice, *block, text, stops, out);
            }
            StreamEvent::BlockStart { block, kind, .. } => {
                self.release(choice, out);
                self.open.push(*block);
                self.text = (*kind == BlockKind::Text).then_some(*block).or(self.text);
            }
            StreamEvent::BlockEnd { block, .. } => {
                self.release(choice, out);
                self.open.retain(|open| open != block);
                self.text = self.text.filter(|text| text != block);
            }
            StreamEvent::Finish { .. } => self.release(choice, out),
            _ => {}
        }
        out.push(event);
    }

    fn add(
        &mut self,
        choice: u32,
        block: u32,
        text: &str,
        stops: &[String],
        out: &mut Vec<StreamEvent>,
    ) {
        self.held.push_str(text);
        if let Some((at, stop)) = first_stop(&self.held, stops) {
            self.met = Some(stop.to_owned());
            self.held.truncate(at);
            self.release(choice, out);
            let open = self.open.drain(..);
            out.extend(open.map(|block| StreamEvent::BlockEnd { choice, block }));
            return;
        }
        let kept = may_begin(&self.held, stops);
        let rest = self.held.split_off(self.held.len() - kept);
        let said = std::mem::replace(&mut self.held, rest);
        if !said.is_empty() {
            out.push(StreamEvent::Delta { choice, block, delta: Delta::Text(said) });
        }
    }

    /// What is held began no stop sequence.
    fn release(&mut self, choice: u32, out: &mut Vec<StreamEvent>) {
        let said = std::mem::take(&mut self.held);
        if let (Some(block), false) = (self.text, said.is_empty()) {
            out.push(StreamEvent::Delta { choice, block, delta: Delta::Text(said) });
        }
    }
}

#[cfg(test)]
mod tests;
