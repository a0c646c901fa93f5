//! accept: one request from its first byte to its answer; the steps of a request in their order.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::Disconnect;
use dialect::envelope;
use dialect::{AnswerContext, Dialect, DialectId, EmbeddingContext, FirstEvent, TeeOptions};
use domain::{Endpoint, Envelope, ErrorClass, Fate, OnLoss, RequestId, UnixMicros};
use flow::{Action, Attempt, Ended, Event, Flow, GiveUp};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use ledger::Candidate;
use policy::retry::Next;
use policy::{Claim, OfferIx, Plan};
use tokio::time::Instant;

use crate::admit;
use crate::body::RespBody;
use crate::dispatch::{self, Call, Fault, Reply};
use crate::ensemble::{self, Ensemble};
use crate::enveloped;
use crate::errors::{self, Failure};
use crate::fetch::{self, Files};
use crate::identify::{self, Caller, Identity, identify};
use crate::kept::{self, Keep, Streamed};
use crate::listen::headers as allowed;
use crate::listen::route::{self, Access, Action as RouteAction, Match, NoRoute};
use crate::listen::{BodyFault, Pace, ReqBody, read_body};
use crate::local;
use crate::lodged;
use crate::plan;
use crate::planted;
use crate::read::{self, Ask, Canonical};
use crate::realtime::{self, Handshake};
use crate::relay::{Pipe, Relay, RelayLimits, Translation, millis_since};
use crate::resolve::{self, Resolved};
use crate::settle::{Admission, Begun, Flight, IntentFacts};
use crate::snapshot::{Offer, Snapshot};
use crate::whole::{ANSWER_BYTES_MAX, read_whole};
use crate::worker::Worker;

/// Most bytes that are held of a stream before its first event is whole.
pub const FIRST_EVENT_BYTES_MAX: usize = 1 << 20;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const OUTRIGGER_REQUEST_ID: HeaderName = HeaderName::from_static("x-outrigger-request-id");

/// A request as far as it is known; grows from step to step.
pub struct Cx {
    /// Its id.
    pub id: RequestId,
    /// When it came in.
    pub at: UnixMicros,
    /// The same, to measure from.
    pub since: Instant,
    /// The configuration it runs under.
    pub snapshot: Arc<Snapshot>,
    /// The client's dialect.
    pub client: &'static dyn Dialect,
    /// What is around the client's request and its answer.
    pub envelope: Envelope,
    /// What is called.
    pub endpoint: Endpoint,
    /// Who calls, once known.
    pub caller: Option<Caller>,
    /// The model as asked, once read.
    pub model: Option<String>,
    /// Attempts begun.
    pub attempts: u32,
    /// What became of each offer, once nothing was sent to any: for the row of the refusal.
    pub candidates: Vec<Candidate>,
    /// How the answer is kept, if it is.
    pub keep: Option<Arc<Keep>>,
}

/// Serves one request of the data plane. Where a client that leaves does not cancel its attempt, the request runs as a
/// task of its own, which outlives the connection.
pub async fn handle(worker: Rc<Worker>, request: Request<ReqBody>) -> Response<RespBody> {
    let up_to = match worker.gateway.snapshot.load().on_client_disconnect() {
        // Boxed here and once: what hyper moves about is a pointer, not the whole request.
        Disconnect::Cancel => return Box::pin(answer(worker, request)).await,
        Disconnect::Drain => None,
        Disconnect::DrainUpTo(time) => Some(time),
    };
    Box::pin(outlive(worker, request, up_to)).await
}

/// Serves a request as a task of its own.
async fn outlive(
    worker: Rc<Worker>,
    request: Request<ReqBody>,
    up_to: Option<Duration>,
) -> Response<RespBody> {
    let mut task = Outliving { task: tokio::task::spawn_local(answer(worker, request)), up_to };
    match (&mut task.task).await {
        Ok(response) => response,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// A request's task that goes on when the connection is gone, for a while or to its end.
struct Outliving {
    task: tokio::task::JoinHandle<Response<RespBody>>,
    up_to: Option<Duration>,
}

impl Drop for Outliving {
    fn drop(&mut self) {
        if let (Some(time), false) = (self.up_to, self.task.is_finished()) {
            let abort = self.task.abort_handle();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(time).await;
                abort.abort();
            });
        }
    }
}

