//! Answers that need no provider: health, models, one request's account, token counts, dry runs.

use std::fmt::Write as _;

use dialect::{ModelRow, bedrock_converse};
use domain::{Money, RequestId};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use policy::Plan;

use crate::accept::{Cx, own_headers, respond};
use crate::admit;
use crate::body::RespBody;
use crate::enveloped;
use crate::errors::{self, Failure};
use crate::explain;
use crate::listen::route::{Action, Match};
use crate::plan;
use crate::read::Ask;
use crate::resolve::Resolved;
use crate::worker::Worker;

/// The routes that anybody may call.
pub fn open(worker: &Worker, action: Action) -> Response<RespBody> {
    match action {
        Action::Live => text(StatusCode::OK, "live\n"),
        Action::Ready if worker.gateway.is_draining() => {
            text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        }
        Action::Ready if worker.gateway.ledger.state() != store::WriterState::Healthy => {
            text(StatusCode::SERVICE_UNAVAILABLE, "the ledger can't be written\n")
        }
        Action::Ready => text(StatusCode::OK, "ready\n"),
        _ => text(StatusCode::OK, &start_page(worker)),
    }
}

fn text(status: StatusCode, body: &str) -> Response<RespBody> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    respond(status, headers, RespBody::one(body.to_owned()))
}

/// What a person sees who opens the address in a browser.
fn start_page(worker: &Worker) -> String {
    let snapshot = worker.gateway.snapshot.load();
    let mut page = String::from("Outrigger is running.\n\nprovider      models\n");
    for provider in &snapshot.providers {
        let line = writeln!(
            page,
            "{:<12}  {}",
            provider.name.as_str(),
            snapshot.models_of(provider).len()
        );
        debug_assert!(line.is_ok(), "writing to a string does not fail");
    }
    page.push_str(
        "\nPOST /v1/chat/completions   POST /v1/responses   POST /v1/messages   POST /v2/chat   POST /v1/embeddings   GET /v1/models\n",
    );
    page
}

/// The answer to a route that is served from here; `None` for those that go to a provider.
pub fn answer(
    worker: &Worker,
    cx: &Cx,
    found: &Match<'_>,
) -> Result<Option<Response<RespBody>>, Failure> {
    match found.route.action {
        Action::Models => Ok(Some(json(cx, cx.client.write_models(&rows(cx))))),
        Action::Profiles => Ok(Some(json(cx, bedrock_converse::no_profiles()))),
        Action::Model => one_model(cx, found.id.as_deref().unwrap_or_default()).map(Some),
        Action::RequestInfo => {
            request(worker, cx, found.id.as_deref().unwrap_or_default()).map(Some)
        }
        Action::ClientSecret => Err(Failure::new(
            &errors::KEY_WOULD_PASS,
            "an ephemeral key, or a call, would let the client talk to the provider past the gateway",
        )),
        _ => Ok(None),
    }
}

/// A success answer of ours.
pub fn json(cx: &Cx, body: Vec<u8>) -> Response<RespBody> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    own_headers(cx, &mut headers);
    respond(StatusCode::OK, headers, RespBody::one(body))
}

/// What the caller may ask for.
fn rows(cx: &Cx) -> Vec<ModelRow> {
    let snapshot = &cx.snapshot;
    let created = cx.at.secs();
    let may = |name| cx.caller.as_ref().is_none_or(|it| it.may_ask(&snapshot.config, name));
    let mut rows: Vec<ModelRow> = snapshot
        .capabilities
        .values()
        .filter(|entry| may(&entry.name))
        .map(|entry| ModelRow {
            id: entry.name.as_str().to_owned(),
            created,
            owned_by: "outrigger".to_owned(),
            display_name: entry.name.as_str().to_owned(),
            max_input: entry.offers.iter().filter_map(|(offer, _)| offer.max_input).min(),
            max_output: entry.offers.iter().filter_map(|(offer, _)| offer.max_output).min(),
        })
        .collect();
    if cx.caller.as_ref().is_some_and(|it| it.is_bound(&snapshot.config)) {
        return rows;
    }
    for provider in &snapshot.providers {
        for model in snapshot.models_of(provider) {
            let facts = snapshot.catalog().model(&provider.catalog_host, &model);
            rows.push(ModelRow {
                id: format!("{}/{model}", provider.name),
                created,
                owned_by: provider.name.as_str().to_owned(),
                display_name: model.clone(),
                max_input: facts.and_then(|it| it.max_input),
                max_output: facts.and_then(|it| it.max_output),
            });
        }
    }
    rows
}

