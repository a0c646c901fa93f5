//! T-L3: the n-th operation of the storage fails, for every n until a run has no failure; once (transient) and
//! for good until it is repaired (persistent); having done nothing, or having done it all and said it failed.

use std::collections::BTreeSet;

use ledger::commit::{Committer, Submission};
use ledger::maintain::{plan_prune, prune};
use ledger::verify::verify;
use ledger::{Record, encode};

use crate::memory::{Harm, Memory, Plan};
use crate::sample::{ToySigner, at, opened, settled, start, toy_check};

const REQUESTS: u32 = 12;

#[derive(Default)]
struct Client {
    /// Intents that were acknowledged: something was sent for them.
    sent: BTreeSet<u32>,
    /// Settlements that were acknowledged or kept.
    settled: BTreeSet<u32>,
}

/// Runs a day of requests in groups of three, recovering after failures; returns whether no operation failed.
fn run(plan: Plan) -> bool {
    let mut memory = Memory::failing(plan);
    let opened_log = loop {
        match Committer::open(memory) {
            Ok(committer) => break Some(committer),
            // The start fails and says so; the next start works on a healed disk.
            Err(_) if plan.times == u64::MAX => break None,
            Err(_) => memory = Memory::default(),
        }
    };
    let Some(mut committer) = opened_log else { return false };
    let mut client = Client::default();
    submit(&mut committer, &mut client, vec![(0, start(0))]);
    for first in (1..=REQUESTS).step_by(3) {
        let group = (first..first + 3).map(|number| (number, opened(number))).collect();
        submit(&mut committer, &mut client, group);
        drop(committer.sign(&ToySigner));
        heal(&mut committer, first);
        let sent: Vec<u32> =
            (first..first + 3).filter(|number| client.sent.contains(number)).collect();
        let group = sent.into_iter().map(|number| (number, settled(number))).collect();
        submit(&mut committer, &mut client, group);
        heal(&mut committer, first);
    }
    drop(committer.recover(at(900)));
    if committer.is_healthy()
        && let Ok(Some(checkpoint)) =
            plan_prune(committer.storage(), &toy_check, at(6), at(901), &ToySigner)
    {
        drop(prune(&mut committer, checkpoint, &ToySigner));
    }
    let clean = committer.storage().operations() < plan.at;
    finish(committer, &client, plan);
    clean
}

fn heal(committer: &mut Committer<Memory>, second: u32) {
    for _ in 0..3 {
        if committer.recover(at(second)).is_ok() {
            break;
        }
    }
}

fn submit(committer: &mut Committer<Memory>, client: &mut Client, group: Vec<(u32, Record)>) {
    let group = group.into_iter().map(|(number, record)| {
        let keep = matches!(record, Record::Settlement(_));
        Submission { body: encode(&record), keep, ticket: (number, keep) }
    });
    // The error itself is the writer's to log; what counts is what each owner was told.
    drop(committer.commit(group.collect(), None, |(number, settles), result| {
        let known = match result {
            Ok(_) => true,
            Err(unavailable) => unavailable.kept,
        };
        if settles {
            assert!(known, "a settlement was dropped");
            client.settled.insert(number);
        } else if result.is_ok() && number > 0 {
            client.sent.insert(number);
        }
    }));
}

/// The disk is well again: what is kept goes out, and the log must say exactly what the client knows.
fn finish(mut committer: Committer<Memory>, client: &Client, plan: Plan) {
    fix(&mut committer);
    committer.recover(at(1_000)).unwrap();
    assert_eq!(committer.kept(), 0);
    let report = verify(committer.storage(), &toy_check, None, None).unwrap();
    assert_eq!(report.faults, [], "{plan:?}");
    assert!(!committer.storage().used_broken.get(), "a failed handle was used again, {plan:?}");
    assert_eq!(client.sent, client.settled);
    // One settlement for each attempt that was sent, none for others, whether pruned or not.
    let requests =
        report.replay.windows.values().find(|it| it.terms.unit == ledger::Unit::Requests);
    let settled = requests.map_or(0, |window| window.settled);
    assert_eq!(settled, client.settled.len() as i128, "{plan:?}");
    assert_eq!(requests.map_or(0, |window| window.reserved), 0, "{plan:?}");
    assert!(report.replay.open.is_empty(), "{plan:?}");
}

fn fix(committer: &mut Committer<Memory>) {
    committer.storage_mut().fix();
}

/// Requests whose client leaves before the commit of the intent is known: the settlement comes in the same group, in the
/// next one while storage is away, or after it is back, whatever became of the intent.
fn run_leaving(plan: Plan) -> bool {
    let Ok(mut committer) = Committer::open(Memory::failing(plan)) else { return false };
    let give = |committer: &mut Committer<Memory>, records: Vec<Record>| {
        let group = records.iter().map(|record| {
            let keep = matches!(record, Record::Settlement(_));
            Submission { body: encode(record), keep, ticket: () }
        });
        drop(committer.commit(group.collect(), None, |(), _| {}));
    };
    for number in (1..=REQUESTS).step_by(4) {
        let (same, next, late) = (number, number + 1, number + 2);
        give(&mut committer, vec![opened(same), opened(next), settled(same), opened(late)]);
        give(&mut committer, vec![opened(number + 3), settled(next)]);
        heal(&mut committer, number);
        give(&mut committer, vec![settled(late)]);
        heal(&mut committer, number + 1);
        give(&mut committer, vec![settled(number + 3)]);
    }
    let clean = committer.storage().operations() < plan.at;
    fix(&mut committer);
    committer.recover(at(1_000)).unwrap();
    let report = verify(committer.storage(), &toy_check, None, None).unwrap();
    assert_eq!(report.faults, [], "{plan:?}");
    assert!(report.replay.open.is_empty(), "{plan:?}");
    clean
}

#[test]
fn clients_that_leave_before_their_intent_is_known_leave_no_orphans() {
    for harm in [Harm::Nothing, Harm::Done] {
        for times in [1, 2, 5] {
            let clean = (1..10_000).find(|at| run_leaving(Plan { at: *at, times, harm }));
            assert!(clean.expect("ends with a clean run") > 10);
        }
    }
}

#[test]
fn every_operation_may_fail_once() {
    for harm in [Harm::Nothing, Harm::Done] {
        let clean = (1..10_000).find(|at| run(Plan { at: *at, times: 1, harm }));
        assert!(clean.expect("ends with a clean run") > 20);
    }
}

#[test]
fn every_operation_may_begin_a_longer_failure() {
    for harm in [Harm::Nothing, Harm::Done] {
        for times in [2, 3, 7] {
            assert!((1..10_000).any(|at| run(Plan { at, times, harm })));
        }
    }
}

#[test]
fn every_operation_may_be_the_last_that_works() {
    for harm in [Harm::Nothing, Harm::Done] {
        assert!((1..10_000).any(|at| run(Plan { at, times: u64::MAX, harm })));
    }
}
