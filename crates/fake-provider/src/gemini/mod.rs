//! Google's side: generateContent whole and streamed, token counting, embeddings, models, errors; `/v1`, `/v1beta` and
//! the paths of Vertex AI. The models behave as the third generation does: they think by level, and they refuse a call
//! in the current turn whose signature is missing or not theirs.

mod check;
mod contents;
mod embeddings;
mod read;
mod write;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::ask::Refused;
use crate::demo::{Body, Call, Demo, Fate, Reply};
use crate::model;
use crate::tweak::Tweak;

/// What stands in a path: the model, and what is asked of it.
struct Place<'a> {
    model: &'a str,
    verb: &'a str,
}

/// Whether a call is meant for this side: by its path, or by the key it bears where others serve the path too.
pub(crate) fn is_meant(call: &Call<'_>) -> bool {
    let path = path(call);
    let listed = path == "/v1/models" || path.starts_with("/v1/models/");
    path.starts_with("/v1beta")
        || place(path).is_some()
        || call.method == "GET" && listed && key(call).is_some()
}

/// The model that a path names; none in paths of others.
pub(crate) fn model_of(path: &str) -> Option<(&str, bool)> {
    let place = place(path.split('?').next().unwrap_or(path))?;
    Some((place.model, place.verb == "streamGenerateContent"))
}

/// Answers a call.
pub(crate) fn respond(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    respond_or_refuse(demo, call, tweak).unwrap_or_else(|refused| refuse(call, &refused))
}

/// An error answer to a call. A stream that was to be an array brings its error in one.
pub(crate) fn refuse(call: &Call<'_>, refused: &Refused) -> Reply {
    let in_array = place(path(call)).is_some_and(|it| it.verb == "streamGenerateContent")
        && query(call, "alt") != Some("sse");
    error(refused, in_array)
}

fn respond_or_refuse(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    authenticate(demo, call)?;
    let path = path(call);
    if call.method == "GET" {
        let id = path.split_once("/models").map(|(_, id)| id.trim_start_matches('/'));
        return match id {
            Some("") => Ok(ok(&list())),
            Some(id) if demo.resolve(id).is_some() => Ok(ok(&one(id))),
            Some(id) => Err(no_such_model(id)),
            None => Err(Refused::new(404, "Not found")),
        };
    }
    let place = place(path).ok_or_else(|| Refused::new(404, "Not found"))?;
    let body = json_body(call)?;
    let model = demo.resolve(place.model).ok_or_else(|| no_such_model(place.model))?;
    match place.verb {
        "generateContent" | "streamGenerateContent" => {
            generate(demo, call, &place, model, &body, tweak)
        }
        "countTokens" => count_tokens(demo, model, &body, tweak),
        "embedContent" | "batchEmbedContents" => {
            embeddings::embed(demo, place.model, model, place.verb, &body, tweak)
        }
        _ => Err(Refused::new(404, "Not found")),
    }
}

fn generate(
    demo: &Demo,
    call: &Call<'_>,
    place: &Place<'_>,
    model: &str,
    body: &Map<String, Value>,
    tweak: &Tweak,
) -> Result<Reply, Refused> {
    if !tweak.lax {
        check::top(body)?;
    }
    let mut ask = read::ask(body)?;
    model.clone_into(&mut ask.model);
    ask.stream = place.verb == "streamGenerateContent";
    let total = ask.input.total();
    if total > model::CONTEXT {
        return Err(Refused::new(
            400,
            format!(
                "The input token count ({total}) exceeds the maximum number of tokens allowed ({}).",
                model::CONTEXT
            ),
        ));
    }
    let cut = match demo.fate(model) {
        Fate::Fail(refused) => return Err(refused),
        Fate::Cut => true,
        Fate::Answer => false,
    };
    let form = match query(call, "alt") {
        Some("sse") => write::Form::Events,
        _ => write::Form::Array,
    };
    let shown = read::shows_thoughts(body);
    Ok(write::reply(demo, &ask, place.model, (form, shown), tweak, cut))
}

