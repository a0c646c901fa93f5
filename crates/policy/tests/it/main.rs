//! What others rely on: the order of the plan and its reasons, breakers over virtual time, the bound on retries.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: clippy only knows functions marked `#[test]`"
)]

mod breakers;
mod choice;
mod storm;

use domain::{ErrorClass, RateHint, UnixMicros};
use policy::{Claim, Health};

pub(crate) const SECOND: i64 = 1_000_000;

pub(crate) fn at(seconds: i64) -> UnixMicros {
    UnixMicros::from_secs(1_795_348_800 + seconds)
}

pub(crate) fn fail(health: &mut Health, claim: Claim, now: UnixMicros, class: ErrorClass) {
    health.observe(claim, now, Err(class), RateHint::default());
}

pub(crate) fn succeed(health: &mut Health, claim: Claim, now: UnixMicros) {
    health.observe(claim, now, Ok(()), RateHint::default());
}
