//! Small helpers over `serde_json::Value`: fields are taken out one by one, what is left is unknown.

use serde_json::{Map, Value};

use crate::wire::FieldError;

/// A JSON object being read, with its place for error messages. `null` counts as absent everywhere: every
/// vendor's SDK sends it so.
pub(crate) struct Fields {
    map: Map<String, Value>,
    path: String,
}

impl Fields {
    /// The top level of a body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, FieldError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self { map, path: String::new() }),
            Ok(_) => Err(FieldError::new("", "the body must be a JSON object")),
            Err(error) => Err(FieldError::new("", format!("the body is not valid JSON: {error}"))),
        }
    }

    /// An object at `path`.
    pub(crate) fn of(value: Value, path: String) -> Result<Self, FieldError> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            _ => Err(FieldError::new(path, "expected an object")),
        }
    }

    /// The place of a field.
    pub(crate) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// An error at a field.
    pub(crate) fn wrong(&self, key: &str, message: impl Into<String>) -> FieldError {
        FieldError::new(self.at(key), message)
    }

    pub(crate) fn value(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    /// Takes a value only if it is so; else it stays.
    pub(crate) fn value_if(&mut self, key: &str, wanted: impl FnOnce(&Value) -> bool) {
        if self.map.get(key).is_some_and(wanted) {
            self.map.shift_remove(key);
        }
    }

    pub(crate) fn string(&mut self, key: &str) -> Result<Option<String>, FieldError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "expected a string")),
        }
    }

    pub(crate) fn required_string(&mut self, key: &str) -> Result<String, FieldError> {
        self.string(key)?.ok_or_else(|| self.wrong(key, "this field is required"))
    }

    /// The model: what the path says goes before what the body says.
    pub(crate) fn model(&mut self, path: Option<&str>) -> Result<String, FieldError> {
        let Some(model) = path else { return self.required_string("model") };
        self.string("model")?;
        Ok(model.to_owned())
    }

    pub(crate) fn boolean(&mut self, key: &str) -> Result<Option<bool>, FieldError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.wrong(key, "expected true or false")),
        }
    }

    pub(crate) fn unsigned(&mut self, key: &str) -> Result<Option<u64>, FieldError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(key, "expected a whole number, not negative")),
            },
        }
    }

    pub(crate) fn integer(&mut self, key: &str) -> Result<Option<i64>, FieldError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(key, "expected a whole number")),
            },
        }
    }

    pub(crate) fn number(&mut self, key: &str) -> Result<Option<f64>, FieldError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(key, "expected a number")),
            },
        }
    }

    pub(crate) fn array(&mut self, key: &str) -> Result<Option<Vec<Value>>, FieldError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(self.wrong(key, "expected an array")),
        }
    }

    pub(crate) fn object(&mut self, key: &str) -> Result<Option<Self>, FieldError> {
        match self.value(key) {
            None => Ok(None),
            Some(value) => Self::of(value, self.at(key)).map(Some),
        }
    }

    /// What nobody took, in order.
    pub(crate) fn rest(self) -> impl Iterator<Item = (String, Value)> {
        self.map.into_iter().filter(|(_, value)| !value.is_null())
    }

    /// Names what nobody took and says something: it is not carried.
    pub(crate) fn finish(self, unknown: &mut Vec<String>) {
        let said = self.map.iter().filter(|(_, value)| !says_nothing(value));
        unknown.extend(said.map(|(name, _)| self.at(name)));
    }
}

/// What SDKs put for absent: nothing, and lists of nothing.
pub(crate) fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// An object under construction: absent values leave no key.
#[derive(Default)]
pub(crate) struct Object(pub(crate) Map<String, Value>);

impl Object {
    pub(crate) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    pub(crate) fn put_some<T: Into<Value>>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// As bytes. Serialising a tree of maps with string keys cannot fail.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        to_bytes(&self.into_value())
    }
}

/// A tree as bytes.
pub(crate) fn to_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Appends JSON. Serialising what this crate writes cannot fail: no map has keys that are not strings.
pub(crate) fn append(out: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    let written = serde_json::to_writer(&mut *out, value);
    debug_assert!(written.is_ok());
}

/// A tree as text.
pub(crate) fn to_text(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The string field of a tree.
pub(crate) fn str_at<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The string field of a tree, owned, unless empty.
pub(crate) fn text_at(value: &Value, key: &str) -> Option<String> {
    str_at(value, key).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// FNV-1a: a stable hash for names that must stay equal from request to request.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