async fn answer(worker: Rc<Worker>, request: Request<ReqBody>) -> Response<RespBody> {
    let _alarm = PanicCount(&worker);
    let now = worker.gateway.now();
    let id = worker.request_id(now);
    let snapshot = worker.gateway.snapshot.load_full();
    let (parts, body) = request.into_parts();
    let found = route::find(&parts.method, parts.uri.path(), parts.uri.query());
    let speaks = match &found {
        Ok(found) => found.route.speaks,
        Err(_) => route::likely(parts.uri.path()),
    };
    let client = speaks.settle(&parts.headers, parts.uri.query());
    let mut cx = Cx {
        id,
        at: now,
        since: Instant::now(),
        snapshot,
        client: dialect::dialect(client),
        envelope: found.as_ref().map_or(Envelope::None, |found| found.route.envelope),
        endpoint: found.as_ref().map_or(Endpoint::Models, |found| endpoint(found.route.action)),
        caller: None,
        model: None,
        attempts: 0,
        candidates: Vec::new(),
        keep: None,
    };
    let host = parts.uri.authority().map(|it| it.as_str().to_owned());
    let result = match found {
        Ok(found) => serve(&worker, &mut cx, &found, &parts, host.as_deref(), body).await,
        Err(error) => Err(not_routed(parts.uri.path(), error)),
    };
    result.unwrap_or_else(|failure| refuse(&worker, &cx, &failure))
}

/// Counts a panic that passes through.
struct PanicCount<'a>(&'a Worker);

impl Drop for PanicCount<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.gateway.metrics.panics.inc();
        }
    }
}

fn endpoint(action: RouteAction) -> Endpoint {
    match action {
        RouteAction::Chat => Endpoint::Chat,
        RouteAction::CountTokens => Endpoint::CountTokens,
        RouteAction::Embeddings => Endpoint::Embeddings,
        RouteAction::Pass(endpoint) => endpoint,
        RouteAction::Files(_) => Endpoint::Files,
        RouteAction::Batches(_) => Endpoint::Batches,
        RouteAction::Realtime | RouteAction::ClientSecret => Endpoint::Realtime,
        _ => Endpoint::Models,
    }
}

async fn serve(
    worker: &Rc<Worker>,
    cx: &mut Cx,
    found: &Match<'_>,
    parts: &http::request::Parts,
    authority: Option<&str>,
    body: ReqBody,
) -> Result<Response<RespBody>, Failure> {
    let headers = &parts.headers;
    if found.route.access == Access::Open {
        return Ok(local::open(worker, found.route.action));
    }
    let required = cx.snapshot.config.auth.keys == config::KeyPolicy::Required;
    if !required {
        let host = authority.or_else(|| headers.get(http::header::HOST)?.to_str().ok());
        route::keyless_allowed(host, headers)
            .map_err(|why| Failure::new(&errors::ORIGIN_REFUSED, why))?;
    }
    let in_session = found.route.action == RouteAction::Realtime;
    let handshake = in_session.then(|| Handshake::read(parts)).transpose()?;
    // A key may stand where a client can't set headers: in the query, or in a session's subprotocols.
    let aside = handshake.as_ref().and_then(|it| it.key.as_deref());
    let aside = aside.or_else(|| route::query_key(parts.uri.query()));
    let identity = identify(headers, aside, &worker.gateway.keys.load(), required, cx.at)?;
    let mut body = Body::ToCome(body);
    let caller = match identity {
        Identity::Known(caller) => caller,
        Identity::Signed(signature) => {
            let whole = body.whole(cx, headers).await?;
            let keys = worker.gateway.keys.load();
            identify::verify(&signature, parts, authority, &whole, &keys, cx.at)?
        }
    };
    cx.caller = Some(caller);
    if let Some(answer) = local::answer(worker, cx, found)? {
        return Ok(answer);
    }
    if kept::routes::is_one(found.route.action) {
        let query = parts.uri.query().unwrap_or_default();
        return Box::pin(kept::routes::answer(worker, cx, found, query)).await;
    }
    if worker.gateway.is_draining() {
        return Err(Failure::new(&errors::DRAINING, "the gateway is shutting down"));
    }
    if let RouteAction::Files(deed) | RouteAction::Batches(deed) = found.route.action {
        let (id, body) = (found.id.as_deref(), body.whole(cx, headers).await?);
        planted::panic_at("read", headers);
        return Box::pin(lodged::serve(worker, cx, deed, id, parts.uri.query(), headers, body))
            .await;
    }
    let (ask, headers) = match &handshake {
        Some(handshake) => (realtime::ask(cx, handshake), Cow::Borrowed(headers)),
        None => asked(worker, cx, found, headers, &mut body).await?,
    };
    let headers: &HeaderMap = &headers;
    cx.model = Some(ask.peek.model.clone());
    let resolved = resolve::resolve(&cx.snapshot, cx.caller.as_ref(), &ask.peek.model)?;
    let files = Files::planned(&cx.snapshot.config.routing.fetch_urls);
    let mut canonical = Canonical { files, ..Canonical::default() };
    let planned = plan::plan(worker, cx, &ask, &resolved, headers, &mut canonical)?;
    canonical.files.end_plan();
    if headers.get("x-outrigger-dry-run").is_some_and(|value| value.as_bytes() == b"true") {
        return Ok(local::dry_run(worker, cx, &ask, &resolved, &planned));
    }
    let uncounted = planned.attempts.is_empty() && !plan::is_forbidden(&planned);
    if cx.endpoint == Endpoint::CountTokens && uncounted {
        return Ok(local::count_tokens(cx, &ask));
    }
    let run = Run {
        ask: &ask,
        headers,
        resolved: &resolved,
        planned: &planned,
        canonical,
        handshake,
        admission: None,
    };
    attempts(worker, cx, run).await
}

