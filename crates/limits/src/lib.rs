//! Budgets, rates and parallel caps: reserve, settle, refund.
//!
//! A request is admitted against everything that applies to it at once ([`Limits::admit`]): either every
//! budget, rate and cap has room for its worst case and all of them take it, or none does and the caller learns
//! which one refused ([`Denied`]). What is not used is given back when an attempt is settled.
//!
//! Nothing here reads a clock: `now` is an argument. Nothing here is shared: the owner serialises access.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod admit;
mod amount;
mod budget;
mod denied;
mod parallel;
pub mod rate;
mod restore;
mod scope;
pub mod spec;
mod table;
pub mod units;
pub mod windows;

pub use admit::{Limits, LimitsReport, LimitsSpec, Settlement, Ticket};
pub use amount::{Actual, Ask, Quantity, Unit, Unpriced};
pub use budget::{BudgetIx, BudgetSpec, BudgetState, Budgets, Charge, Overrun, Reservation};
pub use denied::{BudgetDenied, Denied, ParallelDenied, RateDenied};
pub use parallel::{ParallelCaps, ParallelSpec, ParallelState};
pub use rate::{RateSpec, RateState, Rates};
pub use restore::{AttemptKey, OpenReservation, SettledSum};
pub use scope::{Scope, ScopeFilter};
