//! What the dialects and the server hand each other.

use std::fmt;
use std::ops::Range;

use domain::{ErrorClass, Features, ImageInput, RateHint, RequestLimits, UnixMicros, Usage};

use crate::exchange::Exchange;
use crate::quirks::Quirks;

/// Request headers, without an HTTP crate. Names are lower-case.
pub trait Headers {
    /// The first value of that name, if it is visible ASCII.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Headers for () {
    fn get(&self, _name: &str) -> Option<&str> {
        None
    }
}

impl Headers for &[(&str, &str)] {
    fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

/// How the pieces of a stream are put together, where a dialect knows more than one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamForm {
    /// The dialect's events.
    #[default]
    Events,
    /// One JSON array that grows (Gemini without `alt=sse`).
    Array,
}

/// What the path of a request said, where a dialect puts things there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathFacts<'a> {
    /// The model.
    pub model: Option<&'a str>,
    /// That a stream is wanted, and in which form.
    pub stream: Option<StreamForm>,
}

/// A client's request as it came.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// Its body.
    pub body: &'a [u8],
    /// Its headers.
    pub headers: &'a dyn Headers,
    /// What its path said.
    pub path: PathFacts<'a>,
}

impl<'a> Incoming<'a> {
    /// A request whose path says nothing.
    pub fn new(body: &'a [u8], headers: &'a dyn Headers) -> Self {
        Self { body, headers, path: PathFacts::default() }
    }
}

/// One model, or capability, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRow {
    /// What a request names it by.
    pub id: String,
    /// When it appeared, in seconds since the epoch.
    pub created: i64,
    /// Whose it is.
    pub owned_by: String,
    /// Its name for people.
    pub display_name: String,
    /// Most input tokens.
    pub max_input: Option<u64>,
    /// Most output tokens.
    pub max_output: Option<u64>,
}

/// Changes to a forwarded body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a> {
    /// The provider's name of the model.
    pub model: Option<&'a str>,
    /// Ask for usage in a stream whose client did not.
    pub ask_usage: bool,
}

/// How a [`crate::Tee`] reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct TeeOptions {
    /// A stream, not one body.
    pub streamed: bool,
    /// How the stream is put together.
    pub form: StreamForm,
    /// Hold the usage chunk back, and cut the place for usage out of the others: we asked for it, the client did not.
    pub strip_usage_chunk: bool,
}

/// What is typed of a request that is only forwarded.
#[derive(Clone, Debug, Default)]
pub struct Peek {
    /// The model as the client wrote it.
    pub model: String,
    /// Where its JSON string stands in the body, quotes included; the empty place to put it in, where the path named it
    /// and providers want it in the body; nothing where it stays in the path.
    pub model_span: Option<Range<usize>>,
    /// Whether a stream is asked for.
    pub stream: bool,
    /// In which form.
    pub stream_form: StreamForm,
    /// Whether the body is a form, not JSON: the model stands in it as plain text.
    pub form: bool,
    /// Whether one thing is asked for where the dialect has another path for many (embeddings).
    pub single: bool,
    /// Whether usage is asked for in the stream.
    pub wants_stream_usage: bool,
    /// The splice that turns usage in the stream on; private to the dialect that made the peek.
    pub(crate) usage_edit: Option<(Range<usize>, &'static str)>,
    /// What a provider of the same dialect must not be sent: state that another dialect's vendor issued.
    pub(crate) cuts: Vec<Range<usize>>,
    /// The limits the request sets on itself.
    pub limits: RequestLimits,
    /// What it uses.
    pub features: Features,
    /// UTF-8 bytes of everything that becomes text input, with an allowance per message: no byte-level
    /// tokenizer makes more tokens.
    pub text_bytes: u64,
    /// Its images, up to [`Peek::IMAGES_MAX`] of them.
    pub images: Vec<ImageInput>,
    /// Images beyond those.
    pub further_images: u32,
    /// Documents that the provider makes text and pictures of, page by page: PDF, inline or elsewhere.
    pub paged_documents: u32,
    /// Bytes of inline audio, as encoded.
    pub audio_bytes: u64,
    /// Messages in it.
    pub message_count: u32,
    /// A stable hash of system prompt, tools and first message: equal keys share a cached prefix.
    pub prefix_key: u64,
}

impl Peek {
    /// Images whose sizes are kept: as many as OpenAI takes in a request; Anthropic takes fewer.
    pub const IMAGES_MAX: usize = 1_500;
}

/// What the first event of an answer was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstEvent {
    /// No complete event yet.
    Pending,
    /// Data: the answer may go to the client.
    Good,
    /// An error: another offer may take over.
    Error(UpstreamFault),
}