/// The request that a body holds, and its headers as its dialect's own vendor would get them.
async fn asked<'a>(
    worker: &Rc<Worker>,
    cx: &mut Cx,
    found: &'a Match<'_>,
    headers: &'a HeaderMap,
    body: &mut Body,
) -> Result<(Ask, Cow<'a, HeaderMap>), Failure> {
    let body = body.whole(cx, headers).await?;
    planted::panic_at("read", headers);
    let opened = enveloped::open(cx, body, headers, found.path_facts())?;
    let (body, past) = if kept::concerns(cx) {
        Box::pin(kept::open(worker, cx, opened.body)).await?
    } else {
        (opened.body, kept::Past::default())
    };
    let read = read::read(cx.client, cx.endpoint, body, &opened.headers, opened.path)?;
    Ok((Ask { past, ..read }, opened.headers))
}

/// A request's body: a signature wants it earlier than everything else does.
enum Body {
    ToCome(ReqBody),
    Here(Bytes),
}

impl Body {
    /// The whole body, read when it is first asked for.
    async fn whole(&mut self, cx: &Cx, headers: &HeaderMap) -> Result<Bytes, Failure> {
        let body = match std::mem::replace(self, Self::Here(Bytes::new())) {
            Self::Here(body) => body,
            Self::ToCome(body) => read_plain(body, cx, headers).await?,
        };
        *self = Self::Here(body.clone());
        Ok(body)
    }
}

async fn read_plain(body: ReqBody, cx: &Cx, headers: &HeaderMap) -> Result<Bytes, Failure> {
    if let Some(coding) = allowed::body_coding(headers) {
        let coding = coding.to_str().unwrap_or("unknown").to_owned();
        return Err(Failure::new(&errors::BODY_CODED, format!("the body is coded as `{coding}`")));
    }
    let limit = cx.snapshot.config.server.limits.body;
    read_body(body, limit, Pace::default()).await.map_err(|fault| body_fault(fault, limit))
}

fn body_fault(fault: BodyFault, limit: u64) -> Failure {
    match fault {
        BodyFault::TooLarge => Failure::new(
            &errors::BODY_TOO_LARGE,
            format!("the body is longer than {} MiB", limit >> 20),
        ),
        BodyFault::TooSlow => Failure::new(&errors::BODY_TIMEOUT, "the body came in too slowly"),
        BodyFault::Broken => Failure::new(&errors::BAD_JSON, "the body broke off before its end"),
    }
}

/// Everything the attempts of one request need.
pub struct Run<'a> {
    /// The request.
    pub ask: &'a Ask,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// What it was resolved to.
    pub resolved: &'a Resolved,
    /// What was considered.
    pub planned: &'a Plan,
    /// The request in no vendor's words.
    pub canonical: Canonical,
    /// How a session was asked for.
    pub handshake: Option<Handshake>,
    /// The request's place in the limits, between two attempts.
    pub admission: Option<Admission>,
}

impl Run<'_> {
    fn offer(&self, ix: OfferIx) -> Result<&Arc<Offer>, Failure> {
        let found = self.resolved.offers.iter().find(|(offer, _)| offer.ix == ix);
        found
            .map(|(offer, _)| offer)
            .ok_or_else(|| Failure::new(&errors::INTERNAL, "an offer out of range"))
    }
}

/// What the last attempt left behind, for the answer if no other is made.
struct Last {
    fault: Fault,
    claim: Claim,
    provider: String,
    /// The dialect that the provider said it in.
    said_in: DialectId,
}

