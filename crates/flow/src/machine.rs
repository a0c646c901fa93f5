//! Attempts, retries and failover.

use domain::{ErrorClass, RateHint};

/// Most attempts of one request over all offers: a stop for loops that a rule below should have ended.
const ATTEMPTS_MAX: u16 = 8;

/// Why an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is the first.
    First,
    /// The same offer again; drawn from the retry budget.
    Retry,
    /// The next offer, after another one failed.
    Failover,
}

/// One call to one offer that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<Offer> {
    /// Where.
    pub offer: Offer,
    /// Which attempt of the request this is, from 0.
    pub number: u16,
    /// Why.
    pub why: Why,
    /// How long to wait first, in milliseconds.
    pub wait_ms: u64,
}

/// Why nothing more is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// There was no offer to begin with.
    NoCandidate,
    /// The budget does not cover a (further) attempt.
    Budget,
    /// Nothing may be sent, because intents can't be written.
    LedgerUnavailable,
    /// The last attempt's fault stands.
    Fault {
        /// What it was.
        class: ErrorClass,
        /// What the provider said about coming back.
        hint: RateHint,
    },
}

/// What the driver does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<Offer> {
    /// Reserve for the attempt and make its intent durable.
    Prepare(Attempt<Offer>),
    /// Send it.
    Dispatch,
    /// Forward the answer; from now on nothing is retried.
    Relay,
    /// Answer the client with an error.
    Fail(GiveUp),
    /// End the stream with an error event and an aborted body.
    Abort,
    /// Nothing more: settle and forget.
    Done,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The attempt is reserved and its intent durable.
    Prepared,
    /// The reservation was refused.
    BudgetRefused,
    /// The intent could not be written.
    LedgerUnavailable,
    /// The attempt failed before any byte went to the client.
    Failed {
        /// How.
        class: ErrorClass,
        /// What the provider said about coming back.
        hint: RateHint,
    },
    /// The first good bytes of the answer are here.
    FirstByte,
    /// The answer is whole.
    Finished,
    /// The answer was cut after its first byte went out.
    Cut,
    /// The client left.
    ClientLeft,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// An attempt is being reserved and written.
    Preparing,
    /// Sent, nothing back yet.
    Waiting,
    /// The answer is flowing to the client.
    Relaying,
    /// Over.
    Over,
}

/// The rules for trying again; from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Most further tries at the same offer.
    pub same_offer_max: u16,
    /// Longest wait before a try at the same offer; a provider that asks for more is left.
    pub wait_max_ms: u64,
    /// Base of the exponential backoff.
    pub backoff_ms: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { same_offer_max: 2, wait_max_ms: 2_000, backoff_ms: 100 }
    }
}

/// The state machine of one request over the planned offers, best first.
#[derive(Clone, Debug)]
pub struct Flow<'plan, Offer> {
    offers: &'plan [Offer],
    rules: Rules,
    state: State,
    at: usize,
    attempts: u16,
    tries_here: u16,
}

impl<'plan, Offer: Copy> Flow<'plan, Offer> {
    /// Begins with the plan's offers and says what to do first.
    pub fn begin(offers: &'plan [Offer], rules: Rules) -> (Self, Action<Offer>) {
        let mut flow =
            Self { offers, rules, state: State::Preparing, at: 0, attempts: 0, tries_here: 0 };
        let action = match offers.first() {
            Some(offer) => flow.prepare(*offer, Why::First, 0),
            None => flow.fail(GiveUp::NoCandidate),
        };
        (flow, action)
    }

    /// Where the request stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Attempts begun so far.
    pub fn attempts(&self) -> u16 {
        self.attempts
    }

    /// Takes an event and says what to do. `may_retry` draws from the retry budget and is asked only when a retry at
    /// the same offer is wanted; `random` feeds the jitter of its wait.
    pub fn on(
        &mut self,
        event: Event,
        random: u64,
        may_retry: impl FnOnce() -> bool,
    ) -> Action<Offer> {
        match (self.state, event) {
            (State::Over, _) => Action::Done,
            (_, Event::ClientLeft | Event::Finished) => {
                self.state = State::Over;
                Action::Done
            }
            (_, Event::LedgerUnavailable) => self.fail(GiveUp::LedgerUnavailable),
            (_, Event::BudgetRefused) => self.fail(GiveUp::Budget),
            (State::Preparing, Event::Prepared) => {
                self.state = State::Waiting;
                Action::Dispatch
            }
            (State::Waiting, Event::FirstByte) => {
                self.state = State::Relaying;
                Action::Relay
            }
            (State::Relaying, Event::Failed { .. } | Event::Cut) => {
                self.state = State::Over;
                Action::Abort
            }
            (_, Event::Failed { class, hint }) => self.next(class, hint, random, may_retry),
            // Events that don't fit the state come from a driver's mistake; keeping course is the safe answer.
            (State::Relaying, _) => Action::Relay,
            (State::Waiting | State::Preparing, _) => {
                self.fail(GiveUp::Fault { class: ErrorClass::Internal, hint: RateHint::default() })
            }
        }
    }

    fn next(
        &mut self,
        class: ErrorClass,
        hint: RateHint,
        random: u64,
        may_retry: impl FnOnce() -> bool,
    ) -> Action<Offer> {
        let fault = GiveUp::Fault { class, hint };
        if self.attempts >= ATTEMPTS_MAX {
            return self.fail(fault);
        }
        // A different offer first: it needs no wait and does not add to the load of one that is in trouble.
        if class.may_fail_over()
            && let Some(offer) = self.offers.get(self.at + 1).copied()
        {
            self.at += 1;
            self.tries_here = 0;
            return self.prepare(offer, Why::Failover, 0);
        }
        let wait_ms = self.wait_ms(hint, random);
        let worth_it = class.may_retry_same()
            && self.tries_here <= self.rules.same_offer_max
            && wait_ms <= self.rules.wait_max_ms;
        match self.offers.get(self.at).copied() {
            Some(offer) if worth_it && may_retry() => self.prepare(offer, Why::Retry, wait_ms),
            _ => self.fail(fault),
        }
    }

