//! The few fields typed of a forwarded request (protocols A6). The model and the wish to stream stand in the path.

use domain::{Feature, ImageDetail};

use crate::cursor::{Cursor, Text};
use crate::intake::{Intake, Place, is_set, unsigned, word_at};
use crate::wire::{FieldError, Incoming, Peek};

pub(super) fn peek(request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let mut reader = Reader { intake: Intake::new(), has_messages: false };
    let mut cursor = Cursor::new(request.body);
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        reader.field(&key.decode(), &mut cursor)?;
    }
    if !reader.has_messages {
        return Err(FieldError::new("messages", "at least one message is required"));
    }
    // Usage is always part of the stream.
    reader.intake.peek.wants_stream_usage = true;
    // The model stays in the path.
    Ok(Peek { model_span: None, ..reader.intake.finish(request)? })
}

struct Reader {
    intake: Intake,
    has_messages: bool,
}

impl Reader {
    fn field(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let it = &mut self.intake;
        match key {
            "messages" => {
                self.has_messages |=
                    it.messages(cursor, |it, cursor| it.blocks_message(cursor, block))?;
            }
            "system" => {
                let none = cursor.is_null() || cursor.is_empty_array();
                it.has_if(!none, Feature::System);
                it.system(cursor, block);
            }
            "inferenceConfig" => self.inference(cursor)?,
            "toolConfig" => self.tools(cursor),
            "outputConfig" => self.output_config(cursor),
            "additionalModelRequestFields" => self.additional(cursor),
            "serviceTier" => it.has_if(is_set(cursor), Feature::ServiceTier),
            "guardrailConfig"
            | "performanceConfig"
            | "requestMetadata"
            | "projectIdentifier"
            | "additionalModelResponseFieldPaths" => cursor.skip(),
            // Prompt variables become input, and so may what is newer than this.
            _ => it.whole(cursor),
        }
        Ok(())
    }

    fn inference(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let it = &mut self.intake;
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            match &*key.bytes() {
                b"maxTokens" => {
                    it.peek.limits.max_output = unsigned(cursor, "inferenceConfig.maxTokens")?;
                }
                b"temperature" | b"topP" => it.has_if(is_set(cursor), Feature::Sampling),
                b"stopSequences" => {
                    let none = cursor.is_null() || cursor.is_empty_array();
                    it.has_if(!none, Feature::StopSequences);
                    cursor.skip();
                }
                _ => cursor.skip(),
            }
        }
        Ok(())
    }

    fn tools(&mut self, cursor: &mut Cursor<'_>) {
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            if key.is("tools") {
                let mut items = cursor.array();
                while cursor.item(&mut items) {
                    self.tool(cursor);
                }
            } else if key.is("toolChoice") {
                let mut choice = cursor.object();
                while let Some(kind) = cursor.key(&mut choice) {
                    let forced = is_set(cursor) && !kind.is("auto");
                    self.intake.has_if(forced, Feature::ToolChoice);
                }
            } else {
                cursor.skip();
            }
        }
    }

    /// The wrapping of a tool is not counted: other dialects have less of it.
    fn tool(&mut self, cursor: &mut Cursor<'_>) {
        let mut object = cursor.object();
        while let Some(kind) = cursor.key(&mut object) {
            match &*kind.bytes() {
                b"toolSpec" => {
                    self.intake.has(Feature::Tools);
                    let mut spec = cursor.object();
                    while let Some(key) = cursor.key(&mut spec) {
                        if key.is("inputSchema") {
                            let mut schema = cursor.object();
                            while cursor.key(&mut schema).is_some() {
                                self.intake.tool(cursor.raw());
                            }
                        } else {
                            self.intake.tool(cursor.raw());
                        }
                    }
                }
                b"cachePoint" => self.intake.has_if(is_set(cursor), Feature::CacheHints),
                _ => {
                    self.intake.has(Feature::HostedTools);
                    self.intake.tool(cursor.raw());
                }
            }
        }
    }

    fn output_config(&mut self, cursor: &mut Cursor<'_>) {
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            if cursor.is_null() {
                cursor.skip();
            } else if key.is("effort") {
                self.intake.has(Feature::Reasoning);
                cursor.skip();
            } else if key.is("textFormat") {
                self.intake.has(Feature::JsonSchema);
                self.intake.tool(cursor.raw());
            } else {
                cursor.skip();
            }
        }
    }

    /// Fields of the model's own: those of Claude are known (protocols B).
    fn additional(&mut self, cursor: &mut Cursor<'_>) {
        let it = &mut self.intake;
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            match &*key.bytes() {
                b"top_k" => {
                    if is_set(cursor) {
                        it.has(Feature::Sampling);
                        it.has(Feature::TopK);
                    }
                }
                b"thinking" | b"reasoning_config" => {
                    let on = word_at(cursor, "type").is_some_and(|kind| !kind.is("disabled"));
                    it.has_if(on, Feature::Reasoning);
                }
                b"anthropic_beta" => {
                    let none = cursor.is_null() || cursor.is_empty_array();
                    it.has_if(!none, Feature::Beta);
                    cursor.skip();
                }
                // Tools of a vendor's own come in here, and are input.
                _ => it.whole(cursor),
            }
        }
    }
}

