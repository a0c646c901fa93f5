//! Structured output at Anthropic and Bedrock takes closed objects only.

use serde_json::Value;

/// Closes every object; returns whether any had to be closed.
pub(crate) fn close_objects(schema: &mut Value) -> bool {
    let mut closed = false;
    match schema {
        Value::Object(map) => {
            let is_object = map.get("type").is_some_and(|kind| kind == "object")
                || map.get("properties").is_some_and(Value::is_object);
            for (key, inner) in map.iter_mut().filter(|(key, _)| !is_data(key)) {
                // The keys within are names, not keywords.
                let named = inner.as_object_mut().filter(|_| holds_names(key));
                match named {
                    Some(named) => {
                        for schema in named.values_mut() {
                            closed |= close_objects(schema);
                        }
                    }
                    None => closed |= close_objects(inner),
                }
            }
            if is_object && map.get("additionalProperties") != Some(&Value::Bool(false)) {
                map.insert("additionalProperties".to_owned(), false.into());
                closed = true;
            }
        }
        Value::Array(items) => {
            for inner in items {
                closed |= close_objects(inner);
            }
        }
        _ => {}
    }
    closed
}

/// Keywords whose values map names to schemas.
fn holds_names(key: &str) -> bool {
    matches!(key, "properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas")
}

/// Keywords whose values are data, not schemas.
fn is_data(key: &str) -> bool {
    matches!(key, "const" | "enum" | "default" | "examples" | "required")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_closed_and_names_are_no_keywords() {
        let mut schema = json!({"type": "object", "properties": {
            "properties": {"type": "object"}, "type": {"type": "string"},
        }, "default": {"properties": {}}});
        assert!(close_objects(&mut schema));
        assert_eq!(
            schema,
            json!({"type": "object", "properties": {
                "properties": {"type": "object", "additionalProperties": false},
                "type": {"type": "string"},
            }, "default": {"properties": {}}, "additionalProperties": false})
        );
        assert!(!close_objects(&mut schema));
    }
}
