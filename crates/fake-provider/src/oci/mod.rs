//! Oracle Cloud's side: the native chat and embeddings of its Generative AI, and its list of models, which stands at
//! another address there.
//!
//! Shapes are those of the vendor's Python SDK 2.189 (`generative_ai_inference/models/`, `generative_ai/models/`); events
//! of streams, which it does not type, are those that <https://github.com/oracle/langchain-oracle> reads; what is refused
//! is told by the SDK's types and by <https://docs.oracle.com/en-us/iaas/Content/API/References/apierrors.htm>.

mod check;
mod cohere;
mod embed;
mod first_cohere;
mod generic;
mod sign;
mod write;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::ask::{Ask, Refused};
use crate::demo::{Body, Call, Demo, Fate, Reply};
use crate::model;
use crate::tweak::Tweak;

pub use sign::OciUser;
pub(crate) use sign::late;

/// What the paths of this API begin with.
pub(crate) const ROOT: &str = "/20231130/";
/// Output tokens where a request sets no limit.
const OUTPUT: u64 = 20;

/// Which of its request formats a chat is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Generic,
    Cohere,
    FirstCohere,
}

/// Any call below [`ROOT`]; `rest` is the path that follows.
pub(crate) fn respond(demo: &Demo, call: &Call<'_>, rest: &str, tweak: &Tweak) -> Reply {
    let reply = match (call.method, rest) {
        ("POST", "actions/chat") => chat(demo, call, tweak),
        ("POST", "actions/embedText") => embed::embed(demo, call, tweak),
        ("GET", "models") => models(demo, call),
        _ => authenticate(demo, call).and_then(|()| Err(absent())),
    };
    let mut reply = reply.unwrap_or_else(|refused| error(&refused));
    let asked = call.header("opc-request-id").unwrap_or("FA4E");
    reply.headers.push(("opc-request-id", format!("{asked}/00000000FA4E/1")));
    reply
}

/// The model that a body names, and whether it wants a stream.
pub(crate) fn named(body: &Value) -> (&str, bool) {
    let text = |place: &str| body.pointer(place).and_then(Value::as_str);
    let model = text("/servingMode/modelId").or_else(|| text("/servingMode/endpointId"));
    let streams = body.pointer("/chatRequest/isStream") == Some(&Value::Bool(true));
    (model.unwrap_or_default(), streams)
}

fn chat(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    authenticate(demo, call)?;
    let body = json_body(call)?;
    let model = envelope(demo, &body, &["compartmentId", "servingMode", "chatRequest"])?;
    let asked = &body["chatRequest"];
    let (format, mut ask) = read(asked, model, tweak.lax)?;
    behaviour(demo, model).unwrap_or(model).clone_into(&mut ask.model);
    let total = ask.input.total();
    if total > model::CONTEXT {
        let most = model::CONTEXT;
        let message = format!("too many tokens: {total} in the prompt, and {most} are the most.");
        return Err(Refused::new(400, message));
    }
    let cut = match demo.fate(&ask.model) {
        Fate::Fail(refused) => return Err(refused),
        Fate::Cut => true,
        Fate::Answer => false,
    };
    Ok(write::reply(demo, &ask, format, &body, tweak, cut))
}

/// What is asked, in the format that it says it has.
fn read(asked: &Value, model: &str, lax: bool) -> Result<(Format, Ask), Refused> {
    let format = match asked.get("apiFormat").and_then(Value::as_str) {
        Some("GENERIC") => Format::Generic,
        Some("COHEREV2") => Format::Cohere,
        Some("COHERE") => Format::FirstCohere,
        _ => return Err(check::malformed("chatRequest.apiFormat is none that is known")),
    };
    let is_cohere = model.starts_with("cohere.");
    let other = is_cohere == (format == Format::Generic);
    let any = model.starts_with("ocid1.") || !model.contains('.');
    if other && !any {
        let message = "Chat request's apiFormat must match serving model's apiFormat";
        return Err(Refused::new(400, message));
    }
    let mut ask = match format {
        Format::Generic => generic::ask(asked, model, lax)?,
        Format::Cohere => cohere::ask(asked)?,
        Format::FirstCohere => first_cohere::ask(asked)?,
    };
    ask.max_output.get_or_insert(OUTPUT);
    Ok((format, ask))
}

/// The behaviour that a model stands for: names begin with the vendor's here, as in `cohere.echo`.
fn behaviour<'m>(demo: &'m Demo, model: &'m str) -> Option<&'m str> {
    let named = model.split_once('.').and_then(|(_, name)| demo.resolve(name));
    named.or_else(|| demo.resolve(model))
}

