//! Requests in JSON.

use domain::{Endpoint, Feature, RequestLimits};

use crate::cursor::Cursor;
use crate::intake::{boolean, unsigned, wrong};
use crate::wire::{FieldError, Peek};

/// Bytes allowed for the markers that a tokenizer puts around a text.
const ALLOWANCE: u64 = 16;
/// Most images of a request (the API reference of `n`).
const IMAGES_MAX: u64 = 128;
/// What judges where nothing is named (the API reference of moderations).
const USUAL_JUDGE: &str = "omni-moderation-latest";

/// The fields that we act on. Runs after [`crate::gate::scan`] has passed.
pub(super) fn peek(endpoint: Endpoint, body: &[u8]) -> Result<Peek, FieldError> {
    let mut peek = begun(endpoint);
    let mut documents = (0_u64, 0_u64);
    let mut query = 0;
    let mut cursor = Cursor::new(body);
    let brace = cursor.place();
    let mut top = cursor.object();
    while let Some(key) = cursor.key(&mut top) {
        match (endpoint, &*key.decode()) {
            (_, "model") => model(&mut cursor, &mut peek)?,
            (Endpoint::Rerank, "query") => query = text(&mut cursor),
            (Endpoint::Rerank, "documents") => documents = texts(&mut cursor)?,
            (_, "prompt" | "input" | "instructions") => count(&mut cursor, &mut peek),
            (_, "n") => answers(&mut cursor, &mut peek)?,
            (Endpoint::ImageGeneration | Endpoint::ImageEdit, "stream") => {
                peek.stream = boolean(&mut cursor, "stream")?;
            }
            (Endpoint::ImageEdit, "image" | "images" | "mask") => {
                peek.further_images = peek.further_images.saturating_add(1);
                peek.features.insert(Feature::Images);
                let (_, more) = texts(&mut cursor).unwrap_or((0, 1));
                let more = u32::try_from(more.saturating_sub(1)).unwrap_or(u32::MAX);
                peek.further_images = peek.further_images.saturating_add(more);
            }
            _ => cursor.skip(),
        }
    }
    if endpoint == Endpoint::Rerank {
        // The question is read with each document.
        let (bytes, number) = documents;
        peek.text_bytes =
            query.saturating_add(2 * ALLOWANCE).saturating_mul(number).saturating_add(bytes);
        peek.message_count = u32::try_from(number).unwrap_or(u32::MAX);
    }
    if endpoint == Endpoint::Moderation && peek.model.is_empty() {
        USUAL_JUDGE.clone_into(&mut peek.model);
        if peek.model_span.is_none() {
            peek.model_span = Some(brace + 1..brace + 1);
        }
    }
    Ok(peek)
}

/// A peek with what the endpoint alone says.
pub(super) fn begun(endpoint: Endpoint) -> Peek {
    // What judges and sorts writes nothing that is billed.
    let silent = matches!(endpoint, Endpoint::Moderation | Endpoint::Rerank);
    let limits = RequestLimits { max_output: silent.then_some(0), answers: 1 };
    let mut peek = Peek { limits, text_bytes: ALLOWANCE, message_count: 1, ..Peek::default() };
    let features: &[Feature] = match endpoint {
        Endpoint::ImageGeneration | Endpoint::Speech => &[Feature::MediaOutput],
        Endpoint::ImageEdit | Endpoint::ImageVariation => &[Feature::MediaOutput, Feature::Images],
        Endpoint::Transcription | Endpoint::Translation => &[Feature::AudioInput],
        _ => &[],
    };
    for feature in features {
        peek.features.insert(*feature);
    }
    peek
}

fn model(cursor: &mut Cursor<'_>, peek: &mut Peek) -> Result<(), FieldError> {
    if cursor.is_null() {
        cursor.skip();
        return Ok(());
    }
    let start = cursor.place();
    let name = cursor.text().ok_or_else(|| wrong("model", start, "expected a string"))?;
    peek.model = name.decode().into_owned();
    peek.model_span = Some(start..start + name.raw.len() + 2);
    Ok(())
}

fn answers(cursor: &mut Cursor<'_>, peek: &mut Peek) -> Result<(), FieldError> {
    let start = cursor.place();
    let number = unsigned(cursor, "n")?.unwrap_or(1);
    peek.limits.answers = images(number).ok_or_else(|| wrong("n", start, "expected 1 to 128"))?;
    Ok(())
}

