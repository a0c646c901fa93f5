//! The ledger's upkeep: verify, write off, prune, back up.

use std::path::PathBuf;
use std::sync::PoisonError;

use ::ledger::verify::Report;
use ::ledger::{Amount, AttemptKey, Intent, Record, WriteOff};
use axum::Json;
use domain::{Money, RequestId, UnixMicros};
use limits::Actual;
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{self, Problem};
use super::{Answer, Api, Input, State, blocking};
use crate::{explain, restore};

/// Longest reason that is kept, in bytes.
const WHY_MAX: usize = 500;
/// Longest name of who wrote off, in bytes.
const BY_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Give {
    /// `request/call/attempt` in one text, or the request alone with its numbers beside it.
    #[serde(alias = "id")]
    request: String,
    #[serde(default)]
    call: u16,
    #[serde(default)]
    attempt: u16,
    why: String,
    by: Option<String>,
    /// Charge the whole reservation instead of nothing.
    #[serde(default)]
    charge: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prune {
    before: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backup {
    to: PathBuf,
}

/// Reads the whole ledger; takes its time on a long one.
pub(super) async fn verify(api: State) -> Answer {
    let value = blocking(api.0, |api, store| {
        let reader = store.reader().map_err(|error| Problem::ledger(&error))?;
        let now = Some(api.gateway.now());
        let report = ::ledger::verify::verify(
            &reader,
            &store::check_signature,
            Some(store.public_key()),
            now,
        );
        report.map(|report| shown(&report)).map_err(|error| Problem::ledger(&error))
    });
    value.await.map(Json)
}

/// As the command line shows it without a running gateway.
fn shown(report: &Report) -> Value {
    json!({
        "ok": report.is_sound(),
        "records": report.records,
        "first": report.range.map(|it| it.0),
        "last": report.range.map(|it| it.1),
        "intents": report.intents,
        "settlements": report.settlements,
        "write_offs": report.write_offs,
        "refusals": report.refusals,
        "cost_usd": report.cost.to_string(),
        "cost_estimated_usd": report.cost_estimated.to_string(),
        "unpriced": report.unpriced,
        "unsettled": report.unsettled.iter().map(|it| it.intent.id.to_string()).collect::<Vec<_>>(),
        "in_flight": report.in_flight,
        "head_signed": report.head.is_some(),
        "pruned_through": report.pruned_through,
        "fault_count": report.fault_count,
        "faults": report.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// Gives an unsettled attempt up, in the ledger and then in memory: its reservation is free again, or charged.
pub(super) async fn write_off(api: State, Input(body): Input<Give>) -> Answer {
    let id = checked(&body)?;
    let value = blocking(api.0, move |api, _| {
        let mut kept = api.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.contains(&id) {
            let detail = format!("{id} is written off as soon as the ledger's storage is back");
            return Err(Problem::new(&problem::CONFLICT, detail));
        }
        let intent = unsettled(api, id)?;
        let charged = if body.charge {
            intent.reserved
        } else {
            // The request was made; only what it used is given up.
            Amount { requests: intent.reserved.requests, ..Amount::ZERO }
        };
        let record = WriteOff {
            id,
            at: api.gateway.now(),
            charged,
            released: intent.reserved.released_after(&charged),
            why: body.why.into(),
            by: body.by.unwrap_or_else(|| "admin".to_owned()).into(),
        };
        // The ledger first, then memory, or the log could show a limit passed that never was.
        let written = api.gateway.ledger.append(&Record::WriteOff(Box::new(record))).wait();
        if let Err(error) = written {
            if error.kept {
                kept.insert(id);
            }
            return Err(Problem::ledger(&error));
        }
        let actual = if body.charge { Actual::UNKNOWN } else { Actual::NOTHING };
        let released = api.gateway.limits().settle_restored(restore::key(id), &actual).is_some();
        let money = |money: Money| money.to_string();
        Ok(json!({
            "written_off": id.to_string(),
            "charged_usd": money(charged.money),
            "released_usd": money(intent.reserved.released_after(&charged).money),
            "released": released,
        }))
    });
    value.await.map(Json)
}

fn checked(body: &Give) -> Result<AttemptKey, Problem> {
    let mut errors: Vec<(String, String)> = Vec::new();
    let id = attempt_key(&body.request, body.call, body.attempt);
    if let Err(why) = &id {
        errors.push(("/request".to_owned(), why.clone()));
    }
    let mut text = |pointer: &str, text: &str, max: usize| {
        if text.trim().is_empty() || text.len() > max || text.chars().any(char::is_control) {
            errors.push((
                pointer.to_owned(),
                format!("expected 1 to {max} bytes of text without control characters"),
            ));
        }
    };
    text("/why", &body.why, WHY_MAX);
    if let Some(by) = &body.by {
        text("/by", by, BY_MAX);
    }
    match id {
        Ok(id) if errors.is_empty() => Ok(id),
        _ => Err(Problem::invalid(&errors)),
    }
}

fn attempt_key(text: &str, call: u16, attempt: u16) -> Result<AttemptKey, String> {
    let mut parts = text.split('/');
    let request =
        RequestId::parse(parts.next().unwrap_or_default()).map_err(|error| error.to_string())?;
    let mut number = |given: u16| parts.next().map_or(Some(given), |part| part.parse().ok());
    match (number(call), number(attempt), parts.next()) {
        (Some(call), Some(attempt), None) => Ok(AttemptKey { request, call, attempt }),
        _ => Err("expected a request's id, or `request/call/attempt`".to_owned()),
    }
}

/// The intent of an attempt that an earlier process left open. One under way is not given up: it closes itself.
fn unsettled(api: &Api, id: AttemptKey) -> Result<Intent, Problem> {
    let open = api.gateway.limits().restored_open().any(|it| it == restore::key(id));
    if api.gateway.batches.holds(id) {
        let why =
            format!("{id} is a batch that runs; it is settled when it ends, or at its deadline");
        return Err(Problem::new(&problem::CONFLICT, why));
    }
    let missing = || {
        Problem::new(
            &problem::CONFLICT,
            format!("{id} is not an unsettled attempt of an earlier process"),
        )
    };
    if !open {
        return Err(missing());
    }
    let account = explain::account(&api.gateway, id.request, explain::ROWS_MAX);
    let account = account.map_err(|error| Problem::ledger(&error))?.ok_or_else(missing)?;
    account.open_intent(id).cloned().ok_or_else(missing)
}

/// Removes what was logged before a time, leaving a signed checkpoint.
pub(super) async fn prune(api: State, Input(body): Input<Prune>) -> Answer {
    let now = api.gateway.now();
    let before =
        UnixMicros::parse(&body.before).filter(|before| *before <= now).ok_or_else(|| {
            let detail = "expected a time that has passed, such as 2026-01-31T00:00:00Z";
            Problem::invalid(&[("/before".to_owned(), detail.to_owned())])
        })?;
    let ledger = &api.0.gateway.snapshot.load().config.ledger;
    if let Some(since) = ledger.kept_since(now).filter(|since| before > *since) {
        let detail = format!("`ledger.keep` keeps what was logged since {since}");
        return Err(Problem::invalid(&[("/before".to_owned(), detail)]));
    }
    let value = blocking(api.0, move |_, store| {
        let checkpoint = store.prune(before, now).map_err(|error| Problem::ledger(&error))?;
        Ok(
            json!({"before": before.to_string(), "pruned": checkpoint.is_some(), "checkpoint": checkpoint}),
        )
    });
    value.await.map(Json)
}

/// Copies the ledger and the keys' hashes into a new file in a folder.
pub(super) async fn backup(api: State, Input(body): Input<Backup>) -> Answer {
    if !body.to.is_absolute() {
        let detail = "expected the absolute path of a folder".to_owned();
        return Err(Problem::invalid(&[("/to".to_owned(), detail)]));
    }
    let value = blocking(api.0, move |api, _| {
        store::backup(&api.gateway.data_dir, &body.to).map_err(|error| match &error {
            store::OpenError::File { source, .. }
                if source.kind() == std::io::ErrorKind::AlreadyExists =>
            {
                Problem::new(
                    &problem::CONFLICT,
                    "there is a ledger in that folder already; nothing was overwritten",
                )
            }
            _ => Problem::ledger(&error),
        })?;
        Ok(
            json!({"to": body.to.display().to_string(), "file": body.to.join("ledger.db").display().to_string()}),
        )
    });
    value.await.map(Json)
}