/// Checks what stands around a request, and gives the name of the model.
fn envelope<'b>(demo: &Demo, body: &'b Value, known: &[&str]) -> Result<&'b str, Refused> {
    check::members(body, known, "")?;
    let compartment = body.get("compartmentId").and_then(Value::as_str).unwrap_or_default();
    compartment_is_good(demo, compartment)?;
    let mode = &body["servingMode"];
    check::members(mode, &["servingType", "modelId", "endpointId"], "servingMode")?;
    let field = match mode["servingType"].as_str() {
        Some("ON_DEMAND") => "modelId",
        Some("DEDICATED") => "endpointId",
        _ => return Err(check::malformed("servingMode.servingType is none that is known")),
    };
    let named = mode.get(field).and_then(Value::as_str).filter(|it| !it.is_empty());
    let named = named.ok_or_else(|| check::malformed(format!("servingMode.{field} is absent")))?;
    if field == "endpointId" && !named.starts_with("ocid1.generativeaiendpoint.") {
        return Err(check::malformed("servingMode.endpointId is no endpoint's id"));
    }
    if field == "endpointId" || behaviour(demo, named).is_some() {
        return Ok(named);
    }
    Err(Refused::new(404, format!("Entity with key {named} not found")).code("404"))
}

fn compartment_is_good(demo: &Demo, compartment: &str) -> Result<(), Refused> {
    let known = ["ocid1.compartment.", "ocid1.tenancy."];
    if !known.iter().any(|start| compartment.starts_with(start)) {
        let message = "The compartmentId is absent, or no compartment's or tenancy's id";
        return Err(Refused::new(400, message).code("InvalidParameter"));
    }
    match &demo.options.oci_user {
        Some(user) if user.compartment != compartment => Err(absent()),
        _ => Ok(()),
    }
}

/// `GET /20231130/models?compartmentId=...`, of the service that manages models.
fn models(demo: &Demo, call: &Call<'_>) -> Result<Reply, Refused> {
    authenticate(demo, call)?;
    let query = call.path.split_once('?').map_or("", |(_, query)| query);
    let compartment = query.split('&').find_map(|it| it.strip_prefix("compartmentId="));
    // Who names none does not mean that service: where models are served, there is no such path.
    compartment_is_good(demo, compartment.ok_or_else(absent)?)?;
    let one = |name: &&str| {
        json!({"id": format!("ocid1.generativeaimodel.oc1.us-chicago-1.{name}"), "displayName": name,
            "vendor": "demo", "version": "1.0", "type": "BASE", "capabilities": ["CHAT"],
            "lifecycleState": "ACTIVE", "compartmentId": null, "isLongTermSupported": false,
            "timeCreated": "2026-09-21T10:00:00.000Z"})
    };
    let items: Vec<Value> = model::MODELS.iter().map(one).collect();
    Ok(ok(&json!({"items": items})))
}

/// A signature of the user that is configured; without one and without other keys, anybody.
fn authenticate(demo: &Demo, call: &Call<'_>) -> Result<(), Refused> {
    let good = match &demo.options.oci_user {
        Some(user) => user.signed(call),
        None => demo.options.keys.is_empty(),
    };
    if good { Ok(()) } else { Err(sign::unauthenticated()) }
}

fn json_body(call: &Call<'_>) -> Result<Value, Refused> {
    let kind = call.header("content-type").and_then(|it| it.split(';').next());
    if kind != Some("application/json") {
        return Err(Refused::new(415, "The content type must be application/json"));
    }
    serde_json::from_slice(call.body).map_err(|_| check::malformed("the body is not JSON"))
}

/// Not there, or not for this caller: which of the two is not told.
fn absent() -> Refused {
    let message = "Authorization failed or requested resource not found.";
    Refused::new(404, message).code("NotAuthorizedOrNotFound")
}

fn ok(body: &Value) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", "application/json".to_owned())],
        body: Body::Whole(Bytes::from(body.to_string())),
    }
}

fn error_json(refused: &Refused) -> Value {
    let code = refused.code.map_or_else(
        || match refused.status {
            401 => "NotAuthenticated".to_owned(),
            413 => "RequestEntityTooLarge".to_owned(),
            429 => "TooManyRequests".to_owned(),
            500 => "InternalServerError".to_owned(),
            503 => "ServiceUnavailable".to_owned(),
            other => other.to_string(),
        },
        str::to_owned,
    );
    json!({"code": code, "message": refused.message})
}

/// An error answer: a code, and a message.
pub(crate) fn error(refused: &Refused) -> Reply {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    crate::openai::retry_headers(refused, &mut headers);
    let body = error_json(refused).to_string();
    Reply { status: refused.status, headers, body: Body::Whole(Bytes::from(body)) }
}
