//! Opening, reopening, locking, migrating, backing up, pruning, repairing.

use ledger::chain::SignedHead;
use ledger::storage::{META_HEAD, META_SNAPSHOT, Reads};
use ledger::verify::verify;
use ledger::{Durability, Record};
use rusqlite::Connection;
use store::{OpenError, OpenOptions, SCHEMA_VERSION, Store, check_signature};

use crate::sample::{at, id, intent, settlement, start};

fn write(store: &Store, records: &[Record]) {
    let writer = store.writer();
    let receipts: Vec<_> = records.iter().map(|record| writer.append(record)).collect();
    for receipt in receipts {
        receipt.wait().unwrap();
    }
}

fn pairs(from: u64, to: u64) -> Vec<Record> {
    (from..to).flat_map(|number| [intent(number), settlement(number)]).collect()
}

#[test]
fn what_was_written_is_there_after_a_reopen_and_the_open_intent_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(dir.path());
    let (store, replay) = Store::open(&options).unwrap();
    assert_eq!(replay.seq, 0);
    write(&store, &[start()]);
    write(&store, &pairs(1, 40));
    write(&store, &[intent(50)]);
    let key = store.public_key();
    drop(store);

    let (store, replay) = Store::open(&options).unwrap();
    assert_eq!(store.public_key(), key);
    assert_eq!(replay.open.keys().copied().collect::<Vec<_>>(), [id(50)]);
    let window = replay.windows.values().next().unwrap();
    assert_eq!((window.settled, window.reserved), (39, 1));
    write(&store, &[start()]);
    let report = verify(&store.reader().unwrap(), &check_signature, Some(key), None).unwrap();
    assert_eq!(report.faults, []);
    assert_eq!(report.unsettled.len(), 1);
    // The clean stop signed the head behind the 80 records before it.
    assert_eq!(report.head.map(|head| head.seq), Some(80));
    write(&store, &[settlement(50)]);
    let report = verify(&store.reader().unwrap(), &check_signature, Some(key), None).unwrap();
    assert!(report.is_sound() && report.unsettled.is_empty());
}

#[test]
fn a_second_process_is_told_who_holds_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(dir.path());
    let (store, _) = Store::open(&options).unwrap();
    let Err(OpenError::Locked { pid, .. }) = Store::open(&options) else { panic!("opened twice") };
    assert_eq!(pid, Some(std::process::id()));
    // Reading beside it is allowed.
    assert!(Store::open_read_only(dir.path()).unwrap().bounds().unwrap().is_none());
    drop(store);
    assert!(Store::open(&options).is_ok());
}

#[test]
fn secrets_and_the_folder_are_the_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    drop(Store::open(&OpenOptions::new(&dir)).unwrap());
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for name in ["master.key", "signing.key", "lock"] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
    std::fs::write(dir.join("signing.key"), "short").unwrap();
    assert!(matches!(Store::open(&OpenOptions::new(&dir)), Err(OpenError::BadKeyFile { .. })));
}

/// What each older program made of the one before it, written out here so that no later edit changes it.
const OLD_SCHEMAS: [&str; 4] = [
    "CREATE TABLE log (seq INTEGER PRIMARY KEY, body BLOB NOT NULL);
     CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
     CREATE TABLE credentials (
        public TEXT PRIMARY KEY, kind TEXT NOT NULL, app TEXT NOT NULL, team TEXT,
        created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER, hash BLOB NOT NULL,
        previous_hash BLOB, previous_until INTEGER, budgets TEXT NOT NULL
     ) WITHOUT ROWID;
     PRAGMA user_version=1;",
    "CREATE TABLE damaged (seq INTEGER NOT NULL, body BLOB NOT NULL); PRAGMA user_version=2;",
    "ALTER TABLE credentials ADD COLUMN capabilities TEXT NOT NULL DEFAULT ''; PRAGMA user_version=3;",
    "PRAGMA user_version=4;",
];

#[test]
fn a_file_of_each_older_schema_is_brought_forward() {
    assert_eq!(OLD_SCHEMAS.len() + 1, SCHEMA_VERSION);
    for version in 1..=OLD_SCHEMAS.len() {
        brought_forward(version);
    }
}

