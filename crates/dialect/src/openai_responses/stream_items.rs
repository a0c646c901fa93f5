//! The items of a stream that is being written: what was said so far, and the events that say it.

use serde_json::{Value, json};

use super::reasoning_items;
use super::stream_out::Events;
use super::write_answer::{custom_call, function_call, message, refusal_part, text_part};
use crate::exchange::Delta;
use crate::unwrap_input::Unwrapper;

/// An item of the output.
pub(super) struct Item {
    pub(super) id: String,
    pub(super) kind: Kind,
    /// It was not yet said to be whole.
    pub(super) open: bool,
}

/// What an item is, with all that was said in it: its last event says it again.
pub(super) enum Kind {
    Message {
        parts: Vec<TextPart>,
    },
    Function {
        call_id: String,
        name: String,
        arguments: String,
    },
    Custom {
        call_id: String,
        name: String,
        input: String,
        unwrapper: Option<Unwrapper>,
    },
    Reasoning {
        /// The summary, once it has begun.
        text: Option<String>,
        /// A vendor's signature, or (`true`) data that only it can read.
        opaque: Option<(String, bool)>,
    },
}

/// A text or refusal of a message.
pub(super) struct TextPart {
    refusal: bool,
    text: String,
    logprobs: Vec<Value>,
    open: bool,
}

impl TextPart {
    fn value(&self) -> Value {
        if self.refusal { refusal_part(&self.text) } else { text_part(&self.text, &self.logprobs) }
    }
}

impl Kind {
    pub(super) fn thinking() -> Self {
        Self::Reasoning { text: None, opaque: None }
    }
}

impl Item {
    /// The item as it stands.
    pub(super) fn value(&self, status: &str) -> Value {
        match &self.kind {
            Kind::Message { parts } => {
                let content: Vec<Value> = parts.iter().map(TextPart::value).collect();
                message(&self.id, status, &content)
            }
            Kind::Function { call_id, name, arguments } => {
                function_call(&self.id, call_id, name, status, arguments)
            }
            Kind::Custom { call_id, name, input, .. } => {
                custom_call(&self.id, call_id, name, status, input)
            }
            Kind::Reasoning { text, opaque } => {
                let encrypted = opaque.as_ref().map(|(opaque, is_data)| {
                    reasoning_items::for_client(opaque, *is_data, &self.id)
                });
                let text = text.as_deref().unwrap_or_default();
                reasoning_items::client_item(&self.id, text, encrypted.as_deref())
            }
        }
    }

    pub(super) fn has_refusal(&self) -> bool {
        matches!(&self.kind, Kind::Message { parts } if parts.iter().any(|part| part.refusal))
    }

    /// Begins a part of a message; returns its place.
    pub(super) fn begin_part(
        &mut self,
        index: usize,
        refusal: bool,
        events: &mut Events,
        out: &mut Vec<u8>,
    ) -> usize {
        let Kind::Message { parts } = &mut self.kind else { return 0 };
        let place = parts.len();
        let part = TextPart { refusal, text: String::new(), logprobs: Vec::new(), open: true };
        let fields = json!({
            "item_id": self.id, "output_index": index, "content_index": place, "part": part.value(),
        });
        parts.push(part);
        events.write("response.content_part.added", &fields, out);
        place
    }

    /// Adds to the item, or to that part of it.
    pub(super) fn add(
        &mut self,
        (index, place): (usize, usize),
        delta: &Delta,
        events: &mut Events,
        out: &mut Vec<u8>,
    ) {
        let Self { id, kind, .. } = self;
        let at = |delta: &str| json!({"item_id": id, "output_index": index, "delta": delta});
        match (kind, delta) {
            (Kind::Message { parts }, Delta::Text(text)) => {
                let Some(part) = parts.get_mut(place) else { return };
                part.text.push_str(text);
                if !part.refusal {
                    return events.write_text(id, (index, place), text, out);
                }
                let mut fields = at(text);
                fields["content_index"] = place.into();
                events.write("response.refusal.delta", &fields, out);
            }
            (Kind::Function { arguments, .. }, Delta::Input(fragment)) => {
                arguments.push_str(fragment);
                events.write("response.function_call_arguments.delta", &at(fragment), out);
            }
            (Kind::Custom { input, unwrapper, .. }, Delta::Input(fragment)) => {
                let text = match unwrapper {
                    Some(unwrapper) => unwrapper.feed(fragment),
                    None => fragment.clone(),
                };
                if !text.is_empty() {
                    input.push_str(&text);
                    events.write("response.custom_tool_call_input.delta", &at(&text), out);
                }
            }
            (Kind::Reasoning { text, .. }, Delta::Text(added)) => {
                if text.is_none() {
                    let fields = json!({
                        "item_id": id, "output_index": index, "summary_index": 0,
                        "part": {"type": "summary_text", "text": ""},
                    });
                    events.write("response.reasoning_summary_part.added", &fields, out);
                }
                text.get_or_insert_default().push_str(added);
                let mut fields = at(added);
                fields["summary_index"] = 0.into();
                events.write("response.reasoning_summary_text.delta", &fields, out);
            }
            (Kind::Reasoning { opaque, .. }, Delta::Signature(signature)) => {
                *opaque = Some((signature.clone(), false));
            }
            _ => {}
        }
    }

