//! `/v1/models` in both shapes (protocols A3 and A4).

use domain::UnixMicros;
use serde_json::{Value, json};

use crate::registry::DialectId;

/// One model, or capability, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRow {
    /// What a request names it by.
    pub id: String,
    /// When it appeared, in seconds since the epoch.
    pub created: i64,
    /// Whose it is.
    pub owned_by: String,
    /// Its name for people.
    pub display_name: String,
    /// Most input tokens.
    pub max_input: Option<u64>,
    /// Most output tokens.
    pub max_output: Option<u64>,
}

/// A list, in the client's shape.
pub fn list(client: DialectId, rows: &[ModelRow]) -> Vec<u8> {
    let data: Vec<Value> = rows.iter().map(|row| item(client, row)).collect();
    let id = |row: Option<&ModelRow>| row.map(|row| row.id.clone());
    match client {
        DialectId::OpenaiChat | DialectId::OpenaiResponses => {
            json!({"object": "list", "data": data})
        }
        DialectId::AnthropicMessages => json!({
            "data": data,
            "has_more": false,
            "first_id": id(rows.first()),
            "last_id": id(rows.last()),
        }),
    }
    .to_string()
    .into_bytes()
}

/// One model, in the client's shape.
pub fn one(client: DialectId, row: &ModelRow) -> Vec<u8> {
    item(client, row).to_string().into_bytes()
}

fn item(client: DialectId, row: &ModelRow) -> Value {
    match client {
        DialectId::OpenaiChat | DialectId::OpenaiResponses => {
            json!({"id": row.id, "object": "model", "created": row.created, "owned_by": row.owned_by})
        }
        // `lifecycle` is required by the 2.x SDKs' types.
        DialectId::AnthropicMessages => json!({
            "type": "model",
            "id": row.id,
            "display_name": row.display_name,
            "created_at": UnixMicros::from_secs(row.created).to_string(),
            "lifecycle": "active",
            "max_input_tokens": row.max_input,
            "max_tokens": row.max_output,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> ModelRow {
        ModelRow {
            id: "chat".to_owned(),
            created: 1_700_000_000,
            owned_by: "outrigger".to_owned(),
            display_name: "chat".to_owned(),
            max_input: Some(8_000),
            max_output: None,
        }
    }

    #[test]
    fn each_client_gets_the_fields_that_its_sdk_requires() {
        let openai: Value = serde_json::from_slice(&list(DialectId::OpenaiChat, &[row()])).unwrap();
        assert_eq!(openai["object"], "list");
        assert_eq!(openai["data"][0]["object"], "model");
        let anthropic: Value =
            serde_json::from_slice(&list(DialectId::AnthropicMessages, &[row()])).unwrap();
        assert_eq!(anthropic["first_id"], "chat");
        assert_eq!(anthropic["data"][0]["created_at"], "2023-11-14T22:13:20.000Z");
        assert_eq!(anthropic["data"][0]["lifecycle"], "active");
    }
}