/// A number of images that may be asked for.
pub(super) fn images(number: u64) -> Option<u32> {
    let number = Some(number).filter(|it| (1..=IMAGES_MAX).contains(it))?;
    u32::try_from(number).ok()
}

/// Text, or a list of texts and images to judge: what is no text is counted as it is written, and pictures as pictures.
fn count(cursor: &mut Cursor<'_>, peek: &mut Peek) {
    if cursor.peek() == Some(b'[') {
        let mut items = cursor.array();
        while cursor.item(&mut items) {
            if cursor.peek() == Some(b'{') {
                let raw = cursor.raw();
                let is_image = raw.windows(11).any(|it| it == b"\"image_url\"");
                peek.further_images = peek.further_images.saturating_add(u32::from(is_image));
                if is_image {
                    peek.features.insert(Feature::Images);
                } else {
                    peek.text_bytes = peek.text_bytes.saturating_add(raw.len() as u64);
                }
            } else {
                peek.text_bytes = peek.text_bytes.saturating_add(text(cursor) + ALLOWANCE);
            }
        }
    } else {
        peek.text_bytes = peek.text_bytes.saturating_add(text(cursor));
    }
}

/// Bytes of a text, or of what stands there instead.
fn text(cursor: &mut Cursor<'_>) -> u64 {
    match cursor.peek() {
        Some(b'"') => cursor.text().map_or(0, |text| text.len() as u64),
        _ => cursor.raw().len() as u64,
    }
}

/// Bytes and number of the items of a list.
fn texts(cursor: &mut Cursor<'_>) -> Result<(u64, u64), FieldError> {
    let start = cursor.place();
    if cursor.peek() != Some(b'[') {
        cursor.skip();
        return Err(wrong("documents", start, "expected an array"));
    }
    let (mut bytes, mut number) = (0_u64, 0_u64);
    let mut items = cursor.array();
    while cursor.item(&mut items) {
        bytes = bytes.saturating_add(text(cursor));
        number += 1;
    }
    Ok((bytes, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(endpoint: Endpoint, body: &str) -> Result<Peek, FieldError> {
        peek(endpoint, body.as_bytes())
    }

    #[test]
    fn an_image_is_bounded_by_its_prompt_and_their_number() {
        let peek =
            of(Endpoint::ImageGeneration, r#"{"model":"i","prompt":"a cat","n":3,"stream":true}"#)
                .unwrap();
        assert_eq!((peek.model.as_str(), peek.text_bytes), ("i", 5 + 16));
        assert_eq!(peek.limits, RequestLimits { max_output: None, answers: 3 });
        assert!(peek.stream && peek.features.contains(Feature::MediaOutput));
        for bad in
            [r#"{"model":"i","n":0}"#, r#"{"model":"i","n":129}"#, r#"{"model":"i","n":"2"}"#]
        {
            assert_eq!(of(Endpoint::ImageGeneration, bad).unwrap_err().field, "n", "{bad}");
        }
    }

    #[test]
    fn a_judge_is_named_where_the_client_names_none() {
        let named = of(Endpoint::Moderation, r#"{"input":"x","model":"j"}"#).unwrap();
        assert_eq!((named.model.as_str(), named.limits.max_output), ("j", Some(0)));
        let body = r#" {"input":["ab",{"type":"image_url","image_url":{"url":"https://x"}}]}"#;
        let unnamed = of(Endpoint::Moderation, body).unwrap();
        assert_eq!((unnamed.model.as_str(), unnamed.model_span.clone()), (USUAL_JUDGE, Some(2..2)));
        assert_eq!((unnamed.text_bytes, unnamed.further_images), (16 + 2 + 16, 1));
        let null = of(Endpoint::Moderation, r#"{"input":"x","model":null}"#).unwrap();
        assert_eq!(null.model, USUAL_JUDGE);
    }

    #[test]
    fn a_question_counts_with_each_document() {
        let peek = of(Endpoint::Rerank, r#"{"query":"abc","documents":["12345","1"],"model":"r"}"#)
            .unwrap();
        assert_eq!((peek.text_bytes, peek.message_count), (2 * (3 + 32) + 6, 2));
        assert_eq!(of(Endpoint::Rerank, r#"{"documents":"x"}"#).unwrap_err().field, "documents");
    }
}
