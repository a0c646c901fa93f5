//! The few fields typed of a forwarded request (protocols A5). The model and the wish to stream are in the path.

use std::ops::Range;

use bytes::Bytes;
use domain::{Feature, ImageDetail};

use super::names::camel;
use super::peek_config;
use super::read_parts::{guess_type, is_uploaded};
use super::thought::{self, SENTINEL};
use crate::cursor::{Cursor, Text};
use crate::intake::{Intake, Place, boolean, is_set, splice_in, wrong};
use crate::wire::{Edits, FieldError, Incoming, Peek};

pub(super) fn peek(request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let mut reader = Reader { intake: Intake::new(), has_contents: false };
    // Usage is always part of the stream.
    reader.intake.peek.wants_stream_usage = true;
    reader.fields(&mut Cursor::new(request.body))?;
    if !reader.has_contents {
        return Err(FieldError::new("contents", "at least one content is required"));
    }
    let mut peek = reader.intake.finish(request)?;
    // The path names the model to providers too.
    peek.model_span = None;
    Ok(peek)
}

/// The body as it came, with two exceptions. Where it says the model once more, as `models/...`, that follows the path;
/// what another vendor signed would be refused as corrupted, so it is replaced by the word that asks for no look at it.
pub(super) fn forward(body: &Bytes, _peek: &Peek, edits: &Edits<'_>) -> Bytes {
    let quoted = |text: &str| {
        let mut out = Vec::with_capacity(text.len() + 2);
        crate::json::append(&mut out, text);
        out
    };
    let mut changes: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
    if let Some(model) = edits.model {
        let name = quoted(&format!("models/{model}"));
        let mut places = Vec::new();
        model_places(&mut Cursor::new(body), &mut places);
        places.retain(|place| body.get(place.clone()) != Some(name.as_slice()));
        changes.extend(places.into_iter().map(|place| (place, name.clone())));
    }
    let foreign = thought::foreign_in(body).into_iter();
    changes.extend(foreign.map(|place| (place, quoted(thought::SENTINEL))));
    splice_in(body, changes)
}

/// Where the strings stand that name the model: at the top, in a request to be counted, and in each of a batch.
fn model_places(cursor: &mut Cursor<'_>, places: &mut Vec<Range<usize>>) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match (&*camel(&key.decode()), cursor.peek()) {
            ("model", Some(b'"')) => places.push(cursor.span()),
            ("generateContentRequest", Some(b'{')) => model_places(cursor, places),
            ("requests", Some(b'[')) => {
                let mut items = cursor.array();
                while cursor.item(&mut items) {
                    model_places(cursor, places);
                }
            }
            _ => cursor.skip(),
        }
    }
}

struct Reader {
    intake: Intake,
    has_contents: bool,
}

impl Reader {
    fn fields(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            self.field(&camel(&key.decode()), cursor)?;
        }
        Ok(())
    }

    fn field(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let it = &mut self.intake;
        match key {
            "contents" => self.contents(cursor)?,
            // A whole request, to be counted.
            "generateContentRequest" if cursor.peek() == Some(b'{') => self.fields(cursor)?,
            "systemInstruction" => system(it, cursor),
            "tools" => tools(it, cursor),
            "toolConfig" => tool_config(it, cursor),
            "generationConfig" => peek_config::read(it, cursor)?,
            "cachedContent" => it.has_if(is_set(cursor), Feature::ServerState),
            "store" => {
                let stored = boolean(cursor, key)?;
                it.has_if(stored, Feature::ServerState);
            }
            "serviceTier" => {
                let word = cursor.text().map(|word| word.decode().to_ascii_lowercase());
                let said = word.is_some_and(|word| !word.ends_with("unspecified"));
                it.has_if(said, Feature::ServiceTier);
            }
            "model" | "safetySettings" | "labels" | "modelArmorConfig" => cursor.skip(),
            // Whatever a newer field says may become input.
            _ => it.whole(cursor),
        }
        Ok(())
    }

    fn contents(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        let start = cursor.place();
        let mut ends_with_model = false;
        match cursor.peek() {
            Some(b'[') => {
                let mut items = cursor.array();
                while cursor.item(&mut items) {
                    ends_with_model = self.content(cursor);
                }
            }
            Some(b'{') => ends_with_model = self.content(cursor),
            _ => return Err(wrong("contents", start, "expected an array")),
        }
        self.intake.has_if(ends_with_model, Feature::Prefill);
        Ok(())
    }

    /// One content; whether the model says it.
    fn content(&mut self, cursor: &mut Cursor<'_>) -> bool {
        self.has_contents = true;
        self.intake.message();
        let mut by_model = false;
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            if key.is("parts") {
                parts(&mut self.intake, cursor);
            } else if key.is("role") {
                by_model = cursor.text().is_some_and(|role| role.is("model"));
            } else {
                self.intake.whole(cursor);
            }
        }
        self.intake.end_head();
        by_model
    }
}

