//! What both dialects' peeks share: counting what becomes input, and splicing.

use std::ops::Range;

use bytes::Bytes;
use domain::{Feature, ImageDetail, ImageInput, RequestLimits};

use crate::cursor::{Cursor, Text};
use crate::media::Sizes;
use crate::tool_ids;
use crate::wire::{Edits, FieldError, Incoming, Peek};

/// Bytes allowed per message, part and tool for the markers around it; the longest role markers of known chat
/// templates are below ten tokens.
const ALLOWANCE: u64 = 16;
/// Content within content within content is not walked beyond this; it is counted whole.
const NESTING_MAX: u32 = 8;

/// A 64-bit hash that is the same on every machine and in every version: eight bytes at a time, each multiplied in.
/// Not for hash tables with hostile keys.
#[derive(Clone, Copy, Debug)]
struct Hash(u64);

const HASH_SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const HASH_FACTOR: u64 = 0xd6e8_feb8_6659_fd93;

impl Hash {
    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(HASH_FACTOR);
        self.0 ^= self.0 >> 32;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.word(u64::from_le_bytes(last));
        self.word(bytes.len() as u64);
    }
}

/// A peek in the making.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) peek: Peek,
    /// Of the first messages.
    head: Hash,
    system: Hash,
    tools: Hash,
    /// Whether what is counted still belongs to the head.
    in_head: bool,
    depth: u32,
    sizes: Sizes,
}

impl Intake {
    pub(crate) fn new() -> Self {
        let limits = RequestLimits { max_output: None, answers: 1 };
        let peek = Peek { limits, text_bytes: ALLOWANCE, ..Peek::default() };
        // Different seeds: the same words as system prompt and as first message are not the same prefix.
        let [head, system, tools] = [0, 1, 2].map(|part| Hash(HASH_SEED.wrapping_add(part)));
        Self { peek, head, system, tools, in_head: true, depth: 0, sizes: Sizes::new() }
    }

    pub(crate) fn has(&mut self, feature: Feature) {
        self.peek.features.insert(feature);
    }

    pub(crate) fn has_if(&mut self, condition: bool, feature: Feature) {
        if condition {
            self.has(feature);
        }
    }

    /// Text that becomes input.
    pub(crate) fn text(&mut self, text: Text<'_>) {
        self.peek.text_bytes += text.len() as u64;
        if self.in_head {
            self.head.bytes(text.raw);
        }
    }

    /// The next value as input, whatever it is: a string by its text, anything else as it is written.
    pub(crate) fn whole(&mut self, cursor: &mut Cursor<'_>) {
        match cursor.peek() {
            Some(b'"') => {
                if let Some(text) = cursor.text() {
                    self.text(text);
                }
            }
            Some(b'{' | b'[') => self.raw(cursor.raw()),
            _ => cursor.skip(),
        }
    }

    fn raw(&mut self, raw: &[u8]) {
        self.peek.text_bytes += raw.len() as u64;
        if self.in_head {
            self.head.bytes(raw);
        }
    }

    /// A tool, as it is written.
    pub(crate) fn tool(&mut self, raw: &[u8]) {
        self.peek.text_bytes += ALLOWANCE + raw.len() as u64;
        self.tools.bytes(raw);
    }

    /// The markers around a part or a message.
    pub(crate) fn allowance(&mut self) {
        self.peek.text_bytes += ALLOWANCE;
    }

    /// The next value is one message, read by `read`.
    pub(crate) fn message(&mut self) {
        self.peek.message_count = self.peek.message_count.saturating_add(1);
        self.allowance();
    }

    /// A system prompt outside the messages: it belongs to the prefix wherever it stands in the body.
    pub(crate) fn system<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        part: fn(&mut Self, &mut Cursor<'a>),
    ) {
        // Hashed apart, so that the order of the two fields does not matter.
        let in_head = std::mem::replace(&mut self.in_head, true);
        let head = std::mem::replace(&mut self.head, self.system);
        self.content(cursor, part);
        self.system = std::mem::replace(&mut self.head, head);
        self.in_head = in_head;
    }

