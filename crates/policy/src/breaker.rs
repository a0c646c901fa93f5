//! A breaker for one (offer, error class): after too many failures the offer rests, is probed, and comes back slowly.

use domain::UnixMicros;

/// Calls that the window remembers at most.
const WINDOW_MAX: u32 = 64;

/// When a breaker opens and how it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// Share of failures that opens it, in hundredths of a percent.
    pub open_at_basis_points: u32,
    /// Over so many calls, at most 64.
    pub over_calls: u32,
    /// Failures in a row that open it whatever the share.
    pub in_a_row: u32,
    /// First rest, in microseconds; doubles with each failed probe.
    pub rest_micros: i64,
    /// Longest rest, in microseconds.
    pub rest_max_micros: i64,
    /// Calls that each step of the recovery (10, 25, 50 %) takes.
    pub step_calls: u32,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            open_at_basis_points: 5_000,
            over_calls: 20,
            in_a_row: 5,
            rest_micros: 15_000_000,
            rest_max_micros: 300_000_000,
            step_calls: 10,
        }
    }
}

/// Shares of requests that a recovering offer takes, in percent; after the last it is whole again.
const RECOVERY_PERCENT: [u32; 3] = [10, 25, 50];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: UnixMicros },
    Probing { since: UnixMicros },
    Recovering { step: u8, calls: u32 },
}

/// Whether a request may pass a breaker now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It may.
    Open,
    /// It may, as the probe: if it fails, the rest is longer.
    Probe,
    /// Not before then.
    Resting(UnixMicros),
    /// Not this one: the offer takes a share of requests only.
    Passed,
}

/// The breaker of one (offer, error class).
#[derive(Clone, Debug)]
pub struct Breaker {
    state: State,
    /// The last calls, newest in the lowest bit; a set bit is a failure.
    window: u64,
    calls: u32,
    in_a_row: u32,
    rests: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed, window: 0, calls: 0, in_a_row: 0, rests: 0 }
    }
}

impl Breaker {
    /// Whether a request may pass; `counter` numbers the requests that ask, so that shares are exact and repeatable.
    pub fn passage(&self, now: UnixMicros, counter: u64, rules: &BreakerRules) -> Passage {
        match self.state {
            State::Closed => Passage::Open,
            State::Open { until } if now < until => Passage::Resting(until),
            State::Open { .. } => Passage::Probe,
            // A probe that never reports (its process died) must not lock the offer out for ever.
            State::Probing { since } if now.micros_since(since) > rules.rest_micros => {
                Passage::Probe
            }
            State::Probing { since } => Passage::Resting(since.plus_micros(rules.rest_micros)),
            State::Recovering { step, .. } => {
                let percent =
                    u64::from(RECOVERY_PERCENT.get(usize::from(step)).copied().unwrap_or(100));
                // Request k passes when the k-th multiple of the share crosses a whole number: exact and even.
                let share = |k: u64| k.wrapping_mul(percent) / 100;
                if share(counter.wrapping_add(1) % 1_000_000) == share(counter % 1_000_000) {
                    Passage::Passed
                } else {
                    Passage::Open
                }
            }
        }
    }

    /// A request takes the probe.
    pub fn probe(&mut self, now: UnixMicros) {
        self.state = State::Probing { since: now };
    }

    /// A call ended well.
    pub fn succeeded(&mut self, rules: &BreakerRules) {
        self.note(false);
        self.in_a_row = 0;
        self.state = match self.state {
            State::Closed => State::Closed,
            State::Open { .. } | State::Probing { .. } => State::Recovering { step: 0, calls: 0 },
            State::Recovering { step, calls } if calls + 1 < rules.step_calls => {
                State::Recovering { step, calls: calls + 1 }
            }
            State::Recovering { step, .. } if usize::from(step) + 1 < RECOVERY_PERCENT.len() => {
                State::Recovering { step: step + 1, calls: 0 }
            }
            State::Recovering { .. } => {
                self.window = 0;
                self.calls = 0;
                self.rests = 0;
                State::Closed
            }
        };
    }

