//! Claude as the clouds sell it: bodies that hold the version and not the model, streams as Bedrock frames them, Vertex's
//! paths. Source: AWS's and Google's references for Claude, and what Anthropic's Python SDK 2.12 sends to either.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Version, answer, authenticate, count, error, ok};
use crate::ask::Refused;
use crate::bedrock::frame;
use crate::demo::{Body, Call, Demo, Part, Reply};
use crate::tweak::Tweak;

/// InvokeModel, whole or streamed. Errors are Bedrock's.
pub(crate) fn invoke(
    demo: &Demo,
    body: &Value,
    named: &str,
    tweak: &Tweak,
    stream: bool,
) -> Result<Reply, Refused> {
    let (body, version, beta) = bedrock_body(body, stream)?;
    let reply = answer(demo, &body, version, beta, named, tweak)?;
    Ok(if stream { framed(reply) } else { reply })
}

/// The tokens of a body within a request to count them.
pub(crate) fn counted(
    demo: &Demo,
    encoded: &Value,
    named: &str,
    tweak: &Tweak,
) -> Result<u64, Refused> {
    let bad = || Refused::new(400, "input.invokeModel.body: not a base64 encoded JSON object");
    let bytes = STANDARD.decode(encoded.as_str().ok_or_else(bad)?).map_err(|_| bad())?;
    let body: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    if body.get("max_tokens").is_none() {
        return Err(Refused::new(400, "max_tokens: Field required"));
    }
    let (body, version, beta) = bedrock_body(&body, false)?;
    count(demo, &body, version, beta, named, tweak)
}

/// A body as Anthropic itself would take it, but for the model.
fn bedrock_body(body: &Value, stream: bool) -> Result<(Value, Version, bool), Refused> {
    let mut map = object(body)?.clone();
    for name in ["model", "stream"] {
        if map.contains_key(name) {
            let message =
                format!("Malformed input request: extraneous key [{name}] is not permitted");
            return Err(Refused::new(400, message));
        }
    }
    let version = match version(&mut map)?.as_str() {
        "bedrock-2023-05-31" => Version::V2023,
        "2026-10-21" => Version::V2026,
        other => return Err(no_version(other)),
    };
    let beta = match map.remove("anthropic_beta") {
        None => false,
        Some(Value::Array(names)) if names.iter().all(Value::is_string) => !names.is_empty(),
        Some(_) => return Err(Refused::new(400, "anthropic_beta: Input should be a valid list")),
    };
    if stream {
        map.insert("stream".to_owned(), json!(true));
    }
    Ok((Value::Object(map), version, beta))
}

/// `.../publishers/anthropic/models/{model}:{verb}`; `rest` is what follows `models/`.
pub(crate) fn vertex(demo: &Demo, call: &Call<'_>, rest: &str, tweak: &Tweak) -> Reply {
    let serve = || -> Result<Reply, Refused> {
        authenticate(demo, call)?;
        let (model, verb) = rest.rsplit_once(':').ok_or_else(|| Refused::new(404, "Not found"))?;
        let stream = match verb {
            "rawPredict" => false,
            "streamRawPredict" => true,
            _ => return Err(Refused::new(404, "Not found")),
        };
        let parsed = serde_json::from_slice::<Value>(call.body).unwrap_or_default();
        let mut map = object(&parsed)?.clone();
        let version = match version(&mut map)?.as_str() {
            "vertex-2023-10-16" => Version::V2023,
            "2026-10-21" => Version::V2026,
            other => return Err(no_version(other)),
        };
        let beta = call.header("anthropic-beta").is_some();
        if model == "count-tokens" {
            let body = Value::Object(map);
            let named = super::required_model(&body)?;
            let tokens = count(demo, &body, version, beta, &named, tweak)?;
            return Ok(ok(&json!({"input_tokens": tokens})));
        }
        if map.contains_key("model") {
            return Err(Refused::new(400, "model: Extra inputs are not permitted"));
        }
        if (map.get("stream") == Some(&Value::Bool(true))) != stream {
            return Err(Refused::new(400, "stream: not what the path says"));
        }
        // A slash within a name comes encoded.
        answer(demo, &Value::Object(map), version, beta, &model.replace("%2F", "/"), tweak)
    };
    serve().unwrap_or_else(|refused| error(&refused))
}

fn object(body: &Value) -> Result<&Map<String, Value>, Refused> {
    body.as_object().ok_or_else(|| Refused::new(400, "The request body must be a JSON object"))
}

fn version(map: &mut Map<String, Value>) -> Result<String, Refused> {
    match map.remove("anthropic_version") {
        Some(Value::String(version)) => Ok(version),
        _ => Err(Refused::new(400, "anthropic_version: Field required")),
    }
}

fn no_version(version: &str) -> Refused {
    Refused::new(400, format!("anthropic_version: \"{version}\" is not a valid version"))
}

/// Each event as a frame of its own; an error as an exception, after which nothing comes.
fn framed(reply: Reply) -> Reply {
    let Body::Timed { parts, cut } = reply.body else { return reply };
    let parts = parts.into_iter().map(|part| Part { bytes: one(&part.bytes), ..part }).collect();
    Reply {
        headers: vec![
            ("content-type", "application/vnd.amazon.eventstream".to_owned()),
            ("x-amzn-bedrock-content-type", "application/json".to_owned()),
            ("x-amzn-requestid", "fake-request".to_owned()),
        ],
        body: Body::Timed { parts, cut },
        ..reply
    }
}

fn one(event: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(event);
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default();
    if text.starts_with("event: error") {
        let error: Value = serde_json::from_str(data).unwrap_or_default();
        let message = error.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
        return frame::exception("serviceUnavailableException", message);
    }
    frame::event("chunk", &json!({"bytes": STANDARD.encode(data)}))
}