/// Makes one attempt after the other until one brings an answer.
pub async fn attempts(
    worker: &Rc<Worker>,
    cx: &mut Cx,
    mut run: Run<'_>,
) -> Result<Response<RespBody>, Failure> {
    let (mut flow, mut action) = Flow::begin(&run.planned.attempts);
    let mut kept = Kept::default();
    let mut last: Option<Last> = None;
    loop {
        let attempt = match action {
            Action::Prepare(attempt) => attempt,
            Action::Fail(why) => {
                if last.is_none() {
                    cx.candidates = plan::candidates(run.planned, run.resolved);
                }
                return give_up(cx, &run, why, kept, last);
            }
            Action::Dispatch | Action::Relay | Action::Abort | Action::Done => {
                return Err(Failure::new(&errors::INTERNAL, "an action out of turn"));
            }
        };
        if attempt.wait_micros > 0 {
            tokio::time::sleep(Duration::from_micros(attempt.wait_micros)).await;
        }
        // Before the right to ask the offer: a probe of it must not wait for somebody else's server.
        if let Err(refused) = fetched(worker, cx, &mut run, &attempt).await {
            action = kept.next(refused, &mut flow);
            continue;
        }
        let Some(claim) = claim(worker, &attempt, last.as_ref()) else {
            action = flow.skip();
            continue;
        };
        cx.attempts = u32::from(attempt.number) + 1;
        action = match prepare(worker, cx, &mut run, attempt, claim).await {
            Ok((flight, beside, call)) => {
                flow.on(Event::Prepared, |_| Next::Stop);
                let flown = if beside.is_empty() {
                    fly(worker, cx, &run, flight, &call).await
                } else {
                    Box::pin(fly_together(worker, cx, &run, (flight, beside), &call)).await
                };
                match flown {
                    Ok(response) => return Ok(response),
                    Err((fault, admission)) => {
                        run.admission = admission;
                        let (class, hint) = (fault.fault.class, fault.fault.hint);
                        let provider = call.offer.provider.name.to_string();
                        let said_in = envelope::errors(call.envelope, call.dialect.id());
                        last = Some(Last { fault, claim, provider, said_in });
                        flow.on(Event::Failed { class, hint }, |failure| {
                            let now = worker.gateway.now();
                            worker.gateway.health().after_failure(
                                claim,
                                now,
                                failure,
                                worker.random.next(),
                            )
                        })
                    }
                }
            }
            Err(refused) => kept.next(refused, &mut flow),
        };
    }
}

/// Has what the offer needs inline, if that is at a URL and may be fetched.
async fn fetched(
    worker: &Worker,
    cx: &Cx,
    run: &mut Run<'_>,
    attempt: &Attempt<OfferIx>,
) -> Result<(), Refused> {
    if !cx.snapshot.config.routing.fetch_urls.is_allowed() {
        return Ok(());
    }
    let offer = Arc::clone(run.offer(attempt.offer).map_err(Refused::Failure)?);
    let is_admitted = run.admission.is_some();
    let request = (run.ask, run.resolved);
    // In a box of its own: what a future holds is copied with each future around it.
    let work =
        fetch::fetch(worker, cx, request, run.headers, &mut run.canonical, &offer, is_admitted);
    Box::pin(work).await
}

/// The right to ask the offer: taken anew for each offer, kept for a further try at the same one.
fn claim(worker: &Worker, attempt: &Attempt<OfferIx>, last: Option<&Last>) -> Option<Claim> {
    match (attempt.why, last) {
        (flow::Why::Retry, Some(last)) => Some(last.claim),
        _ => worker.gateway.health().claim(attempt.offer, worker.gateway.now()),
    }
}

/// Why an attempt could not be prepared.
pub enum Refused {
    /// The ledger can't be written.
    Ledger,
    /// A limit does not cover it.
    Limit(Failure),
    /// The request can't be written for this offer.
    Failure(Failure),
}

/// Why attempts could not be prepared, for the answer if none can.
#[derive(Default)]
struct Kept {
    denied: Option<Failure>,
    unwritable: Option<Failure>,
}

impl Kept {
    /// Keeps it; what is to be done next.
    fn next(&mut self, refused: Refused, flow: &mut Flow<'_, OfferIx>) -> Action<OfferIx> {
        match refused {
            Refused::Ledger => flow.on(Event::LedgerUnavailable, |_| Next::Stop),
            Refused::Limit(failure) => {
                self.denied = Some(failure);
                flow.on(Event::BudgetRefused, |_| Next::Stop)
            }
            // Another offer may carry it; a mistake of the client's none will.
            Refused::Failure(failure) => {
                self.unwritable = Some(failure);
                flow.skip()
            }
        }
    }
}

