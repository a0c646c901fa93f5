//! OpenAI's side: chat completions, embeddings, models, errors.

pub(crate) mod check;
mod embeddings;
pub(crate) mod hosts;
mod messages;
pub(crate) mod read;
pub(crate) mod write;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::ask::Refused;
use crate::demo::{Call, Demo, Fate, Reply};
use crate::model;
use crate::tweak::Tweak;

pub(crate) use embeddings::{embeddings, vector};
pub(crate) use messages::image;

/// `POST /v1/chat/completions`.
pub(crate) fn chat(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    match admitted(demo, call, tweak) {
        Ok(Ok(body)) => chat_or_refuse(demo, &body, tweak).unwrap_or_else(|it| error(&it)),
        Ok(Err(refusal)) => refusal,
        Err(refused) => error(&refused),
    }
}

/// The body, as OpenAI would take it; or else the refusal of the host that this one is as.
fn admitted(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Result<Value, Reply>, Refused> {
    authenticate(demo, call)?;
    let body = json_body(call)?;
    Ok(match tweak.host {
        Some(host) => host.admit(&body),
        None => Ok(body),
    })
}

fn chat_or_refuse(demo: &Demo, body: &Value, tweak: &Tweak) -> Result<Reply, Refused> {
    let named = required_model(body)?;
    let model = demo.resolve(&named).ok_or_else(|| no_such_model(&named))?;
    if !tweak.lax {
        check::top(body)?;
    }
    let mut ask = read::ask(body)?;
    model.clone_into(&mut ask.model);
    let total = ask.input.total();
    if total > model::CONTEXT {
        let message = format!(
            "This model's maximum context length is {} tokens. However, your messages resulted in {total} tokens.",
            model::CONTEXT
        );
        return Err(Refused::field("messages", message).code("context_length_exceeded"));
    }
    let cut = match demo.fate(model) {
        Fate::Fail(refused) => return Err(refused),
        Fate::Cut => true,
        Fate::Answer => false,
    };
    Ok(write::reply(demo, &ask, body, &named, tweak, cut))
}

/// `GET /v1/models` and `/v1/models/{id}`.
pub(crate) fn models(demo: &Demo, call: &Call<'_>, id: Option<&str>) -> Reply {
    if let Err(refused) = authenticate(demo, call) {
        return error(&refused);
    }
    let one =
        |id: &str| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "demo"});
    match id {
        None => {
            let data: Vec<Value> = model::MODELS.iter().map(|m| one(m)).collect();
            ok(&json!({"object": "list", "data": data}))
        }
        Some(id) if demo.resolve(id).is_some() => ok(&one(id)),
        Some(id) => error(&no_such_model(id)),
    }
}

/// When everything was made: the fake reads no clock.
pub(crate) const CREATED: u64 = 1_790_000_000;

pub(crate) fn authenticate(demo: &Demo, call: &Call<'_>) -> Result<(), Refused> {
    let presented = call.header("authorization").and_then(|v| v.strip_prefix("Bearer "));
    if demo.key_is_good(presented) {
        return Ok(());
    }
    let message = match presented {
        Some(_) => "Incorrect API key provided.",
        None => "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'.",
    };
    Err(Refused::new(401, message).code("invalid_api_key"))
}

pub(crate) fn json_body(call: &Call<'_>) -> Result<Value, Refused> {
    let is_json = call
        .header("content-type")
        .is_some_and(|t| t.split(';').next().is_some_and(|t| t.trim() == "application/json"));
    if !is_json {
        return Err(Refused::new(
            415,
            "Unsupported Media Type: the body must be application/json.",
        ));
    }
    match serde_json::from_slice::<Value>(call.body) {
        Ok(v @ Value::Object(_)) => Ok(v),
        Ok(_) => Err(Refused::new(400, "The body must be a JSON object.")),
        Err(e) => {
            Err(Refused::new(400, format!("We could not parse the JSON body of your request: {e}")))
        }
    }
}

pub(crate) fn required_model(body: &Value) -> Result<String, Refused> {
    match body.get("model").and_then(Value::as_str) {
        Some(m) if !m.is_empty() => Ok(m.to_owned()),
        _ => Err(Refused::field("model", "you must provide a model parameter")),
    }
}

pub(crate) fn no_such_model(model: &str) -> Refused {
    Refused {
        param: Some("model".to_owned()),
        ..Refused::new(
            404,
            format!("The model `{model}` does not exist or you do not have access to it."),
        )
    }
    .code("model_not_found")
}

pub(crate) fn ok(body: &Value) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", "application/json".to_owned())],
        body: crate::demo::Body::Whole(Bytes::from(body.to_string())),
    }
}

/// The error object of OpenAI.
pub(crate) fn error_json(refused: &Refused) -> Value {
    let kind = match refused.status {
        401 | 400 | 404 | 409 | 413 | 415 | 422 => "invalid_request_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        402 => "insufficient_quota",
        _ => "server_error",
    };
    let code = refused.code.or(match refused.status {
        429 => Some("rate_limit_exceeded"),
        402 => Some("insufficient_quota"),
        500.. => Some("server_error"),
        _ => None,
    });
    json!({"error": {"message": refused.message, "type": kind, "param": refused.param, "code": code}})
}

/// An error answer.
pub(crate) fn error(refused: &Refused) -> Reply {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    retry_headers(refused, &mut headers);
    Reply {
        status: refused.status,
        headers,
        body: crate::demo::Body::Whole(Bytes::from(error_json(refused).to_string())),
    }
}

/// `retry-after-ms` and, in whole seconds, `retry-after`.
pub(crate) fn retry_headers(refused: &Refused, headers: &mut Vec<(&'static str, String)>) {
    if let Some(ms) = refused.retry_after_ms {
        headers.push(("retry-after-ms", ms.to_string()));
        headers.push(("retry-after", ms.div_ceil(1_000).to_string()));
    }
}
