//! Rates: so many requests or tokens a minute, with a stated burst.
//!
//! Each bucket is the generic cell rate algorithm, written as a meter that fills with what is taken and drains
//! steadily. The meter counts `amount x period` so that draining `count` per microsecond is exact for any rate;
//! nothing is ever rounded. A clock that steps back stops the draining and changes nothing else.

use std::sync::Arc;

use domain::UnixMicros;
use smallvec::SmallVec;

use crate::amount::{Actual, Ask, Unit, Unpriced};
use crate::denied::{Denied, RateDenied};
use crate::scope::ScopeFilter;
use crate::table::{Entry, Table};
use crate::units::Rate;

/// What the configuration says about a rate.
#[derive(Clone, Debug, PartialEq)]
pub struct RateSpec {
    /// Its name; with the unit the identity that keeps its state across reloads.
    pub name: Arc<str>,
    /// Whom it applies to.
    pub scope: ScopeFilter,
    /// Requests or tokens.
    pub unit: Unit,
    /// How many in how long.
    pub rate: Rate,
    /// Most at once, after a quiet time. Nothing larger ever passes.
    pub burst: u64,
}

impl RateSpec {
    /// A rate whose burst is what it allows in one period: a full minute's worth for `600/min`.
    pub fn new(name: &str, scope: ScopeFilter, unit: Unit, rate: Rate) -> Self {
        Self { name: name.into(), scope, unit, rate, burst: rate.count }
    }
}

/// A rate and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct RateState {
    /// What it is.
    pub spec: RateSpec,
    /// What could be taken at once now.
    pub available: u64,
}

/// A meter that drains at a rate. See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    rate: Rate,
    burst: u64,
    /// Scaled by the period.
    level: i128,
    last: UnixMicros,
}

impl Gcra {
    /// An empty meter.
    pub fn new(rate: Rate, burst: u64, now: UnixMicros) -> Self {
        Self { rate, burst, level: 0, last: now }
    }

    /// Changes rate and burst, keeping what was taken (in requests or tokens).
    pub fn configure(&mut self, rate: Rate, burst: u64) {
        let taken = self.level / i128::from(self.rate.per_micros.max(1));
        (self.rate, self.burst) = (rate, burst);
        self.level = self.scaled(u64::try_from(taken).unwrap_or(u64::MAX));
    }

    fn scaled(&self, amount: u64) -> i128 {
        i128::from(amount).saturating_mul(i128::from(self.rate.per_micros.max(1)))
    }

    fn drain(&mut self, now: UnixMicros) {
        let elapsed = i128::from(now.micros_since(self.last).max(0));
        let drained = elapsed.saturating_mul(i128::from(self.rate.count));
        self.level = self.level.saturating_sub(drained).max(0);
        self.last = now;
    }

    /// Whether `amount` may be taken now; if not, the microseconds until it may (`None`: never).
    pub fn check(&mut self, now: UnixMicros, amount: u64) -> Result<(), Option<u64>> {
        self.drain(now);
        let over =
            self.level.saturating_add(self.scaled(amount)).saturating_sub(self.scaled(self.burst));
        if over <= 0 {
            return Ok(());
        }
        if amount > self.burst || self.rate.count == 0 {
            return Err(None);
        }
        let count = i128::from(self.rate.count);
        Err(Some(u64::try_from((over + count - 1) / count).unwrap_or(u64::MAX)))
    }

    /// Takes `amount`, whether there is room or not (what was really used may exceed what was reserved).
    pub fn take(&mut self, amount: u64) {
        self.level = self.level.saturating_add(self.scaled(amount));
    }

    /// Gives `amount` back.
    pub fn refund(&mut self, amount: u64) {
        self.level = self.level.saturating_sub(self.scaled(amount)).max(0);
    }

    /// What could be taken at once now.
    pub fn available(&mut self, now: UnixMicros) -> u64 {
        self.drain(now);
        let room = self.scaled(self.burst).saturating_sub(self.level).max(0);
        u64::try_from(room / i128::from(self.rate.per_micros.max(1))).unwrap_or(u64::MAX)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    spec: RateSpec,
    meter: Gcra,
    /// Tickets that may still give something back.
    open: u32,
}

impl Entry for Bucket {
    type Spec = RateSpec;
    type Ident = (Arc<str>, Unit);

    fn ident(spec: &RateSpec) -> Self::Ident {
        (spec.name.clone(), spec.unit)
    }

    fn new(spec: RateSpec, now: UnixMicros) -> Self {
        let meter = Gcra::new(spec.rate, spec.burst, now);
        Self { spec, meter, open: 0 }
    }

    fn respec(&mut self, spec: RateSpec) {
        if (spec.rate, spec.burst) != (self.spec.rate, self.spec.burst) {
            self.meter.configure(spec.rate, spec.burst);
        }
        self.spec = spec;
    }

