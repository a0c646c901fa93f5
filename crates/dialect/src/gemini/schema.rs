//! `Schema`, Gemini's own form of a schema (a subset of OpenAPI 3.0 with upper-case types), as JSON Schema.

use serde_json::{Map, Value};

use super::names::{camel, whole};

/// Deeper than any schema; beyond, what stands there is left as it is.
const DEPTH_MAX: u32 = 60;

/// The JSON Schema that says the same. A schema that is JSON Schema already stays as it is.
pub(super) fn json_schema(schema: Value) -> Value {
    convert(schema, DEPTH_MAX)
}

fn convert(schema: Value, depth: u32) -> Value {
    let Value::Object(map) = schema else { return schema };
    if depth == 0 {
        return Value::Object(map);
    }
    let mut out = Map::with_capacity(map.len());
    let mut nullable = false;
    for (key, value) in map {
        let name = camel(&key).into_owned();
        match name.as_str() {
            "nullable" => nullable = value == Value::Bool(true),
            "type" => {
                if let Some(kind) = kind(value) {
                    out.insert(name, kind);
                }
            }
            "properties" | "defs" | "$defs" => {
                out.insert(
                    if name == "defs" { "$defs".to_owned() } else { name },
                    named(value, depth),
                );
            }
            "items" | "additionalProperties" => {
                out.insert(name, convert(value, depth - 1));
            }
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
                out.insert(name, listed(value, depth));
            }
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
            | "maxProperties" => {
                // proto3 JSON writes 64-bit numbers as strings.
                let number = whole(&value).map_or(value, Value::from);
                out.insert(name, number);
            }
            "example" => {
                out.insert("examples".to_owned(), Value::Array(vec![value]));
            }
            "ref" => {
                out.insert("$ref".to_owned(), value);
            }
            // The order in which properties are generated: no other vendor can be told.
            "propertyOrdering" => {}
            _ => {
                out.insert(name, value);
            }
        }
    }
    if nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

/// The type in JSON Schema's word; `None` where it says nothing.
fn kind(kind: Value) -> Option<Value> {
    match kind {
        Value::String(word) if word == "TYPE_UNSPECIFIED" => None,
        Value::String(word) => Some(word.to_ascii_lowercase().into()),
        Value::Array(words) => Some(words.into_iter().filter_map(self::kind).collect()),
        other => Some(other),
    }
}

/// Schemas by name: the names are no keywords.
fn named(value: Value, depth: u32) -> Value {
    match value {
        Value::Object(map) => {
            map.into_iter().map(|(name, schema)| (name, convert(schema, depth - 1))).collect()
        }
        other => other,
    }
}

fn listed(value: Value, depth: u32) -> Value {
    match value {
        Value::Array(all) => all.into_iter().map(|schema| convert(schema, depth - 1)).collect(),
        other => other,
    }
}

fn allow_null(schema: &mut Map<String, Value>) {
    match schema.get_mut("type") {
        Some(Value::Array(kinds)) => {
            if !kinds.iter().any(|kind| kind == "null") {
                kinds.push("null".into());
            }
        }
        Some(kind) => *kind = Value::Array(vec![kind.take(), "null".into()]),
        None => match schema.get_mut("anyOf") {
            Some(Value::Array(all)) => all.push(serde_json::json!({"type": "null"})),
            _ => return,
        },
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As google-genai 3.4 writes a pydantic model.
    #[test]
    fn a_schema_becomes_json_schema() {
        let schema = json!({
            "type": "OBJECT", "title": "Trip", "required": ["to"],
            "property_ordering": ["to", "days", "type"],
            "properties": {
                "to": {"type": "STRING", "enum": ["a", "b"], "nullable": true},
                "days": {"type": "ARRAY", "minItems": "1", "max_items": "7", "items": {"type": "INTEGER"}},
                "type": {"anyOf": [{"type": "NUMBER"}, {"type": "BOOLEAN"}], "example": 1},
                "any_of": {"type": "TYPE_UNSPECIFIED", "description": "x"},
            },
        });
        let expected = json!({
            "type": "object", "title": "Trip", "required": ["to"],
            "properties": {
                "to": {"type": ["string", "null"], "enum": ["a", "b", null]},
                "days": {"type": "array", "minItems": 1, "maxItems": 7, "items": {"type": "integer"}},
                "type": {"anyOf": [{"type": "number"}, {"type": "boolean"}], "examples": [1]},
                "any_of": {"description": "x"},
            },
        });
        assert_eq!(json_schema(schema), expected);
        assert_eq!(json_schema(expected.clone()), expected);
    }
}