fn count_tokens(
    demo: &Demo,
    model: &str,
    body: &Map<String, Value>,
    tweak: &Tweak,
) -> Result<Reply, Refused> {
    if let Fate::Fail(refused) = demo.fate(model) {
        return Err(refused);
    }
    let whole = check::field(body, "generateContentRequest").and_then(Value::as_object);
    let total = read::ask(whole.unwrap_or(body))?.input.total();
    Ok(ok(&json!({"totalTokens": tweak.usage.input.unwrap_or(total)})))
}

fn path<'a>(call: &Call<'a>) -> &'a str {
    call.path.split('?').next().unwrap_or(call.path)
}

/// `/v1beta/models/{model}:{verb}`, or the same below a project and its publisher.
fn place(path: &str) -> Option<Place<'_>> {
    let rest = ["/v1beta1/", "/v1beta/", "/v1/"].iter().find_map(|it| path.strip_prefix(it))?;
    let rest = match rest.strip_prefix("models/") {
        Some(rest) => rest,
        None => rest.split_once("publishers/google/models/")?.1,
    };
    let (model, verb) = rest.rsplit_once(':')?;
    (!model.is_empty()).then_some(Place { model, verb })
}

fn query<'a>(call: &Call<'a>, name: &str) -> Option<&'a str> {
    let (_, query) = call.path.split_once('?')?;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|it| it.1)
}

fn key<'a>(call: &Call<'a>) -> Option<&'a str> {
    call.header("x-goog-api-key").or_else(|| query(call, "key"))
}

/// A key that is not valid is a bad argument here; none at all is a caller who is not registered.
fn authenticate(demo: &Demo, call: &Call<'_>) -> Result<(), Refused> {
    let bearer = call.header("authorization").and_then(|v| v.strip_prefix("Bearer "));
    // Vertex AI takes an OAuth token; the Gemini API a key of its own alone.
    let vertex = path(call).contains("/publishers/");
    let presented = key(call).or(bearer.filter(|_| vertex));
    if demo.key_is_good(presented) {
        return Ok(());
    }
    if presented.is_some() {
        return Err(Refused::new(400, "API key not valid. Please pass a valid API key.")
            .code("API_KEY_INVALID"));
    }
    Err(Refused::new(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
    ))
}

fn json_body(call: &Call<'_>) -> Result<Map<String, Value>, Refused> {
    match serde_json::from_slice::<Value>(call.body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => {
            Err(Refused::new(400, "Invalid JSON payload received. The root must be an object."))
        }
        Err(e) => Err(Refused::new(400, format!("Invalid JSON payload received. {e}"))),
    }
}

fn no_such_model(model: &str) -> Refused {
    Refused::new(
        404,
        format!(
            "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods."
        ),
    )
}

fn list() -> Value {
    json!({"models": model::MODELS.iter().map(|id| one(id)).collect::<Vec<_>>()})
}

fn one(id: &str) -> Value {
    json!({"name": format!("models/{id}"), "version": "001", "displayName": format!("Demo {id}"),
        "inputTokenLimit": model::CONTEXT, "outputTokenLimit": 64_000,
        "supportedGenerationMethods": ["generateContent", "countTokens"], "thinking": true})
}

fn ok(body: &Value) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", "application/json; charset=UTF-8".to_owned())],
        body: Body::Whole(Bytes::from(body.to_string())),
    }
}

/// The error object of Google.
fn error_json(refused: &Refused) -> Value {
    let status = match refused.status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "FAILED_PRECONDITION",
    };
    let mut error = json!({"code": refused.status, "message": refused.message, "status": status});
    let mut details = Vec::new();
    if let Some(reason) = refused.code {
        details.push(json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
            "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"}}));
    }
    if let Some(ms) = refused.retry_after_ms {
        let delay = format!("{}.{:03}s", ms / 1_000, ms % 1_000);
        details.push(
            json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}),
        );
    }
    if !details.is_empty() {
        error["details"] = Value::Array(details);
    }
    json!({"error": error})
}

/// An error answer. When to come back is in its details and in no header.
fn error(refused: &Refused, in_array: bool) -> Reply {
    let mut body = error_json(refused);
    if in_array {
        body = json!([body]);
    }
    Reply {
        status: refused.status,
        headers: vec![("content-type", "application/json; charset=UTF-8".to_owned())],
        body: Body::Whole(Bytes::from(body.to_string())),
    }
}
