//! settle: an attempt's account, from its intent to its settlement.
//!
//! A [`Flight`] that is dropped without having been settled settles itself: as left by the client, or as our own fault
//! when a panic unwinds. So no path through the code, present or future, can lose an attempt.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use catalog::PriceSheet;
use dialect::Seen;
use domain::{
    AppName, Endpoint, ErrorClass, Money, OutcomeClass, RateHint, RequestId, UnixMicros, Usage,
    UsageQuality,
};
use flow::{Attempt, Ended, Evidence, Verdict, Why};
use ledger::{Amount, AttemptKey, Intent, Marks, Record, Settlement};
use limits::{Actual, Ask as LimitsAsk, Scope, Ticket};
use policy::{Claim, OfferIx, Plan};
use store::Receipt;
use telemetry::metrics::Sample;

use crate::accept::Cx;
use crate::admit::{self, Bound};
use crate::dispatch::{Call, Fault, Reply};
use crate::errors::{self, Failure};
use crate::gateway::Gateway;
use crate::plan;
use crate::read::Ask;
use crate::realtime;
use crate::resolve::Resolved;
use crate::snapshot::Offer;
use crate::worker::Worker;

mod series;

pub use series::Series;

/// Time beyond the provider's own limit after which a reservation that is still open is a fault.
const DEADLINE_SLACK_MICROS: i64 = 60_000_000;

/// What an intent is written from.
pub struct IntentFacts<'a> {
    /// The request as read.
    pub ask: &'a Ask,
    /// What it was resolved to.
    pub resolved: &'a Resolved,
    /// What was considered.
    pub planned: &'a Plan,
    /// The attempt as written.
    pub call: &'a Call,
    /// The worst case of each of its calls.
    pub bound: Bound,
    /// Which attempt, and why.
    pub attempt: Attempt<OfferIx>,
    /// The right to ask the offer.
    pub claim: Claim,
}

/// A request's place in the limits; given back when dropped.
pub struct Admission {
    gateway: Arc<Gateway>,
    ticket: Option<Ticket>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // Every attempt was settled by its flight; what is left are places.
            self.gateway.limits().finish(ticket, &Actual::NOTHING);
        }
    }
}

/// Resolves when a settlement is durable.
pub struct Settled(Option<Receipt>);

impl Settled {
    /// Nothing to wait for.
    pub const NOTHING: Self = Self(None);
}

impl Future for Settled {
    type Output = Result<(), store::LedgerUnavailable>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Some(receipt) => Pin::new(receipt).poll(context).map(|result| result.map(|_| ())),
            None => Poll::Ready(Ok(())),
        }
    }
}

/// One attempt under way.
pub struct Flight {
    gateway: Arc<Gateway>,
    offer: Arc<Offer>,
    admission: Option<Admission>,
    id: AttemptKey,
    limit_attempt: u16,
    marks: Marks,
    bound: Bound,
    reserved: Amount,
    input_bytes: u64,
    admitted_at: UnixMicros,
    dispatched_at: Option<UnixMicros>,
    first_byte_at: Option<UnixMicros>,
    /// Whether the answer comes in one piece, no stream.
    whole: bool,
    /// Whether nothing but the provider's word tells what an answer used: pictures and voices.
    opaque: bool,
    /// Whether it is a turn of a session, in which sound is the rule.
    by_voice: bool,
    /// Bytes of the answer so far.
    received: u64,
    /// What was read of an answer that broke off.
    seen: Option<Box<Seen>>,
    status: u16,
    upstream_id: Option<String>,
    claim: Claim,
    hint: RateHint,
    settled: bool,
    streaming: bool,
    /// The intent, kept where further calls follow.
    intent: Option<Box<Intent>>,
    /// Whether it counts as the client where clients are counted: one of several calls does.
    counts: bool,
}

/// What a call holds.
struct Held {
    admission: Admission,
    limit_attempt: u16,
    charges: Vec<ledger::Charge>,
}

/// The first call of an attempt and those beside it, each with what resolves once its intent is durable. The first is
/// boxed: it is handed on from step to step, and a future has room for everything that was ever moved through it.
pub type Begun = ((Box<Flight>, Receipt), Vec<(Flight, Receipt)>);

