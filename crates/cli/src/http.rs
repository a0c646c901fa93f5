//! One HTTP call of a command: to the gateway's admin API or its data plane.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use upstream::{Deadlines, Outgoing, Pool, PoolOptions, Target, TargetOptions};

use crate::exit::{Context as _, Exit, Failure};

/// How long an answer is waited for, unless a command says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 << 20;

/// What to send.
pub(crate) struct Call<'a> {
    /// Where: scheme, host, port and what comes before `path`.
    pub(crate) base: &'a str,
    /// The method.
    pub(crate) method: Method,
    /// The path, with its query.
    pub(crate) path: &'a str,
    /// Headers beside those for the body.
    pub(crate) headers: Vec<(&'a str, String)>,
    /// The body; JSON where it is not empty.
    pub(crate) body: Vec<u8>,
    /// To the first byte of the answer.
    pub(crate) patience: Duration,
}

impl<'a> Call<'a> {
    /// A call without a body.
    pub(crate) fn get(base: &'a str, path: &'a str) -> Self {
        Self {
            base,
            method: Method::GET,
            path,
            headers: Vec::new(),
            body: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// A call with a JSON body.
    pub(crate) fn post(base: &'a str, path: &'a str, body: &serde_json::Value) -> Self {
        Self { method: Method::POST, body: body.to_string().into_bytes(), ..Self::get(base, path) }
    }

    /// With a virtual key, where there is one.
    pub(crate) fn key(self, key: Option<&str>) -> Self {
        match key {
            Some(key) => self.bearer(key),
            None => self,
        }
    }

    /// With a bearer token.
    pub(crate) fn bearer(mut self, token: &str) -> Self {
        self.headers.push(("authorization", format!("Bearer {token}")));
        self
    }
}

/// What came back.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The whole body.
    pub(crate) body: Vec<u8>,
    /// To the first byte of the body.
    pub(crate) first_byte: Duration,
    /// To its end.
    pub(crate) total: Duration,
}

impl Answer {
    /// A header as text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

/// Sends and reads the whole answer. `each` sees the pieces of the body as they come.
pub(crate) fn send(call: Call<'_>, each: impl FnMut(&[u8])) -> Result<Answer, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.cant("start")?;
    tokio::task::LocalSet::new().block_on(&runtime, exchange(call, each))
}

async fn exchange(call: Call<'_>, mut each: impl FnMut(&[u8])) -> Result<Answer, Failure> {
    let base = call.base.to_owned();
    let unreachable = |error: &dyn std::fmt::Display| {
        let error = error.to_string();
        // A message that says so already is not said twice.
        let known = error.starts_with("can't connect");
        Failure::new(Exit::Network, if known { error } else { format!("{base}: {error}") })
    };
    // The person at the keyboard named the address; the guard protects what a configuration names.
    let options = TargetOptions { allow_private_address: true, ..TargetOptions::default() };
    let target = Target::new(call.base, &options).map_err(|error| unreachable(&error))?;
    let pool = Pool::new(PoolOptions::default());
    let headers = headers(&call)?;
    let outgoing =
        Outgoing { method: call.method, path: call.path, headers, body: call.body.into() };
    let connect = call.patience.min(Duration::from_secs(5));
    let deadlines = Deadlines { connect, first_byte: call.patience };
    let began = std::time::Instant::now();
    let mut incoming = pool
        .send(&target, outgoing, &deadlines)
        .await
        .map_err(|error| unreachable(&error.message))?;
    let mut answer = Answer {
        status: incoming.status.as_u16(),
        headers: incoming.headers.clone(),
        body: Vec::new(),
        first_byte: began.elapsed(),
        total: Duration::ZERO,
    };
    while let Some(piece) = incoming.body.frame().await {
        let piece = piece.map_err(|error| unreachable(&error.message))?;
        if answer.body.is_empty() {
            answer.first_byte = began.elapsed();
        }
        each(&piece);
        answer.body.extend_from_slice(&piece);
        if answer.body.len() > ANSWER_MAX {
            return Err(unreachable(&"the answer is too long"));
        }
    }
    answer.total = began.elapsed();
    Ok(answer)
}

fn headers(call: &Call<'_>) -> Result<HeaderMap, Failure> {
    let mut map = HeaderMap::new();
    for (name, value) in &call.headers {
        let bad = || {
            Failure::new(
                Exit::Usage,
                format!("the value for the header `{name}` has characters that no header can have"),
            )
        };
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
        value.set_sensitive(name == AUTHORIZATION);
        map.insert(name, value);
    }
    if !call.body.is_empty() {
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(map)
}
