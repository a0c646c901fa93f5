//! The plan: offers in the order they are tried, and the reason for each.

use domain::{Role, UnixMicros};
use smallvec::SmallVec;

use crate::health::Health;
use crate::reason::Reason;

/// What is asked of the offers.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Upper bound of the input, in tokens.
    pub context: u64,
    /// Whether an offer without a price is left out.
    pub priced_only: bool,
}

/// One offer as the policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct OfferView {
    /// Its part in the capability.
    pub role: Role,
    /// What its breakers say.
    pub health: Health,
    /// Whether the caller may use it.
    pub allowed: bool,
    /// Whether its provider serves the endpoint, in the client's dialect or by translation.
    pub serves: bool,
    /// Whether it could serve only with a loss that is not allowed.
    pub lossy: bool,
    /// The model's input limit, in tokens.
    pub max_input: Option<u64>,
    /// Whether its price is known.
    pub priced: bool,
    /// Whether its provider has a credential left (or needs none).
    pub credential: bool,
    /// Whether its model is no longer served.
    pub retired: bool,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Tried, in this place of the order (from 0).
    Taken(u8),
    /// Not tried.
    Left(Reason),
}

/// An offer that was considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its place among the capability's offers.
    pub offer: u16,
    /// What became of it.
    pub verdict: Verdict,
}

impl Candidate {
    /// The reason as a code.
    pub fn reason(&self) -> Reason {
        match self.verdict {
            Verdict::Taken(0) => Reason::First,
            Verdict::Taken(_) => Reason::Next,
            Verdict::Left(reason) => reason,
        }
    }
}

/// Why the plan is as it is: every offer once, in the capability's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// Every offer.
    pub candidates: SmallVec<[Candidate; 8]>,
}

/// What to try, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Places of offers among the capability's.
    pub attempts: SmallVec<[u16; 8]>,
    /// Why.
    pub explanation: Explanation,
    /// When an offer that is left out for now may be back, where that is known: the answer's `Retry-After`.
    pub back_at: Option<UnixMicros>,
}

/// Plans: the first offer that may serve is tried, the next ones follow. First form of the policy: order is the
/// capability's own.
///
/// When *all* that is wrong with every offer left is its health, the healthiest of them is tried nevertheless:
/// an offer that fails is better than a refusal that is certain. A provider that said when to come back is not asked
/// before.
pub fn plan(offers: &[OfferView], ask: &Ask) -> Plan {
    let mut plan = Plan::default();
    let mut rank = 0_u8;
    for (at, view) in offers.iter().enumerate() {
        let Ok(offer) = u16::try_from(at) else { break };
        let verdict = if let Some(reason) = left_because(view, ask) {
            Verdict::Left(reason)
        } else {
            plan.attempts.push(offer);
            rank = rank.saturating_add(1);
            Verdict::Taken(rank - 1)
        };
        if let Verdict::Left(_) = verdict {
            note_return(&mut plan, view.health);
        }
        plan.explanation.candidates.push(Candidate { offer, verdict });
    }
    if plan.attempts.is_empty() {
        last_resort(&mut plan);
    }
    plan
}

fn left_because(view: &OfferView, ask: &Ask) -> Option<Reason> {
    let fixed = [
        (!view.allowed, Reason::NotAllowed),
        (!view.serves, Reason::Endpoint),
        (view.retired, Reason::Retired),
        (view.lossy, Reason::Lossy),
        (view.max_input.is_some_and(|most| ask.context > most), Reason::ContextTooLong),
        (ask.priced_only && !view.priced, Reason::Unpriced),
        (!view.credential, Reason::NoCredential),
    ];
    let fixed = fixed.into_iter().find_map(|(applies, reason)| applies.then_some(reason));
    fixed.or(match view.health {
        Health::Good | Health::Probe => None,
        Health::Open(_) => Some(Reason::BreakerOpen),
        Health::Aside(_) => Some(Reason::SetAside),
        Health::Recovering => Some(Reason::Recovering),
    })
}

fn note_return(plan: &mut Plan, health: Health) {
    if let Health::Open(at) | Health::Aside(at) = health {
        plan.back_at = Some(plan.back_at.map_or(at, |known| known.min(at)));
    }
}

