//! Contents and their parts as the exchange's turns, and the parts of an answer.

use serde_json::{Map, Value};

use super::blob;
use super::names::{fields, get, own};
use super::thought::{self, Bound};
use crate::exchange::{
    Document, Image, Media, Message, Part, PartKind, Speaker, Thinking, ToolResult, ToolUse,
};
use crate::json::{Fields, says_nothing, to_text};
use crate::tool_ids;
use crate::wire::FieldError;

/// What a part can be that other dialects know too.
const KNOWN: [&str; 5] = ["text", "inlineData", "fileData", "functionCall", "functionResponse"];

/// Whose parts are read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    /// A client's: a signature stands apart, so that whoever can't carry it says so.
    Request,
    /// A provider's: a call's signature travels in its id, which every client returns.
    Answer,
}

/// Reads parts; remembers calls, because ids are optional here and results may have to be paired with them by name and
/// order.
#[derive(Debug)]
pub(super) struct Reader<'u> {
    side: Side,
    seed: String,
    made: u64,
    /// Calls that no result has answered yet: id and name, in order.
    open: Vec<(String, String)>,
    unknown: &'u mut Vec<String>,
}

impl<'u> Reader<'u> {
    /// Of a client's request.
    pub(super) fn of_request(unknown: &'u mut Vec<String>) -> Self {
        Self { side: Side::Request, seed: String::new(), made: 0, open: Vec::new(), unknown }
    }

    /// Of one candidate of a provider's answer; ids that are missing are made up from `seed`, from the `made`-th on.
    pub(super) fn of_answer(seed: String, made: u64, unknown: &'u mut Vec<String>) -> Self {
        Self { side: Side::Answer, seed, made, open: Vec::new(), unknown }
    }

    /// How many calls there were so far.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    /// All turns. Turns of the model that follow each other are one: clients keep each chunk of a stream as a turn.
    pub(super) fn contents(&mut self, contents: Vec<Value>) -> Result<Vec<Message>, FieldError> {
        let mut messages: Vec<Message> = Vec::new();
        for (at, raw) in contents.into_iter().enumerate() {
            let (speaker, parts) = self.content(raw, format!("contents[{at}]"), &messages)?;
            match messages.last_mut() {
                Some(last) if speaker == Speaker::Assistant && last.speaker == speaker => {
                    join(&mut last.parts, parts);
                }
                _ => messages.push(Message { at, speaker, name: None, parts }),
            }
        }
        Ok(messages)
    }

    fn content(
        &mut self,
        raw: Value,
        path: String,
        before: &[Message],
    ) -> Result<(Speaker, Vec<Part>), FieldError> {
        let mut content = fields(raw, path)?;
        let speaker = match content.string("role")?.as_deref() {
            None | Some("user" | "function" | "tool") => Speaker::User,
            Some("model") => Speaker::Assistant,
            Some("system") => Speaker::System,
            Some(_) => return Err(content.wrong("role", "expected user or model")),
        };
        let goes_on = before.last().is_some_and(|last| last.speaker == Speaker::Assistant);
        if speaker == Speaker::Assistant && !goes_on {
            // What was not answered by now never will be.
            self.open.clear();
        }
        let parts = match content.value("parts") {
            None => Vec::new(),
            Some(parts) => self.parts(parts, &content.at("parts"))?,
        };
        content.finish(self.unknown);
        Ok((speaker, parts))
    }

    /// A list of parts; a single one may stand for itself.
    pub(super) fn parts(&mut self, parts: Value, path: &str) -> Result<Vec<Part>, FieldError> {
        let parts = match parts {
            Value::Array(parts) => parts,
            one @ Value::Object(_) => vec![one],
            _ => return Err(FieldError::new(path, "expected an array of parts")),
        };
        let mut out = Vec::new();
        for (index, raw) in parts.into_iter().enumerate() {
            self.part(raw, format!("{path}[{index}]"), &mut out)?;
        }
        Ok(out)
    }

