//! Balances against a model, and one planted violation for each invariant.

use std::collections::BTreeSet;

use domain::{Money, UsageQuality};
use ledger::commit::Committer;
use ledger::replay::Fault;
use ledger::verify::{Report, verify};
use ledger::{Amount, Record, Unit};
use proptest::prelude::*;

use crate::memory::Memory;
use crate::sample::{
    at, charge, id, intent, opened, reserved, settled, settlement, start, toy_check, write,
    write_off,
};

fn log(records: &[Record]) -> Report {
    let mut committer = Committer::open(Memory::default()).unwrap();
    write(&mut committer, records);
    verify(committer.storage(), &toy_check, None, Some(at(100))).unwrap()
}

#[test]
fn a_settlement_needs_one_open_intent() {
    let report = log(&[start(0), settled(1)]);
    assert_eq!(report.faults, [Fault::NoIntent { seq: 2, id: id(1) }]);
    let report = log(&[start(0), opened(1), settled(1), settled(1)]);
    assert_eq!(report.faults, [Fault::ClosedTwice { seq: 4, id: id(1) }]);
    let report = log(&[start(0), opened(1), settled(1), write_off(1)]);
    assert_eq!(report.faults, [Fault::ClosedTwice { seq: 4, id: id(1) }]);
    let report = log(&[start(0), opened(1), opened(1)]);
    assert_eq!(report.faults, [Fault::IntentTwice { seq: 3, id: id(1) }]);
    let report = log(&[start(0), opened(1), settled(1), opened(1)]);
    assert_eq!(report.faults, [Fault::IntentTwice { seq: 4, id: id(1) }]);
}

#[test]
fn a_passed_limit_is_found_at_the_prefix_where_it_was_passed() {
    let tight = |number: u32| {
        let mut intent = intent(number);
        intent.charges = vec![charge(Unit::Money, 2_500)];
        Record::Intent(Box::new(intent))
    };
    // 1,000 reserved each: the third passes 2,500, although it fits again once the first is settled at 600.
    let report = log(&[start(0), tight(1), tight(2), tight(3), settled(1)]);
    assert!(matches!(
        report.faults.as_slice(),
        [Fault::OverLimit { seq: 4, held: 3_000, limit: 2_500, .. }]
    ));
    let report = log(&[start(0), tight(1), settled(1), tight(2), settled(2), tight(3)]);
    assert_eq!(report.faults, []);
}

#[test]
fn what_is_reserved_is_settled_or_released() {
    let mut short = settlement(1);
    short.released = Amount { tokens: 199, ..short.released };
    let report = log(&[start(0), opened(1), Record::Settlement(Box::new(short))]);
    assert!(matches!(report.faults.as_slice(), [Fault::NotConserved { unit: "tokens", .. }]));
}

#[test]
fn more_than_reserved_is_charged_and_counted() {
    let mut dear = settlement(1);
    dear.charged.money = Money::from_pico(1_500);
    dear.released = reserved().released_after(&dear.charged);
    let report = log(&[start(0), opened(1), Record::Settlement(Box::new(dear))]);
    assert_eq!((report.faults.len(), report.over_bound), (0, 1));
    let money = report.replay.windows.values().find(|it| it.terms.unit == Unit::Money).unwrap();
    assert_eq!((money.settled, money.reserved), (1_500, 0));
}

#[test]
fn an_attempt_of_a_dead_process_is_unsettled_and_held_until_closed() {
    let held = log(&[start(0), opened(1), start(50)]);
    assert!(held.is_sound());
    assert_eq!(held.unsettled.len(), 1);
    assert_eq!(held.replay.windows.values().map(|it| it.reserved).sum::<i128>(), 1_501);
    let late = log(&[start(0), opened(1), start(50), settled(1)]);
    assert!(late.is_sound() && late.unsettled.is_empty());
    let given_up = held.unsettled[0].write_off(true, "billed".into(), "op".into(), at(60));
    let charged = log(&[start(0), opened(1), start(50), given_up]);
    assert!(charged.is_sound() && charged.unsettled.is_empty());
    assert_eq!(charged.replay.windows.values().map(|it| it.settled).sum::<i128>(), 1_501);
}

#[test]
fn a_reservation_past_its_deadline_in_the_running_process_is_stale() {
    let mut old = intent(1);
    old.deadline = at(30);
    let record = Record::Intent(Box::new(old));
    assert_eq!(
        log(&[start(0), record.clone()]).faults,
        [Fault::Stale { seq: 2, id: id(1), deadline: at(30) }]
    );
    assert_eq!(log(&[start(0), record, start(40)]).faults, []);
}

#[test]
fn estimated_cost_is_told_apart() {
    let mut counted = settlement(2);
    counted.quality = UsageQuality::Counted;
    let records =
        [start(0), opened(1), settled(1), opened(2), Record::Settlement(Box::new(counted))];
    let report = log(&records);
    assert_eq!((report.cost.pico(), report.cost_estimated.pico()), (1_200, 600));
}

proptest! {
    /// Any order of opening, settling and writing off gives the sums of a model that knows nothing of records.
    #[test]
    fn sums_are_those_of_a_model(steps in proptest::collection::vec((1_u32..40, 0_u8..3, 0_i64..1_000), 1..80)) {
        let mut committer = Committer::open(Memory::default()).unwrap();
        write(&mut committer, &[start(0)]);
        let mut open = BTreeSet::new();
        let (mut ever, mut spent) = (BTreeSet::new(), 0_i128);
        for (number, what, cost) in steps {
            match what {
                0 if ever.insert(number) => {
                    write(&mut committer, &[opened(number)]);
                    open.insert(number);
                }
                1 if open.remove(&number) => {
                    let mut it = settlement(number);
                    it.charged.money = Money::from_pico(cost);
                    it.released = reserved().released_after(&it.charged);
                    write(&mut committer, &[Record::Settlement(Box::new(it))]);
                    spent += i128::from(cost);
                }
                2 if open.remove(&number) => {
                    write(&mut committer, &[write_off(number)]);
                }
                _ => {}
            }
        }
        let report = verify(committer.storage(), &toy_check, None, None).unwrap();
        prop_assert_eq!(&report.faults, &[]);
        let money = report.replay.windows.values().find(|it| it.terms.unit == Unit::Money);
        prop_assert_eq!(money.map_or(0, |it| it.settled), spent);
        prop_assert_eq!(money.map_or(0, |it| it.reserved), 1_000 * open.len() as i128);
        let restored = ledger::verify::restore(committer.storage(), &toy_check).unwrap().unwrap();
        prop_assert!(restored.same_sums(&report.replay));
    }
}
