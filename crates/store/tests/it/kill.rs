//! T-L1 at the store: a process that appends is killed at a random moment; everything it acknowledged is there.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use ledger::Record;
use ledger::verify::verify;
use store::{OpenOptions, Store, check_signature};

use crate::sample::{intent, settlement, start};

const FOLDER: &str = "OUTRIGGER_TEST_KILL_FOLDER";
const FIRST: &str = "OUTRIGGER_TEST_KILL_FIRST";

/// Not a test of its own: what the other one starts as a process and kills.
#[test]
fn child() {
    let (Ok(dir), Ok(first)) = (std::env::var(FOLDER), std::env::var(FIRST)) else { return };
    let first: u64 = first.parse().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir)).unwrap();
    store.writer().append(&start()).wait().unwrap();
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let writer = store.writer();
            scope.spawn(move || {
                for number in (first + lane..).step_by(4) {
                    writer.append(&intent(number)).wait().unwrap();
                    say("sent", number);
                    writer.append(&settlement(number)).wait().unwrap();
                    say("done", number);
                }
            });
        }
    });
}

fn say(what: &str, number: u64) {
    // One write: a kill must not leave half a line in the pipe.
    std::io::stderr().write_all(format!("{what} {number}\n").as_bytes()).unwrap();
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let rounds = if std::env::var("OUTRIGGER_TEST_LONG").is_ok() { 200 } else { 25 };
    let (mut sent, mut done) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, dir.path())
            .env(FIRST, (1 + round * 1_000_000).to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Between 1 and 97 lines after the first, then the kill; lines on their way still count.
        let kill_at = 1 + (round * 37) % 97;
        for (index, line) in lines.map_while(Result::ok).enumerate() {
            let mut words = line.split(' ');
            let (what, number) = (words.next(), words.next().and_then(|it| it.parse::<u64>().ok()));
            match (what, number) {
                (Some("sent"), Some(number)) => sent.insert(number),
                (Some("done"), Some(number)) => done.insert(number),
                _ => panic!("child said {line}"),
            };
            if index as u64 == kill_at {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
    }
    assert!(done.len() > rounds as usize * 5, "{}", done.len());
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    store.writer().append(&start()).wait().unwrap();
    let reads = store.reader().unwrap();
    let report = verify(&reads, &check_signature, None, None).unwrap();
    assert_eq!(report.faults, []);
    let (mut intents, mut settled) = (BTreeSet::new(), BTreeSet::new());
    for row in ledger::storage::Reads::read(&reads, 1, usize::MAX >> 1).unwrap() {
        match ledger::decode(&row.body).unwrap().1 {
            Record::Intent(it) => assert!(intents.insert(it.id)),
            Record::Settlement(it) => assert!(settled.insert(it.id)),
            _ => {}
        }
    }
    assert!(sent.iter().all(|number| intents.contains(&crate::sample::id(*number))));
    assert!(done.iter().all(|number| settled.contains(&crate::sample::id(*number))));
    // What was open at a kill is listed: at most one attempt for each of the four lanes and each round.
    assert_eq!(report.unsettled.len(), intents.len() - settled.len());
    assert!(report.unsettled.len() <= 4 * rounds as usize);
}
