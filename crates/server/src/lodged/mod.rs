//! lodged: files and batches, which lie at one provider.
//!
//! Who made one, and where it lies, is kept in `kept.db` ([`store::Bindings`]); each later call for it goes there, with
//! the same key of the provider, and another application's calls find nothing. Lists are answered from what the provider
//! last said: its own would show what all applications that share the account have there.
//!
//! Each call has its row like any request's. A batch has one row, from the moment before it is made until it has ended:
//! see [`batch`] for what it reserves, [`open`] for what runs, [`end`] for what it cost.

mod at;
mod batch;
mod end;
mod measure;
mod open;
mod row;
mod watch;

use bytes::Bytes;
use dialect::DialectId;
use dialect::batches::BatchState;
use domain::{AppName, Endpoint, UnixMicros};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use std::rc::Rc;
use store::{Binding, KeptError, Page, Thing};

use crate::accept::{Cx, own_headers, respond};
use crate::body::RespBody;
use crate::errors::{self, Failure};
use crate::listen::route::Deed;
use crate::read::{HeaderView, Way, bad_field};
use crate::worker::Worker;

pub use open::OpenBatches;
pub use watch::watch;

/// A file is known for as long as it lies there; that nobody says how long is no end.
const NO_END: UnixMicros = UnixMicros::from_micros(i64::MAX);
/// How long a batch is known: longer than any provider keeps its results (OpenAI 30 days, Anthropic 29).
const BATCH_KNOWN_MICROS: i64 = 31 * 86_400 * 1_000_000;
/// Most rows of a page.
const PAGE_MAX: usize = 1_000;

/// Serves a call about a file or a batch.
pub async fn serve(
    worker: &Rc<Worker>,
    cx: &mut Cx,
    deed: Deed,
    id: Option<&str>,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<RespBody>, Failure> {
    let dry = headers.get("x-outrigger-dry-run").is_some_and(|value| value.as_bytes() == b"true");
    if dry && !matches!(deed, Deed::Get | Deed::List) {
        let message = "files and batches have no dry run; nothing was sent";
        return Err(Failure::new(&errors::BAD_FIELD, message).field("x-outrigger-dry-run"));
    }
    let thing = match cx.endpoint {
        Endpoint::Files => Thing::File,
        _ => Thing::Batch,
    };
    match (deed, thing) {
        (Deed::Create, Thing::File) => upload(worker, cx, headers, body).await,
        (Deed::Create, Thing::Batch) => batch::create(worker, cx, headers, body).await,
        (Deed::List, _) => list(worker, cx, thing, query.unwrap_or_default()).await,
        _ => one(worker, cx, deed, thing, id.unwrap_or_default(), headers).await,
    }
}

/// The application that asks.
fn app(worker: &Worker, cx: &Cx) -> AppName {
    let app = cx.caller.as_ref().and_then(|it| it.app());
    app.cloned().unwrap_or_else(|| worker.gateway.local_app.clone())
}

/// The path of the dialect's batches.
fn batches(client: DialectId) -> &'static str {
    match client {
        DialectId::AnthropicMessages => "/messages/batches",
        _ => "/batches",
    }
}

fn unavailable(error: &KeptError) -> Failure {
    Failure::new(&errors::LODGED_UNAVAILABLE, error.to_string())
}

/// What the application has under that id, spoken of in its dialect.
async fn find(worker: &Worker, cx: &Cx, thing: Thing, id: &str) -> Result<Binding, Failure> {
    let (app, now) = (app(worker, cx), worker.gateway.now());
    let found = worker.gateway.bindings.get(thing, &app, id, now).await;
    let found = found.map_err(|error| unavailable(&error))?;
    found.filter(|it| it.dialect == cx.client.id().as_str()).ok_or_else(|| {
        let what = if thing == Thing::File { "file" } else { "batch" };
        let id = crate::resolve::shown(id);
        Failure::new(&errors::NOT_LODGED, format!("this application has no {what} `{id}`"))
    })
}

