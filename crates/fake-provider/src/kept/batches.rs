//! `/v1/batches`.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Line, WINDOW, after, files, kept_headers, known_only, limit, owner, param, push};
use crate::ask::Refused;
use crate::demo::{Call, Demo, Reply};
use crate::openai::{authenticate, json_body, ok};
use crate::tweak::Tweak;

/// What the requests of a batch may be sent to, as far as the fake has it.
const ENDPOINTS: [&str; 3] = ["/v1/chat/completions", "/v1/responses", "/v1/embeddings"];

#[derive(Debug, Clone)]
pub(super) struct Batch {
    id: String,
    owner: String,
    headers: Vec<(String, String)>,
    endpoint: String,
    input_file: String,
    model: Option<String>,
    metadata: Value,
    created: u64,
    status: &'static str,
    lines: Vec<Line>,
    errors: Option<Value>,
    output_file: Option<String>,
    error_file: Option<String>,
    completed: usize,
    failed: usize,
    usage: [u64; 4],
}

impl Batch {
    fn json(&self) -> Value {
        let at = |statuses: &[&str], after: u64| {
            statuses.contains(&self.status).then_some(self.created + after)
        };
        let begun =
            ["in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"];
        let [input, cached, output, reasoning] = self.usage;
        json!({"id": self.id, "object": "batch", "endpoint": self.endpoint, "model": self.model, "errors": self.errors,
            "input_file_id": self.input_file, "completion_window": "24h", "status": self.status,
            "output_file_id": self.output_file, "error_file_id": self.error_file, "created_at": self.created,
            "in_progress_at": at(&begun, 1), "expires_at": self.created + WINDOW,
            "finalizing_at": at(&["finalizing", "completed"], 2), "completed_at": at(&["completed"], 3),
            "failed_at": at(&["failed"], 1), "expired_at": at(&["expired"], WINDOW),
            "cancelling_at": at(&["cancelling", "cancelled"], 2), "cancelled_at": at(&["cancelled"], 3),
            "request_counts": {"total": self.lines.len(), "completed": self.completed, "failed": self.failed},
            "usage": {"input_tokens": input, "input_tokens_details": {"cached_tokens": cached},
                "output_tokens": output, "output_tokens_details": {"reasoning_tokens": reasoning},
                "total_tokens": input + output},
            "metadata": self.metadata})
    }
}

/// `rest` is what follows `/v1/batches`.
pub(super) fn respond(
    demo: &Demo,
    call: &Call<'_>,
    rest: &str,
    query: &str,
    tweak: &Tweak,
) -> Result<Reply, Refused> {
    authenticate(demo, call)?;
    let steps: Vec<&str> = rest.split('/').skip(1).collect();
    match (call.method, steps.as_slice()) {
        ("POST", []) => create(demo, call),
        ("GET", []) => list(demo, call, query),
        ("GET", [id]) => {
            let mut batch = find(demo, call, id)?;
            step(demo, &mut batch, tweak)?;
            Ok(ok(&put(demo, batch)))
        }
        ("POST", [id, "cancel"]) => {
            let mut batch = find(demo, call, id)?;
            if !["validating", "in_progress", "finalizing"].contains(&batch.status) {
                let message = format!("Cannot cancel a batch with status '{}'.", batch.status);
                return Err(Refused::new(409, message));
            }
            batch.status = "cancelling";
            Ok(ok(&put(demo, batch)))
        }
        _ => Err(Refused::new(404, format!("Unknown request URL: {} {}.", call.method, call.path))
            .code("unknown_url")),
    }
}

fn find(demo: &Demo, call: &Call<'_>, id: &str) -> Result<Batch, Refused> {
    let owner = owner(call);
    let kept = demo.kept.lock();
    let found = kept.batches.iter().find(|batch| batch.id == id && batch.owner == owner);
    let missing = || Refused::new(404, format!("No batch found with id '{id}'."));
    found.cloned().ok_or_else(missing)
}

