//! `/v1/messages/batches`.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Line, after, kept_headers, known_only, limit, owner, param, push};
use crate::anthropic::{authenticate, json_body, ok, version};
use crate::ask::Refused;
use crate::demo::{Body, Call, Demo, Reply};
use crate::tweak::Tweak;

#[derive(Debug, Clone)]
pub(super) struct Batch {
    id: String,
    owner: String,
    headers: Vec<(String, String)>,
    /// `in_progress`, `canceling` or `ended`.
    status: &'static str,
    /// Times it was asked for.
    polled: u32,
    cancelled: bool,
    lines: Vec<Line>,
    results: Bytes,
    /// Succeeded, errored, canceled, expired.
    counts: [usize; 4],
}

/// When everything was made, and when a batch ended: the fake reads no clock.
const MADE: &str = "2026-09-21T14:13:20Z";
const EXPIRES: &str = "2026-09-22T14:13:20Z";

impl Batch {
    fn json(&self) -> Value {
        let ended = self.status == "ended";
        let [succeeded, errored, canceled, expired] = self.counts;
        let processing = self.lines.len() - self.counts.iter().sum::<usize>();
        // An address of its own: whoever follows it leaves the gateway.
        let url = format!("https://api.anthropic.com/v1/messages/batches/{}/results", self.id);
        json!({"id": self.id, "type": "message_batch", "processing_status": self.status,
            "request_counts": {"processing": processing, "succeeded": succeeded, "errored": errored,
                "canceled": canceled, "expired": expired},
            "ended_at": ended.then_some(MADE), "created_at": MADE, "expires_at": EXPIRES, "archived_at": null,
            "cancel_initiated_at": self.cancelled.then_some(MADE), "results_url": ended.then_some(url)})
    }
}

/// `rest` is what follows `/v1/messages/batches`.
pub(super) fn respond(
    demo: &Demo,
    call: &Call<'_>,
    rest: &str,
    query: &str,
    tweak: &Tweak,
) -> Result<Reply, Refused> {
    authenticate(demo, call)?;
    version(call)?;
    let steps: Vec<&str> = rest.split('/').skip(1).collect();
    match (call.method, steps.as_slice()) {
        ("POST", []) => create(demo, call),
        ("GET", []) => list(demo, call, query),
        ("GET", [id]) => {
            let mut batch = find(demo, call, id)?;
            step(demo, &mut batch, tweak);
            Ok(ok(&put(demo, batch)))
        }
        ("POST", [id, "cancel"]) => {
            let mut batch = find(demo, call, id)?;
            if batch.status == "ended" {
                return Err(Refused::new(400, "Batch has already ended"));
            }
            (batch.status, batch.cancelled) = ("canceling", true);
            Ok(ok(&put(demo, batch)))
        }
        ("GET", [id, "results"]) => {
            let batch = find(demo, call, id)?;
            if batch.status != "ended" {
                return Err(Refused::new(404, "Batch has no results yet"));
            }
            let headers = vec![("content-type", "application/x-jsonl".to_owned())];
            Ok(Reply { status: 200, headers, body: Body::Whole(batch.results) })
        }
        ("DELETE", [id]) => {
            let batch = find(demo, call, id)?;
            if batch.status != "ended" {
                return Err(Refused::new(400, "Batch can only be deleted once it has ended"));
            }
            demo.kept.lock().messages.retain(|it| it.id != batch.id);
            Ok(ok(&json!({"id": id, "type": "message_batch_deleted"})))
        }
        _ => Err(Refused::new(404, "Not found")),
    }
}

fn find(demo: &Demo, call: &Call<'_>, id: &str) -> Result<Batch, Refused> {
    let owner = owner(call);
    let kept = demo.kept.lock();
    let found = kept.messages.iter().find(|batch| batch.id == id && batch.owner == owner);
    found.cloned().ok_or_else(|| Refused::new(404, format!("message_batch: {id} not found")))
}

fn put(demo: &Demo, batch: Batch) -> Value {
    let json = batch.json();
    let mut kept = demo.kept.lock();
    if let Some(held) = kept.messages.iter_mut().find(|it| it.id == batch.id) {
        *held = batch;
    }
    json
}

