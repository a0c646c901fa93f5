//! Balances rebuilt from the ledger at start: settled sums by budget and window, and the reservations of attempts
//! that no settlement closes. Those stay held until the attempt is settled or written off.

use std::collections::BTreeMap;

use domain::{RequestId, UnixMicros};
use smallvec::SmallVec;

use crate::admit::{Limits, Settlement};
use crate::amount::{Actual, Unit};
use crate::budget::Line;

/// The ledger's key of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptKey {
    /// The request.
    pub request: RequestId,
    /// The call, where one request is made by several.
    pub call: u16,
    /// The attempt.
    pub attempt: u16,
}

/// What the ledger sums up to in one window of one budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledSum<'a> {
    /// The budget's name.
    pub budget: &'a str,
    /// Its unit.
    pub unit: Unit,
    /// The start of the window, as the intents recorded it.
    pub window: UnixMicros,
    /// Pico-USD, tokens or requests.
    pub amount: i128,
}

/// An attempt with an intent and no settlement.
#[derive(Clone, Debug)]
pub struct OpenReservation<'a> {
    /// Which.
    pub key: AttemptKey,
    /// What its intent reserved, per budget; see [`Limits::charges`].
    pub charges: SmallVec<[crate::budget::Charge<'a>; 4]>,
}

/// Reservations found open in the ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Restored {
    open: BTreeMap<AttemptKey, SmallVec<[Line; 4]>>,
}

impl Limits {
    /// Adds what the ledger knows to budgets that are in force. What names a budget that no longer exists is
    /// skipped. A window start that lies inside the current window counts there, so a changed zone opens no gap.
    /// Call once, after [`Limits::new`].
    pub fn restore<'a>(
        &mut self,
        settled: impl IntoIterator<Item = SettledSum<'a>>,
        open: impl IntoIterator<Item = OpenReservation<'a>>,
    ) {
        let mut slots = Slots::default();
        for sum in settled {
            for slot in slots.of(self, sum.budget, sum.unit) {
                self.budgets.restore(slot, sum.window, sum.amount, None);
            }
        }
        for reservation in open {
            let mut lines = SmallVec::new();
            for charge in &reservation.charges {
                for slot in slots.of(self, charge.budget, charge.unit) {
                    let held = Some(charge.amount.max(0));
                    lines.extend(self.budgets.restore(slot, charge.window, 0, held));
                }
            }
            self.restored.open.insert(reservation.key, lines);
        }
    }

    /// Closes a restored reservation: the attempt was settled or written off after the restart. `None` if it is
    /// not open.
    pub fn settle_restored(&mut self, key: AttemptKey, actual: &Actual) -> Option<Settlement> {
        let lines = self.restored.open.remove(&key)?;
        let overruns = lines.iter().filter_map(|line| self.budgets.close(line, actual)).collect();
        Some(Settlement { overruns })
    }

    /// The restored attempts that are still held.
    pub fn restored_open(&self) -> impl Iterator<Item = AttemptKey> {
        self.restored.open.keys().copied()
    }
}

/// Remembers which slots a budget's name stands for, so that a long list reads each name once.
#[derive(Default)]
struct Slots {
    known: BTreeMap<(String, Unit), SmallVec<[u32; 6]>>,
}

impl Slots {
    fn of(&mut self, limits: &Limits, name: &str, unit: Unit) -> SmallVec<[u32; 6]> {
        let find = || limits.budgets.table.slots_where(|account| account.is(name, unit));
        self.known.entry((name.to_owned(), unit)).or_insert_with(find).clone()
    }
}
