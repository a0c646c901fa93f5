//! Reload and drain.

use std::time::Duration;

use axum::Json;
use serde_json::json;

use super::problem::{self, Problem};
use super::{Answer, State};

/// How long a caller waits for the outcome of a reload.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the configuration anew, secrets, certificates and imported prices too, and says what came of it.
pub(super) async fn reload(api: State) -> Answer {
    if api.gateway.is_draining() {
        return Err(Problem::new(&problem::STOPPING, "the gateway is stopping"));
    }
    match tokio::time::timeout(PATIENCE, api.asked.for_reload()).await {
        Ok(Ok(Ok(revision))) => Ok(Json(json!({"revision": revision}))),
        Ok(Ok(Err(refused))) => Err(Problem::config(&refused)),
        Ok(Err(_)) => Err(Problem::new(&problem::STOPPING, "the gateway is stopping")),
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
