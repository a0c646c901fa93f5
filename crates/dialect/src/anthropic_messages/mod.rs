//! Anthropic Messages (protocols A4).

use bytes::Bytes;
use domain::{Endpoint, Feature, Features, LossReport};

use crate::exchange::{Answer, Exchange};
use crate::registry::{Dialect, DialectId, StreamReader, StreamWriter, Tee};
use crate::wire::{
    AnswerContext, BadAnswer, ClientError, Edits, FieldError, Headers, Peek, Target, TeeOptions,
    UpstreamFault, UpstreamRequest,
};

mod errors;
mod peek;
mod read_answer;
mod read_blocks;
mod read_request;
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

    fn path(&self, endpoint: Endpoint) -> &'static str {
        match endpoint {
            Endpoint::Chat => "/messages",
            Endpoint::Embeddings => "/embeddings",
            Endpoint::CountTokens => "/messages/count_tokens",
            Endpoint::Models => "/models",
        }
    }

    fn peek(&self, body: &[u8], headers: &dyn Headers) -> Result<Peek, FieldError> {
        peek::peek(body, headers)
    }

    fn added_input(&self, features: Features) -> u64 {
        let tools = [Feature::Tools, Feature::CustomTools, Feature::HostedTools];
        if tools.into_iter().any(|tool| features.contains(tool)) { TOOL_PROMPT } else { 0 }
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
}

/// Whether that API version refuses temperature, top_p and top_k. Versions are dates; the clouds' own names for
/// versions (`bedrock-2023-05-31`, `vertex-2023-10-16`) are all older.
fn refuses_sampling(version: &str) -> bool {
    version.starts_with(|letter: char| letter.is_ascii_digit()) && version >= "2026-10-21"
}