fn brought_forward(version: usize) {
    let dir = tempfile::tempdir().unwrap();
    let old = Connection::open(dir.path().join("ledger.db")).unwrap();
    for step in &OLD_SCHEMAS[..version] {
        old.execute_batch(step).unwrap();
    }
    old.execute(
        "INSERT INTO credentials (public, kind, app, team, created_at, expires_at, revoked_at, hash, previous_hash, \
         previous_until, budgets) VALUES ('abcDEF012345', 'virtual', 'web', NULL, 1, NULL, NULL, ?1, NULL, NULL, \
         '5 USD per day')",
        [[7_u8; 32]],
    )
    .unwrap();
    let mut chain = ledger::chain::Chain::EMPTY;
    for record in [start(), intent(1), settlement(1)] {
        let mut body = ledger::encode(&record);
        // Nothing of these kinds has changed since the first format but its number.
        body[0] = 1;
        let seq = chain.seal(&mut body);
        let row = rusqlite::params![i64::try_from(seq).unwrap(), body];
        old.execute("INSERT INTO log VALUES (?1, ?2)", row).unwrap();
    }
    drop(old);
    let (store, replay) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    assert_eq!(replay.seq, 3);
    write(&store, &pairs(2, 5));
    assert!(verify(&store.reader().unwrap(), &check_signature, None, None).unwrap().is_sound());
    let keys = store.keys().unwrap().list().unwrap();
    // A key from before there were permissions may ask for everything, as it could then.
    assert_eq!((keys.len(), keys[0].capabilities.len()), (1, 0));
    assert_eq!(keys[0].budgets, ["5 USD per day"]);
    assert_eq!(keys[0].kind, store::KeyKind::Virtual);
    drop(store);
    let new = Connection::open(dir.path().join("ledger.db")).unwrap();
    let version: u32 = new.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version as usize, SCHEMA_VERSION);
    // A file of a later program is left alone.
    new.execute_batch("PRAGMA user_version=99").unwrap();
    let error = Store::open(&OpenOptions::new(dir.path())).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("schema version 99 is newer"), "{source}");
}

#[test]
fn a_backup_made_while_writing_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let to = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    write(&store, &[start()]);
    let writer = store.writer();
    let busy = std::thread::spawn(move || {
        for record in pairs(1, 600) {
            writer.append(&record).wait().unwrap();
        }
    });
    write(&store, &pairs(1_000, 1_010));
    store::backup(dir.path(), &to.path().join("copy")).unwrap();
    busy.join().unwrap();
    let copy = Store::open_read_only(&to.path().join("copy")).unwrap();
    let report = verify(&copy, &check_signature, Some(store.public_key()), None).unwrap();
    assert_eq!(report.faults, []);
    assert!(report.records >= 21);
    assert!(store::backup(dir.path(), &to.path().join("copy")).is_err(), "overwrote a backup");
}

#[test]
fn pruning_while_open_keeps_the_sums() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(dir.path());
    let (store, _) = Store::open(&options).unwrap();
    write(&store, &[start()]);
    write(&store, &pairs(1, 100));
    assert!(store.prune(at(50), at(200)).unwrap().is_some());
    write(&store, &pairs(300, 310));
    let report = verify(&store.reader().unwrap(), &check_signature, None, None).unwrap();
    assert_eq!(report.faults, []);
    assert!(report.pruned_through.is_some_and(|it| it > 50));
    assert_eq!(report.replay.windows.values().next().unwrap().settled, 109);
    drop(store);
    let (_store, replay) = Store::open(&options).unwrap();
    assert_eq!(replay.windows.values().next().unwrap().settled, 109);
}

#[test]
fn a_damaged_tail_is_named_at_the_start_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(dir.path());
    let (store, _) = Store::open(&options).unwrap();
    write(&store, &[start()]);
    write(&store, &pairs(1, 10));
    drop(store);
    let file = Connection::open(dir.path().join("ledger.db")).unwrap();
    let body: Vec<u8> =
        file.query_row("SELECT body FROM log WHERE seq = 7", [], |row| row.get(0)).unwrap();
    let mut changed = body.clone();
    changed[30] ^= 1;
    file.execute("UPDATE log SET body = ?1 WHERE seq = 7", [&changed]).unwrap();
    drop(file);
    let error = Store::open(&options).unwrap_err().to_string();
    assert!(error.contains("record 7 is damaged"), "{error}");
    let (damage, seq) = store::repair(dir.path(), "operator", at(500)).unwrap();
    assert_eq!((damage.present.len(), damage.present[0].0, seq), (1, 7, Some(20)));
    let (store, _) = Store::open(&options).unwrap();
    assert!(verify(&store.reader().unwrap(), &check_signature, None, None).unwrap().is_sound());
    drop(store);
    let file = Connection::open(dir.path().join("ledger.db")).unwrap();
    let kept: Vec<u8> =
        file.query_row("SELECT body FROM damaged WHERE seq = 7", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, changed);
    assert_eq!(store::repair(dir.path(), "operator", at(501)).unwrap().1, None);
}

#[test]
fn a_clean_stop_after_many_records_leaves_a_snapshot_and_a_signed_head() {
    let dir = tempfile::tempdir().unwrap();
    let options = OpenOptions { durability: Durability::Relaxed, ..OpenOptions::new(dir.path()) };
    let (store, _) = Store::open(&options).unwrap();
    let writer = store.writer();
    for record in pairs(1, 1_500) {
        writer.append(&record).wait().unwrap();
    }
    drop(store);
    let reader = Store::open_read_only(dir.path()).unwrap();
    let head = SignedHead::decode(&reader.meta(META_HEAD).unwrap().unwrap()).unwrap();
    assert_eq!(head.seq, 2_998);
    assert!(head.holds(&check_signature));
    assert!(reader.meta(META_SNAPSHOT).unwrap().is_some());
    assert!(verify(&reader, &check_signature, None, None).unwrap().is_sound());
}