    /// Whether what is counted belongs to the prefix.
    pub(crate) fn is_in_head(&self) -> bool {
        self.in_head
    }

    /// What follows no longer belongs to the prefix.
    pub(crate) fn end_head(&mut self) {
        self.in_head = false;
    }

    /// An image, wherever it is.
    pub(crate) fn image(&mut self, place: Place<'_>, detail: ImageDetail) {
        self.has(Feature::Images);
        let size = match place {
            Place::Base64(data) => self.sizes.of_base64(data),
            Place::Url(url) if is_data(url) => self.sizes.of_data_url(url),
            Place::Url(_) | Place::File | Place::Unknown => None,
        };
        self.media(place);
        if self.peek.images.len() < Peek::IMAGES_MAX {
            self.peek.images.push(ImageInput { size, detail });
        } else {
            self.peek.further_images = self.peek.further_images.saturating_add(1);
        }
    }

    /// A document with pages, wherever it is.
    pub(crate) fn paged_document(&mut self, place: Place<'_>) {
        self.has(Feature::Documents);
        self.media(place);
        self.peek.paged_documents = self.peek.paged_documents.saturating_add(1);
    }

    /// Inline audio.
    pub(crate) fn audio(&mut self, data: Text<'_>) {
        self.has(Feature::AudioInput);
        self.media(Place::Base64(data));
        self.peek.audio_bytes += data.len() as u64;
    }

    /// Media belongs to the prefix as text does.
    fn media(&mut self, place: Place<'_>) {
        match place {
            Place::Base64(data) => self.hash_media(data),
            Place::Url(url) if is_data(url) => self.hash_media(url),
            Place::Url(_) => self.has(Feature::RemoteMedia),
            Place::File => self.has(Feature::FileIds),
            Place::Unknown => {}
        }
    }

    fn hash_media(&mut self, data: Text<'_>) {
        if self.in_head {
            self.head.bytes(data.raw);
        }
    }

    /// A string, or an array whose items `part` reads; anything else counts as it is written.
    pub(crate) fn content<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        part: fn(&mut Self, &mut Cursor<'a>),
    ) {
        if cursor.peek() != Some(b'[') || self.depth >= NESTING_MAX {
            return self.whole(cursor);
        }
        self.depth += 1;
        let mut items = cursor.array();
        while cursor.item(&mut items) {
            self.allowance();
            if cursor.peek() == Some(b'{') {
                part(self, cursor);
            } else {
                self.whole(cursor);
            }
        }
        self.depth -= 1;
    }

    /// The conversation, message by message; whether there is any. The first message that isn't the operator's ends the
    /// prefix.
    pub(crate) fn messages<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        message: fn(&mut Self, &mut Cursor<'a>) -> Role,
    ) -> Result<bool, FieldError> {
        let start = cursor.place();
        if cursor.peek() != Some(b'[') {
            return Err(wrong("messages", start, "expected an array"));
        }
        let mut items = cursor.array();
        let mut last = None;
        while cursor.item(&mut items) {
            self.message();
            let role = message(self, cursor);
            if role != Role::System {
                self.end_head();
            }
            last = Some(role);
        }
        self.has_if(last == Some(Role::Assistant), Feature::Prefill);
        Ok(last.is_some())
    }