/// Writes the request, reserves its worst case and makes its intents durable: one, or one for each of several calls.
async fn prepare(
    worker: &Rc<Worker>,
    cx: &Cx,
    run: &mut Run<'_>,
    attempt: Attempt<OfferIx>,
    claim: Claim,
) -> Result<(Box<Flight>, Vec<Flight>, Box<Call>), Refused> {
    let prepared = prepare_now(worker, cx, run, attempt, claim);
    let (((flight, receipt), begun), call) = match prepared {
        Ok(ready) => ready,
        Err(refused) => {
            // Not asked after all: the right goes back without having taught anything.
            let now = worker.gateway.now();
            worker.gateway.health().observe(
                claim,
                now,
                Err(ErrorClass::None),
                domain::RateHint::default(),
            );
            return Err(refused);
        }
    };
    let durable = receipt.await.is_ok();
    let mut beside = Vec::with_capacity(begun.len());
    for (flight, receipt) in begun {
        beside.push((receipt.await.is_ok(), flight));
    }
    if durable && beside.iter().all(|(durable, _)| *durable) {
        return Ok((flight, beside.into_iter().map(|(_, flight)| flight).collect(), call));
    }
    for (durable, flight) in beside.into_iter().chain([(durable, *flight)]) {
        if durable { flight.never_sent() } else { flight.not_durable() }
    }
    Err(Refused::Ledger)
}

fn prepare_now(
    worker: &Rc<Worker>,
    cx: &Cx,
    run: &mut Run<'_>,
    attempt: Attempt<OfferIx>,
    claim: Claim,
) -> Result<(Begun, Box<Call>), Refused> {
    let offer = Arc::clone(run.offer(attempt.offer).map_err(Refused::Failure)?);
    let call = dispatch::prepare(run.ask, run.headers, &mut run.canonical, &offer, run.resolved)
        .map_err(Refused::Failure)?;
    if run.resolved.on_loss == OnLoss::Reject && call.losses.is_lossy() {
        // Planned without knowing what is in a file at a URL.
        let why = format!("{} would lose {}", offer.id, call.losses);
        return Err(Refused::Failure(Failure::new(&errors::FEATURE_NOT_PORTABLE, why)));
    }
    let now = worker.gateway.now();
    let bound = admit::bound(run.ask, &call.offer, call.max_output, now);
    let bound = bound.map_err(|error| Refused::Failure(admit::unrecordable(error)))?;
    let facts = IntentFacts {
        ask: run.ask,
        resolved: run.resolved,
        planned: run.planned,
        call: &call,
        bound: bound.of_call(call.calls),
        attempt,
        claim,
    };
    match Flight::begin(worker, cx, &facts, run.admission.take()) {
        Ok(begun) => Ok((begun, call)),
        Err((failure, admission)) => {
            run.admission = admission;
            Err(Refused::Limit(failure))
        }
    }
}

/// The client's answer, or what failed before anything went out and the request's place in the limits.
pub type Flown = Result<Response<RespBody>, (Fault, Option<Admission>)>;

/// Sends an attempt and turns its answer into the client's, or says what failed before anything went out.
async fn fly(
    worker: &Rc<Worker>,
    cx: &Cx,
    run: &Run<'_>,
    mut flight: Box<Flight>,
    call: &Call,
) -> Flown {
    if run.ask.endpoint == Endpoint::Realtime {
        return Box::pin(realtime::open(worker, cx, run, flight, call)).await;
    }
    flight.dispatched();
    planted::panic_at("dispatch", run.headers);
    let total_at = Instant::now() + call.offer.provider.total;
    // In a box of its own: what a future holds is copied with each future around it.
    let reply = match Box::pin(dispatch::send(worker, call)).await {
        Ok(reply) => reply,
        Err(fault) => return Err(failed(flight, fault)),
    };
    flight.head(&reply);
    planted::panic_at("answer", run.headers);
    if run.ask.is_streamed_by(&reply.headers) {
        Box::pin(streamed(cx, run, flight, call, reply, total_at)).await
    } else {
        whole(cx, run, flight, call, reply, total_at).await
    }
}

