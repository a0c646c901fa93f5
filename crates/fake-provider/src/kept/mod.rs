//! What calls leave behind: files and batches (OpenAI's), message batches (Anthropic's).
//!
//! Shapes are those of openai-python 3.54 (`types/file_object.py`, `types/batch.py`, `types/batch_usage.py`) and
//! anthropic 2.12 (`types/messages/message_batch*.py`). Everything belongs to the key that made it, as it belongs to a
//! project or a workspace at the real ones: another key's calls find nothing.
//!
//! A batch goes a step with each time it is asked for: there is no clock. Its requests are run when it ends, as if each
//! had been sent by itself. The start of a `custom_id` steers: `expire` is not run in time, `stay` keeps its batch in
//! progress until that is cancelled.

mod batches;
mod files;
mod form;
mod messages;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;

use crate::ask::Refused;
use crate::demo::{Body, Call, Demo, Part, Reply};
use crate::openai::CREATED;
use crate::tweak::Tweak;

/// Most bytes of files that are held, all together: the demo runs within the gateway.
const HELD_MAX: usize = 64 << 20;
/// How long a batch may take, in seconds.
const WINDOW: u64 = 24 * 60 * 60;

/// Whether a path stands for something kept, so that its answer depends on the calls before.
pub(crate) fn is_meant(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    ["/v1/files", "/v1/batches", "/v1/messages/batches"].iter().any(|base| {
        path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Answers a call to such a path.
pub(crate) fn respond(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    let (path, query) = call.path.split_once('?').unwrap_or((call.path, ""));
    if let Some(rest) = path.strip_prefix("/v1/messages/batches") {
        return messages::respond(demo, call, rest, query, tweak)
            .unwrap_or_else(|refused| crate::anthropic::error(&refused));
    }
    let answer = match (path.strip_prefix("/v1/files"), path.strip_prefix("/v1/batches")) {
        (Some(rest), _) => files::respond(demo, call, rest, query),
        (_, Some(rest)) => batches::respond(demo, call, rest, query, tweak),
        _ => Err(Refused::new(404, "Not found")),
    };
    answer.unwrap_or_else(|refused| crate::openai::error(&refused))
}

/// All that is kept.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Things made so far.
    made: u64,
    files: Vec<files::File>,
    batches: Vec<batches::Batch>,
    messages: Vec<messages::Batch>,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// A number for something new, and the time at which it was made.
    fn number(&mut self) -> (u64, u64) {
        self.made += 1;
        (self.made, CREATED + self.made)
    }

    fn held(&self) -> usize {
        self.files.iter().map(|file| file.content.len()).sum()
    }
}

/// Whose call it is.
fn owner(call: &Call<'_>) -> String {
    let bearer = call.header("authorization").and_then(|v| v.strip_prefix("Bearer "));
    call.header("x-api-key").or(bearer).unwrap_or_default().to_owned()
}

/// A parameter of a query, as it stands there.
fn param<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name))
        .map(|it| it.1)
}

/// Refuses parameters that are not `known`.
fn known_only(query: &str, known: &[&str]) -> Result<(), Refused> {
    let names = query.split('&').filter(|pair| !pair.is_empty());
    let names = names.map(|pair| pair.split('=').next().unwrap_or(pair));
    match names.into_iter().find(|name| !known.contains(name)) {
        Some(name) => Err(Refused::new(400, format!("Unknown query parameter: {name}"))),
        None => Ok(()),
    }
}

/// The place of an id in what a list shows: where the page after it begins.
fn after<'a, T>(rows: &'a [T], cursor: Option<&str>, id: impl Fn(&T) -> &str) -> &'a [T] {
    let at = cursor.and_then(|cursor| rows.iter().position(|row| id(row) == cursor));
    at.and_then(|at| rows.get(at + 1..)).unwrap_or(rows)
}

/// How many rows a page may have.
fn limit(query: &str, usual: usize, most: usize) -> Result<usize, Refused> {
    let Some(text) = param(query, "limit") else { return Ok(usual) };
    match text.parse() {
        Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(Refused::field("limit", format!("limit must be between 1 and {most}"))),
    }
}

/// One request of a batch.
#[derive(Debug, Clone)]
struct Line {
    custom_id: String,
    url: String,
    body: Value,
}

impl Line {
    fn expires(&self) -> bool {
        self.custom_id.starts_with("expire")
    }

    fn stays(&self) -> bool {
        self.custom_id.starts_with("stay")
    }

    /// Runs it as if it had been sent by itself.
    fn run(&self, demo: &Demo, headers: &[(String, String)], tweak: &Tweak) -> (u16, Value) {
        let mut headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.push(("content-type", "application/json"));
        let body = self.body.to_string();
        let call =
            Call { method: "POST", path: &self.url, headers: &headers, body: body.as_bytes() };
        let reply = demo.respond_with(&call, tweak);
        let bytes = match reply.body {
            Body::Whole(bytes) => bytes,
            Body::Timed { parts, .. } => whole(parts),
        };
        (reply.status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

/// Adds a line of JSON.
fn push(text: &mut String, row: &Value) {
    text.push_str(&row.to_string());
    text.push('\n');
}

fn whole(parts: Vec<Part>) -> Bytes {
    parts.into_iter().flat_map(|part| part.bytes).collect()
}

/// The headers by which a batch's requests are known to be the same caller's.
fn kept_headers(call: &Call<'_>) -> Vec<(String, String)> {
    let names = ["authorization", "x-api-key", "anthropic-version", "anthropic-beta"];
    let of = |name: &&str| Some(((*name).to_owned(), call.header(name)?.to_owned()));
    names.iter().filter_map(of).collect()
}
