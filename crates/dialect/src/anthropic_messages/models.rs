//! `/v1/models` (protocols A4).

use domain::UnixMicros;
use serde_json::{Value, json};

use crate::json::to_bytes;
use crate::wire::ModelRow;

pub(super) fn list(rows: &[ModelRow]) -> Vec<u8> {
    let data: Vec<Value> = rows.iter().map(item).collect();
    let id = |row: Option<&ModelRow>| row.map(|row| row.id.clone());
    to_bytes(&json!({
        "data": data,
        "has_more": false,
        "first_id": id(rows.first()),
        "last_id": id(rows.last()),
    }))
}

pub(super) fn one(row: &ModelRow) -> Vec<u8> {
    to_bytes(&item(row))
}

/// `lifecycle` is required by the 2.x SDKs' types.
fn item(row: &ModelRow) -> Value {
    json!({
        "type": "model",
        "id": row.id,
        "display_name": row.display_name,
        "created_at": UnixMicros::from_secs(row.created).to_string(),
        "lifecycle": "active",
        "max_input_tokens": row.max_input,
        "max_tokens": row.max_output,
    })
}
