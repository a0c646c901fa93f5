//! One door for everything: a request is admitted by all limits that apply to it, or by none.
//!
//! [`Limits::admit`] opens a [`Ticket`] with attempt 0; [`Limits::extend`] adds a further attempt (failover, another
//! call), whose worst case comes on top of what the earlier ones may have been billed; [`Limits::settle`] closes one
//! attempt with what it used; [`Limits::finish`] closes the ticket. A request counts once in budgets and rates of
//! requests, however many attempts it has; money and tokens count per attempt, since each may be billed.

use domain::UnixMicros;
use smallvec::SmallVec;

use crate::amount::{Actual, Ask};
use crate::budget::{BudgetSpec, BudgetState, Budgets, Charge, Line, Overrun};
use crate::denied::Denied;
use crate::parallel::{ParallelCaps, ParallelSpec, ParallelState, Place};
use crate::rate::{RateSpec, RateState, Rates, Taken};
use crate::scope::Scope;

/// Every limit of a configuration and its keys.
#[derive(Clone, Debug, Default)]
pub struct LimitsSpec {
    /// Budgets.
    pub budgets: Vec<BudgetSpec>,
    /// Rates.
    pub rates: Vec<RateSpec>,
    /// Caps on requests at the same time.
    pub parallel: Vec<ParallelSpec>,
}

/// Where every limit in force stands.
#[derive(Clone, Debug)]
pub struct LimitsReport {
    /// Budgets.
    pub budgets: Vec<BudgetState>,
    /// Rates.
    pub rates: Vec<RateState>,
    /// Caps on requests at the same time.
    pub parallel: Vec<ParallelState>,
}

/// What one admitted request holds. It must come back through [`Limits::finish`], [`Limits::cancel`]
/// or [`Limits::decline`].
#[derive(Debug)]
#[must_use = "a ticket that is dropped keeps its reservations and places for ever"]
pub struct Ticket {
    admitted_at: UnixMicros,
    attempts: u16,
    lines: SmallVec<[Line; 4]>,
    taken: SmallVec<[Taken; 4]>,
    places: SmallVec<[Place; 4]>,
}

impl Ticket {
    /// When the request was admitted: decides the budget windows of its first attempt.
    pub fn admitted_at(&self) -> UnixMicros {
        self.admitted_at
    }

    /// The number of the newest attempt, from 0.
    pub fn last_attempt(&self) -> u16 {
        self.attempts.saturating_sub(1)
    }
}

/// What settling found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Budgets in which more was used than reserved; recorded in full.
    pub overruns: SmallVec<[Overrun; 1]>,
}

/// Every limit, with its state.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub(crate) budgets: Budgets,
    pub(crate) restored: crate::restore::Restored,
    rates: Rates,
    parallel: ParallelCaps,
}

impl Limits {
    /// Limits with nothing used.
    pub fn new(now: UnixMicros, spec: LimitsSpec) -> Self {
        let mut limits = Self::default();
        limits.reload(now, spec);
        limits
    }

    /// Puts `spec` in force. State is kept by identity and open tickets stay valid; see [`Budgets::reload`].
    pub fn reload(&mut self, now: UnixMicros, spec: LimitsSpec) {
        let LimitsSpec { budgets, rates, parallel } = spec;
        self.budgets.reload(now, budgets);
        self.rates.reload(now, rates);
        self.parallel.reload(now, parallel);
    }

    /// Takes the worst case of a first attempt from everything that applies to `scope`, or from nothing. Budgets
    /// are asked before rates and rates before caps, so a client hears first what waiting does not cure.
    pub fn admit(
        &mut self,
        now: UnixMicros,
        scope: &Scope<'_>,
        ask: &Ask,
    ) -> Result<Ticket, Denied> {
        let mut ticket = Ticket {
            admitted_at: now,
            attempts: 0,
            lines: SmallVec::new(),
            taken: SmallVec::new(),
            places: SmallVec::new(),
        };
        self.extend(now, &mut ticket, scope, ask)?;
        Ok(ticket)
    }

