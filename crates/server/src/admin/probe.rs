//! The admin API's test of a provider.

use axum::Json;
use axum::extract::Path;
use config::Secret;
use serde_json::{Value, json};

use super::problem::{self, Problem};
use super::{Answer, Input, State, blocking, keys};
use crate::probe::{Outcome, Verdict, probe};

pub(super) async fn test(
    api: State,
    Path(name): Path<String>,
    Input(_): Input<keys::Nothing>,
) -> Answer {
    let value = blocking(api.0, move |api, _| {
        let snapshot = api.gateway.snapshot.load_full();
        let providers = &snapshot.config.providers;
        let Some(provider) = providers.iter().find(|it| it.name.as_str() == name) else {
            let names = providers.iter().map(|it| it.name.as_str());
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
        let outcomes = probe(provider, snapshot.catalog(), api.gateway.now());
        let good = outcomes.iter().all(|it| it.verdict == Verdict::Good);
        let outcomes: Vec<Value> = outcomes.iter().map(shown).collect();
        Ok(json!({"provider": provider.name.as_str(), "ok": good, "results": outcomes}))
    });
    value.await.map(Json)
}

fn shown(outcome: &Outcome) -> Value {
    let millis = outcome.took.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    json!({
        "key": outcome.key.as_ref().map(Secret::shown),
        "ok": outcome.verdict == Verdict::Good,
        "said": outcome.said,
        "ms": millis,
    })
}