    /// Adds to the last text.
    pub(super) fn add_logprobs(
        &mut self,
        index: usize,
        tokens: Vec<Value>,
        events: &mut Events,
        out: &mut Vec<u8>,
    ) {
        let Kind::Message { parts } = &mut self.kind else { return };
        let place = parts.len().saturating_sub(1);
        let Some(part) = parts.last_mut().filter(|part| part.open && !part.refusal) else { return };
        if tokens.is_empty() {
            return;
        }
        let fields = json!({
            "item_id": self.id, "output_index": index, "content_index": place, "delta": "",
            "logprobs": tokens,
        });
        part.logprobs.extend(tokens);
        events.write("response.output_text.delta", &fields, out);
    }

    /// Says that a part of a message is whole.
    pub(super) fn close_part(
        &mut self,
        (index, place): (usize, usize),
        events: &mut Events,
        out: &mut Vec<u8>,
    ) {
        let Kind::Message { parts } = &mut self.kind else { return };
        let Some(part) = parts.get_mut(place) else { return };
        if !std::mem::replace(&mut part.open, false) {
            return;
        }
        let mut fields = json!({
            "item_id": self.id, "output_index": index, "content_index": place,
        });
        let mut whole = fields.clone();
        if part.refusal {
            fields["refusal"] = part.text.as_str().into();
            events.write("response.refusal.done", &fields, out);
        } else {
            fields["text"] = part.text.as_str().into();
            fields["logprobs"] = part.logprobs.as_slice().into();
            events.write("response.output_text.done", &fields, out);
        }
        whole["part"] = part.value();
        events.write("response.content_part.done", &whole, out);
    }

    /// Says that the item is whole.
    pub(super) fn close(
        &mut self,
        index: usize,
        status: &str,
        events: &mut Events,
        out: &mut Vec<u8>,
    ) {
        if !self.open {
            return;
        }
        let parts = match &self.kind {
            Kind::Message { parts } => parts.len(),
            _ => 0,
        };
        for place in 0..parts {
            self.close_part((index, place), events, out);
        }
        // A call without input still needs arguments that parse.
        if matches!(&self.kind, Kind::Function { arguments, .. } if arguments.trim().is_empty()) {
            self.add((index, 0), &Delta::Input("{}".to_owned()), events, out);
        }
        self.open = false;
        let at = json!({"item_id": self.id, "output_index": index});
        match &self.kind {
            Kind::Message { .. } | Kind::Reasoning { text: None, .. } => {}
            Kind::Function { name, arguments, .. } => {
                let mut fields = at;
                fields["name"] = name.as_str().into();
                fields["arguments"] = arguments.as_str().into();
                events.write("response.function_call_arguments.done", &fields, out);
            }
            Kind::Custom { input, .. } => {
                let mut fields = at;
                fields["input"] = input.as_str().into();
                events.write("response.custom_tool_call_input.done", &fields, out);
            }
            Kind::Reasoning { text: Some(text), .. } => {
                let mut fields = at;
                fields["summary_index"] = 0.into();
                let mut whole = fields.clone();
                fields["text"] = text.as_str().into();
                events.write("response.reasoning_summary_text.done", &fields, out);
                whole["part"] = json!({"type": "summary_text", "text": text});
                events.write("response.reasoning_summary_part.done", &whole, out);
            }
        }
        let fields = json!({"output_index": index, "item": self.value(status)});
        events.write("response.output_item.done", &fields, out);
    }
}