    /// Takes the worst case of work that runs elsewhere for hours: from budgets as always, and as a request from rates.
    /// Rates of tokens and caps are about what comes in a minute and what runs at a time, which such work does not.
    pub fn admit_lasting(
        &mut self,
        now: UnixMicros,
        scope: &Scope<'_>,
        ask: &Ask,
    ) -> Result<Ticket, Denied> {
        let budgets = self.budgets.table.matching(scope);
        let rates = self.rates.table.matching(scope);
        let counted = Ask { money: Some(domain::Money::ZERO), tokens: Some(0), ..*ask };
        self.budgets.check(now, &budgets, ask, &[])?;
        self.rates.check(now, &rates, &counted, &[])?;
        let (mut lines, mut taken) = (SmallVec::new(), SmallVec::new());
        self.budgets.hold(&budgets, ask, 0, &mut lines);
        self.rates.take(&rates, &counted, 0, &mut taken);
        // What a rate has counted stays counted: there is nothing to give back later.
        for taken in &mut taken {
            taken.open = false;
            self.rates.settle(taken, &Actual::NOTHING);
        }
        Ok(Ticket { admitted_at: now, attempts: 1, lines, taken, places: SmallVec::new() })
    }

    /// Takes the worst case of a further attempt and returns its number. On refusal the ticket is as it was.
    pub fn extend(
        &mut self,
        now: UnixMicros,
        ticket: &mut Ticket,
        scope: &Scope<'_>,
        ask: &Ask,
    ) -> Result<u16, Denied> {
        let budgets = self.budgets.table.matching(scope);
        let rates = self.rates.table.matching(scope);
        let caps = self.parallel.table.matching(scope);
        self.budgets.check(now, &budgets, ask, &ticket.lines)?;
        self.rates.check(now, &rates, ask, &ticket.taken)?;
        self.parallel.check(&caps, &ticket.places)?;

        let attempt = ticket.attempts;
        self.budgets.hold(&budgets, ask, attempt, &mut ticket.lines);
        self.rates.take(&rates, ask, attempt, &mut ticket.taken);
        self.parallel.acquire(&caps, attempt, &mut ticket.places);
        ticket.attempts = attempt.saturating_add(1);
        Ok(attempt)
    }

    /// Divides what the newest attempt holds among so many equal calls. The first stays with `ticket`; each further one
    /// gets a ticket of its own, to be settled under the same number and finished by itself. The request counts, and
    /// has its places, with the first alone.
    pub fn divide(&mut self, ticket: &mut Ticket, calls: u16) -> Vec<Ticket> {
        let attempt = ticket.last_attempt();
        let further = calls.saturating_sub(1);
        let mut tickets: Vec<Ticket> = std::iter::repeat_with(|| Ticket {
            admitted_at: ticket.admitted_at,
            attempts: ticket.attempts,
            lines: SmallVec::new(),
            taken: SmallVec::new(),
            places: SmallVec::new(),
        })
        .take(usize::from(further))
        .collect();
        for line in ticket.lines.iter_mut().filter(|it| it.open && it.attempt == attempt) {
            if let Some(share) = self.budgets.divide(line, further) {
                for it in &mut tickets {
                    it.lines.push(share);
                }
            }
        }
        for taken in ticket.taken.iter_mut().filter(|it| it.open && it.attempt == attempt) {
            if let Some(share) = self.rates.divide(taken, further) {
                for it in &mut tickets {
                    it.taken.push(share);
                }
            }
        }
        tickets
    }

