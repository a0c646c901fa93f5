//! Which dialects there are. Adding one is its folder, a value of [`DialectId`] and one line in [`dialect`].

use std::borrow::Cow;

use bytes::Bytes;
use domain::{DialectId, Endpoint, Features, LossReport};
use smallvec::SmallVec;

use crate::embedding::EmbeddingDialect;
use crate::exchange::{Answer, Exchange, StreamEvent};
use crate::loss::Corner;
use crate::quirks::Quirks;
use crate::remote::MediaKind;
use crate::wire::{
    AnswerContext, BadAnswer, ClientError, Edits, FieldError, FirstEvent, Headers, Incoming,
    ModelRow, Peek, Seen, StreamForm, Target, TeeOptions, UpstreamFault, UpstreamRequest,
};
use crate::{
    anthropic_messages, bedrock_converse, cohere_chat, count_tokens, gemini, oci_chat, openai_chat,
    openai_responses, provider_only,
};

/// The dialect of that id.
pub fn dialect(id: DialectId) -> &'static dyn Dialect {
    match id {
        DialectId::OpenaiChat => &openai_chat::OpenaiChat,
        DialectId::AnthropicMessages => &anthropic_messages::AnthropicMessages,
        DialectId::OpenaiResponses => &openai_responses::OpenaiResponses,
        DialectId::Gemini => &gemini::Gemini,
        DialectId::BedrockConverse => &bedrock_converse::BedrockConverse,
        DialectId::CohereChat => &cohere_chat::CohereChat,
        DialectId::OciChat => &oci_chat::OciChat,
    }
}

/// Whether a request of the client's dialect can be written for a provider that speaks another one.
pub fn converts(endpoint: Endpoint, client: DialectId, provider: DialectId) -> bool {
    let embeds = |id| dialect(id).embeddings().is_some();
    match endpoint {
        Endpoint::Chat => true,
        Endpoint::Embeddings => embeds(client) && embeds(provider),
        _ => false,
    }
}

/// One wire format, from both sides; of one that clients don't speak ([`DialectId::CLIENTS`]), the provider's alone. The
/// bodies that are given here for the client's side are such a dialect's: nothing leads a client to them, and they refuse.
pub trait Dialect: Sync + Send {
    /// Which one.
    fn id(&self) -> DialectId;

