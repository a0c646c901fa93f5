//! `POST /20231130/actions/embedText`: vectors made from a hash of the text.

use serde_json::{Value, json};

use super::check::{self, malformed};
use crate::ask::Refused;
use crate::demo::{Call, Demo, Fate, Reply};
use crate::lorem;
use crate::openai::vector;
use crate::tokens;
use crate::tweak::Tweak;

/// Dimensions when the caller does not say.
const DIMENSIONS: u64 = 64;
const FIELDS: [&str; 9] = [
    "inputs",
    "embedContents",
    "servingMode",
    "compartmentId",
    "isEcho",
    "embeddingTypes",
    "outputDimensions",
    "truncate",
    "inputType",
];
const INPUT_TYPES: [&str; 5] =
    ["SEARCH_DOCUMENT", "SEARCH_QUERY", "CLASSIFICATION", "CLUSTERING", "IMAGE"];

pub(super) fn embed(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    super::authenticate(demo, call)?;
    let body = super::json_body(call)?;
    let named = super::envelope(demo, &body, &FIELDS)?;
    check::one_of(&body, "inputType", &INPUT_TYPES)?;
    check::one_of(&body, "truncate", &["NONE", "START", "END"])?;
    check::flags(&body, &["isEcho"])?;
    check::strings(&body, "inputs", 96)?;
    let types = check::present(&body, "embeddingTypes").and_then(Value::as_array);
    if types.is_some_and(|types| types.iter().any(|it| it != "float")) {
        return Err(malformed("the fake makes embeddingTypes float only"));
    }
    let dimensions = match check::present(&body, "outputDimensions").map(Value::as_u64) {
        None => DIMENSIONS,
        Some(Some(some @ (256 | 512 | 1_024 | 1_536))) => some,
        Some(_) => {
            let message = "outputDimensions must be one of 256, 512, 1024, 1536";
            return Err(Refused::new(400, message));
        }
    };
    let inputs = inputs(&body)?;
    if let Fate::Fail(refused) = demo.fate(super::behaviour(demo, named).unwrap_or(named)) {
        return Err(refused);
    }
    let made = inputs.iter().map(|it| vector(lorem::hash(it.as_bytes()), dimensions));
    let id = format!("{:016x}", lorem::hash(body.to_string().as_bytes()));
    let mut out = json!({"id": id, "embeddings": made.collect::<Vec<_>>(), "modelId": named,
        "modelVersion": "1.0"});
    if body["isEcho"] == true {
        out["inputs"] = json!(inputs);
    }
    if !tweak.no_usage {
        let counted = inputs.iter().map(|it| tokens::count(it)).sum();
        let used: u64 = tweak.usage.input.unwrap_or(counted);
        out["usage"] = json!({"promptTokens": used, "completionTokens": 0, "totalTokens": used});
    }
    let mut reply = super::ok(&out);
    reply.body = demo.whole(named, out.to_string().into_bytes(), tweak, false);
    Ok(reply)
}

/// Texts, or texts and images one by one; none of them empty.
fn inputs(body: &Value) -> Result<Vec<&str>, Refused> {
    let list = |name: &str| check::present(body, name).and_then(Value::as_array);
    let said: Vec<&str> = match (list("inputs"), list("embedContents")) {
        (Some(texts), None) => texts.iter().filter_map(Value::as_str).collect(),
        (None, Some(contents)) => contents.iter().map(content).collect::<Result<_, _>>()?,
        _ => return Err(malformed("one of inputs and embedContents must be given")),
    };
    if said.is_empty() || said.contains(&"") {
        return Err(malformed("there must be inputs, none of them empty"));
    }
    Ok(said)
}

fn content(content: &Value) -> Result<&str, Refused> {
    let place = "embedContents";
    if content["type"] == "IMAGE" {
        check::members(content, &["type", "imageUrl"], place)?;
        let url = check::text(&content["imageUrl"], "url", place)?;
        crate::openai::image(url).map_err(malformed)?;
        return Ok(url);
    }
    check::members(content, &["type", "text"], place)?;
    check::text(content, "text", place)
}
