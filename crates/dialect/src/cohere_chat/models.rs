//! `/v1/models` as the SDK's `models.list` and `models.get` read it (`types/get_model_response.py`).

use serde_json::{Value, json};

use crate::json::to_bytes;
use crate::wire::ModelRow;

pub(super) fn list(rows: &[ModelRow]) -> Vec<u8> {
    let models: Vec<Value> = rows.iter().map(item).collect();
    to_bytes(&json!({"models": models}))
}

pub(super) fn one(row: &ModelRow) -> Vec<u8> {
    to_bytes(&item(row))
}

fn item(row: &ModelRow) -> Value {
    json!({
        "name": row.id,
        "is_deprecated": false,
        "endpoints": ["chat"],
        "finetuned": false,
        "context_length": row.max_input,
        "default_endpoints": [],
    })
}