    /// The path of the base URL at the vendor whose dialect it is.
    fn usual_base(&self) -> &'static str {
        "/v1"
    }

    /// Whether a provider with those quirks fetches what is at `url` for a client that speaks `from`.
    fn takes_url(&self, _kind: MediaKind, _url: &str, _from: DialectId, quirks: &Quirks) -> bool {
        !quirks.no_remote_images
    }

    /// Where the provider serves `endpoint` for `model`, relative to its base URL; may hold a query. `stream` says that
    /// a stream is wanted, and in which form.
    fn path(
        &self,
        endpoint: Endpoint,
        model: &str,
        stream: Option<StreamForm>,
    ) -> Cow<'static, str>;

    /// The same for a request that is forwarded, where what it asks for decides too.
    fn forward_path(&self, endpoint: Endpoint, model: &str, peek: &Peek) -> Cow<'static, str> {
        self.path(endpoint, model, peek.stream.then_some(peek.stream_form))
    }

    /// Client headers (lower-case names) that may go to a provider of the same dialect.
    fn forwarded_headers(&self) -> &'static [&'static str] {
        &[]
    }

    /// The header that names the dialect's version, if it has one, for a client that sent none.
    fn version_header<'a>(&self, _version: &'a str) -> Option<(&'static str, &'a str)> {
        None
    }

    /// Whether usage in a stream has to be asked for.
    fn usage_is_asked_for(&self) -> bool {
        false
    }

    /// The content type of a stream in that form.
    fn stream_media_type(&self, _form: StreamForm) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// Types the few fields that we act on, without a tree. Runs after [`crate::gate::scan`] has passed.
    fn peek(&self, _endpoint: Endpoint, _request: &Incoming<'_>) -> Result<Peek, FieldError> {
        Err(provider_only::refused(self.id()))
    }

    /// The most input tokens that a provider of this dialect adds by itself to a request with these features.
    fn added_input(&self, features: Features) -> u64;

    /// The body for a provider of the same dialect: the client's bytes with the edits spliced in, what we gave the client
    /// to carry for another dialect's vendor cut out, and nothing else changed. Without a change it is the same `Bytes`.
    fn forward(&self, body: &Bytes, _peek: &Peek, _edits: &Edits<'_>) -> Bytes {
        body.clone()
    }

    /// A reader of a provider's answer as it passes, translated or not.
    fn tee(&self, endpoint: Endpoint, options: TeeOptions) -> Box<dyn Tee>;

    /// The body of an error that we make, in the shape this dialect's clients expect.
    fn render_error(&self, error: &ClientError<'_>) -> Vec<u8> {
        provider_only::render_error(error)
    }

    /// The same as an event within a stream that has begun.
    fn render_error_event(&self, error: &ClientError<'_>) -> Vec<u8> {
        provider_only::render_error(error)
    }

    /// The status that an error of ours travels with.
    fn error_status(&self, error: &ClientError<'_>) -> u16 {
        error.status
    }

    /// Headers that clients of this dialect read errors from.
    fn error_headers(&self, _error: &ClientError<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Whether a provider's error answer has the shape that this dialect's clients read: a server may speak the dialect
    /// and word its errors in another.
    fn is_own_error(&self, body: &[u8]) -> bool;

    /// What a provider's error answer means.
    fn classify(&self, status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault;

    /// Where the content of a message stands in a client's request, for errors.
    fn message_place(&self, at: usize) -> String {
        format!("messages[{at}].content")
    }

    /// The field that a client of this dialect finds a corner of the loss table under.
    fn spell(&self, corner: Corner) -> &'static str {
        provider_only::spell(corner)
    }

    /// A client's request as the canonical exchange. Never panics on any bytes.
    fn read_request(&self, _request: &Incoming<'_>) -> Result<Exchange, FieldError> {
        Err(provider_only::refused(self.id()))
    }

    /// The exchange as a request to a provider of this dialect; notes in `loss` what isn't carried natively.
    /// Fails where dropping would falsify the request: input that the provider could never see.
    fn write_request(
        &self,
        exchange: &Exchange,
        target: &Target<'_>,
        loss: &mut LossReport,
    ) -> Result<UpstreamRequest, FieldError>;

    /// How many calls the exchange takes at that target: more than one where several answers are asked for and
    /// the provider gives one a call. The same written request goes out each time;
    /// [`crate::StreamMerge`] and [`Answer::combine`] make one answer of them.
    fn calls(&self, exchange: &Exchange, target: &Target<'_>) -> u32;

    /// The output limit that [`Self::write_request`] writes, for each answer; `None` where it writes none, and the model's
    /// own holds. The client's own, unless the dialect insists on one.
    fn output_limit(&self, exchange: &Exchange, _target: &Target<'_>) -> Option<u64> {
        exchange.max_output
    }

    /// A provider's whole (not streamed) success body.
    fn read_answer(&self, body: &[u8]) -> Result<Answer, BadAnswer>;

    /// The answer as this dialect's clients expect it.
    fn write_answer(&self, _answer: &Answer, _context: &AnswerContext<'_>) -> Vec<u8> {
        Vec::new()
    }

    /// The dialect's embedding endpoint, where it has one.
    fn embeddings(&self) -> Option<&'static dyn EmbeddingDialect> {
        None
    }

    /// Reads a provider's stream.
    fn stream_reader(&self) -> Box<dyn StreamReader>;

    /// Writes a client's stream.
    fn stream_writer(&self, _context: &AnswerContext<'_>) -> Box<dyn StreamWriter> {
        Box::new(provider_only::Unwritten)
    }

    /// The list of models.
    fn write_models(&self, _rows: &[ModelRow]) -> Vec<u8> {
        Vec::new()
    }

    /// One model.
    fn write_model(&self, _row: &ModelRow) -> Vec<u8> {
        Vec::new()
    }

    /// The answer that says a request holds so many tokens.
    fn write_token_count(&self, tokens: u64) -> Vec<u8> {
        count_tokens::answer("input_tokens", tokens)
    }
}

/// Watches an answer that is forwarded and reads what the ledger needs.
pub trait Tee: Send {
    /// Takes the next piece of the body and pushes what goes to the client: the same slices, except a
    /// stripped usage chunk. Nothing is copied and no complete event is held back.
    fn feed(&mut self, chunk: Bytes, out: &mut SmallVec<[Bytes; 2]>);
    /// What the first event was; decides whether another offer may still take over.
    fn first(&self) -> FirstEvent;
    /// Whether the success terminator has passed (`[DONE]`, `message_stop`, a whole JSON body). Where the body's end is
    /// the terminator it never has while the body goes on.
    fn is_complete(&self) -> bool {
        false
    }
    /// The error event that ends what has passed; `None` where that is [`Dialect::render_error_event`] whatever went before.
    fn error_event(&self, _error: &ClientError<'_>) -> Option<Vec<u8>> {
        None
    }
    /// At the end of the body: what was seen.
    fn finish(&mut self) -> Seen;
}

/// A provider's stream, in any chunking, as canonical events.
pub trait StreamReader: Send {
    /// Takes the next bytes. After an error the reader is spent.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer>;
    /// At the body's clean end. [`BadAnswer::Cut`] unless the dialect's success terminator was seen.
    fn end(&mut self, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer>;
}

/// Canonical events as a client's stream. Each event is written at once; nothing is held back, and the success
/// terminator is written only for [`StreamEvent::End`].
pub trait StreamWriter: Send {
    /// Appends the bytes of one event; may append none.
    fn event(&mut self, event: &StreamEvent, out: &mut Vec<u8>);
    /// How long the answer took, in milliseconds, where a stream says so at its end. Told before [`StreamEvent::End`].
    fn took(&mut self, _millis: u64) {}
    /// The error event that ends the stream as it stands; `None` where that is [`Dialect::render_error_event`] whatever
    /// went before.
    fn error_event(&self, _error: &ClientError<'_>) -> Option<Vec<u8>> {
        None
    }
    /// Why the stream can't go on in this dialect. Nothing more will be written: the server ends it with an
    /// error event and aborts the body.
    fn broken(&self) -> Option<&'static str> {
        None
    }
}
