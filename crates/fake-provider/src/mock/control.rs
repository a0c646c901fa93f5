//! The control API under `/__mock/`: what another process uses to steer and to read the mock.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::http1::{Conn, Request, Stream};
use super::state::Shared;

/// Serves one control request; tells whether the connection goes on.
pub(crate) async fn serve<S: Stream>(
    shared: &Shared,
    conn: &mut Conn<S>,
    request: &Request,
) -> bool {
    let body: Value = if request.body.is_empty() {
        Value::Null
    } else {
        match serde_json::from_slice(&request.body) {
            Ok(v) => v,
            Err(e) => return write(conn, 400, &json!({"error": e.to_string()})).await,
        }
    };
    let (status, answer) = match (request.method.as_str(), request.path()) {
        ("POST", "/__mock/wait") => wait(shared, &body).await,
        (method, path) => act(shared, method, path, &body),
    };
    write(conn, status, &answer).await
}

/// Everything that does not wait.
pub(crate) fn act(shared: &Shared, method: &str, path: &str, body: &Value) -> (u16, Value) {
    match (method, path) {
        ("GET", "/__mock/health") => (200, json!({"ok": true})),
        ("GET", "/__mock/stats") => (200, shared.stats()),
        ("GET", "/__mock/requests") => (200, Value::Array(shared.requests())),
        ("POST", "/__mock/rules") => rules(shared, body),
        ("DELETE", "/__mock/rules") => {
            shared.clear_rules();
            (200, json!({}))
        }
        ("POST", "/__mock/issuer") => {
            shared.arm_issuer(body.clone());
            (200, json!({}))
        }
        ("POST", "/__mock/release") => {
            shared.release(body.get("count").and_then(Value::as_u64));
            (200, json!({}))
        }
        ("POST", "/__mock/reset") => {
            shared.reset();
            (200, json!({}))
        }
        ("POST", "/__mock/listener") => {
            let flag = |k: &str, or: bool| body.get(k).and_then(Value::as_bool).unwrap_or(or);
            shared.accept(flag("accept", true), flag("drop", false));
            (200, json!({}))
        }
        (_, "/__mock/trap") => {
            shared.trapped();
            (200, json!({"trapped": true}))
        }
        _ => (404, json!({"error": format!("no control endpoint {method} {path}")})),
    }
}

fn rules(shared: &Shared, body: &Value) -> (u16, Value) {
    let one = std::slice::from_ref(body);
    for rule in body.as_array().map_or(one, Vec::as_slice) {
        if let Err(message) = shared.add_rule(rule) {
            return (400, json!({"error": message}));
        }
    }
    (200, json!({}))
}

/// `{"counter": "held", "at_least": 137, "timeout_ms": 10000}`, or `"equals"`: answers 200 once it is so, 408 if not in time.
async fn wait(shared: &Shared, body: &Value) -> (u16, Value) {
    let timeout = body.get("timeout_ms").and_then(Value::as_u64).unwrap_or(10_000);
    let until = Instant::now() + Duration::from_millis(timeout);
    loop {
        let stats = shared.stats();
        match reached(&stats, body) {
            None => {
                return (
                    400,
                    json!({"error": "wait needs a known counter, and at_least or equals"}),
                );
            }
            Some(true) => return (200, stats),
            Some(false) if Instant::now() >= until => return (408, stats),
            Some(false) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

pub(crate) fn reached(stats: &Value, wanted: &Value) -> Option<bool> {
    let n = stats.get(wanted.get("counter")?.as_str()?)?.as_u64()?;
    let number = |k: &str| wanted.get(k).and_then(Value::as_u64);
    match (number("at_least"), number("equals")) {
        (Some(least), _) => Some(n >= least),
        (None, Some(exactly)) => Some(n == exactly),
        (None, None) => None,
    }
}

async fn write<S: Stream>(conn: &mut Conn<S>, status: u16, body: &Value) -> bool {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} Control\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    conn.write(format!("{head}{body}").as_bytes()).await.is_ok()
}
