//! What is there: health, metrics, status, budgets, providers, explanations.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use domain::{RequestId, UnixMicros};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use limits::units::Rate;
use limits::{BudgetState, ParallelState, Quantity, RateState};
use policy::breaker::BreakerState;
use policy::{OfferIx, OfferReport};
use serde::Deserialize;
use serde_json::{Value, json};
use store::WriterState;

use super::problem::{self, Problem};
use super::{Answer, State, blocking};
use crate::explain;
use crate::gateway::Gateway;
use crate::snapshot::Provider;

/// The description of this API.
pub(super) const OPENAPI: &str = include_str!("openapi.json");
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn live() -> &'static str {
    "live\n"
}

pub(super) async fn ready(api: State) -> (StatusCode, &'static str) {
    if api.gateway.is_draining() || api.store.strong_count() == 0 {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    match api.gateway.ledger.state() {
        WriterState::Healthy => (StatusCode::OK, "ready\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the ledger can't be written\n"),
    }
}

pub(super) async fn metrics(api: State) -> Response {
    if !api.gateway.snapshot.load().config.telemetry.prometheus {
        let why = "`telemetry: {prometheus: false}` is set";
        return Problem::new(&problem::NOT_FOUND, why).into_response();
    }
    api.gateway.update_gauges();
    ([(CONTENT_TYPE, OPENMETRICS)], api.gateway.metrics.render()).into_response()
}

pub(super) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

pub(super) async fn status(api: State) -> Json<Value> {
    let gateway = &api.gateway;
    let snapshot = gateway.snapshot.load();
    let config = &snapshot.config;
    let ledger = match gateway.ledger.state() {
        WriterState::Healthy => "healthy",
        WriterState::Low => "low",
        WriterState::Poisoned => "unavailable",
    };
    let unsettled =
        gateway.limits().restored_open().count().saturating_sub(gateway.batches.restored_count());
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "api": config.server.api.to_string(),
        "admin": api.address.to_string(),
        "started_at": api.started_at.to_string(),
        "config": {"revision": snapshot.revision, "reloads_refused": gateway.metrics.reloads_refused.get()},
        "data_dir": gateway.data_dir.display().to_string(),
        "keys": if config.auth.keys == config::KeyPolicy::Required { "required" } else { "optional" },
        "tls": config.server.tls.is_some(),
        "durability": match config.ledger.durability {
            config::Durability::Strict => "strict",
            config::Durability::Relaxed => "relaxed",
        },
        "ledger": ledger,
        "unsettled": unsettled,
        "draining": gateway.is_draining(),
        "streams": gateway.metrics.streams_active.get(),
    }))
}

pub(super) async fn budgets(api: State) -> Json<Value> {
    let now = api.gateway.now();
    let report = api.gateway.limits().report(now);
    Json(json!({
        "budgets": report.budgets.iter().map(budget).collect::<Vec<_>>(),
        "rates": report.rates.iter().map(rate).collect::<Vec<_>>(),
        "parallel": report.parallel.iter().map(parallel).collect::<Vec<_>>(),
    }))
}

/// Amounts are decimal texts in the unit that stands beside them.
fn budget(state: &BudgetState) -> Value {
    let BudgetState { spec, settled, reserved, since, resets_at, unpriced, overruns } = state;
    let left = spec.limit.amount - settled.amount - reserved.amount;
    let left = Quantity { unit: spec.limit.unit, amount: left.max(0) };
    let time = |it: &Option<UnixMicros>| it.map(|it| it.to_string());
    json!({
        "name": &*spec.name,
        "scope": spec.scope.to_string(),
        "unit": spec.limit.unit.as_str(),
        "limit": spec.limit.figure(),
        "settled": settled.figure(),
        "reserved": reserved.figure(),
        "left": left.figure(),
        "period": spec.period.as_str(),
        "timezone": spec.zone.name(),
        "hard": spec.hard,
        "since": time(since),
        "resets_at": time(resets_at),
        "unpriced_requests": unpriced,
        "overruns": overruns,
    })
}

fn rate(state: &RateState) -> Value {
    let spec = &state.spec;
    let Rate { count, per_micros } = spec.rate;
    json!({
        "name": &*spec.name, "scope": spec.scope.to_string(), "unit": spec.unit.as_str(), "limit": count,
        "per_seconds": per_micros as f64 / 1e6, "burst": spec.burst, "available": state.available,
    })
}

