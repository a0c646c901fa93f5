//! A fake AI partner, deterministic and strict, for the demo, the tests and the load runs.
//!
//! It speaks OpenAI chat completions, responses, embeddings and models, Anthropic messages, token counting and models
//! in both API versions (2023-06-01 and 2026-10-21), Gemini's generateContent, streams, token counting, embeddings and
//! models, Bedrock Converse and InvokeModel (Claude), whole and streamed (with bearers or signatures), Claude as Vertex AI
//! has it, Cohere's v2 chat, embed and rerank, and Oracle Cloud's native chat and embedText (with its signatures);
//! OpenAI's images, audio and moderation and the `/v1/rerank` of Jina's followers. It refuses what the real ones refuse. It keeps files and batches (OpenAI's, and Anthropic's message batches)
//! for the key that made them. It shares no code with the gateway's own dialects: it is the oracle they are held against.
//!
//! # Models
//!
//! | model | answers |
//! | --- | --- |
//! | `echo` | the last user text; a line for each image or document seen; tool results as `name: text` lines |
//! | `lorem` | as many tokens of seeded filler as the first number in the user's text says, 64 without one |
//! | `slow` | as echo, a second before the first byte and 100 ms between events |
//! | `flaky` | as echo, but 30 % of calls fail: 429, 500, 503 or a cut answer, in a seeded order |
//! | `tools` | calls the tools it is given (all of them when parallel calls are allowed), then reports their results |
//! | `agent` | asked about `the file PATH`, calls the tool that reads files, then reports its result; not listed |
//! | `json` | an instance of the JSON schema asked for |
//! | `refusal` | refuses; not listed |
//! | `status-NNN` | fails with that HTTP status; not listed |
//! | `embed` | for embeddings; not listed |
//! | `image`, `voice`, `transcribe`, `moderation`, `rerank` | for those; not listed |
//! | `whisper`, `per-image`, `per-character` | transcripts that report seconds, images and voices without usage; not listed |
//!
//! Every model honours reasoning (thinking) settings, tool choice, stop sequences, token limits, `n`, log
//! probabilities and response formats. Tokens are counted by the rule in `tokens.rs`: four bytes of text are a token.
//!
//! # Use
//!
//! [`Demo`] is a function from a call to a reply: no clock, no socket. [`Mock`] serves it over HTTP with faults,
//! a journal and a control API; the binary `fake-provider` is a `Mock`.

mod agent;
mod anthropic;
mod ask;
mod bedrock;
mod cohere;
mod demo;
mod gemini;
mod kept;
mod lorem;
mod media;
mod mock;
mod model;
mod oci;
mod openai;
mod passed;
mod realtime;
mod responses;
mod schema;
mod tokens;
mod tweak;

pub use demo::{Body, Call, Demo, DemoOptions, Part, Reply};
pub use mock::{Mock, MockOptions};
pub use model::MODELS;
pub use oci::OciUser;
pub use tweak::{Tweak, UsageTold};
