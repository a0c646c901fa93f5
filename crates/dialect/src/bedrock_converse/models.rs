//! Models, as the `bedrock` service lists them: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html>.

use serde_json::{Value, json};

use crate::json::to_bytes;
use crate::wire::ModelRow;

pub(super) fn list(rows: &[ModelRow]) -> Vec<u8> {
    let rows: Vec<Value> = rows.iter().map(summary).collect();
    to_bytes(&json!({"modelSummaries": rows}))
}

pub(super) fn one(row: &ModelRow) -> Vec<u8> {
    to_bytes(&json!({"modelDetails": summary(row)}))
}

/// The answer to who lists inference profiles: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListInferenceProfiles.html>.
/// A gateway has none; its names are those of models.
pub fn no_profiles() -> Vec<u8> {
    to_bytes(&json!({"inferenceProfileSummaries": []}))
}

fn summary(row: &ModelRow) -> Value {
    json!({
        "modelId": row.id,
        "modelName": row.display_name,
        "providerName": row.owned_by,
        "modelLifecycle": {"status": "ACTIVE"},
        "responseStreamingSupported": true,
    })
}
