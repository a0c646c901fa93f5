//! Every record survives its bytes, and no bytes make the decoder fall over.

use std::sync::Arc;

use domain::{AppName, CapabilityName, KeyPublicId};
use ledger::chain::{Chain, SignedHead};
use ledger::{
    BudgetDefinition, Checkpoint, ConfigChange, Damaged, KeyAction, KeyEvent, Kind, Record, Repair,
    Stop, Unit, decode, encode,
};
use proptest::prelude::*;

use crate::sample::{ToySigner, at, opened, refusal, settled, start, toy_check, write_off};

fn one_of_each() -> Vec<Record> {
    let config = ConfigChange {
        at: at(1),
        revision: 2,
        digest: [9; 32],
        budgets: vec![BudgetDefinition {
            name: "team/search/money".into(),
            scope: "team=search".into(),
            unit: Unit::Money,
            limit: -(1_i128 << 100),
            window: "day Europe/Berlin".into(),
            hard: true,
        }],
        offers: vec![Arc::from("openai/gpt-5.1")],
    };
    let key = KeyEvent {
        at: at(2),
        action: KeyAction::Rotated,
        key: KeyPublicId::new("k00000000001").unwrap(),
        app: AppName::new("web").unwrap(),
        team: None,
        budgets: vec!["5 USD per day".into()],
        capabilities: Some(vec![CapabilityName::new("chat").unwrap()]),
    };
    let checkpoint = Checkpoint {
        at: at(3),
        through: 77,
        chain: [1; 32],
        removed: 77,
        digest: [2; 32],
        state: vec![1, 2, 3],
        public_key: [3; 32],
        signature: [4; 64],
    };
    let repair = Repair {
        at: at(4),
        damaged: vec![Damaged { seq: 5, chain: Some([5; 32]) }, Damaged { seq: 6, chain: None }],
        digest: [6; 32],
        by: "operator".into(),
    };
    vec![
        start(0),
        Record::Stop(Stop { at: at(9), why: "sigterm".into() }),
        Record::Config(Box::new(config)),
        Record::Key(Box::new(key)),
        Record::Refusal(Box::new(refusal(4))),
        opened(5),
        settled(5),
        write_off(6),
        Record::Checkpoint(Box::new(checkpoint)),
        Record::Repair(Box::new(repair)),
    ]
}

#[test]
fn every_kind_comes_back_as_it_went() {
    let records = one_of_each();
    let kinds: Vec<Kind> = records.iter().map(Record::kind).collect();
    assert_eq!(kinds, Kind::ALL);
    for record in records {
        let (header, back) = decode(&encode(&record)).unwrap();
        assert_eq!(back, record);
        assert_eq!(header.kind, record.kind());
        assert_eq!(header.attempt, record.attempt());
        assert_eq!(header.logged_at, record.at());
    }
}

#[test]
fn every_prefix_and_every_longer_form_is_refused() {
    for record in one_of_each() {
        let body = encode(&record);
        for len in 0..body.len() {
            assert!(decode(&body[..len]).is_err(), "{:?} cut at {len}", record.kind());
        }
        let mut longer = body.clone();
        longer.push(0);
        assert!(decode(&longer).is_err());
    }
}

#[test]
fn a_later_format_is_refused_by_its_number() {
    let mut body = encode(&start(0));
    body[0] = 3;
    let error = decode(&body).unwrap_err().to_string();
    assert_eq!(error, "record has format version 3, newer than this program knows");
}

#[test]
fn a_key_event_of_the_first_format_says_nothing_of_capabilities() {
    // By docs/spec/ledger.md: version, kind, time; time, action, key, app, no team, one budget; the hash.
    let time = at(2).micros().to_le_bytes();
    let body = [
        &[1, Kind::Key as u8][..],
        &time,
        &time,
        &[KeyAction::Rotated as u8, 12],
        b"k00000000001",
        &[3],
        b"web",
        &[0, 1, 13],
        b"5 USD per day",
        &[0; 32],
    ]
    .concat();
    let (header, record) = decode(&body).unwrap();
    assert_eq!((header.kind, header.logged_at), (Kind::Key, at(2)));
    let Record::Key(event) = record else { panic!("{record:?}") };
    assert_eq!((event.action, event.app.as_str()), (KeyAction::Rotated, "web"));
    assert_eq!((event.budgets.len(), event.capabilities), (1, None));
}

#[test]
fn what_has_not_changed_since_the_first_format_is_still_read_from_it() {
    for record in one_of_each().into_iter().filter(|it| it.kind() != Kind::Key) {
        let mut body = encode(&record);
        body[0] = 1;
        assert_eq!(decode(&body).unwrap().1, record);
    }
}

#[test]
fn a_key_that_may_ask_for_everything_is_told_from_one_of_which_nothing_is_known() {
    for capabilities in [Some(Vec::new()), None] {
        let mut records = one_of_each();
        let Some(Record::Key(event)) = records.iter_mut().find(|it| it.kind() == Kind::Key) else {
            panic!("there is one of each");
        };
        event.capabilities = capabilities.clone();
        let record = Record::Key(event.clone());
        assert_eq!(decode(&encode(&record)).unwrap().1, record);
    }
}

#[test]
fn an_intent_with_everything_stays_small() {
    // The log's growth is a promise of the documentation: about half a kilobyte a request.
    assert!(encode(&opened(1)).len() < 500, "{}", encode(&opened(1)).len());
    assert!(encode(&settled(1)).len() < 200, "{}", encode(&settled(1)).len());
}

#[test]
fn the_log_time_never_steps_back() {
    let mut chain = Chain::EMPTY;
    for seconds in [10, 5, 20] {
        let mut body = encode(&start(seconds));
        chain.seal(&mut body);
        assert_eq!(decode(&body).unwrap().0.logged_at, at(seconds.max(10)));
    }
}

#[test]
fn a_signed_head_holds_only_as_signed() {
    let mut chain = Chain::EMPTY;
    chain.seal(&mut encode(&start(0)));
    let head = SignedHead::new(&chain, &ToySigner);
    assert_eq!(SignedHead::decode(&head.encode()), Ok(head));
    assert!(head.holds(&toy_check));
    for other in [
        SignedHead { seq: head.seq + 1, ..head },
        SignedHead { hash: [0; 32], ..head },
        SignedHead { at: at(1), ..head },
    ] {
        assert!(!other.holds(&toy_check));
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(decode(&bytes));
        drop(SignedHead::decode(&bytes));
        drop(ledger::replay::Replay::decode(&bytes));
    }

    #[test]
    fn changed_records_never_panic(index in 0_usize..2_000, value in any::<u8>(), which in 0_usize..10) {
        let mut body = encode(&one_of_each()[which]);
        let index = index % body.len();
        body[index] = value;
        drop(decode(&body));
    }
}