    /// A message that is its role and its blocks, where the prefix is told apart by other fields.
    pub(crate) fn blocks_message<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        block: fn(&mut Self, &mut Cursor<'a>),
    ) -> Role {
        let mut role = Role::User;
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            if key.is("content") {
                self.content(cursor, block);
            } else if key.is("role") {
                let is_assistant = cursor.raw_is("\"assistant\"");
                role = if is_assistant { Role::Assistant } else { Role::User };
                cursor.skip();
            } else {
                self.whole(cursor);
            }
        }
        role
    }

    /// A list of tools that say their `type`.
    pub(crate) fn typed_tools(&mut self, cursor: &mut Cursor<'_>) {
        let mut items = cursor.array();
        while cursor.item(&mut items) {
            let raw = cursor.raw();
            let kind = word_at(&mut Cursor::new(raw), "type");
            self.tool(raw);
            self.has(match kind {
                Some(kind) if kind.is("function") => Feature::Tools,
                Some(kind) if kind.is("custom") => Feature::CustomTools,
                _ => Feature::HostedTools,
            });
        }
    }

    /// `tool_calls` of an earlier turn, as chat completions and Cohere have them.
    pub(crate) fn tool_calls(&mut self, cursor: &mut Cursor<'_>) {
        let mut calls = *cursor;
        let mut items = calls.array();
        while calls.item(&mut items) {
            self.allowance();
            let mut call = calls.object();
            while let Some(key) = calls.key(&mut call) {
                if key.is("id") {
                    self.call_id(&mut calls);
                } else {
                    calls.skip();
                }
            }
        }
        self.whole(cursor);
    }

    /// The id of a call, which counts as text.
    pub(crate) fn id_text(&mut self, cursor: &mut Cursor<'_>) {
        if let Some(id) = self.call_id(cursor) {
            self.text(id);
        }
    }

    /// The model: what routing turns on.
    pub(crate) fn model(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let start = cursor.place();
        let text = cursor.text().ok_or_else(|| wrong("model", start, "expected a string"))?;
        self.peek.model = text.decode().into_owned();
        self.peek.model_span = Some(start..cursor.place_passed());
        Ok(())
    }

    /// The next value is the id of a call. A signature in one is another vendor's, and providers bound the length of ids: it
    /// is not forwarded.
    pub(crate) fn call_id<'a>(&mut self, cursor: &mut Cursor<'a>) -> Option<Text<'a>> {
        let id = cursor.text()?;
        if let Some(at) = tool_ids::thought_in(id.raw) {
            let end = cursor.place_passed().saturating_sub(1);
            self.peek.cuts.push(end - (id.raw.len() - at)..end);
        }
        Some(id)
    }

    /// The finished peek.
    pub(crate) fn finish(mut self, request: &Incoming<'_>) -> Result<Peek, FieldError> {
        settle_model(&mut self.peek, request)?;
        if let Some(form) = request.path.stream {
            self.peek.stream = true;
            self.peek.stream_form = form;
        }
        self.head.word(self.system.0);
        self.head.word(self.tools.0);
        self.peek.prefix_key = self.head.0;
        if self.peek.stream {
            self.has(Feature::Stream);
        }
        Ok(self.peek)
    }
}

/// What the path says of the model goes before what the body says; where the body says nothing, a provider that reads
/// it there gets it right after the opening brace, before the fields that are surely there.
pub(crate) fn settle_model(peek: &mut Peek, request: &Incoming<'_>) -> Result<(), FieldError> {
    if let Some(model) = request.path.model {
        model.clone_into(&mut peek.model);
        if peek.model_span.is_none() {
            let brace = request.body.iter().position(|byte| *byte == b'{').unwrap_or_default();
            peek.model_span = Some(brace + 1..brace + 1);
        }
    }
    if peek.model.is_empty() {
        return Err(FieldError::new("model", "this field is required"));
    }
    Ok(())
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The operator.
    System,
    /// The user, or a tool.
    User,
    /// The model.
    Assistant,
}

