//! What is known about every offer's health: breakers, set-asides and retry budgets, by offer.

use domain::{ErrorClass, RateHint, UnixMicros};

use crate::breaker::{Breaker, BreakerConfig, BreakerState};
use crate::retry::{self, Failure, Next, RetryBudget, RetryConfig};
use crate::{Availability, OfferIx};

/// Numbers of breakers and retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthConfig {
    /// Breakers.
    pub breaker: BreakerConfig,
    /// Retries.
    pub retry: RetryConfig,
}

#[derive(Clone, Debug)]
struct Entry {
    breaker: Breaker,
    retries: RetryBudget,
    planned: u64,
    attempts: u64,
}

/// The right to ask an offer, to be handed back with the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "report the outcome with `Health::observe`"]
pub struct Claim {
    /// The offer.
    pub offer: OfferIx,
    probe: bool,
}

impl Claim {
    /// Whether this request tries if the offer works again.
    pub fn is_probe(self) -> bool {
        self.probe
    }

    /// The right to a further call on a line that is open: it tries nothing out.
    pub fn further(self) -> Self {
        Self { probe: false, ..self }
    }
}

/// One offer's health, for metrics and people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferReport {
    /// Which.
    pub offer: OfferIx,
    /// Its breaker.
    pub breaker: BreakerState,
    /// Whether it may be asked now.
    pub availability: Availability,
    /// Requests planned to it.
    pub planned: u64,
    /// Attempts made at it, retries included.
    pub attempts: u64,
    /// Retries left, in thousandths of what can be saved up.
    pub retries_permille: u32,
}

/// The health of all offers. Offers are numbered once per process ([`OfferIx`]); the table grows as they appear and
/// a number is never given to another offer, so what was learned survives a reload.
#[derive(Clone, Debug, Default)]
pub struct Health {
    config: HealthConfig,
    offers: Vec<Entry>,
}

impl Health {
    /// Nothing learned yet.
    pub fn new(config: HealthConfig) -> Self {
        Self { config, offers: Vec::new() }
    }

    /// Changes the numbers; what was learned stays.
    pub fn configure(&mut self, config: HealthConfig) {
        self.config = config;
    }

    fn entry(&mut self, offer: OfferIx, now: UnixMicros) -> Option<&mut Entry> {
        let at = usize::from(offer.0);
        while self.offers.len() <= at {
            self.offers.push(Entry {
                breaker: Breaker::new(),
                retries: RetryBudget::new(now),
                planned: 0,
                attempts: 0,
            });
        }
        self.offers.get_mut(at)
    }

    /// Whether this request may go to the offer. Call once per request and candidate while building the snapshot:
    /// an offer that recovers counts its eligible requests here.
    pub fn view(&mut self, offer: OfferIx, now: UnixMicros) -> Availability {
        let config = self.config.breaker;
        self.entry(offer, now).map_or(Availability::Ready, |it| it.breaker.view(&config, now))
    }

    /// The same without counting: for `route why`, dry runs and metrics.
    pub fn peek(&mut self, offer: OfferIx, now: UnixMicros) -> Availability {
        let config = self.config.breaker;
        self.entry(offer, now).map_or(Availability::Ready, |it| it.breaker.peek(&config, now))
    }

    /// Takes the right to ask the offer, once per request and offer, right before its first attempt there. `None`:
    /// go on to the next offer of the plan; the breaker has opened meanwhile, or another request is trying.
    pub fn claim(&mut self, offer: OfferIx, now: UnixMicros) -> Option<Claim> {
        let config = self.config;
        let entry = self.entry(offer, now)?;
        let probe = entry.breaker.claim(&config.breaker, now)?;
        entry.planned = entry.planned.saturating_add(1);
        entry.attempts = entry.attempts.saturating_add(1);
        entry.retries.earn(&config.retry);
        Some(Claim { offer, probe })
    }

    /// Learns how an attempt ended: once for each attempt. A client that left is `Err(ErrorClass::None)`: it says
    /// nothing, and frees a try.
    pub fn observe(
        &mut self,
        claim: Claim,
        now: UnixMicros,
        outcome: Result<(), ErrorClass>,
        hint: RateHint,
    ) {
        let config = self.config.breaker;
        if let Some(entry) = self.entry(claim.offer, now) {
            entry.breaker.observe(&config, now, claim.probe, outcome, hint);
        }
    }

    /// What to do after a failed attempt that was observed. `Next::Same` has drawn from the offer's retry budget and
    /// counts the further attempt; nothing is retried at an offer whose breaker has opened.
    pub fn after_failure(
        &mut self,
        claim: Claim,
        now: UnixMicros,
        failure: &Failure,
        random: u64,
    ) -> Next {
        let config = self.config;
        let Some(entry) = self.entry(claim.offer, now) else { return Next::NextOffer };
        let closed = entry.breaker.state(&config.breaker, now) == BreakerState::Closed;
        let failure = Failure { has_next: failure.has_next || !closed, ..*failure };
        let next = retry::next(&config.retry, &mut entry.retries, now, &failure, random);
        if matches!(next, Next::Same { .. }) {
            entry.attempts = entry.attempts.saturating_add(1);
        }
        next
    }

    /// How every offer stands.
    pub fn report(&mut self, now: UnixMicros) -> Vec<OfferReport> {
        let config = self.config;
        let entries = self.offers.iter_mut().enumerate();
        entries
            .map(|(at, entry)| OfferReport {
                offer: OfferIx(u16::try_from(at).unwrap_or(u16::MAX)),
                breaker: entry.breaker.state(&config.breaker, now),
                availability: entry.breaker.peek(&config.breaker, now),
                planned: entry.planned,
                attempts: entry.attempts,
                retries_permille: entry.retries.permille_left(&config.retry),
            })
            .collect()
    }
}
