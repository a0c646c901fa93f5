//! The few fields typed of a forwarded request (protocols A1). What is not known is counted as text, as it is
//! written: the count bounds what the request can cost.

use bytes::Bytes;
use domain::{Feature, ImageDetail};

use crate::cursor::Cursor;
use crate::intake::{Intake, Place, Role, boolean, is_set, splice, unsigned, word_at, wrong};
use crate::wire::{Edits, FieldError, Incoming, Peek};

/// Most answers a request may ask for: OpenAI's own bound.
const ANSWERS_MAX: u64 = 128;

pub(super) fn peek(request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let mut reader = Reader { intake: Intake::new(), has_messages: false };
    let mut cursor = Cursor::new(request.body);
    // Where `stream_options` can be put in: right after the brace, before the fields that are surely there.
    let inside = cursor.place() + 1;
    reader.intake.peek.usage_edit =
        Some((inside..inside, r#""stream_options":{"include_usage":true},"#));
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        reader.field(&key.decode(), &mut cursor)?;
    }
    if !reader.has_messages {
        return Err(FieldError::new("messages", "at least one message is required"));
    }
    reader.intake.finish(request)
}

pub(super) fn forward(body: &Bytes, peek: &Peek, edits: &Edits<'_>) -> Bytes {
    splice(body, peek, edits)
}

struct Reader {
    intake: Intake,
    has_messages: bool,
}

impl Reader {
    fn field(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let it = &mut self.intake;
        match key {
            "model" => it.model(cursor)?,
            "messages" => self.has_messages |= it.messages(cursor, message)?,
            "stream" => it.peek.stream = boolean(cursor, key)?,
            "stream_options" => self.stream_options(cursor)?,
            "max_completion_tokens" | "max_tokens" => {
                // Both spellings at once: whichever the provider obeys is bounded.
                let most = &mut it.peek.limits.max_output;
                *most = unsigned(cursor, key)?.max(*most);
            }
            "n" => self.answers(cursor)?,
            "tools" => it.typed_tools(cursor),
            "functions" => self.functions(cursor),
            "tool_choice" | "function_call" => {
                let auto = cursor.is_null() || cursor.raw_is("\"auto\"");
                it.has_if(!auto, Feature::ToolChoice);
                cursor.skip();
            }
            "response_format" => self.format(cursor),
            "temperature" | "top_p" | "frequency_penalty" | "presence_penalty" => {
                it.has_if(is_set(cursor), Feature::Sampling);
            }
            "top_k" => {
                if is_set(cursor) {
                    it.has(Feature::Sampling);
                    it.has(Feature::TopK);
                }
            }
            "seed" | "random_seed" => it.has_if(is_set(cursor), Feature::Seed),
            "logprobs" => it.has_if(cursor.boolean() == Some(true), Feature::Logprobs),
            "top_logprobs" => it.has_if(is_set(cursor), Feature::Logprobs),
            "logit_bias" => it.has_if(is_set(cursor), Feature::LogitBias),
            "stop" => {
                let none = cursor.is_null() || cursor.is_empty_array();
                it.has_if(!none, Feature::StopSequences);
                cursor.skip();
            }
            "reasoning_effort" => {
                let off = cursor.is_null() || cursor.raw_is("\"none\"");
                it.has_if(!off, Feature::Reasoning);
                cursor.skip();
            }
            "service_tier" => it.has_if(is_set(cursor), Feature::ServiceTier),
            "store" => it.has_if(cursor.boolean() == Some(true), Feature::ServerState),
            "prediction" => {
                it.has_if(!cursor.is_null(), Feature::Prediction);
                it.whole(cursor);
            }
            "audio" => it.has_if(is_set(cursor), Feature::MediaOutput),
            "web_search_options" => {
                it.has_if(!cursor.is_null(), Feature::HostedTools);
                it.whole(cursor);
            }
            "prompt_cache_options" => {
                let set = !cursor.is_null();
                let explicit = word_at(cursor, "mode").is_some_and(|mode| mode.is("explicit"));
                it.has_if(set && !explicit, Feature::CacheHints);
            }
            "metadata"
            | "user"
            | "safety_identifier"
            | "prompt_cache_key"
            | "modalities"
            | "moderation"
            | "verbosity"
            | "prompt_cache_retention" => cursor.skip(),
            // Whatever a vendor's own field says may become input.
            _ => it.whole(cursor),
        }
        Ok(())
    }

    fn answers(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let place = cursor.place();
        let answers = unsigned(cursor, "n")?.unwrap_or(1);
        if !(1..=ANSWERS_MAX).contains(&answers) {
            return Err(wrong("n", place, "expected 1 to 128"));
        }
        self.intake.peek.limits.answers = answers as u32;
        self.intake.has_if(answers > 1, Feature::ManyAnswers);
        Ok(())
    }

    fn stream_options(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let start = cursor.place();
        let peek = &mut self.intake.peek;
        if cursor.is_null() {
            peek.usage_edit = Some((cursor.span(), r#"{"include_usage":true}"#));
            return Ok(());
        }
        if cursor.peek() != Some(b'{') {
            return Err(wrong("stream_options", start, "expected an object"));
        }
        let mut edit = None;
        let mut object = cursor.object();
        let mut empty = true;
        while let Some(key) = cursor.key(&mut object) {
            empty = false;
            if key.is("include_usage") {
                let mut value = *cursor;
                edit = Some((value.span(), "true"));
                peek.wants_stream_usage = boolean(cursor, "stream_options.include_usage")?;
            } else {
                cursor.skip();
            }
        }
        let inside = start + 1..start + 1;
        let added = if empty { r#""include_usage":true"# } else { r#""include_usage":true,"# };
        peek.usage_edit = Some(edit.unwrap_or((inside, added)));
        Ok(())
    }

    fn functions(&mut self, cursor: &mut Cursor<'_>) {
        let mut items = cursor.array();
        while cursor.item(&mut items) {
            self.intake.tool(cursor.raw());
            self.intake.has(Feature::Tools);
        }
    }

    fn format(&mut self, cursor: &mut Cursor<'_>) {
        let raw = cursor.raw();
        match word_at(&mut Cursor::new(raw), "type") {
            Some(kind) if kind.is("json_schema") => {
                self.intake.has(Feature::JsonSchema);
                self.intake.tool(raw);
            }
            Some(kind) if kind.is("json_object") => {
                self.intake.has(Feature::JsonObject);
                self.intake.allowance();
            }
            _ => {}
        }
    }
}

fn message(it: &mut Intake, cursor: &mut Cursor<'_>) -> Role {
    let mut role = Role::User;
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.decode() {
            "role" => {
                let word = cursor.text().map(|word| word.decode());
                role = match word.as_deref() {
                    Some("system" | "developer") => Role::System,
                    Some("assistant") => Role::Assistant,
                    _ => Role::User,
                };
                it.has_if(role == Role::System && it.is_in_head(), Feature::System);
                let is_result = matches!(word.as_deref(), Some("tool" | "function"));
                it.has_if(is_result, Feature::ToolResults);
            }
            "content" => it.content(cursor, part),
            "reasoning_details" => {
                let raw = cursor.raw();
                it.has_if(is_signed(raw), Feature::SignedReasoning);
                it.whole(&mut Cursor::new(raw));
            }
            "tool_calls" => it.tool_calls(cursor),
            "tool_call_id" => it.id_text(cursor),
            _ => it.whole(cursor),
        }
    }
    role
}

/// Whether a piece of `reasoning_details` is bound to its vendor.
fn is_signed(raw: &[u8]) -> bool {
    let mut cursor = Cursor::new(raw);
    let mut items = cursor.array();
    let mut signed = false;
    while cursor.item(&mut items) {
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            let binding = key.is("data") || key.is("signature");
            let filled = cursor.peek() == Some(b'"') && !cursor.raw_is("\"\"");
            signed |= binding && filled;
            cursor.skip();
        }
    }
    signed
}

fn part(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.decode() {
            "type" => cursor.skip(),
            "image_url" => {
                let (place, detail) = media(it, cursor);
                it.image(place, detail);
            }
            "input_audio" => match media(it, cursor).0 {
                Place::Base64(data) => it.audio(data),
                _ => it.has(Feature::AudioInput),
            },
            // OpenAI's word and Mistral's.
            "file" | "document_url" => {
                let (place, _) = media(it, cursor);
                it.paged_document(place);
            }
            "prompt_cache_breakpoint" => it.has_if(is_set(cursor), Feature::CacheHints),
            _ => it.whole(cursor),
        }
    }
}

/// Where media is and how closely it is to be looked at: a URL itself (some hosts take that), or an object.
fn media<'a>(it: &mut Intake, cursor: &mut Cursor<'a>) -> (Place<'a>, ImageDetail) {
    let (mut place, mut detail) = (Place::Unknown, ImageDetail::Auto);
    if cursor.peek() == Some(b'"') {
        return (cursor.text().map_or(place, Place::Url), detail);
    }
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        let key = key.decode();
        match (&*key, cursor.peek()) {
            ("url", Some(b'"')) => place = cursor.text().map_or(place, Place::Url),
            ("data", Some(b'"')) => place = cursor.text().map_or(place, Place::Base64),
            // Bare base64 or a `data:` URL; beside a file id it does not count.
            ("file_data", Some(b'"')) if matches!(place, Place::Unknown) => {
                place = cursor.text().map_or(place, Place::Base64);
            }
            ("file_id", Some(b'"')) => {
                place = Place::File;
                cursor.skip();
            }
            ("detail", Some(b'"')) => {
                let word = cursor.text().map(|word| word.decode());
                detail = word.map_or(detail, |word| ImageDetail::of_word(&word));
            }
            ("detail" | "format" | "file_data", _) => cursor.skip(),
            _ => it.whole(cursor),
        }
    }
    (place, detail)
}

#[cfg(test)]
mod tests;
