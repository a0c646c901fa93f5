//! Whether a schema is in the subset that OpenAI takes with `strict: true`. Anthropic's strict mode takes more: there a
//! property may be optional.

use serde_json::{Map, Value};

/// Keywords that strict mode refuses.
/// <https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas>
const REFUSED: [&str; 10] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
];

/// Keywords whose value maps names to schemas.
const MAPS: [&str; 3] = ["properties", "$defs", "definitions"];

/// Keywords whose value is one schema or a list of them.
const NESTED: [&str; 2] = ["items", "anyOf"];

/// Whether strict mode takes it: an object at the root, every object closed, and every property required. A schema that
/// passes may still be too deep or too large; the provider then says so.
pub(crate) fn fits(schema: &Value) -> bool {
    let Value::Object(root) = schema else { return false };
    is_object(root) && !root.contains_key("anyOf") && fits_within(schema)
}

fn is_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|it| it == "object"),
        Some(name) => name == "object",
        None => schema.contains_key("properties"),
    }
}

/// As deep as the schema is: the gate bounds that.
fn fits_within(schema: &Value) -> bool {
    let Value::Object(schema) = schema else { return false };
    let refused = REFUSED.iter().any(|keyword| schema.contains_key(*keyword));
    !refused
        && (!is_object(schema) || is_closed(schema))
        && MAPS.iter().filter_map(|it| schema.get(*it)).all(|named| match named {
            Value::Object(named) => named.values().all(fits_within),
            _ => false,
        })
        && NESTED.iter().filter_map(|it| schema.get(*it)).all(|inner| match inner {
            Value::Array(all) => all.iter().all(fits_within),
            one => fits_within(one),
        })
}

/// No other properties, and none that may be absent.
fn is_closed(schema: &Map<String, Value>) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &String| required.is_some_and(|all| all.iter().any(|it| it == name));
    let properties = schema.get("properties").and_then(Value::as_object);
    schema.get("additionalProperties") == Some(&Value::Bool(false))
        && properties.is_none_or(|all| all.keys().all(is_required))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_object_is_closed_and_every_property_required() {
        let leaf = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
            "additionalProperties": false});
        let with = |name: &str, schema: Value| {
            json!({"type": "object", "properties": {name: schema}, "required": [name],
                "additionalProperties": false})
        };
        let mut optional = leaf.clone();
        optional["required"] = json!([]);
        let mut open = leaf.clone();
        open["additionalProperties"] = json!(true);
        assert!(fits(&leaf));
        assert!(fits(&json!({"type": "object", "properties": {}, "additionalProperties": false})));
        assert!(!fits(&optional) && !fits(&open));
        // A property's name is no keyword, and an example value no schema.
        assert!(fits(&with("not", json!({"enum": [{"oneOf": 1}]}))));
        for (inside, holds) in [(&leaf, true), (&optional, false), (&open, false)] {
            assert_eq!(fits(&with("a", inside.clone())), holds);
            assert_eq!(fits(&with("a", json!({"type": "array", "items": inside}))), holds);
            assert_eq!(fits(&with("a", json!({"anyOf": [{"type": "null"}, inside]}))), holds);
            let mut named = with("a", json!({"$ref": "#/$defs/leaf"}));
            named["$defs"] = json!({"leaf": inside});
            assert_eq!(fits(&named), holds);
        }
    }

    #[test]
    fn what_the_provider_refuses_does_not_fit() {
        for schema in [
            json!(true),
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"anyOf": [{"type": "object", "additionalProperties": false}]}),
            json!({"type": "object", "additionalProperties": false, "oneOf": []}),
            json!({"type": "object", "additionalProperties": false, "properties": {"a": {"allOf": []}},
                "required": ["a"]}),
            json!({"type": ["object", "null"], "properties": {"a": true}, "required": ["a"],
                "additionalProperties": false}),
        ] {
            assert!(!fits(&schema), "{schema}");
        }
    }
}