fn parallel(state: &ParallelState) -> Value {
    let spec = &state.spec;
    json!({
        "name": &*spec.name, "scope": spec.scope.to_string(), "limit": spec.limit, "running": state.running,
    })
}

pub(super) async fn providers(api: State) -> Json<Value> {
    let gateway = &api.gateway;
    let snapshot = gateway.snapshot.load();
    let mut offers = offers_by_provider(gateway);
    let shown = snapshot.providers.iter().map(|provider| {
        let config = snapshot.config.providers.iter().find(|it| it.name == provider.name);
        let preset = config.and_then(|it| it.preset.as_deref());
        json!({
            "name": provider.name.as_str(),
            "type": preset.unwrap_or(provider.kind.as_str()),
            "base_url": config.map(|it| it.base_url.as_str()).filter(|url| !url.is_empty()),
            "dialects": provider.dialects.iter().map(|it| it.dialect.as_str()).collect::<Vec<_>>(),
            "models": snapshot.models_of(provider).len(),
            "credentials": credentials(provider),
            "offers": offers.remove(provider.name.as_str()).unwrap_or_default(),
        })
    });
    Json(json!({"providers": shown.collect::<Vec<_>>()}))
}

fn credentials(provider: &Provider) -> Value {
    let wait = provider.keys.wait(Instant::now());
    json!({"count": provider.keys.len(), "refused_for_seconds": wait.map(|it| it.as_secs())})
}

/// The offers that were asked so far, with their health.
fn offers_by_provider(gateway: &Gateway) -> BTreeMap<String, Vec<Value>> {
    let now = gateway.now();
    let reports = gateway.health().report(now);
    let mut by_provider: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for report in reports.iter().filter(|it| it.planned > 0) {
        if let Some(id) = gateway.numbers.name(OfferIx(report.offer.0)) {
            let value = health(&id.to_string(), report);
            by_provider.entry(id.provider().to_string()).or_default().push(value);
        }
    }
    by_provider
}

fn health(offer: &str, report: &OfferReport) -> Value {
    let (state, class, until, percent) = match report.breaker {
        BreakerState::Closed => ("closed", None, None, None),
        BreakerState::Open { class, until } => {
            ("open", Some(class.as_str()), Some(until.to_string()), None)
        }
        BreakerState::Recovering { percent } => ("recovering", None, None, Some(percent)),
    };
    json!({
        "offer": offer,
        "circuit": {"state": state, "class": class, "until": until, "percent": percent},
        "available": explain::availability_word(report.availability),
        "requests": report.planned,
        "attempts": report.attempts,
        "retries_left_permille": report.retries_permille,
    })
}

/// Beside the name in a question for a route.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Public part of the key that asks.
    key: Option<String>,
}

/// Where a request would go, or why one went where it went.
pub(super) async fn route(
    api: State,
    Path(what): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Answer {
    let Query(asked) = asked.map_err(|error| {
        Problem::new(&problem::INVALID, format!("the query can't be read: {}", error.body_text()))
    })?;
    let explained = if let Ok(id) = RequestId::parse(&what) {
        let account = blocking(api.0, move |api, _| {
            explain::account(&api.gateway, id, explain::ROWS_MAX)
                .map_err(|error| Problem::ledger(&error))
        });
        account.await?.map(|account| account.decision())
    } else {
        return match explain::route(&api.gateway, &what, asked.key.as_deref()) {
            Ok(value) => Ok(Json(value)),
            Err(failure) => {
                let detail = format!("{} {}", failure.message, failure.fix);
                Err(Problem::new(&problem::NOT_FOUND, detail))
            }
        };
    };
    explained.map(Json).ok_or_else(|| {
        Problem::new(&problem::NOT_FOUND, format!("the ledger has no request `{what}`"))
    })
}

/// The account of any request.
pub(super) async fn request(api: State, Path(id): Path<String>) -> Answer {
    let id = RequestId::parse(&id)
        .map_err(|error| Problem::new(&problem::NOT_FOUND, error.to_string()))?;
    let account = blocking(api.0, move |api, _| {
        explain::account(&api.gateway, id, explain::ROWS_MAX)
            .map_err(|error| Problem::ledger(&error))
    });
    match account.await? {
        Some(account) => Ok(Json(account.json())),
        None => Err(Problem::new(&problem::NOT_FOUND, format!("the ledger has no request `{id}`"))),
    }
}
