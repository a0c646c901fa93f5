//! T-L6: each byte of each stored record is changed in turn; tails are cut, records removed and reordered.

use ledger::chain::SignedHead;
use ledger::commit::Committer;
use ledger::maintain::{plan_prune, plan_repair, prune, repair};
use ledger::replay::Fault;
use ledger::storage::{META_HEAD, META_SNAPSHOT, Storage};
use ledger::verify::{Report, make_snapshot, restore, verify};
use ledger::{Record, Seq};

use crate::memory::Memory;
use crate::sample::{ToySigner, at, opened, refusal, settled, start, toy_check, write, write_off};

fn records() -> Vec<Record> {
    let mut records = vec![start(0)];
    for number in 1..=6 {
        records.push(opened(number));
        records.push(if number == 3 { write_off(number) } else { settled(number) });
        records.push(Record::Refusal(Box::new(refusal(number + 100))));
    }
    records
}

fn log() -> Memory {
    let mut committer = Committer::open(Memory::default()).unwrap();
    write(&mut committer, &records());
    committer.sign(&ToySigner).unwrap();
    take(&committer)
}

fn take(committer: &Committer<Memory>) -> Memory {
    let from = committer.storage();
    Memory { log: from.log.clone(), meta: from.meta.clone(), ..Memory::default() }
}

fn check(memory: &Memory) -> Report {
    verify(memory, &toy_check, Some([7; 32]), None).unwrap()
}

fn named(report: &Report) -> Vec<Seq> {
    let damaged = report.faults.iter().filter_map(|fault| match fault {
        Fault::Damaged { seq, .. } => Some(*seq),
        _ => None,
    });
    damaged.collect()
}

#[test]
fn an_untouched_log_is_sound() {
    let report = check(&log());
    assert_eq!(report.faults, []);
    assert_eq!((report.intents, report.settlements, report.write_offs), (6, 5, 1));
    assert_eq!(report.head.map(|head| head.seq), Some(19));
}

#[test]
fn every_changed_byte_is_found_and_its_record_named() {
    let mut memory = log();
    let seqs: Vec<Seq> = memory.log.keys().copied().collect();
    let mut flips = 0;
    for seq in seqs {
        for index in 0..memory.log[&seq].len() {
            let bits = [0x01, 0x80, 0xff][index % 3];
            memory.log.get_mut(&seq).unwrap()[index] ^= bits;
            let report = check(&memory);
            assert_eq!(named(&report), [seq], "byte {index} ^ {bits:#x}");
            // A start reads with the same walk: one byte in eight shows that it refuses with the same name.
            if index % 8 == 0 {
                let refused = restore(&memory, &toy_check).unwrap();
                let same = |fault| matches!(fault, Fault::Damaged { seq: it, .. } if it == seq);
                assert!(refused.is_err_and(same));
            }
            memory.log.get_mut(&seq).unwrap()[index] ^= bits;
            flips += 1;
        }
    }
    assert!(flips > 3_000, "{flips}");
    assert!(check(&memory).is_sound());
}

#[test]
fn a_shorter_and_a_longer_record_are_named() {
    for seq in [1, 2, 10, 19] {
        let mut memory = log();
        memory.log.get_mut(&seq).unwrap().pop();
        assert_eq!(named(&check(&memory)).first(), Some(&seq));
        let mut memory = log();
        memory.log.get_mut(&seq).unwrap().push(0);
        assert_eq!(named(&check(&memory)).first(), Some(&seq));
    }
}

#[test]
fn removed_swapped_and_cut_records_are_found() {
    let mut memory = log();
    memory.log.remove(&7);
    assert!(check(&memory).faults.contains(&Fault::Missing { from: 7, to: 7 }));

    let mut memory = log();
    let (a, b) = (memory.log[&5].clone(), memory.log[&8].clone());
    memory.log.insert(5, b);
    memory.log.insert(8, a);
    assert!(named(&check(&memory)).contains(&5));

    let mut memory = log();
    memory.log.remove(&19);
    assert_eq!(check(&memory).faults, [Fault::CutTail { last: 18, signed: 19 }]);
    assert!(matches!(restore(&memory, &toy_check).unwrap(), Err(Fault::CutTail { .. })));
}

#[test]
fn a_log_rewritten_without_the_key_is_found() {
    let mut forged = Committer::open(Memory::default()).unwrap();
    write(&mut forged, &records()[..17]);
    write(&mut forged, &[opened(50), settled(50)]);
    let mut memory = take(&forged);
    // The old head, whose signature holds, over a chain that was computed anew.
    memory.meta.insert(META_HEAD.to_owned(), log().meta[META_HEAD].clone());
    assert_eq!(check(&memory).faults, [Fault::Signature("the log's head".to_owned())]);
    // A head signed with another key.
    let head = SignedHead::decode(&log().meta[META_HEAD]).unwrap();
    let other = SignedHead { public_key: [8; 32], ..head };
    let mut memory = log();
    memory.meta.insert(META_HEAD.to_owned(), other.encode());
    assert!(!check(&memory).is_sound());
}

