//! Breakers, recovery and set-asides, over virtual time.

use domain::{ErrorClass, RateHint};
use policy::breaker::{BreakerConfig, BreakerState};
use policy::retry::{Failure, Next, RetryConfig};
use policy::{Availability, Health, HealthConfig, OfferIx};

use crate::{at, fail, succeed};

const OFFER: OfferIx = OfferIx(3);

fn health() -> Health {
    Health::new(HealthConfig::default())
}

/// Calls the offer now; every one fails or every one succeeds.
fn calls(health: &mut Health, now: i64, outcomes: &[Result<(), ErrorClass>]) {
    for outcome in outcomes {
        let claim = health.claim(OFFER, at(now)).unwrap();
        health.observe(claim, at(now), *outcome, RateHint::default());
    }
}

fn broken_at(now: i64) -> Health {
    let mut health = health();
    calls(&mut health, now, &[Err(ErrorClass::Unreachable); 5]);
    health
}

#[test]
fn half_of_the_last_twenty_calls_opens_it_and_one_less_does_not() {
    let mut mixed = Vec::new();
    for _ in 0..9 {
        mixed.extend([Err(ErrorClass::ServerError), Ok(())]);
    }
    mixed.extend([Ok(()), Ok(())]);
    let mut health = health();
    calls(&mut health, 0, &mixed);
    assert_eq!(health.peek(OFFER, at(0)), Availability::Ready);
    // The two oldest calls, one of them failed, leave the window as two failures enter.
    calls(&mut health, 0, &[Err(ErrorClass::ServerError), Err(ErrorClass::Overloaded)]);
    let open = Availability::Open { class: ErrorClass::Overloaded, until: at(15), lone_at: at(2) };
    assert_eq!(health.peek(OFFER, at(0)), open);
    assert_eq!(health.claim(OFFER, at(1)), None);
}

#[test]
fn five_unreachables_in_a_row_open_it_at_once() {
    let mut health = health();
    calls(&mut health, 0, &[Err(ErrorClass::Timeout); 4]);
    calls(&mut health, 0, &[Ok(())]);
    calls(&mut health, 0, &[Err(ErrorClass::Unreachable); 4]);
    assert_eq!(health.peek(OFFER, at(0)), Availability::Ready);
    calls(&mut health, 0, &[Err(ErrorClass::Timeout)]);
    assert!(matches!(health.peek(OFFER, at(0)), Availability::Open { .. }));
}

#[test]
fn what_is_not_the_offers_fault_opens_nothing() {
    let mut health = health();
    for class in
        [ErrorClass::InvalidRequest, ErrorClass::Auth, ErrorClass::Internal, ErrorClass::None]
    {
        calls(&mut health, 0, &[Err(class); 40]);
    }
    assert_eq!(health.peek(OFFER, at(0)), Availability::Ready);
}

#[test]
fn one_request_tries_and_the_wait_doubles_up_to_five_minutes() {
    let mut health = broken_at(0);
    let mut now = 0;
    for wait in [15, 30, 60, 120, 240, 300, 300] {
        let until = at(now + wait);
        let seen = health.peek(OFFER, until.plus_micros(-1));
        assert!(matches!(seen, Availability::Open { until: it, .. } if it == until), "{seen:?}");
        now += wait;
        assert_eq!(health.view(OFFER, at(now)), Availability::Probe);
        let claim = health.claim(OFFER, at(now)).unwrap();
        assert!(claim.is_probe());
        assert_eq!(health.claim(OFFER, at(now)), None, "one at a time");
        fail(&mut health, claim, at(now), ErrorClass::Unreachable);
    }
}

#[test]
fn a_try_that_is_never_heard_of_is_given_up() {
    let mut health = broken_at(0);
    let _lost = health.claim(OFFER, at(15)).unwrap();
    assert!(matches!(health.peek(OFFER, at(16)), Availability::Open { .. }));
    assert_eq!(health.peek(OFFER, at(15 + 150)), Availability::Probe);
}

#[test]
fn a_client_that_leaves_a_try_frees_it() {
    let mut health = broken_at(0);
    let claim = health.claim(OFFER, at(15)).unwrap();
    fail(&mut health, claim, at(15), ErrorClass::None);
    assert_eq!(health.peek(OFFER, at(15)), Availability::Probe);
}

#[test]
fn recovery_goes_ten_twenty_five_fifty_and_all() {
    let mut health = broken_at(0);
    let claim = health.claim(OFFER, at(15)).unwrap();
    succeed(&mut health, claim, at(15));
    for (second, of_hundred) in [(15, 10), (25, 25), (35, 50), (45, 100)] {
        let now = at(second);
        let passed = (0..100).filter(|_| health.view(OFFER, now) == Availability::Ready).count();
        assert_eq!(passed, of_hundred, "at {second} s");
    }
    assert_eq!(health.report(at(45))[3].breaker, BreakerState::Closed);
}