/// What was read from an answer that passed.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What the provider says was used.
    pub usage: Option<Usage>,
    /// Whether the success terminator was seen: finish and `[DONE]`, `message_stop`, a whole JSON body.
    pub complete: bool,
    /// An error within the answer.
    pub error: Option<UpstreamFault>,
    /// Bytes of text delivered, for a count where usage is missing.
    pub output_bytes: u64,
    /// The model the provider named.
    pub model: Option<String>,
    /// Why generation ended.
    pub finish: Option<FinishReason>,
    /// The provider's id of the answer.
    pub upstream_id: Option<String>,
}

/// What a provider's error means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFault {
    /// In our words.
    pub class: ErrorClass,
    /// When to come back.
    pub hint: RateHint,
    /// The provider's words: at most 512 bytes, control characters removed.
    pub message: String,
    /// The provider's code, if it gave one.
    pub code: Option<String>,
}

/// The client's mistake: answered with 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// The field in the client's spelling, with its place: `messages[2].content[0]`.
    pub field: String,
    /// Where in the body, in bytes, if known.
    pub offset: Option<usize>,
    /// What is wrong and what is expected.
    pub message: String,
}

impl FieldError {
    /// A mistake in `field`, place unknown.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), offset: None, message: message.into() }
    }
}

/// Why a provider's answer can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// Not what the protocol allows.
    #[error("{0}")]
    Malformed(String),
    /// The stream ended without its success terminator.
    #[error("the stream ended before its terminator")]
    Cut,
    /// An error in the shape of a success.
    #[error("the provider reported an error")]
    Fault(UpstreamFault),
}

/// An error that we make for a client (ux 6.5).
#[derive(Clone, Copy, Debug)]
pub struct ClientError<'a> {
    /// Our code.
    pub code: &'a str,
    /// The HTTP status it travels with.
    pub status: u16,
    /// What happened, for people.
    pub message: &'a str,
    /// What to do about it.
    pub fix: &'a str,
    /// Our request id.
    pub request_id: &'a str,
    /// The provider that failed, if one did.
    pub provider: Option<&'a str>,
    /// Attempts made.
    pub attempts: u32,
    /// The field that is wrong, if one is.
    pub field: Option<&'a str>,
    /// When to come back, in milliseconds, if that is known.
    pub retry_after_ms: Option<u64>,
}

/// Why generation ended (protocols C2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// A stop sequence was met.
    StopSequence(String),
    /// The output limit was met.
    Length,
    /// The context is full.
    ContextFull,
    /// Tools are to be called.
    ToolCalls,
    /// A content filter cut it.
    Filtered,
    /// The model or the vendor refused; the vendor's explanation where it gave one.
    Refusal(Option<String>),
    /// A server tool paused the turn; the client sends it back to go on.
    Pause,
    /// The provider failed in the middle.
    Error,
    /// A reason that we don't know, verbatim.
    Other(String),
}

impl FinishReason {
    /// The word used in rows and metrics.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::StopSequence(_) => "stop_sequence",
            Self::Length => "length",
            Self::ContextFull => "context_full",
            Self::ToolCalls => "tool_calls",
            Self::Filtered => "filtered",
            Self::Refusal(_) => "refusal",
            Self::Pause => "pause",
            Self::Error => "error",
            Self::Other(_) => "other",
        }
    }

    /// A small code for the ledger; never reused.
    pub fn code(&self) -> u8 {
        match self {
            Self::Stop => 1,
            Self::StopSequence(_) => 2,
            Self::Length => 3,
            Self::ContextFull => 4,
            Self::ToolCalls => 5,
            Self::Filtered => 6,
            Self::Refusal(_) => 7,
            Self::Pause => 8,
            Self::Error => 9,
            Self::Other(_) => 10,
        }
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What a translated request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    /// The output limit, in tokens, for a dialect that requires one where the client set none.
    pub max_output: Option<u64>,
    /// The provider's peculiarities.
    pub quirks: &'a Quirks,
    /// The `anthropic-version` to speak.
    pub anthropic_version: &'a str,
    /// Where an account is divided, the part that pays (Oracle's compartment).
    pub compartment: Option<&'a str>,
    /// Ask for usage in a stream, whatever the client asked.
    pub ask_usage: bool,
}

/// A request as written for a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// JSON.
    pub body: Vec<u8>,
    /// Headers of the dialect (version, betas); not authorization, not framing.
    pub headers: Vec<(&'static str, String)>,
    /// Where the answer's text is to be cut: stop sequences that the provider was not told of ([`crate::StopCut`]).
    pub cut_at: Vec<String>,
}

/// What an answer is written with.
#[derive(Clone, Copy, Debug)]
pub struct AnswerContext<'a> {
    /// Our request id; becomes the answer's id.
    pub request_id: &'a str,
    /// When the answer was made.
    pub created: UnixMicros,
    /// The model to name where the provider named none.
    pub model: &'a str,
    /// How long the answer took, in milliseconds; of a stream it is not known yet ([`crate::StreamWriter::took`]).
    pub took_ms: u64,
    /// What the client asked.
    pub exchange: &'a Exchange,
}
