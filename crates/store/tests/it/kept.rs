//! What is kept beside the ledger: responses.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use domain::{AppName, UnixMicros};
use store::kept::responses::{Chain, ChainBounds, Keeping, NewResponse, Responses};
use store::{KeptError, OpenOptions, SealError, Store};

const MUCH: u64 = 1 << 30;
const BOUNDS: ChainBounds = ChainBounds { responses: 100, bytes: MUCH };

fn open(dir: &Path) -> (Store, Responses) {
    let (store, _) = Store::open(&OpenOptions::new(dir)).unwrap();
    let responses = store.responses().unwrap();
    (store, responses)
}

fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

fn second(seconds: i64) -> UnixMicros {
    UnixMicros::from_secs(seconds)
}

fn new(app_name: &str, id: &str, previous: Option<&str>, expires_at: i64) -> NewResponse {
    NewResponse {
        app: app(app_name),
        id: id.to_owned(),
        previous: previous.map(str::to_owned),
        created_at: second(1),
        expires_at: second(expires_at),
        text: format!("the text of {id}").into_bytes(),
    }
}

fn ids(chain: Chain) -> Vec<String> {
    let whole = match chain {
        Chain::Whole(chain) => Some(chain),
        Chain::Missing(_) | Chain::TooLong | Chain::TooLarge => None,
    };
    whole.unwrap().into_iter().map(|it| it.id).collect()
}

#[test]
fn a_conversation_comes_back_in_order_also_after_a_new_start_and_only_to_its_application() {
    let dir = tempfile::tempdir().unwrap();
    let (store, responses) = open(dir.path());
    assert!(!store.kept().is_made(), "a gateway that keeps nothing has no file for it");
    for (id, previous) in [("a", None), ("b", Some("a")), ("c", Some("b"))] {
        let keeping = responses.keep(new("web", id, previous, 100), MUCH).wait().unwrap();
        assert_eq!(keeping, Keeping::Done);
    }
    drop((responses, store));

    let (_store, responses) = open(dir.path());
    let chain = responses.chain(&app("web"), "c", second(2), BOUNDS).wait().unwrap();
    assert_eq!(ids(chain), ["a", "b", "c"]);
    let got = responses.get(&app("web"), "b", second(2)).wait().unwrap().unwrap();
    assert_eq!(got.text.as_slice(), b"the text of b");
    assert_eq!((got.previous.as_deref(), got.created_at), (Some("a"), second(1)));

    assert!(responses.get(&app("other"), "b", second(2)).wait().unwrap().is_none());
    let other = responses.chain(&app("other"), "c", second(2), BOUNDS).wait().unwrap();
    assert!(matches!(other, Chain::Missing(id) if id == "c"));
    assert!(!responses.delete(&app("other"), "b").wait().unwrap());
    assert!(responses.delete(&app("web"), "b").wait().unwrap());
    let broken = responses.chain(&app("web"), "c", second(2), BOUNDS).wait().unwrap();
    assert!(matches!(broken, Chain::Missing(id) if id == "b"));
    // Another application may have the same id for another response.
    let theirs = responses.keep(new("other", "c", None, 100), MUCH).wait().unwrap();
    assert_eq!(theirs, Keeping::Done);
    let again = responses.keep(new("web", "c", None, 100), MUCH).wait().unwrap();
    assert_eq!(again, Keeping::IdTaken);
}

#[test]
fn a_conversation_has_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, responses) = open(dir.path());
    responses.keep(new("web", "a", None, 100), MUCH).wait().unwrap();
    responses.keep(new("web", "b", Some("a"), 100), MUCH).wait().unwrap();
    // One that claims to be built on itself ends too.
    responses.keep(new("web", "x", Some("x"), 100), MUCH).wait().unwrap();
    let chain = |id, bounds| responses.chain(&app("web"), id, second(2), bounds).wait().unwrap();
    let one = ChainBounds { responses: 1, ..BOUNDS };
    assert!(matches!(chain("b", one), Chain::TooLong));
    assert!(matches!(chain("b", ChainBounds { bytes: 60, ..BOUNDS }), Chain::TooLarge));
    assert!(matches!(chain("x", BOUNDS), Chain::TooLong));
    assert_eq!(ids(chain("b", ChainBounds { responses: 2, ..BOUNDS })), ["a", "b"]);
}