impl Flight {
    /// Reserves the worst case of all calls of an attempt, or nothing, and hands their intents to the ledger. The
    /// attempt may leave once every receipt has resolved.
    pub fn begin(
        worker: &Worker,
        cx: &Cx,
        facts: &IntentFacts<'_>,
        admission: Option<Admission>,
    ) -> Result<Begun, (Failure, Option<Admission>)> {
        let gateway = &worker.gateway;
        let now = gateway.now();
        let (bound, calls) = (facts.bound, facts.call.calls);
        let tokens = bound.tokens.output.map(|output| bound.tokens.input.saturating_add(output));
        let ask = LimitsAsk {
            money: bound.money.map(|it| Money::from_pico(it.pico().saturating_mul(calls.into()))),
            tokens: tokens.map(|it| it.saturating_mul(calls.into())),
            requests: 1,
            unpriced: gateway.unpriced(&cx.snapshot),
        };
        let caller = cx.caller.as_ref();
        let scope = Scope {
            provider: Some(facts.call.offer.id.provider()),
            ..plan::scope(caller, facts.resolved)
        };
        let (first, further) = reserve(gateway, now, &scope, &ask, admission, calls)?;
        let (first, receipt) = Self::new(cx, facts, first, 0, now);
        let further = further.into_iter().zip(1..);
        let further = further.map(|(held, call)| Self::new(cx, facts, held, call, now)).collect();
        Ok(((Box::new(first), receipt), further))
    }

    fn new(
        cx: &Cx,
        facts: &IntentFacts<'_>,
        held: Held,
        call: u16,
        now: UnixMicros,
    ) -> (Self, Receipt) {
        let gateway = Arc::clone(&held.admission.gateway);
        let bound = facts.bound;
        let output = bound.tokens.output.unwrap_or(0);
        let reserved = Amount {
            money: bound.money.unwrap_or(Money::ZERO),
            tokens: bound.tokens.input.saturating_add(output),
            requests: u32::from(facts.attempt.number == 0 && call == 0),
        };
        let marks = Marks {
            stream: facts.ask.peek.stream,
            retry: facts.attempt.why == Why::Retry,
            failover: facts.attempt.why == Why::Failover,
            unpriced: bound.money.is_none(),
            ..Marks::default()
        };
        let id = AttemptKey { request: cx.id, call, attempt: facts.attempt.number };
        let mut flight = Self {
            offer: Arc::clone(&facts.call.offer),
            admission: Some(held.admission),
            id,
            limit_attempt: held.limit_attempt,
            marks,
            bound,
            reserved,
            input_bytes: facts.ask.peek.text_bytes,
            admitted_at: cx.at,
            dispatched_at: None,
            first_byte_at: None,
            whole: facts.ask.endpoint != Endpoint::Chat || !facts.ask.peek.stream,
            opaque: facts.ask.endpoint.is_passed_on(),
            by_voice: facts.ask.endpoint == Endpoint::Realtime,
            received: 0,
            seen: None,
            status: 0,
            upstream_id: None,
            claim: facts.claim,
            hint: RateHint::default(),
            settled: false,
            streaming: false,
            intent: None,
            counts: call == 0,
            gateway,
        };
        let intent = Box::new(intent(cx, facts, &flight, held.charges, now));
        if cx.endpoint == Endpoint::Realtime {
            flight.intent = Some(intent.clone());
        }
        let receipt = flight.gateway.ledger.append(&Record::Intent(intent));
        (flight, receipt)
    }

    /// The gateway that it flies for.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// The request it belongs to.
    pub fn request_id(&self) -> RequestId {
        self.id.request
    }

    /// The provider's name.
    pub fn provider_name(&self) -> &str {
        self.offer.id.provider().as_str()
    }

    /// Attempts of the request so far.
    pub fn attempts(&self) -> u32 {
        u32::from(self.id.attempt) + 1
    }

    /// Whether the account is closed.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// It leaves now.
    pub fn dispatched(&mut self) {
        let now = self.gateway.now();
        self.dispatched_at = Some(now);
        self.gateway
            .metrics
            .overhead_seconds
            .observe(now.micros_since(self.admitted_at) as f64 / 1e6);
    }

    /// The head of a success answer is here.
    pub fn head(&mut self, reply: &Reply) {
        self.status = reply.status.as_u16();
        let header =
            ["x-request-id", "request-id"].iter().find_map(|name| reply.headers.get(*name));
        self.upstream_id = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
    }

    /// A piece of the answer is here.
    pub fn arrived(&mut self, piece: &[u8]) {
        self.received = self.received.saturating_add(piece.len() as u64);
        if self.first_byte_at.is_none() {
            self.first_byte_at = Some(self.gateway.now());
        }
    }

