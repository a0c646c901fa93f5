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
            r"^[0-9]+(\.[0-9]+)?[kMG]? +(USD|tokens?|requests?) +(per +(hour|day|week|month)|total)$"
        }
        Scalar::Price => r"^[0-9]+(\.[0-9]+)? USD per 1M$",
        Scalar::Address => r"^(\[[0-9A-Fa-f:.]+\]|[0-9.]+):[0-9]{1,5}$",
        Scalar::Network => "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$",
        Scalar::Url => "^https?://[^@?#]+$",
        Scalar::Zone => "^[A-Za-z0-9_+/-]+$",
        Scalar::Offer => OFFER,
        Scalar::Model => "^[A-Za-z0-9._:/@-]{1,200}$",
    };
    let examples = form.form().examples;
    json!({"type": "string", "pattern": pattern, "$comment": format!("such as {examples}")})
}