/// Several calls for one request: `n` answers from a provider that gives one a call.
async fn fly_together(
    worker: &Rc<Worker>,
    cx: &Cx,
    run: &Run<'_>,
    (first, beside): (Box<Flight>, Vec<Flight>),
    call: &Call,
) -> Flown {
    let mut flights = vec![*first];
    flights.extend(beside);
    let Some(exchange) = &run.canonical.chat else {
        flights.into_iter().for_each(Flight::never_sent);
        let why = "several calls without a translation";
        return Err((Fault::silent(ErrorClass::Internal, false, why), None));
    };
    let request_id = cx.id.to_string();
    let model = call.offer.id.model().as_str();
    let context =
        AnswerContext { request_id: &request_id, created: cx.at, model, took_ms: 0, exchange };
    let mut headers = HeaderMap::with_capacity(16);
    let body = if run.ask.peek.stream {
        let writer = cx.client.stream_writer(&context);
        let linger = cx.snapshot.on_client_disconnect();
        let client = (cx.client, cx.since);
        let begun = Ensemble::begin(worker, call, flights, writer, client, linger).await?;
        headers.insert(CONTENT_TYPE, stream_type(cx, run));
        RespBody::Ensemble(Box::new(begun))
    } else {
        let (answer, cost) = ensemble::whole(worker, call, flights).await?;
        headers.insert(CONTENT_TYPE, JSON);
        if let Some(cost) = cost {
            insert(&mut headers, "x-outrigger-cost", &cost.to_string());
        }
        let context = AnswerContext { took_ms: millis_since(cx.since), ..context };
        RespBody::one(cx.client.write_answer(&answer, &context))
    };
    offer_headers(cx, call, &mut headers);
    Ok(respond(StatusCode::OK, headers, body))
}

/// A whole answer: held until it is complete and settled, so that it is delivered whole or not at all.
async fn whole(
    cx: &Cx,
    run: &Run<'_>,
    mut flight: Box<Flight>,
    call: &Call,
    mut reply: Reply,
    total_at: Instant,
) -> Flown {
    let tee = tee(run, call, TeeOptions::default());
    let (pieces, seen) = match read_whole(call, tee, &mut flight, &mut reply, total_at).await {
        Ok(read) => read,
        Err(fault) => return Err(failed(flight, fault)),
    };
    let body = match translated_answer(cx, run, call, &pieces) {
        Ok(Some(body)) => RespBody::one(body),
        Ok(None) if run.ask.endpoint == Endpoint::CountTokens => {
            RespBody::one(enveloped::count(cx, pieces.concat()))
        }
        Ok(None) => RespBody::Whole(pieces),
        Err(why) => {
            flight.broke_off(seen);
            return Err(failed(flight, Fault::silent(ErrorClass::BadResponse, true, why)));
        }
    };
    let cost = flight.cost_of(&seen);
    let settled = flight.settle(Ended::Whole, &seen);
    let mut headers = answer_headers(cx, call, &reply.headers, JSON);
    if let Some(cost) = cost {
        insert(&mut headers, "x-outrigger-cost", &cost.to_string());
    }
    let body = match &cx.keep {
        Some(keep) => {
            let provider = call.offer.provider.name.as_str();
            let kept = keep.whole(flight.gateway(), provider, body);
            let (body, lost) = Box::pin(kept).await;
            if lost {
                let mut losses = call.losses.clone();
                losses.note("store", Fate::Dropped, "the response could not be kept");
                insert(&mut headers, "x-outrigger-loss", &losses.to_string());
            }
            body
        }
        None => body,
    };
    if settled.await.is_err() {
        // It is kept and will be written, but not before the client could take the answer for acknowledged.
        return Err((
            Fault::silent(ErrorClass::Internal, true, "the ledger can't be written"),
            None,
        ));
    }
    Ok(respond(reply.status, headers, body))
}

fn translated_answer(
    cx: &Cx,
    run: &Run<'_>,
    call: &Call,
    pieces: &[Bytes],
) -> Result<Option<Vec<u8>>, String> {
    if !call.translated {
        return Ok(None);
    }
    let joined;
    let body: &[u8] = match pieces {
        [only] => only,
        several => {
            joined = several.concat();
            &joined
        }
    };
    let request_id = cx.id.to_string();
    let model = call.offer.id.model().as_str();
    if let Some(exchange) = &run.canonical.chat {
        let answer = call.read_answer(body).map_err(|bad| bad.to_string())?;
        let context = AnswerContext {
            request_id: &request_id,
            created: cx.at,
            model,
            took_ms: millis_since(cx.since),
            exchange,
        };
        return Ok(Some(cx.client.write_answer(&answer, &context)));
    }
    let parts = (&run.canonical.embedding, call.dialect.embeddings(), cx.client.embeddings());
    let (Some(request), Some(reader), Some(writer)) = parts else {
        return Err("an answer to nothing".to_owned());
    };
    let answer = reader.read_answer(body).map_err(|bad| bad.to_string())?;
    answer.check(request).map_err(|bad| bad.to_string())?;
    let context = EmbeddingContext { request_id: &request_id, model, request };
    Ok(Some(writer.write_answer(&answer, &context)))
}

fn tee(run: &Run<'_>, call: &Call, options: TeeOptions) -> Box<dyn dialect::Tee> {
    if run.ask.endpoint.is_bound() {
        return dialect::batches::tee();
    }
    call.dialect.tee(run.ask.endpoint, options)
}

