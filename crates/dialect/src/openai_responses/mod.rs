//! OpenAI Responses (protocols A2), without the state that its vendor keeps: every request says all that it is about.

use std::borrow::Cow;

use bytes::Bytes;
use domain::{DialectId, Endpoint, Features, LossReport};

use crate::count_tokens::{self, InputTokens};
use crate::exchange::{Answer, Exchange};
use crate::loss::Corner;
use crate::openai_chat::models;
use crate::registry::{Dialect, StreamReader, StreamWriter, Tee};
use crate::wire::{
    AnswerContext, BadAnswer, ClientError, Edits, FieldError, Headers, Incoming, ModelRow, Peek,
    StreamForm, Target, TeeOptions, UpstreamFault, UpstreamRequest,
};

mod errors;
pub mod kept;
mod peek;
mod read_answer;
mod read_items;
mod read_request;
mod reasoning_items;
mod spelling;
mod stream_in;
mod stream_items;
mod stream_out;
mod tee;
pub mod usage;
mod write_answer;
mod write_items;
mod write_request;

/// Fields that refer to what a server keeps, unless they are `false`.
const STATEFUL: [&str; 3] = ["previous_response_id", "conversation", "background"];

/// Why a request that builds on kept state is refused, and what to do. Never dropped: the model would not see what the
/// request is about. Where the gateway keeps responses, `previous_response_id` never gets here.
fn state_refusal(what: &str, field: Option<String>) -> FieldError {
    let message = match what {
        "background" => {
            "a response in the background is fetched later, and this gateway makes none: leave `background` out, and stream the response if it takes long".to_owned()
        }
        "conversation" => {
            "`conversation` refers to what its vendor keeps, and this gateway keeps no conversations: build on a response with `previous_response_id` where `responses.store` is on, or send the earlier items again in `input`".to_owned()
        }
        "item_reference" => {
            "`item_reference` refers to an item that its vendor keeps, and this gateway gives back no single items: send the earlier items again in `input`, or build on their response with `previous_response_id` where `responses.store` is on. Set `store: false`, so that SDKs do so by themselves; reasoning comes back with its `encrypted_content`".to_owned()
        }
        _ => format!(
            "`{what}` refers to what a server keeps, and this gateway keeps no responses: send the earlier items again in `input`. Set `store: false`, so that SDKs do so by themselves; reasoning comes back with its `encrypted_content`. With `responses: {{store: on}}` in its configuration the gateway keeps them, for `previous_response_id`"
        ),
    };
    FieldError::new(field.unwrap_or_else(|| what.to_owned()), message)
}

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct OpenaiResponses;

impl Dialect for OpenaiResponses {
    fn id(&self) -> DialectId {
        DialectId::OpenaiResponses
    }

    fn path(
        &self,
        endpoint: Endpoint,
        _model: &str,
        _stream: Option<StreamForm>,
    ) -> Cow<'static, str> {
        Cow::Borrowed(match endpoint {
            Endpoint::Chat => "/responses",
            Endpoint::Embeddings => "/embeddings",
            Endpoint::CountTokens => "/responses/input_tokens",
            _ => "/models",
        })
    }

    fn forwarded_headers(&self) -> &'static [&'static str] {
        &["openai-beta", "x-client-request-id"]
    }

    fn peek(&self, _endpoint: Endpoint, request: &Incoming<'_>) -> Result<Peek, FieldError> {
        peek::peek(request)
    }

    /// Nothing but markers, which the peek allows for.
    fn added_input(&self, _features: Features) -> u64 {
        0
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

    fn is_own_error(&self, body: &[u8]) -> bool {
        errors::is_own(body)
    }

    fn render_error_event(&self, error: &ClientError<'_>) -> Vec<u8> {
        errors::render_event(error, 0)
    }

    fn classify(&self, status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
        errors::classify(status, headers, body)
    }

    fn message_place(&self, at: usize) -> String {
        format!("input[{at}].content")
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
        format!(r#"{{"object":"response.input_tokens","input_tokens":{tokens}}}"#).into_bytes()
    }
}
