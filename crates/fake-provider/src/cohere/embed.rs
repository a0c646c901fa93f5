//! `POST /v2/embed`: vectors made from a hash of the text.

use serde_json::{Value, json};

use super::invalid;
use crate::ask::Refused;
use crate::demo::{Call, Demo, Fate, Reply};
use crate::lorem;
use crate::tokens;
use crate::tweak::Tweak;

/// Dimensions when the caller does not say.
const DIMENSIONS: u64 = 64;
const FIELDS: [&str; 10] = [
    "model",
    "input_type",
    "texts",
    "images",
    "inputs",
    "max_tokens",
    "output_dimension",
    "embedding_types",
    "truncate",
    "priority",
];
const INPUT_TYPES: [&str; 5] =
    ["search_document", "search_query", "classification", "clustering", "image"];

/// Answers an embed call.
pub(crate) fn embed(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    embed_or_refuse(demo, call, tweak).unwrap_or_else(|refused| super::error(&refused))
}

fn embed_or_refuse(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    super::authenticate(demo, call)?;
    let body = super::json_body(call)?;
    let named = super::required_model(&body)?;
    let model = demo.resolve(&named).ok_or_else(|| super::no_such_model(&named))?;
    let unknown = body.as_object().and_then(|m| m.keys().find(|k| !FIELDS.contains(&k.as_str())));
    if let Some(unknown) = unknown {
        return Err(invalid(format!("unknown field: {unknown}.")));
    }
    let kind = body.get("input_type").and_then(Value::as_str).unwrap_or_default();
    if !INPUT_TYPES.contains(&kind) {
        return Err(invalid("valid input_type must be provided with the provided model"));
    }
    let texts = texts(&body)?;
    let types = body.get("embedding_types").and_then(Value::as_array);
    if types.is_some_and(|types| types.iter().any(|it| it != "float")) {
        return Err(invalid("the fake makes embedding_types float only."));
    }
    let dimensions = match body.get("output_dimension") {
        None | Some(Value::Null) => DIMENSIONS,
        Some(v) => v
            .as_u64()
            .filter(|n| [256, 512, 1_024, 1_536].contains(n))
            .ok_or_else(|| invalid("output_dimension must be 256, 512, 1024 or 1536."))?,
    };
    if let Fate::Fail(refused) = demo.fate(model) {
        return Err(refused);
    }
    let vectors: Vec<Value> =
        texts.iter().map(|text| vector(lorem::hash(text.as_bytes()), dimensions)).collect();
    let counted = texts.iter().map(|text| tokens::count(text)).sum();
    let mut meta = json!({"api_version": {"version": "2"}});
    if !tweak.no_usage {
        let used = tweak.usage.input.unwrap_or(counted);
        meta["billed_units"] = json!({"input_tokens": used as f64});
    }
    let id = format!("{:016x}", lorem::hash(body.to_string().as_bytes()));
    let out = json!({"id": id, "embeddings": {"float": vectors}, "texts": texts, "meta": meta,
        "response_type": "embeddings_by_type"});
    let mut reply = super::ok(&out);
    reply.body = demo.whole(model, out.to_string().into_bytes(), tweak, false);
    Ok(reply)
}

fn texts(body: &Value) -> Result<Vec<String>, Refused> {
    let texts = body.get("texts").and_then(Value::as_array);
    let texts: Option<Vec<String>> = texts
        .filter(|texts| (1..=96).contains(&texts.len()))
        .and_then(|texts| texts.iter().map(|it| it.as_str().map(str::to_owned)).collect());
    texts.ok_or_else(|| invalid("total number of texts must be at least 1 and at most 96"))
}

fn vector(seed: u64, dimensions: u64) -> Value {
    let mut state = seed;
    (0..dimensions)
        .map(|_| {
            state = lorem::mix(state);
            json!(((state % 20_001) as f64 - 10_000.0) / 10_000.0)
        })
        .collect()
}