fn create(demo: &Demo, call: &Call<'_>) -> Result<Reply, Refused> {
    let body = json_body(call)?;
    let extra = body.as_object().and_then(|it| it.keys().find(|name| *name != "requests"));
    if let Some(name) = extra {
        return Err(Refused::new(400, format!("{name}: Extra inputs are not permitted")));
    }
    let requests = body.get("requests").and_then(Value::as_array).filter(|it| !it.is_empty());
    let requests = requests.ok_or_else(|| Refused::new(400, "requests: Field required"))?;
    let mut ids = BTreeSet::new();
    let mut lines = Vec::new();
    for (at, request) in requests.iter().enumerate() {
        let custom_id = request.get("custom_id").and_then(Value::as_str).unwrap_or_default();
        let fits = (1..=64).contains(&custom_id.len())
            && custom_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !fits {
            let message = format!(
                "requests.{at}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
            );
            return Err(Refused::new(400, message));
        }
        if !ids.insert(custom_id) {
            return Err(Refused::new(400, format!("requests.{at}.custom_id: Duplicate value")));
        }
        let params = request.get("params").filter(|it| it.is_object());
        let params = params
            .ok_or_else(|| Refused::new(400, format!("requests.{at}.params: Field required")))?;
        if params.get("stream") == Some(&Value::Bool(true)) {
            return Err(Refused::new(400, format!("requests.{at}.params.stream: must be false")));
        }
        lines.push(Line {
            custom_id: custom_id.to_owned(),
            url: "/v1/messages".to_owned(),
            body: params.clone(),
        });
    }
    let mut kept = demo.kept.lock();
    let (number, _) = kept.number();
    let batch = Batch {
        id: format!("msgbatch_fake{number:08x}"),
        owner: owner(call),
        headers: kept_headers(call),
        status: "in_progress",
        polled: 0,
        cancelled: false,
        lines,
        results: Bytes::new(),
        counts: [0; 4],
    };
    let json = batch.json();
    kept.messages.push(batch);
    Ok(ok(&json))
}

fn list(demo: &Demo, call: &Call<'_>, query: &str) -> Result<Reply, Refused> {
    known_only(query, &["after_id", "before_id", "limit", "beta"])?;
    let limit = limit(query, 20, 1_000)?;
    let owner = owner(call);
    let kept = demo.kept.lock();
    let mut rows: Vec<&Batch> = kept.messages.iter().filter(|it| it.owner == owner).collect();
    rows.reverse();
    let rows = after(&rows, param(query, "after_id"), |batch| &batch.id);
    let page = rows.get(..limit.min(rows.len())).unwrap_or_default();
    let data: Vec<Value> = page.iter().map(|batch| batch.json()).collect();
    Ok(ok(&json!({"data": data, "has_more": page.len() < rows.len(),
        "first_id": page.first().map(|it| &it.id), "last_id": page.last().map(|it| &it.id)})))
}

fn step(demo: &Demo, batch: &mut Batch, tweak: &Tweak) {
    batch.polled += 1;
    match batch.status {
        "in_progress" if batch.polled >= 2 && !batch.lines.iter().any(Line::stays) => {
            run(demo, batch, batch.lines.len(), tweak);
        }
        // What was begun is answered, the rest is not: half of them.
        "canceling" => run(demo, batch, batch.lines.len() / 2, tweak),
        _ => {}
    }
}

/// Runs the first `upto` requests but for those that are late; with that the batch has ended.
fn run(demo: &Demo, batch: &mut Batch, upto: usize, tweak: &Tweak) {
    let mut results = String::new();
    for (at, line) in batch.lines.iter().enumerate() {
        let (kind, result) = if line.expires() {
            (3, json!({"type": "expired"}))
        } else if at >= upto {
            (2, json!({"type": "canceled"}))
        } else {
            match line.run(demo, &batch.headers, tweak) {
                (200, message) => (0, json!({"type": "succeeded", "message": message})),
                (_, error) => (1, json!({"type": "errored", "error": error})),
            }
        };
        if let Some(count) = batch.counts.get_mut(kind) {
            *count += 1;
        }
        push(&mut results, &json!({"custom_id": line.custom_id, "result": result}));
    }
    batch.results = Bytes::from(results);
    batch.status = "ended";
}
