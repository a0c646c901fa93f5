//! Bedrock Converse (protocols A6). Model and the wish to stream stand in the path; streams are AWS event streams.

use std::borrow::Cow;

use bytes::Bytes;
use domain::{DialectId, Endpoint, Feature, Features, LossReport};

pub use models::no_profiles;

use crate::event_stream;
use crate::exchange::{Answer, Exchange};
use crate::intake::splice;
use crate::loss::Corner;
use crate::quirks::Quirks;
use crate::registry::{Dialect, StreamReader, StreamWriter, Tee};
use crate::remote::MediaKind;
use crate::wire::{
    AnswerContext, BadAnswer, ClientError, Edits, FieldError, Headers, Incoming, ModelRow, Peek,
    StreamForm, Target, TeeOptions, UpstreamFault, UpstreamRequest,
};

mod blob;
mod count_tokens;
pub(crate) mod errors;
mod media_words;
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

/// The system prompt that Claude's maker adds when tools are there: Anthropic's documentation lists 264 to 530 tokens by
/// model and tool choice; this is above all of them.
const TOOL_PROMPT: u64 = 640;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct BedrockConverse;

impl Dialect for BedrockConverse {
    fn id(&self) -> DialectId {
        DialectId::BedrockConverse
    }

    fn usual_base(&self) -> &'static str {
        ""
    }

    fn path(
        &self,
        endpoint: Endpoint,
        model: &str,
        stream: Option<StreamForm>,
    ) -> Cow<'static, str> {
        let action = match (endpoint, stream) {
            (Endpoint::CountTokens, _) => "count-tokens",
            (Endpoint::Embeddings, _) => "invoke",
            (Endpoint::Chat, Some(_)) => "converse-stream",
            (Endpoint::Chat, None) => "converse",
            // AWS lists models at another host, and has nothing else here.
            _ => return Cow::Borrowed("/foundation-models"),
        };
        Cow::Owned(format!("/model/{}/{action}", encoded(model)))
    }

    fn stream_media_type(&self, _form: StreamForm) -> &'static str {
        event_stream::MEDIA_TYPE
    }

    fn peek(&self, endpoint: Endpoint, request: &Incoming<'_>) -> Result<Peek, FieldError> {
        match endpoint {
            Endpoint::CountTokens => count_tokens::peek(request),
            _ => peek::peek(request),
        }
    }

    fn added_input(&self, features: Features) -> u64 {
        let tools = [Feature::Tools, Feature::CustomTools, Feature::HostedTools];
        if tools.into_iter().any(|tool| features.contains(tool)) { TOOL_PROMPT } else { 0 }
    }

    /// Nothing of it is in the body.
    fn forward(&self, body: &Bytes, peek: &Peek, edits: &Edits<'_>) -> Bytes {
        splice(body, peek, edits)
    }

    fn tee(&self, endpoint: Endpoint, options: TeeOptions) -> Box<dyn Tee> {
        match endpoint {
            Endpoint::CountTokens => crate::count_tokens::tee::<count_tokens::InputTokens>(),
            _ => tee::tee(options),
        }
    }

    fn render_error(&self, error: &ClientError<'_>) -> Vec<u8> {
        errors::render(error)
    }

    fn error_headers(&self, error: &ClientError<'_>) -> Vec<(&'static str, String)> {
        vec![(errors::NAME_HEADER, errors::name(error.code, error.status).to_owned())]
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

    /// The vendor's own store only.
    fn takes_url(&self, _kind: MediaKind, url: &str, _from: DialectId, _quirks: &Quirks) -> bool {
        url.starts_with("s3://")
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

    fn write_token_count(&self, tokens: u64) -> Vec<u8> {
        crate::count_tokens::answer("inputTokens", tokens)
    }
}

/// As the AWS SDKs write a path segment: everything but unreserved characters as `%XX`.
pub(crate) fn encoded(model: &str) -> String {
    let mut out = String::with_capacity(model.len() + 8);
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    out
}

fn hex(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or('0').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen from boto3 (protocols A6).
    #[test]
    fn model_ids_are_encoded_as_boto3_does() {
        let path = |model, stream| BedrockConverse.path(Endpoint::Chat, model, stream);
        assert_eq!(
            path("anthropic.claude-x-v1:0", None),
            "/model/anthropic.claude-x-v1%3A0/converse"
        );
        assert_eq!(
            path("arn:aws:bedrock:eu-central-1:1:inference-profile/eu.x", Some(StreamForm::Events)),
            "/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A1%3Ainference-profile%2Feu.x/converse-stream"
        );
    }
}
