//! Gemini `generateContent` (protocols A5), of the Gemini API and of Vertex AI.

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

mod array;
mod blob;
mod count_tokens;
mod embed;
mod embeddings;
mod errors;
mod logprobs;
mod models;
mod names;
mod peek;
mod peek_config;
mod read_answer;
mod read_config;
mod read_parts;
mod read_request;
mod schema;
mod spelling;
mod stream_in;
mod stream_out;
mod tee;
mod thought;
pub mod usage;
mod write_answer;
mod write_parts;
mod write_request;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct Gemini;

impl Dialect for Gemini {
    fn id(&self) -> DialectId {
        DialectId::Gemini
    }

    fn usual_base(&self) -> &'static str {
        "/v1beta"
    }

    fn path(
        &self,
        endpoint: Endpoint,
        model: &str,
        stream: Option<StreamForm>,
    ) -> Cow<'static, str> {
        let verb = match (endpoint, stream) {
            (Endpoint::Chat, None) => "generateContent",
            (Endpoint::Chat, Some(StreamForm::Events)) => "streamGenerateContent?alt=sse",
            (Endpoint::Chat, Some(StreamForm::Array)) => "streamGenerateContent",
            (Endpoint::CountTokens, _) => "countTokens",
            (Endpoint::Embeddings, _) => "batchEmbedContents",
            _ => return Cow::Borrowed("/models"),
        };
        Cow::Owned(format!("/models/{}:{verb}", escaped(model)))
    }

    fn forward_path(&self, endpoint: Endpoint, model: &str, peek: &Peek) -> Cow<'static, str> {
        if endpoint == Endpoint::Embeddings && peek.single {
            return Cow::Owned(format!("/models/{}:embedContent", escaped(model)));
        }
        self.path(endpoint, model, peek.stream.then_some(peek.stream_form))
    }

    fn stream_media_type(&self, form: StreamForm) -> &'static str {
        match form {
            StreamForm::Events => "text/event-stream; charset=utf-8",
            StreamForm::Array => "application/json; charset=UTF-8",
        }
    }

    fn peek(&self, endpoint: Endpoint, request: &Incoming<'_>) -> Result<Peek, FieldError> {
        match endpoint {
            Endpoint::Embeddings => embeddings::peek(request),
            _ => peek::peek(request),
        }
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
            Endpoint::Embeddings => embeddings::tee(),
            Endpoint::CountTokens => crate::count_tokens::tee::<count_tokens::TotalTokens>(),
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
        errors::render_event(error)
    }

    fn classify(&self, status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
        errors::classify(status, headers, body)
    }

    fn message_place(&self, at: usize) -> String {
        format!("contents[{at}].parts")
    }

    /// The provider fetches public URLs, over TLS only.
    fn takes_url(&self, _kind: MediaKind, url: &str, from: DialectId, quirks: &Quirks) -> bool {
        let is_fit = from == DialectId::Gemini || url.starts_with("https://");
        is_fit && !quirks.no_remote_images
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

    fn write_token_count(&self, tokens: u64) -> Vec<u8> {
        crate::count_tokens::answer("totalTokens", tokens)
    }
}

/// A model's name as a part of a path: what would end the path, or change it, is percent-encoded. A slash stays: names
/// hold it (`tunedModels/...`).
fn escaped(model: &str) -> String {
    let mut out = String::with_capacity(model.len());
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let hex = |digit: u8| char::from(b"0123456789ABCDEF"[usize::from(digit & 15)]);
            out.extend(['%', hex(byte >> 4), hex(byte)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_what_is_asked_for() {
        let path =
            |endpoint, stream| Gemini.path(endpoint, "gemini-3.6-flash", stream).into_owned();
        assert_eq!(path(Endpoint::Chat, None), "/models/gemini-3.6-flash:generateContent");
        assert_eq!(
            path(Endpoint::Chat, Some(StreamForm::Events)),
            "/models/gemini-3.6-flash:streamGenerateContent?alt=sse"
        );
        assert_eq!(
            path(Endpoint::Chat, Some(StreamForm::Array)),
            "/models/gemini-3.6-flash:streamGenerateContent"
        );
        assert_eq!(path(Endpoint::CountTokens, None), "/models/gemini-3.6-flash:countTokens");
        assert_eq!(path(Endpoint::Models, None), "/models");
        let odd = Gemini.path(Endpoint::Chat, "a/b?c#d é", None);
        assert_eq!(odd, "/models/a/b%3Fc%23d%20%C3%A9:generateContent");
    }
}
