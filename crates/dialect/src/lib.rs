//! Wire formats and the one canonical exchange between them.
//!
//! A dialect is a folder: how it is read and written as a client's and as a provider's side, how its streams
//! run, what its errors mean. [`dialect`] finds one by its id. Only this crate knows vendor JSON. It is pure:
//! bytes in, bytes out; time and ids are arguments.
//!
//! Two ways through it. A same-dialect route never builds a tree: [`Dialect::peek`] types the few fields we act
//! on, [`Dialect::forward`] splices the model name, [`Dialect::tee`] reads usage from the bytes that pass. Any
//! other route goes request -> [`Exchange`] -> request and answer -> [`Answer`] or [`StreamEvent`]s -> answer;
//! what the target can't carry is noted in a `LossReport` by the table in `loss.rs`.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod answer;
pub mod anthropic_messages;
pub mod batches;
pub mod bedrock_converse;
mod closed_schema;
pub mod cohere_chat;
mod count_tokens;
mod cursor;
pub mod embedding;
pub mod envelope;
pub mod event_stream;
pub mod exchange;
mod fault;
mod foreign_blocks;
pub mod gate;
pub mod gemini;
mod http_date;
mod inline_refs;
mod intake;
mod json;
pub mod loss;
mod measure;
mod media;
pub mod oci_chat;
mod openai;
pub mod openai_chat;
pub mod openai_responses;
mod passed;
pub mod portability;
mod provider_only;
pub mod quirks;
pub mod realtime;
pub mod reasoning;
mod registry;
pub mod remote;
mod signature;
pub mod sse;
mod stop_cut;
mod tool_ids;
mod unwrap_input;
mod watch;
mod wire;

pub use domain::DialectId;
pub use embedding::{EmbeddingAnswer, EmbeddingContext, EmbeddingDialect, EmbeddingRequest};
pub use exchange::{Answer, Choice, Exchange, StreamEvent, StreamMerge};
pub use media::image_size;
pub use passed::is_form;
pub use quirks::{Quirks, UnknownQuirk};
pub use registry::{Dialect, StreamReader, StreamWriter, Tee, converts, dialect};
pub use stop_cut::StopCut;
pub use wire::{
    AnswerContext, BadAnswer, ClientError, Edits, FieldError, FinishReason, FirstEvent, Headers,
    Incoming, ModelRow, PathFacts, Peek, Seen, StreamForm, Target, TeeOptions, UpstreamFault,
    UpstreamRequest,
};
