//! Anthropic Messages (protocols A4).

use std::borrow::Cow;

use bytes::Bytes;
use domain::{DialectId, Endpoint, Feature, Features, LossReport};

use crate::count_tokens::{self, InputTokens};
use crate::exchange::{Answer, Exchange};
use crate::loss::Corner;
use crate::registry::{Dialect, StreamReader, StreamWriter, Tee};
use crate::wire::{
    AnswerContext, BadAnswer, ClientError, Edits, FieldError, Headers, Incoming, ModelRow, Peek,
    StreamForm, Target, TeeOptions, UpstreamFault, UpstreamRequest,
};

pub(crate) mod errors;
mod models;
mod peek;
mod read_answer;
mod read_blocks;
mod read_request;
mod spelling;
mod stream_in;
mod stream_out;
mod tee;
pub mod usage;
mod write_answer;
mod write_blocks;
mod write_request;

/// The system prompt that Anthropic adds when tools are there: its documentation lists 264 to 530 tokens by model
/// and tool choice; this is above all of them.
const TOOL_PROMPT: u64 = 640;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct AnthropicMessages;

impl Dialect for AnthropicMessages {
    fn id(&self) -> DialectId {
        DialectId::AnthropicMessages
    }

    fn path(
        &self,
        endpoint: Endpoint,
        _model: &str,
        _stream: Option<StreamForm>,
    ) -> Cow<'static, str> {
        Cow::Borrowed(match endpoint {
            Endpoint::Chat => "/messages",
            Endpoint::Embeddings => "/embeddings",
            Endpoint::CountTokens => "/messages/count_tokens",
            _ => "/models",
        })
    }

    fn forwarded_headers(&self) -> &'static [&'static str] {
        &["anthropic-beta", "anthropic-version"]
    }

    fn version_header<'a>(&self, version: &'a str) -> Option<(&'static str, &'a str)> {
        Some(("anthropic-version", version))
    }

    fn peek(&self, _endpoint: Endpoint, request: &Incoming<'_>) -> Result<Peek, FieldError> {
        peek::peek(request)
    }

    fn added_input(&self, features: Features) -> u64 {
        let tools = [Feature::Tools, Feature::CustomTools, Feature::HostedTools];
        if tools.into_iter().any(|tool| features.contains(tool)) { TOOL_PROMPT } else { 0 }
    }

    fn forward(&self, body: &Bytes, peek: &Peek, edits: &Edits<'_>) -> Bytes {
        peek::forward(body, peek, edits)
    }

    fn tee(&self, endpoint: Endpoint, options: TeeOptions) -> Box<dyn Tee> {
        match endpoint {
            Endpoint::CountTokens => count_tokens::tee::<InputTokens>(),
            _ => tee::tee(options),
        }
    }

    fn render_error(&self, error: &ClientError<'_>) -> Vec<u8> {
        errors::render(error)
    }

    /// Anthropic has a status of its own for a server that is overloaded or goes away.
    fn error_status(&self, error: &ClientError<'_>) -> u16 {
        if matches!(error.code, "overloaded" | "draining") { 529 } else { error.status }
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

    fn output_limit(&self, exchange: &Exchange, target: &Target<'_>) -> Option<u64> {
        Some(write_request::output_limit(exchange, target))
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

    fn write_models(&self, rows: &[ModelRow]) -> Vec<u8> {
        models::list(rows)
    }

    fn write_model(&self, row: &ModelRow) -> Vec<u8> {
        models::one(row)
    }
}

/// Whether that API version refuses temperature, top_p and top_k. Versions are dates; the clouds' own names for
/// versions (`bedrock-2023-05-31`, `vertex-2023-10-16`) are all older.
fn refuses_sampling(version: &str) -> bool {
    version.starts_with(|letter: char| letter.is_ascii_digit()) && version >= "2026-10-21"
}
