//! Which offers may serve a request, in which order, and why the others may not; and what is learned from failures.
//!
//! Pure: health, time and random bits are arguments. [`plan`] can't fail: at worst the plan is empty, with reasons.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod breaker;
mod health;
mod plan;
mod reason;
mod retry;

pub use breaker::{Breaker, BreakerRules, Passage};
pub use health::{Health, OfferHealth};
pub use plan::{Ask, Candidate, Explanation, OfferView, Plan, Verdict, plan};
pub use reason::Reason;
pub use retry::RetryBudget;