    fn scope(&self) -> &ScopeFilter {
        &self.spec.scope
    }

    fn disposable(&self, now: UnixMicros) -> bool {
        let mut meter = self.meter;
        self.open == 0 && meter.available(now) == self.spec.burst
    }
}

/// What was taken from one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) slot: u32,
    pub(crate) attempt: u16,
    pub(crate) open: bool,
    pub(crate) amount: u64,
}

/// All rates.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    pub(crate) table: Table<Bucket>,
}

impl Rates {
    /// Puts `specs` in force; what was taken is kept by name and unit.
    pub fn reload(&mut self, now: UnixMicros, specs: Vec<RateSpec>) {
        self.table.reload(now, specs);
    }

    /// Where every rate in force stands.
    pub fn report(&mut self, now: UnixMicros) -> Vec<RateState> {
        let buckets = self.table.live_mut();
        buckets
            .map(|bucket| RateState {
                available: bucket.meter.available(now),
                spec: bucket.spec.clone(),
            })
            .collect()
    }

    pub(crate) fn check(
        &mut self,
        now: UnixMicros,
        slots: &[u32],
        ask: &Ask,
        held: &[Taken],
    ) -> Result<(), Denied> {
        for slot in slots {
            let Some(bucket) = self.table.get_mut(*slot) else { continue };
            let unit = bucket.spec.unit;
            if unit == Unit::Requests && counted(held, *slot) {
                continue;
            }
            let Some(amount) = ask.in_unit(unit) else {
                if ask.unpriced == Unpriced::Reject {
                    return Err(Denied::Unpriced { budget: bucket.spec.name.clone(), unit });
                }
                continue;
            };
            let asked = u64::try_from(amount).unwrap_or(0);
            bucket.meter.check(now, asked).map_err(|retry| bucket.denial(asked, retry))?;
        }
        Ok(())
    }

    pub(crate) fn take(
        &mut self,
        slots: &[u32],
        ask: &Ask,
        attempt: u16,
        taken: &mut SmallVec<[Taken; 4]>,
    ) {
        for slot in slots {
            let again = counted(taken, *slot);
            let Some(bucket) = self.table.get_mut(*slot) else { continue };
            if again && bucket.spec.unit == Unit::Requests {
                continue;
            }
            let amount = ask.in_unit(bucket.spec.unit).and_then(|it| u64::try_from(it).ok());
            let amount = amount.unwrap_or(0);
            bucket.meter.take(amount);
            bucket.open = bucket.open.saturating_add(1);
            taken.push(Taken { slot: *slot, attempt, open: true, amount });
        }
    }

    /// Takes an equal share of what was taken out of it for each of `further` calls; it keeps its own share and what
    /// can't be divided. `None`: it is about requests, of which several calls are one.
    pub(crate) fn divide(&mut self, taken: &mut Taken, further: u16) -> Option<Taken> {
        let bucket = self.table.get_mut(taken.slot)?;
        if bucket.spec.unit == Unit::Requests {
            return None;
        }
        bucket.open = bucket.open.saturating_add(u32::from(further));
        let share = taken.amount / (u64::from(further) + 1);
        taken.amount -= share * u64::from(further);
        Some(Taken { amount: share, ..*taken })
    }

    /// Whether a rate is one of requests: taken once, however many attempts there are.
    pub(crate) fn counts_requests(&self, slot: u32) -> bool {
        self.table.get(slot).is_some_and(|bucket| bucket.spec.unit == Unit::Requests)
    }

    /// Corrects what was taken to what was used.
    pub(crate) fn settle(&mut self, taken: &Taken, actual: &Actual) {
        let Some(bucket) = self.table.get_mut(taken.slot) else { return };
        bucket.open = bucket.open.saturating_sub(1);
        let used = actual.in_unit(bucket.spec.unit).and_then(|used| u64::try_from(used).ok());
        let used = used.unwrap_or(taken.amount);
        bucket.meter.take(used.saturating_sub(taken.amount));
        bucket.meter.refund(taken.amount.saturating_sub(used));
    }

    pub(crate) fn undo(&mut self, taken: &Taken) {
        if let Some(bucket) = self.table.get_mut(taken.slot) {
            bucket.open = bucket.open.saturating_sub(1);
            bucket.meter.refund(taken.amount);
        }
    }
}

impl Bucket {
    fn denial(&self, asked: u64, retry_after_micros: Option<u64>) -> Denied {
        Denied::Rate(Box::new(RateDenied {
            rate: self.spec.name.clone(),
            unit: self.spec.unit,
            count: self.spec.rate.count,
            per_micros: self.spec.rate.per_micros,
            burst: self.spec.burst,
            asked,
            retry_after_micros,
        }))
    }
}

fn counted(taken: &[Taken], slot: u32) -> bool {
    taken.iter().any(|it| it.slot == slot)
}
