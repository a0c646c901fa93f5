//! `/v1/models` (protocols A3).

use serde_json::{Value, json};

use crate::json::to_bytes;
use crate::wire::ModelRow;

pub(crate) fn list(rows: &[ModelRow]) -> Vec<u8> {
    let data: Vec<Value> = rows.iter().map(item).collect();
    to_bytes(&json!({"object": "list", "data": data}))
}

pub(crate) fn one(row: &ModelRow) -> Vec<u8> {
    to_bytes(&item(row))
}

fn item(row: &ModelRow) -> Value {
    json!({"id": row.id, "object": "model", "created": row.created, "owned_by": row.owned_by})
}