/// A list of parts; a single one may stand for itself.
fn parts(it: &mut Intake, cursor: &mut Cursor<'_>) {
    if cursor.peek() == Some(b'{') {
        it.allowance();
        part(it, cursor);
    } else {
        it.content(cursor, part);
    }
}

fn system(it: &mut Intake, cursor: &mut Cursor<'_>) {
    if cursor.is_null() {
        return cursor.skip();
    }
    if cursor.peek() != Some(b'{') {
        it.has(Feature::System);
        return it.system(cursor, part);
    }
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        if key.is("parts") {
            it.has_if(!cursor.is_null() && !cursor.is_empty_array(), Feature::System);
            it.system(cursor, part);
        } else {
            cursor.skip();
        }
    }
}

fn part(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*camel(&key.decode()) {
            "inlineData" => inline(it, cursor),
            "fileData" => file(it, cursor),
            "thoughtSignature" => {
                let said = { *cursor }.text().is_some_and(|it| !it.is_empty() && !it.is(SENTINEL));
                it.has_if(said, Feature::SignedReasoning);
                // It may hold the reasoning itself, encrypted.
                it.whole(cursor);
            }
            "functionResponse" => {
                it.has(Feature::ToolResults);
                result(it, cursor);
            }
            _ => it.whole(cursor),
        }
    }
}

fn result(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        if key.is("parts") {
            parts(it, cursor);
        } else {
            it.whole(cursor);
        }
    }
}

/// The two strings of a blob or file: its type, and what `place` names.
fn typed<'a>(
    it: &mut Intake,
    cursor: &mut Cursor<'a>,
    place: &str,
) -> (Option<Text<'a>>, Option<Text<'a>>) {
    let (mut kind, mut held) = (None, None);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        let name = key.decode();
        let name = camel(&name);
        if cursor.peek() != Some(b'"') {
            cursor.skip();
        } else if name == "mimeType" {
            kind = cursor.text();
        } else if name == place {
            held = cursor.text();
        } else {
            it.whole(cursor);
        }
    }
    (kind, held)
}

fn inline(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let (kind, data) = typed(it, cursor, "data");
    let kind = kind.map(|kind| kind.decode()).unwrap_or_default();
    let Some(data) = data else { return };
    if kind.starts_with("image/") {
        it.image(Place::Base64(data), ImageDetail::Auto);
    } else if kind.starts_with("audio/") {
        it.audio(data);
    } else if kind.starts_with("text/") {
        it.has(Feature::Documents);
        it.text(data);
    } else {
        it.paged_document(Place::Base64(data));
    }
}

fn file(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let (kind, uri) = typed(it, cursor, "fileUri");
    let Some(uri) = uri else { return };
    let address = uri.decode();
    let place = if is_uploaded(&address) { Place::File } else { Place::Url(uri) };
    let kind = kind.map(|kind| kind.decode());
    let kind = kind.as_deref().or_else(|| guess_type(&address)).unwrap_or_default();
    if kind.starts_with("image/") {
        it.image(place, ImageDetail::Auto);
    } else {
        it.paged_document(place);
    }
}

fn tools(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut items = cursor.array();
    while cursor.item(&mut items) {
        let mut object = cursor.object();
        while let Some(key) = cursor.key(&mut object) {
            if cursor.is_null() {
                cursor.skip();
            } else if camel(&key.decode()) == "functionDeclarations" {
                let mut functions = cursor.array();
                while cursor.item(&mut functions) {
                    it.has(Feature::Tools);
                    it.tool(cursor.raw());
                }
            } else {
                it.has(Feature::HostedTools);
                it.tool(cursor.raw());
            }
        }
    }
}

fn tool_config(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        if camel(&key.decode()) != "functionCallingConfig" {
            cursor.skip();
            continue;
        }
        let mut calling = cursor.object();
        while let Some(key) = cursor.key(&mut calling) {
            match &*camel(&key.decode()) {
                "mode" => {
                    let mode = cursor.text().map(|mode| mode.decode().to_ascii_uppercase());
                    let forced = matches!(mode.as_deref(), Some("ANY" | "NONE"));
                    it.has_if(forced, Feature::ToolChoice);
                }
                "allowedFunctionNames" => {
                    let none = cursor.is_null() || cursor.is_empty_array();
                    it.has_if(!none, Feature::ToolChoice);
                    cursor.skip();
                }
                _ => cursor.skip(),
            }
        }
    }
}