    /// What the provider asked for, else full jitter over an exponential backoff.
    fn wait_ms(&self, hint: RateHint, random: u64) -> u64 {
        if let Some(asked) = hint.retry_after_ms {
            return asked;
        }
        let doublings = u32::from(self.tries_here.saturating_sub(1)).min(16);
        let ceiling =
            self.rules.backoff_ms.saturating_mul(1 << doublings).min(self.rules.wait_max_ms);
        random % ceiling.saturating_add(1)
    }

    fn prepare(&mut self, offer: Offer, why: Why, wait_ms: u64) -> Action<Offer> {
        let number = self.attempts;
        self.attempts += 1;
        self.tries_here += 1;
        self.state = State::Preparing;
        Action::Prepare(Attempt { offer, number, why, wait_ms })
    }

    fn fail(&mut self, why: GiveUp) -> Action<Offer> {
        self.state = State::Over;
        Action::Fail(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HINT: RateHint = RateHint { retry_after_ms: None };

    fn failed(class: ErrorClass) -> Event {
        Event::Failed { class, hint: HINT }
    }

    #[test]
    fn the_next_offer_takes_over_before_the_first_byte_without_the_retry_budget() {
        let (mut flow, first) = Flow::begin(&['a', 'b'], Rules::default());
        assert_eq!(
            first,
            Action::Prepare(Attempt { offer: 'a', number: 0, why: Why::First, wait_ms: 0 })
        );
        assert_eq!(flow.on(Event::Prepared, 0, || false), Action::Dispatch);
        let next = flow.on(failed(ErrorClass::ServerError), 0, || panic!("failover is no retry"));
        assert_eq!(
            next,
            Action::Prepare(Attempt { offer: 'b', number: 1, why: Why::Failover, wait_ms: 0 })
        );
    }

    #[test]
    fn nothing_is_retried_once_a_byte_went_out() {
        let (mut flow, _) = Flow::begin(&['a', 'b'], Rules::default());
        flow.on(Event::Prepared, 0, || true);
        assert_eq!(flow.on(Event::FirstByte, 0, || true), Action::Relay);
        assert_eq!(flow.on(failed(ErrorClass::Stall), 0, || true), Action::Abort);
        assert_eq!(flow.on(Event::Prepared, 0, || true), Action::Done);
    }

    #[test]
    fn a_client_error_is_nobody_elses_business() {
        let (mut flow, _) = Flow::begin(&['a', 'b'], Rules::default());
        flow.on(Event::Prepared, 0, || true);
        let class = ErrorClass::InvalidRequest;
        assert_eq!(
            flow.on(failed(class), 0, || true),
            Action::Fail(GiveUp::Fault { class, hint: HINT })
        );
    }

    #[test]
    fn a_provider_that_asks_for_a_long_wait_is_left() {
        let (mut flow, _) = Flow::begin(&['a'], Rules::default());
        flow.on(Event::Prepared, 0, || true);
        let hint = RateHint { retry_after_ms: Some(60_000) };
        let class = ErrorClass::RateLimited;
        assert_eq!(
            flow.on(Event::Failed { class, hint }, 0, || true),
            Action::Fail(GiveUp::Fault { class, hint })
        );
    }

    #[test]
    fn the_last_offer_is_retried_only_from_the_budget() {
        let (mut flow, _) = Flow::begin(&['a'], Rules::default());
        flow.on(Event::Prepared, 0, || true);
        let retried = flow.on(failed(ErrorClass::Overloaded), 7, || true);
        assert_eq!(
            retried,
            Action::Prepare(Attempt { offer: 'a', number: 1, why: Why::Retry, wait_ms: 7 })
        );
        flow.on(Event::Prepared, 0, || true);
        let class = ErrorClass::Overloaded;
        assert_eq!(
            flow.on(failed(class), 7, || false),
            Action::Fail(GiveUp::Fault { class, hint: HINT })
        );
    }

    #[test]
    fn no_offer_is_no_candidate() {
        let (flow, action) = Flow::<char>::begin(&[], Rules::default());
        assert_eq!(action, Action::Fail(GiveUp::NoCandidate));
        assert_eq!(flow.state(), State::Over);
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let class = (0..ErrorClass::ALL.len()).prop_map(|at| ErrorClass::ALL[at]);
        prop_oneof![
            Just(Event::Prepared),
            Just(Event::BudgetRefused),
            Just(Event::LedgerUnavailable),
            class.prop_map(failed),
            Just(Event::FirstByte),
            Just(Event::Finished),
            Just(Event::Cut),
            Just(Event::ClientLeft),
        ]
    }

    proptest! {
        /// Whatever a driver reports, the machine ends, and never prepares an attempt after the first byte.
        #[test]
        fn it_always_ends(events in prop::collection::vec(any_event(), 0..60), offers in 0_usize..5) {
            let offers: Vec<usize> = (0..offers).collect();
            let (mut flow, _) = Flow::begin(&offers, Rules::default());
            let mut relayed = false;
            for event in events {
                let action = flow.on(event, 3, || true);
                relayed |= action == Action::Relay;
                prop_assert!(!(relayed && matches!(action, Action::Prepare(_))));
                prop_assert!(flow.attempts() <= ATTEMPTS_MAX);
            }
        }
    }
}
