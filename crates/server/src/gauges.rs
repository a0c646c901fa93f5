//! What is shown as it stands now, rather than counted as it happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::PICO_PER_USD;
use limits::{BudgetState, Quantity, Unit};
use policy::breaker::BreakerState;
use policy::{OfferIx, OfferReport};
use store::WriterState;
use telemetry::metrics::{OFFERS_MAX, OfferMetrics};

use crate::gateway::Gateway;

/// Most budgets with series of their own: keys bring budgets, and keys are many.
const BUDGETS_MAX: usize = 500;

impl Gateway {
    /// Brings the gauges up to date: budgets, unsettled attempts, circuits, whether the ledger takes records.
    pub fn update_gauges(&self) {
        let now = self.now();
        let (budgets, unsettled) = {
            let mut limits = self.limits();
            (limits.report(now).budgets, limits.restored_open().count())
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
        self.show_circuits(&reports);
    }

    fn show_circuits(&self, reports: &[OfferReport]) {
        let snapshot = self.snapshot.load();
        let configured: BTreeMap<OfferIx, Arc<OfferMetrics>> = snapshot
            .capabilities
            .values()
            .flat_map(|entry| &entry.offers)
            .map(|(offer, _)| (offer.ix, Arc::clone(&offer.metrics)))
            .collect();
        // Offers that were asked for by their own name stand in no capability.
        for report in reports.iter().filter(|it| it.attempts > 0).take(OFFERS_MAX) {
            let open = matches!(report.breaker, BreakerState::Open { .. });
            if let Some(metrics) = configured.get(&report.offer) {
                metrics.set_circuit_open(open);
            } else if let Some(id) = self.numbers.name(report.offer) {
                let metrics = self.metrics.offer(id.provider().as_str(), id.model().as_str());
                metrics.set_circuit_open(open);
            }
        }
    }
}

/// For a gauge only: no figure of the ledger is ever a float.
fn usd(quantity: &Quantity) -> f64 {
    quantity.amount as f64 / PICO_PER_USD as f64
}