/// A stream: held only until its first event tells that it is an answer and no error.
async fn streamed(
    cx: &Cx,
    run: &Run<'_>,
    mut flight: Box<Flight>,
    call: &Call,
    mut reply: Reply,
    total_at: Instant,
) -> Flown {
    let provider = &call.offer.provider;
    let options = TeeOptions {
        streamed: true,
        form: run.ask.peek.stream_form,
        strip_usage_chunk: call.strip_usage,
    };
    let tee = tee(run, call, options);
    // One picture is one event.
    let held_max =
        if run.ask.endpoint.is_passed_on() { ANSWER_BYTES_MAX } else { FIRST_EVENT_BYTES_MAX };
    let translation = run.canonical.chat.as_ref().filter(|_| call.translated).map(|exchange| {
        let request_id = cx.id.to_string();
        let context = AnswerContext {
            request_id: &request_id,
            created: cx.at,
            model: call.offer.id.model().as_str(),
            took_ms: 0,
            exchange,
        };
        Translation::new(call.stream_reader(), cx.client.stream_writer(&context), cx.since)
    });
    let mut pipe = Pipe::new(tee, translation).into_envelope(cx.envelope);
    if let Some(keep) = &cx.keep {
        pipe = pipe.kept(Streamed::new(keep, flight.gateway(), provider.name.as_str()));
    }
    let mut ready: VecDeque<Bytes> = VecDeque::new();
    let mut held = 0;
    let fault = loop {
        let due = (Instant::now() + provider.deadlines.first_byte).min(total_at);
        match tokio::time::timeout_at(due, reply.source.data()).await {
            Ok(Some(Ok(chunk))) => {
                flight.arrived(&chunk);
                held += chunk.len();
                if let Err(why) = pipe.feed(chunk, &mut ready) {
                    break Fault::silent(ErrorClass::BadResponse, true, why);
                }
                match pipe.first() {
                    FirstEvent::Good => {}
                    FirstEvent::Error(fault) => {
                        break Fault {
                            fault,
                            sent: true,
                            status: reply.status.as_u16(),
                            raw: None,
                        };
                    }
                    FirstEvent::Pending if held > held_max => {
                        break Fault::silent(
                            ErrorClass::BadResponse,
                            true,
                            "the first event has no end",
                        );
                    }
                    FirstEvent::Pending => continue,
                }
                let limits = RelayLimits { idle: provider.idle, total_at };
                let mut headers = answer_headers(cx, call, &reply.headers, stream_type(cx, run));
                enveloped::stream_head(cx, &mut headers);
                let linger = cx.snapshot.on_client_disconnect();
                let client = enveloped::errors(cx);
                let relay = Relay::new(reply.source, pipe, ready, limits, flight, client, linger);
                return Ok(respond(reply.status, headers, RespBody::Stream(Box::new(relay))));
            }
            Ok(Some(Err(error))) => break Fault::silent(error.class, true, error.message),
            Ok(None) => {
                break Fault::silent(
                    ErrorClass::BadResponse,
                    true,
                    "the stream ended before its first event",
                );
            }
            Err(_) => break Fault::silent(ErrorClass::Timeout, true, "no first event in time"),
        }
    };
    Err(failed(flight, fault))
}

/// Settles a failed attempt and gives the request's place in the limits back.
pub fn failed(flight: Box<Flight>, fault: Fault) -> (Fault, Option<Admission>) {
    let admission = flight.settle_fault(&fault);
    (fault, admission)
}

/// The content type of a stream as the client asked for it.
fn stream_type(cx: &Cx, run: &Run<'_>) -> HeaderValue {
    HeaderValue::from_static(cx.client.stream_media_type(run.ask.peek.stream_form))
}

/// The head of an answer; `written` is the content type of one that we write.
fn answer_headers(cx: &Cx, call: &Call, upstream: &HeaderMap, written: HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(16);
    allowed::to_client(upstream, &mut headers);
    if call.translated {
        headers.insert(CONTENT_TYPE, written);
    }
    offer_headers(cx, call, &mut headers);
    headers
}

/// Who served, and what was lost on the way.
pub fn offer_headers(cx: &Cx, call: &Call, headers: &mut HeaderMap) {
    own_headers(cx, headers);
    headers.insert(HeaderName::from_static("x-outrigger-offer"), call.offer.header.clone());
    if !call.losses.is_empty() {
        insert(headers, "x-outrigger-loss", &call.losses.to_string());
    }
}

