//! `POST /v1/embeddings`: unit vectors made from a hash of the text.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::ask::Refused;
use crate::demo::{Call, Demo, Fate, Reply};
use crate::lorem;
use crate::tokens;
use crate::tweak::Tweak;

/// Dimensions when the caller does not say.
const DIMENSIONS: u64 = 64;

/// Answers an embeddings call.
pub(crate) fn embeddings(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    embed(demo, call, tweak).unwrap_or_else(|refused| super::error(&refused))
}

fn embed(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    super::authenticate(demo, call)?;
    let body = super::json_body(call)?;
    let named = super::required_model(&body)?;
    let model = demo.resolve(&named).ok_or_else(|| super::no_such_model(&named))?;
    let known = ["model", "input", "dimensions", "encoding_format", "user"];
    if let Some(unknown) =
        body.as_object().and_then(|m| m.keys().find(|k| !known.contains(&k.as_str())))
    {
        return Err(Refused::new(
            400,
            format!("Unrecognized request argument supplied: {unknown}"),
        ));
    }
    let inputs = inputs(&body)?;
    let base64 = match body.get("encoding_format").and_then(Value::as_str) {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            return Err(Refused::field(
                "encoding_format",
                "Invalid value: supported values are 'float' and 'base64'.",
            ));
        }
    };
    let dims = match body.get("dimensions") {
        None | Some(Value::Null) => DIMENSIONS,
        Some(v) => v
            .as_u64()
            .filter(|n| (1..=4_096).contains(n))
            .ok_or_else(|| Refused::field("dimensions", "Invalid 'dimensions'."))?,
    };
    if let Fate::Fail(refused) = demo.fate(model) {
        return Err(refused);
    }
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, (seed, _))| json!({"object": "embedding", "index": index, "embedding": encode(&vector(*seed, dims), base64)}))
        .collect();
    let counted: u64 = inputs.iter().map(|(_, tokens)| tokens).sum();
    let used = tweak.usage.input.unwrap_or(counted);
    let mut out = json!({"object": "list", "data": data, "model": named});
    if !tweak.no_usage {
        out["usage"] = json!({"prompt_tokens": used, "total_tokens": used});
    }
    let mut reply = super::ok(&out);
    reply.body = demo.whole(model, out.to_string().into_bytes(), tweak, false);
    Ok(reply)
}

/// Each input as (hash, tokens): a string, a list of strings, a list of token ids, or a list of such lists.
fn inputs(body: &Value) -> Result<Vec<(u64, u64)>, Refused> {
    let bad = || {
        Refused::field(
            "input",
            "Invalid 'input': expected a string, an array of strings, or arrays of tokens, none of them empty.",
        )
    };
    let ids =
        |a: &[Value]| (!a.is_empty() && a.iter().all(Value::is_u64)).then_some(a.len() as u64);
    let of = |v: &Value| match v {
        Value::String(s) if !s.is_empty() => Some((lorem::hash(s.as_bytes()), tokens::count(s))),
        Value::Array(a) => Some((lorem::hash(v.to_string().as_bytes()), ids(a)?)),
        _ => None,
    };
    match body.get("input") {
        Some(v @ Value::String(_)) => Ok(vec![of(v).ok_or_else(bad)?]),
        Some(v @ Value::Array(a)) if ids(a).is_some() => Ok(vec![of(v).ok_or_else(bad)?]),
        Some(Value::Array(a)) if (1..=2_048).contains(&a.len()) => {
            a.iter().map(|v| of(v).ok_or_else(bad)).collect()
        }
        _ => Err(bad()),
    }
}

/// A unit vector made of a seed.
pub(crate) fn vector(seed: u64, dims: u64) -> Vec<f32> {
    let mut state = seed;
    let raw: Vec<f64> = (0..dims)
        .map(|_| {
            state = lorem::mix(state);
            (state % 20_001) as f64 - 10_000.0
        })
        .collect();
    let norm = raw.iter().map(|v| v * v).sum::<f64>().sqrt().max(1.0);
    raw.into_iter().map(|v| (v / norm) as f32).collect()
}

fn encode(vector: &[f32], base64: bool) -> Value {
    if !base64 {
        return json!(vector);
    }
    let bytes: Vec<u8> = vector.iter().flat_map(|f| f.to_le_bytes()).collect();
    Value::String(base64::engine::general_purpose::STANDARD.encode(bytes))
}
