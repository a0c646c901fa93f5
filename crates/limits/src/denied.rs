//! Why a request was not admitted, in figures and in words.

use std::fmt;
use std::sync::Arc;

use domain::UnixMicros;

use crate::amount::{Quantity, Unit};
use crate::scope::ScopeFilter;
use crate::windows::Zone;

/// What refused a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Denied {
    /// A budget has no room for the worst case.
    Budget(Box<BudgetDenied>),
    /// Too fast, or too much at once.
    Rate(Box<RateDenied>),
    /// Too many requests at the same time.
    Parallel(Box<ParallelDenied>),
    /// The worst case is unknown (no price, or an unbounded output) and such requests are rejected.
    Unpriced {
        /// The budget or rate that applies.
        budget: Arc<str>,
        /// The unit in which nothing is known.
        unit: Unit,
    },
}

/// A budget that has no room.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetDenied {
    /// Its name.
    pub budget: Arc<str>,
    /// Whom it applies to.
    pub scope: ScopeFilter,
    /// Its limit.
    pub limit: Quantity,
    /// Used in this window.
    pub settled: Quantity,
    /// Held for attempts that are not settled.
    pub reserved: Quantity,
    /// The worst case of this request; `None` if unknown.
    pub asked: Option<Quantity>,
    /// When the next window begins; `None` for a total.
    pub resets_at: Option<UnixMicros>,
    /// The zone of its calendar.
    pub zone: Zone,
}

/// A rate that is used up for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateDenied {
    /// Its name.
    pub rate: Arc<str>,
    /// What it counts.
    pub unit: Unit,
    /// How many in `per_micros`.
    pub count: u64,
    /// Its period in microseconds.
    pub per_micros: u64,
    /// Most at once.
    pub burst: u64,
    /// What this request asks.
    pub asked: u64,
    /// Microseconds until the same request would pass; `None` if it never will, being larger than the burst.
    pub retry_after_micros: Option<u64>,
}

/// A cap on requests at the same time that is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParallelDenied {
    /// Its name.
    pub cap: Arc<str>,
    /// Most at the same time.
    pub limit: u32,
}

impl Denied {
    /// The name of the budget, rate or cap that refused.
    pub fn limit_name(&self) -> &str {
        match self {
            Self::Budget(denied) => &denied.budget,
            Self::Rate(denied) => &denied.rate,
            Self::Parallel(denied) => &denied.cap,
            Self::Unpriced { budget, .. } => budget,
        }
    }

    /// Microseconds after which a retry may pass. `None`: do not retry, or nobody knows when.
    pub fn retry_after_micros(&self) -> Option<u64> {
        match self {
            Self::Rate(denied) => denied.retry_after_micros,
            Self::Budget(_) | Self::Parallel(_) | Self::Unpriced { .. } => None,
        }
    }
}

impl fmt::Display for Denied {
    /// One line for a person: ``budget `search`: 4.98 of 5.00 USD used or reserved, asks 0.05 USD, resets
    /// 2026-12-01T00:00 Europe/Berlin``.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget(denied) => denied.fmt(out),
            Self::Rate(denied) => denied.fmt(out),
            Self::Parallel(denied) => {
                let ParallelDenied { cap, limit } = &**denied;
                write!(out, "cap `{cap}`: {limit} requests are running, which is the most at once")
            }
            Self::Unpriced { budget, unit: Unit::Money } => write!(
                out,
                "budget `{budget}`: the most this request can cost is unknown (the model has no price, or \
                 nothing bounds its output), and `unpriced: reject` is set"
            ),
            Self::Unpriced { budget, unit } => write!(
                out,
                "limit `{budget}`: nothing bounds how many {unit} this request can use, and \
                 `unpriced: reject` is set"
            ),
        }
    }
}

impl fmt::Display for BudgetDenied {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = Quantity {
            unit: self.limit.unit,
            amount: self.settled.amount.saturating_add(self.reserved.amount),
        };
        write!(
            out,
            "budget `{}`: {} of {} used or reserved",
            self.budget,
            used.figure(),
            self.limit
        )?;
        match self.asked {
            Some(asked) => write!(out, ", asks {}", asked.figure())?,
            None => out.write_str(", asks an unknown amount")?,
        }
        match self.resets_at {
            Some(at) => write!(out, ", resets {}", self.zone.describe(at)),
            None => out.write_str(", never resets"),
        }
    }
}

impl fmt::Display for RateDenied {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, unit, count, per_micros, burst, asked, retry_after_micros } = self;
        let per = match per_micros {
            1_000_000 => "s".to_owned(),
            60_000_000 => "min".to_owned(),
            3_600_000_000 => "h".to_owned(),
            86_400_000_000 => "d".to_owned(),
            other => format!("{} ms", other / 1_000),
        };
        write!(out, "rate `{rate}`: {count} {unit}/{per}, asks {asked}")?;
        match retry_after_micros {
            Some(micros) => write!(out, ", again in {} s", seconds(*micros)),
            None => write!(out, ", more than the {burst} allowed at once"),
        }
    }
}

/// Seconds with three places, rounded up: a client that comes back then is not early.
fn seconds(micros: u64) -> String {
    let millis = micros.div_ceil(1_000);
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}
