//! Virtual keys: each change is stored, recorded in the ledger and in force when the answer goes out.

use std::sync::PoisonError;

use ::ledger::{KeyAction, KeyEvent, Record};
use axum::Json;
use axum::extract::Path;
use config::Config;
use domain::{AppName, CapabilityName, KeyPublicId, TeamName, UnixMicros};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{KeyError, KeyKind, KeyRecord, KeyStore, NewKey, Store, WriterState};

use super::problem::{self, Problem};
use super::{Answer, Api, Input, State, blocking};
use crate::keys::{KeyTable, capability, made, shown};
use crate::serve::limits_spec;

/// Most budgets of one key.
const BUDGETS_MAX: usize = 16;
/// Most capabilities of one key.
const CAPABILITIES_MAX: usize = 64;
/// Longest time that an old secret goes on working after a rotation.
const GRACE_MAX_SECONDS: u32 = 30 * 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    app: String,
    /// None given: `virtual`.
    kind: Option<String>,
    team: Option<String>,
    expires_at: Option<String>,
    #[serde(default)]
    budgets: Vec<String>,
    /// None given: everything.
    #[serde(default)]
    capabilities: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    #[serde(default)]
    grace_seconds: u32,
}

/// Takes no field; a misspelt one is refused all the same.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) async fn list(api: State) -> Answer {
    let api = api.0;
    let value = blocking(api, |api, store| {
        let keys = open(store)?.list().map_err(|error| failed(&error))?;
        let now = api.gateway.now();
        let keys: Vec<Value> = keys.iter().map(|it| shown(it, now)).collect();
        Ok(json!({"keys": keys}))
    });
    value.await.map(Json)
}

pub(super) async fn create(api: State, Input(body): Input<Create>) -> Answer {
    let new = checked(&body, &api.gateway.snapshot.load().config, api.gateway.now())?;
    let value = blocking(api.0, move |api, store| {
        let changing = api.changing.lock().unwrap_or_else(PoisonError::into_inner);
        writable(api)?;
        let keys = open(store)?;
        let (record, secret) =
            keys.create(&new, api.gateway.now()).map_err(|error| failed(&error))?;
        if let Err(problem) = note(api, &record, KeyAction::Created) {
            // Nobody has seen its secret; without a record of it there shall be no key.
            keys.revoke(record.public.as_str(), api.gateway.now())
                .map_err(|error| failed(&error))?;
            return Err(problem);
        }
        put_in_force(api, &keys)?;
        drop(changing);
        Ok(made(&record, &secret, api.gateway.now()))
    });
    value.await.map(Json)
}

pub(super) async fn rotate(
    api: State,
    Path(id): Path<String>,
    Input(body): Input<Rotate>,
) -> Answer {
    if body.grace_seconds > GRACE_MAX_SECONDS {
        let detail = format!("at most {GRACE_MAX_SECONDS} seconds");
        return Err(Problem::invalid(&[("/grace_seconds".to_owned(), detail)]));
    }
    let grace = i64::from(body.grace_seconds) * 1_000_000;
    let value = blocking(api.0, move |api, store| {
        let changing = api.changing.lock().unwrap_or_else(PoisonError::into_inner);
        writable(api)?;
        let keys = open(store)?;
        let now = api.gateway.now();
        let rotated = keys.rotate(public(&id)?.as_str(), now, now.plus_micros(grace));
        let (record, secret) = rotated.map_err(|error| failed(&error))?;
        put_in_force(api, &keys)?;
        // The old secret is gone: without the new one the key would be lost, so it is shown in any case.
        noted_or_logged(api, &record, KeyAction::Rotated);
        drop(changing);
        Ok(made(&record, &secret, now))
    });
    value.await.map(Json)
}

pub(super) async fn revoke(api: State, Path(id): Path<String>, Input(_): Input<Nothing>) -> Answer {
    let value = blocking(api.0, move |api, store| {
        let changing = api.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = open(store)?;
        let now = api.gateway.now();
        let record = keys.revoke(public(&id)?.as_str(), now).map_err(|error| failed(&error))?;
        put_in_force(api, &keys)?;
        // A key that must go goes, even when the ledger can't say so now.
        noted_or_logged(api, &record, KeyAction::Revoked);
        drop(changing);
        Ok(json!({"key": shown(&record, now)}))
    });
    value.await.map(Json)
}

