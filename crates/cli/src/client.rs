//! The one switch between a running gateway and its data folder: one process owns the folder, and while it runs,
//! commands that write speak to it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::cli::Global;
use crate::client_env::reachable;
use crate::exit::{Exit, Failure};
use crate::http::{self, Answer, Call};
use crate::surroundings::{self, Process};

/// A running gateway's admin API.
pub(crate) struct Admin {
    base: String,
    token: String,
    patience: Duration,
}

/// The running gateway: the one of `--url`, else the one that owns the data folder, if any does.
pub(crate) fn running(global: &Global) -> Result<Option<Admin>, Failure> {
    running_within(global, http::PATIENCE)
}

/// The same, with so much time for each answer.
pub(crate) fn running_within(
    global: &Global,
    patience: Duration,
) -> Result<Option<Admin>, Failure> {
    let dir = surroundings::data_dir(global);
    if let Some(url) = &global.url {
        let base = url.trim_end_matches('/').into();
        return Ok(Some(Admin { base, token: token(&dir)?, patience }));
    }
    if !is_owned(&dir) {
        return Ok(None);
    }
    let base = if let Ok(address) = std::fs::read_to_string(dir.join("admin-address")) {
        format!("http://{}", address.trim())
    } else {
        let configuration = surroundings::load(global)?;
        format!("http://{}", reachable(configuration.loaded.config.server.admin))
    };
    Ok(Some(Admin { base, token: token(&dir)?, patience }))
}

/// Where the data plane of the running gateway answers; none where no gateway says so.
pub(crate) fn api_base(global: &Global, patience: Duration) -> Option<String> {
    let status = running_within(global, patience).ok()??.get("/v1/outrigger/status").ok()?;
    let address: SocketAddr = status["api"].as_str()?.parse().ok()?;
    let scheme = if status["tls"] == true { "https" } else { "http" };
    Some(format!("{scheme}://{}", reachable(address)))
}

/// Whether a gateway owns the data folder.
pub(crate) fn is_running(global: &Global) -> bool {
    is_owned(&surroundings::data_dir(global))
}

/// Whether a process holds the folder's lock.
fn is_owned(dir: &Path) -> bool {
    let Ok(lock) = std::fs::File::open(dir.join("lock")) else { return false };
    let attempt = rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared);
    // A shared lock that is granted is let go when the file closes.
    attempt.is_err()
}

/// The admin token: the environment's, else the one the gateway left in its data folder.
fn token(dir: &Path) -> Result<String, Failure> {
    if let Some(token) = config::Env::var(&Process, "OUTRIGGER_ADMIN_TOKEN") {
        return Ok(token);
    }
    let path = dir.join("admin-token");
    match std::fs::read_to_string(&path) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(error) => {
            let reason = surroundings::reason(&error);
            let message = format!("can't read the admin token from {}: {reason}", path.display());
            Err(Failure::new(Exit::Denied, message)
                .hint("set OUTRIGGER_ADMIN_TOKEN or OUTRIGGER_ADMIN_TOKEN_FILE"))
        }
    }
}

impl Admin {
    /// `GET`.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        let call = Call { patience: self.patience, ..Call::get(&self.base, path) };
        self.answered(&http::send(call.bearer(&self.token), |_| ())?)
    }

    /// `POST` with a JSON body.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let call = Call::post(&self.base, path, body).bearer(&self.token);
        self.answered(&http::send(call, |_| ())?)
    }

    fn answered(&self, answer: &Answer) -> Result<Value, Failure> {
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if (200..300).contains(&answer.status) {
            return Ok(value);
        }
        let said = value["error"]["message"].as_str().or_else(|| value["error"].as_str());
        let message = match said {
            Some(said) => format!("the gateway at {} refused: {said}", self.base),
            None => format!("the gateway at {} answered with HTTP {}", self.base, answer.status),
        };
        let exit = match answer.status {
            401 | 403 => Exit::Denied,
            400..=499 => Exit::Failed,
            _ => Exit::Network,
        };
        Err(Failure::new(exit, message))
    }
}

/// A path segment.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
