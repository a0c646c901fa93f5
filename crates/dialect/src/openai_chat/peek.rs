//! The few fields typed of a forwarded request: one pass over the bytes, no tree. What is not known is counted
//! as text, as long as it is written: the count bounds what the request can cost.

use std::ops::Range;

use bytes::Bytes;
use domain::{Feature, Features, RequestLimits};

use crate::cursor::{Cursor, Text};
use crate::intake::splice;
use crate::peeking::{
    self, ALLOWANCE, NESTING_MAX, PrefixKey, is_some, measured_items, string_at, text_or_raw,
};
use crate::wire::{Edits, FieldError, Headers, Peek};

/// Most answers a request may ask for: OpenAI's own bound.
const ANSWERS_MAX: u64 = 128;

pub(super) fn peek(body: &[u8], _headers: &dyn Headers) -> Result<Peek, FieldError> {
    let mut cursor = Cursor::new(body);
    let mut reading = Reading::default();
    reading.peek.limits = RequestLimits { max_output: None, answers: 1 };
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        reading.field(&key.decode(), &mut cursor)?;
    }
    reading.finish(body)
}

pub(super) fn forward(body: &Bytes, peek: &Peek, edits: &Edits<'_>) -> Bytes {
    splice(body, peek, edits)
}

/// Asks for usage in the options that are there, or beside the model where there are none.
fn usage_edit(body: &[u8], options: Option<Range<usize>>, model_end: usize) -> (Range<usize>, &'static str) {
    let Some(span) = options else {
        return (model_end..model_end, r#","stream_options":{"include_usage":true}"#);
    };
    let mut cursor = Cursor::new(body.get(span.clone()).unwrap_or_default());
    let mut members = cursor.object();
    let mut is_empty = true;
    while let Some(key) = cursor.key(&mut members) {
        is_empty = false;
        let value = cursor.span();
        if key.is("include_usage") {
            return (span.start + value.start..span.start + value.end, "true");
        }
    }
    if body.get(span.start) != Some(&b'{') {
        return (span, r#"{"include_usage":true}"#);
    }
    let inside = span.start + 1;
    let text = if is_empty { r#""include_usage":true"# } else { r#""include_usage":true,"# };
    (inside..inside, text)
}

#[derive(Default)]
struct Reading {
    peek: Peek,
    has_model: bool,
    has_messages: bool,
    stream_options: Option<Range<usize>>,
    tools: Range<usize>,
    /// Leading system messages and the first message after them.
    opening: Range<usize>,
    last_is_assistant: bool,
}

impl Reading {
    fn on(&mut self, feature: Feature) {
        self.peek.features.insert(feature);
    }

    fn field(&mut self, name: &str, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        if name == "stream_options" {
            return self.stream_options(cursor);
        }
        if cursor.is_null() {
            cursor.skip();
            return Ok(());
        }
        let feature = match name {
            "model" => {
                self.has_model = true;
                return peeking::model(cursor, &mut self.peek);
            }
            "messages" => return self.messages(cursor),
            "tools" | "functions" => return self.tools(name, cursor),
            "stream" => {
                self.peek.stream = peeking::boolean(cursor, name)?;
                if self.peek.stream {
                    self.on(Feature::Stream);
                }
                return Ok(());
            }
            "max_tokens" | "max_completion_tokens" | "n" => return self.limit(name, cursor),
            "response_format" => return self.format(cursor),
            "stop" => is_filled(*cursor).then_some(Feature::StopSequences),
            "tool_choice" | "function_call" => {
                let auto = cursor.clone_text().is_some_and(|word| word.is("auto"));
                (!auto).then_some(Feature::ToolChoice)
            }
            "reasoning_effort" => {
                let none = cursor.clone_text().is_some_and(|word| word.is("none"));
                (!none).then_some(Feature::Reasoning)
            }
            "logprobs" => cursor.is_true().then_some(Feature::Logprobs),
            "store" => cursor.is_true().then_some(Feature::ServerState),
            "top_logprobs" => Some(Feature::Logprobs),
            "temperature" | "top_p" | "frequency_penalty" | "presence_penalty" => {
                Some(Feature::Sampling)
            }
            "top_k" => {
                self.on(Feature::Sampling);
                Some(Feature::TopK)
            }
            "seed" => Some(Feature::Seed),
            "logit_bias" => Some(Feature::LogitBias),
            "audio" => Some(Feature::MediaOutput),
            "service_tier" => Some(Feature::ServiceTier),
            "prediction" => {
                self.on(Feature::Prediction);
                self.peek.text_bytes += cursor.raw().len() as u64;
                return Ok(());
            }
            "prompt_cache_options" => {
                let explicit = string_at(*cursor, "mode").is_some_and(|mode| mode.is("explicit"));
                (!explicit).then_some(Feature::CacheHints)
            }
            "metadata" | "modalities" | "moderation" | "parallel_tool_calls"
            | "prompt_cache_key" | "prompt_cache_retention" | "safety_identifier" | "user"
            | "verbosity" => None,
            _ => {
                self.peek.text_bytes += text_or_raw(cursor);
                return Ok(());
            }
        };
        cursor.skip();
        if let Some(feature) = feature {
            self.on(feature);
        }
        Ok(())
    }

    fn stream_options(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let mut options = *cursor;
        let span = cursor.span();
        let mut members = options.object();
        while let Some(key) = options.key(&mut members) {
            if key.is("include_usage") {
                self.peek.wants_stream_usage =
                    peeking::boolean(&mut options, "stream_options.include_usage")?;
            } else {
                options.skip();
            }
        }
        self.stream_options = Some(span);
        Ok(())
    }

    fn limit(&mut self, name: &str, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let place = cursor.place();
        let value = peeking::unsigned(cursor, name)?;
        let limits = &mut self.peek.limits;
        if name != "n" {
            // Both spellings at once: whichever the provider obeys is bounded.
            limits.max_output = Some(limits.max_output.map_or(value, |other| other.max(value)));
            return Ok(());
        }
        if !(1..=ANSWERS_MAX).contains(&value) {
            return Err(peeking::wrong(name, place, "expected 1 to 128"));
        }
        limits.answers = value as u32;
        if value > 1 {
            self.on(Feature::ManyAnswers);
        }
        Ok(())
    }

    fn format(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let kind = string_at(*cursor, "type");
        let is = |word: &str| kind.is_some_and(|kind| kind.is(word));
        if is("json_object") {
            self.on(Feature::JsonObject);
        } else if is("json_schema") {
            self.on(Feature::JsonSchema);
        }
        let length = cursor.raw().len() as u64;
        if !is("text") {
            self.peek.text_bytes += ALLOWANCE + length;
        }
        Ok(())
    }

    fn tools(&mut self, name: &str, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let start = cursor.place();
        if cursor.peek() != Some(b'[') {
            return Err(peeking::wrong(name, start, "expected an array"));
        }
        let mut features = Features::NONE;
        self.peek.text_bytes += measured_items(cursor, |tool| {
            let kind = string_at(tool, "type");
            let is = |word: &str| kind.is_some_and(|kind| kind.is(word));
            features.insert(if name == "functions" || is("function") {
                Feature::Tools
            } else if is("custom") {
                Feature::CustomTools
            } else {
                Feature::HostedTools
            });
        });
        self.peek.features = Features::from_bits(self.peek.features.bits() | features.bits());
        self.tools = start..cursor.position();
        Ok(())
    }

    fn messages(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let start = cursor.place();
        if cursor.peek() != Some(b'[') {
            return Err(peeking::wrong("messages", start, "expected an array"));
        }
        self.has_messages = true;
        // The system prompt is no message of its own here; translated, it gets an allowance too.
        self.peek.text_bytes += ALLOWANCE;
        let mut items = cursor.array();
        let mut opened = false;
        while cursor.item(&mut items) {
            let from = cursor.place();
            let is_system = self.message(cursor);
            if !opened {
                let begin = if self.opening.is_empty() { from } else { self.opening.start };
                self.opening = begin..cursor.position();
                opened = !is_system;
            }
        }
        Ok(())
    }

    /// Reads one message; whether it is a system or developer message.
    fn message(&mut self, cursor: &mut Cursor<'_>) -> bool {
        self.peek.message_count = self.peek.message_count.saturating_add(1);
        self.peek.text_bytes += ALLOWANCE;
        self.last_is_assistant = false;
        let mut is_system = false;
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*key.decode() {
                "role" => is_system = self.role(cursor),
                "content" => self.content(cursor, 0),
                "reasoning_details" => self.reasoning_details(cursor),
                "tool_calls" => self.peek.text_bytes += measured_items(cursor, |_| {}),
                _ => self.peek.text_bytes += text_or_raw(cursor),
            }
        }
        is_system
    }

    fn role(&mut self, cursor: &mut Cursor<'_>) -> bool {
        let Some(role) = cursor.text() else { return false };
        let is_system = role.is("system") || role.is("developer");
        if is_system {
            self.on(Feature::System);
        } else if role.is("tool") || role.is("function") {
            self.on(Feature::ToolResults);
        }
        self.last_is_assistant = role.is("assistant");
        is_system
    }

    fn content(&mut self, cursor: &mut Cursor<'_>, depth: u32) {
        if cursor.peek() != Some(b'[') || depth > NESTING_MAX {
            self.peek.text_bytes += text_or_raw(cursor);
            return;
        }
        let mut items = cursor.array();
        while cursor.item(&mut items) {
            self.part(cursor, depth);
        }
    }

    fn part(&mut self, cursor: &mut Cursor<'_>, depth: u32) {
        self.peek.text_bytes += ALLOWANCE;
        if cursor.peek() != Some(b'{') {
            self.peek.text_bytes += text_or_raw(cursor);
            return;
        }
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*key.decode() {
                "type" => cursor.skip(),
                "image_url" => self.image(cursor),
                "input_audio" => self.audio(cursor),
                "file" => self.file(cursor),
                "prompt_cache_breakpoint" => {
                    if is_some(*cursor) {
                        self.on(Feature::CacheHints);
                    }
                    cursor.skip();
                }
                "thinking" | "content" => self.content(cursor, depth + 1),
                _ => self.peek.text_bytes += text_or_raw(cursor),
            }
        }
    }

    fn image(&mut self, cursor: &mut Cursor<'_>) {
        self.on(Feature::Images);
        self.peek.images = self.peek.images.saturating_add(1);
        if cursor.peek() == Some(b'"') {
            // Some hosts take the URL itself.
            let url = cursor.text();
            return self.media(url);
        }
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            if key.is("url") {
                let url = cursor.text();
                self.media(url);
            } else {
                cursor.skip();
            }
        }
    }

    /// A `data:` URL is media, any other is fetched by the provider.
    fn media(&mut self, url: Option<Text<'_>>) {
        let Some(url) = url else { return };
        // A slash may be written as `\/`, a colon hardly as anything else.
        if url.raw.starts_with(b"data:") {
            self.peek.media_bytes += url.len() as u64;
        } else {
            self.on(Feature::RemoteMedia);
        }
    }

    fn audio(&mut self, cursor: &mut Cursor<'_>) {
        self.on(Feature::AudioInput);
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            if key.is("data") {
                self.peek.media_bytes += text_or_raw(cursor);
            } else {
                cursor.skip();
            }
        }
    }

    fn file(&mut self, cursor: &mut Cursor<'_>) {
        self.on(Feature::Documents);
        self.peek.documents = self.peek.documents.saturating_add(1);
        let mut members = cursor.object();
        while let Some(key) = cursor.key(&mut members) {
            match &*key.decode() {
                "file_data" => self.peek.media_bytes += text_or_raw(cursor),
                "file_id" => {
                    if is_some(*cursor) {
                        self.on(Feature::FileIds);
                    }
                    cursor.skip();
                }
                _ => self.peek.text_bytes += text_or_raw(cursor),
            }
        }
    }

    /// Signed or encrypted reasoning is bound to the vendor that made it.
    fn reasoning_details(&mut self, cursor: &mut Cursor<'_>) {
        let mut signed = false;
        self.peek.text_bytes += measured_items(cursor, |detail| {
            let filled = |name| string_at(detail, name).is_some_and(|text| !text.is_empty());
            signed |= filled("signature") || filled("data");
        });
        if signed {
            self.on(Feature::SignedReasoning);
        }
    }

    fn finish(mut self, body: &[u8]) -> Result<Peek, FieldError> {
        if !self.has_model {
            return Err(peeking::missing("model"));
        }
        if !self.has_messages || self.peek.message_count == 0 {
            return Err(FieldError::new("messages", "at least one message is required"));
        }
        if self.last_is_assistant {
            self.on(Feature::Prefill);
        }
        let model_end = self.peek.model_span.end;
        self.peek.usage_edit = Some(usage_edit(body, self.stream_options.take(), model_end));
        let mut key = PrefixKey::default();
        key.add(body.get(self.tools).unwrap_or_default());
        key.add(body.get(self.opening).unwrap_or_default());
        self.peek.prefix_key = key.finish();
        Ok(self.peek)
    }
}

/// Whether there is a stop sequence: a string, or an array with any.
fn is_filled(mut stop: Cursor<'_>) -> bool {
    if stop.peek() != Some(b'[') {
        return true;
    }
    let mut items = stop.array();
    stop.item(&mut items)
}

#[cfg(test)]
mod tests;
