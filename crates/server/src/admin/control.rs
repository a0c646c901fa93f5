//! Reload and drain.

use std::time::Duration;

use axum::Json;
use serde_json::json;

use super::problem::{self, Problem};
use super::{Answer, State};

/// How long a caller waits for the outcome of a reload.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Reads the configuration anew, secrets and certificates too, and says what came of it.
pub(super) async fn reload(api: State) -> Answer {
    let metrics = &api.gateway.metrics;
    let before = (api.gateway.snapshot.load().revision, metrics.reloads_refused.get());
    api.asked.reload.notify_one();
    let outcome = async {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let revision = api.gateway.snapshot.load().revision;
            if revision != before.0 {
                return Ok(Json(json!({"revision": revision})));
            }
            if metrics.reloads_refused.get() != before.1 {
                let detail = "the configuration was refused and the old one stays; the gateway's log and `outrigger \
                              config check` say why";
                return Err(Problem::new(&problem::CONFIG_REFUSED, detail));
            }
        }
    };
    match tokio::time::timeout(PATIENCE, outcome).await {
        Ok(outcome) => outcome,
        Err(_) => {
            Err(Problem::new(&problem::INTERNAL, "the reload was asked for and has not ended yet"))
        }
    }
}

/// Takes no new requests from now on, finishes those in flight and stops.
pub(super) async fn drain(api: State) -> Answer {
    api.gateway.drain();
    api.asked.drain.notify_one();
    let seconds = api.gateway.snapshot.load().config.server.drain.as_secs();
    Ok(Json(json!({"draining": true, "deadline_seconds": seconds})))
}
