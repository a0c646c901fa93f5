//! kept: responses that the gateway keeps (`responses.store`), and requests that build on them.
//!
//! A request with `previous_response_id` is made whole before anything looks at it: bounds, routing and translation see all
//! of it, and no provider is told of the id or keeps what is kept here. An answer is kept once it ended whole, before its
//! last byte goes out; what the client reads in it (`previous_response_id`, `store`) is what is true here.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialect::DialectId;
use dialect::gate::{self, GateLimits};
use dialect::openai_responses::kept::{Asked, Packed, Told, id_of, pack, state};
use domain::{AppName, Endpoint, RequestId, UnixMicros};
use store::kept::Pending;
use store::kept::responses::{Chain, ChainBounds, Keeping, KeptResponse, NewResponse};
use store::{KeptError, Responses};

use crate::accept::Cx;
use crate::body::RespBody;
use crate::errors::{self, Failure};
use crate::gateway::Gateway;
use crate::read::{bad_field, refused};
use crate::worker::Worker;

pub mod routes;
mod streamed;

pub use streamed::Streamed;

/// Most responses that a request builds on, one on the other.
const CHAIN_MAX: usize = 1_000;

/// What a request took from kept responses, for those who write it.
#[derive(Debug, Default)]
pub struct Past {
    /// The provider is told not to keep what is kept here, where it speaks the same dialect and would.
    pub kept_here: bool,
    /// Reasoning of earlier turns is missing.
    pub lost_reasoning: bool,
    /// Where items stand in the body that only the named provider can read.
    pub bound: Vec<(Range<usize>, String)>,
}

/// How the answer to a request is kept, and what it says of that.
#[derive(Debug)]
pub struct Keep {
    request: RequestId,
    at: UnixMicros,
    app: AppName,
    responses: Responses,
    told: Told,
    /// The request's own items.
    input: Vec<u8>,
    keep_for: Duration,
    all_max: u64,
    one_max: u64,
}

/// Whether a request may build on what is kept, or its answer may be kept.
pub fn concerns(cx: &Cx) -> bool {
    cx.snapshot.config.responses.store
        && cx.client.id() == DialectId::OpenaiResponses
        && matches!(cx.endpoint, Endpoint::Chat | Endpoint::CountTokens)
}

/// Makes a request whole that [`concerns`] what is kept. What comes back is the body to read from now on; [`Cx::keep`] says what is done with the answer.
///
/// # Errors
/// What is wrong with the request, or with the responses it builds on.
pub async fn open(worker: &Worker, cx: &mut Cx, body: Bytes) -> Result<(Bytes, Past), Failure> {
    let config = &cx.snapshot.config;
    gate::scan(&body, GateLimits::default()).map_err(|error| refused(&error))?;
    let mut asked = Asked::of(&body).map_err(bad_field)?;
    // A count is no response.
    asked.keeps &= cx.endpoint == Endpoint::Chat;
    if !asked.keeps && asked.previous.is_none() {
        return Ok((body, Past::default()));
    }
    let app = app(worker, cx);
    let limit = config.server.limits.body;
    let earlier = match &asked.previous {
        Some(id) => chain(worker, &app, id, limit).await?,
        None => Vec::new(),
    };
    let whole = joined(&asked, &body, &earlier)?;
    if whole.body.len() as u64 > limit {
        return Err(too_long(format!(
            "with the responses it builds on the request is longer than {} MiB",
            limit >> 20
        )));
    }
    let told = Told { previous: asked.previous.clone(), kept: asked.keeps.then_some(true) };
    cx.keep = (cx.endpoint == Endpoint::Chat).then(|| {
        Arc::new(Keep {
            request: cx.id,
            at: cx.at,
            app,
            responses: worker.gateway.responses.clone(),
            input: if asked.keeps { asked.input(&body) } else { Vec::new() },
            told,
            keep_for: config.responses.keep,
            all_max: config.responses.max_size,
            one_max: limit,
        })
    });
    Ok((
        whole.body,
        Past { kept_here: asked.keeps, lost_reasoning: whole.lost_reasoning, bound: whole.bound },
    ))
}

/// Whose responses a caller's are.
fn app(worker: &Worker, cx: &Cx) -> AppName {
    let app = cx.caller.as_ref().and_then(|it| it.app()).cloned();
    app.unwrap_or_else(|| worker.gateway.local_app.clone())
}