fn put(demo: &Demo, batch: Batch) -> Value {
    let json = batch.json();
    let mut kept = demo.kept.lock();
    if let Some(held) = kept.batches.iter_mut().find(|it| it.id == batch.id) {
        *held = batch;
    }
    json
}

fn create(demo: &Demo, call: &Call<'_>) -> Result<Reply, Refused> {
    let body = json_body(call)?;
    let known =
        ["completion_window", "endpoint", "input_file_id", "metadata", "output_expires_after"];
    if let Some(name) =
        body.as_object().and_then(|it| it.keys().find(|k| !known.contains(&k.as_str())))
    {
        return Err(Refused::field(name.clone(), format!("Unknown parameter: '{name}'."))
            .code("unknown_parameter"));
    }
    let text = |name: &str| {
        let value = body.get(name).and_then(Value::as_str);
        value.ok_or_else(|| Refused::field(name, format!("'{name}' is a required property")))
    };
    if text("completion_window")? != "24h" {
        return Err(Refused::field("completion_window", "must be '24h'"));
    }
    let endpoint = text("endpoint")?.to_owned();
    if !ENDPOINTS.contains(&endpoint.as_str()) {
        let message = format!("'{endpoint}' is not one of {}", ENDPOINTS.join(", "));
        return Err(Refused::field("endpoint", message));
    }
    let input = files::find(demo, call, text("input_file_id")?).map_err(|refused| Refused {
        status: 400,
        param: Some("input_file_id".to_owned()),
        ..refused
    })?;
    if input.purpose != "batch" {
        let message = format!("File has the purpose '{}', not 'batch'.", input.purpose);
        return Err(Refused::field("input_file_id", message));
    }
    let (lines, errors) = match lines(&input.content, &endpoint) {
        Ok(lines) => (lines, None),
        Err(errors) => (Vec::new(), Some(errors)),
    };
    let model = lines.first().and_then(|line| line.body.get("model")?.as_str()).map(str::to_owned);
    let mut kept = demo.kept.lock();
    let (number, created) = kept.number();
    let batch = Batch {
        id: format!("batch_fake{number:08x}"),
        owner: owner(call),
        headers: kept_headers(call),
        endpoint,
        input_file: input.id,
        model,
        metadata: body.get("metadata").cloned().unwrap_or(Value::Null),
        created,
        status: "validating",
        lines,
        errors,
        output_file: None,
        error_file: None,
        completed: 0,
        failed: 0,
        usage: [0; 4],
    };
    let json = batch.json();
    kept.batches.push(batch);
    Ok(ok(&json))
}

fn list(demo: &Demo, call: &Call<'_>, query: &str) -> Result<Reply, Refused> {
    known_only(query, &["after", "limit"])?;
    let limit = limit(query, 20, 100)?;
    let owner = owner(call);
    let kept = demo.kept.lock();
    let mut rows: Vec<&Batch> = kept.batches.iter().filter(|it| it.owner == owner).collect();
    rows.reverse();
    let rows = after(&rows, param(query, "after"), |batch| &batch.id);
    let page = rows.get(..limit.min(rows.len())).unwrap_or_default();
    let data: Vec<Value> = page.iter().map(|batch| batch.json()).collect();
    Ok(ok(&json!({"object": "list", "data": data, "has_more": page.len() < rows.len(),
        "first_id": page.first().map(|it| &it.id), "last_id": page.last().map(|it| &it.id)})))
}

