//! Virtual keys.

use domain::{AppName, CapabilityName, UnixMicros};
use store::keys::{access_key_id, parse, public_of};
use store::{KeyError, KeyKind, NewKey, OpenOptions, SealError, Store};

fn new_key() -> NewKey {
    NewKey {
        kind: KeyKind::Virtual,
        app: AppName::new("web").unwrap(),
        team: None,
        expires_at: Some(UnixMicros::from_secs(1_000)),
        budgets: vec!["5 USD per day".into(), "1000 requests per hour".into()],
        capabilities: ["fast", "smart"].map(|it| CapabilityName::new(it).unwrap()).into(),
    }
}

fn second(seconds: i64) -> UnixMicros {
    UnixMicros::from_secs(seconds)
}

#[test]
fn a_key_is_verified_rotated_with_grace_and_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    let keys = store.keys().unwrap();
    let (record, secret) = keys.create(&new_key(), second(1)).unwrap();
    let old = parse(secret.reveal()).unwrap();
    assert_eq!(old.public(), record.public.as_str());
    assert!(keys.verifier().verify(&old, &record, second(2)));
    assert!(record.is_live(second(999)) && !record.is_live(second(1_000)));
    assert_eq!(keys.list().unwrap(), std::slice::from_ref(&record));

    let (rotated, fresh) = keys.rotate(old.public(), second(10), second(20)).unwrap();
    let fresh = parse(fresh.reveal()).unwrap();
    assert_eq!(keys.list().unwrap(), std::slice::from_ref(&rotated));
    let hasher = keys.verifier();
    assert!(hasher.verify(&fresh, &rotated, second(11)));
    assert!(hasher.verify(&old, &rotated, second(19)));
    assert!(!hasher.verify(&old, &rotated, second(20)));

    let revoked = keys.revoke(old.public(), second(30)).unwrap();
    assert!(!revoked.is_live(second(30)));
    assert!(!hasher.verify(&old, &revoked, second(15)), "grace ends with the key");
    assert!(matches!(keys.revoke(old.public(), second(31)), Err(KeyError::Revoked(_))));
    assert!(matches!(keys.rotate("nobody", second(1), second(1)), Err(KeyError::Unknown(_))));
}

#[test]
fn another_key_or_another_master_key_does_not_verify() {
    let dir = tempfile::tempdir().unwrap();
    let options = |master: &[u8]| OpenOptions {
        master_key: Some(master.to_vec()),
        ..OpenOptions::new(dir.path())
    };
    let (store, _) = Store::open(&options(b"0123456789abcdef")).unwrap();
    let keys = store.keys().unwrap();
    let (record, secret) = keys.create(&new_key(), second(1)).unwrap();
    let (_, other) = keys.create(&new_key(), second(1)).unwrap();
    let hasher = keys.verifier();
    assert!(!hasher.verify(&parse(other.reveal()).unwrap(), &record, second(2)));
    drop((keys, store));
    let (store, _) = Store::open(&options(b"another master key")).unwrap();
    let hasher = store.keys().unwrap().verifier();
    assert!(!hasher.verify(&parse(secret.reveal()).unwrap(), &record, second(2)));
    drop(store);
    assert!(Store::open(&options(b"short")).is_err());
}

fn signing() -> NewKey {
    NewKey { kind: KeyKind::Aws, ..new_key() }
}

#[test]
fn a_key_that_signs_can_be_had_back_and_one_that_does_not_can_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    let keys = store.keys().unwrap();
    let (record, old) = keys.create(&signing(), second(1)).unwrap();
    assert_eq!(public_of(&access_key_id(&record.public)), Some(record.public.as_str()));
    assert!(old.reveal().starts_with(&access_key_id(&record.public)));
    assert_eq!(keys.list().unwrap(), std::slice::from_ref(&record));
    let verifier = keys.verifier();
    let opened = |record, at| {
        let keys = verifier.signing_keys(record, second(at)).unwrap();
        keys.iter().map(|it| it.reveal().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(opened(&record, 2), [old.reveal()]);
    assert!(verifier.verify(&parse(old.reveal()).unwrap(), &record, second(2)), "sent whole");

    let public = record.public.as_str();
    let (rotated, fresh) = keys.rotate(public, second(10), second(20)).unwrap();
    assert_eq!(keys.list().unwrap(), std::slice::from_ref(&rotated));
    assert_eq!(opened(&rotated, 19), [fresh.reveal(), old.reveal()]);
    assert_eq!(opened(&rotated, 20), [fresh.reveal()]);
    let (rotated, last) = keys.rotate(public, second(12), second(12)).unwrap();
    assert_eq!(opened(&rotated, 12), [last.reveal()], "no grace");
    keys.rotate(public, second(13), second(40)).unwrap();
    let revoked = keys.revoke(public, second(30)).unwrap();
    assert_eq!(opened(&revoked, 30).len(), 1, "grace ends with the key");
    assert_eq!(keys.list().unwrap(), std::slice::from_ref(&revoked));

    let (other, _) = keys.create(&new_key(), second(1)).unwrap();
    assert!(opened(&other, 2).is_empty());
}

#[test]
fn a_sealed_key_opens_in_its_own_row_and_under_its_own_master_key_only() {
    let dir = tempfile::tempdir().unwrap();
    let options = |master: &[u8]| OpenOptions {
        master_key: Some(master.to_vec()),
        ..OpenOptions::new(dir.path())
    };
    let (store, _) = Store::open(&options(b"0123456789abcdef")).unwrap();
    let keys = store.keys().unwrap();
    let made = [(); 2].map(|()| keys.create(&signing(), second(1)).unwrap().0);
    drop((keys, store));
    // Whoever can write the file puts one key's secret, perhaps their own, where another's was.
    let file = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    file.execute(
        "UPDATE credentials SET sealed = (SELECT sealed FROM credentials WHERE public = ?1) WHERE public = ?2",
        [made[0].public.as_str(), made[1].public.as_str()],
    )
    .unwrap();
    drop(file);
    let (store, _) = Store::open(&options(b"0123456789abcdef")).unwrap();
    let keys = store.keys().unwrap();
    let verifier = keys.verifier();
    let opened = |verifier: &store::KeyVerifier, at: usize| {
        let record = keys.get(made[at].public.as_str()).unwrap();
        verifier.signing_keys(&record, second(2)).map(|keys| keys.len())
    };
    assert_eq!(opened(&verifier, 0), Ok(1));
    assert_eq!(opened(&verifier, 1), Err(SealError::Damaged));
    drop(store);
    let (store, _) = Store::open(&options(b"another master key")).unwrap();
    assert_eq!(opened(&store.keys().unwrap().verifier(), 0), Err(SealError::OtherKey));
}

#[test]
fn no_file_of_the_folder_holds_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    let keys = store.keys().unwrap();
    for new in [new_key(), signing()] {
        let (record, secret) = keys.create(&new, second(1)).unwrap();
        let (_, fresh) = keys.rotate(record.public.as_str(), second(2), second(9)).unwrap();
        for secret in [secret, fresh] {
            assert_nowhere(dir.path(), secret.reveal().split('-').next_back().unwrap());
        }
    }
}

fn assert_nowhere(dir: &std::path::Path, secret: &str) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
        assert!(!found, "{}", path.display());
    }
}
