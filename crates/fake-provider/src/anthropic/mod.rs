//! Anthropic's side: messages, token counting, models, errors; API versions 2023-06-01 and 2026-10-21.

mod blocks;
mod check;
mod clouds;
mod read;
mod write;

pub(crate) use blocks::signature;
pub(crate) use clouds::{counted, invoke, vertex};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::ask::Refused;
use crate::demo::{Body, Call, Demo, Fate, Reply};
use crate::model;
use crate::tweak::Tweak;

/// The API version a caller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V2023,
    V2026,
}

/// `POST /v1/messages`.
pub(crate) fn messages(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    messages_or_refuse(demo, call, tweak).unwrap_or_else(|refused| error(&refused))
}

fn messages_or_refuse(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    authenticate(demo, call)?;
    let version = version(call)?;
    let body = json_body(call)?;
    let named = required_model(&body)?;
    answer(demo, &body, version, call.header("anthropic-beta").is_some(), &named, tweak)
}

/// The answer to a body, wherever its model and its version were said. `beta`: some were asked for.
fn answer(
    demo: &Demo,
    body: &Value,
    version: Version,
    beta: bool,
    named: &str,
    tweak: &Tweak,
) -> Result<Reply, Refused> {
    if !tweak.lax {
        check::top(body, version, beta, true)?;
    }
    let model = demo.resolve(named).ok_or_else(|| Refused::new(404, format!("model: {named}")))?;
    let mut ask = read::ask(body, version)?;
    model.clone_into(&mut ask.model);
    let total = ask.input.total();
    if total > model::CONTEXT {
        return Err(Refused::new(
            400,
            format!("prompt is too long: {total} tokens > {} maximum", model::CONTEXT),
        ));
    }
    let cut = match demo.fate(model) {
        Fate::Fail(refused) => return Err(refused),
        Fate::Cut => true,
        Fate::Answer => false,
    };
    Ok(write::reply(demo, &ask, body, named, tweak, cut))
}

/// `POST /v1/messages/count_tokens`.
pub(crate) fn count_tokens(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    let answer = || -> Result<Reply, Refused> {
        authenticate(demo, call)?;
        let version = version(call)?;
        let body = json_body(call)?;
        let named = required_model(&body)?;
        let beta = call.header("anthropic-beta").is_some();
        let tokens = count(demo, &body, version, beta, &named, tweak)?;
        Ok(ok(&json!({"input_tokens": tokens})))
    };
    answer().unwrap_or_else(|refused| error(&refused))
}

fn count(
    demo: &Demo,
    body: &Value,
    version: Version,
    beta: bool,
    named: &str,
    tweak: &Tweak,
) -> Result<u64, Refused> {
    check::top(body, version, beta, false)?;
    let model = demo.resolve(named).ok_or_else(|| Refused::new(404, format!("model: {named}")))?;
    if let Fate::Fail(refused) = demo.fate(model) {
        return Err(refused);
    }
    let total = read::ask(body, version)?.input.total();
    Ok(tweak.usage.input.unwrap_or(total))
}

/// `GET /v1/models` and `/v1/models/{id}`.
pub(crate) fn models(demo: &Demo, call: &Call<'_>, id: Option<&str>) -> Reply {
    if let Err(refused) = authenticate(demo, call).and_then(|()| version(call).map(drop)) {
        return error(&refused);
    }
    let one = |id: &str| {
        json!({"type": "model", "id": id, "display_name": format!("Demo {id}"), "created_at": "2026-09-21T00:00:00Z",
            "lifecycle": "active", "line": null, "max_input_tokens": 200_000, "max_tokens": 64_000, "capabilities": null,
            "deprecated_at": null, "retires_at": null})
    };
    match id {
        None => {
            let data: Vec<Value> = model::MODELS.iter().map(|m| one(m)).collect();
            ok(
                &json!({"data": data, "has_more": false, "first_id": model::MODELS.first(), "last_id": model::MODELS.last()}),
            )
        }
        Some(id) if demo.resolve(id).is_some() => ok(&one(id)),
        Some(id) => error(&Refused::new(404, format!("model: {id}"))),
    }
}

/// Either header is right in both versions: new SDKs send a bearer, old ones `x-api-key`. On AWS a signature will do,
/// which is for one of two services, by the path.
pub(crate) fn authenticate(demo: &Demo, call: &Call<'_>) -> Result<(), Refused> {
    let service = if call.path.starts_with("/anthropic/") {
        "bedrock-mantle"
    } else {
        "aws-external-anthropic"
    };
    if crate::bedrock::sign::is_good(call, &demo.options.keys, service) {
        let in_workspace =
            service == "bedrock-mantle" || call.header("anthropic-workspace-id").is_some();
        let missing = || Refused::new(400, "anthropic-workspace-id: header is required");
        return in_workspace.then_some(()).ok_or_else(missing);
    }
    let bearer = call.header("authorization").and_then(|v| v.strip_prefix("Bearer "));
    let presented = call.header("x-api-key").or(bearer);
    if demo.key_is_good(presented) {
        return Ok(());
    }
    Err(Refused::new(
        401,
        if presented.is_some() { "invalid x-api-key" } else { "x-api-key header is required" },
    ))
}

pub(crate) fn version(call: &Call<'_>) -> Result<Version, Refused> {
    match call.header("anthropic-version") {
        Some("2023-06-01") => Ok(Version::V2023),
        Some("2026-10-21") => Ok(Version::V2026),
        Some(other) => {
            Err(Refused::new(400, format!("anthropic-version: \"{other}\" is not a valid version")))
        }
        None => Err(Refused::new(400, "anthropic-version: header is required")),
    }
}

pub(crate) fn json_body(call: &Call<'_>) -> Result<Value, Refused> {
    match serde_json::from_slice::<Value>(call.body) {
        Ok(v @ Value::Object(_)) => Ok(v),
        Ok(_) => Err(Refused::new(400, "The request body must be a JSON object")),
        Err(e) => Err(Refused::new(400, format!("The request body is not valid JSON: {e}"))),
    }
}

fn required_model(body: &Value) -> Result<String, Refused> {
    match body.get("model").and_then(Value::as_str) {
        Some(m) if !m.is_empty() => Ok(m.to_owned()),
        _ => Err(Refused::new(400, "model: Field required")),
    }
}

pub(crate) fn ok(body: &Value) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", "application/json".to_owned())],
        body: Body::Whole(Bytes::from(body.to_string())),
    }
}

/// The error object of Anthropic.
pub(crate) fn error_json(refused: &Refused) -> Value {
    let kind = match refused.status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 | 503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": refused.message}, "request_id": "req_fake"})
}

/// An error answer.
pub(crate) fn error(refused: &Refused) -> Reply {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    crate::openai::retry_headers(refused, &mut headers);
    Reply {
        status: refused.status,
        headers,
        body: Body::Whole(Bytes::from(error_json(refused).to_string())),
    }
}