/// Everything that is wrong with a new key, at once.
fn checked(body: &Create, config: &Config, now: UnixMicros) -> Result<NewKey, Problem> {
    let mut errors: Vec<(String, String)> = Vec::new();
    let mut wrong = |pointer: &str, error: &dyn std::fmt::Display| {
        errors.push((pointer.to_owned(), error.to_string()));
    };
    let app = AppName::new(&body.app).inspect_err(|error| wrong("/app", error)).ok();
    let kind = body.kind.as_deref().map_or(Some(KeyKind::default()), KeyKind::of);
    if kind.is_none() {
        wrong("/kind", &"expected `virtual` or `aws`");
    }
    let team = body.team.as_deref().map(TeamName::new).transpose();
    let team = team.inspect_err(|error| wrong("/team", error)).ok().flatten();
    let expires_at = body.expires_at.as_deref().map(UnixMicros::parse);
    match expires_at {
        Some(None) => wrong("/expires_at", &"expected a time such as 2027-01-31T00:00:00Z"),
        Some(Some(at)) if at <= now => wrong("/expires_at", &"this time has passed"),
        _ => {}
    }
    if body.budgets.len() > BUDGETS_MAX {
        wrong("/budgets", &format!("at most {BUDGETS_MAX} budgets for one key"));
    }
    let mut budgets = Vec::with_capacity(body.budgets.len());
    for (at, text) in body.budgets.iter().enumerate() {
        match limits::spec::parse(text) {
            Ok(allowance) => budgets.push(allowance.to_string()),
            Err(error) => wrong(&format!("/budgets/{at}"), &error),
        }
    }
    if body.capabilities.len() > CAPABILITIES_MAX {
        wrong("/capabilities", &format!("at most {CAPABILITIES_MAX} capabilities for one key"));
    }
    let mut capabilities: Vec<CapabilityName> = Vec::with_capacity(body.capabilities.len());
    for (at, text) in body.capabilities.iter().enumerate() {
        match capability(text, config) {
            Ok(name) if capabilities.contains(&name) => {}
            Ok(name) => capabilities.push(name),
            Err(error) => wrong(&format!("/capabilities/{at}"), &error),
        }
    }
    match app.zip(kind) {
        Some((app, kind)) if errors.is_empty() => {
            Ok(NewKey { kind, app, team, expires_at: expires_at.flatten(), budgets, capabilities })
        }
        _ => Err(Problem::invalid(&errors)),
    }
}

fn public(id: &str) -> Result<KeyPublicId, Problem> {
    KeyPublicId::new(id).map_err(|error| Problem::new(&problem::NOT_FOUND, error.to_string()))
}

fn open(store: &Store) -> Result<KeyStore, Problem> {
    store.keys().map_err(|error| Problem::ledger(&error))
}

fn failed(error: &KeyError) -> Problem {
    match error {
        KeyError::Unknown(_) | KeyError::Shape => {
            Problem::new(&problem::NOT_FOUND, error.to_string())
        }
        KeyError::Revoked(_) => Problem::new(&problem::CONFLICT, error.to_string()),
        KeyError::Random | KeyError::Seal(_) | KeyError::Storage(_) => Problem::ledger(error),
    }
}

fn writable(api: &Api) -> Result<(), Problem> {
    match api.gateway.ledger.state() {
        WriterState::Healthy => Ok(()),
        _ => Err(Problem::new(
            &problem::LEDGER,
            "the ledger can't be written now, so no key can be made or changed",
        )),
    }
}

/// Waits until the ledger has the change.
fn note(api: &Api, record: &KeyRecord, action: KeyAction) -> Result<(), Problem> {
    let event = KeyEvent {
        at: api.gateway.now(),
        action,
        key: record.public.clone(),
        app: record.app.clone(),
        team: record.team.clone(),
        budgets: record.budgets.iter().cloned().map(Into::into).collect(),
        capabilities: Some(record.capabilities.clone()),
    };
    let noted = api.gateway.ledger.append(&Record::Key(Box::new(event))).wait();
    noted.map(drop).map_err(|error| Problem::ledger(&error))
}

fn noted_or_logged(api: &Api, record: &KeyRecord, action: KeyAction) {
    if note(api, record, action).is_err() {
        tracing::error!(key = %record.public, action = action.as_str(), "a key changed and the ledger could not note it");
    }
}

/// Makes the stored keys those that requests are checked against, their budgets included. Both change under the lock
/// of the limits, as they do in a reload: whichever comes second sees the other's part.
fn put_in_force(api: &Api, keys: &KeyStore) -> Result<(), Problem> {
    let table = KeyTable::new(keys.verifier(), keys.list().map_err(|error| failed(&error))?);
    let now = api.gateway.now();
    let mut limits = api.gateway.limits();
    let spec = limits_spec(&api.gateway.snapshot.load().config, &table);
    limits.reload(now, spec);
    api.gateway.keys.store(std::sync::Arc::new(table));
    Ok(())
}
