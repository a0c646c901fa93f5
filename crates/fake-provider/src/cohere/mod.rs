//! Cohere's side: v2 chat and embed, v1 models, errors.
//!
//! Shapes are those of the vendor's Python SDK 7.3.1; what is refused is told by its API reference and by
//! <https://docs.cohere.com/reference/errors>.

mod check;
mod embed;
mod messages;
pub(crate) mod read;
mod write;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::ask::Refused;
use crate::demo::{Body, Call, Demo, Fate, Reply};
use crate::model;
use crate::tweak::Tweak;

pub(crate) use embed::embed;

/// `POST /v2/chat`.
pub(crate) fn chat(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    chat_or_refuse(demo, call, tweak).unwrap_or_else(|refused| error(&refused))
}

fn chat_or_refuse(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    authenticate(demo, call)?;
    let body = json_body(call)?;
    let named = required_model(&body)?;
    let model = demo.resolve(&named).ok_or_else(|| no_such_model(&named))?;
    if !tweak.lax {
        check::top(&body)?;
    }
    let mut ask = read::ask(&body)?;
    model.clone_into(&mut ask.model);
    let total = ask.input.total();
    if total > model::CONTEXT {
        let message = format!(
            "too many tokens: total number of tokens in the prompt cannot exceed {} - received {total}.",
            model::CONTEXT
        );
        return Err(Refused::new(400, message));
    }
    let cut = match demo.fate(model) {
        Fate::Fail(refused) => return Err(refused),
        Fate::Cut => true,
        Fate::Answer => false,
    };
    Ok(write::reply(demo, &ask, &body, tweak, cut))
}

/// `GET /v1/models` and `/v1/models/{id}`.
pub(crate) fn models(demo: &Demo, call: &Call<'_>, id: Option<&str>) -> Reply {
    if let Err(refused) = authenticate(demo, call) {
        return error(&refused);
    }
    let one = |id: &str| {
        json!({"name": id, "is_deprecated": false, "endpoints": ["chat"], "finetuned": false,
            "context_length": model::CONTEXT, "tokenizer_url": null, "default_endpoints": [], "features": null})
    };
    match id {
        None => {
            let models: Vec<Value> = model::MODELS.iter().map(|m| one(m)).collect();
            ok(&json!({"models": models}))
        }
        Some(id) if demo.resolve(id).is_some() => ok(&one(id)),
        Some(id) => error(&no_such_model(id)),
    }
}

fn authenticate(demo: &Demo, call: &Call<'_>) -> Result<(), Refused> {
    let presented = call.header("authorization").and_then(|v| v.strip_prefix("Bearer "));
    if demo.key_is_good(presented) {
        return Ok(());
    }
    Err(Refused::new(
        401,
        if presented.is_some() { "invalid api token" } else { "no api key supplied" },
    ))
}

fn json_body(call: &Call<'_>) -> Result<Value, Refused> {
    match serde_json::from_slice::<Value>(call.body) {
        Ok(v @ Value::Object(_)) => Ok(v),
        Ok(_) => Err(Refused::new(400, "invalid request: the body must be a JSON object.")),
        Err(e) => Err(Refused::new(400, format!("invalid json syntax: {e}"))),
    }
}

fn required_model(body: &Value) -> Result<String, Refused> {
    match body.get("model").and_then(Value::as_str) {
        Some(m) if !m.is_empty() => Ok(m.to_owned()),
        _ => Err(invalid("model is required.")),
    }
}

fn no_such_model(model: &str) -> Refused {
    Refused::new(
        404,
        format!("model '{model}' not found, make sure the correct model ID was used."),
    )
}

/// A 400 in the vendor's words.
fn invalid(what: impl std::fmt::Display) -> Refused {
    Refused::new(400, format!("invalid request: {what}"))
}

fn ok(body: &Value) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", "application/json".to_owned())],
        body: Body::Whole(Bytes::from(body.to_string())),
    }
}

/// An error answer: a message, and no more.
pub(crate) fn error(refused: &Refused) -> Reply {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    crate::openai::retry_headers(refused, &mut headers);
    let body = json!({"id": "00000000-0000-4000-8000-00000000fa4e", "message": refused.message});
    Reply { status: refused.status, headers, body: Body::Whole(Bytes::from(body.to_string())) }
}
