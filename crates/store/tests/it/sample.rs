//! Records to test with.

use domain::{
    AppName, CapabilityName, Endpoint, ErrorClass, Features, Money, OfferId, OutcomeClass,
    RequestId, RequestLimits, UnixMicros, Usage, UsageQuality,
};
use ledger::{
    Amount, AttemptKey, Charge, Durability, Intent, Marks, Record, Settlement, Start, Unit,
};

pub(crate) fn at(number: u64) -> UnixMicros {
    UnixMicros::from_secs(1_795_348_800).plus_micros(i64::try_from(number).unwrap() * 1_000)
}

pub(crate) fn id(number: u64) -> AttemptKey {
    let request = RequestId::new(at(number), u128::from(number) << 64);
    AttemptKey { request, call: 0, attempt: 0 }
}

pub(crate) fn start() -> Record {
    let durability = Durability::Strict;
    Record::Start(Start { at: at(0), version: "0.1.0".into(), config_revision: 1, durability })
}

pub(crate) fn intent(number: u64) -> Record {
    Record::Intent(Box::new(Intent {
        id: id(number),
        admitted_at: at(number),
        dispatched_at: at(number),
        deadline: at(number + 1_000_000),
        key: None,
        app: AppName::new("web").unwrap(),
        team: None,
        capability: CapabilityName::new("chat").unwrap(),
        offer: OfferId::parse("openai/gpt-5.1").unwrap(),
        requested_offer: None,
        endpoint: Endpoint::Chat,
        client_dialect: "openai-chat".into(),
        provider_dialect: "openai-chat".into(),
        contract: None,
        limits: RequestLimits { max_output: Some(256), answers: 1 },
        context_bound: 1_000,
        features: Features::NONE,
        residency: Vec::new(),
        prefix_key: 1,
        policy_version: 1,
        config_revision: 1,
        price_version: Some(1),
        reserved: Amount { money: Money::from_pico(1_000), tokens: 500, requests: 1 },
        charges: vec![Charge {
            budget: "all".into(),
            start: UnixMicros::default(),
            end: UnixMicros::from_micros(i64::MAX),
            unit: Unit::Requests,
            limit: i128::from(i64::MAX),
            hard: true,
        }],
        candidates: Vec::new(),
        marks: Marks::default(),
        losses: Vec::new(),
    }))
}

pub(crate) fn settlement(number: u64) -> Record {
    let charged = Amount { money: Money::from_pico(600), tokens: 300, requests: 1 };
    let reserved = Amount { money: Money::from_pico(1_000), tokens: 500, requests: 1 };
    Record::Settlement(Box::new(Settlement {
        id: id(number),
        outcome: OutcomeClass::Ok,
        error: ErrorClass::None,
        usage: Usage { input: 200, output: 100, ..Usage::default() },
        quality: UsageQuality::Reported,
        cost: Some(charged.money),
        charged,
        released: reserved.released_after(&charged),
        price_version: Some(1),
        price_tier: 0,
        dispatched_at: at(number),
        first_byte_at: None,
        done_at: at(number + 1),
        upstream_id: None,
        finish: Some("stop".into()),
        upstream_code: 200,
        model: None,
        marks: Marks::default(),
    }))
}