    /// One part, which can become two: what it holds, and a signature that stands with it.
    pub(super) fn part(
        &mut self,
        raw: Value,
        path: String,
        out: &mut Vec<Part>,
    ) -> Result<(), FieldError> {
        if !raw.is_object() {
            return Err(FieldError::new(path, "expected an object"));
        }
        let known = KNOWN.into_iter().find(|name| get(&raw, name).is_some());
        let has_signature = get(&raw, "thoughtSignature").is_some();
        if known.is_none() && !has_signature {
            if !says_nothing(&own_part(&raw)) {
                out.push(Part::new(PartKind::Vendor(raw)));
            }
            return Ok(());
        }
        let mut part = fields(raw, path)?;
        let bound = part.string("thoughtSignature")?.and_then(|text| thought::read(&text));
        let is_thought = part.boolean("thought")?.unwrap_or(false);
        match known {
            Some("text") if is_thought => {
                let text = part.required_string("text")?;
                out.extend(thinking(text, bound).map(Part::new));
            }
            Some("functionCall") => self.call(&mut part, bound, out)?,
            other => {
                out.extend(bound.map(apart));
                match other {
                    Some("text") => {
                        let text = part.required_string("text")?;
                        if !text.is_empty() {
                            out.push(Part::text(text));
                        }
                    }
                    Some("inlineData") => out.push(Part::new(self.inline(&mut part)?)),
                    Some("fileData") => out.push(Part::new(self.file(&mut part)?)),
                    Some("functionResponse") => out.push(Part::new(self.result(&mut part)?)),
                    _ => {}
                }
            }
        }
        part.finish(self.unknown);
        Ok(())
    }

    fn call(
        &mut self,
        part: &mut Fields,
        bound: Option<Bound>,
        out: &mut Vec<Part>,
    ) -> Result<(), FieldError> {
        let mut call = inner(part, "functionCall")?;
        let name = call.required_string("name")?;
        let given = call.string("id")?.filter(|id| !id.is_empty());
        let mut id = given.unwrap_or_else(|| tool_ids::made_up(&self.seed, self.made));
        self.made += 1;
        let input = match call.value("args") {
            None => "{}".to_owned(),
            Some(args @ Value::Object(_)) => to_text(&args),
            Some(_) => return Err(call.wrong("args", "expected an object")),
        };
        self.open.push((id.clone(), name.clone()));
        match bound {
            Some(Bound::Own(opaque)) if self.side == Side::Answer => {
                let signature = thought::own(&opaque).unwrap_or_default();
                id = tool_ids::with_thought(&id, signature);
            }
            other => out.extend(other.map(apart)),
        }
        // How a call was streamed says nothing about it.
        call.value("willContinue");
        call.value("partialArgs");
        call.finish(self.unknown);
        out.push(Part::new(PartKind::ToolUse(ToolUse { id, name, input, custom: false })));
        Ok(())
    }

    fn result(&mut self, part: &mut Fields) -> Result<PartKind, FieldError> {
        let mut result = inner(part, "functionResponse")?;
        let name = result.required_string("name")?;
        let id = result.string("id")?.filter(|id| !id.is_empty());
        let id = self.answered(id, &name);
        let response = match result.value("response") {
            None => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => return Err(result.wrong("response", "expected an object")),
        };
        let (text, is_error) = said(response);
        let mut parts: Vec<Part> = text.into_iter().map(Part::text).collect();
        if let Some(media) = result.value("parts") {
            parts.extend(self.parts(media, &result.at("parts"))?);
        }
        result.finish(self.unknown);
        Ok(PartKind::ToolResult(ToolResult { id, parts, is_error }))
    }

    /// The id of the call that a result answers: its own, or that of the first open call of its name.
    fn answered(&mut self, id: Option<String>, name: &str) -> String {
        let by_id = id.as_ref().and_then(|id| self.open.iter().position(|(open, _)| open == id));
        let by_name = || {
            self.open.iter().position(|(open, called)| {
                called == name && (id.is_none() || tool_ids::is_made_up(open))
            })
        };
        match by_id.or_else(by_name) {
            Some(at) => self.open.remove(at).0,
            None => id.unwrap_or_else(|| {
                self.made += 1;
                tool_ids::made_up(name, self.made)
            }),
        }
    }

    fn inline(&mut self, part: &mut Fields) -> Result<PartKind, FieldError> {
        let mut blob = inner(part, "inlineData")?;
        let media_type = blob.string("mimeType")?.unwrap_or_default();
        let data = blob.required_string("data")?;
        let title = blob.string("displayName")?;
        let kind = inline_kind(media_type, &data, title);
        blob.finish(self.unknown);
        Ok(kind)
    }

    fn file(&mut self, part: &mut Fields) -> Result<PartKind, FieldError> {
        let mut file = inner(part, "fileData")?;
        let uri = file.required_string("fileUri")?;
        let media_type = file.string("mimeType")?;
        let title = file.string("displayName")?;
        file.finish(self.unknown);
        let is_image = match &media_type {
            Some(kind) => kind.starts_with("image/"),
            None => guess_type(&uri).is_some_and(|kind| kind.starts_with("image/")),
        };
        let source = if is_uploaded(&uri) { Media::FileId(uri) } else { Media::Url(uri) };
        Ok(if is_image {
            PartKind::Image(Image { source, detail: None })
        } else {
            PartKind::Document(Document { source, title, extras: extras(media_type) })
        })
    }
}

