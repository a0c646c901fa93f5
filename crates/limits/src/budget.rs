//! Budgets: money, tokens or requests over a calendar window.
//!
//! The invariant (I4): at every admission, settled + reserved of every matching hard budget stays within its
//! limit. A reservation belongs to the window of its admission, and so does what is settled on it, however late.
//! A window that has ended is never entered again: when the clock steps back, the newer window stays in force.

use std::sync::Arc;

use domain::UnixMicros;
use smallvec::SmallVec;

use crate::amount::{Actual, Ask, Quantity, Unit, Unpriced};
use crate::denied::{BudgetDenied, Denied};
use crate::scope::{Scope, ScopeFilter};
use crate::table::{Entry, Table};
use crate::windows::{Period, Span, Zone};

/// How long a budget that is no longer configured keeps the balance of its last window after the end of it: past any
/// step of the clock that is not a mistake of years.
const KEPT_AFTER_END: i64 = 86_400_000_000;

/// Names a budget while the process runs; survives reloads as long as the budget does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetIx(pub(crate) u32);

/// What the configuration, or a key, says about a budget.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetSpec {
    /// Its name; with unit and window the identity that keeps its balance across reloads.
    pub name: Arc<str>,
    /// Whom it applies to.
    pub scope: ScopeFilter,
    /// How much in a window.
    pub limit: Quantity,
    /// How long a window lasts.
    pub period: Period,
    /// Whose calendar.
    pub zone: Zone,
    /// Whether it refuses; a soft budget only counts.
    pub hard: bool,
}

/// A budget and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetState {
    /// What it is.
    pub spec: BudgetSpec,
    /// Used in the window, pico-USD, tokens or requests.
    pub settled: Quantity,
    /// Held for attempts that are not settled.
    pub reserved: Quantity,
    /// When the window began; `None` for a total.
    pub since: Option<UnixMicros>,
    /// When the next begins; `None` for a total.
    pub resets_at: Option<UnixMicros>,
    /// Requests of this window that passed with an unknown worst case.
    pub unpriced: u64,
    /// Settlements of this window that were above their reservation.
    pub overruns: u64,
}

/// One budget's part in a reservation, as the ledger's intent records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge<'a> {
    /// The budget's name.
    pub budget: &'a str,
    /// Its unit.
    pub unit: Unit,
    /// The start of the window that is charged.
    pub window: UnixMicros,
    /// The first instant after that window.
    pub window_end: UnixMicros,
    /// The limit in force, in its unit.
    pub limit: i128,
    /// Whether the limit refuses.
    pub hard: bool,
    /// How much is reserved.
    pub amount: i64,
}

/// A settlement that was above its reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// The budget.
    pub budget: Arc<str>,
    /// By how much the reservation was exceeded.
    pub by: Quantity,
}

/// An amount held in one window of one budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) slot: u32,
    pub(crate) attempt: u16,
    pub(crate) open: bool,
    pub(crate) window: UnixMicros,
    pub(crate) amount: i64,
}

/// What one [`Budgets::reserve`] holds. Give it back with [`Budgets::settle`] or [`Budgets::release`].
#[derive(Debug)]
#[must_use = "a reservation that is dropped stays reserved for ever"]
pub struct Reservation {
    pub(crate) lines: SmallVec<[Line; 4]>,
}

#[derive(Clone, Debug)]
struct Balance {
    span: Span,
    settled: i128,
    reserved: i128,
    /// Open lines, counted apart from `reserved` because a line may hold nothing.
    open: u32,
    unpriced: u64,
    overruns: u64,
}

impl Balance {
    fn new(span: Span) -> Self {
        Self { span, settled: 0, reserved: 0, open: 0, unpriced: 0, overruns: 0 }
    }
}

/// A budget with its balances.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    spec: BudgetSpec,
    current: Balance,
    /// Ended windows with something open, and windows restored from after `current`.
    others: SmallVec<[Balance; 1]>,
}

impl Entry for Account {
    type Spec = BudgetSpec;
    type Ident = (Arc<str>, Unit, Period, String);

    fn ident(spec: &BudgetSpec) -> Self::Ident {
        (spec.name.clone(), spec.limit.unit, spec.period, spec.zone.name().to_owned())
    }

