//! The fake partner as a function: a call in, an answer out, delays as data.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::ask::Refused;
use crate::kept::Kept;
use crate::lorem;
use crate::model;
use crate::oci::OciUser;
use crate::tweak::Tweak;

/// A request to the fake partner.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'a str,
    /// Path with or without query, below the host: `/v1/messages?beta=true`.
    pub path: &'a str,
    /// Header names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body as received.
    pub body: &'a [u8],
}

impl<'a> Call<'a> {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }
}

/// What the partner answers.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers without framing (no length, no transfer encoding, no connection).
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// A body: at once, or in timed parts.
#[derive(Debug, Clone)]
pub enum Body {
    /// All at once, after no delay.
    Whole(Bytes),
    /// Part by part; the one who serves it sleeps.
    Timed {
        /// In order; a stream has one event in each.
        parts: Vec<Part>,
        /// The connection breaks after the last part instead of ending cleanly.
        cut: bool,
    },
}

/// Bytes and how long to wait before them.
#[derive(Debug, Clone)]
pub struct Part {
    /// Since the part before, or since the request.
    pub delay: Duration,
    /// At least one byte.
    pub bytes: Bytes,
}

/// Settings of a fake partner.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Keys that are accepted; empty: any or none. `ID:SECRET` is a key pair of AWS.
    pub keys: Vec<String>,
    /// Who may call Oracle's side; `None`: anybody where `keys` is empty, else nobody.
    pub oci_user: Option<OciUser>,
    /// Behaviour of models that are not ours; `None` refuses them with 404.
    pub unknown_model: Option<String>,
    /// Percent of calls to `flaky` that fail.
    pub flaky_percent: u64,
    /// Where the sequence of `flaky` starts.
    pub seed: u64,
    /// Milliseconds before the first byte of `slow`.
    pub slow_first_ms: u64,
    /// Milliseconds between events of `slow`.
    pub slow_gap_ms: u64,
}

impl Default for DemoOptions {
    fn default() -> Self {
        DemoOptions {
            keys: Vec::new(),
            oci_user: None,
            unknown_model: None,
            flaky_percent: 30,
            seed: 1,
            slow_first_ms: 1_000,
            slow_gap_ms: 100,
        }
    }
}

/// The fake partner. Reads no clock, no environment, no random source. The same call gives the same answer,
/// but for the model `flaky`, whose n-th call has the n-th fate of a seeded sequence, and for files and batches,
/// which are what earlier calls made of them.
#[derive(Debug, Default)]
pub struct Demo {
    pub(crate) options: DemoOptions,
    flaky_calls: AtomicU64,
    pub(crate) kept: Kept,
}

/// What happens to a call before it is answered.
pub(crate) enum Fate {
    Answer,
    Fail(Refused),
    /// Answers, but a stream is cut half way.
    Cut,
}

fn unknown(method: &str, path: &str) -> Reply {
    let message = format!("Unknown request URL: {method} {path}.");
    crate::openai::error(&Refused::new(404, message).code("unknown_url"))
}

impl Demo {
    /// A partner with these settings.
    pub fn new(options: DemoOptions) -> Self {
        Demo { options, ..Demo::default() }
    }

    /// Answers a call.
    pub fn respond(&self, call: &Call<'_>) -> Reply {
        self.respond_with(call, &Tweak::default())
    }

