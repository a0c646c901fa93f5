//! Small respellings: enums are upper case here.

use serde_json::{Map, Value, json};

use crate::json::str_at;

pub(super) fn upper(value: &Value) -> Value {
    value.as_str().unwrap_or_default().to_ascii_uppercase().into()
}

pub(super) fn text(text: &str) -> Value {
    json!({"type": "TEXT", "text": text})
}

/// An image's place; `None` where it has none. Only three details are known.
pub(super) fn image_url(part: &Value) -> Option<Value> {
    let image = part.get("image_url")?;
    let mut out = Map::new();
    out.insert("url".into(), str_at(image, "url")?.into());
    if let Some(detail) = str_at(image, "detail").filter(|it| ["auto", "low", "high"].contains(it))
    {
        out.insert("detail".into(), detail.to_ascii_uppercase().into());
    }
    Some(out.into())
}

/// A function's schema, which this protocol does not let be absent.
pub(super) fn parameters(function: &Value) -> Value {
    let given = function.get("parameters").filter(|it| it.is_object()).cloned();
    given.unwrap_or_else(|| json!({"type": "object", "properties": {}}))
}

/// The members of an object under other names; a name that the table does not know is left out.
pub(super) fn renamed(from: &Value, names: &[(&str, &str)]) -> Value {
    let mut out = Map::new();
    for (name, to) in names {
        if let Some(value) = from.get(*name).filter(|value| !value.is_null()) {
            out.insert((*to).to_owned(), value.clone());
        }
    }
    out.into()
}
