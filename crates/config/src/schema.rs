//! The JSON Schema of the file, from the same description as the checker.

use serde_json::{Map, Value, json};

use crate::spec::{Field, KeyForm, Kind, Need, ROOT, Scalar};

/// Where the schema is said to be; an editor is pointed at the file that `config schema` writes.
const ID: &str = "https://outrigger.example/schema/v1.json";

/// The schema, JSON Schema 2020-12.
pub fn schema() -> Value {
    let mut schema = of(&ROOT);
    if let Value::Object(map) = &mut schema {
        map.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("$id".into(), json!(ID));
        map.insert("title".into(), json!("outrigger.yaml"));
    }
    schema
}

fn of(kind: &Kind) -> Value {
    match kind {
        Kind::Word(words) => json!({"type": "string", "enum": words}),
        Kind::Scalar(form) => scalar(*form),
        Kind::List(kind) => json!({"type": "array", "items": of(kind)}),
        Kind::Map(form, kind) => {
            json!({
                "type": "object",
                "propertyNames": {"pattern": key_pattern(*form)},
                "additionalProperties": of(kind),
            })
        }
        Kind::Section(fields) => section(fields),
        Kind::OneOf(kinds) => json!({"anyOf": kinds.iter().map(of).collect::<Vec<_>>()}),
    }
}

fn section(fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut property = of(&field.kind);
        if let Value::Object(map) = &mut property {
            map.insert("description".into(), json!(field.doc));
            if let Need::Default(text) = field.need {
                map.insert("default".into(), default(&field.kind, text));
            }
        }
        properties.insert(field.name.into(), property);
    }
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| matches!(field.need, Need::Required))
        .map(|field| field.name)
        .collect();
    let mut schema = json!({
        "type": if required.is_empty() { json!(["object", "null"]) } else { json!("object") },
        "properties": properties,
        "additionalProperties": false,
    });
    if let (Value::Object(map), false) = (&mut schema, required.is_empty()) {
        map.insert("required".into(), json!(required));
    }
    schema
}

fn default(kind: &Kind, text: &str) -> Value {
    match kind {
        Kind::Scalar(Scalar::Bool) => json!(text == "true"),
        Kind::Scalar(Scalar::Integer { .. }) => {
            text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number))
        }
        _ => json!(text),
    }
}

fn key_pattern(form: KeyForm) -> &'static str {
    match form {
        KeyForm::Name => "^[A-Za-z0-9._:@-]{1,200}$",
        KeyForm::Offer => OFFER,
        KeyForm::Header => "^[A-Za-z0-9-]+$",
    }
}

const OFFER: &str = "^[A-Za-z0-9._:@-]+/[A-Za-z0-9._:/@-]+$";

