//! OpenAI Chat Completions (protocols A1).

use bytes::Bytes;
use domain::{Endpoint, Features, LossReport};

use crate::exchange::{Answer, Exchange};
use crate::registry::{Dialect, DialectId, StreamReader, StreamWriter, Tee};
use crate::wire::{
    AnswerContext, BadAnswer, ClientError, Edits, FieldError, Headers, Peek, Target, TeeOptions,
    UpstreamFault, UpstreamRequest,
};

pub(crate) mod errors;
mod peek;
mod read_answer;
pub(crate) mod read_messages;
pub(crate) mod read_request;
mod reasoning_fields;
mod stream_in;
mod stream_out;
pub(crate) mod strict_schema;
mod tee;
pub mod usage;
mod write_answer;
mod write_messages;
mod write_request;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct OpenaiChat;

impl Dialect for OpenaiChat {
    fn id(&self) -> DialectId {
        DialectId::OpenaiChat
    }

    fn path(&self, endpoint: Endpoint) -> &'static str {
        match endpoint {
            Endpoint::Chat => "/chat/completions",
            Endpoint::Embeddings => "/embeddings",
            Endpoint::CountTokens => "/messages/count_tokens",
            Endpoint::Models => "/models",
        }
    }

    fn peek(&self, body: &[u8], headers: &dyn Headers) -> Result<Peek, FieldError> {
        peek::peek(body, headers)
    }

    /// Nothing but markers, which the peek allows for.
    fn added_input(&self, _features: Features) -> u64 {
        0
    }

    fn forward(&self, body: &Bytes, peek: &Peek, edits: &Edits<'_>) -> Bytes {
        peek::forward(body, peek, edits)
    }

    fn tee(&self, options: TeeOptions) -> Box<dyn Tee> {
        tee::tee(options)
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

    fn read_request(&self, body: &[u8], headers: &dyn Headers) -> Result<Exchange, FieldError> {
        read_request::read(body, headers)
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

    fn stream_reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream_in::Reader::default())
    }

    fn stream_writer(&self, context: &AnswerContext<'_>) -> Box<dyn StreamWriter> {
        Box::new(stream_out::Writer::new(context))
    }
}