    /// Keeps what was read of an answer that broke off, for its settlement: whatever ends the attempt now, that much is
    /// known of it.
    pub fn broke_off(&mut self, seen: Seen) {
        self.seen = Some(Box::new(seen));
    }

    fn take_seen(&mut self) -> Seen {
        self.seen.take().map_or_else(Seen::default, |seen| *seen)
    }

    /// The answer is being streamed to the client.
    pub fn stream_opened(&mut self) {
        self.streaming = true;
        self.gateway.metrics.streams_active.inc();
    }

    /// What the answer costs by the price in force now; `None` when no price is known.
    pub fn cost_of(&self, seen: &Seen) -> Option<Money> {
        let verdict = self.verdict(Ended::Whole, seen, true);
        self.priced(&verdict)
    }

    /// What was used, at the price in force. What was counted of pictures and voices is no measure of their cost: only
    /// where nothing costs anything it is known.
    fn priced(&self, verdict: &Verdict) -> Option<Money> {
        let sheet = self.price()?;
        let known = !self.opaque || verdict.quality != UsageQuality::Counted;
        let known = known || verdict.usage.is_zero() || admit::free(sheet);
        // In a session sound is the rule, and at the price of text it would cost a fraction.
        let voiced = !self.by_voice || admit::is_voiced(sheet, &verdict.usage);
        sheet.cost(&verdict.usage).ok().filter(|_| known && voiced)
    }

    /// Closes the account of an attempt that reached the client, wholly or in part.
    pub fn settle(&mut self, ended: Ended, seen: &Seen) -> Settled {
        let sent = self.dispatched_at.is_some();
        self.close(ended, seen, sent, self.status)
    }

    /// Closes the account of a call that brings the client nothing because another one of the attempt failed, and gives
    /// the request's place in the limits back, as [`Flight::settle_fault`] does.
    pub fn leave(mut self, ended: Ended, seen: &Seen) -> Option<Admission> {
        drop(self.settle(ended, seen));
        self.admission.take()
    }

    /// The same for a call that is given up while it runs.
    pub fn abandon(mut self, class: ErrorClass) -> Option<Admission> {
        let seen = self.take_seen();
        self.leave(Ended::Abandoned(class), &seen)
    }

    /// Says whether this one of several calls counts as the client, where clients are counted.
    pub fn count_client(&mut self, counts: bool) {
        self.counts = counts;
    }

    /// Closes the account of an attempt that failed before anything reached the client, and gives the request's place
    /// in the limits back for another attempt.
    pub fn settle_fault(mut self, fault: &Fault) -> Option<Admission> {
        let seen = self.take_seen();
        let status = if fault.status == 0 { self.status } else { fault.status };
        // The receipt is not awaited: the client is answered by another attempt or by an error.
        self.hint = fault.fault.hint;
        drop(self.close(Ended::Failed(fault.fault.class), &seen, fault.sent, status));
        self.admission.take()
    }

    /// The intent did not become durable, so nothing was sent, nothing is owed and there is nothing to close: should the
    /// intent be on disk after all, the ledger writes it off by itself. Everything is given back, the counted request
    /// too.
    pub fn not_durable(mut self) {
        self.settled = true;
        let ticket = self.admission.as_mut().and_then(|admission| admission.ticket.take());
        if let Some(ticket) = ticket {
            self.gateway.limits().cancel(ticket);
        }
        // Not asked after all: nothing was learned about the offer.
        let now = self.gateway.now();
        self.gateway.health().observe(self.claim, now, Err(ErrorClass::None), self.hint);
    }

    /// Nothing was sent for a durable intent, so it is closed and nothing is owed.
    pub fn never_sent(mut self) {
        drop(self.close(Ended::Failed(ErrorClass::Internal), &Seen::default(), false, 0));
    }

    fn price(&self) -> Option<&PriceSheet> {
        self.offer.price_at(self.gateway.now())
    }

    fn verdict(&self, ended: Ended, seen: &Seen, sent: bool) -> Verdict {
        // An error in the shape of a success is an error.
        let refused =
            self.whole && seen.error.is_some() && seen.usage.is_none() && seen.output_bytes == 0;
        flow::verdict(&Evidence {
            ended,
            sent,
            answered: self.first_byte_at.is_some() && !refused,
            whole: self.whole,
            opaque: self.opaque,
            usage: seen.usage,
            output_bytes: seen.output_bytes,
            received: self.received,
            input_bytes: self.input_bytes,
            worst: self.bound.tokens,
        })
    }

