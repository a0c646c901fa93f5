//! What is shown as it stands now, rather than counted as it happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{PICO_PER_USD, UnixMicros};
use limits::{BudgetState, Quantity, Unit};
use policy::breaker::BreakerState;
use policy::{Availability, OfferIx, OfferReport};
use store::WriterState;
use telemetry::metrics::OFFERS_MAX;

use crate::gateway::Gateway;
use crate::plan;
use crate::snapshot::Offer;

/// Most budgets with series of their own: keys bring budgets, and keys are many.
const BUDGETS_MAX: usize = 500;

impl Gateway {
    /// Brings the gauges up to date: budgets, unsettled attempts, circuits, whether the ledger takes records.
    pub fn update_gauges(&self) {
        let now = self.now();
        let (budgets, unsettled) = {
            let mut limits = self.limits();
            (
                limits.report(now).budgets,
                limits.restored_open().count().saturating_sub(self.batches.restored_count()),
            )
        };
        let money = budgets.iter().filter(|it| it.spec.limit.unit == Unit::Money);
        for budget in money.take(BUDGETS_MAX) {
            let BudgetState { spec, settled, reserved, .. } = budget;
            self.metrics.budget(&spec.name, usd(&spec.limit), usd(settled), usd(reserved));
        }
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.ledger_unsettled_rows.set(count(unsettled));
        self.metrics.ledger_writable.set(i64::from(self.ledger.state() == WriterState::Healthy));
        let reports = self.health().report(now);
        self.show_circuits(&reports, now);
    }

    /// Which offers are left out: by their breakers, at their providers' own wish, or for want of a credential.
    fn show_circuits(&self, reports: &[OfferReport], now: UnixMicros) {
        let snapshot = self.snapshot.load();
        let configured: BTreeMap<OfferIx, Arc<Offer>> = snapshot
            .capabilities
            .values()
            .flat_map(|entry| &entry.offers)
            .map(|(offer, _)| (offer.ix, Arc::clone(offer)))
            .collect();
        for report in reports.iter().filter(|it| it.attempts > 0).take(OFFERS_MAX) {
            // Offers that were asked for by their own name stand in no capability.
            let by_name = || self.numbers.name(report.offer);
            let offer = configured.get(&report.offer).cloned();
            let offer = offer.or_else(|| snapshot.offer(&by_name()?));
            if let Some(offer) = offer {
                let left_out = matches!(report.breaker, BreakerState::Open { .. })
                    || matches!(report.availability, Availability::SetAside { .. })
                    || plan::credentials(&offer, now).is_some();
                offer.metrics.set_circuit_open(left_out);
            } else if let Some(id) = by_name() {
                // Its provider is not configured any more.
                let metrics = self.metrics.offer(id.provider().as_str(), id.model().as_str());
                metrics.set_circuit_open(false);
            }
        }
    }
}

/// For a gauge only: no figure of the ledger is ever a float.
fn usd(quantity: &Quantity) -> f64 {
    quantity.amount as f64 / PICO_PER_USD as f64
}