/// The headers that every answer bears.
pub fn own_headers(cx: &Cx, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_bytes(&cx.id.ascii()) {
        for name in [X_REQUEST_ID, REQUEST_ID, OUTRIGGER_REQUEST_ID] {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(HeaderName::from_static("x-outrigger-attempts"), HeaderValue::from(cx.attempts));
}

/// Sets a header whose value we made; one that can't be sent is left out.
pub fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// A response of these parts.
pub fn respond(status: StatusCode, headers: HeaderMap, body: RespBody) -> Response<RespBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn give_up(
    cx: &Cx,
    run: &Run<'_>,
    why: GiveUp,
    kept: Kept,
    last: Option<Last>,
) -> Result<Response<RespBody>, Failure> {
    match why {
        GiveUp::NoCandidate if last.is_none() => Err(kept
            .unwritable
            .unwrap_or_else(|| plan::no_candidate(cx, run.resolved, run.planned))),
        GiveUp::Budget if last.is_none() => Err(kept.denied.unwrap_or_else(|| {
            Failure::new(&errors::BUDGET_EXCEEDED, "a budget does not cover this request")
        })),
        GiveUp::LedgerUnavailable => Err(Failure::new(
            &errors::LEDGER_UNAVAILABLE,
            "the ledger can't be written, so nothing was sent",
        )),
        GiveUp::NoCandidate | GiveUp::Budget | GiveUp::Fault { .. } => {
            let Some(last) = last else {
                return Err(Failure::new(&errors::INTERNAL, "an attempt failed without a trace"));
            };
            Ok(own_words(cx, &last.fault, last.said_in).unwrap_or_else(|| {
                let fault = &last.fault.fault;
                let failure = Failure::upstream(
                    fault.class,
                    fault.hint,
                    &last.provider,
                    cx.attempts,
                    &fault.message,
                );
                refuse_attempted(cx, &failure)
            }))
        }
    }
}

/// On a same-dialect route a provider's error keeps its status and its body, if that has the dialect's shape. Errors about
/// *our* credential are the exception: the client's SDK would take them for its own.
pub fn own_words(cx: &Cx, fault: &Fault, said_in: DialectId) -> Option<Response<RespBody>> {
    let (headers, body) = fault.raw.as_ref()?;
    let ours = matches!(fault.fault.class, ErrorClass::Auth | ErrorClass::Quota);
    let client = enveloped::errors(cx);
    if said_in != client.id() || ours || !client.is_own_error(body) {
        return None;
    }
    let status = StatusCode::from_u16(fault.status).ok()?;
    if !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let json =
        headers.get(CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"application/json"));
    if !json {
        return None;
    }
    let mut out = HeaderMap::new();
    allowed::to_client(headers, &mut out);
    if let Some(value) = headers.get("x-should-retry") {
        out.insert(HeaderName::from_static("x-should-retry"), value.clone());
    }
    own_headers(cx, &mut out);
    Some(respond(status, out, RespBody::one(body.clone())))
}

/// The error answer of a request that no attempt was made for; the ledger gets a row.
fn refuse(worker: &Worker, cx: &Cx, failure: &Failure) -> Response<RespBody> {
    worker.gateway.refused(cx, failure);
    refuse_attempted(cx, failure)
}

/// The error answer of a request whose attempts have rows of their own.
pub fn refuse_attempted(cx: &Cx, failure: &Failure) -> Response<RespBody> {
    let request_id = cx.id.to_string();
    let error = failure.as_client_error(&request_id);
    let client = enveloped::errors(cx);
    let body = client.render_error(&error);
    let status = client.error_status(&error);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, JSON);
    for (name, value) in client.error_headers(&error) {
        insert(&mut headers, name, &value);
    }
    insert(&mut headers, "x-should-retry", if failure.kind.retry { "true" } else { "false" });
    if let Some(millis) = failure.retry_after_ms {
        insert(&mut headers, "retry-after-ms", &millis.to_string());
        headers.insert(RETRY_AFTER, HeaderValue::from(millis.div_ceil(1_000)));
    }
    own_headers(cx, &mut headers);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, headers, RespBody::one(body))
}

fn not_routed(path: &str, error: NoRoute) -> Failure {
    match error {
        NoRoute::Malformed(why) => Failure::new(&errors::BAD_PATH, why),
        NoRoute::Query => Failure::new(&errors::BAD_PATH, "this route takes no such query"),
        NoRoute::WrongMethod { allow } => {
            Failure::new(&errors::METHOD_NOT_ALLOWED, format!("this path is served for {allow}"))
        }
        NoRoute::Unknown { nearest } => Failure::new(
            &errors::ROUTE_NOT_FOUND,
            format!("there is no `{}`", resolve::shown(path)),
        )
        .fix(format!("The nearest route is `{nearest}`.")),
    }
}