    fn new(spec: BudgetSpec, now: UnixMicros) -> Self {
        let current = Balance::new(Span::containing(spec.period, &spec.zone, now));
        Self { spec, current, others: SmallVec::new() }
    }

    fn respec(&mut self, spec: BudgetSpec) {
        self.spec = spec;
    }

    fn scope(&self) -> &ScopeFilter {
        &self.spec.scope
    }

    fn disposable(&self, now: UnixMicros) -> bool {
        let ended = now.micros_since(self.current.span.end) > KEPT_AFTER_END;
        ended && self.current.open == 0 && self.others.is_empty()
    }
}

impl Account {
    /// Enters the window of `now`, if that is a later one.
    fn roll(&mut self, now: UnixMicros) {
        if now < self.current.span.end {
            return;
        }
        let span = Span::containing(self.spec.period, &self.spec.zone, now);
        if span.start <= self.current.span.start {
            return;
        }
        let next = self.take_other(span.start).unwrap_or_else(|| Balance::new(span));
        let ended = std::mem::replace(&mut self.current, next);
        self.others.push(ended);
        let start = self.current.span.start;
        self.others.retain(|balance| balance.open > 0 || balance.span.start > start);
    }

    fn take_other(&mut self, start: UnixMicros) -> Option<Balance> {
        let at = self.others.iter().position(|balance| balance.span.start == start)?;
        Some(self.others.swap_remove(at))
    }

    /// The window that starts then.
    fn span_of(&self, window: UnixMicros) -> Span {
        let known =
            std::iter::once(&self.current).chain(&self.others).find(|it| it.span.start == window);
        known.map_or_else(
            || Span::containing(self.spec.period, &self.spec.zone, window),
            |it| it.span,
        )
    }

    fn balance_mut(&mut self, window: UnixMicros) -> Option<&mut Balance> {
        if self.current.span.start == window {
            return Some(&mut self.current);
        }
        self.others.iter_mut().find(|balance| balance.span.start == window)
    }

    /// How much of an ask this budget would hold, or why it can't.
    fn room(&self, ask: &Ask, again: bool) -> Result<i64, Denied> {
        let unit = self.spec.limit.unit;
        if again && unit == Unit::Requests {
            return Ok(0);
        }
        let Some(amount) = ask.in_unit(unit) else { return self.room_for_unknown(ask.unpriced) };
        let used = self.current.settled.saturating_add(self.current.reserved);
        let fits = used.saturating_add(i128::from(amount)) <= self.spec.limit.amount;
        if fits || !self.spec.hard { Ok(amount) } else { Err(self.denial(Some(amount))) }
    }

    fn room_for_unknown(&self, unpriced: Unpriced) -> Result<i64, Denied> {
        let used = self.current.settled.saturating_add(self.current.reserved);
        if !self.spec.hard {
            Ok(0)
        } else if unpriced == Unpriced::Reject {
            Err(Denied::Unpriced { budget: self.spec.name.clone(), unit: self.spec.limit.unit })
        } else if used < self.spec.limit.amount {
            Ok(0)
        } else {
            Err(self.denial(None))
        }
    }

    fn denial(&self, amount: Option<i64>) -> Denied {
        let unit = self.spec.limit.unit;
        let quantity = |amount| Quantity { unit, amount };
        Denied::Budget(Box::new(BudgetDenied {
            budget: self.spec.name.clone(),
            scope: self.spec.scope.clone(),
            limit: self.spec.limit,
            settled: quantity(self.current.settled),
            reserved: quantity(self.current.reserved),
            asked: amount.map(|amount| quantity(i128::from(amount))),
            resets_at: self.resets_at(),
            zone: self.spec.zone.clone(),
        }))
    }

    fn resets_at(&self) -> Option<UnixMicros> {
        (self.spec.period != Period::Total).then_some(self.current.span.end)
    }

    fn hold(&mut self, slot: u32, attempt: u16, amount: i64, unknown: bool) -> Line {
        self.current.reserved = self.current.reserved.saturating_add(i128::from(amount));
        self.current.open = self.current.open.saturating_add(1);
        self.current.unpriced = self.current.unpriced.saturating_add(u64::from(unknown));
        Line { slot, attempt, open: true, window: self.current.span.start, amount }
    }

