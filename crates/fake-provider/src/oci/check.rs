//! Looking at members: what the vendor's types don't name is refused, as its server does.

use serde_json::{Map, Value};

use crate::ask::Refused;

/// A 400 in the vendor's words; what was wrong stands beside, for whoever reads a test's failure.
pub(super) fn malformed(what: impl std::fmt::Display) -> Refused {
    Refused::new(400, format!("Please pass in correct format of request. ({what})"))
}

/// An object that has no other members than these.
pub(super) fn members<'a>(
    value: &'a Value,
    known: &[&str],
    place: &str,
) -> Result<&'a Map<String, Value>, Refused> {
    let Value::Object(map) = value else {
        return Err(malformed(format!("{place} must be an object")));
    };
    match map.keys().find(|it| !known.contains(&it.as_str())) {
        Some(unknown) => Err(malformed(format!("{place}.{unknown} is not known"))),
        None => Ok(map),
    }
}

/// A field that is there and not null (null means unset).
pub(super) fn present<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|it| !it.is_null())
}

pub(super) fn one_of(value: &Value, name: &str, good: &[&str]) -> Result<(), Refused> {
    match present(value, name) {
        None => Ok(()),
        Some(Value::String(it)) if good.contains(&it.as_str()) => Ok(()),
        Some(_) => Err(malformed(format!("{name} must be one of {}", good.join(", ")))),
    }
}

pub(super) fn range(value: &Value, name: &str, low: f64, high: f64) -> Result<(), Refused> {
    match present(value, name).map(Value::as_f64) {
        None => Ok(()),
        Some(Some(it)) if (low..=high).contains(&it) => Ok(()),
        _ => Err(malformed(format!("{name} must be between {low} and {high}"))),
    }
}

pub(super) fn whole(value: &Value, name: &str, low: i64, high: i64) -> Result<(), Refused> {
    match present(value, name).map(Value::as_i64) {
        None => Ok(()),
        Some(Some(it)) if (low..=high).contains(&it) => Ok(()),
        _ => Err(malformed(format!("{name} must be a whole number from {low} to {high}"))),
    }
}

pub(super) fn flags(value: &Value, names: &[&str]) -> Result<(), Refused> {
    match names.iter().find(|name| present(value, name).is_some_and(|it| !it.is_boolean())) {
        Some(name) => Err(malformed(format!("{name} must be a boolean"))),
        None => Ok(()),
    }
}

/// A list of strings, and nothing else.
pub(super) fn strings(value: &Value, name: &str, most: usize) -> Result<(), Refused> {
    match present(value, name) {
        None => Ok(()),
        Some(Value::Array(all)) if all.len() <= most && all.iter().all(Value::is_string) => Ok(()),
        Some(_) => Err(malformed(format!("{name} must be a list of at most {most} strings"))),
    }
}

pub(super) fn stream_options(value: &Value) -> Result<(), Refused> {
    let Some(options) = present(value, "streamOptions") else { return Ok(()) };
    members(options, &["isIncludeUsage"], "streamOptions")?;
    flags(options, &["isIncludeUsage"])
}

pub(super) fn text<'a>(value: &'a Value, name: &str, place: &str) -> Result<&'a str, Refused> {
    let said = value.get(name).and_then(Value::as_str);
    said.ok_or_else(|| malformed(format!("{place}.{name} must be a string")))
}
