//! `/v2/embed`: what is typed of a request, and the usage of an answer (the SDK's `v2/raw_client.py` and
//! `types/embed_by_type_response.py`).

use domain::{Feature, RequestLimits};

use super::peek::media;
use super::read_answer::read_usage;
use crate::cursor::Cursor;
use crate::fault;
use crate::intake::{Intake, Place, wrong};
use crate::registry::Tee;
use crate::watch::{self, Reader};
use crate::wire::{FieldError, Incoming, Peek, Seen, TeeOptions};
use domain::ImageDetail;

/// The fields that we act on. Runs after [`crate::gate::scan`] has passed.
pub(super) fn peek(request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let mut it = Intake::new();
    let mut has_input = false;
    let mut cursor = Cursor::new(request.body);
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        match &*key.decode() {
            "model" => it.model(&mut cursor)?,
            name @ ("texts" | "images" | "inputs") => {
                has_input |= list(name, &mut it, &mut cursor)?;
            }
            _ => cursor.skip(),
        }
    }
    let mut peek = it.finish(request)?;
    // It is no prefix of a conversation.
    peek.prefix_key = 0;
    peek.limits = RequestLimits { max_output: Some(0), answers: 1 };
    if has_input { Ok(peek) } else { Err(FieldError::new("texts", "this field is required")) }
}

/// Reads one of the three lists; whether it is there.
fn list(name: &str, it: &mut Intake, cursor: &mut Cursor<'_>) -> Result<bool, FieldError> {
    let start = cursor.place();
    if cursor.is_null() {
        cursor.skip();
        return Ok(false);
    }
    if cursor.peek() != Some(b'[') {
        return Err(wrong(name, start, "expected an array"));
    }
    let mut items = cursor.array();
    while cursor.item(&mut items) {
        it.message();
        match name {
            "images" => match cursor.text() {
                Some(url) => it.image(Place::Url(url), ImageDetail::Auto),
                None => it.has(Feature::Images),
            },
            "inputs" => input(it, cursor),
            _ => it.whole(cursor),
        }
    }
    Ok(true)
}

/// Texts and images together.
fn input(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        if key.is("content") {
            it.content(cursor, part);
        } else {
            it.whole(cursor);
        }
    }
}

fn part(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        if key.is("image_url") {
            let (place, detail) = media(it, cursor);
            it.image(place, detail);
        } else if key.is("type") {
            cursor.skip();
        } else {
            it.whole(cursor);
        }
    }
}

/// A reader of the whole answer.
pub(super) fn tee() -> Box<dyn Tee> {
    watch::tee::<Embedded>(TeeOptions::default())
}

#[derive(Default)]
struct Embedded;

impl Reader for Embedded {
    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        let mut cursor = Cursor::new(body);
        let mut top = cursor.object();
        while let Some(key) = cursor.key(&mut top) {
            match &*key.bytes() {
                b"embeddings" => {
                    seen.complete = matches!(cursor.peek(), Some(b'{' | b'['));
                    cursor.skip();
                }
                b"meta" => {
                    let meta = serde_json::from_slice(cursor.raw()).ok();
                    seen.usage = meta.and_then(|meta| read_usage(&meta));
                }
                b"id" => seen.upstream_id = cursor.text().map(|id| id.decode().into_owned()),
                b"message" if cursor.peek() == Some(b'"') => {
                    cursor.skip();
                    seen.error = Some(fault::of_object(body));
                }
                _ => cursor.skip(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use smallvec::SmallVec;

    use super::*;

    fn of(body: &str) -> Result<Peek, FieldError> {
        peek(&Incoming::new(body.as_bytes(), &()))
    }

    #[test]
    fn every_form_of_input_is_bounded() {
        let texts = of(r#"{"texts":["a","bc"],"model":"m","input_type":"search_query"}"#).unwrap();
        assert_eq!((texts.text_bytes, texts.message_count), (16 + 3 + 32, 2));
        assert_eq!(texts.limits.max_output, Some(0));
        let url = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACUAAAAVCAIAAABOhrD5";
        let images = of(&format!(r#"{{"model":"m","images":["{url}"]}}"#)).unwrap();
        assert_eq!(images.images.first().and_then(|image| image.size), Some((37, 21)));
        let both = format!(
            r#"{{"model":"m","inputs":[{{"content":[{{"type":"text","text":"abc"}},
                {{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
        );
        let both = of(&both).unwrap();
        assert_eq!((both.text_bytes, both.images.len()), (16 + 16 + 3 + 32, 1));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (body, field) in [
            (r#"{"model":"m"}"#, "texts"),
            (r#"{"model":"m","texts":null}"#, "texts"),
            (r#"{"texts":["x"]}"#, "model"),
            (r#"{"model":"m","texts":"x"}"#, "texts"),
        ] {
            assert_eq!(of(body).unwrap_err().field, field);
        }
    }

    #[test]
    fn usage_is_read_from_the_whole_answer() {
        let seen = |body: &'static str| {
            let mut tee = tee();
            let mut out = SmallVec::new();
            tee.feed(Bytes::from_static(body.as_bytes()), &mut out);
            assert_eq!(out.concat(), body.as_bytes());
            tee.finish()
        };
        let good = seen(
            r#"{"id":"e-1","embeddings":{"float":[[0.1]]},"texts":["x"],
                "meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":8,"image_tokens":2}},
                "response_type":"embeddings_by_type"}"#,
        );
        assert!(good.complete);
        let usage = good.usage.map(|usage| (usage.input, usage.image_input, usage.output));
        assert_eq!(usage, Some((8, 2, 0)));
        assert_eq!(good.upstream_id.as_deref(), Some("e-1"));
        let bad = seen(r#"{"id":"e-2","message":"no"}"#);
        assert!(!bad.complete && bad.error.is_some());
        assert!(seen(r#"{"embeddings":[]}"#).usage.is_none());
    }
}
