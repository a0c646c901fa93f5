//! What the ledger remembers of budgets, put back after a start.

use ledger::replay::{Replay, in_unit};
use limits::{AttemptKey, Charge, Limits, OpenReservation, SettledSum, Unit};

/// Books what was settled in each window and holds what nobody closed.
pub fn restore(limits: &mut Limits, replay: &Replay) {
    let settled = replay.windows.values().map(|window| SettledSum {
        budget: &window.terms.budget,
        unit: unit(window.terms.unit),
        window: window.terms.start,
        amount: window.settled,
    });
    let open = replay.open.values().map(|open| OpenReservation {
        key: key(open.intent.id),
        charges: open
            .intent
            .charges
            .iter()
            .map(|charge| Charge {
                budget: &charge.budget,
                unit: unit(charge.unit),
                window: charge.start,
                window_end: charge.end,
                limit: charge.limit,
                hard: charge.hard,
                amount: i64::try_from(in_unit(&open.intent.reserved, charge.unit))
                    .unwrap_or(i64::MAX),
            })
            .collect(),
    });
    limits.restore(settled, open);
}

/// The key of an attempt, in the limits' words.
pub fn key(id: ledger::AttemptKey) -> AttemptKey {
    AttemptKey { request: id.request, call: id.call, attempt: id.attempt }
}

fn unit(unit: ledger::Unit) -> Unit {
    match unit {
        ledger::Unit::Money => Unit::Money,
        ledger::Unit::Tokens => Unit::Tokens,
        ledger::Unit::Requests => Unit::Requests,
    }
}
