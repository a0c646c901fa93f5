//! Retry amplification under random failures, and T-S5's storm, in virtual time.

use domain::{Endpoint, ErrorClass, Features, OnLoss, RateHint, UnixMicros};
use limits::Unpriced;
use policy::retry::{Failure, Next};
use policy::{Allowed, Ask, Health, HealthConfig, OfferIx, OfferView, Snapshot, Tags, plan};
use proptest::prelude::*;

use crate::{SECOND, at};

/// A small generator, so that a run is a function of its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

const ASK: Ask<'static> = Ask {
    endpoint: Endpoint::Chat,
    features: Features::NONE,
    input_at_least: 0,
    on_loss: OnLoss::Allow,
    unpriced: Unpriced::Allow,
    residency: Tags(0),
    allowed: Allowed::All,
};

struct Served {
    ok: bool,
    arrivals: Vec<OfferIx>,
}

/// One request as the flow makes it, its waits counted but not waited: plan, claim, ask, observe, retry.
fn request(
    health: &mut Health,
    offers: u16,
    now: UnixMicros,
    random: &mut Random,
    mut answer: impl FnMut(OfferIx, &mut Random) -> Result<(), ErrorClass>,
) -> Served {
    let mut served = Served { ok: false, arrivals: Vec::new() };
    let views: Vec<OfferView> = (0..offers)
        .map(OfferIx)
        .map(|ix| OfferView { availability: health.view(ix, now), ..OfferView::unlimited(ix) })
        .collect();
    let plan = plan(&Snapshot { now, offers: &views }, &ASK);
    assert_eq!(plan.explanation.candidates.len(), usize::from(offers), "every one is explained");
    for (rank, ix) in plan.attempts.iter().enumerate() {
        let Some(claim) = health.claim(*ix, now) else { continue };
        let (mut tries_made, mut clock) = (0, now);
        loop {
            served.arrivals.push(*ix);
            let outcome = answer(*ix, random);
            health.observe(claim, clock, outcome, RateHint::default());
            let Err(class) = outcome else {
                served.ok = true;
                return served;
            };
            let has_next = rank + 1 < plan.attempts.len();
            let failure = Failure { class, hint: RateHint::default(), tries_made, has_next };
            match health.after_failure(claim, clock, &failure, random.next()) {
                Next::Same { wait_micros } => {
                    tries_made += 1;
                    clock = clock.plus_micros(i64::try_from(wait_micros).unwrap());
                }
                Next::NextOffer => break,
                Next::Stop => return served,
            }
        }
    }
    served
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_offer_sees_more_than_1_10_of_what_was_planned_to_it(
        seed in any::<u64>(),
        offers in 1_u16..5,
        failing in prop::collection::vec(0_u64..=100, 5),
        gap_ms in 1_u64..500,
    ) {
        let mut random = Random(seed);
        let mut health = Health::new(HealthConfig::default());
        let classes = [
            ErrorClass::Unreachable, ErrorClass::Timeout, ErrorClass::RateLimited,
            ErrorClass::Overloaded, ErrorClass::ServerError, ErrorClass::BadResponse,
        ];
        let mut now = at(0);
        for _ in 0..2_000 {
            now = now.plus_micros(i64::try_from(random.below(gap_ms * 2_000)).unwrap());
            request(&mut health, offers, now, &mut random, |ix, random| {
                if random.below(100) < failing[usize::from(ix.0)] {
                    Err(classes[usize::try_from(random.below(6)).unwrap()])
                } else {
                    Ok(())
                }
            });
        }
        // Beside the tenth: the first retry of an offer, and one each quiet minute.
        let minutes = u64::try_from(now.micros_since(at(0)) / (60 * SECOND)).unwrap();
        for report in health.report(now) {
            let retries = report.attempts - report.planned;
            prop_assert!(
                retries * 10 <= report.planned + 10 * (1 + minutes),
                "{} attempts for {} planned", report.attempts, report.planned
            );
        }
    }
}

/// 200 requests a second; a request that fails comes back twice, as the SDKs do, after 0.5 and 1 s with jitter.
/// From 60 to 120 s everything answers 503.
#[test]
fn a_storm_does_not_feed_itself_and_ends_soon_after_its_cause() {
    for offers in [1, 2, 3] {
        storm(offers);
    }
}

fn storm(offers: u16) {
    const PER_SECOND: u64 = 200;
    let mut random = Random(20_261_122);
    let mut health = Health::new(HealthConfig::default());
    let seconds = 180_usize;
    let mut arrivals = vec![vec![0_u64; seconds]; usize::from(offers)];
    let (mut tried, mut ok) = (vec![0_u64; seconds], vec![0_u64; seconds]);
    // Requests that come back, by millisecond.
    let mut back: Vec<Vec<u8>> = vec![Vec::new(); (seconds + 5) * 1_000];
    for ms in 0..seconds * 1_000 {
        let mut due = std::mem::take(&mut back[ms]);
        if (ms as u64).is_multiple_of(1_000 / PER_SECOND) {
            due.push(0);
        }
        let (second, now) = (ms / 1_000, at(0).plus_micros(ms as i64 * 1_000));
        let down = (60..120).contains(&second);
        for tries in due {
            tried[second] += 1;
            let served = request(&mut health, offers, now, &mut random, |_, _| {
                if down { Err(ErrorClass::Overloaded) } else { Ok(()) }
            });
            for offer in &served.arrivals {
                arrivals[usize::from(offer.0)][second] += 1;
            }
            ok[second] += u64::from(served.ok);
            if !served.ok && tries < 2 {
                let wait =
                    250 * (u64::from(tries) + 1) + random.below(250 * (u64::from(tries) + 1));
                back[ms + usize::try_from(wait).unwrap()].push(tries + 1);
            }
        }
    }
    let during: u64 = arrivals.iter().flat_map(|it| &it[60..120]).sum();
    let admitted = 60 * PER_SECOND;
    assert!(during * 10 <= admitted * 11, "{during} arrivals for {admitted} requests");
    assert!(during < admitted / 20, "open breakers keep nearly everything away: {during}");
    for second in 130..seconds {
        assert!(ok[second] * 100 >= tried[second] * 99, "{} of {}", ok[second], tried[second]);
    }
    let peak = arrivals.iter().flat_map(|it| &it[60..]).max().copied().unwrap();
    assert!(peak <= 2 * PER_SECOND, "an offer saw {peak} a second");
    for report in health.report(at(180)) {
        assert!(report.attempts * 10 <= report.planned * 11 + 10, "{report:?}");
    }
}