    fn close(&mut self, ended: Ended, seen: &Seen, sent: bool, status: u16) -> Settled {
        if self.settled {
            return Settled(None);
        }
        self.settled = true;
        let now = self.gateway.now();
        let (verdict, cost, receipt) = self.book(ended, seen, sent, status, now);
        self.free(&Actual { money: cost, tokens: Some(verdict.usage.total()) });
        self.observe(ended, &verdict, cost, now);
        Settled(Some(receipt))
    }

    /// Writes the settlement. Before anything is given back, or the log could show a limit passed that never was.
    fn book(
        &mut self,
        ended: Ended,
        seen: &Seen,
        sent: bool,
        status: u16,
        now: UnixMicros,
    ) -> (Verdict, Option<Money>, Receipt) {
        let verdict = self.verdict(ended, seen, sent);
        let sheet = self.price();
        let price_version = sheet.map(admit::version);
        let cost = self.priced(&verdict);
        let cost = if verdict.usage.is_zero() { cost.or(Some(Money::ZERO)) } else { cost };
        let tier = sheet.map_or(0, |sheet| tier(sheet, &verdict.usage));
        let charged = Amount {
            money: cost.unwrap_or(self.reserved.money),
            tokens: verdict.usage.total(),
            requests: self.reserved.requests,
        };
        let settlement = Settlement {
            id: self.id,
            outcome: verdict.outcome,
            error: verdict.error,
            usage: verdict.usage,
            quality: verdict.quality,
            cost,
            charged,
            released: self.reserved.released_after(&charged),
            price_version,
            price_tier: tier,
            dispatched_at: self.dispatched_at.unwrap_or(now),
            first_byte_at: self.first_byte_at,
            done_at: now,
            // The id of the provider's headers is what its support asks for; the answer's own stands in for it.
            upstream_id: self
                .upstream_id
                .take()
                .or_else(|| seen.upstream_id.clone())
                .map(Into::into),
            finish: if sent || ended != Ended::Whole {
                seen.finish.as_ref().map(|finish| finish.as_str().to_owned().into())
            } else {
                Some("unused".into())
            },
            upstream_code: status,
            model: seen.model.clone().map(Into::into),
            marks: self.marks,
        };
        let receipt = self.gateway.ledger.append(&Record::Settlement(Box::new(settlement)));
        (verdict, cost, receipt)
    }

    /// Books what was used and gives the rest back.
    fn free(&mut self, actual: &Actual) {
        if let Some(ticket) =
            self.admission.as_mut().and_then(|admission| admission.ticket.as_mut())
        {
            self.gateway.limits().settle(ticket, self.limit_attempt, actual);
        }
    }

    fn observe(&self, ended: Ended, verdict: &Verdict, cost: Option<Money>, now: UnixMicros) {
        let since = self.dispatched_at.unwrap_or(now);
        let micros = |at: UnixMicros| u64::try_from(at.micros_since(since)).unwrap_or(0);
        self.offer.metrics.record(&Sample {
            outcome: verdict.outcome,
            error: verdict.error,
            retry: self.marks.retry,
            duration_micros: micros(now),
            first_byte_micros: self.first_byte_at.map(micros),
            usage: verdict.usage,
            cost,
            quality: verdict.quality,
        });
        if verdict.outcome == OutcomeClass::ClientGone && self.counts {
            self.gateway.metrics.client_disconnects.inc();
        }
        // A client that left, what we gave up, and a fault of our own, say nothing about the offer.
        let learned = match (ended, verdict.outcome) {
            (Ended::Abandoned(_), _) => Err(ErrorClass::None),
            (_, OutcomeClass::Ok) => Ok(()),
            (_, OutcomeClass::Failed | OutcomeClass::Interrupted) => Err(verdict.error),
            _ => Err(ErrorClass::None),
        };
        self.gateway.health().observe(self.claim, now, learned, self.hint);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if std::thread::panicking() && self.streaming {
            // What panics before the answer has begun is counted where requests are accepted.
            self.gateway.metrics.panics.inc();
        }
        if !self.settled {
            let ended = if std::thread::panicking() { Ended::Internal } else { Ended::ClientLeft };
            let sent = self.dispatched_at.is_some();
            let seen = self.take_seen();
            drop(self.close(ended, &seen, sent, self.status));
        }
        if self.streaming {
            self.gateway.metrics.streams_active.dec();
        }
    }
}

type Reserved = (Held, Vec<Held>);