#[test]
fn a_relapse_waits_twice_as_long_and_a_full_recovery_forgets() {
    let mut health = broken_at(0);
    let claim = health.claim(OFFER, at(15)).unwrap();
    succeed(&mut health, claim, at(15));
    calls(&mut health, 20, &[Err(ErrorClass::Unreachable); 5]);
    assert!(matches!(health.peek(OFFER, at(49)), Availability::Open { .. }));
    assert_eq!(health.peek(OFFER, at(50)), Availability::Probe);
    let claim = health.claim(OFFER, at(50)).unwrap();
    succeed(&mut health, claim, at(50));
    assert_eq!(health.view(OFFER, at(80)), Availability::Ready);
    calls(&mut health, 80, &[Err(ErrorClass::Unreachable); 5]);
    assert_eq!(health.peek(OFFER, at(95)), Availability::Probe);
}

#[test]
fn answers_to_requests_from_before_it_opened_change_nothing() {
    let mut health = health();
    let old = [health.claim(OFFER, at(0)).unwrap(), health.claim(OFFER, at(0)).unwrap()];
    calls(&mut health, 0, &[Err(ErrorClass::Unreachable); 5]);
    succeed(&mut health, old[0], at(1));
    fail(&mut health, old[1], at(20), ErrorClass::Timeout);
    assert_eq!(health.peek(OFFER, at(20)), Availability::Probe);
}

#[test]
fn retry_after_sets_aside_and_is_not_cut_short() {
    let mut health = health();
    let (first, second) =
        (health.claim(OFFER, at(0)).unwrap(), health.claim(OFFER, at(0)).unwrap());
    let hint = |ms| RateHint { retry_after_ms: Some(ms) };
    health.observe(first, at(0), Err(ErrorClass::RateLimited), hint(7_000));
    health.observe(second, at(0), Err(ErrorClass::RateLimited), hint(1_000));
    assert_eq!(health.view(OFFER, at(6)), Availability::SetAside { until: at(7) });
    assert_eq!(health.claim(OFFER, at(6)), None);
    assert_eq!(health.view(OFFER, at(7)), Availability::Ready);
}

#[test]
fn alone_it_may_be_tried_every_two_seconds_without_making_things_worse() {
    let mut health = broken_at(0);
    let claim = health.claim(OFFER, at(2)).unwrap();
    assert!(claim.is_probe());
    assert_eq!(health.claim(OFFER, at(3)), None);
    fail(&mut health, claim, at(3), ErrorClass::Timeout);
    assert_eq!(health.peek(OFFER, at(15)), Availability::Probe, "the wait has not grown");
}

#[test]
fn alone_in_recovery_ten_pass_and_then_every_second_for_three_seconds() {
    let mut health = broken_at(0);
    let claim = health.claim(OFFER, at(15)).unwrap();
    succeed(&mut health, claim, at(15));
    let passes = |seen| !matches!(seen, Availability::Ramp { lone: false, .. });
    let first = (0..10).filter(|_| passes(health.view(OFFER, at(15)))).count();
    let then = (0..100).filter(|_| passes(health.view(OFFER, at(17)))).count();
    let later = (0..100).filter(|_| passes(health.view(OFFER, at(18)))).count();
    assert_eq!((first, then, later), (10, 55, 100));
}

fn failure(class: ErrorClass, has_next: bool) -> Failure {
    Failure { class, hint: RateHint::default(), tries_made: 0, has_next }
}

#[test]
fn a_retry_needs_a_reason_a_try_left_and_the_budget() {
    let mut health = health();
    let claim = health.claim(OFFER, at(0)).unwrap();
    let mut next = |failure: &Failure| health.after_failure(claim, at(0), failure, u64::MAX);
    let error = failure(ErrorClass::ServerError, false);
    assert_eq!(next(&failure(ErrorClass::InvalidRequest, true)), Next::Stop);
    assert_eq!(next(&failure(ErrorClass::ServerError, true)), Next::NextOffer);
    assert_eq!(next(&failure(ErrorClass::Timeout, false)), Next::NextOffer);
    assert_eq!(next(&Failure { tries_made: 2, ..error }), Next::NextOffer);
    let long = RateHint { retry_after_ms: Some(4_001) };
    assert_eq!(next(&Failure { hint: long, ..error }), Next::NextOffer, "longer than the wait cap");
    let short = RateHint { retry_after_ms: Some(3_000) };
    assert_eq!(next(&Failure { hint: short, ..error }), Next::Same { wait_micros: 3_250_000 });
    assert_eq!(next(&error), Next::NextOffer, "the budget is spent");
}

