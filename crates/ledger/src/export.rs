//! Attempts as rows of a table with fixed columns: CSV and JSON Lines.
//!
//! Columns are only ever added at the end. Money is a decimal number of USD, times are RFC 3339 in UTC, an
//! absent value is empty (CSV) or `null` (JSON). In CSV a text that a spreadsheet would run as a formula
//! (beginning with `=`, `+`, `-`, `@`, tab or carriage return) gets an apostrophe in front.

use domain::{Features, UnixMicros};
use serde_json::{Map, Value};

use crate::query::{Attempt, Closed, What};
use crate::record::{Charge, Lost};

/// The columns, in order.
pub const COLUMNS: [&str; 46] = [
    "seq",
    "request",
    "call",
    "attempt",
    "admitted_at",
    "dispatched_at",
    "first_byte_at",
    "done_at",
    "outcome",
    "error",
    "refusal",
    "app",
    "team",
    "key",
    "capability",
    "offer",
    "provider",
    "model",
    "requested_offer",
    "answer_model",
    "endpoint",
    "client_dialect",
    "provider_dialect",
    "contract",
    "input",
    "cache_read",
    "cache_write",
    "cache_write_long",
    "output",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "usage_quality",
    "cost_usd",
    "reserved_usd",
    "price_version",
    "finish",
    "upstream_code",
    "upstream_id",
    "features",
    "losses",
    "marks",
    "budgets",
    "config_revision",
    "policy_version",
];

/// One attempt as values in the order of [`COLUMNS`].
pub fn values(attempt: &Attempt) -> Vec<Value> {
    let intent = attempt.intent();
    let settled = attempt.settlement();
    let refusal = match &attempt.what {
        What::Refused(it) => Some(it),
        What::Tried { .. } => None,
    };
    let written_off = match &attempt.what {
        What::Tried { closed: Some(Closed::WrittenOff(it)), .. } => Some(it),
        _ => None,
    };
    let done = settled.map(|it| it.done_at).or(written_off.map(|it| it.at));
    let usage = settled.map(|it| it.usage);
    let endpoint = intent.map(|it| it.endpoint).or(refusal.map(|it| it.endpoint));
    let dialect = intent.map(|it| &it.client_dialect).or(refusal.map(|it| &it.client_dialect));
    let revision = intent.map(|it| it.config_revision).or(refusal.map(|it| it.config_revision));
    vec![
        attempt.seq.into(),
        attempt.id.request.to_string().into(),
        attempt.id.call.into(),
        attempt.id.attempt.into(),
        time(Some(attempt.at)),
        time(intent.map(|it| it.dispatched_at)),
        time(settled.and_then(|it| it.first_byte_at)),
        time(done),
        attempt.outcome().as_str().into(),
        text(settled.map(|it| it.error.as_str())),
        text(refusal.map(|it| it.code.as_ref())),
        text(attempt.app()),
        text(attempt.team()),
        text(attempt.key()),
        text(attempt.capability()),
        text(intent.map(|it| it.offer.to_string())),
        text(intent.map(|it| it.offer.provider().as_str())),
        text(intent.map(|it| it.offer.model().as_str())),
        text(intent.and_then(|it| it.requested_offer.as_ref()).map(ToString::to_string)),
        text(settled.and_then(|it| it.model.as_deref())),
        text(endpoint.map(domain::Endpoint::as_str)),
        text(dialect.map(AsRef::as_ref)),
        text(intent.map(|it| it.provider_dialect.as_ref())),
        text(intent.and_then(|it| it.contract.as_deref())),
        usage.map(|it| it.input).into(),
        usage.map(|it| it.cache_read).into(),
        usage.map(|it| it.cache_write).into(),
        usage.map(|it| it.cache_write_long).into(),
        usage.map(|it| it.output).into(),
        usage.map(|it| it.reasoning).into(),
        usage.map(|it| it.audio_input).into(),
        usage.map(|it| it.audio_output).into(),
        usage.map(|it| it.image_input).into(),
        text(settled.map(|it| it.quality.as_str())),
        text(settled.and_then(|it| it.cost).map(|it| it.to_string())),
        text(intent.map(|it| it.reserved.money.to_string())),
        settled.and_then(|it| it.price_version).or(intent.and_then(|it| it.price_version)).into(),
        text(settled.and_then(|it| it.finish.as_deref())),
        settled.map(|it| it.upstream_code).filter(|it| *it != 0).into(),
        text(settled.and_then(|it| it.upstream_id.as_deref())),
        text(intent.map(|it| Features::to_string(&it.features).replace(',', " "))),
        text(intent.map(|it| losses(&it.losses))),
        text(intent.map(|it| marks(it.marks))),
        text(intent.map(|it| budgets(&it.charges))),
        revision.into(),
        intent.map(|it| it.policy_version).into(),
    ]
}

fn text<T: Into<String>>(value: Option<T>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.into()))
}

fn time(at: Option<UnixMicros>) -> Value {
    text(at.map(|at| at.to_string()))
}

fn losses(lost: &[Lost]) -> String {
    let words = lost.iter().map(|it| format!("{}={}", it.field, it.fate.as_str()));
    words.collect::<Vec<_>>().join(" ")
}

fn budgets(charges: &[Charge]) -> String {
    charges.iter().map(|it| &*it.budget).collect::<Vec<_>>().join(" ")
}

fn marks(marks: crate::Marks) -> String {
    let words = [
        (marks.stream, "stream"),
        (marks.drill, "drill"),
        (marks.mirror, "mirror"),
        (marks.retry, "retry"),
        (marks.failover, "failover"),
        (marks.unpriced, "unpriced"),
    ];
    let on: Vec<_> = words.into_iter().filter(|it| it.0).map(|it| it.1).collect();
    on.join(" ")
}

/// The header line of a CSV export.
pub fn csv_header() -> String {
    format!("{}\r\n", COLUMNS.join(","))
}

/// One attempt as a CSV line (RFC 4180).
pub fn csv_line(attempt: &Attempt) -> String {
    let mut line = String::with_capacity(512);
    for (index, value) in values(attempt).iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        match value {
            Value::Null => {}
            Value::String(text) => csv_text(text, &mut line),
            other => line.push_str(&other.to_string()),
        }
    }
    line.push_str("\r\n");
    line
}

/// One text as a CSV field that no spreadsheet runs and no terminal obeys.
pub fn csv_text(text: &str, line: &mut String) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quoted = formula || text.contains([',', '"', '\n', '\r']);
    if quoted {
        line.push('"');
    }
    if formula {
        line.push('\'');
    }
    for character in text.chars() {
        match character {
            '"' => line.push_str("\"\""),
            control if control.is_control() && control != '\n' => line.push('\u{fffd}'),
            other => line.push(other),
        }
    }
    if quoted {
        line.push('"');
    }
}

/// One attempt as a JSON object.
pub fn json(attempt: &Attempt) -> Value {
    let named = COLUMNS.iter().map(|name| (*name).to_owned()).zip(values(attempt));
    Value::Object(named.collect::<Map<_, _>>())
}

/// One attempt as a line of JSON Lines.
pub fn jsonl_line(attempt: &Attempt) -> String {
    format!("{}\n", json(attempt))
}
