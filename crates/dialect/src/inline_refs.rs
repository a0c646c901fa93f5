//! A JSON Schema without `$ref`, for hosts that know none: each reference is replaced by what it refers to.

use serde_json::{Map, Value};

/// A schema of more values than this is not unfolded: definitions that refer to one another can grow without measure.
const VALUES_MAX: usize = 20_000;
/// Deeper than any schema.
const DEPTH_MAX: usize = 100;
/// Where definitions stand, which nothing refers to any more.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// What became of a schema's references.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inlined {
    /// There are none any more.
    Whole(Value),
    /// A part refers to itself, or to nothing: there stands a schema that takes anything.
    Opened(Value),
}

/// The schema with its references replaced.
pub(crate) fn inlined(schema: &Value) -> Inlined {
    let mut work = Work { root: schema, within: Vec::new(), values: 0, opened: false };
    let mut whole = work.value(schema, DEPTH_MAX, true);
    if let Value::Object(map) = &mut whole {
        map.retain(|key, _| !DEFINITIONS.contains(&key.as_str()));
    }
    if work.opened { Inlined::Opened(whole) } else { Inlined::Whole(whole) }
}

struct Work<'s> {
    root: &'s Value,
    /// The references that are being replaced.
    within: Vec<&'s str>,
    values: usize,
    opened: bool,
}

impl<'s> Work<'s> {
    fn open(&mut self) -> Value {
        self.opened = true;
        Value::Object(Map::new())
    }

    /// `is_schema`: the value is a schema, and not a mapping whose keys are names.
    fn value(&mut self, value: &'s Value, depth: usize, is_schema: bool) -> Value {
        self.values += 1;
        if depth == 0 || self.values > VALUES_MAX {
            return self.open();
        }
        match value {
            Value::Object(map) => self.object(map, depth, is_schema),
            Value::Array(all) => {
                all.iter().map(|it| self.value(it, depth - 1, is_schema)).collect()
            }
            plain => plain.clone(),
        }
    }

    fn object(&mut self, map: &'s Map<String, Value>, depth: usize, is_schema: bool) -> Value {
        let target = map.get("$ref").filter(|_| is_schema).and_then(Value::as_str);
        let mut out = match target {
            Some(target) => match self.referred(target, depth) {
                Value::Object(out) => out,
                other => return other,
            },
            None => Map::new(),
        };
        for (key, value) in map {
            let is_names = matches!(key.as_str(), "properties" | "patternProperties");
            let is_data = matches!(key.as_str(), "enum" | "const" | "default" | "examples");
            match key.as_str() {
                "$ref" if is_schema => continue,
                // Nothing refers to them any more.
                word if is_schema && DEFINITIONS.contains(&word) => continue,
                _ => {}
            }
            let inner = match (is_schema, is_names, is_data) {
                (true, _, true) => value.clone(),
                (true, true, false) => self.value(value, depth - 1, false),
                _ => self.value(value, depth - 1, true),
            };
            // What stands beside a reference holds too, and says it more closely.
            out.insert(key.clone(), inner);
        }
        Value::Object(out)
    }

    fn referred(&mut self, target: &'s str, depth: usize) -> Value {
        let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let Some(found) = found.filter(|_| !self.within.contains(&target)) else {
            return self.open();
        };
        self.within.push(target);
        let value = self.value(found, depth - 1, true);
        self.within.pop();
        value
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_replaced_by_what_they_refer_to() {
        let schema = json!({
            "type": "object",
            "properties": {
                "from": {"$ref": "#/$defs/place", "description": "where it begins"},
                "via": {"type": "array", "items": {"$ref": "#/$defs/place"}},
                "$ref": {"type": "string"},
            },
            "$defs": {
                "place": {"type": "object", "properties": {"at": {"$ref": "#/$defs/point"}}},
                "point": {"type": "number", "default": {"$ref": "kept: it is data"}},
            },
        });
        let point = json!({"type": "number", "default": {"$ref": "kept: it is data"}});
        let place = json!({"type": "object", "properties": {"at": point}});
        let mut from = place.clone();
        from["description"] = "where it begins".into();
        let expected = json!({
            "type": "object",
            "properties": {
                "from": from,
                "via": {"type": "array", "items": place},
                "$ref": {"type": "string"},
            },
        });
        assert_eq!(inlined(&schema), Inlined::Whole(expected));
    }

    #[test]
    fn what_refers_to_itself_or_to_nothing_is_opened() {
        let tree = json!({
            "$ref": "#/definitions/node",
            "definitions": {"node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/node"}}}},
        });
        let opened = json!({"type": "object", "properties": {"next": {}}});
        assert_eq!(inlined(&tree), Inlined::Opened(opened));
        let lost = json!({"type": "array", "items": {"$ref": "https://example.com/schema"}});
        assert_eq!(inlined(&lost), Inlined::Opened(json!({"type": "array", "items": {}})));
    }

    #[test]
    fn definitions_that_grow_without_measure_are_cut() {
        let mut defs = Map::new();
        for level in 0..40 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            defs.insert(format!("d{level}"), json!({"anyOf": [next, next]}));
        }
        defs.insert("d40".into(), json!({"type": "string"}));
        let schema = json!({"$ref": "#/$defs/d0", "$defs": defs});
        let Inlined::Opened(cut) = inlined(&schema) else { panic!("not cut") };
        assert!(cut.to_string().len() < 40 * VALUES_MAX);
    }
}