/// The requests of an input file, or what is wrong with them as a batch's `errors` has it.
fn lines(content: &[u8], endpoint: &str) -> Result<Vec<Line>, Value> {
    let mut lines: Vec<Line> = Vec::new();
    let mut ids = BTreeSet::new();
    let text = String::from_utf8_lossy(content);
    for (at, text) in text.lines().enumerate().filter(|(_, text)| !text.is_empty()) {
        let wrong = |code: &str, message: &str| json!({"object": "list", "data": [{"code": code, "line": at + 1, "message": message, "param": null}]});
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return Err(wrong("invalid_json_line", "This line is not parseable as valid JSON."));
        };
        let word = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let body = value.get("body").filter(|body| body.is_object());
        let Some(body) = body.filter(|_| word("method") == "POST" && !word("custom_id").is_empty())
        else {
            return Err(wrong(
                "invalid_request",
                "custom_id, method POST, url and body are required.",
            ));
        };
        if word("url") != endpoint {
            return Err(wrong("invalid_url", "The URL differs from the endpoint of the batch."));
        }
        if !ids.insert(word("custom_id").to_owned()) {
            return Err(wrong("duplicate_custom_id", "The custom_id stands twice."));
        }
        let same = lines.first().is_none_or(|first| first.body.get("model") == body.get("model"));
        if !same {
            return Err(wrong("mismatched_model", "A batch has one model."));
        }
        lines.push(Line {
            custom_id: word("custom_id").to_owned(),
            url: endpoint.to_owned(),
            body: body.clone(),
        });
    }
    if lines.is_empty() {
        return Err(json!({"object": "list", "data": [{"code": "empty_file", "line": null,
            "message": "The input file holds no request.", "param": null}]}));
    }
    Ok(lines)
}

fn step(demo: &Demo, batch: &mut Batch, tweak: &Tweak) -> Result<(), Refused> {
    let stays = batch.lines.iter().any(Line::stays);
    batch.status = match batch.status {
        "validating" if batch.errors.is_some() => "failed",
        "validating" => "in_progress",
        "in_progress" if !stays => {
            let late = batch.lines.iter().any(Line::expires);
            run(demo, batch, batch.lines.len(), "batch_expired", tweak)?;
            if late { "expired" } else { "completed" }
        }
        // What was begun is answered, the rest is not: half of them.
        "cancelling" => {
            run(demo, batch, batch.lines.len() / 2, "batch_cancelled", tweak)?;
            "cancelled"
        }
        other => other,
    };
    Ok(())
}

/// Runs the first `upto` requests but for those that are late, and writes the files.
fn run(
    demo: &Demo,
    batch: &mut Batch,
    upto: usize,
    unrun: &str,
    tweak: &Tweak,
) -> Result<(), Refused> {
    let (mut output, mut errors) = (String::new(), String::new());
    for (at, line) in batch.lines.iter().enumerate() {
        let id = format!("batch_req_{}_{at}", batch.id);
        let custom_id = &line.custom_id;
        if at >= upto || line.expires() {
            let row = json!({"id": id, "custom_id": custom_id, "response": null,
                "error": {"code": unrun, "message": "This request was not executed."}});
            push(&mut errors, &row);
            continue;
        }
        let (status, body) = line.run(demo, &batch.headers, tweak);
        let count = |names: &[&str]| {
            names.iter().find_map(|name| body.pointer(name)?.as_u64()).unwrap_or_default()
        };
        batch.usage[0] += count(&["/usage/prompt_tokens", "/usage/input_tokens"]);
        batch.usage[1] += count(&[
            "/usage/prompt_tokens_details/cached_tokens",
            "/usage/input_tokens_details/cached_tokens",
        ]);
        batch.usage[2] += count(&["/usage/completion_tokens", "/usage/output_tokens"]);
        batch.usage[3] += count(&[
            "/usage/completion_tokens_details/reasoning_tokens",
            "/usage/output_tokens_details/reasoning_tokens",
        ]);
        let row = json!({"id": id, "custom_id": custom_id, "error": null,
            "response": {"status_code": status, "request_id": format!("req_{at}"), "body": body}});
        let good = status == 200;
        batch.completed += usize::from(good);
        batch.failed += usize::from(!good);
        push(if good { &mut output } else { &mut errors }, &row);
    }
    let keep = |text: String, what: &str| -> Result<Option<String>, Refused> {
        if text.is_empty() {
            return Ok(None);
        }
        let name = format!("{}_{what}.jsonl", batch.id);
        let content = Bytes::from(text);
        let file = files::keep(demo, batch.owner.clone(), name, "batch_output", None, content)?;
        Ok(Some(file.id))
    };
    batch.output_file = keep(output, "output")?;
    batch.error_file = keep(errors, "error")?;
    Ok(())
}
