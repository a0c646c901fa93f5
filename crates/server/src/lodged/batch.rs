//! A batch made: its worst case is reserved, at the price of batches, for as long as it may run.
//!
//! Once reserved, it is made by a task of its own: a client that leaves does not stop what the provider may have begun.
//! What is then not known of it (the answer was lost, the process died) is charged as reserved, at once or at the
//! deadline.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use dialect::DialectId;
use domain::{ErrorClass, Money, OutcomeClass, RequestId, Usage, UsageQuality};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use ledger::{Amount, AttemptKey, Marks, Record};
use limits::{Ask as LimitsAsk, Scope};
use serde_json::{Value, json};
use store::{Binding, KeptError, Receipt, Thing};
use tokio::time::Instant;

use super::at::{self, Place};
use super::measure::{self, Measured};
use super::open::{Lies, Running};
use super::row::{self, Bill};
use super::{BATCH_KNOWN_MICROS, app, find, local, unavailable};
use crate::accept::{self, Cx, insert, own_headers, respond};
use crate::admit;
use crate::body::RespBody;
use crate::dispatch::{self, Call, Fault, Reply};
use crate::errors::{self, Failure};
use crate::listen::headers as allowed;
use crate::plan;
use crate::read::{self, Canonical, Way};
use crate::settle;
use crate::worker::Worker;

/// How long a batch may run (24 hours, at OpenAI and at Anthropic), with time for its results to be put together.
const DEADLINE_MICROS: i64 = 26 * 3_600 * 1_000_000;
/// Most bytes of what is said of a batch.
pub(super) const SAID_MAX: usize = 1 << 20;

/// The attempt whose row is that of the batch of such a note.
pub(super) fn key_of(note: &str) -> Option<AttemptKey> {
    let note: Value = serde_json::from_str(note).ok()?;
    let request = RequestId::parse(note.get("request")?.as_str()?).ok()?;
    Some(AttemptKey { request, call: 0, attempt: 0 })
}

/// What its requests may use, from there.
pub(super) fn measured_of(note: &str) -> Option<Measured> {
    let note: Value = serde_json::from_str(note).ok()?;
    Measured::of(note.get("measured")?)
}

