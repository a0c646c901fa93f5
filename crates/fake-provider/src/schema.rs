//! JSON Schema, as far as a model must obey it: an instance of a schema, and the "strict" subset vendors check.

use serde_json::{Map, Value, json};

/// Nesting after which optional parts of a recursive schema are left out.
const DEPTH: usize = 6;

/// A value that satisfies `schema`; `hint` names the place (a property), used to make strings readable.
pub(crate) fn instance(schema: &Value, hint: &str) -> Value {
    build(schema, schema, hint, 0)
}

fn build(schema: &Value, root: &Value, hint: &str, depth: usize) -> Value {
    let schema = resolve(schema, root);
    if let Some(v) = schema.get("const") {
        return v.clone();
    }
    if let Some(v) = schema.get("enum").and_then(Value::as_array).and_then(|a| a.first()) {
        return v.clone();
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(list) = schema.get(key).and_then(Value::as_array) {
            return build(pick(list, root, depth), root, hint, depth);
        }
    }
    if let Some(list) = schema.get("allOf").and_then(Value::as_array) {
        return merged(list, root, hint, depth);
    }
    match type_of(schema) {
        "object" => object(schema, root, depth),
        "array" => array(schema, root, hint, depth),
        "integer" => integer(schema),
        "number" => number(schema),
        "boolean" => Value::Bool(true),
        "null" => Value::Null,
        _ => Value::String(string(schema, hint)),
    }
}

fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut here = schema;
    for _ in 0..16 {
        let Some(path) = here.get("$ref").and_then(Value::as_str) else { return here };
        match path.strip_prefix('#').and_then(|p| root.pointer(p)) {
            Some(next) => here = next,
            None => return here,
        }
    }
    here
}

/// The first alternative; deep inside a recursion the null one, so that it ends.
fn pick<'a>(list: &'a [Value], root: &'a Value, depth: usize) -> &'a Value {
    let null = list.iter().find(|s| type_of(resolve(s, root)) == "null");
    match (depth >= DEPTH, null, list.first()) {
        (true, Some(null), _) => null,
        (_, _, Some(first)) => first,
        _ => &Value::Null,
    }
}

fn merged(list: &[Value], root: &Value, hint: &str, depth: usize) -> Value {
    let mut all = Map::new();
    let mut last = Value::Null;
    for part in list {
        last = build(part, root, hint, depth);
        if let Value::Object(fields) = &last {
            all.extend(fields.clone());
        }
    }
    if all.is_empty() { last } else { Value::Object(all) }
}

fn type_of(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(t)) => t,
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).find(|t| *t != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|a| a.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let mut out = Map::new();
    for (name, part) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if depth < DEPTH || required.contains(&name.as_str()) && depth < 4 * DEPTH {
            out.insert(name.clone(), build(part, root, name, depth + 1));
        }
    }
    Value::Object(out)
}

fn array(schema: &Value, root: &Value, hint: &str, depth: usize) -> Value {
    if let Some(list) = schema.get("prefixItems").and_then(Value::as_array) {
        return list.iter().map(|s| build(s, root, hint, depth + 1)).collect();
    }
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
    let n = if depth >= DEPTH { least } else { least.max(1) };
    let item = schema.get("items").unwrap_or(&Value::Null);
    (0..n.min(64)).map(|_| build(item, root, hint, depth + 1)).collect()
}

fn integer(schema: &Value) -> Value {
    let bound = |k: &str| schema.get(k).and_then(Value::as_i64);
    let low = bound("minimum").or(bound("exclusiveMinimum").map(|v| v.saturating_add(1)));
    let high = bound("maximum").or(bound("exclusiveMaximum").map(|v| v.saturating_sub(1)));
    let step = schema.get("multipleOf").and_then(Value::as_i64).unwrap_or(1).max(1);
    let from = 7.min(high.unwrap_or(7)).max(low.unwrap_or(i64::MIN));
    json!(from.saturating_add(step - 1).div_euclid(step).saturating_mul(step))
}

