//! Asks a provider for its list of models, with each of its keys: no tokens, no cost.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::Path;
use catalog::AuthStyle;
use config::ProviderKind;
use domain::Endpoint;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use upstream::{Deadlines, Outgoing, Pool, PoolOptions};

use super::problem::{self, Problem};
use super::{Answer, Input, State, blocking, keys};
use crate::secrets;
use crate::snapshot::{Provider, Snapshot};

/// Patience with a provider that may be far away, whatever its own deadlines are.
const PATIENCE: Deadlines =
    Deadlines { connect: Duration::from_secs(5), first_byte: Duration::from_secs(15) };

pub(super) async fn test(
    api: State,
    Path(name): Path<String>,
    Input(_): Input<keys::Nothing>,
) -> Answer {
    let value = blocking(api.0, move |api, _| {
        let snapshot = api.gateway.snapshot.load_full();
        let Some(provider) = snapshot.provider(&name) else {
            let names = snapshot.providers.iter().map(|it| it.name.as_str());
            let near = catalog::nearest(&name, names, 1)
                .first()
                .map(|it| format!("; did you mean `{it}`?"));
            let detail = format!(
                "no provider is called `{}`{}",
                crate::resolve::shown(&name),
                near.unwrap_or_default()
            );
            return Err(Problem::new(&problem::NOT_FOUND, detail));
        };
        let outcomes = try_all(&snapshot, provider)?;
        let good = outcomes.iter().all(|it| it["ok"] == true);
        Ok(json!({"provider": provider.name.as_str(), "ok": good, "results": outcomes}))
    });
    value.await.map(Json)
}

/// Connections belong to one thread, so a test has a runtime of its own on the thread it runs on.
fn try_all(snapshot: &Snapshot, provider: &Provider) -> Result<Vec<Value>, Problem> {
    if provider.kind == ProviderKind::Demo {
        return Ok(vec![json!({"key": null, "ok": true, "said": "built in", "ms": 0})]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Problem::new(&problem::INTERNAL, error.to_string()))?;
    let configured = snapshot.config.providers.iter().find(|it| it.name == provider.name);
    let keys = configured.map(|it| it.keys.as_slice()).unwrap_or_default();
    let local = tokio::task::LocalSet::new();
    Ok(local.block_on(&runtime, async {
        if keys.is_empty() {
            return vec![ask(provider, None, None).await];
        }
        let mut outcomes = Vec::with_capacity(keys.len());
        for key in keys {
            let shown = key.shown();
            outcomes.push(match secrets::read(key) {
                Ok(secret) => ask(provider, Some(&shown), Some(secret.reveal())).await,
                Err(error) => outcome(Some(&shown), false, &error.to_string(), None),
            });
        }
        outcomes
    }))
}

fn outcome(key: Option<&str>, good: bool, said: &str, took: Option<Duration>) -> Value {
    let millis = took.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    json!({"key": key, "ok": good, "said": said, "ms": millis})
}

async fn ask(provider: &Provider, key: Option<&str>, secret: Option<&str>) -> Value {
    let Some((dialect, Some(target))) = provider.dialects.first() else {
        return outcome(key, false, "it has no address", None);
    };
    let mut headers = provider.headers.clone();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(secret) = secret
        && !authorize(&mut headers, provider.auth, secret)
    {
        return outcome(key, false, "its key holds characters that no header can have", None);
    }
    let dialect = dialect::dialect(*dialect);
    if let Some((name, version)) = dialect.version_header(&provider.anthropic_version)
        && let Ok(version) = HeaderValue::from_str(version)
    {
        headers.insert(HeaderName::from_static(name), version);
    }
    let path = &dialect.path(Endpoint::Models, "", None);
    let outgoing = Outgoing { method: Method::GET, path, headers, body: bytes::Bytes::new() };
    let began = Instant::now();
    match Pool::new(PoolOptions::default()).send(target, outgoing, &PATIENCE).await {
        Ok(incoming) => {
            let (good, said) = judged(incoming.status.as_u16());
            outcome(key, good, &said, Some(began.elapsed()))
        }
        Err(error) => outcome(key, false, &error.message, None),
    }
}

fn authorize(headers: &mut HeaderMap, style: AuthStyle, secret: &str) -> bool {
    let (name, text) = style.header(secret);
    let Ok(mut value) = HeaderValue::from_str(&text) else { return false };
    value.set_sensitive(true);
    headers.insert(HeaderName::from_static(name), value);
    true
}

/// What the status of a list of models says about the provider.
fn judged(status: u16) -> (bool, String) {
    match status {
        200..=299 => (true, "answers".to_owned()),
        401 | 403 => (false, format!("answers, but refuses the key (HTTP {status})")),
        404 | 405 => (true, format!("answers, but lists no models (HTTP {status})")),
        429 => (true, "answers, but its rate limit is reached (HTTP 429)".to_owned()),
        _ => (false, format!("answers with HTTP {status}")),
    }
}