/// Recovering first, then one whose breaker is open.
fn last_resort(plan: &mut Plan) {
    for wanted in [Reason::Recovering, Reason::BreakerOpen] {
        let found =
            plan.explanation.candidates.iter_mut().find(|it| it.verdict == Verdict::Left(wanted));
        if let Some(candidate) = found {
            candidate.verdict = Verdict::Taken(0);
            plan.attempts.push(candidate.offer);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ASK: Ask = Ask { context: 1_000, priced_only: false };

    fn good() -> OfferView {
        OfferView {
            role: Role::Core,
            health: Health::Good,
            allowed: true,
            serves: true,
            lossy: false,
            max_input: Some(8_000),
            priced: true,
            credential: true,
            retired: false,
        }
    }

    fn at(secs: i64) -> UnixMicros {
        UnixMicros::from_secs(secs)
    }

    #[test]
    fn the_first_healthy_offer_serves_and_the_others_follow() {
        let offers = [OfferView { health: Health::Open(at(9)), ..good() }, good(), good()];
        let plan = plan(&offers, &ASK);
        assert_eq!(plan.attempts.as_slice(), [1, 2]);
        assert_eq!(plan.explanation.candidates[0].reason(), Reason::BreakerOpen);
        assert_eq!(plan.back_at, Some(at(9)));
    }

    #[test]
    fn what_can_never_work_is_not_tried_even_as_a_last_resort() {
        for broken in [
            OfferView { allowed: false, ..good() },
            OfferView { serves: false, ..good() },
            OfferView { lossy: true, ..good() },
            OfferView { max_input: Some(10), ..good() },
            OfferView { credential: false, ..good() },
            OfferView { retired: true, ..good() },
            OfferView { health: Health::Aside(at(9)), ..good() },
        ] {
            assert!(plan(&[broken], &ASK).attempts.is_empty(), "{broken:?}");
        }
        let unpriced = OfferView { priced: false, ..good() };
        assert!(plan(&[unpriced], &Ask { priced_only: true, ..ASK }).attempts.is_empty());
        assert_eq!(plan(&[unpriced], &ASK).attempts.as_slice(), [0]);
    }

    #[test]
    fn when_only_health_is_wrong_everywhere_one_is_tried_nevertheless() {
        let offers = [
            OfferView { health: Health::Open(at(9)), ..good() },
            OfferView { health: Health::Recovering, ..good() },
        ];
        assert_eq!(plan(&offers, &ASK).attempts.as_slice(), [1]);
    }

    fn any_view() -> impl Strategy<Value = OfferView> {
        let health = prop_oneof![
            Just(Health::Good),
            Just(Health::Probe),
            Just(Health::Recovering),
            (0_i64..100).prop_map(|secs| Health::Open(at(secs))),
            (0_i64..100).prop_map(|secs| Health::Aside(at(secs))),
        ];
        (health, any::<[bool; 6]>(), prop::option::of(0_u64..2_000)).prop_map(
            |(health, flags, max_input)| {
                let [allowed, serves, lossy, priced, credential, retired] = flags;
                OfferView {
                    role: Role::Core,
                    health,
                    allowed,
                    serves,
                    lossy,
                    max_input,
                    priced,
                    credential,
                    retired,
                }
            },
        )
    }

    proptest! {
        /// Every offer is explained exactly once, and exactly the taken ones are tried, in order.
        #[test]
        fn every_offer_is_explained(offers in prop::collection::vec(any_view(), 0..20)) {
            let plan = plan(&offers, &ASK);
            let explained: Vec<u16> = plan.explanation.candidates.iter().map(|it| it.offer).collect();
            let all: Vec<u16> = (0..u16::try_from(offers.len()).unwrap()).collect();
            prop_assert_eq!(explained, all);
            let taken: Vec<u16> = plan.explanation.candidates.iter()
                .filter(|it| it.reason().taken()).map(|it| it.offer).collect();
            prop_assert_eq!(taken.as_slice(), plan.attempts.as_slice());
        }
    }
}
