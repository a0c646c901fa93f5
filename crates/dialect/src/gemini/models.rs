//! `GET models` (protocols A5).

use serde_json::{Value, json};

use crate::json::{Object, to_bytes};
use crate::wire::ModelRow;

/// What the SDKs tell models apart by.
const METHODS: [&str; 5] = [
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
];

pub(super) fn list(rows: &[ModelRow]) -> Vec<u8> {
    let models: Vec<Value> = rows.iter().map(item).collect();
    to_bytes(&json!({"models": models}))
}

pub(super) fn one(row: &ModelRow) -> Vec<u8> {
    to_bytes(&item(row))
}

fn item(row: &ModelRow) -> Value {
    let mut out = Object::default();
    out.put("name", format!("models/{}", row.id));
    out.put("displayName", row.display_name.as_str());
    out.put_some("inputTokenLimit", row.max_input);
    out.put_some("outputTokenLimit", row.max_output);
    out.put("supportedGenerationMethods", METHODS.as_slice());
    out.into_value()
}
