//! `outrigger ledger write-off`: giving up an unsettled attempt.

use domain::{Money, OutcomeClass};
use ledger::{Amount, AttemptKey, Record, WriteOff, verify};
use serde_json::{Value, json};

use super::ledger::{attempts_of, request_id};
use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::{client, clock, data};

/// Closes an attempt that nobody closed, and gives its reservation free or charges it.
pub(super) fn run(attempt: &str, why: &str, charge: bool, dry_run: bool, global: &Global) -> Done {
    let output = global.output();
    let key = attempt_key(attempt)?;
    if dry_run {
        let reserved = reserved(key, global)?;
        let charged = charged(reserved, charge).money.to_string();
        let value =
            json!({"written_off": null, "attempt": key.to_string(), "charged_usd": charged});
        let what =
            format!("{key} would be written off: {charged} of {} USD charged", reserved.money);
        return output.either(&value, || output.line(&what));
    }
    let value = match client::running(global)? {
        Some(admin) => admin.post("/v1/outrigger/ledger/write-off", &json!({
            "request": key.request.to_string(), "call": key.call, "attempt": key.attempt, "why": why, "charge": charge,
        }))?,
        None => offline(key, why, charge, global)?,
    };
    output.either(&value, || output.line(&format!("written off {key}")))
}

fn offline(key: AttemptKey, why: &str, charge: bool, global: &Global) -> Result<Value, Failure> {
    data::write(global, "write_off", |store| {
        let reader = store.reader().cant("open the ledger")?;
        let replay = verify::restore(&reader, &store::check_signature).cant("read the ledger")?;
        let replay = replay.map_err(|fault| Failure::new(Exit::Verification, fault))?;
        let open = replay.open.get(&key).ok_or_else(|| not_open(key))?;
        let reserved = open.intent.reserved;
        let charged = charged(reserved, charge);
        let record = WriteOff {
            id: key,
            at: clock::now(),
            charged,
            released: reserved.released_after(&charged),
            why: why.to_owned().into(),
            by: "cli".into(),
        };
        let value =
            json!({"written_off": key.to_string(), "charged_usd": charged.money.to_string()});
        Ok((value, vec![Record::WriteOff(Box::new(record))]))
    })
}

fn charged(reserved: Amount, charge: bool) -> Amount {
    if charge {
        reserved
    } else {
        Amount { money: Money::ZERO, tokens: 0, requests: reserved.requests }
    }
}

/// What an attempt that nobody closed holds.
fn reserved(key: AttemptKey, global: &Global) -> Result<Amount, Failure> {
    let found = attempts_of(&key.request.to_string(), global)?;
    let open = found.iter().find(|it| it.id == key && it.outcome() == OutcomeClass::Unsettled);
    open.and_then(|it| it.intent()).map(|intent| intent.reserved).ok_or_else(|| not_open(key))
}

fn not_open(key: AttemptKey) -> Failure {
    Failure::new(Exit::Failed, format!("{key} is not an unsettled attempt"))
        .hint("outrigger ledger query --unsettled")
}

fn attempt_key(text: &str) -> Result<AttemptKey, Failure> {
    let mut parts = text.split('/');
    let request = request_id(parts.next().unwrap_or_default())?;
    let mut number = || match parts.next() {
        None => Some(0),
        Some(part) => part.parse::<u16>().ok(),
    };
    match (number(), number(), parts.next()) {
        (Some(call), Some(attempt), None) => Ok(AttemptKey { request, call, attempt }),
        _ => Err(Failure::new(
            Exit::Usage,
            format!("`{text}` is not an attempt: write request/call/attempt"),
        )),
    }
}