/// Makes a batch.
pub(super) async fn create(
    worker: &Rc<Worker>,
    cx: &mut Cx,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<RespBody>, Failure> {
    let (place, measured) = if cx.client.id() == DialectId::AnthropicMessages {
        let place = at::choose(cx, headers)?;
        let measured = measure::inline(cx, &place, &body).await?;
        (place, measured)
    } else {
        uploaded(worker, cx, &body).await?
    };
    cx.model = Some(measured.model.clone());
    let internal = || Failure::new(&errors::INTERNAL, "a batch of no offer");
    let offer = measured.offer(&cx.snapshot, &place.provider.name).ok_or_else(internal)?;
    let name = at::asked_as(cx, &place.provider, Some(&offer)).ok_or_else(|| {
        let message = format!("this key may not use `{}`", offer.id);
        Failure::new(&errors::MODEL_NOT_ALLOWED, message).field("model")
    })?;
    let resolved = at::resolved(&cx.snapshot, offer, name);
    let path = super::batches(cx.client.id()).to_owned();
    let way = Way { method: Method::POST, path, key: place.key };
    let ask = at::ask(cx.client, cx.endpoint, way, headers, body, false);
    let mut canonical = Canonical::default();
    let planned = plan::plan(worker, cx, &ask, &resolved, headers, &mut canonical)?;
    let Some((offer, _)) = resolved.offers.first().filter(|_| !planned.attempts.is_empty()) else {
        cx.candidates = plan::candidates(&planned, &resolved);
        return Err(plan::no_candidate(cx, &resolved, &planned));
    };
    let call = dispatch::prepare(&ask, headers, &mut canonical, offer, &resolved)?;

    let (running, charges) = reserve(worker, cx, &call, &measured, &resolved)?;
    let intent = row::intent(
        &worker.gateway,
        cx,
        &running,
        offer,
        &measured,
        (&resolved, &planned),
        charges,
    );
    let key = running.key;
    worker.gateway.batches.insert(running, worker.gateway.now());
    let receipt = worker.gateway.ledger.append(&Record::Intent(Box::new(intent)));
    let lies = Lies {
        id: String::new(),
        app: app(worker, cx),
        provider: place.provider.name.clone(),
        client: cx.client.id(),
        credential: place.key,
        measured,
    };
    cx.attempts = 1;
    let said_in = call.dialect.id();
    let offer_header = call.offer.header.clone();
    let making = make(Rc::clone(worker), key, receipt, call, lies);
    match tokio::task::spawn_local(making).await {
        Ok(Ok(made)) => {
            let mut out = HeaderMap::new();
            allowed::to_client(&made.headers, &mut out);
            out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            own_headers(cx, &mut out);
            out.insert("x-outrigger-offer", offer_header);
            insert(&mut out, "x-outrigger-reserved", &made.reserved.to_string());
            Ok(respond(made.status, out, RespBody::one(made.said)))
        }
        Ok(Err(NotMade::Ledger)) => Err(Failure::new(
            &errors::LEDGER_UNAVAILABLE,
            "the ledger can't be written, so nothing was sent",
        )),
        Ok(Err(NotMade::Unkept(error))) => Ok(accept::refuse_attempted(cx, &unavailable(&error))),
        Ok(Err(NotMade::Fault(fault))) => Ok(accept::own_words(cx, &fault, said_in)
            .unwrap_or_else(|| {
                let provider = place.provider.name.as_str();
                let (class, hint) = (fault.fault.class, fault.fault.hint);
                let failure = Failure::upstream(class, hint, provider, 1, &fault.fault.message);
                accept::refuse_attempted(cx, &failure)
            })),
        Err(_) => Err(Failure::new(&errors::INTERNAL, "the making of a batch broke off")),
    }
}

/// The input file that a body names: where it lies, and what was measured of it when it was uploaded.
async fn uploaded(worker: &Worker, cx: &Cx, body: &Bytes) -> Result<(Place, Measured), Failure> {
    let limits = dialect::gate::GateLimits::default();
    dialect::gate::scan(body, limits).map_err(|error| read::refused(&error))?;
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let wrong = |field: &str, message: String| {
        Failure::new(&errors::BAD_FIELD, message).field(field.to_owned())
    };
    let file = text("input_file_id")
        .ok_or_else(|| wrong("input_file_id", "`input_file_id` is missing".to_owned()))?;
    let binding = find(worker, cx, Thing::File, file).await?;
    let note: Value = serde_json::from_str(&binding.note).unwrap_or_default();
    let measured = Measured::of(&note).ok_or_else(|| {
        let message = format!("`{file}` was not uploaded with the purpose `batch`");
        wrong("input_file_id", message)
    })?;
    if text("endpoint") != Some(measured.url.as_str()) {
        let message = format!("the requests in `{file}` are for `{}`", measured.url);
        return Err(wrong("endpoint", message));
    }
    Ok((at::of(cx, &binding)?, measured))
}

/// Holds the worst case of all its requests.
fn reserve(
    worker: &Worker,
    cx: &Cx,
    call: &Call,
    measured: &Measured,
    resolved: &crate::resolve::Resolved,
) -> Result<(Running, Vec<ledger::Charge>), Failure> {
    let gateway = &worker.gateway;
    let now = gateway.now();
    let deadline = now.plus_micros(DEADLINE_MICROS);
    let offer = &call.offer;
    let money = measured.worst_case(offer, (now, deadline)).map_err(|error| {
        let message = format!("the worst case of this batch can't be recorded: {error}");
        Failure::new(&errors::BAD_FIELD, message)
    })?;
    let free = || super::end::price(offer, now).is_some_and(admit::free).then_some(Money::ZERO);
    let money = money.or_else(free);
    let bound = measured.tokens.output.map(|output| measured.tokens.input.saturating_add(output));
    let ask =
        LimitsAsk { money, tokens: bound, requests: 1, unpriced: gateway.unpriced(&cx.snapshot) };
    let scope =
        Scope { provider: Some(offer.id.provider()), ..plan::scope(cx.caller.as_ref(), resolved) };
    let (ticket, charges) = {
        let mut limits = gateway.limits();
        let ticket = limits.admit_lasting(now, &scope, &ask);
        let ticket = ticket.map_err(|denied| plan::denied(&denied))?;
        let charges = limits.charges(&ticket, 0).map(settle::charge).collect();
        (ticket, charges)
    };
    let running = Running {
        key: AttemptKey { request: cx.id, call: 0, attempt: 0 },
        offer: offer.id.clone(),
        reserved: Amount {
            money: money.unwrap_or(Money::ZERO),
            tokens: bound.unwrap_or(measured.tokens.input),
            requests: 1,
        },
        marks: Marks { unpriced: money.is_none(), ..Marks::default() },
        dispatched_at: now,
        deadline,
        ticket: Some(ticket),
        lies: None,
    };
    Ok((running, charges))
}

/// A batch as the provider made it.
struct Made {
    status: StatusCode,
    headers: HeaderMap,
    said: Vec<u8>,
    reserved: Money,
}

/// Why none was made, as far as is known.
enum NotMade {
    Ledger,
    Fault(Fault),
    Unkept(KeptError),
}

/// Asks the provider for it once its row is durable, and keeps where it lies before anybody is told.
async fn make(
    worker: Rc<Worker>,
    key: AttemptKey,
    receipt: Receipt,
    call: Box<Call>,
    lies: Lies,
) -> Result<Made, NotMade> {
    let gateway = &worker.gateway;
    if receipt.await.is_err() {
        // Should the intent be on disk after all, the ledger writes it off by itself.
        if let Some(ticket) = gateway.batches.take(key).and_then(|running| running.ticket) {
            gateway.limits().cancel(ticket);
        }
        gateway.batches.forget(key);
        return Err(NotMade::Ledger);
    }
    let (idle, total) = (call.offer.provider.idle, call.offer.provider.total);
    let answered = async {
        let mut reply = Box::pin(dispatch::send(&worker, &call)).await?;
        let said = collect(&mut reply, idle, Instant::now() + total, SAID_MAX).await?;
        let state = dialect::batches::batch_state(&said, lies.client).ok_or_else(|| {
            Fault::silent(ErrorClass::BadResponse, true, "the answer is no batch")
        })?;
        Ok((reply, said, state))
    };
    let (reply, said, state) = match answered.await {
        Ok(answered) => answered,
        Err(fault) => {
            not_made(gateway, key, &fault).await;
            return Err(NotMade::Fault(fault));
        }
    };
    let said = local(lies.client, said);
    let now = gateway.now();
    let lies = Lies { id: state.id.clone(), ..lies };
    let binding = Binding {
        thing: Thing::Batch,
        app: lies.app.clone(),
        id: state.id.clone(),
        provider: lies.provider.to_string(),
        dialect: lies.client.as_str().to_owned(),
        credential: lies.credential,
        purpose: "batch".to_owned(),
        made_at: now,
        ends_at: now.plus_micros(BATCH_KNOWN_MICROS),
        said: String::from_utf8_lossy(&said).into_owned(),
        note: json!({"request": key.request.to_string(), "measured": lies.measured.json()})
            .to_string(),
    };
    gateway.batches.lies(key, lies);
    let reserved = gateway.batches.reserved(key);
    gateway.bindings.put(binding).await.map_err(NotMade::Unkept)?;
    Ok(Made { status: reply.status, headers: reply.headers, said, reserved })
}

/// Closes the row of a batch that was not made: nothing is owed for a refusal; where the answer was lost, it may run.
async fn not_made(gateway: &crate::gateway::Gateway, key: AttemptKey, fault: &Fault) {
    let Some(running) = gateway.batches.take(key) else { return };
    let class = fault.fault.class;
    let lost = fault.sent && fault.status == 0;
    let bill = Bill {
        outcome: OutcomeClass::Failed,
        error: class,
        usage: if lost { super::end::all_of(&running) } else { Usage::default() },
        quality: if lost { UsageQuality::Bounded } else { UsageQuality::Counted },
        cost: if lost { super::end::cost_of_all(&running) } else { Some(Money::ZERO) },
        price_version: None,
        finish: None,
        status: fault.status,
    };
    row::close(gateway, running, bill).await;
}

/// Reads an answer to its end.
pub(super) async fn collect(
    reply: &mut Reply,
    idle: Duration,
    total_at: Instant,
    most: usize,
) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    loop {
        let due = (Instant::now() + idle).min(total_at);
        match tokio::time::timeout_at(due, reply.source.data()).await {
            Ok(Some(Ok(chunk))) => {
                body.extend_from_slice(&chunk);
                if body.len() > most {
                    let why = "the answer is longer than one of its kind";
                    return Err(Fault::silent(ErrorClass::BadResponse, true, why));
                }
            }
            Ok(Some(Err(error))) => return Err(Fault::silent(error.class, true, error.message)),
            Ok(None) => return Ok(body),
            Err(_) => {
                return Err(Fault::silent(ErrorClass::Timeout, true, "the answer took too long"));
            }
        }
    }
}