async fn chain(
    worker: &Worker,
    app: &AppName,
    id: &str,
    limit: u64,
) -> Result<Vec<KeptResponse>, Failure> {
    let bounds = ChainBounds { responses: CHAIN_MAX, bytes: limit };
    let gateway = &worker.gateway;
    let found = gateway.responses.chain(app, id, gateway.now(), bounds).await;
    match found.map_err(|error| unavailable(&error))? {
        Chain::Whole(earlier) => Ok(earlier),
        Chain::Missing(missing) => {
            let shown = crate::resolve::shown(&missing);
            let message = if missing == id {
                format!("Previous response with id '{shown}' not found.")
            } else {
                format!(
                    "Previous response with id '{}' builds on '{shown}', which is not found.",
                    crate::resolve::shown(id)
                )
            };
            Err(Failure::new(&errors::PREVIOUS_RESPONSE_NOT_FOUND, message)
                .field("previous_response_id"))
        }
        Chain::TooLong => {
            Err(too_long(format!("the request builds on more than {CHAIN_MAX} responses")))
        }
        Chain::TooLarge => Err(too_long(format!(
            "the responses that the request builds on are larger than {} MiB",
            limit >> 20
        ))),
    }
}

fn too_long(message: String) -> Failure {
    Failure::new(&errors::CONVERSATION_TOO_LONG, message).field("previous_response_id")
}

/// What is kept can't be had.
fn unavailable(error: &KeptError) -> Failure {
    Failure::new(&errors::KEPT_UNAVAILABLE, error.to_string())
}

fn joined(
    asked: &Asked,
    body: &Bytes,
    earlier: &[KeptResponse],
) -> Result<dialect::openai_responses::kept::Whole, Failure> {
    let packed: Option<Vec<Packed<'_>>> = earlier.iter().map(|it| Packed::of(&it.text)).collect();
    let packed = packed.ok_or_else(damaged)?;
    let providers: Vec<String> = packed.iter().map(Packed::provider).collect();
    let turns = packed.iter().zip(&providers).map(|(it, provider)| it.turn(provider));
    Ok(asked.whole(body, &turns.collect::<Vec<_>>()))
}

fn damaged() -> Failure {
    Failure::new(&errors::KEPT_UNAVAILABLE, "what was kept of a response can't be read")
}

impl Keep {
    /// Begins to keep a response that ended; `provider` made it, `output` are its items where it doesn't have them.
    fn begin(
        &self,
        gateway: &Gateway,
        provider: &str,
        response: &[u8],
        output: Option<&[u8]>,
    ) -> Option<Pending<Keeping>> {
        self.told.kept?;
        let Some(id) = id_of(response) else {
            self.not_kept("it has no id");
            return None;
        };
        let text = pack(provider, &self.input, response, output);
        let Some(text) = text.filter(|text| text.len() as u64 <= self.one_max) else {
            self.not_kept("it is too large, or holds what no request may");
            return None;
        };
        let micros = i64::try_from(self.keep_for.as_micros()).unwrap_or(i64::MAX);
        let new = NewResponse {
            app: self.app.clone(),
            id,
            previous: self.told.previous.clone(),
            created_at: self.at,
            expires_at: gateway.now().plus_micros(micros),
            text,
        };
        Some(self.responses.keep(new, self.all_max))
    }

    /// Whether it was kept; what went wrong is in the log, and the client is told by the answer itself.
    fn ended(&self, result: Result<Keeping, KeptError>) -> bool {
        match result {
            Ok(Keeping::Done) => return true,
            Ok(Keeping::IdTaken) => self.not_kept("another response has its id"),
            Ok(Keeping::TooLarge) => self.not_kept("it is larger than `responses.max_size`"),
            Err(error) => self.not_kept(&error.to_string()),
        }
        false
    }

    fn not_kept(&self, why: &str) {
        tracing::warn!(request = %self.request, why, "a response is not kept");
    }

    /// Keeps a whole answer. What the client gets of it, and whether it was to be kept but isn't.
    pub async fn whole(
        &self,
        gateway: &Gateway,
        provider: &str,
        body: RespBody,
    ) -> (RespBody, bool) {
        let RespBody::Whole(pieces) = body else { return (body, false) };
        let response = match &pieces[..] {
            [only] => only.clone(),
            several => Bytes::from(several.concat()),
        };
        let said = state(&response, &self.told);
        let kept = match self.begin(gateway, provider, &said, None) {
            Some(pending) => self.ended(pending.await),
            None => false,
        };
        if kept || self.told.kept.is_none() {
            return (RespBody::one(said), false);
        }
        let told = Told { kept: Some(false), ..self.told.clone() };
        (RespBody::one(state(&response, &told)), true)
    }
}
