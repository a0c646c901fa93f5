//! The admin API's own thread and connections.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use store::Store;
use tokio::sync::Semaphore;
use tower_service::Service as _;

use super::{Admin, Api, Asked, access, router};
use crate::gateway::Gateway;

/// Most connections at a time.
const CONNECTIONS: usize = 128;
/// To a request's whole head, also of the first request on a connection.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// To a request's whole body.
pub(super) const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// How often the thread looks if the store has been closed.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Rest after the system refused a connection, for want of descriptors perhaps.
const REST: Duration = Duration::from_millis(50);

/// Serves the admin API on a thread of its own, until the store is closed.
///
/// # Errors
/// The system refuses a thread or the socket.
pub fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    store: Arc<Store>,
    token: String,
) -> Result<Admin, std::io::Error> {
    let asked = Arc::new(Asked::default());
    listener.set_nonblocking(true)?;
    let api = Arc::new(Api {
        address: listener.local_addr()?,
        started_at: gateway.now(),
        gateway,
        store: Arc::downgrade(&store),
        token: access::TokenHash::new(&token),
        asked: Arc::clone(&asked),
        changing: Mutex::default(),
    });
    // Neither a hold on the store nor the token in clear is kept.
    drop((store, token));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("outrigger-admin".to_owned()).spawn(move || {
        let served = runtime.block_on(run(listener, &api));
        if let Err(error) = served {
            tracing::error!(%error, "the admin API has ended");
        }
        // Connections that are still open end with the runtime.
        runtime.shutdown_background();
    })?;
    Ok(Admin { asked })
}

async fn run(listener: TcpListener, api: &Arc<Api>) -> Result<(), std::io::Error> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = router(api);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = look.tick() => {
                if api.store.strong_count() == 0 {
                    return Ok(());
                }
                continue;
            }
        };
        match accepted {
            // Beyond the most, a connection is closed at once: whoever probes hears it.
            Ok((stream, _)) => {
                if let Ok(place) = Arc::clone(&room).try_acquire_owned() {
                    let router = router.clone();
                    tokio::spawn(async move {
                        connection(stream, router).await;
                        drop(place);
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the admin API was not accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn connection(stream: tokio::net::TcpStream, router: Router) {
    let service = service_fn(move |request| {
        let mut router = router.clone();
        router.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the admin API ended badly");
    }
}
