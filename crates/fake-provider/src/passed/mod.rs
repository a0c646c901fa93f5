//! What is served beside text: images, audio, moderation and reranking, in OpenAI's shapes (its Python SDK 3.54:
//! `resources/images.py`, `resources/audio/`, `resources/moderations.py`), and Cohere's reranking (its Python SDK 7.3.1).
//!
//! Every model serves them all; three names have a way of their own: `whisper` reports seconds and never streams,
//! `per-image` and `per-character` report no usage, as the models do that are priced so.

mod audio;
mod form;
mod images;
mod judge;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::ask::Refused;
use crate::demo::{Call, Demo, Fate, Reply};
use crate::openai;
use crate::tweak::Tweak;

pub(crate) use form::field as form_field;
pub(crate) use judge::cohere_rerank;

/// `POST` to one of OpenAI's paths below `/v1`; `None` for a path that is none of these.
pub(crate) fn respond(demo: &Demo, call: &Call<'_>, path: &str, tweak: &Tweak) -> Option<Reply> {
    let answer = match path {
        "/v1/images/generations" => images::generate(demo, call, tweak),
        "/v1/images/edits" => images::edit(demo, call, tweak),
        "/v1/images/variations" => images::variation(demo, call, tweak),
        "/v1/audio/speech" => audio::speech(demo, call, tweak),
        "/v1/audio/transcriptions" => audio::transcription(demo, call, tweak),
        "/v1/audio/translations" => audio::translation(demo, call, tweak),
        "/v1/moderations" => judge::moderation(demo, call, tweak),
        "/v1/rerank" => judge::rerank(demo, call, tweak),
        _ => return None,
    };
    Some(answer.unwrap_or_else(|refused| openai::error(&refused)))
}

/// A request as read: its fields, whatever the body's form, and its files.
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) fields: Map<String, Value>,
    pub(crate) files: Vec<(String, Bytes)>,
    pub(crate) cut: bool,
}

impl Asked {
    /// Reads and checks what all have in common.
    fn read(
        demo: &Demo,
        call: &Call<'_>,
        tweak: &Tweak,
        known: &[&str],
        form: Body,
    ) -> Result<Self, Refused> {
        openai::authenticate(demo, call)?;
        let (fields, files) = match (form::boundary(call), form) {
            (Some(boundary), Body::Form | Body::Either) => form::read(call.body, &boundary)?,
            (None, Body::Json | Body::Either) => match openai::json_body(call)? {
                Value::Object(fields) => (fields, Vec::new()),
                _ => return Err(Refused::new(400, "The body must be a JSON object.")),
            },
            _ => {
                return Err(Refused::new(
                    415,
                    "Unsupported Media Type: the body has another content type than this endpoint takes.",
                ));
            }
        };
        let unknown = fields.keys().find(|key| !known.contains(&key.trim_end_matches("[]")));
        if let Some(unknown) = unknown.filter(|_| !tweak.lax) {
            return Err(Refused::field(unknown, format!("Unknown parameter: '{unknown}'."))
                .code("unknown_parameter"));
        }
        let named = match fields.get("model").and_then(Value::as_str) {
            Some(named) if !named.is_empty() => named.to_owned(),
            _ => return Err(Refused::field("model", "you must provide a model parameter")),
        };
        let model = demo.resolve(&named).ok_or_else(|| openai::no_such_model(&named))?;
        let cut = match demo.fate(model) {
            Fate::Fail(refused) => return Err(refused),
            Fate::Cut => true,
            Fate::Answer => false,
        };
        Ok(Self { model: model.to_owned(), fields, files, cut })
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// A text that has to be there.
    fn required(&self, field: &str) -> Result<&str, Refused> {
        self.text(field).filter(|it| !it.is_empty()).ok_or_else(|| {
            Refused::field(field, format!("Missing required parameter: '{field}'."))
                .code("missing_required_parameter")
        })
    }

    /// One of some words.
    fn word<'a>(&'a self, field: &str, words: &[&str], usual: &'a str) -> Result<&'a str, Refused> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(usual),
            Some(value) => value.as_str().filter(|it| words.contains(it)).ok_or_else(|| {
                let message = format!(
                    "Invalid value: {value}. Supported values are: '{}'.",
                    words.join("', '")
                );
                Refused::field(field, message).code("invalid_value")
            }),
        }
    }

    /// A number in JSON, or written out in a form.
    fn number(&self, field: &str, usual: u64, most: u64) -> Result<u64, Refused> {
        let told = match self.fields.get(field) {
            None | Some(Value::Null) => return Ok(usual),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64(),
        };
        told.filter(|it| (usual.min(1)..=most).contains(it))
            .ok_or_else(|| Refused::field(field, format!("Invalid '{field}': at most {most}.")))
    }

    /// Whether a stream is asked for.
    fn streams(&self) -> Result<bool, Refused> {
        match self.fields.get("stream") {
            None | Some(Value::Null | Value::Bool(false)) => Ok(false),
            Some(Value::Bool(true)) => Ok(true),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(_) => Err(Refused::field("stream", "Invalid type for 'stream': a boolean.")),
        }
    }

    /// Files of a field, also of one that is a list.
    fn files_of(&self, field: &str) -> impl Iterator<Item = &Bytes> {
        let wanted = move |name: &str| name.trim_end_matches("[]") == field;
        self.files.iter().filter(move |(name, _)| wanted(name)).map(|(_, bytes)| bytes)
    }
}

/// What bodies an endpoint takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Json,
    Form,
    Either,
}

/// One event of a stream.
fn event(kind: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
}

/// A stream of events, with the model's pace and the faults that were told.
fn stream(demo: &Demo, asked: &Asked, mut events: Vec<Bytes>, tweak: &Tweak) -> Reply {
    let error = || {
        let refused = Refused::new(500, "The server had an error, by design.");
        Bytes::from(format!("event: error\ndata: {}\n\n", openai::error_json(&refused)))
    };
    if tweak.error_first {
        events = vec![error()];
    } else if let Some(after) = tweak.error_after {
        events.truncate(after);
        events.push(error());
    } else if tweak.missing_done {
        events.pop();
    }
    Reply {
        status: 200,
        headers: vec![("content-type", "text/event-stream; charset=utf-8".to_owned())],
        body: demo.timed(&asked.model, events, tweak, asked.cut),
    }
}

/// A whole answer.
fn whole(demo: &Demo, asked: &Asked, kind: &str, body: Vec<u8>, tweak: &Tweak) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", kind.to_owned())],
        body: demo.whole(&asked.model, body, tweak, asked.cut),
    }
}

const JSON: &str = "application/json";
