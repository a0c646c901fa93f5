//! The plan.

use domain::{Endpoint, ErrorClass, Feature, Features, OnLoss, UnixMicros};
use limits::Unpriced;
use policy::{
    Allowed, Ask, Availability, OfferIx, OfferView, Plan, Reason, Snapshot, Tags, Taken, Verdict,
    code_word, plan,
};

use crate::at;

fn ask<'a>() -> Ask<'a> {
    Ask {
        endpoint: Endpoint::Chat,
        features: Features::NONE.with(Feature::Tools),
        input_at_least: 1_000,
        on_loss: OnLoss::Allow,
        unpriced: Unpriced::Allow,
        residency: Tags(0),
        allowed: Allowed::All,
    }
}

fn offer(ix: u16) -> OfferView {
    OfferView::unlimited(OfferIx(ix))
}

fn well(ix: u16, availability: Availability) -> OfferView {
    OfferView { availability, ..offer(ix) }
}

fn planned(offers: &[OfferView], ask: &Ask<'_>) -> Plan {
    plan(&Snapshot { now: at(0), offers }, ask)
}

fn order(plan: &Plan) -> Vec<u16> {
    plan.attempts.iter().map(|ix| ix.0).collect()
}

fn open(until: UnixMicros, lone_at: UnixMicros) -> Availability {
    Availability::Open { class: ErrorClass::Timeout, until, lone_at }
}

#[test]
fn the_list_is_the_order_and_every_offer_has_a_reason() {
    let offers = [well(4, open(at(15), at(0))), offer(2), offer(9)];
    let plan = planned(&offers, &ask());
    assert_eq!(order(&plan), [2, 9]);
    let codes: Vec<_> = plan.explanation.codes().collect();
    assert_eq!(codes, [(OfferIx(4), 64 + 2), (OfferIx(2), 1), (OfferIx(9), 2)]);
    assert_eq!(plan.retry_at, None);
    assert!(!plan.attempts.spilled() && !plan.explanation.candidates.spilled());
}

#[test]
fn each_filter_leaves_an_offer_with_its_own_reason() {
    let tools = Features::NONE.with(Feature::Tools);
    let stop = Features::NONE.with(Feature::StopSequences);
    let base = ask();
    let plain = Ask { features: Features::NONE, on_loss: OnLoss::Reject, ..base };
    let reject = Ask { on_loss: OnLoss::Reject, ..base };
    let only = [OfferIx(7)];
    let cases = [
        (offer(1), Ask { allowed: Allowed::Only(&only), ..base }, Reason::NotAllowed),
        (OfferView { endpoints: 0b10, ..offer(1) }, base, Reason::Endpoint),
        (OfferView { can: Features::NONE, ..offer(1) }, base, Reason::Feature(Feature::Tools)),
        (OfferView { carries: stop, ..offer(1) }, reject, Reason::Lossy(Some(Feature::Tools))),
        (OfferView { carries: Features::NONE, ..offer(1) }, plain, Reason::Lossy(None)),
        (
            OfferView { max_context: Some(999), ..offer(1) },
            base,
            Reason::ContextTooLong { needs: 1_000, holds: 999 },
        ),
        (
            OfferView { residency: Tags(0b10), ..offer(1) },
            Ask { residency: Tags(0b01), ..base },
            Reason::Residency,
        ),
        (
            OfferView { priced: false, money_budget: true, ..offer(1) },
            Ask { unpriced: Unpriced::Reject, ..base },
            Reason::Unpriced,
        ),
        (OfferView { retires_at: Some(at(0)), ..offer(1) }, base, Reason::Retired { at: at(0) }),
        (OfferView { starts_at: Some(at(1)), ..offer(1) }, base, Reason::NotYet { at: at(1) }),
    ];
    for (view, ask, reason) in cases {
        let plan = planned(&[view, OfferView { residency: Tags(0b01), ..offer(7) }], &ask);
        assert_eq!(plan.explanation.candidates[0].verdict, Verdict::Left(reason));
        assert_eq!(order(&plan), [7], "{reason:?}");
    }
    let lossless = OfferView { carries: tools, ..offer(1) };
    assert_eq!(order(&planned(&[lossless], &reject)), [1]);
    let unpriced = OfferView { priced: false, ..offer(1) };
    let strict = Ask { unpriced: Unpriced::Reject, ..base };
    assert_eq!(order(&planned(&[unpriced], &strict)), [1], "no money budget applies");
}

