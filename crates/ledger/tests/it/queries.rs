//! What the log answers.

use domain::{OutcomeClass, RequestId, UnixMicros};
use ledger::commit::Committer;
use ledger::export::{COLUMNS, csv_header, csv_line, csv_text, json, values};
use ledger::query::{Filter, GroupBy, Order, attempts, first_at, request, usage};
use ledger::{Record, Seq};

use crate::memory::Memory;
use crate::sample::{at, id, opened, refusal, settled, start, write, write_off};

/// 1: start; 2,3: request 1; 4,7: request 2; 5,6: request 3; 8: refusal 4; 9: request 5, open; 10,11: request 6.
fn log() -> Committer<Memory> {
    let mut committer = Committer::open(Memory::default()).unwrap();
    let refused = Record::Refusal(Box::new(refusal(4)));
    write(
        &mut committer,
        &[
            start(0),
            opened(1),
            settled(1),
            opened(2),
            opened(3),
            settled(3),
            settled(2),
            refused,
            opened(5),
            opened(6),
            write_off(6),
        ],
    );
    committer
}

fn found(filter: &Filter, order: Order) -> Vec<Seq> {
    let mut seqs = Vec::new();
    attempts(log().storage(), filter, order, &mut |attempt| {
        seqs.push(attempt.seq);
        true
    })
    .unwrap();
    seqs
}

#[test]
fn both_orders_give_the_same_attempts_with_their_ends() {
    assert_eq!(found(&Filter::default(), Order::Oldest), [2, 4, 5, 8, 9, 10]);
    assert_eq!(found(&Filter::default(), Order::Newest), [10, 9, 8, 5, 4, 2]);
    let mut outcomes = Vec::new();
    attempts(log().storage(), &Filter::default(), Order::Newest, &mut |attempt| {
        outcomes.push(attempt.outcome());
        true
    })
    .unwrap();
    let words: Vec<&str> = outcomes.iter().map(|it: &OutcomeClass| it.as_str()).collect();
    assert_eq!(words, ["written_off", "unsettled", "refused", "ok", "ok", "ok"]);
}

#[test]
fn filters_combine() {
    let by = |filter: Filter| found(&filter, Order::Oldest);
    assert_eq!(by(Filter { app: Some("batch".into()), ..Filter::default() }), [2, 5, 9]);
    assert_eq!(by(Filter { unsettled: true, ..Filter::default() }), [9]);
    assert_eq!(by(Filter { outcome: Some(OutcomeClass::Refused), ..Filter::default() }), [8]);
    assert_eq!(by(Filter { model: Some("gpt-5.1".into()), ..Filter::default() }).len(), 5);
    assert!(by(Filter { offer: Some("azure/gpt-5.1".into()), ..Filter::default() }).is_empty());
    let span = Filter { since: Some(at(2)), until: Some(at(5)), ..Filter::default() };
    assert_eq!(found(&span, Order::Oldest), [4, 5, 8]);
    assert_eq!(found(&span, Order::Newest), [8, 5, 4]);
}

#[test]
fn a_visitor_may_stop() {
    for order in [Order::Oldest, Order::Newest] {
        let mut seen = 0;
        attempts(log().storage(), &Filter::default(), order, &mut |_| {
            seen += 1;
            seen < 2
        })
        .unwrap();
        assert_eq!(seen, 2);
    }
}

#[test]
fn one_request_is_found_with_all_its_records() {
    let committer = log();
    let seqs = |number| -> Vec<Seq> {
        let found = request(committer.storage(), id(number).request).unwrap();
        found.into_iter().map(|it| it.0).collect()
    };
    assert_eq!(seqs(2), [4, 7]);
    assert_eq!(seqs(4), [8]);
    assert_eq!(seqs(5), [9]);
    assert!(request(committer.storage(), RequestId::new(at(2), 99 << 100)).unwrap().is_empty());
}

#[test]
fn times_are_found_by_bisection() {
    let committer = log();
    let reads = committer.storage();
    assert_eq!(first_at(reads, at(0)).unwrap(), 1);
    assert_eq!(first_at(reads, at(1)).unwrap(), 2);
    assert_eq!(first_at(reads, UnixMicros::from_micros(i64::MAX)).unwrap(), 12);
}

#[test]
fn usage_sums_by_group_and_in_total() {
    let rows =
        usage(log().storage(), &Filter::default(), GroupBy::App, &|_| String::new()).unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.group.as_str()).collect();
    assert_eq!(names, ["batch", "web", "total"]);
    let total = &rows[2];
    assert_eq!((total.requests, total.attempts, total.refused), (6, 5, 1));
    assert_eq!((total.unsettled, total.errors), (1, 1));
    assert_eq!((total.input, total.output), (600, 300));
    assert_eq!(total.cost.pico(), 1_800);
    assert_eq!(rows[0].cost.pico() + rows[1].cost.pico(), 1_800);
    let days = usage(log().storage(), &Filter::default(), GroupBy::Day, &|time| {
        time.to_string().chars().take(10).collect()
    })
    .unwrap();
    assert_eq!(days[0].group, "2026-11-22");
}

#[test]
fn exports_have_every_column_and_no_formula() {
    attempts(log().storage(), &Filter::default(), Order::Oldest, &mut |attempt| {
        assert_eq!(values(&attempt).len(), COLUMNS.len());
        assert_eq!(json(&attempt).as_object().unwrap().len(), COLUMNS.len());
        assert_eq!(csv_line(&attempt).matches(',').count(), csv_header().matches(',').count());
        true
    })
    .unwrap();
    for (text, field) in [
        ("plain", "plain"),
        ("=1+1", "\"'=1+1\""),
        ("+1", "\"'+1\""),
        ("-1", "\"'-1\""),
        ("@SUM(A1)", "\"'@SUM(A1)\""),
        ("a,\"b\"", "\"a,\"\"b\"\"\""),
        ("a\u{1b}[31m", "a\u{fffd}[31m"),
    ] {
        let mut line = String::new();
        csv_text(text, &mut line);
        assert_eq!(line, field);
    }
}