/// Holds the worst case of all calls of an attempt, or nothing.
fn reserve(
    gateway: &Arc<Gateway>,
    now: UnixMicros,
    scope: &Scope<'_>,
    ask: &LimitsAsk,
    admission: Option<Admission>,
    calls: u16,
) -> Result<Reserved, (Failure, Option<Admission>)> {
    let mut limits = gateway.limits();
    let (mut ticket, limit_attempt, admission) = match admission {
        Some(mut admission) => {
            let Some(mut ticket) = admission.ticket.take() else {
                return Err((Failure::new(&errors::INTERNAL, "a place without a ticket"), None));
            };
            match limits.extend(now, &mut ticket, scope, ask) {
                Ok(attempt) => (ticket, attempt, admission),
                Err(denied) => {
                    drop(limits);
                    admission.ticket = Some(ticket);
                    return Err((plan::denied(&denied), Some(admission)));
                }
            }
        }
        None => match limits.admit(now, scope, ask) {
            Ok(ticket) => (ticket, 0, Admission { gateway: Arc::clone(gateway), ticket: None }),
            Err(denied) => {
                drop(limits);
                return Err((plan::denied(&denied), None));
            }
        },
    };
    let further = if calls > 1 { limits.divide(&mut ticket, calls) } else { Vec::new() };
    let held = |ticket: Ticket, mut admission: Admission| {
        let charges = limits.charges(&ticket, limit_attempt).map(charge).collect();
        admission.ticket = Some(ticket);
        Held { admission, limit_attempt, charges }
    };
    let first = held(ticket, admission);
    let further = further.into_iter();
    let beside = || Admission { gateway: Arc::clone(gateway), ticket: None };
    Ok((first, further.map(|ticket| held(ticket, beside())).collect()))
}

/// A budget's hold on an attempt in the ledger's words.
pub fn charge(charge: limits::Charge<'_>) -> ledger::Charge {
    ledger::Charge {
        budget: charge.budget.into(),
        start: charge.window,
        end: charge.window_end,
        unit: unit(charge.unit),
        limit: charge.limit,
        hard: charge.hard,
    }
}

/// A unit in the ledger's words.
pub fn unit(unit: limits::Unit) -> ledger::Unit {
    match unit {
        limits::Unit::Money => ledger::Unit::Money,
        limits::Unit::Tokens => ledger::Unit::Tokens,
        limits::Unit::Requests => ledger::Unit::Requests,
    }
}

/// Which tier's prices apply: 0 is the base.
fn tier(sheet: &PriceSheet, usage: &Usage) -> u8 {
    let above =
        sheet.tiers.iter().filter(|tier| usage.input_total() > tier.above_input_tokens).count();
    u8::try_from(above).unwrap_or(u8::MAX)
}

fn intent(
    cx: &Cx,
    facts: &IntentFacts<'_>,
    flight: &Flight,
    charges: Vec<ledger::Charge>,
    now: UnixMicros,
) -> Intent {
    let total = match cx.endpoint {
        // A call is reserved ahead, and made at any time while the session lasts.
        Endpoint::Realtime => realtime::SESSION_MAX + flight.offer.provider.total,
        _ => flight.offer.provider.total,
    };
    let total = i64::try_from(total.as_micros()).unwrap_or(i64::MAX);
    let caller = cx.caller.as_ref();
    Intent {
        id: flight.id,
        admitted_at: cx.at,
        dispatched_at: now,
        deadline: now.plus_micros(total).plus_micros(DEADLINE_SLACK_MICROS),
        key: caller.and_then(|it| it.public()).cloned(),
        app: caller
            .and_then(|it| it.app())
            .cloned()
            .unwrap_or_else(|| flight.gateway.local_app.clone()),
        team: caller.and_then(|it| it.team()).cloned(),
        capability: facts.resolved.capability.clone(),
        offer: flight.offer.id.clone(),
        requested_offer: facts.resolved.named.clone(),
        endpoint: cx.endpoint,
        client_dialect: cx.client.id().as_str().into(),
        provider_dialect: facts.call.dialect.id().as_str().into(),
        contract: None,
        limits: facts.ask.peek.limits,
        context_bound: facts.bound.tokens.input,
        features: facts.ask.peek.features,
        residency: Vec::new(),
        prefix_key: facts.ask.peek.prefix_key,
        policy_version: 1,
        config_revision: cx.snapshot.revision,
        price_version: facts.bound.price_version,
        reserved: flight.reserved,
        charges,
        candidates: plan::candidates(facts.planned, facts.resolved),
        marks: flight.marks,
        losses: ledger::lost(&facts.call.losses),
    }
}

/// The application of callers without a key.
pub fn local_app() -> Option<AppName> {
    AppName::new("local").ok()
}