async fn upload(
    worker: &Rc<Worker>,
    cx: &mut Cx,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<RespBody>, Failure> {
    let upload = dialect::batches::upload(&HeaderView(headers), &body).map_err(bad_field)?;
    let place = at::choose(cx, headers)?;
    let mut note = String::new();
    if upload.purpose == "batch" {
        let measured = measure::file(cx, &place, &body.slice(upload.file)).await?;
        note = measured.to_note();
    }
    let way = Way { method: Method::POST, path: "/files".to_owned(), key: place.key };
    let response = at::go(worker, cx, &place, way, headers, body, false).await?;
    let Some(said) = said(&response) else { return Ok(response) };
    let Some(state) = dialect::batches::file_state(&said) else { return Ok(response) };
    let now = worker.gateway.now();
    let ends_at = state.expires_at.map_or(NO_END, |secs| {
        UnixMicros::from_micros(secs.saturating_mul(1_000_000)).max(now.plus_micros(3_600_000_000))
    });
    let binding = Binding {
        thing: Thing::File,
        app: app(worker, cx),
        id: state.id,
        provider: place.provider.name.to_string(),
        dialect: cx.client.id().as_str().to_owned(),
        credential: place.key,
        purpose: upload.purpose,
        made_at: now,
        ends_at,
        said: String::from_utf8_lossy(&said).into_owned(),
        note,
    };
    worker.gateway.bindings.put(binding).await.map_err(|error| unavailable(&error))?;
    Ok(response)
}

/// What a success answer says; nothing of one that is no success, or no text.
fn said(response: &Response<RespBody>) -> Option<Vec<u8>> {
    let pieces = match response.body() {
        RespBody::Whole(pieces) if response.status().is_success() => pieces,
        _ => return None,
    };
    let said = pieces.concat();
    std::str::from_utf8(&said).is_ok().then_some(said)
}

async fn one(
    worker: &Rc<Worker>,
    cx: &mut Cx,
    deed: Deed,
    thing: Thing,
    id: &str,
    headers: &HeaderMap,
) -> Result<Response<RespBody>, Failure> {
    let mut binding = find(worker, cx, thing, id).await?;
    let place = at::of(cx, &binding)?;
    let base = match thing {
        Thing::File => "/files",
        Thing::Batch => batches(cx.client.id()),
    };
    let (method, tail) = match (deed, thing) {
        (Deed::Content, Thing::File) => (Method::GET, "/content"),
        (Deed::Content, Thing::Batch) => (Method::GET, "/results"),
        (Deed::Cancel, _) => (Method::POST, "/cancel"),
        (Deed::Delete, _) => (Method::DELETE, ""),
        _ => (Method::GET, ""),
    };
    if thing == Thing::Batch && deed == Deed::Delete {
        // Its results go with it, and they tell what it cost.
        watch::look_at(worker, &binding).await;
    }
    let way = Way { method, path: format!("{base}/{}{tail}", binding.id), key: place.key };
    let streamed = deed == Deed::Content;
    let mut response = at::go(worker, cx, &place, way, headers, Bytes::new(), streamed).await?;
    let Some(said) = said(&response) else { return Ok(response) };
    let bindings = &worker.gateway.bindings;
    match (deed, thing) {
        (Deed::Delete, _) => {
            let gone = bindings.delete(thing, &binding.app, &binding.id).await;
            gone.map_err(|error| unavailable(&error))?;
        }
        (Deed::Get | Deed::Cancel, Thing::Batch) => {
            let said = local(cx.client.id(), said);
            *response.body_mut() = RespBody::one(said.clone());
            binding.said = String::from_utf8_lossy(&said).into_owned();
            let state = dialect::batches::batch_state(&said, cx.client.id());
            heard(worker, binding, state).await.map_err(|error| unavailable(&error))?;
        }
        (Deed::Get, Thing::File) => {
            binding.said = String::from_utf8_lossy(&said).into_owned();
            bindings.put(binding).await.map_err(|error| unavailable(&error))?;
        }
        _ => {}
    }
    Ok(response)
}

/// What is said of a batch, in the words that a client gets.
fn local(client: DialectId, said: Vec<u8>) -> Vec<u8> {
    let anthropic = client == DialectId::AnthropicMessages;
    let local = if anthropic { dialect::batches::local_results(&said) } else { None };
    local.unwrap_or(said)
}

/// Keeps what was said of a batch; once it has ended, its row is closed.
async fn heard(
    worker: &Rc<Worker>,
    binding: Binding,
    state: Option<BatchState>,
) -> Result<(), KeptError> {
    let Some(state) = state else { return Ok(()) };
    let key = batch::key_of(&binding.note);
    record(worker, binding, &state).await?;
    if let Some(key) = key {
        worker.gateway.batches.looked(key, worker.gateway.now());
        if state.ended {
            let worker = Rc::clone(worker);
            tokio::task::spawn_local(async move { end::settle(&worker, key, &state).await });
        }
    }
    Ok(())
}

/// Keeps what was said of a batch, and where the files lie that came of it.
async fn record(worker: &Worker, binding: Binding, state: &BatchState) -> Result<(), KeptError> {
    let bindings = &worker.gateway.bindings;
    for file in state.files.iter().flatten() {
        let made = Binding {
            thing: Thing::File,
            id: file.clone(),
            purpose: "batch_output".to_owned(),
            made_at: worker.gateway.now(),
            ends_at: NO_END,
            said: String::new(),
            note: String::new(),
            ..binding.clone()
        };
        // A file that was asked for keeps what was said of it.
        if bindings.get(Thing::File, &made.app, file, made.made_at).await?.is_none() {
            bindings.put(made).await?;
        }
    }
    bindings.put(binding).await
}

/// A page of the application's own.
async fn list(
    worker: &Worker,
    cx: &Cx,
    thing: Thing,
    query: &str,
) -> Result<Response<RespBody>, Failure> {
    let client = cx.client.id();
    let param = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name))
            .map(|it| it.1)
    };
    if param("before_id").is_some() {
        return Err(Failure::new(
            &errors::BAD_FIELD,
            "`before_id` is not served: page with `after_id`",
        )
        .field("before_id"));
    }
    let usual = if thing == Thing::File { PAGE_MAX } else { 20 };
    let limit = match param("limit").map(str::parse) {
        None => usual,
        Some(Ok(limit)) if limit > 0 => usize::min(limit, PAGE_MAX),
        Some(_) => {
            return Err(Failure::new(&errors::BAD_FIELD, "`limit` is no number").field("limit"));
        }
    };
    let page = Page {
        after: param("after").or(param("after_id")).map(str::to_owned),
        limit,
        oldest_first: param("order") == Some("asc"),
        purpose: param("purpose").map(str::to_owned),
    };
    let found = worker.gateway.bindings.list(
        thing,
        &app(worker, cx),
        client.as_str(),
        page,
        worker.gateway.now(),
    );
    let (found, more) = found.await.map_err(|error| unavailable(&error))?;
    // Files that a batch made are listed once they were asked for: until then the provider has said nothing of them.
    let said: Vec<&str> =
        found.iter().map(|it| it.said.as_str()).filter(|said| !said.is_empty()).collect();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    own_headers(cx, &mut headers);
    let body = dialect::batches::list(&said, more, client);
    Ok(respond(StatusCode::OK, headers, RespBody::one(body)))
}
