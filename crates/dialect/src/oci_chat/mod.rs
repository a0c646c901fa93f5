//! Oracle Cloud's native chat, `/20231130/actions/chat` (protocols B). Only providers speak it here: Oracle's own clients
//! are led to its other endpoints, which speak other dialects.
//!
//! The request stands in an envelope (who pays, which model) and has one of two formats: `COHEREV2` for Cohere's models,
//! `GENERIC` for all others. The second is OpenAI's chat completion and the first Cohere's v2 chat in another spelling, so
//! both are written by those dialects' writers and respelled, and answers are respelled for the reader of chat
//! completions. Shapes are those of the official Python SDK, oci 2.189: `generative_ai_inference/models/`; events of
//! streams, which it does not type, are a choice each, with usage in the last
//! (<https://github.com/oracle/langchain-oracle>, `chat_models/providers/`).

use std::borrow::Cow;

use domain::{DialectId, Endpoint, Features, LossReport};

use crate::embedding::EmbeddingDialect;
use crate::exchange::{Answer, Exchange};
use crate::quirks::Quirks;
use crate::registry::{Dialect, StreamReader, Tee, dialect};
use crate::remote::MediaKind;
use crate::wire::{
    BadAnswer, FieldError, Headers, StreamForm, Target, TeeOptions, UpstreamFault, UpstreamRequest,
};

mod cohere;
mod embed;
mod errors;
mod generic;
mod read_answer;
mod stream_in;
mod tee;
mod words;
mod write_request;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct OciChat;

impl Dialect for OciChat {
    fn id(&self) -> DialectId {
        DialectId::OciChat
    }

    fn usual_base(&self) -> &'static str {
        "/20231130"
    }

    /// Models are listed by another service, at another address: asked here, it says who may not ask.
    fn path(
        &self,
        endpoint: Endpoint,
        _model: &str,
        _stream: Option<StreamForm>,
    ) -> Cow<'static, str> {
        Cow::Borrowed(match endpoint {
            Endpoint::Chat | Endpoint::CountTokens => "/actions/chat",
            Endpoint::Embeddings => "/actions/embedText",
            _ => "/models",
        })
    }

    /// Of models in the common format some take URLs and some don't, and nothing says which.
    fn takes_url(&self, kind: MediaKind, url: &str, from: DialectId, quirks: &Quirks) -> bool {
        let cohere = dialect(DialectId::CohereChat);
        quirks.cohere_request && cohere.takes_url(kind, url, from, quirks)
    }

    /// What the models' own vendors add at most, each in its own dialect.
    fn added_input(&self, features: Features) -> u64 {
        let of = |id| dialect(id).added_input(features);
        of(DialectId::OpenaiChat).max(of(DialectId::CohereChat))
    }

    fn tee(&self, endpoint: Endpoint, options: TeeOptions) -> Box<dyn Tee> {
        match endpoint {
            Endpoint::Embeddings => embed::tee(),
            _ => tee::tee(options),
        }
    }

    fn is_own_error(&self, body: &[u8]) -> bool {
        errors::is_own(body)
    }

    fn classify(&self, status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
        errors::classify(status, headers, body)
    }

    fn write_request(
        &self,
        exchange: &Exchange,
        target: &Target<'_>,
        loss: &mut LossReport,
    ) -> Result<UpstreamRequest, FieldError> {
        write_request::write(exchange, target, loss)
    }

    fn calls(&self, exchange: &Exchange, target: &Target<'_>) -> u32 {
        dialect(write_request::format(target)).calls(exchange, target)
    }

    fn output_limit(&self, exchange: &Exchange, target: &Target<'_>) -> Option<u64> {
        Some(write_request::output_limit(exchange, target))
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, BadAnswer> {
        read_answer::read(body)
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingDialect> {
        Some(&embed::Embed)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream_in::Reader::default())
    }
}