#[test]
fn waits_are_anywhere_between_none_and_a_doubling_bound() {
    let config = policy::retry::RetryConfig::default();
    let waits = |tries_made, random| {
        let failed = Failure { tries_made, ..failure(ErrorClass::Overloaded, false) };
        policy::retry::wait(&config, &failed, random)
    };
    assert_eq!(waits(0, 0), Some(0));
    assert_eq!(waits(0, u64::MAX), Some(250_000));
    assert_eq!(waits(1, u64::MAX), Some(500_000));
    assert_eq!(waits(1, u64::MAX / 2), Some(250_000));
    assert_eq!(waits(2, 0), None);
}

#[test]
fn a_failover_to_another_offer_is_no_retry_and_draws_nothing() {
    const NEXT: OfferIx = OfferIx(4);
    let mut health = health();
    let full = |health: &mut Health| health.report(at(0))[3].retries_permille;
    let begun = health.claim(OFFER, at(0)).unwrap();
    succeed(&mut health, begun, at(0));
    let before = full(&mut health);
    // Nine failures among the last twenty calls leave the breaker closed.
    for _ in 0..9 {
        let claim = health.claim(OFFER, at(0)).unwrap();
        fail(&mut health, claim, at(0), ErrorClass::ServerError);
        let next = health.after_failure(claim, at(0), &failure(ErrorClass::ServerError, true), 0);
        assert_eq!(next, Next::NextOffer);
        let claim = health.claim(NEXT, at(0)).unwrap();
        succeed(&mut health, claim, at(0));
    }
    let report = health.report(at(0));
    assert!(full(&mut health) >= before, "{report:?}");
    for it in &report[3..=4] {
        assert_eq!(it.attempts, it.planned, "amplification is counted for each offer alone");
    }
}

/// Asks the offer so often, each time with a failure that may be repeated and with nowhere else to go; the breaker
/// stays closed between them. How often the same offer was to be asked again.
fn retries(config: RetryConfig, requests: usize) -> u64 {
    let breaker = BreakerConfig {
        consecutive: u8::MAX,
        window: 64,
        open_basis_points: 10_000,
        ..BreakerConfig::default()
    };
    let mut health = Health::new(HealthConfig { breaker, retry: config });
    for _ in 0..requests {
        let claim = health.claim(OFFER, at(0)).unwrap();
        let error = failure(ErrorClass::ServerError, false);
        if matches!(health.after_failure(claim, at(0), &error, 0), Next::Same { .. }) {
            // The second try is good.
            succeed(&mut health, claim, at(0));
        }
    }
    let report = health.report(at(0))[3];
    assert_eq!(report.planned, requests as u64);
    report.attempts - report.planned
}

#[test]
fn retries_at_one_offer_are_the_share_of_its_requests_that_is_configured_and_one() {
    let default = RetryConfig::default();
    assert_eq!(retries(default, 1_000), 101);
    assert_eq!(retries(RetryConfig { basis_points: 250, ..default }, 1_000), 26);
    assert_eq!(retries(RetryConfig { basis_points: 0, ..default }, 1_000), 0);
    assert_eq!(retries(RetryConfig { tries_max: 0, ..default }, 1_000), 0);
}

#[test]
fn failures_that_a_shorter_window_no_longer_holds_do_not_open_it() {
    let mut health = health();
    calls(&mut health, 0, &[Ok(()); 12]);
    calls(&mut health, 0, &[Err(ErrorClass::ServerError); 7]);
    calls(&mut health, 0, &[Ok(())]);
    let breaker = BreakerConfig { window: 5, ..BreakerConfig::default() };
    health.configure(HealthConfig { breaker, ..HealthConfig::default() });
    calls(&mut health, 0, &[Ok(()), Err(ErrorClass::ServerError), Err(ErrorClass::ServerError)]);
    assert_eq!(health.peek(OFFER, at(0)), Availability::Ready, "two of five");
    calls(&mut health, 0, &[Err(ErrorClass::ServerError)]);
    assert!(matches!(health.peek(OFFER, at(0)), Availability::Open { .. }), "three of five");
}

#[test]
fn nothing_is_retried_at_an_offer_whose_breaker_has_opened() {
    let mut health = health();
    let claim = health.claim(OFFER, at(0)).unwrap();
    calls(&mut health, 0, &[Err(ErrorClass::Unreachable); 5]);
    let next = health.after_failure(claim, at(0), &failure(ErrorClass::Unreachable, false), 0);
    assert_eq!(next, Next::NextOffer);
}
