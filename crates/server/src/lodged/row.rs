//! The row of a batch: written before it is made, closed when it has ended.

use domain::{ErrorClass, Money, OutcomeClass, RequestLimits, Usage, UsageQuality};
use ledger::{Amount, Intent, Record, Settlement};
use limits::Actual;
use policy::Plan;
use telemetry::metrics::Sample;

use super::measure::Measured;
use super::open::Running;
use crate::accept::Cx;
use crate::gateway::Gateway;
use crate::plan;
use crate::resolve::Resolved;
use crate::restore;
use crate::snapshot::Offer;

/// What a batch came to.
#[derive(Debug)]
pub(super) struct Bill {
    pub(super) outcome: OutcomeClass,
    pub(super) error: ErrorClass,
    pub(super) usage: Usage,
    pub(super) quality: UsageQuality,
    /// `None` where no price is known.
    pub(super) cost: Option<Money>,
    pub(super) price_version: Option<u64>,
    /// The provider's word for its end.
    pub(super) finish: Option<String>,
    /// The provider's HTTP status; 0 where there was none.
    pub(super) status: u16,
}

/// The record before a batch is made.
pub(super) fn intent(
    gateway: &Gateway,
    cx: &Cx,
    running: &Running,
    offer: &Offer,
    measured: &Measured,
    (resolved, planned): (&Resolved, &Plan),
    charges: Vec<ledger::Charge>,
) -> Intent {
    let caller = cx.caller.as_ref();
    let dialect = cx.client.id().as_str();
    Intent {
        id: running.key,
        admitted_at: cx.at,
        dispatched_at: running.dispatched_at,
        deadline: running.deadline,
        key: caller.and_then(|it| it.public()).cloned(),
        app: caller.and_then(|it| it.app()).cloned().unwrap_or_else(|| gateway.local_app.clone()),
        team: caller.and_then(|it| it.team()).cloned(),
        capability: resolved.capability.clone(),
        offer: running.offer.clone(),
        requested_offer: resolved.named.clone(),
        endpoint: cx.endpoint,
        client_dialect: dialect.into(),
        provider_dialect: dialect.into(),
        contract: None,
        limits: RequestLimits {
            max_output: None,
            answers: u32::try_from(measured.count).unwrap_or(u32::MAX),
        },
        context_bound: measured.longest,
        features: measured.features,
        residency: Vec::new(),
        prefix_key: 0,
        policy_version: 1,
        config_revision: cx.snapshot.revision,
        price_version: super::end::price(offer, running.dispatched_at).map(crate::admit::version),
        reserved: running.reserved,
        charges,
        candidates: plan::candidates(planned, resolved),
        marks: running.marks,
        losses: Vec::new(),
    }
}

/// Closes a batch's row and gives back what it did not use.
pub(super) async fn close(gateway: &Gateway, running: Running, bill: Bill) {
    let now = gateway.now();
    let Running { key, reserved, .. } = running;
    let charged = Amount {
        money: bill.cost.unwrap_or(reserved.money),
        tokens: bill.usage.total(),
        requests: reserved.requests,
    };
    let settlement = Settlement {
        id: key,
        outcome: bill.outcome,
        error: bill.error,
        usage: bill.usage,
        quality: bill.quality,
        cost: bill.cost,
        charged,
        released: reserved.released_after(&charged),
        price_version: bill.price_version,
        price_tier: 0,
        dispatched_at: running.dispatched_at,
        first_byte_at: None,
        done_at: now,
        upstream_id: running.lies.as_ref().map(|lies| lies.id.clone().into()),
        finish: bill.finish.map(Into::into),
        upstream_code: bill.status,
        model: running.lies.as_ref().map(|lies| lies.measured.model.clone().into()),
        marks: running.marks,
    };
    // In this order, or the log could show a limit passed that never was: the settlement first, then the release.
    let receipt = gateway.ledger.append(&Record::Settlement(Box::new(settlement)));
    let actual = Actual { money: bill.cost, tokens: Some(bill.usage.total()) };
    match running.ticket {
        Some(ticket) => drop(gateway.limits().finish(ticket, &actual)),
        None => drop(gateway.limits().settle_restored(restore::key(key), &actual)),
    }
    gateway.batches.forget(key);
    if let Some(offer) = gateway.snapshot.load().offer(&running.offer) {
        let micros = now.micros_since(running.dispatched_at);
        offer.metrics.record(&Sample {
            outcome: bill.outcome,
            error: bill.error,
            retry: false,
            duration_micros: u64::try_from(micros).unwrap_or(0),
            first_byte_micros: None,
            usage: bill.usage,
            cost: bill.cost,
            quality: bill.quality,
        });
    }
    if receipt.await.is_err() {
        tracing::warn!(request = %key.request, "the end of a batch is kept and not yet on disk");
    }
}