    /// A call failed in this breaker's class. Returns whether that opened it.
    pub fn failed(&mut self, now: UnixMicros, rules: &BreakerRules) -> bool {
        self.note(true);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let opens = match self.state {
            State::Closed => self.too_many(rules),
            State::Probing { .. } | State::Recovering { .. } => true,
            // Calls that were under way when it opened say nothing new.
            State::Open { .. } => false,
        };
        if opens {
            let doublings = self.rests.min(16);
            let rest = rules.rest_micros.saturating_mul(1 << doublings).min(rules.rest_max_micros);
            self.rests = self.rests.saturating_add(1);
            self.in_a_row = 0;
            self.state = State::Open { until: now.plus_micros(rest) };
        }
        opens
    }

    /// Whether it keeps requests away.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::Probing { .. })
    }

    /// Whether it was never touched, or is whole again.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    fn note(&mut self, failure: bool) {
        self.window = (self.window << 1) | u64::from(failure);
        self.calls = self.calls.saturating_add(1).min(WINDOW_MAX);
    }

    fn too_many(&self, rules: &BreakerRules) -> bool {
        if self.in_a_row >= rules.in_a_row {
            return true;
        }
        let over = rules.over_calls.clamp(1, WINDOW_MAX);
        if self.calls < over {
            return false;
        }
        let mask = if over == 64 { u64::MAX } else { (1 << over) - 1 };
        let failures = (self.window & mask).count_ones();
        u64::from(failures) * 10_000 >= u64::from(over) * u64::from(rules.open_at_basis_points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerRules = BreakerRules {
        open_at_basis_points: 5_000,
        over_calls: 20,
        in_a_row: 5,
        rest_micros: 15_000_000,
        rest_max_micros: 300_000_000,
        step_calls: 10,
    };

    fn at(secs: i64) -> UnixMicros {
        UnixMicros::from_secs(secs)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.failed(at(0), &RULES);
        }
        breaker
    }

    #[test]
    fn half_of_twenty_calls_opens_it_and_less_does_not() {
        let mut breaker = Breaker::default();
        for call in 0..40 {
            // Nine of twenty: failures at every even place but one in twenty.
            if call % 2 == 0 && call % 20 != 0 {
                assert!(!breaker.failed(at(0), &RULES), "call {call}");
            } else {
                breaker.succeeded(&RULES);
            }
        }
        let mut breaker = Breaker::default();
        let opened = (0..20).any(|call| {
            if call % 2 == 1 {
                breaker.failed(at(0), &RULES)
            } else {
                breaker.succeeded(&RULES);
                false
            }
        });
        assert!(opened);
    }

    #[test]
    fn it_rests_is_probed_once_and_rests_longer_when_the_probe_fails() {
        let mut breaker = opened();
        assert_eq!(breaker.passage(at(14), 0, &RULES), Passage::Resting(at(15)));
        assert_eq!(breaker.passage(at(15), 0, &RULES), Passage::Probe);
        breaker.probe(at(15));
        assert_eq!(
            breaker.passage(at(16), 0, &RULES),
            Passage::Resting(at(30)),
            "one probe at a time"
        );
        assert!(breaker.failed(at(16), &RULES));
        assert_eq!(breaker.passage(at(45), 0, &RULES), Passage::Resting(at(46)), "30 s now");
    }

    #[test]
    fn it_comes_back_by_ten_twenty_five_and_fifty_percent() {
        let mut breaker = opened();
        breaker.probe(at(15));
        breaker.succeeded(&RULES);
        for percent in [10, 25, 50] {
            let passed = (0..1_000)
                .filter(|counter| breaker.passage(at(16), *counter, &RULES) == Passage::Open)
                .count();
            assert_eq!(passed, percent * 10);
            for _ in 0..RULES.step_calls {
                breaker.succeeded(&RULES);
            }
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn a_probe_that_never_reports_does_not_lock_the_offer_out() {
        let mut breaker = opened();
        breaker.probe(at(15));
        assert_eq!(breaker.passage(at(31), 0, &RULES), Passage::Probe);
    }
}