    /// Moves what the newest attempt holds of money and tokens into a ticket of its own, to be settled under the same
    /// number and finished by itself: for attempts that run beside each other. The request counts, and has its places,
    /// with `ticket`.
    pub fn detach(&mut self, ticket: &mut Ticket) -> Ticket {
        let attempt = ticket.last_attempt();
        let (mut lines, mut taken) = (SmallVec::new(), SmallVec::new());
        ticket.lines.retain(|line| {
            let moves =
                line.open && line.attempt == attempt && !self.budgets.counts_requests(line.slot);
            if moves {
                lines.push(*line);
            }
            !moves
        });
        ticket.taken.retain(|it| {
            let moves = it.open && it.attempt == attempt && !self.rates.counts_requests(it.slot);
            if moves {
                taken.push(*it);
            }
            !moves
        });
        let (admitted_at, attempts) = (ticket.admitted_at, ticket.attempts);
        Ticket { admitted_at, attempts, lines, taken, places: SmallVec::new() }
    }

    /// What an attempt holds in each budget: for the ledger's intent.
    pub fn charges<'a>(
        &'a self,
        ticket: &'a Ticket,
        attempt: u16,
    ) -> impl Iterator<Item = Charge<'a>> {
        let lines = ticket.lines.iter().filter(move |line| line.attempt == attempt);
        lines.filter_map(|line| self.budgets.charge(line))
    }

    /// Closes one attempt: books what it used into the windows of its admission and gives the rest back. Settling
    /// an attempt again changes nothing.
    pub fn settle(&mut self, ticket: &mut Ticket, attempt: u16, actual: &Actual) -> Settlement {
        let mut overruns = SmallVec::new();
        for line in ticket.lines.iter_mut().filter(|it| it.open && it.attempt == attempt) {
            line.open = false;
            overruns.extend(self.budgets.close(line, actual));
        }
        for taken in ticket.taken.iter_mut().filter(|it| it.open && it.attempt == attempt) {
            taken.open = false;
            self.rates.settle(taken, actual);
        }
        for place in ticket.places.iter_mut().filter(|it| it.open && it.attempt == Some(attempt)) {
            place.open = false;
            self.parallel.release(place);
        }
        Settlement { overruns }
    }

    /// Closes the ticket. `actual` is what the newest attempt used; an earlier attempt that was never settled is
    /// charged its whole reservation, since it may have been billed.
    pub fn finish(&mut self, mut ticket: Ticket, actual: &Actual) -> Settlement {
        let last = ticket.last_attempt();
        for attempt in 0..last {
            self.settle(&mut ticket, attempt, &Actual::UNKNOWN);
        }
        let settlement = self.settle(&mut ticket, last, actual);
        self.free_places(&mut ticket);
        settlement
    }

    /// Closes a ticket of which nothing was sent: everything is given back, the counted request too. Attempts that
    /// were settled before stay booked.
    pub fn cancel(&mut self, mut ticket: Ticket) {
        for line in ticket.lines.iter_mut().filter(|it| it.open) {
            line.open = false;
            self.budgets.undo(line);
        }
        for taken in ticket.taken.iter_mut().filter(|it| it.open) {
            taken.open = false;
            self.rates.undo(taken);
        }
        self.free_places(&mut ticket);
    }

    /// Closes a ticket of a request that was refused after all, without an attempt: what counts what is served gets
    /// everything back, and rates keep that it was asked.
    pub fn decline(&mut self, mut ticket: Ticket) {
        for line in ticket.lines.iter_mut().filter(|it| it.open) {
            line.open = false;
            self.budgets.undo(line);
        }
        for taken in ticket.taken.iter_mut().filter(|it| it.open) {
            taken.open = false;
            self.rates.settle(taken, &Actual::NOTHING);
        }
        self.free_places(&mut ticket);
    }

    fn free_places(&mut self, ticket: &mut Ticket) {
        for place in ticket.places.iter_mut().filter(|it| it.open) {
            place.open = false;
            self.parallel.release(place);
        }
    }

    /// Whether a money budget applies to `scope`: then an offer without a price follows `unpriced`.
    pub fn has_money_budget(&self, scope: &Scope<'_>) -> bool {
        self.budgets.has_money(scope)
    }

    /// Where every limit in force stands.
    pub fn report(&mut self, now: UnixMicros) -> LimitsReport {
        LimitsReport {
            budgets: self.budgets.report(now),
            rates: self.rates.report(now),
            parallel: self.parallel.report(),
        }
    }
}
