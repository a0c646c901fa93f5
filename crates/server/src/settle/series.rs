//! A series: calls one after another under one request, as a realtime session has them. Each has a row of its own, whose
//! intent is written from that of the first.

use std::sync::Arc;

use dialect::Seen;
use domain::{Endpoint, ErrorClass, Money, RateHint, UnixMicros, WorstCase};
use flow::Ended;
use http::StatusCode;
use ledger::{Intent, Record};
use limits::{Actual, Ask as LimitsAsk, Scope, Ticket, Unpriced};
use policy::Claim;
use store::Receipt;

use super::{Admission, Bound, Flight, Settled, charge};
use crate::accept::Cx;
use crate::errors::{self, Failure};
use crate::gateway::Gateway;
use crate::identify::Caller;
use crate::keys::Lookup;
use crate::plan;
use crate::snapshot::Offer;

/// What further calls are begun from. It holds the request's place in the limits.
pub struct Series {
    gateway: Arc<Gateway>,
    offer: Arc<Offer>,
    /// The first call's intent.
    first: Intent,
    /// The request's places, and that it counts.
    place: Admission,
    bound: Bound,
    caller: Option<Caller>,
    unpriced: Unpriced,
    claim: Claim,
    next: u16,
}

impl Series {
    /// The series that a call is the first of. The call goes on holding what it reserved.
    pub fn after(first: &mut Flight, cx: &Cx) -> Option<Self> {
        let intent = *first.intent.take()?;
        let mut place = first.admission.take()?;
        let ticket = place.ticket.as_mut().map(|ticket| first.gateway.limits().detach(ticket));
        first.admission = Some(Admission { gateway: Arc::clone(&first.gateway), ticket });
        // That the line stands says what there was to learn of the offer.
        let now = first.gateway.now();
        first.gateway.health().observe(first.claim, now, Ok(()), first.hint);
        first.claim = first.claim.further();
        first.status = StatusCode::SWITCHING_PROTOCOLS.as_u16();
        Some(Self {
            gateway: Arc::clone(&first.gateway),
            offer: Arc::clone(&first.offer),
            first: intent,
            place,
            bound: first.bound,
            caller: cx.caller.clone(),
            unpriced: first.gateway.unpriced(&cx.snapshot),
            claim: first.claim,
            next: 1,
        })
    }

    /// The offer that is called.
    pub fn offer(&self) -> &Arc<Offer> {
        &self.offer
    }

    /// Reserves the worst case of a further call and hands its intent to the ledger.
    ///
    /// # Errors
    /// What stands in the way: a limit, or a key that is not valid any more.
    pub fn begin(&mut self) -> Result<(Flight, Receipt), Failure> {
        let now = self.gateway.now();
        self.still_valid(now)?;
        let bound = self.bound;
        let output = bound.tokens.output;
        let tokens = output.map(|output| bound.tokens.input.saturating_add(output));
        let ask = LimitsAsk { money: bound.money, tokens, requests: 1, unpriced: self.unpriced };
        let (ticket, attempt, charges) = self.hold(now, &ask)?;
        let reserved = ledger::Amount {
            money: bound.money.unwrap_or(Money::ZERO),
            tokens: bound.tokens.input.saturating_add(output.unwrap_or(0)),
            requests: 0,
        };
        Ok(self.opened(ticket, attempt, charges, reserved, |_| {}))
    }

    /// A call that the provider has begun by itself although no limit covers it: nothing is reserved for it, and what it
    /// uses is booked in full.
    pub fn begin_uncovered(&mut self) -> (Flight, Receipt) {
        let (ticket, attempt, charges) = self.hold_nothing();
        self.opened(ticket, attempt, charges, ledger::Amount::ZERO, |_| {})
    }

    /// Books what another model of the same provider did beside the turns: it wrote down what was said. The provider says
    /// so when it is done, so nothing was reserved for it.
    pub fn beside(&mut self, offer: &Arc<Offer>, seen: &Seen) {
        let (ticket, attempt, charges) = self.hold_nothing();
        let (mut flight, _) =
            self.opened(ticket, attempt, charges, ledger::Amount::ZERO, |intent| {
                intent.offer = offer.id.clone();
                intent.endpoint = Endpoint::Transcription;
                intent.context_bound = 0;
                intent.price_version = None;
            });
        flight.offer = Arc::clone(offer);
        flight.bound = Bound { tokens: WorstCase::default(), money: None, price_version: None };
        flight.begins();
        drop(flight.settle(Ended::Whole, seen));
    }