#[test]
fn a_money_budget_on_one_provider_leaves_its_unpriced_offers_and_no_others() {
    let unpriced = |ix, money_budget| OfferView { priced: false, money_budget, ..offer(ix) };
    let offers =
        [unpriced(1, true), unpriced(2, false), OfferView { money_budget: true, ..offer(3) }];
    let strict = Ask { unpriced: Unpriced::Reject, ..ask() };
    assert_eq!(order(&planned(&offers, &strict)), [2, 3]);
    assert_eq!(order(&planned(&offers, &ask())), [1, 2, 3], "`unpriced: allow`");
}

#[test]
fn one_that_recovers_stands_behind_the_healthy_and_one_that_is_open_only_alone() {
    let ramp = well(1, Availability::Ramp { percent: 10, lone: true });
    let broken = well(2, open(at(15), at(0)));
    let plan = planned(&[ramp, broken, offer(3)], &ask());
    assert_eq!(order(&plan), [3, 1]);
    assert_eq!(plan.explanation.candidates[0].verdict, Verdict::Taken(1, Taken::LastResort));
    assert_eq!(order(&planned(&[ramp, broken], &ask())), [1]);
    assert_eq!(order(&planned(&[broken], &ask())), [2]);
    let probe = planned(&[well(5, Availability::Probe), offer(3)], &ask());
    assert_eq!(order(&probe), [5, 3]);
    assert_eq!(probe.explanation.candidates[0].verdict.word(), "probe");
}

#[test]
fn an_empty_plan_says_when_to_come_back() {
    let offers = [
        well(1, open(at(30), at(8))),
        well(2, Availability::SetAside { until: at(7) }),
        well(3, Availability::NoCredential { until: None }),
    ];
    let plan = planned(&offers, &ask());
    assert!(plan.attempts.is_empty());
    assert_eq!(plan.retry_at, Some(at(7)));
    let reasons: Vec<_> =
        plan.explanation.candidates.iter().map(|it| it.verdict.sentence("azure/gpt-5")).collect();
    assert_eq!(
        reasons,
        [
            "`azure/gpt-5` failed too often (timeout); tried again at 2026-11-22T12:00:30.000Z.",
            "`azure/gpt-5` asked to be left alone until 2026-11-22T12:00:07.000Z.",
            "`azure/gpt-5` refused every credential.",
        ]
    );
    let sooner = well(1, open(at(30), at(2)));
    assert_eq!(planned(&[sooner, offers[1]], &ask()).retry_at, Some(at(2)));
    assert_eq!(planned(&[], &ask()), Plan::default());
}

#[test]
fn a_plan_is_bounded_and_explains_the_rest() {
    let offers: Vec<OfferView> = (0..64).map(offer).collect();
    let plan = planned(&offers, &ask());
    assert_eq!(plan.attempts.len(), 8);
    assert_eq!(plan.explanation.candidates.len(), 64);
    assert_eq!(plan.explanation.candidates[63].verdict, Verdict::Left(Reason::PlanFull));
}

#[test]
fn every_stored_code_has_a_word_of_its_own() {
    let classes = ErrorClass::ALL
        .iter()
        .map(|class| Verdict::Left(Reason::BreakerOpen { class: *class, until: at(0) }));
    for verdict in classes {
        assert!(verdict.word().starts_with("breaker"), "{verdict:?}");
    }
    let mut words: Vec<_> =
        (0..=28).filter(|code| !(5..16).contains(code)).map(code_word).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), 18);
    assert!(!words.contains(&"unknown"));
}