    /// Answers a call with the deviations a test asked for.
    pub fn respond_with(&self, call: &Call<'_>, tweak: &Tweak) -> Reply {
        let path = call.path.split('?').next().unwrap_or(call.path);
        let anthropic = call.header("anthropic-version").is_some();
        if crate::gemini::is_meant(call) {
            return crate::gemini::respond(self, call, tweak);
        }
        if crate::kept::is_meant(path) {
            return crate::kept::respond(self, call, tweak);
        }
        match (call.method, path) {
            ("POST", "/v1/chat/completions") => crate::openai::chat(self, call, tweak),
            ("POST", "/v1/responses") => crate::responses::responses(self, call, tweak),
            ("POST", "/v1/responses/input_tokens") => {
                crate::responses::input_tokens(self, call, tweak)
            }
            ("POST", "/v1/embeddings") => crate::openai::embeddings(self, call, tweak),
            ("POST", "/v2/chat") => crate::cohere::chat(self, call, tweak),
            ("POST", "/v2/embed") => crate::cohere::embed(self, call, tweak),
            ("POST", "/v2/rerank") => crate::passed::cohere_rerank(self, call, tweak),
            ("POST", "/v1/messages" | "/anthropic/v1/messages") => {
                crate::anthropic::messages(self, call, tweak)
            }
            ("POST", p) if p.contains("/publishers/anthropic/models/") => {
                let rest = p.split("/publishers/anthropic/models/").nth(1).unwrap_or_default();
                crate::anthropic::vertex(self, call, rest, tweak)
            }
            ("POST", "/v1/messages/count_tokens" | "/anthropic/v1/messages/count_tokens") => {
                crate::anthropic::count_tokens(self, call, tweak)
            }
            ("GET", p) if p == "/v1/models" || p.starts_with("/v1/models/") => {
                let id = p.strip_prefix("/v1/models/");
                if anthropic {
                    crate::anthropic::models(self, call, id)
                } else if call.header("x-fern-sdk-name").is_some() {
                    crate::cohere::models(self, call, id)
                } else {
                    crate::openai::models(self, call, id)
                }
            }
            ("POST", p) if p.starts_with("/model/") => {
                let rest = p.strip_prefix("/model/").unwrap_or_default();
                crate::bedrock::call(self, call, rest, tweak)
            }
            (_, p) if p.starts_with(crate::oci::ROOT) => {
                let rest = p.strip_prefix(crate::oci::ROOT).unwrap_or_default();
                crate::oci::respond(self, call, rest, tweak)
            }
            (_, p) if p.starts_with("/v2/") => {
                crate::cohere::error(&Refused::new(404, format!("no endpoint {path}")))
            }
            (_, p) if p.starts_with("/v1/messages") => {
                crate::anthropic::error(&Refused::new(404, "Not found"))
            }
            ("POST", _) if path.starts_with("/v1/") => {
                crate::passed::respond(self, call, path, tweak)
                    .unwrap_or_else(|| unknown(call.method, path))
            }
            _ => unknown(call.method, path),
        }
    }

    /// The behaviour that a model name stands for, or `None` for 404.
    pub(crate) fn resolve<'m>(&'m self, model: &'m str) -> Option<&'m str> {
        if model::known(model) { Some(model) } else { self.options.unknown_model.as_deref() }
    }

    /// Whether the presented key is good (or none is needed).
    pub(crate) fn key_is_good(&self, presented: Option<&str>) -> bool {
        self.options.keys.is_empty()
            || presented.is_some_and(|k| self.options.keys.iter().any(|good| good == k))
    }

    pub(crate) fn fate(&self, model: &str) -> Fate {
        if let Some(status) = model::status_of(model) {
            return Fate::Fail(Refused::new(
                status,
                format!("The model '{model}' always fails with {status}."),
            ));
        }
        if model::base(model) != "flaky" {
            return Fate::Answer;
        }
        let n = self.flaky_calls.fetch_add(1, Ordering::Relaxed);
        let roll = lorem::mix(self.options.seed.wrapping_mul(0x1_0001).wrapping_add(n));
        if roll % 100 >= self.options.flaky_percent {
            return Fate::Answer;
        }
        match (roll / 100) % 4 {
            0 => Fate::Fail(Refused {
                retry_after_ms: Some(200),
                ..Refused::new(429, "Rate limit reached, by design.")
            }),
            1 => Fate::Fail(Refused::new(500, "The server had an error, by design.")),
            2 => Fate::Fail(Refused::new(503, "The server is overloaded, by design.")),
            _ => Fate::Cut,
        }
    }

    /// Turns the events of an answer into a body with the pace of the model or of the tweak.
    pub(crate) fn timed(
        &self,
        model: &str,
        mut events: Vec<Bytes>,
        tweak: &Tweak,
        cut: bool,
    ) -> Body {
        let slow = model::base(model) == "slow";
        let pick = |told: Option<u64>, own: u64| told.unwrap_or(if slow { own } else { 0 });
        let first = Duration::from_millis(pick(tweak.first_ms, self.options.slow_first_ms));
        let gap = Duration::from_millis(pick(tweak.gap_ms, self.options.slow_gap_ms));
        if cut {
            events.truncate(events.len().div_ceil(2));
        }
        let parts = events
            .into_iter()
            .enumerate()
            .map(|(at, bytes)| Part { delay: if at == 0 { first } else { gap }, bytes })
            .collect();
        Body::Timed { parts, cut }
    }

    /// A body that comes in one piece, after the model's delay if it has one.
    pub(crate) fn whole(&self, model: &str, bytes: Vec<u8>, tweak: &Tweak, cut: bool) -> Body {
        let slow = model::base(model) == "slow";
        if !slow && !cut && tweak.first_ms.is_none() {
            return Body::Whole(Bytes::from(bytes));
        }
        let bytes = Bytes::from(bytes);
        if cut {
            let half = bytes.slice(..bytes.len() / 2);
            return self.timed(model, vec![half.clone(), half], tweak, true);
        }
        self.timed(model, vec![bytes], tweak, false)
    }
}
