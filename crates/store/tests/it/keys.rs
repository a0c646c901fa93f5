//! Virtual keys.

use domain::{AppName, CapabilityName, UnixMicros};
use store::keys::parse;
use store::{KeyError, NewKey, OpenOptions, Store};

fn new_key() -> NewKey {
    NewKey {
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
    assert!(keys.hasher().verify(&old, &record, second(2)));
    assert!(record.is_live(second(999)) && !record.is_live(second(1_000)));
    assert_eq!(keys.list().unwrap(), std::slice::from_ref(&record));

    let (rotated, fresh) = keys.rotate(old.public(), second(10), second(20)).unwrap();
    let fresh = parse(fresh.reveal()).unwrap();
    assert_eq!(keys.list().unwrap(), std::slice::from_ref(&rotated));
    let hasher = keys.hasher();
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
    let hasher = keys.hasher();
    assert!(!hasher.verify(&parse(other.reveal()).unwrap(), &record, second(2)));
    drop((keys, store));
    let (store, _) = Store::open(&options(b"another master key")).unwrap();
    let hasher = store.keys().unwrap().hasher();
    assert!(!hasher.verify(&parse(secret.reveal()).unwrap(), &record, second(2)));
    drop(store);
    assert!(Store::open(&options(b"short")).is_err());
}

#[test]
fn no_file_of_the_folder_holds_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    let (_, secret) = store.keys().unwrap().create(&new_key(), second(1)).unwrap();
    let tail = secret.reveal().split('-').next_back().unwrap().as_bytes().to_vec();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(tail.len()).any(|it| it == tail), "{}", path.display());
    }
}