    /// A place in the limits that takes nothing: what is used is booked in full.
    fn hold_nothing(&mut self) -> (Option<Ticket>, u16, Vec<ledger::Charge>) {
        let nothing = LimitsAsk {
            money: Some(Money::ZERO),
            tokens: Some(0),
            requests: 0,
            unpriced: Unpriced::Allow,
        };
        self.hold(self.gateway.now(), &nothing).unwrap_or((None, 0, Vec::new()))
    }

    fn hold(
        &mut self,
        now: UnixMicros,
        ask: &LimitsAsk,
    ) -> Result<(Option<Ticket>, u16, Vec<ledger::Charge>), Failure> {
        let mut limits = self.gateway.limits();
        let Some(ticket) = self.place.ticket.as_mut() else {
            return Err(Failure::new(&errors::INTERNAL, "a place without a ticket"));
        };
        let caller = self.caller.as_ref();
        let scope = Scope {
            key: caller.and_then(Caller::public),
            app: caller.and_then(Caller::app),
            team: caller.and_then(Caller::team),
            provider: Some(self.offer.id.provider()),
            capability: Some(&self.first.capability),
        };
        let attempt =
            limits.extend(now, ticket, &scope, ask).map_err(|denied| plan::denied(&denied))?;
        let charges = limits.charges(ticket, attempt).map(charge).collect();
        let part = limits.detach(ticket);
        Ok((Some(part), attempt, charges))
    }

    fn opened(
        &mut self,
        ticket: Option<Ticket>,
        limit_attempt: u16,
        charges: Vec<ledger::Charge>,
        reserved: ledger::Amount,
        change: impl FnOnce(&mut Intent),
    ) -> (Flight, Receipt) {
        let gateway = &self.gateway;
        let now = gateway.now();
        let id = ledger::AttemptKey { call: self.next, ..self.first.id };
        self.next = self.next.saturating_add(1);
        let life = self.first.deadline.micros_since(self.first.dispatched_at);
        let mut intent = Intent {
            id,
            admitted_at: now,
            dispatched_at: now,
            deadline: now.plus_micros(life),
            reserved,
            charges,
            ..self.first.clone()
        };
        change(&mut intent);
        let flight = Flight {
            offer: Arc::clone(&self.offer),
            admission: Some(Admission { gateway: Arc::clone(gateway), ticket }),
            id,
            limit_attempt,
            marks: intent.marks,
            bound: self.bound,
            reserved,
            input_bytes: 0,
            admitted_at: now,
            dispatched_at: None,
            first_byte_at: None,
            whole: true,
            opaque: true,
            by_voice: true,
            received: 0,
            seen: None,
            status: StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            upstream_id: None,
            claim: self.claim,
            hint: RateHint::default(),
            settled: false,
            streaming: false,
            counts: false,
            intent: None,
            gateway: Arc::clone(gateway),
        };
        (flight, gateway.ledger.append(&Record::Intent(Box::new(intent))))
    }

    /// A key may be revoked, or expire, while a session runs.
    fn still_valid(&self, now: UnixMicros) -> Result<(), Failure> {
        if self.next == u16::MAX {
            return Err(Failure::new(&errors::RATE_LIMITED, "a session has at most 65,534 turns"));
        }
        let Some(public) = self.caller.as_ref().and_then(Caller::public) else { return Ok(()) };
        let refused = |kind, why| Err(Failure::new(kind, format!("the key {public} {why}")));
        match self.gateway.keys.load().again(public, now) {
            Lookup::Found(_) => Ok(()),
            Lookup::Expired(_) => refused(&errors::KEY_EXPIRED, "has expired"),
            Lookup::Revoked(_) => refused(&errors::KEY_REVOKED, "was revoked"),
            Lookup::Unknown => refused(&errors::INVALID_API_KEY, "is not known here any more"),
        }
    }
}

impl Flight {
    /// The call begins: it was asked for, or the provider has begun it.
    pub fn begins(&mut self) {
        self.dispatched_at.get_or_insert_with(|| self.gateway.now());
    }

    /// It does not begin after all: what asked for it was refused.
    pub fn stays_back(&mut self) {
        self.dispatched_at = None;
    }

    /// Closes the account of a call that was reserved ahead and never made: a row that says so and costs nothing.
    pub fn unused(mut self) -> Settled {
        let seen = Seen::default();
        self.settled = true;
        let now = self.gateway.now();
        let (verdict, cost, receipt) = self.book(Ended::Whole, &seen, false, self.status, now);
        self.free(&Actual { money: cost, tokens: Some(verdict.usage.total()) });
        self.gateway.health().observe(self.claim, now, Err(ErrorClass::None), self.hint);
        Settled(Some(receipt))
    }
}