#[test]
fn time_ends_and_is_moved_by_whoever_builds_on_a_response() {
    const DAY: i64 = 86_400;
    let dir = tempfile::tempdir().unwrap();
    let (store, responses) = open(dir.path());
    responses.keep(new("web", "a", None, 10 * DAY), MUCH).wait().unwrap();
    responses.keep(new("web", "lone", None, 10 * DAY), MUCH).wait().unwrap();
    responses.keep(new("web", "b", Some("a"), 20 * DAY), MUCH).wait().unwrap();
    let there = |id, at| responses.get(&app("web"), id, second(at)).wait().unwrap().is_some();
    assert!(there("lone", 10 * DAY - 1) && !there("lone", 10 * DAY));
    assert!(there("a", 20 * DAY - 1), "b needs it");
    assert_eq!(store.kept().sweep(second(10 * DAY)).wait().unwrap(), 1);
    assert!(!there("lone", 1), "it is deleted, not only hidden");
    assert_eq!(store.kept().sweep(second(20 * DAY)).wait().unwrap(), 2);
}

#[test]
fn what_is_kept_in_all_is_bounded_and_the_oldest_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, responses) = open(dir.path());
    let room_for_three = 3 * 320;
    for (id, end) in [("b", 20), ("a", 10), ("c", 30), ("d", 40)] {
        let keeping = responses.keep(new("web", id, None, end), room_for_three).wait().unwrap();
        assert_eq!(keeping, Keeping::Done);
    }
    let there = |id| responses.get(&app("web"), id, second(2)).wait().unwrap().is_some();
    assert_eq!(["a", "b", "c", "d"].map(there), [false, true, true, true]);
    let large = NewResponse { text: vec![0; 2_000], ..new("web", "e", None, 50) };
    assert_eq!(responses.keep(large, room_for_three).wait().unwrap(), Keeping::TooLarge);
    assert_eq!(["b", "c", "d"].map(there), [true; 3], "nothing made room for it");
}

#[test]
fn an_application_is_purged_alone_and_nothing_is_left_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let (store, responses) = open(dir.path());
    for (owner, id) in [("web", "a"), ("web", "b"), ("other", "a")] {
        responses.keep(new(owner, id, None, 100), MUCH).wait().unwrap();
    }
    assert_eq!(responses.purge(Some(app("web"))).wait().unwrap(), 2);
    assert!(responses.get(&app("other"), "a", second(2)).wait().unwrap().is_some());
    assert_eq!(responses.purge(None).wait().unwrap(), 1);
    drop((responses, store));
    let file = dir.path().join("kept.db");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let connection = rusqlite::Connection::open(&file).unwrap();
    let left: i64 = connection
        .query_row(
            "SELECT (SELECT count(*) FROM response_texts) + (SELECT bytes FROM response_bytes)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn texts_are_sealed_and_open_in_their_own_row_only() {
    let dir = tempfile::tempdir().unwrap();
    let (store, responses) = open(dir.path());
    responses.keep(new("web", "a", None, 100), MUCH).wait().unwrap();
    responses.keep(new("web", "b", None, 100), MUCH).wait().unwrap();
    drop((responses, store));
    let file = dir.path().join("kept.db");
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(8).any(|it| it == b"the text"));
    let connection = rusqlite::Connection::open(&file).unwrap();
    let swap = "UPDATE response_texts SET sealed =
        (SELECT sealed FROM response_texts WHERE number = 2) WHERE number = 1";
    connection.execute(swap, []).unwrap();
    drop(connection);

    let (store, responses) = open(dir.path());
    let moved = responses.get(&app("web"), "a", second(2)).wait().unwrap_err();
    assert_eq!(moved, KeptError::Seal(SealError::Damaged));
    assert!(responses.get(&app("web"), "b", second(2)).wait().unwrap().is_some());
    drop((responses, store));
    std::fs::remove_file(dir.path().join("master.key")).unwrap();
    let (_store, responses) = open(dir.path());
    let lost = responses.get(&app("web"), "b", second(2)).wait().unwrap_err();
    assert_eq!(lost, KeptError::Seal(SealError::OtherKey));
}

#[test]
fn a_file_of_a_newer_program_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(dir.path().join("kept.db")).unwrap();
    connection.execute_batch("PRAGMA user_version=99;").unwrap();
    drop(connection);
    let (_store, responses) = open(dir.path());
    let refused = responses.get(&app("web"), "a", second(2)).wait().unwrap_err();
    assert!(refused.to_string().contains("newer"), "{refused}");
}

#[test]
fn many_at_a_time_are_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, responses) = open(dir.path());
    let pending: Vec<_> = (0..500)
        .map(|number| responses.keep(new("web", &format!("r{number}"), None, 100), MUCH))
        .collect();
    for one in pending {
        assert_eq!(one.wait().unwrap(), Keeping::Done);
    }
    assert_eq!(responses.purge(None).wait().unwrap(), 500);
}
