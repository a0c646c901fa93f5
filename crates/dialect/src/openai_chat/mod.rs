//! OpenAI Chat Completions (protocols A1).

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

mod calls_apart;
mod embed;
mod embeddings;
pub(crate) mod errors;
pub(crate) mod models;
mod peek;
pub(crate) mod read_answer;
pub(crate) mod read_messages;
pub(crate) mod read_request;
mod reasoning_fields;
mod spelling;
pub(crate) mod stream_in;
mod stream_out;
pub(crate) mod strict_schema;
mod tee;
pub mod usage;
mod write_answer;
mod write_messages;
pub(crate) mod write_request;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct OpenaiChat;

impl Dialect for OpenaiChat {
    fn id(&self) -> DialectId {
        DialectId::OpenaiChat
    }

    fn path(
        &self,
        endpoint: Endpoint,
        _model: &str,
        _stream: Option<StreamForm>,
    ) -> Cow<'static, str> {
        Cow::Borrowed(match endpoint {
            Endpoint::Chat => "/chat/completions",
            Endpoint::Embeddings => "/embeddings",
            Endpoint::CountTokens => "/messages/count_tokens",
            Endpoint::Models => "/models",
            passed => return Cow::Borrowed(crate::passed::path(passed)),
        })
    }

    fn forwarded_headers(&self) -> &'static [&'static str] {
        &["openai-beta", "x-client-request-id"]
    }

    fn usage_is_asked_for(&self) -> bool {
        true
    }

    fn peek(&self, endpoint: Endpoint, request: &Incoming<'_>) -> Result<Peek, FieldError> {
        match endpoint {
            Endpoint::Embeddings => embeddings::peek(request),
            Endpoint::Chat | Endpoint::CountTokens | Endpoint::Models => peek::peek(request),
            passed => crate::passed::peek(passed, request),
        }
    }

    /// Nothing but markers, which the peek allows for.
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

    /// Documents are inline or uploaded before; only Mistral takes them by URL, from clients that have its word for it.
    fn takes_url(&self, kind: MediaKind, _url: &str, from: DialectId, quirks: &Quirks) -> bool {
        (kind == MediaKind::Image || from == DialectId::OpenaiChat) && !quirks.no_remote_images
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

    fn calls(&self, exchange: &Exchange, target: &Target<'_>) -> u32 {
        if target.quirks.single_answer { exchange.answers } else { 1 }
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
