//! The routes of kept responses: one, its items, its end; and what is not served.

use dialect::openai_responses::kept::{Packed, Page, list};
use domain::AppName;
use http::Response;
use store::kept::responses::KeptResponse;

use super::{app, chain, damaged, unavailable};
use crate::accept::Cx;
use crate::body::RespBody;
use crate::errors::{self, Failure};
use crate::listen::route::{Action, Match};
use crate::local::json;
use crate::worker::Worker;

/// Most items of a page.
const PAGE_MAX: usize = 100;

/// Whether a route is about what is kept.
pub fn is_one(action: Action) -> bool {
    matches!(
        action,
        Action::Response
            | Action::DeleteResponse
            | Action::ResponseItems
            | Action::CancelResponse
            | Action::Conversations
    )
}

/// The answer to a route about what is kept.
///
/// # Errors
/// What is not there or not served.
pub async fn answer(
    worker: &Worker,
    cx: &Cx,
    found: &Match<'_>,
    query: &str,
) -> Result<Response<RespBody>, Failure> {
    let action = found.route.action;
    if action == Action::Conversations {
        return Err(not_served("this gateway keeps no conversations"));
    }
    if !cx.snapshot.config.responses.store {
        return Err(Failure::new(&errors::RESPONSES_NOT_KEPT, "this gateway keeps no responses"));
    }
    let id = found.id.as_deref().unwrap_or_default();
    let app = app(worker, cx);
    let body = match action {
        Action::Response => one(worker, &app, id, query).await?,
        Action::DeleteResponse => delete(worker, &app, id).await?,
        Action::ResponseItems => items(worker, cx, &app, id, query).await?,
        _ => {
            get(worker, &app, id).await?;
            return Err(not_served("only a response in the background can be cancelled"));
        }
    };
    Ok(json(cx, body))
}

fn not_served(message: &str) -> Failure {
    Failure::new(&errors::STATE_NOT_SERVED, message)
}

fn not_found(id: &str) -> Failure {
    let message = format!("Response with id '{}' not found.", crate::resolve::shown(id));
    Failure::new(&errors::RESPONSE_NOT_FOUND, message)
}

async fn get(worker: &Worker, app: &AppName, id: &str) -> Result<KeptResponse, Failure> {
    let gateway = &worker.gateway;
    let found = gateway.responses.get(app, id, gateway.now()).await;
    found.map_err(|error| unavailable(&error))?.ok_or_else(|| not_found(id))
}

async fn one(worker: &Worker, app: &AppName, id: &str, query: &str) -> Result<Vec<u8>, Failure> {
    if pairs(query).any(|pair| pair == ("stream", "true")) {
        return Err(not_served("a kept response is not streamed again").field("stream"));
    }
    let kept = get(worker, app, id).await?;
    Ok(Packed::of(&kept.text).ok_or_else(damaged)?.response.to_vec())
}

async fn delete(worker: &Worker, app: &AppName, id: &str) -> Result<Vec<u8>, Failure> {
    let deleted = worker.gateway.responses.delete(app, id).await;
    if !deleted.map_err(|error| unavailable(&error))? {
        return Err(not_found(id));
    }
    let told = serde_json::json!({"id": id, "object": "response", "deleted": true});
    Ok(told.to_string().into_bytes())
}

/// The items of its request, and of what it builds on: all that the model was asked.
async fn items(
    worker: &Worker,
    cx: &Cx,
    app: &AppName,
    id: &str,
    query: &str,
) -> Result<Vec<u8>, Failure> {
    let page = page(query)?;
    let limit = cx.snapshot.config.server.limits.body;
    get(worker, app, id).await?;
    let kept = chain(worker, app, id, limit).await?;
    let packed: Option<Vec<Packed<'_>>> = kept.iter().map(|it| Packed::of(&it.text)).collect();
    let packed = packed.ok_or_else(damaged)?;
    let mut texts: Vec<&[u8]> = Vec::with_capacity(2 * packed.len());
    for (at, it) in packed.iter().enumerate() {
        texts.push(it.input);
        if at + 1 < packed.len() {
            texts.push(it.turn("").output);
        }
    }
    list(id, &texts, &page)
        .map_err(|error| Failure::new(&errors::BAD_FIELD, error.to_string()).field("after"))
}

fn page(query: &str) -> Result<Page, Failure> {
    let wrong = |field: &str, expected: &str| {
        Failure::new(&errors::BAD_FIELD, format!("`{field}`: expected {expected}")).field(field)
    };
    let mut page = Page::default();
    for (name, value) in pairs(query) {
        match (name, value) {
            ("after", id) => page.after = Some(id.to_owned()),
            ("order", "asc") => page.ascending = true,
            ("order", "desc") => page.ascending = false,
            ("order", _) => return Err(wrong("order", "`asc` or `desc`")),
            ("limit", text) => {
                let limit = text.parse().ok().filter(|it| (1..=PAGE_MAX).contains(it));
                page.limit = limit.ok_or_else(|| wrong("limit", "a number from 1 to 100"))?;
            }
            _ => {}
        }
    }
    Ok(page)
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}
