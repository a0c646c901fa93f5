//! Whether a failed attempt is repeated at the same offer, and after how long.
//!
//! The first failover of a request to a *different* offer is no retry and needs no permission. A second try at the
//! same offer does: at most two of them, drawn from a budget that each request fills by a tenth, so that an offer
//! never sees more than 1.10 times the requests planned to it. The caller makes no retry once a byte of the answer
//! has reached the client; nothing here can know that.

use domain::{ErrorClass, RateHint, UnixMicros};

/// Numbers of the retry rules; times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Most further tries at one offer for one request.
    pub tries_max: u8,
    /// Retries per ten thousand requests.
    pub basis_points: u32,
    /// Retries that a quiet time can save up.
    pub saved_max: u32,
    /// A system that is too quiet to earn a retry gets one this often.
    pub floor_every: u64,
    /// The first wait is random between 0 and this; each further one doubles it.
    pub wait_first: u64,
    /// No wait is longer; a provider that asks for more is not waited for.
    pub wait_max: u64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            tries_max: 2,
            basis_points: 1_000,
            saved_max: 10,
            floor_every: 60_000_000,
            wait_first: 250_000,
            wait_max: 4_000_000,
        }
    }
}

/// Retries that may still be made, in ten-thousandths of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    parts: u64,
    floor_at: UnixMicros,
}

const ONE: u64 = 10_000;

impl RetryBudget {
    /// One retry to begin with.
    pub fn new(now: UnixMicros) -> Self {
        Self { parts: ONE, floor_at: now }
    }

    /// A request was planned to the offer.
    pub fn earn(&mut self, config: &RetryConfig) {
        let most = u64::from(config.saved_max.max(1)).saturating_mul(ONE);
        self.parts = self.parts.saturating_add(u64::from(config.basis_points)).min(most);
    }

    /// Takes one retry, if there is one.
    pub fn draw(&mut self, config: &RetryConfig, now: UnixMicros) -> bool {
        let floor = i64::try_from(config.floor_every).unwrap_or(i64::MAX);
        if config.basis_points == 0 {
            return false;
        }
        if self.parts < ONE && now.micros_since(self.floor_at) >= floor {
            self.parts = ONE;
        }
        if self.parts < ONE {
            return false;
        }
        self.parts -= ONE;
        self.floor_at = now;
        true
    }

    /// What is left, in parts of what can be saved: 0 to 1000. For metrics.
    pub fn permille_left(&self, config: &RetryConfig) -> u32 {
        let most = u64::from(config.saved_max.max(1)).saturating_mul(ONE);
        u32::try_from(self.parts.min(most) * 1_000 / most).unwrap_or(1_000)
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the same offer again after so many microseconds.
    Same {
        /// The wait.
        wait_micros: u64,
    },
    /// Go on to the next offer of the plan, if any.
    NextOffer,
    /// No other offer would do better: tell the client.
    Stop,
}

/// A failed attempt.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// What went wrong.
    pub class: ErrorClass,
    /// What the provider said about when to come back.
    pub hint: RateHint,
    /// Further tries already made at this offer for this request.
    pub tries_made: u8,
    /// Whether another offer follows in the plan: then it is asked at once rather than this one again.
    pub has_next: bool,
}

/// The wait before a further try, or `None` if the rules allow none (the budget is not looked at).
pub fn wait(config: &RetryConfig, failure: &Failure, random: u64) -> Option<u64> {
    if failure.tries_made >= config.tries_max || !failure.class.may_retry_same() {
        return None;
    }
    let least = failure.hint.retry_after_ms.map_or(0, |ms| ms.saturating_mul(1_000));
    if least > config.wait_max {
        return None;
    }
    let doubled = config.wait_first.checked_shl(u32::from(failure.tries_made)).unwrap_or(u64::MAX);
    let range = doubled.min(config.wait_max);
    // Full jitter: anywhere in the range, so that clients that failed together do not come back together. The
    // product of two 64-bit numbers picks without bias worth mentioning.
    let jitter = ((u128::from(random) * (u128::from(range) + 1)) >> 64) as u64;
    Some(least.saturating_add(jitter).min(config.wait_max.max(least)))
}

/// Decides. Draws from `budget` only when the same offer is to be asked again.
pub fn next(
    config: &RetryConfig,
    budget: &mut RetryBudget,
    now: UnixMicros,
    failure: &Failure,
    random: u64,
) -> Next {
    if !failure.class.may_fail_over() {
        return Next::Stop;
    }
    if failure.has_next {
        return Next::NextOffer;
    }
    match wait(config, failure, random) {
        Some(wait_micros) if budget.draw(config, now) => Next::Same { wait_micros },
        _ => Next::NextOffer,
    }
}
