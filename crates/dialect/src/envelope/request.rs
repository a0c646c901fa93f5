//! A request's way in and out: the members of its body are kept byte for byte, but for those that the envelope holds.

use bytes::Bytes;
use domain::{Endpoint, Envelope};

use super::{Unpacked, inner_version, outer_version};
use crate::cursor::Cursor;
use crate::json;
use crate::wire::{FieldError, PathFacts};

const VERSION: &str = "anthropic_version";
const BETAS: &str = "anthropic_beta";

pub(super) fn unpack(
    envelope: Envelope,
    endpoint: Endpoint,
    body: &Bytes,
    path: PathFacts<'_>,
) -> Result<Unpacked, FieldError> {
    let model_in_path =
        !(envelope == Envelope::VertexRawPredict && endpoint == Endpoint::CountTokens);
    let (mut version, mut betas) = (None, String::new());
    let mut out = Object::new(body.len());
    if let Some(model) = path.model.filter(|_| model_in_path) {
        out.text("model", model);
    }
    if path.stream.is_some() {
        out.raw(b"stream", b"true");
    }
    let mut refused = None;
    each(body, |key, raw, value| match key {
        b"anthropic_version" => version = text(value),
        b"anthropic_beta" => betas = list(value),
        b"model" if model_in_path => refused = Some("model"),
        b"stream" if envelope == Envelope::BedrockInvoke => refused = Some("stream"),
        // Vertex is told by the path, and by the body once more.
        b"stream" => {}
        _ => out.raw(raw, value),
    });
    if let Some(field) = refused {
        return Err(FieldError::new(field, "it stands in the path, and not in the body"));
    }
    let Some(version) = version else {
        let why = "it is required: what is taken here are the bodies of Claude models";
        return Err(FieldError::new(VERSION, why));
    };
    Ok(Unpacked { body: out.end(), version: inner_version(&version).to_owned(), betas })
}

pub(super) fn pack(
    envelope: Envelope,
    endpoint: Endpoint,
    body: &Bytes,
    version: &str,
    betas: &str,
) -> Bytes {
    let is_bedrock = envelope == Envelope::BedrockInvoke;
    let mut out = Object::new(body.len());
    out.text(VERSION, outer_version(envelope, version));
    let betas: Vec<&str> = betas.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    if is_bedrock && !betas.is_empty() {
        let mut list = Vec::new();
        json::append(&mut list, &betas);
        out.raw(BETAS.as_bytes(), &list);
    }
    let (mut has_limit, mut budget) = (false, 0);
    each(body, |key, raw, value| match key {
        b"model" if is_bedrock || endpoint == Endpoint::Chat => {}
        b"stream" if is_bedrock => {}
        _ => {
            has_limit |= key == b"max_tokens";
            if key == b"thinking" {
                budget = thinking_budget(value);
            }
            out.raw(raw, value);
        }
    });
    if is_bedrock && endpoint == Endpoint::CountTokens && !has_limit {
        // What is counted there is a whole request, which has a limit above what it may think.
        out.raw(b"max_tokens", (budget + 1).to_string().as_bytes());
    }
    out.end()
}

/// The members of the body: each key as it is meant and as it is written, and its value as it is written.
fn each<'a>(body: &'a [u8], mut on: impl FnMut(&[u8], &'a [u8], &'a [u8])) {
    let mut cursor = Cursor::new(body);
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        on(&key.bytes(), key.raw, cursor.raw());
    }
}

fn text(value: &[u8]) -> Option<String> {
    Cursor::new(value).text().map(|text| text.decode().into_owned())
}

/// A list of texts, or one text, as a header has it.
fn list(value: &[u8]) -> String {
    if let Some(one) = text(value) {
        return one;
    }
    let mut cursor = Cursor::new(value);
    let mut items = cursor.array();
    let mut words = Vec::new();
    while cursor.item(&mut items) {
        words.extend(cursor.text().map(|text| text.decode().into_owned()));
    }
    words.join(",")
}

fn thinking_budget(thinking: &[u8]) -> u64 {
    let mut cursor = Cursor::new(thinking);
    let mut members = cursor.object();
    while let Some(key) = cursor.key(&mut members) {
        if key.is("budget_tokens") {
            return cursor.unsigned().unwrap_or(0);
        }
        cursor.skip();
    }
    0
}

/// A JSON object as it is put together.
struct Object(Vec<u8>);

impl Object {
    fn new(room: usize) -> Self {
        let mut out = Vec::with_capacity(room + 128);
        out.push(b'{');
        Self(out)
    }

    /// A key as it is written between its quotes, and a value as it is written.
    fn raw(&mut self, key: &[u8], value: &[u8]) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(key);
        self.0.extend_from_slice(b"\":");
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, key: &str, value: &str) {
        let mut text = Vec::with_capacity(value.len() + 2);
        json::append(&mut text, value);
        self.raw(key.as_bytes(), &text);
    }

    fn end(mut self) -> Bytes {
        self.0.push(b'}');
        Bytes::from(self.0)
    }
}
