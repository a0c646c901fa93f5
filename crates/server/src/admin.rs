//! The admin API: what a person or the command line asks of a running gateway.
//!
//! It has a listener, a thread and a runtime of its own, so that it answers while the data plane is busy or drains.
//! Every path but [`OPEN`] needs the admin token, unknown paths too. On a loopback address a foreign `Host` or
//! `Origin` is refused besides, so that a web page can't reach it through a name that it bound to 127.0.0.1.
//!
//! `admin/openapi.json` describes it; a test holds that document and [`ROUTES`] together.

mod access;
mod control;
mod keys;
mod ledger;
mod listen;
mod probe;
mod problem;
mod responses;
#[cfg(test)]
pub(crate) mod tests;
mod view;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ::ledger::AttemptKey;
use axum::Router;
use axum::extract::{FromRequest, Request};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, middleware};
use domain::UnixMicros;
use http::Uri;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::Store;
use tokio::sync::{Notify, oneshot};

use crate::gateway::Gateway;
use crate::reload::Outcome;

pub use access::{forget_address, leave_address, token};
pub use listen::serve;

use problem::Problem;

/// Longest body that is read, in bytes.
const BODY_MAX: usize = 64 << 10;

/// The admin API of a running gateway. It goes on answering after this is dropped, until the store is closed.
#[derive(Debug)]
pub struct Admin {
    asked: Arc<Asked>,
}

impl Admin {
    /// Resolves when somebody asks for a reload, with everybody who does; [`tell`] them what came of it.
    pub async fn asked_to_reload(&self) -> Vec<Asking> {
        loop {
            let asking = std::mem::take(&mut *self.asked.asking());
            if !asking.is_empty() {
                return asking;
            }
            self.asked.reload.notified().await;
        }
    }

    /// Resolves when somebody asked the gateway to drain and stop.
    pub async fn asked_to_drain(&self) {
        self.asked.drain.notified().await;
    }
}

/// Somebody who waits for the outcome of a reload.
#[derive(Debug)]
pub struct Asking(oneshot::Sender<Outcome>);

/// Tells what a reload came to.
pub fn tell(asking: Vec<Asking>, outcome: &Outcome) {
    for Asking(waiting) in asking {
        // Whoever has gone does not want to know.
        drop(waiting.send(outcome.clone()));
    }
}

/// What the control loop is asked for.
#[derive(Debug, Default)]
struct Asked {
    reload: Notify,
    asking: Mutex<Vec<Asking>>,
    drain: Notify,
}

impl Asked {
    fn asking(&self) -> MutexGuard<'_, Vec<Asking>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a reload.
    fn for_reload(&self) -> oneshot::Receiver<Outcome> {
        let (waiting, outcome) = oneshot::channel();
        self.asking().push(Asking(waiting));
        self.reload.notify_one();
        outcome
    }
}

/// What the handlers share.
struct Api {
    gateway: Arc<Gateway>,
    /// Weak: the thread of the admin API outlives the drain, and closing the store must not wait for it.
    store: Weak<Store>,
    token: access::TokenHash,
    address: SocketAddr,
    started_at: UnixMicros,
    asked: Arc<Asked>,
    /// Held by whatever changes keys or closes attempts: one at a time. Lists write-offs that the ledger keeps in
    /// memory until its storage is back; they must not be handed in again.
    changing: Mutex<BTreeSet<AttemptKey>>,
}

type State = axum::extract::State<Arc<Api>>;
type Answer = Result<Json<Value>, Problem>;

/// A row of the route table.
struct Route {
    method: &'static str,
    path: &'static str,
    handler: fn() -> MethodRouter<Arc<Api>>,
}

const fn row(
    method: &'static str,
    path: &'static str,
    handler: fn() -> MethodRouter<Arc<Api>>,
) -> Route {
    Route { method, path, handler }
}

