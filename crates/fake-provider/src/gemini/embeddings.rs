//! `:embedContent` and `:batchEmbedContents`: unit vectors made from a hash of the text.

use serde_json::{Map, Value, json};

use super::check::{bad, field, items, known, object, text};
use crate::ask::Refused;
use crate::demo::{Demo, Fate, Reply};
use crate::lorem;
use crate::openai::vector;
use crate::tweak::Tweak;

/// Dimensions when the caller does not say.
const DIMENSIONS: u64 = 64;

const FIELDS: [&str; 6] =
    ["model", "content", "taskType", "title", "outputDimensionality", "embedContentConfig"];

pub(super) fn embed(
    demo: &Demo,
    named: &str,
    model: &str,
    verb: &str,
    body: &Map<String, Value>,
    tweak: &Tweak,
) -> Result<Reply, Refused> {
    if let Fate::Fail(refused) = demo.fate(model) {
        return Err(refused);
    }
    let out = if verb == "embedContent" {
        json!({"embedding": {"values": one(body, named)?}})
    } else {
        known(body, &["requests", "model"], "")?;
        let requests = items(body, "requests");
        if requests.is_empty() {
            return Err(bad("* BatchEmbedContentsRequest.requests: requests is not specified"));
        }
        let mut all = Vec::new();
        for request in requests {
            let request = request.as_object().ok_or_else(|| bad("Invalid value at 'requests'"))?;
            // Each names the model once more, and it must be the path's.
            if text(request, "model") != Some(&format!("models/{named}")) {
                return Err(bad(
                    "The model in each request of a batch must match the one in the path.",
                ));
            }
            all.push(json!({"values": one(request, named)?}));
        }
        json!({"embeddings": all})
    };
    let mut reply = super::ok(&out);
    reply.body = demo.whole(model, out.to_string().into_bytes(), tweak, false);
    Ok(reply)
}

fn one(request: &Map<String, Value>, named: &str) -> Result<Vec<f32>, Refused> {
    known(request, &FIELDS, "requests")?;
    let wanted = format!("models/{named}");
    if text(request, "model").is_some_and(|it| it != wanted) {
        return Err(bad("The model in the request must match the one in the path."));
    }
    let content = object(request, "content").ok_or_else(|| bad("content is not specified"))?;
    let said: Vec<&str> =
        items(content, "parts").iter().filter_map(|part| text(part.as_object()?, "text")).collect();
    if said.concat().is_empty() {
        return Err(bad("content contains an empty Part."));
    }
    let config = object(request, "embedContentConfig").unwrap_or(request);
    let dimensions = match field(config, "outputDimensionality") {
        None => DIMENSIONS,
        Some(value) => value
            .as_u64()
            .filter(|it| (1..=3_072).contains(it))
            .ok_or_else(|| bad("output_dimensionality must be in the range [1, 3072]."))?,
    };
    Ok(vector(lorem::hash(said.concat().as_bytes()), dimensions))
}
