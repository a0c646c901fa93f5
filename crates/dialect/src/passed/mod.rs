//! Endpoints that are only passed on, between a client and a provider of one dialect: images, speech, transcripts,
//! moderation (OpenAI) and reranking (Cohere's, and the one of Jina, vLLM and others beside OpenAI's API). What is typed
//! of a request is its model and what bounds its cost; bodies are JSON or forms.
//!
//! Shapes are those of the official SDKs, openai-python 3.54 (`resources/images.py`, `resources/audio/`,
//! `resources/moderations.py`, `types/image_gen_completed_event.py`, `types/audio/transcription*.py`,
//! `types/audio/speech_create_params.py`) and cohere 7.3.1 (`v2/raw_client.py`, `v2/types/v2rerank_response.py`).

mod answer;
pub(crate) mod form;
mod json;
mod usage;

use bytes::Bytes;
use domain::Endpoint;

use crate::intake::{settle_model, splice_in};
use crate::registry::Tee;
use crate::wire::{Edits, FieldError, Headers, Incoming, Peek, TeeOptions};

/// Whether the body is a form, and so no JSON.
pub fn is_form(headers: &dyn Headers) -> bool {
    form::boundary(headers).is_some()
}

/// Where a provider serves the endpoint, relative to its base URL.
pub(crate) fn path(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::ImageGeneration => "/images/generations",
        Endpoint::ImageEdit => "/images/edits",
        Endpoint::ImageVariation => "/images/variations",
        Endpoint::Speech => "/audio/speech",
        Endpoint::Transcription => "/audio/transcriptions",
        Endpoint::Translation => "/audio/translations",
        Endpoint::Moderation => "/moderations",
        Endpoint::Rerank => "/rerank",
        Endpoint::Realtime => "/realtime",
        // What lies at one provider has ids in its path: whoever asks for it writes that.
        _ => "",
    }
}

/// The fields that we act on.
pub(crate) fn peek(endpoint: Endpoint, request: &Incoming<'_>) -> Result<Peek, FieldError> {
    let mut peek = match form::boundary(request.headers) {
        Some(boundary) => form::peek(endpoint, request.body, &boundary)?,
        None => json::peek(endpoint, request.body)?,
    };
    settle_model(&mut peek, request)?;
    // What is spoken comes as it is made, whatever was asked.
    peek.stream |= endpoint == Endpoint::Speech;
    Ok(peek)
}

/// The form for a provider of the same dialect: its model's name replaced, all else as it came.
pub(crate) fn forward_form(body: &Bytes, peek: &Peek, edits: &Edits<'_>) -> Bytes {
    let (Some(model), Some(place)) = (edits.model, &peek.model_span) else { return body.clone() };
    if body.get(place.clone()).is_some_and(|text| text == model.as_bytes()) {
        return body.clone();
    }
    splice_in(body, vec![(place.clone(), model.as_bytes().to_vec())])
}

/// A reader of the answer.
pub(crate) fn tee(endpoint: Endpoint, options: TeeOptions) -> Box<dyn Tee> {
    answer::tee(endpoint, options)
}