/// Where media is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// In the request.
    Base64(Text<'a>),
    /// At a URL: a `data:` URL is in the request too, any other is fetched by the provider.
    Url(Text<'a>),
    /// Uploaded to the provider before.
    File,
    /// Not told.
    Unknown,
}

fn is_data(url: Text<'_>) -> bool {
    url.raw.starts_with(b"data:")
}

/// A mistake at a place.
pub(crate) fn wrong(field: &str, offset: usize, message: &str) -> FieldError {
    FieldError { field: field.to_owned(), offset: Some(offset), message: message.to_owned() }
}

/// `true`, `false` or absent (`null`). What decides how a request is treated is not guessed.
pub(crate) fn boolean(cursor: &mut Cursor<'_>, field: &str) -> Result<bool, FieldError> {
    let place = cursor.place();
    if cursor.is_null() {
        cursor.skip();
        return Ok(false);
    }
    cursor.boolean().ok_or_else(|| wrong(field, place, "expected true or false"))
}

/// A whole number, not negative, or absent (`null`).
pub(crate) fn unsigned(cursor: &mut Cursor<'_>, field: &str) -> Result<Option<u64>, FieldError> {
    let place = cursor.place();
    if cursor.is_null() {
        cursor.skip();
        return Ok(None);
    }
    match cursor.unsigned() {
        Some(number) => Ok(Some(number)),
        None => Err(wrong(field, place, "expected a whole number, not negative")),
    }
}

/// Passes the next value; whether it is anything but `null`.
pub(crate) fn is_set(cursor: &mut Cursor<'_>) -> bool {
    let set = !cursor.is_null();
    cursor.skip();
    set
}

/// Passes the next value; the string under `key`, where it is an object that has one.
pub(crate) fn word_at<'a>(cursor: &mut Cursor<'a>, key: &str) -> Option<Text<'a>> {
    let mut found = None;
    let mut object = cursor.object();
    while let Some(it) = cursor.key(&mut object) {
        if it.is(key) && cursor.peek() == Some(b'"') {
            found = cursor.text();
        } else {
            cursor.skip();
        }
    }
    found
}

/// Whether that name stands there already, as it is: one that needs escapes never does.
fn is_written(body: &[u8], place: &Range<usize>, model: &str) -> bool {
    let inner = place.start + 1..place.end.saturating_sub(1);
    let plain = !model.contains(['"', '\\']);
    plain && !place.is_empty() && body.get(inner).is_some_and(|text| text == model.as_bytes())
}

/// The body with the edits spliced in; the same `Bytes` when there is nothing to change.
pub(crate) fn splice(body: &Bytes, peek: &Peek, edits: &Edits<'_>) -> Bytes {
    let mut changes: Vec<(Range<usize>, Vec<u8>)> = Vec::with_capacity(2);
    if let (Some(model), Some(place)) = (edits.model, &peek.model_span)
        && !is_written(body, place, model)
    {
        let mut name = Vec::with_capacity(model.len() + 12);
        if place.is_empty() {
            name.extend_from_slice(b"\"model\":");
        }
        crate::json::append(&mut name, model);
        if place.is_empty() {
            name.push(b',');
        }
        changes.push((place.clone(), name));
    }
    if let Some((place, text)) = &peek.usage_edit
        && edits.ask_usage
        && peek.stream
        && !peek.wants_stream_usage
    {
        changes.push((place.clone(), text.as_bytes().to_vec()));
    }
    changes.extend(peek.cuts.iter().map(|place| (place.clone(), Vec::new())));
    splice_in(body, changes)
}

/// The body with these places replaced; the same `Bytes` when there are none.
pub(crate) fn splice_in(body: &Bytes, mut changes: Vec<(Range<usize>, Vec<u8>)>) -> Bytes {
    if changes.is_empty() {
        return body.clone();
    }
    changes.sort_by_key(|(place, _)| place.start);
    let grown: usize = changes.iter().map(|(_, text)| text.len()).sum();
    let mut out = Vec::with_capacity(body.len() + grown);
    let mut from = 0;
    for (place, text) in changes {
        if place.start < from {
            // Within what is gone already.
            continue;
        }
        out.extend_from_slice(body.get(from..place.start).unwrap_or_default());
        out.extend_from_slice(&text);
        // A cut may lie within another.
        from = place.end.max(from);
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    Bytes::from(out)
}
