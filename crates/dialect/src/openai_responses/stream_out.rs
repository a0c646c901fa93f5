//! Canonical events as a Responses stream: items, one after another, each with its parts; every event numbered; the
//! last one holds the whole response once more.

use std::collections::{BTreeMap, BTreeSet};

use domain::Usage;
use serde_json::{Value, json};

use super::stream_items::{Item, Kind};
use super::write_answer::{Head, Ids, incomplete_word, logprobs_of};
use super::{errors, usage};
use crate::exchange::{BlockKind, Delta, StreamEvent, Tool};
use crate::json::{append, to_bytes};
use crate::registry::StreamWriter;
use crate::unwrap_input::Unwrapper;
use crate::wire::{AnswerContext, ClientError, FinishReason};

pub(super) struct Writer {
    head: Head,
    ids: Ids,
    custom_tools: BTreeSet<String>,
    events: Events,
    started: bool,
    items: Vec<Item>,
    /// The reader's number of a block -> its item and its part therein.
    blocks: BTreeMap<u32, (usize, usize)>,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
    broken: Option<&'static str>,
}

/// Writes events, numbered.
#[derive(Default)]
pub(super) struct Events {
    next: u64,
}

impl Events {
    /// Where an event's own fields begin, after its type and number.
    fn begin(&mut self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: {\"type\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\",\"sequence_number\":");
        append(out, &self.next);
        out.push(b',');
        self.next += 1;
    }

    /// An event with these fields; there is at least one.
    pub(super) fn write(&mut self, name: &str, fields: &Value, out: &mut Vec<u8>) {
        self.begin(name, out);
        let fields = to_bytes(fields);
        out.extend_from_slice(fields.strip_prefix(b"{").unwrap_or_default());
        out.extend_from_slice(b"\n\n");
    }

    /// A text delta, by far the most frequent event, without a tree.
    pub(super) fn write_text(
        &mut self,
        id: &str,
        (item, part): (usize, usize),
        text: &str,
        out: &mut Vec<u8>,
    ) {
        self.begin("response.output_text.delta", out);
        out.extend_from_slice(b"\"item_id\":");
        append(out, id);
        out.extend_from_slice(b",\"output_index\":");
        append(out, &item);
        out.extend_from_slice(b",\"content_index\":");
        append(out, &part);
        out.extend_from_slice(b",\"delta\":");
        append(out, text);
        out.extend_from_slice(b",\"logprobs\":[]}\n\n");
    }
}

