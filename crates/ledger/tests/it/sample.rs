//! Records to test with.

use std::sync::Arc;

use domain::{
    AppName, CapabilityName, Endpoint, ErrorClass, Fate, Feature, Features, KeyPublicId, Money,
    OfferId, OutcomeClass, RequestId, RequestLimits, TeamName, UnixMicros, Usage, UsageQuality,
};
use ledger::chain::Signer;
use ledger::{
    Amount, AttemptKey, Candidate, Charge, Durability, Intent, Lost, Marks, Record, Refusal,
    Settlement, Start, Unit, WriteOff, offer_code,
};

/// 2026-11-22, noon UTC.
pub(crate) const NOON: UnixMicros = UnixMicros::from_secs(1_795_348_800);

/// A signer without mathematics: shows that the right things are signed and checked.
pub(crate) struct ToySigner;

impl Signer for ToySigner {
    fn public_key(&self) -> [u8; 32] {
        [7; 32]
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let half = ledger::chain::link(&[7; 32], message);
        let mut whole = [0; 64];
        whole[..32].copy_from_slice(&half);
        whole[32..].copy_from_slice(&half);
        whole
    }
}

pub(crate) fn toy_check(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    *key == [7; 32] && ToySigner.sign(message) == *signature
}

pub(crate) fn at(seconds: u32) -> UnixMicros {
    NOON.plus_micros(i64::from(seconds) * 1_000_000)
}

pub(crate) fn id(number: u32) -> AttemptKey {
    AttemptKey { request: RequestId::new(at(number), u128::from(number)), call: 0, attempt: 0 }
}

pub(crate) fn reserved() -> Amount {
    Amount { money: Money::from_pico(1_000), tokens: 500, requests: 1 }
}

pub(crate) fn charge(unit: Unit, limit: i128) -> Charge {
    Charge {
        budget: Arc::from(format!("team/search/{}", unit.as_str())),
        start: UnixMicros::from_secs(1_795_305_600),
        end: UnixMicros::from_secs(1_795_392_000),
        unit,
        limit,
        hard: true,
    }
}

pub(crate) fn intent(number: u32) -> Intent {
    Intent {
        id: id(number),
        admitted_at: at(number),
        dispatched_at: at(number).plus_micros(120),
        deadline: at(number + 1_800),
        key: Some(KeyPublicId::new("k00000000001").unwrap()),
        app: AppName::new(if number.is_multiple_of(2) { "web" } else { "batch" }).unwrap(),
        team: Some(TeamName::new("search").unwrap()),
        capability: CapabilityName::new("chat").unwrap(),
        offer: OfferId::parse("openai/gpt-5.1").unwrap(),
        requested_offer: Some(OfferId::parse("azure/gpt-5.1").unwrap()),
        endpoint: Endpoint::Chat,
        client_dialect: "openai-chat".into(),
        provider_dialect: "anthropic-messages".into(),
        contract: Some("enterprise-2026".into()),
        limits: RequestLimits { max_output: Some(256), answers: 1 },
        context_bound: 1_234,
        features: Features::NONE.with(Feature::Tools).with(Feature::Stream),
        residency: vec!["eu".into()],
        prefix_key: 0xfeed_beef,
        policy_version: 3,
        config_revision: 2,
        price_version: Some(41),
        reserved: reserved(),
        charges: vec![
            charge(Unit::Money, 1_000_000_000),
            charge(Unit::Tokens, 1_000_000_000),
            charge(Unit::Requests, 1_000_000),
        ],
        candidates: vec![
            Candidate { offer: offer_code("openai/gpt-5.1"), reason: 0 },
            Candidate { offer: offer_code("azure/gpt-5.1"), reason: 9 },
        ],
        marks: Marks { stream: true, ..Marks::default() },
        losses: vec![Lost { field: "seed".into(), fate: Fate::Dropped }],
    }
}

pub(crate) fn settlement(number: u32) -> Settlement {
    let charged = Amount { money: Money::from_pico(600), tokens: 300, requests: 1 };
    Settlement {
        id: id(number),
        outcome: OutcomeClass::Ok,
        error: ErrorClass::None,
        usage: Usage { input: 200, output: 100, ..Usage::default() },
        quality: UsageQuality::Reported,
        cost: Some(Money::from_pico(600)),
        charged,
        released: reserved().released_after(&charged),
        price_version: Some(41),
        price_tier: 0,
        dispatched_at: at(number).plus_micros(150),
        first_byte_at: Some(at(number).plus_micros(350_000)),
        done_at: at(number + 1),
        upstream_id: Some("chatcmpl-1".into()),
        finish: Some("stop".into()),
        upstream_code: 200,
        model: Some("gpt-5.1-2026-01-01".into()),
        marks: Marks { stream: true, ..Marks::default() },
    }
}

pub(crate) fn refusal(number: u32) -> Refusal {
    Refusal {
        request: id(number).request,
        at: at(number),
        key: None,
        app: Some(AppName::new("web").unwrap()),
        team: None,
        model: Some("gpt-9".into()),
        code: "model_not_found".into(),
        endpoint: Endpoint::Chat,
        client_dialect: "openai-chat".into(),
        config_revision: 2,
        candidates: Vec::new(),
    }
}

pub(crate) fn start(seconds: u32) -> Record {
    Record::Start(Start {
        at: at(seconds),
        version: "0.1.0".into(),
        config_revision: 2,
        durability: Durability::Strict,
    })
}

pub(crate) fn write_off(number: u32) -> Record {
    Record::WriteOff(Box::new(WriteOff {
        id: id(number),
        at: at(number + 90),
        charged: Amount::ZERO,
        released: reserved(),
        why: "provider confirmed it never arrived".into(),
        by: "operator".into(),
    }))
}

pub(crate) fn opened(number: u32) -> Record {
    Record::Intent(Box::new(intent(number)))
}

pub(crate) fn settled(number: u32) -> Record {
    Record::Settlement(Box::new(settlement(number)))
}

/// Writes records in one group each.
pub(crate) fn write<S: ledger::storage::Storage>(
    committer: &mut ledger::commit::Committer<S>,
    records: &[Record],
) {
    for record in records {
        let group = vec![ledger::commit::Submission {
            body: ledger::encode(record),
            keep: false,
            ticket: (),
        }];
        committer.commit(group, None, |(), result| assert!(result.is_ok())).unwrap();
    }
}
