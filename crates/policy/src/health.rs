//! What is known of each offer's health: its breakers and when its provider wants us back.

use domain::{Blame, ErrorClass, RateHint, UnixMicros};

use crate::breaker::{Breaker, BreakerRules, Passage};

/// Classes that have a breaker of their own.
const CLASSES: [ErrorClass; 8] = [
    ErrorClass::Unreachable,
    ErrorClass::Timeout,
    ErrorClass::RateLimited,
    ErrorClass::Overloaded,
    ErrorClass::ServerError,
    ErrorClass::BadResponse,
    ErrorClass::ModelNotFound,
    ErrorClass::Stall,
];

/// Longest time that a provider can set an offer aside for, in microseconds.
const ASIDE_MAX_MICROS: i64 = 3_600_000_000;

/// One offer's health.
#[derive(Clone, Debug, Default)]
pub struct OfferHealth {
    breakers: [Breaker; CLASSES.len()],
    aside_until: Option<UnixMicros>,
    asked: u64,
    /// Whether anything is other than whole: the common path looks at nothing else.
    troubled: bool,
}

/// What health says about using an offer now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Use it.
    #[default]
    Good,
    /// Use it; the request is its probe.
    Probe,
    /// Its breaker keeps it away until then.
    Open(UnixMicros),
    /// Its provider asked us to stay away until then.
    Aside(UnixMicros),
    /// It recovers, and this request is not in its share.
    Recovering,
}

impl OfferHealth {
    /// What to make of the offer now. Each call counts as one request that asks.
    pub fn view(&mut self, now: UnixMicros, rules: &BreakerRules) -> Health {
        if !self.troubled {
            return Health::Good;
        }
        self.asked = self.asked.wrapping_add(1);
        let health = self.peek(now, rules);
        if health == Health::Good && self.breakers.iter().all(Breaker::is_closed) {
            self.troubled = false;
            self.aside_until = None;
        }
        health
    }

    /// The same without counting: for reports.
    pub fn peek(&self, now: UnixMicros, rules: &BreakerRules) -> Health {
        if let Some(until) = self.aside_until.filter(|until| now < *until) {
            return Health::Aside(until);
        }
        let mut health = Health::Good;
        for breaker in &self.breakers {
            match breaker.passage(now, self.asked, rules) {
                Passage::Probe if health == Health::Good => health = Health::Probe,
                Passage::Open | Passage::Probe => {}
                Passage::Passed => health = Health::Recovering,
                Passage::Resting(until) => return Health::Open(until),
            }
        }
        health
    }

    /// The request is this offer's probe: until it reports, no other goes there.
    pub fn take_probe(&mut self, now: UnixMicros, rules: &BreakerRules) {
        for breaker in &mut self.breakers {
            if breaker.passage(now, self.asked, rules) == Passage::Probe {
                breaker.probe(now);
            }
        }
    }

    /// How a call ended. Errors that are the client's or a credential's are no fault of the offer and say nothing
    /// about its health. Returns whether a breaker opened.
    pub fn observe(
        &mut self,
        now: UnixMicros,
        class: ErrorClass,
        hint: RateHint,
        rules: &BreakerRules,
    ) -> bool {
        if class.blame() != Blame::Offer {
            if class == ErrorClass::None {
                self.breakers.iter_mut().for_each(|breaker| breaker.succeeded(rules));
            }
            return false;
        }
        self.troubled = true;
        if let Some(millis) = hint.retry_after_ms {
            let micros = i64::try_from(millis)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000)
                .min(ASIDE_MAX_MICROS);
            self.aside_until = self.aside_until.max(Some(now.plus_micros(micros)));
        }
        let mut opened = false;
        for (breaker, of) in self.breakers.iter_mut().zip(CLASSES) {
            if of == class {
                opened = breaker.failed(now, rules);
            }
        }
        opened
    }

    /// Whether a breaker keeps requests away.
    pub fn is_open(&self) -> bool {
        self.breakers.iter().any(Breaker::is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: fn() -> BreakerRules = BreakerRules::default;

    fn at(secs: i64) -> UnixMicros {
        UnixMicros::from_secs(secs)
    }

    #[test]
    fn a_clients_own_mistakes_never_open_a_breaker() {
        let mut health = OfferHealth::default();
        for _ in 0..100 {
            health.observe(at(0), ErrorClass::InvalidRequest, RateHint::default(), &RULES());
            health.observe(at(0), ErrorClass::Auth, RateHint::default(), &RULES());
        }
        assert_eq!(health.view(at(0), &RULES()), Health::Good);
    }

    #[test]
    fn a_provider_that_says_when_is_left_alone_until_then() {
        let mut health = OfferHealth::default();
        let hint = RateHint { retry_after_ms: Some(7_000) };
        health.observe(at(0), ErrorClass::RateLimited, hint, &RULES());
        assert_eq!(health.view(at(6), &RULES()), Health::Aside(at(7)));
        assert_eq!(health.view(at(8), &RULES()), Health::Good);
    }

    #[test]
    fn an_offer_that_is_down_rests_and_then_gets_one_probe() {
        let mut health = OfferHealth::default();
        for _ in 0..5 {
            health.observe(at(0), ErrorClass::Unreachable, RateHint::default(), &RULES());
        }
        assert_eq!(health.view(at(1), &RULES()), Health::Open(at(15)));
        assert_eq!(health.view(at(15), &RULES()), Health::Probe);
        health.take_probe(at(15), &RULES());
        assert!(matches!(health.view(at(16), &RULES()), Health::Open(_)));
        health.observe(at(17), ErrorClass::None, RateHint::default(), &RULES());
        let good = (0..1_000).filter(|_| health.view(at(18), &RULES()) == Health::Good).count();
        assert_eq!(good, 100, "ten percent to begin with");
    }
}