/// The type of a file that is no PDF goes back only to its own dialect.
fn extras(media_type: Option<String>) -> std::collections::BTreeMap<&'static str, Value> {
    let kind = media_type.filter(|kind| kind != "application/pdf");
    kind.map(|kind| ("mimeType", kind.into())).into_iter().collect()
}

/// The object under a part's own key.
fn inner(part: &mut Fields, key: &str) -> Result<Fields, FieldError> {
    let path = part.at(key);
    match part.value(key) {
        Some(value) => fields(value, path),
        None => Err(FieldError::new(path, "this field is required")),
    }
}

/// A part without what says nothing by itself.
fn own_part(raw: &Value) -> Value {
    match own(raw.clone()) {
        Value::Object(mut map) => {
            map.retain(|key, value| key != "thought" && !value.is_null());
            Value::Object(map)
        }
        other => other,
    }
}

/// A signature that stands by itself.
fn apart(bound: Bound) -> Part {
    Part::new(match bound {
        Bound::Own(opaque) | Bound::Redacted(opaque) => PartKind::Redacted(opaque),
        Bound::Signature(opaque) => {
            PartKind::Thinking(Thinking { text: String::new(), signature: Some(opaque) })
        }
    })
}

/// A thought, with its signature if it has one.
fn thinking(text: String, bound: Option<Bound>) -> Option<PartKind> {
    let signature = match bound {
        Some(Bound::Redacted(opaque)) => return Some(PartKind::Redacted(opaque)),
        Some(Bound::Own(opaque) | Bound::Signature(opaque)) => Some(opaque),
        None if text.is_empty() => return None,
        None => None,
    };
    Some(PartKind::Thinking(Thinking { text, signature }))
}

/// Appends a turn's parts; text that goes on is one text.
fn join(parts: &mut Vec<Part>, more: Vec<Part>) {
    let mut more = more.into_iter().peekable();
    if let (
        Some(Part { kind: PartKind::Text(last), .. }),
        Some(Part { kind: PartKind::Text(next), .. }),
    ) = (parts.last_mut(), more.peek())
    {
        last.push_str(next);
        more.next();
    }
    parts.extend(more);
}

/// The text of a result, and whether the tool failed. `output` and `error` are the protocol's own keys, `result` is
/// what google-genai puts; anything else is the result as a whole.
fn said(mut response: Map<String, Value>) -> (Option<String>, bool) {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => to_text(&other),
    };
    if response.is_empty() {
        return (None, false);
    }
    if response.len() == 1 {
        for (key, is_error) in [("error", true), ("output", false), ("result", false)] {
            if let Some(value) = response.shift_remove(key) {
                return (Some(text(value)), is_error);
            }
        }
    }
    (Some(to_text(&Value::Object(response))), false)
}

/// What inline data is, by its type.
fn inline_kind(media_type: String, data: &str, title: Option<String>) -> PartKind {
    let data = blob::standard(data).into_owned();
    if media_type.starts_with("image/") {
        let source = Media::Base64 { media_type, data };
        return PartKind::Image(Image { source, detail: None });
    }
    if let Some(format) = media_type.strip_prefix("audio/") {
        let format = match format {
            "mpeg" => "mp3",
            "x-wav" | "wave" => "wav",
            other => other,
        };
        return PartKind::Audio { data, format: format.to_owned() };
    }
    let source = Media::Base64 { media_type, data };
    PartKind::Document(Document { source, title, extras: std::collections::BTreeMap::default() })
}

/// Whether a URI names what only Google can fetch: an uploaded file, an object of its storage, a video of YouTube.
pub(super) fn is_uploaded(uri: &str) -> bool {
    let host = uri.strip_prefix("https://").unwrap_or_default();
    let host = host.split(['/', '?']).next().unwrap_or_default();
    !uri.starts_with("https://") && !uri.starts_with("http://")
        || host == "generativelanguage.googleapis.com"
        || ["youtube.com", "www.youtube.com", "youtu.be", "m.youtube.com"].contains(&host)
}

/// The type of a file by its name's ending.
pub(super) fn guess_type(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match ending.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "mp4" => "video/mp4",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        _ => return None,
    })
}
