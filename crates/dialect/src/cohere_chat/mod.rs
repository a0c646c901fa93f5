//! Cohere's v2 chat and embed API (protocols B).
//!
//! Shapes are those of the official Python SDK, cohere 7.3.1: `v2/raw_client.py` for the requests, `types/` for messages
//! and answers, `v2/types/v2chat_stream_response.py` for events. What the API refuses is told by
//! <https://docs.cohere.com/reference/errors>.

use std::borrow::Cow;

use bytes::Bytes;
use domain::{DialectId, Endpoint, Features, LossReport};

use crate::embedding::EmbeddingDialect;
use crate::exchange::{Answer, Exchange};
use crate::loss::Corner;
use crate::quirks::Quirks;
use crate::registry::{Dialect, StreamReader, StreamWriter, Tee};
use crate::remote::MediaKind;
use crate::wire::{
    AnswerContext, BadAnswer, ClientError, Edits, FieldError, Headers, Incoming, ModelRow, Peek,
    StreamForm, Target, TeeOptions, UpstreamFault, UpstreamRequest,
};

pub(crate) mod embed;
mod embeddings;
mod errors;
mod logprobs;
mod models;
mod peek;
mod read_answer;
mod read_messages;
mod read_request;
mod spelling;
mod stream_in;
mod stream_out;
mod tee;
pub mod usage;
mod write_answer;
mod write_messages;
pub(crate) mod write_request;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct CohereChat;

impl Dialect for CohereChat {
    fn id(&self) -> DialectId {
        DialectId::CohereChat
    }

    fn usual_base(&self) -> &'static str {
        "/v2"
    }

    fn path(
        &self,
        endpoint: Endpoint,
        _model: &str,
        _stream: Option<StreamForm>,
    ) -> Cow<'static, str> {
        Cow::Borrowed(match endpoint {
            Endpoint::Chat => "/chat",
            Endpoint::Embeddings => "/embed",
            Endpoint::CountTokens => "/tokenize",
            Endpoint::Models => "/models",
            passed => return Cow::Borrowed(crate::passed::path(passed)),
        })
    }

    fn forwarded_headers(&self) -> &'static [&'static str] {
        &["x-client-name"]
    }

    fn peek(&self, endpoint: Endpoint, request: &Incoming<'_>) -> Result<Peek, FieldError> {
        match endpoint {
            Endpoint::Embeddings => embeddings::peek(request),
            Endpoint::Chat | Endpoint::CountTokens | Endpoint::Models => peek::peek(request),
            passed => crate::passed::peek(passed, request),
        }
    }

    /// Cohere puts text of its own before a prompt, and does not bill it (see `usage.rs`).
    fn added_input(&self, _features: Features) -> u64 {
        0
    }

    fn forward(&self, body: &Bytes, peek: &Peek, edits: &Edits<'_>) -> Bytes {
        if peek.form {
            return crate::passed::forward_form(body, peek, edits);
        }
        peek::forward(body, peek, edits)
    }

    fn tee(&self, endpoint: Endpoint, options: TeeOptions) -> Box<dyn Tee> {
        match endpoint {
            Endpoint::Embeddings => embeddings::tee(),
            Endpoint::Chat | Endpoint::CountTokens | Endpoint::Models => tee::tee(options),
            passed => crate::passed::tee(passed, options),
        }
    }

    fn render_error(&self, error: &ClientError<'_>) -> Vec<u8> {
        errors::render(error)
    }

    fn is_own_error(&self, body: &[u8]) -> bool {
        errors::is_own(body)
    }

    fn render_error_event(&self, error: &ClientError<'_>) -> Vec<u8> {
        errors::render_event(error)
    }

    fn classify(&self, status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
        errors::classify(status, headers, body)
    }

    /// Documents are text.
    fn takes_url(&self, kind: MediaKind, _url: &str, _from: DialectId, quirks: &Quirks) -> bool {
        kind == MediaKind::Image && !quirks.no_remote_images
    }

    fn spell(&self, corner: Corner) -> &'static str {
        spelling::spell(corner)
    }

    fn read_request(&self, request: &Incoming<'_>) -> Result<Exchange, FieldError> {
        read_request::read(request)
    }

    fn write_request(
        &self,
        exchange: &Exchange,
        target: &Target<'_>,
        loss: &mut LossReport,
    ) -> Result<UpstreamRequest, FieldError> {
        write_request::write(exchange, target, loss)
    }

    fn calls(&self, exchange: &Exchange, _target: &Target<'_>) -> u32 {
        exchange.answers
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, BadAnswer> {
        read_answer::read(body)
    }

    fn write_answer(&self, answer: &Answer, context: &AnswerContext<'_>) -> Vec<u8> {
        write_answer::write(answer, context)
    }

    fn embeddings(&self) -> Option<&'static dyn EmbeddingDialect> {
        Some(&embed::Embed)
    }

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream_in::Reader::default())
    }

    fn stream_writer(&self, context: &AnswerContext<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream_out::Writer::new(context))
    }

    fn write_models(&self, rows: &[ModelRow]) -> Vec<u8> {
        models::list(rows)
    }

    fn write_model(&self, row: &ModelRow) -> Vec<u8> {
        models::one(row)
    }
}