/// The paths that need no token. They hold no secret, no prompt and no key.
const OPEN: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Every route.
const ROUTES: &[Route] = &[
    row("GET", "/livez", || get(view::live)),
    row("GET", "/readyz", || get(view::ready)),
    row("GET", "/metrics", || get(view::metrics)),
    row("GET", "/openapi.json", || get(view::openapi)),
    row("GET", "/v1/outrigger/status", || get(view::status)),
    row("GET", "/v1/outrigger/keys", || get(keys::list)),
    row("POST", "/v1/outrigger/keys", || post(keys::create)),
    row("POST", "/v1/outrigger/keys/{id}/rotate", || post(keys::rotate)),
    row("POST", "/v1/outrigger/keys/{id}/revoke", || post(keys::revoke)),
    row("GET", "/v1/outrigger/budgets", || get(view::budgets)),
    row("GET", "/v1/outrigger/providers", || get(view::providers)),
    row("POST", "/v1/outrigger/providers/{name}/test", || post(probe::test)),
    row("GET", "/v1/outrigger/route/{*what}", || get(view::route)),
    row("GET", "/v1/outrigger/requests/{id}", || get(view::request)),
    row("GET", "/v1/outrigger/ledger/verify", || get(ledger::verify)),
    row("POST", "/v1/outrigger/ledger/write-off", || post(ledger::write_off)),
    row("POST", "/v1/outrigger/ledger/prune", || post(ledger::prune)),
    row("POST", "/v1/outrigger/ledger/backup", || post(ledger::backup)),
    row("POST", "/v1/outrigger/responses/purge", || post(responses::purge)),
    row("POST", "/v1/outrigger/reload", || post(control::reload)),
    row("POST", "/v1/outrigger/drain", || post(control::drain)),
];

fn router(api: &Arc<Api>) -> Router {
    let mut router: Router<Arc<Api>> = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.handler)());
    }
    router
        .fallback(|uri: Uri| async move { no_route(uri.path()) })
        .method_not_allowed_fallback(|| async {
            Problem::new(&problem::METHOD_NOT_ALLOWED, "the path exists, but not for this method")
        })
        .layer(middleware::from_fn_with_state(Arc::clone(api), access::guard))
        .with_state(Arc::clone(api))
}

fn no_route(path: &str) -> Problem {
    let near = catalog::nearest(path, ROUTES.iter().map(|it| it.path), 1);
    let near = ROUTES.iter().find(|it| near.first() == Some(&it.path));
    let hint = near.map(|it| format!("; did you mean `{} {}`?", it.method, it.path));
    let detail = format!("there is no such path{}", hint.unwrap_or_default());
    Problem::new(&problem::NOT_FOUND, detail)
}

/// Runs what reads or writes the disk off the runtime's thread.
async fn blocking<T: Send + 'static>(
    api: Arc<Api>,
    work: impl FnOnce(&Api, &Store) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let Some(store) = api.store.upgrade() else {
        return Err(Problem::new(&problem::STOPPING, "the gateway is stopping"));
    };
    match tokio::task::spawn_blocking(move || work(&api, &store)).await {
        Ok(result) => result,
        Err(_) => {
            Err(Problem::new(&problem::INTERNAL, "the operation broke off; the log has more"))
        }
    }
}

/// The JSON object that a request bears; an empty body is an empty object.
struct Input<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let read =
            tokio::time::timeout(listen::BODY_DEADLINE, axum::body::to_bytes(body, BODY_MAX));
        let body = match read.await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                return Err(Problem::new(
                    &problem::BODY,
                    format!("the body is broken or longer than {BODY_MAX} bytes"),
                ));
            }
            Err(_) => return Err(Problem::new(&problem::BODY, "the body came in too slowly")),
        };
        let json =
            parts.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).is_some_and(|it| {
                it.split(';')
                    .next()
                    .is_some_and(|it| it.trim().eq_ignore_ascii_case("application/json"))
            });
        if !body.is_empty() && !json {
            return Err(Problem::new(
                &problem::MEDIA_TYPE,
                "send `content-type: application/json`",
            ));
        }
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        let read = serde_json::from_slice(body);
        read.map(Self).map_err(|error| {
            Problem::new(&problem::BODY, format!("the body can't be read: {error}"))
        })
    }
}