#[test]
fn repair_keeps_what_is_intact_and_the_originals() {
    // Content, stored hash, and whole record; first, middle, two in a row, last.
    for (seqs, whole) in [
        (vec![1], false),
        (vec![9], false),
        (vec![9, 10], false),
        (vec![19], false),
        (vec![12], true),
    ] {
        for end in [false, true] {
            let mut memory = log();
            for seq in &seqs {
                let body = memory.log.get_mut(seq).unwrap();
                let len = body.len();
                if whole {
                    body.truncate(5);
                } else {
                    body[if end { len - 1 } else { 20 }] ^= 1;
                }
            }
            let damage = plan_repair(&memory, &toy_check).unwrap();
            let mut storage = memory;
            repair(&mut storage, &damage, &ToySigner, at(500), "operator".into()).unwrap();
            let set_aside: Vec<Seq> = storage.damaged.iter().map(|row| row.seq).collect();
            // A record that lost its successor's link is set aside with it, never more.
            assert!(seqs.iter().all(|seq| set_aside.contains(seq)), "{seqs:?} {set_aside:?}");
            assert!(set_aside.len() <= seqs.len() + 1, "{seqs:?} {set_aside:?}");
            let report = check(&storage);
            assert_eq!(report.faults, [], "{seqs:?} whole {whole} end {end}");
            assert_eq!(report.records as usize, 19 - set_aside.len() + 1);
            assert!(restore(&storage, &toy_check).unwrap().is_ok());
            // And the log goes on.
            let mut committer = Committer::open(storage).unwrap();
            write(&mut committer, &[opened(60), settled(60)]);
            assert!(check(&take(&committer)).is_sound());
        }
    }
}

#[test]
fn a_cut_tail_is_repaired_without_using_a_number_twice() {
    let mut memory = log();
    memory.log.remove(&19);
    let damage = plan_repair(&memory, &toy_check).unwrap();
    let seq = repair(&mut memory, &damage, &ToySigner, at(500), "operator".into()).unwrap();
    assert_eq!(seq, 20);
    assert!(check(&memory).is_sound());
}

#[test]
fn a_pruned_log_still_adds_up_and_its_checkpoint_is_signed() {
    let before = check(&log());
    let mut committer = Committer::open(log()).unwrap();
    // A request that is open across the cut.
    write(&mut committer, &[opened(200), opened(201)]);
    let plan = plan_prune(committer.storage(), &toy_check, at(201), at(600), &ToySigner).unwrap();
    let plan = plan.expect("something to prune");
    assert_eq!(plan.through, 20);
    prune(&mut committer, plan, &ToySigner).unwrap();
    write(&mut committer, &[settled(200), settled(201)]);
    let pruned = take(&committer);
    assert_eq!(pruned.log.keys().next(), Some(&21));
    let report = check(&pruned);
    assert_eq!(report.faults, []);
    assert_eq!(report.pruned_through, Some(20));
    assert_eq!(report.unsettled.len(), 0);
    let money =
        |report: &Report| report.replay.windows.values().map(|window| window.settled).sum::<i128>();
    // Two more settlements of 600 pico-USD, 300 tokens, 1 request.
    assert_eq!(money(&report), money(&before) + 2 * 901);

    // Pruned twice, and forged.
    let mut committer = Committer::open(take_from(&pruned)).unwrap();
    let plan = plan_prune(committer.storage(), &toy_check, at(9_999), at(601), &ToySigner).unwrap();
    prune(&mut committer, plan.expect("something to prune"), &ToySigner).unwrap();
    assert!(check(&take(&committer)).is_sound());
    let mut forged = take_from(&pruned);
    let body = forged.log.get_mut(&23).unwrap();
    body[100] ^= 1;
    assert!(!check(&forged).is_sound());
}

fn take_from(memory: &Memory) -> Memory {
    Memory { log: memory.log.clone(), meta: memory.meta.clone(), ..Memory::default() }
}

#[test]
fn a_snapshot_saves_time_and_changes_nothing() {
    let mut memory = log();
    let without = restore(&memory, &toy_check).unwrap().unwrap();
    let bytes = make_snapshot(&memory, &toy_check).unwrap().unwrap();
    let meta = [(META_SNAPSHOT, Some(bytes))];
    let batch = ledger::storage::Batch { meta: &meta, ..Default::default() };
    memory.commit(&batch).unwrap();
    let mut committer = Committer::open(memory).unwrap();
    write(&mut committer, &[opened(70)]);
    let mut memory = take(&committer);
    let with = restore(&memory, &toy_check).unwrap().unwrap();
    assert_eq!(with.windows.len(), without.windows.len());
    assert_eq!(with.open.len(), 1);
    assert!(check(&memory).is_sound());
    // One that does not fit the chain, or is damaged, is not used.
    for index in [0, 40, 60] {
        memory.meta.get_mut(META_SNAPSHOT).unwrap()[index] ^= 1;
        assert_eq!(restore(&memory, &toy_check).unwrap().unwrap(), with);
    }
}
