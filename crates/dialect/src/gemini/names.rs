//! Field names. The protocol is proto3 JSON: `camelCase` is what servers write, `snake_case` is read as well, and some
//! clients send it. What the client wrote itself (schemas, arguments, results) is never touched.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::json::Fields;
use crate::wire::FieldError;

/// The `camelCase` name of a field.
pub(super) fn camel(key: &str) -> Cow<'_, str> {
    let inner = key.trim_start_matches('_');
    if !inner.contains('_') {
        return Cow::Borrowed(key);
    }
    let mut out = String::with_capacity(key.len());
    out.push_str(key.get(..key.len() - inner.len()).unwrap_or_default());
    let mut raise = false;
    for letter in inner.chars() {
        if letter == '_' {
            raise = true;
        } else if std::mem::take(&mut raise) {
            out.push(letter.to_ascii_uppercase());
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// An object of the protocol's own with every name in `camelCase`.
pub(super) fn fields(value: Value, path: String) -> Result<Fields, FieldError> {
    Fields::of(own(value), path)
}

/// The same of a tree that need not be an object. A name in both spellings keeps the first.
pub(super) fn own(value: Value) -> Value {
    let Value::Object(map) = value else { return value };
    if map.keys().all(|key| matches!(camel(key), Cow::Borrowed(_))) {
        return Value::Object(map);
    }
    let mut out = Map::with_capacity(map.len());
    for (key, value) in map {
        let name = camel(&key).into_owned();
        out.entry(name).or_insert(value);
    }
    Value::Object(out)
}

/// A field of a tree, in either spelling.
pub(super) fn get<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let map = value.as_object()?;
    let found = map
        .get(name)
        .or_else(|| map.iter().find(|(key, _)| camel(key) == name).map(|(_, value)| value));
    found.filter(|value| !value.is_null())
}

/// A whole number as proto3 JSON has it: a number, perhaps with an empty fraction, or its digits in a string.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|it| it.fract() == 0.0)?;
            // Beyond this a double does not hold every whole number.
            (float.abs() < 9e15).then_some(float as i64)
        }),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    }
}

/// The whole number under `key`, not negative.
pub(super) fn unsigned(fields: &mut Fields, key: &str) -> Result<Option<u64>, FieldError> {
    match fields.value(key) {
        None => Ok(None),
        Some(value) => match whole(&value).and_then(|number| u64::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(fields.wrong(key, "expected a whole number, not negative")),
        },
    }
}

/// The whole number under `key`.
pub(super) fn integer(fields: &mut Fields, key: &str) -> Result<Option<i64>, FieldError> {
    match fields.value(key) {
        None => Ok(None),
        Some(value) => match whole(&value) {
            Some(number) => Ok(Some(number)),
            None => Err(fields.wrong(key, "expected a whole number")),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_are_one_name() {
        assert_eq!(camel("inline_data"), "inlineData");
        assert_eq!(camel("inlineData"), "inlineData");
        assert_eq!(camel("_response_json_schema"), "_responseJsonSchema");
        assert_eq!(camel("a__b_"), "aB");
        let value = json!({"inline_data": {"mime_type": "x"}, "text": 1});
        assert_eq!(get(&value, "inlineData"), Some(&json!({"mime_type": "x"})));
        assert_eq!(own(value), json!({"inlineData": {"mime_type": "x"}, "text": 1}));
    }

    #[test]
    fn whole_numbers_come_in_three_forms() {
        for value in [json!(40), json!(40.0), json!("40")] {
            assert_eq!(whole(&value), Some(40), "{value}");
        }
        for value in [json!(1.5), json!("x"), json!(true), json!(1e300)] {
            assert_eq!(whole(&value), None, "{value}");
        }
    }
}