    /// Books `used` and gives back what `line` held. Returns by how much the reservation was exceeded.
    fn close(&mut self, line: &Line, used: i64) -> i128 {
        let over = i128::from(used).saturating_sub(i128::from(line.amount)).max(0);
        let Some(balance) = self.balance_mut(line.window) else { return over };
        balance.reserved = balance.reserved.saturating_sub(i128::from(line.amount));
        balance.settled = balance.settled.saturating_add(i128::from(used));
        balance.open = balance.open.saturating_sub(1);
        balance.overruns = balance.overruns.saturating_add(u64::from(over > 0));
        let start = self.current.span.start;
        self.others.retain(|balance| balance.open > 0 || balance.span.start > start);
        over
    }

    /// Adds what the ledger says was settled in a window, or holds what it says is open.
    pub(crate) fn restore(
        &mut self,
        window: UnixMicros,
        settled: i128,
        held: Option<i64>,
    ) -> UnixMicros {
        let in_current = self.current.span.contains(window);
        if !in_current && self.balance_mut(window).is_none() {
            let span = Span::containing(self.spec.period, &self.spec.zone, window);
            self.others.push(Balance::new(Span { start: window, end: span.end.max(window) }));
        }
        let start = if in_current { self.current.span.start } else { window };
        if let Some(balance) = self.balance_mut(start) {
            balance.settled = balance.settled.saturating_add(settled);
            if let Some(amount) = held {
                balance.reserved = balance.reserved.saturating_add(i128::from(amount));
                balance.open = balance.open.saturating_add(1);
            }
        }
        let current = self.current.span.start;
        self.others.retain(|balance| balance.open > 0 || balance.span.start > current);
        start
    }

    pub(crate) fn is(&self, name: &str, unit: Unit) -> bool {
        &*self.spec.name == name && self.spec.limit.unit == unit
    }

    fn state(&self) -> BudgetState {
        let quantity = |amount| Quantity { unit: self.spec.limit.unit, amount };
        BudgetState {
            spec: self.spec.clone(),
            settled: quantity(self.current.settled),
            reserved: quantity(self.current.reserved),
            since: (self.spec.period != Period::Total).then_some(self.current.span.start),
            resets_at: self.resets_at(),
            unpriced: self.current.unpriced,
            overruns: self.current.overruns,
        }
    }
}

/// All budgets.
#[derive(Clone, Debug, Default)]
pub struct Budgets {
    pub(crate) table: Table<Account>,
}

impl Budgets {
    /// Budgets with nothing used.
    pub fn new(now: UnixMicros, specs: Vec<BudgetSpec>) -> Self {
        let mut budgets = Self::default();
        budgets.reload(now, specs);
        budgets
    }

    /// Puts `specs` in force. Balances and open reservations are kept by name, unit and window (period and zone);
    /// a limit or scope may change freely. Of two specs with one identity the later counts.
    pub fn reload(&mut self, now: UnixMicros, specs: Vec<BudgetSpec>) {
        self.table.reload(now, specs);
    }

    /// The budgets that apply to `scope`.
    pub fn matching(&self, scope: &Scope<'_>) -> SmallVec<[BudgetIx; 6]> {
        self.table.matching(scope).into_iter().map(BudgetIx).collect()
    }

    /// Holds the worst case in every one of `budgets`, or in none.
    pub fn reserve(
        &mut self,
        now: UnixMicros,
        budgets: &[BudgetIx],
        ask: &Ask,
    ) -> Result<Reservation, Denied> {
        let slots: SmallVec<[u32; 6]> = budgets.iter().map(|ix| ix.0).collect();
        self.check(now, &slots, ask, &[])?;
        let mut lines = SmallVec::new();
        self.hold(&slots, ask, 0, &mut lines);
        Ok(Reservation { lines })
    }

    /// Books what was used into the window of admission and gives the rest back.
    pub fn settle(&mut self, reservation: Reservation, actual: &Actual) -> SmallVec<[Overrun; 1]> {
        let mut overruns = SmallVec::new();
        for line in reservation.lines {
            overruns.extend(self.close(&line, actual));
        }
        overruns
    }

    /// Gives everything back, requests too: nothing was sent.
    pub fn release(&mut self, reservation: Reservation) {
        for line in reservation.lines {
            self.undo(&line);
        }
    }

