//! Attempts, retries and failover.

use domain::{ErrorClass, RateHint};
use policy::retry::{Failure, Next};

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
    /// How long to wait first, in microseconds.
    pub wait_micros: u64,
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

/// The state machine of one request over the planned offers, best first.
#[derive(Clone, Debug)]
pub struct Flow<'plan, Offer> {
    offers: &'plan [Offer],
    state: State,
    at: usize,
    attempts: u16,
    tries_here: u8,
}

impl<'plan, Offer: Copy> Flow<'plan, Offer> {
    /// Begins with the plan's offers and says what to do first.
    pub fn begin(offers: &'plan [Offer]) -> (Self, Action<Offer>) {
        let mut flow = Self { offers, state: State::Preparing, at: 0, attempts: 0, tries_here: 0 };
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

    /// Takes an event and says what to do. `decide` is the policy's answer to a failed attempt
    /// ([`policy::Health::after_failure`]); it is asked only when there is a choice, since its answer draws from the
    /// retry budget.
    pub fn on(&mut self, event: Event, decide: impl FnOnce(&Failure) -> Next) -> Action<Offer> {
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
            (_, Event::Failed { class, hint }) => self.next(class, hint, decide),
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
        decide: impl FnOnce(&Failure) -> Next,
    ) -> Action<Offer> {
        let fault = GiveUp::Fault { class, hint };
        if self.attempts >= ATTEMPTS_MAX {
            return self.fail(fault);
        }
        let next = self.offers.get(self.at + 1).copied();
        let tries_made = self.tries_here.saturating_sub(1);
        match (decide(&Failure { class, hint, tries_made, has_next: next.is_some() }), next) {
            (Next::Same { wait_micros }, _) => match self.offers.get(self.at).copied() {
                Some(offer) => self.prepare(offer, Why::Retry, wait_micros),
                None => self.fail(fault),
            },
            (Next::NextOffer, Some(offer)) => {
                self.at += 1;
                self.tries_here = 0;
                self.prepare(offer, Why::Failover, 0)
            }
            (Next::NextOffer, None) | (Next::Stop, _) => self.fail(fault),
        }
    }

    /// The offer that is to be prepared can't be asked after all (its breaker opened meanwhile): on to the next one.
    pub fn skip(&mut self) -> Action<Offer> {
        if let Some(offer) = self.offers.get(self.at + 1).copied() {
            self.at += 1;
            self.tries_here = 0;
            self.attempts = self.attempts.saturating_sub(1);
            let why = if self.attempts == 0 { Why::First } else { Why::Failover };
            return self.prepare(offer, why, 0);
        }
        self.fail(GiveUp::NoCandidate)
    }

    fn prepare(&mut self, offer: Offer, why: Why, wait_micros: u64) -> Action<Offer> {
        let number = self.attempts;
        self.attempts += 1;
        self.tries_here += 1;
        self.state = State::Preparing;
        Action::Prepare(Attempt { offer, number, why, wait_micros })
    }

    fn fail(&mut self, why: GiveUp) -> Action<Offer> {
        self.state = State::Over;
        Action::Fail(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::retry::{self, RetryBudget, RetryConfig};
    use proptest::prelude::*;

    const HINT: RateHint = RateHint { retry_after_ms: None };

    fn failed(class: ErrorClass) -> Event {
        Event::Failed { class, hint: HINT }
    }

    fn nothing_to_decide(_: &Failure) -> Next {
        panic!("there is no choice here")
    }

    fn by_policy(failure: &Failure) -> Next {
        let now = domain::UnixMicros::from_secs(1);
        retry::next(&RetryConfig::default(), &mut RetryBudget::new(now), now, failure, 0)
    }

    #[test]
    fn the_next_offer_takes_over_before_the_first_byte() {
        let (mut flow, first) = Flow::begin(&['a', 'b']);
        assert_eq!(
            first,
            Action::Prepare(Attempt { offer: 'a', number: 0, why: Why::First, wait_micros: 0 })
        );
        assert_eq!(flow.on(Event::Prepared, nothing_to_decide), Action::Dispatch);
        let next = flow.on(failed(ErrorClass::ServerError), by_policy);
        assert_eq!(
            next,
            Action::Prepare(Attempt { offer: 'b', number: 1, why: Why::Failover, wait_micros: 0 })
        );
    }

    #[test]
    fn nothing_is_retried_once_a_byte_went_out() {
        let (mut flow, _) = Flow::begin(&['a', 'b']);
        flow.on(Event::Prepared, nothing_to_decide);
        assert_eq!(flow.on(Event::FirstByte, nothing_to_decide), Action::Relay);
        assert_eq!(flow.on(failed(ErrorClass::Stall), nothing_to_decide), Action::Abort);
        assert_eq!(flow.on(Event::Prepared, nothing_to_decide), Action::Done);
    }

    #[test]
    fn a_client_error_is_nobody_elses_business() {
        let (mut flow, _) = Flow::begin(&['a', 'b']);
        flow.on(Event::Prepared, nothing_to_decide);
        let class = ErrorClass::InvalidRequest;
        assert_eq!(
            flow.on(failed(class), by_policy),
            Action::Fail(GiveUp::Fault { class, hint: HINT })
        );
    }

    #[test]
    fn the_last_offer_is_asked_again_when_the_policy_says_so() {
        let (mut flow, _) = Flow::begin(&['a']);
        flow.on(Event::Prepared, nothing_to_decide);
        let retried = flow.on(failed(ErrorClass::Overloaded), by_policy);
        assert_eq!(
            retried,
            Action::Prepare(Attempt { offer: 'a', number: 1, why: Why::Retry, wait_micros: 0 })
        );
        flow.on(Event::Prepared, nothing_to_decide);
        let class = ErrorClass::Overloaded;
        let stopped = flow.on(failed(class), |_| Next::Stop);
        assert_eq!(stopped, Action::Fail(GiveUp::Fault { class, hint: HINT }));
    }

    #[test]
    fn an_offer_that_may_not_be_asked_after_all_is_skipped_without_counting() {
        let (mut flow, _) = Flow::begin(&['a', 'b']);
        let next = flow.skip();
        assert_eq!(
            next,
            Action::Prepare(Attempt { offer: 'b', number: 0, why: Why::First, wait_micros: 0 })
        );
        assert_eq!(flow.skip(), Action::Fail(GiveUp::NoCandidate));
    }

    #[test]
    fn no_offer_is_no_candidate() {
        let (flow, action) = Flow::<char>::begin(&[]);
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
            let (mut flow, _) = Flow::begin(&offers);
            let mut relayed = false;
            for event in events {
                let action = flow.on(event, |_| Next::Same { wait_micros: 0 });
                relayed |= action == Action::Relay;
                prop_assert!(!(relayed && matches!(action, Action::Prepare(_))));
                prop_assert!(flow.attempts() <= ATTEMPTS_MAX);
            }
        }
    }
}