fn scalar(form: Scalar) -> Value {
    let pattern = match form {
        Scalar::Bool => return json!({"type": "boolean"}),
        Scalar::Integer { min, max } => {
            return json!({"type": "integer", "minimum": min, "maximum": max});
        }
        Scalar::Count => {
            let text = json!({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?[kMG]?$"});
            return json!({"anyOf": [{"type": "integer", "minimum": 1}, text]});
        }
        Scalar::Text | Scalar::Secret | Scalar::File => "^.+$",
        Scalar::Name => "^[A-Za-z0-9._:@-]{1,200}$",
        Scalar::Duration => r"^[0-9]+(\.[0-9]+)? *(ms|s|min|h|d|w)$",
        Scalar::Size => r"^[0-9]+(\.[0-9]+)? *(B|kB|KiB|MB|MiB|GB|GiB)$",
        Scalar::Percent => r"^[0-9]+(\.[0-9]+)? *%$",
        Scalar::Calls => "^[0-9]+ *calls$",
        Scalar::Rate => r"^[0-9]+(\.[0-9]+)?[kMG]? */ *(s|min|h|d)$",
        Scalar::Amount => r"^[0-9]+(\.[0-9]+)?[kMG]? +(USD|tokens?|requests?)$",
        Scalar::Budget => {
            r"^[0-9]+(\.[0-9]+)?[kMG]? +(USD|tokens?|requests?) +(per +(hour|day|week|month)|(in +)?total)( +in +[A-Za-z0-9_+/-]+)?$"
        }
        Scalar::Price => r"^[0-9]+(\.[0-9]+)? USD per 1M$",
        Scalar::Address => r"^(\[[0-9A-Fa-f:.]+\]|[0-9.]+):[0-9]{1,5}$",
        Scalar::Network => "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$",
        Scalar::Url => "^https?://[^@?#]+$",
        Scalar::Zone => "^[A-Za-z0-9_+/-]+$",
        Scalar::Host => {
            r"^((\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$"
        }
        Scalar::Offer => OFFER,
        Scalar::Model => "^[A-Za-z0-9._:/@-]{1,200}$",
    };
    let examples = form.form().examples;
    json!({"type": "string", "pattern": pattern, "$comment": format!("such as {examples}")})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Node, Value as Held};

    /// A YAML 1.2 core-schema reading of the tree: what an editor's validator sees.
    fn json_of(node: &Node) -> Value {
        match &node.value {
            Held::Null => Value::Null,
            Held::Scalar { text, quoted: true } => json!(text),
            Held::Scalar { text, quoted: false } => match text.as_str() {
                "true" => json!(true),
                "false" => json!(false),
                _ => text
                    .parse::<u64>()
                    .map(|it| json!(it))
                    .or_else(|_| text.parse::<f64>().map(|it| json!(it)))
                    .unwrap_or_else(|_| json!(text)),
            },
            Held::List(items) => items.iter().map(json_of).collect(),
            Held::Map(entries) => {
                let pairs = entries.iter().map(|it| (it.key.clone(), json_of(&it.value)));
                Value::Object(pairs.collect())
            }
        }
    }

    /// The part of JSON Schema that the schema uses.
    fn valid(value: &Value, schema: &Value) -> bool {
        if let Some(any) = schema["anyOf"].as_array() {
            return any.iter().any(|it| valid(value, it));
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect(),
        };
        kinds.iter().any(|kind| match (*kind, value) {
            ("null", Value::Null) | ("boolean", Value::Bool(_)) => true,
            ("integer", Value::Number(it)) => it.as_u64().is_some_and(|it| {
                it >= schema["minimum"].as_u64().unwrap_or(0)
                    && it <= schema["maximum"].as_u64().unwrap_or(u64::MAX)
            }),
            ("string", Value::String(text)) => {
                let words = schema["enum"].as_array();
                let pattern = schema["pattern"].as_str().unwrap_or("");
                words.is_none_or(|it| it.contains(value))
                    && regex_lite::Regex::new(pattern).unwrap().is_match(text)
            }
            ("array", Value::Array(items)) => items.iter().all(|it| valid(it, &schema["items"])),
            ("object", Value::Object(map)) => valid_object(map, schema),
            _ => false,
        })
    }

    fn valid_object(map: &Map<String, Value>, schema: &Value) -> bool {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let names = schema["propertyNames"]["pattern"].as_str().unwrap_or("");
        let names = regex_lite::Regex::new(names).unwrap();
        required.iter().all(|it| map.contains_key(it.as_str().unwrap()))
            && map.iter().all(|(key, value)| {
                let named = schema["properties"].get(key);
                names.is_match(key)
                    && match named.or(schema.get("additionalProperties")) {
                        Some(Value::Bool(open)) => *open,
                        Some(schema) => valid(value, schema),
                        None => true,
                    }
            })
    }

    fn files(folder: &str) -> Vec<(String, String)> {
        let folder = format!("{}/../../{folder}", env!("CARGO_MANIFEST_DIR"));
        let paths = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
        let yaml = paths.filter(|it| it.extension().is_some_and(|it| it == "yaml"));
        yaml.map(|it| (it.display().to_string(), std::fs::read_to_string(&it).unwrap())).collect()
    }

    #[test]
    fn an_editor_accepts_every_example_and_every_default() {
        let schema = schema();
        for (name, text) in files("examples") {
            let tree = crate::yaml::parse(&text, "f").unwrap();
            assert!(valid(&json_of(&tree), &schema), "{name}");
        }
        defaults_fit(&ROOT);
    }

    fn defaults_fit(kind: &Kind) {
        match kind {
            Kind::Section(fields) => fields.iter().for_each(|field| {
                if let Need::Default(text) = field.need {
                    let schema = of(&field.kind);
                    assert!(valid(&default(&field.kind, text), &schema), "{}: {text}", field.name);
                    let node = crate::yaml::parse(&format!("a: {text}"), "f").unwrap();
                    let mut problems = crate::check::Problems::new("f");
                    crate::check::check(node.get("a").unwrap(), &field.kind, "a", &mut problems);
                    assert_eq!(problems.into_sorted(), vec![], "{}: {text}", field.name);
                }
                defaults_fit(&field.kind);
            }),
            Kind::List(kind) | Kind::Map(_, kind) => defaults_fit(kind),
            Kind::OneOf(kinds) => kinds.iter().for_each(defaults_fit),
            Kind::Word(_) | Kind::Scalar(_) => {}
        }
    }

    #[test]
    fn an_editor_marks_what_is_wrong_in_form() {
        let schema = schema();
        // What only the whole file, or the environment, can tell is beyond a schema.
        let beyond = ["duplicate-key", "open-listener", "not-yaml", "anchors", "unknown-names"];
        for (name, text) in files("examples/bad") {
            if !beyond.iter().any(|it| name.contains(it)) {
                let tree = crate::yaml::parse(&text, "f").unwrap();
                assert!(!valid(&json_of(&tree), &schema), "{name}");
            }
        }
    }
}