    /// Where every budget in force stands.
    pub fn report(&mut self, now: UnixMicros) -> Vec<BudgetState> {
        let accounts = self.table.live_mut();
        accounts
            .map(|account| {
                account.roll(now);
                account.state()
            })
            .collect()
    }

    /// Whether every budget in `slots` has room. `held` are lines of the same ticket: a budget that has counted
    /// the request does not count it again.
    pub(crate) fn check(
        &mut self,
        now: UnixMicros,
        slots: &[u32],
        ask: &Ask,
        held: &[Line],
    ) -> Result<(), Denied> {
        // Every one enters its window before any is asked, so that a refusal by one leaves no trace in the others.
        for slot in slots {
            if let Some(account) = self.table.get_mut(*slot) {
                account.roll(now);
            }
        }
        for slot in slots {
            if let Some(account) = self.table.get(*slot) {
                account.room(ask, counted(held, *slot))?;
            }
        }
        Ok(())
    }

    /// Holds an ask that [`Budgets::check`] has passed.
    pub(crate) fn hold<const N: usize>(
        &mut self,
        slots: &[u32],
        ask: &Ask,
        attempt: u16,
        lines: &mut SmallVec<[Line; N]>,
    ) {
        for slot in slots {
            let again = counted(lines, *slot);
            let Some(account) = self.table.get_mut(*slot) else { continue };
            let unit = account.spec.limit.unit;
            if again && unit == Unit::Requests {
                continue;
            }
            let amount = ask.in_unit(unit);
            lines.push(account.hold(*slot, attempt, amount.unwrap_or(0), amount.is_none()));
        }
    }

    /// Takes an equal share of a line out of it for each of `further` calls; it keeps its own share and what can't be
    /// divided. `None`: it is about requests, of which several calls are one.
    pub(crate) fn divide(&mut self, line: &mut Line, further: u16) -> Option<Line> {
        let account = self.table.get_mut(line.slot)?;
        if account.spec.limit.unit == Unit::Requests {
            return None;
        }
        let balance = account.balance_mut(line.window)?;
        balance.open = balance.open.saturating_add(u32::from(further));
        let share = line.amount / (i64::from(further) + 1);
        line.amount -= share * i64::from(further);
        Some(Line { amount: share, ..*line })
    }

    /// Whether a budget counts requests: once, however many attempts there are.
    pub(crate) fn counts_requests(&self, slot: u32) -> bool {
        self.table.get(slot).is_some_and(|account| account.spec.limit.unit == Unit::Requests)
    }

    pub(crate) fn close(&mut self, line: &Line, actual: &Actual) -> Option<Overrun> {
        let account = self.table.get_mut(line.slot)?;
        let unit = account.spec.limit.unit;
        let over = account.close(line, actual.in_unit(unit).unwrap_or(line.amount));
        (over > 0).then(|| Overrun {
            budget: account.spec.name.clone(),
            by: Quantity { unit, amount: over },
        })
    }

    pub(crate) fn undo(&mut self, line: &Line) {
        if let Some(account) = self.table.get_mut(line.slot) {
            account.close(line, 0);
        }
    }

    pub(crate) fn has_money(&self, scope: &Scope<'_>) -> bool {
        let money = |slot: u32| {
            self.table.get(slot).is_some_and(|account| account.spec.limit.unit == Unit::Money)
        };
        self.table.matching(scope).into_iter().any(money)
    }

    pub(crate) fn charge(&self, line: &Line) -> Option<Charge<'_>> {
        let account = self.table.get(line.slot)?;
        let spec = &account.spec;
        let span = account.span_of(line.window);
        Some(Charge {
            budget: &spec.name,
            unit: spec.limit.unit,
            window: line.window,
            window_end: span.end,
            limit: spec.limit.amount,
            hard: spec.hard,
            amount: line.amount,
        })
    }

    pub(crate) fn restore(
        &mut self,
        slot: u32,
        window: UnixMicros,
        settled: i128,
        held: Option<i64>,
    ) -> Option<Line> {
        let window = self.table.get_mut(slot)?.restore(window, settled, held);
        Some(Line { slot, attempt: 0, open: true, window, amount: held.unwrap_or(0) })
    }
}

fn counted(lines: &[Line], slot: u32) -> bool {
    lines.iter().any(|line| line.slot == slot)
}
