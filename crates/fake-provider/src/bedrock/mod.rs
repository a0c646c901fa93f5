//! Amazon Bedrock's side: Converse, ConverseStream, InvokeModel with Claude bodies, token counting; keys as bearers or as signatures.

mod blocks;
mod check;
pub(crate) mod frame;
mod read;
pub(crate) mod sign;
mod write;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::ask::Refused;
use crate::demo::{Body, Call, Demo, Fate, Reply};
use crate::model;
use crate::tweak::Tweak;

/// `POST /model/{id}/{action}`; `path` is what follows `/model/`.
pub(crate) fn call(demo: &Demo, call: &Call<'_>, path: &str, tweak: &Tweak) -> Reply {
    let Some((id, action)) = path.rsplit_once('/') else {
        return error(&Refused::new(404, "No such operation"));
    };
    let answer = || -> Result<Reply, Refused> {
        authenticate(demo, call)?;
        let named = decoded(id)?;
        match action {
            "converse" => converse(demo, call, &named, tweak, false),
            "converse-stream" => converse(demo, call, &named, tweak, true),
            "invoke" => invoke(demo, call, &named, tweak, false),
            "invoke-with-response-stream" => invoke(demo, call, &named, tweak, true),
            "count-tokens" => count_tokens(demo, call, &named, tweak),
            _ => Err(Refused::new(404, "No such operation")),
        }
    };
    answer().unwrap_or_else(|refused| error(&refused))
}

fn converse(
    demo: &Demo,
    call: &Call<'_>,
    named: &str,
    tweak: &Tweak,
    stream: bool,
) -> Result<Reply, Refused> {
    let body = json_body(call.body)?;
    let model = resolve(demo, named)?;
    if !tweak.lax {
        check::top(&body)?;
    }
    let mut ask = read::ask(&body, stream)?;
    model.clone_into(&mut ask.model);
    let total = ask.input.total();
    if total > model::CONTEXT {
        return Err(Refused::new(400, "Input is too long for requested model."));
    }
    let cut = match demo.fate(model) {
        Fate::Fail(refused) => return Err(refused),
        Fate::Cut => true,
        Fate::Answer => false,
    };
    Ok(write::reply(demo, &ask, &body, tweak, cut))
}

/// A body of the model's own: the fake models are Claude's here.
fn invoke(
    demo: &Demo,
    call: &Call<'_>,
    named: &str,
    tweak: &Tweak,
    stream: bool,
) -> Result<Reply, Refused> {
    let body = json_body(call.body)?;
    resolve(demo, named)?;
    crate::anthropic::invoke(demo, &body, named, tweak, stream)
}

fn count_tokens(
    demo: &Demo,
    call: &Call<'_>,
    named: &str,
    tweak: &Tweak,
) -> Result<Reply, Refused> {
    let body = json_body(call.body)?;
    let model = resolve(demo, named)?;
    if let Some(encoded) = body.pointer("/input/invokeModel/body") {
        let tokens = crate::anthropic::counted(demo, encoded, named, tweak)?;
        return Ok(ok(&json!({"inputTokens": tokens})));
    }
    let Some(inner) = body.pointer("/input/converse").filter(|inner| inner.is_object()) else {
        return Err(check::bad("The input must hold a request to Converse or InvokeModel."));
    };
    check::top(inner)?;
    if let Fate::Fail(refused) = demo.fate(model) {
        return Err(refused);
    }
    let total = read::ask(inner, false)?.input.total();
    Ok(ok(&json!({"inputTokens": tweak.usage.input.unwrap_or(total)})))
}

fn resolve<'m>(demo: &'m Demo, named: &'m str) -> Result<&'m str, Refused> {
    demo.resolve(named)
        .ok_or_else(|| Refused::new(400, "The provided model identifier is invalid."))
}

/// A bearer, or a signature of the pair that is configured as `ID:SECRET`.
fn authenticate(demo: &Demo, call: &Call<'_>) -> Result<(), Refused> {
    let bearer = call.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    if demo.key_is_good(bearer) || sign::is_good(call, &demo.options.keys, "bedrock") {
        return Ok(());
    }
    let message = "The security token included in the request is invalid.";
    Err(Refused::new(403, message).code("UnrecognizedClientException"))
}

fn decoded(id: &str) -> Result<String, Refused> {
    let mut parts = id.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        let byte = u8::from_str_radix(code, 16).ok().filter(u8::is_ascii);
        let byte = byte.ok_or_else(|| check::bad("The model identifier can't be decoded."))?;
        out.push(char::from(byte));
        out.push_str(rest);
    }
    Ok(out)
}

fn json_body(body: &[u8]) -> Result<Value, Refused> {
    match serde_json::from_slice::<Value>(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => {
            Err(Refused::new(400, "The body is not a JSON object.").code("SerializationException"))
        }
    }
}

fn ok(body: &Value) -> Reply {
    Reply {
        status: 200,
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("x-amzn-requestid", "fake-request".to_owned()),
        ],
        body: Body::Whole(Bytes::from(body.to_string())),
    }
}

/// An error answer: its name in a header, its words in the body.
pub(crate) fn error(refused: &Refused) -> Reply {
    let name = refused.code.unwrap_or(match refused.status {
        402 => "ServiceQuotaExceededException",
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 => "ModelTimeoutException",
        424 => "ModelErrorException",
        429 => "ThrottlingException",
        503 | 529 => "ServiceUnavailableException",
        500.. => "InternalServerException",
        _ => "ValidationException",
    });
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-amzn-errortype", name.to_owned()),
        ("x-amzn-requestid", "fake-request".to_owned()),
    ];
    crate::openai::retry_headers(refused, &mut headers);
    let body = json!({"message": refused.message});
    Reply { status: refused.status, headers, body: Body::Whole(Bytes::from(body.to_string())) }
}