fn one_model(cx: &Cx, id: &str) -> Result<Response<RespBody>, Failure> {
    let known = rows(cx).into_iter().find(|row| row.id == id);
    if let Some(row) = known {
        return Ok(json(cx, cx.client.write_model(&row)));
    }
    // Names that resolve without being listed (a bare model id, a model that the catalog does not know) exist too.
    let resolved = crate::resolve::resolve(&cx.snapshot, cx.caller.as_ref(), id)?;
    if cx.caller.as_ref().is_some_and(|it| !it.may_ask(&cx.snapshot.config, &resolved.capability)) {
        return Err(plan::not_allowed(cx, &resolved));
    }
    let owned_by = resolved
        .offers
        .first()
        .map_or("outrigger", |(offer, _)| offer.provider.name.as_str())
        .to_owned();
    let row = ModelRow {
        id: id.to_owned(),
        created: cx.at.secs(),
        owned_by,
        display_name: id.to_owned(),
        max_input: resolved.offers.iter().filter_map(|(offer, _)| offer.max_input).min(),
        max_output: resolved.offers.iter().filter_map(|(offer, _)| offer.max_output).min(),
    };
    Ok(json(cx, cx.client.write_model(&row)))
}

/// What the ledger says about one request, to the key that made it.
fn request(worker: &Worker, cx: &Cx, id: &str) -> Result<Response<RespBody>, Failure> {
    let missing = || {
        Failure::new(
            &errors::REQUEST_NOT_FOUND,
            format!("no request `{}` of this key", crate::resolve::shown(id)),
        )
    };
    let id = RequestId::parse(id).map_err(|_| missing())?;
    let caller = cx.caller.as_ref().and_then(|it| it.public());
    let found = explain::request(&worker.gateway, id, caller).map_err(|error| {
        Failure::new(&errors::LEDGER_UNAVAILABLE, format!("the ledger can't be read: {error}"))
    })?;
    let found = found.ok_or_else(missing)?;
    Ok(json(cx, found.to_string().into_bytes()))
}

/// An estimate where the offer's provider does not count: an upper bound would mislead a client that plans with it.
pub fn count_tokens(cx: &Cx, ask: &Ask) -> Response<RespBody> {
    let tokens = flow::estimate_tokens(ask.peek.text_bytes);
    json(cx, enveloped::count(cx, cx.client.write_token_count(tokens)))
}

/// What would be done with the request and what it could cost at most; nobody is called and nothing reserved.
pub fn dry_run(
    worker: &Worker,
    cx: &Cx,
    ask: &Ask,
    resolved: &Resolved,
    plan: &Plan,
) -> Response<RespBody> {
    let offer = |ix| resolved.offers.iter().map(|(offer, _)| offer).find(|offer| offer.ix == ix);
    let candidates: Vec<serde_json::Value> = plan
        .explanation
        .candidates
        .iter()
        .map(|candidate| {
            let offer = offer(candidate.offer).map(|it| it.id.to_string()).unwrap_or_default();
            serde_json::json!({"offer": offer, "why": candidate.verdict.sentence(&offer)})
        })
        .collect();
    let now = worker.gateway.now();
    let mut order = Vec::new();
    // The dearest offer counts: any of them may be the one that serves. One without a bound leaves all without.
    let mut most = Some(Money::ZERO);
    for offer in plan.attempts.iter().filter_map(|ix| offer(*ix)) {
        order.push(offer.id.to_string());
        let limit = admit::output_limit(ask, resolved, offer);
        let bound = admit::bound(ask, offer, limit, now).ok().and_then(|it| it.money);
        most = most.zip(bound).map(|(most, bound)| most.max(bound));
    }
    let body = serde_json::json!({
        "object": "outrigger.dry_run",
        "capability": resolved.capability.as_str(),
        "attempts": order,
        "cost_at_most_usd": most.map(|it| it.to_string()),
        "candidates": candidates,
    });
    json(cx, body.to_string().into_bytes())
}