fn number(schema: &Value) -> Value {
    let low = schema.get("minimum").or(schema.get("exclusiveMinimum")).and_then(Value::as_f64);
    let high = schema.get("maximum").and_then(Value::as_f64).unwrap_or(f64::MAX);
    json!(low.map_or(1.5, |v| v + 0.5).min(high))
}

fn string(schema: &Value, hint: &str) -> String {
    let text = match schema.get("format").and_then(Value::as_str) {
        Some("date") => "2026-11-22".to_owned(),
        Some("time") => "12:00:00Z".to_owned(),
        Some("date-time") => "2026-11-22T12:00:00Z".to_owned(),
        Some("email") => "ada@example.com".to_owned(),
        Some("uri") => "https://example.com/".to_owned(),
        Some("uuid") => "00000000-0000-4000-8000-000000000000".to_owned(),
        _ => format!("some {hint}"),
    };
    let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
    let most = schema.get("maxLength").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let mut chars: Vec<char> = text.chars().collect();
    while (chars.len() as u64) < least.min(4096) {
        chars.push('x');
    }
    chars.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    chars.into_iter().collect()
}

/// The rule both vendors hold a strict schema to: every object says `additionalProperties: false`; with
/// `all_required` (OpenAI) every property is also listed in `required`. Gives the first offence.
pub(crate) fn strict_fault(schema: &Value, all_required: bool) -> Option<String> {
    let Value::Object(map) = schema else { return None };
    if map.get("type").and_then(Value::as_str) == Some("object") || map.contains_key("properties") {
        if map.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Some(
                "'additionalProperties' is required to be supplied and to be false".to_owned(),
            );
        }
        if all_required {
            let listed: Vec<&str> = map
                .get("required")
                .and_then(Value::as_array)
                .map(|a| a.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            for (name, _) in map.get("properties").and_then(Value::as_object).into_iter().flatten()
            {
                if !listed.contains(&name.as_str()) {
                    return Some(format!(
                        "'required' is required to be supplied and to be an array including every key in properties. Missing '{name}'"
                    ));
                }
            }
        }
    }
    sub_schemas(map).find_map(|s| strict_fault(s, all_required))
}

fn sub_schemas(map: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let named = ["properties", "$defs", "definitions"];
    let listed = ["anyOf", "oneOf", "allOf", "prefixItems"];
    let in_maps = named.into_iter().filter_map(|k| map.get(k)?.as_object()).flat_map(Map::values);
    let in_lists = listed.into_iter().filter_map(|k| map.get(k)?.as_array()).flatten();
    in_maps.chain(in_lists).chain(map.get("items"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_obey_the_schema() {
        let schema = json!({"type": "object", "required": ["name", "age"], "properties": {
            "name": {"type": "string", "minLength": 12}, "age": {"type": "integer", "minimum": 18, "multipleOf": 5},
            "kind": {"enum": ["a", "b"]}, "maybe": {"type": ["string", "null"]},
            "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
            "list": {"type": "array", "items": {"$ref": "#/$defs/day"}, "minItems": 2}},
            "$defs": {"day": {"type": "string", "format": "date"}}});
        let v = instance(&schema, "root");
        assert!(v["name"].as_str().unwrap().len() >= 12);
        assert_eq!(v["age"], 20);
        assert_eq!(v["kind"], "a");
        assert_eq!(v["list"], json!(["2026-11-22", "2026-11-22"]));
        assert!(v["next"].is_object());
    }

    #[test]
    fn strictness_is_checked_at_every_depth() {
        let good = json!({"type": "object", "additionalProperties": false, "required": ["a"],
            "properties": {"a": {"type": "string"}}});
        assert_eq!(strict_fault(&good, true), None);
        let loose = json!({"type": "array", "items": {"type": "object", "properties": {}}});
        assert!(strict_fault(&loose, true).is_some());
        let optional = json!({"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}});
        assert!(strict_fault(&optional, true).is_some());
        assert_eq!(strict_fault(&optional, false), None);
    }
}