impl Writer {
    pub(super) fn new(context: &AnswerContext<'_>) -> Self {
        let custom = context.exchange.tools.iter().filter_map(|tool| match tool {
            Tool::Custom { name, .. } => Some(name.clone()),
            _ => None,
        });
        Self {
            head: Head::new(context),
            ids: Ids::new(context.request_id),
            custom_tools: custom.collect(),
            events: Events::default(),
            started: false,
            items: Vec::new(),
            blocks: BTreeMap::new(),
            usage: None,
            finish: None,
            broken: None,
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let response = json!({"response": self.head.response(None, Vec::new(), None)});
        self.events.write("response.created", &response, out);
        self.events.write("response.in_progress", &response, out);
    }

    fn begin(&mut self, block: u32, kind: &BlockKind, out: &mut Vec<u8>) {
        let index = match kind {
            BlockKind::Text | BlockKind::Refusal => self.message(out),
            BlockKind::Thinking { .. } => self.item("rs", Kind::thinking(), out),
            BlockKind::Redacted(opaque) => self.item(
                "rs",
                Kind::Reasoning { text: None, opaque: Some((opaque.clone(), true)) },
                out,
            ),
            BlockKind::ToolUse { id, name, custom } => {
                let (call_id, name) = (id.clone(), name.clone());
                if *custom || self.custom_tools.contains(&name) {
                    let unwrapper = (!custom).then(Unwrapper::default);
                    let input = String::new();
                    self.item("ctc", Kind::Custom { call_id, name, input, unwrapper }, out)
                } else {
                    self.item("fc", Kind::Function { call_id, name, arguments: String::new() }, out)
                }
            }
            BlockKind::Vendor => return,
        };
        let Some(item) = self.items.get_mut(index) else { return };
        let part = match kind {
            BlockKind::Text => item.begin_part(index, false, &mut self.events, out),
            BlockKind::Refusal => item.begin_part(index, true, &mut self.events, out),
            _ => 0,
        };
        self.blocks.insert(block, (index, part));
    }

    /// The message that texts go to: the last item, if it is one and still open, else a new one.
    fn message(&mut self, out: &mut Vec<u8>) -> usize {
        match self.items.last() {
            Some(Item { kind: Kind::Message { .. }, open: true, .. }) => self.items.len() - 1,
            _ => self.item("msg", Kind::Message { parts: Vec::new() }, out),
        }
    }

    /// Begins an item; a message before it ends.
    fn item(&mut self, prefix: &str, kind: Kind, out: &mut Vec<u8>) -> usize {
        let index = self.items.len();
        if let Some(last) = self.items.last_mut()
            && matches!(last.kind, Kind::Message { .. })
        {
            last.close(index - 1, "completed", &mut self.events, out);
        }
        let item = Item { id: self.ids.item(prefix, index), kind, open: true };
        let fields = json!({"output_index": index, "item": item.value("in_progress")});
        self.events.write("response.output_item.added", &fields, out);
        self.items.push(item);
        index
    }

    fn add(&mut self, block: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some((index, part)) = self.blocks.get(&block).copied() else { return };
        let Some(item) = self.items.get_mut(index) else { return };
        if !item.open {
            // It was said to be whole: clients have acted on it.
            self.broken = Some("the provider mixed the fragments of several tool calls");
            return;
        }
        item.add((index, part), delta, &mut self.events, out);
    }

    fn close(&mut self, block: u32, out: &mut Vec<u8>) {
        let Some((index, part)) = self.blocks.get(&block).copied() else { return };
        let Some(item) = self.items.get_mut(index) else { return };
        match &item.kind {
            // More text may follow in the same message.
            Kind::Message { .. } => item.close_part((index, part), &mut self.events, out),
            _ => item.close(index, "completed", &mut self.events, out),
        }
    }

    /// The tokens of the last delta, in an event that adds nothing else.
    fn logprobs(&mut self, value: &Value, out: &mut Vec<u8>) {
        let index = self.items.len().saturating_sub(1);
        if let Some(item) = self.items.last_mut() {
            item.add_logprobs(index, logprobs_of(Some(value)), &mut self.events, out);
        }
    }

    fn finish(&mut self, reason: &FinishReason, out: &mut Vec<u8>) {
        if let FinishReason::Refusal(Some(why)) = reason
            && !self.items.iter().any(Item::has_refusal)
        {
            let index = self.message(out);
            if let Some(item) = self.items.get_mut(index) {
                let part = item.begin_part(index, true, &mut self.events, out);
                item.add((index, part), &Delta::Text(why.clone()), &mut self.events, out);
            }
        }
        let status = if incomplete_word(reason).is_some() { "incomplete" } else { "completed" };
        for (index, item) in self.items.iter_mut().enumerate() {
            item.close(index, status, &mut self.events, out);
        }
        self.finish = Some(reason.clone());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let reason = self.finish.take().unwrap_or(FinishReason::Stop);
        self.finish(&reason, out);
        let last = self.items.len().saturating_sub(1);
        let incomplete = incomplete_word(&reason).is_some();
        let output = self.items.iter().enumerate().map(|(index, item)| {
            let cut = incomplete && index == last && matches!(item.kind, Kind::Message { .. });
            item.value(if cut { "incomplete" } else { "completed" })
        });
        let usage = usage::write(&self.usage.unwrap_or_default());
        let response = self.head.response(Some(&reason), output.collect(), Some(usage));
        let name = if incomplete { "response.incomplete" } else { "response.completed" };
        self.events.write(name, &json!({"response": response}), out);
    }
}

impl StreamWriter for Writer {
    fn event(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        if self.broken.is_some() {
            return;
        }
        match event {
            StreamEvent::Start { model, usage, .. } => {
                if let (Some(model), false) = (model, self.started) {
                    self.head.model.clone_from(model);
                }
                self.usage = *usage;
                self.start(out);
            }
            // A client of this dialect can't ask for more than one answer.
            StreamEvent::BlockStart { choice: 0, block, kind } => {
                self.start(out);
                self.begin(*block, kind, out);
            }
            StreamEvent::Delta { choice: 0, block, delta } => self.add(*block, delta, out),
            StreamEvent::BlockEnd { choice: 0, block } => self.close(*block, out),
            StreamEvent::Logprobs { choice: 0, value } => self.logprobs(value, out),
            StreamEvent::Finish { choice: 0, reason } => self.finish(reason, out),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            // A comment: keeps what stands between alive, and no client sees it.
            StreamEvent::Ping => out.extend_from_slice(b": ping\n\n"),
            // Errors are written by the server, with what only it knows.
            StreamEvent::BlockStart { .. }
            | StreamEvent::Delta { .. }
            | StreamEvent::BlockEnd { .. }
            | StreamEvent::Finish { .. }
            | StreamEvent::Logprobs { .. }
            | StreamEvent::Error(_) => {}
            StreamEvent::End => {
                self.start(out);
                self.end(out);
            }
        }
    }

    fn error_event(&self, error: &ClientError<'_>) -> Option<Vec<u8>> {
        Some(errors::render_event(error, self.events.next))
    }

    fn broken(&self) -> Option<&'static str> {
        self.broken
    }
}