/// A block: an object with one key, which says what it is.
fn block(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.bytes() {
            b"image" => image(it, cursor),
            b"document" => document(it, cursor),
            b"audio" => audio(it, cursor),
            b"cachePoint" => it.has_if(is_set(cursor), Feature::CacheHints),
            b"toolResult" => tool_result(it, cursor),
            b"toolUse" => tool_use(it, cursor),
            b"reasoningContent" => reasoning(it, cursor),
            _ => it.whole(cursor),
        }
    }
}

fn tool_use(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        if key.is("toolUseId") {
            it.id_text(cursor);
        } else {
            it.whole(cursor);
        }
    }
}

fn tool_result(it: &mut Intake, cursor: &mut Cursor<'_>) {
    it.has(Feature::ToolResults);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.bytes() {
            b"content" => it.content(cursor, block),
            b"status" => cursor.skip(),
            b"toolUseId" => it.id_text(cursor),
            _ => it.whole(cursor),
        }
    }
}

fn reasoning(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut object = cursor.object();
    while let Some(kind) = cursor.key(&mut object) {
        if !kind.is("reasoningText") {
            it.has(Feature::SignedReasoning);
            it.whole(cursor);
            continue;
        }
        let mut text = cursor.object();
        while let Some(key) = cursor.key(&mut text) {
            if key.is("signature") {
                let signed = cursor.peek() == Some(b'"') && !cursor.raw_is("\"\"");
                it.has_if(signed, Feature::SignedReasoning);
            }
            // A signature may hold the reasoning itself, encrypted.
            it.whole(cursor);
        }
    }
}

/// Where the bytes of media are; text and blocks of text are counted.
fn source<'a>(it: &mut Intake, cursor: &mut Cursor<'a>) -> Option<Place<'a>> {
    let mut place = Some(Place::Unknown);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match (&*key.bytes(), cursor.peek()) {
            (b"bytes", Some(b'"')) => place = cursor.text().map(Place::Base64),
            (b"s3Location", Some(b'{')) => {
                place = Some(Place::File);
                cursor.skip();
            }
            (b"text" | b"content", _) => {
                place = None;
                it.content(cursor, block);
            }
            _ => cursor.skip(),
        }
    }
    place
}

fn image(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut place = Some(Place::Unknown);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        if key.is("source") {
            place = source(it, cursor);
        } else {
            cursor.skip();
        }
    }
    it.image(place.unwrap_or(Place::Unknown), ImageDetail::Auto);
}

fn audio(it: &mut Intake, cursor: &mut Cursor<'_>) {
    it.has(Feature::AudioInput);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        if !key.is("source") {
            cursor.skip();
            continue;
        }
        match source(it, cursor) {
            Some(Place::Base64(data)) => it.audio(data),
            Some(Place::File) => it.has(Feature::FileIds),
            _ => {}
        }
    }
}

fn document(it: &mut Intake, cursor: &mut Cursor<'_>) {
    it.has(Feature::Documents);
    let (mut place, mut format) = (None, None);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.bytes() {
            b"source" => place = source(it, cursor),
            b"format" if cursor.peek() == Some(b'"') => format = cursor.text(),
            b"citations" => {
                let mut on = false;
                let mut citations = cursor.object();
                while let Some(key) = cursor.key(&mut citations) {
                    let value = cursor.raw();
                    on |= key.is("enabled") && value == b"true";
                }
                it.has_if(on, Feature::Citations);
            }
            _ => it.whole(cursor),
        }
    }
    let is_text = format.is_some_and(is_text_format);
    match place {
        // No more tokens than bytes.
        Some(Place::Base64(data)) if is_text => it.text(data),
        Some(place) => it.paged_document(place),
        None => {}
    }
}

/// Formats whose bytes are their text. Office files are compressed: what is in them can't be told.
fn is_text_format(format: Text<'_>) -> bool {
    ["txt", "md", "csv", "html"].iter().any(|it| format.is(it))
}

#[cfg(test)]
mod tests;
