//! The generic tree between YAML and the checked types: scalars, lists and maps, each with its place.

/// Where a value or key was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The variable it came from; none for the file.
    pub(crate) variable: Option<String>,
    /// Line, from 1; 0 for a variable.
    pub(crate) line: usize,
    /// Column in characters, from 1; 0 for a variable.
    pub(crate) column: usize,
    /// Width in characters of its first line, at least 1.
    pub(crate) width: usize,
}

impl Place {
    /// A place in the file.
    pub(crate) fn at(line: usize, column: usize, width: usize) -> Self {
        Self { variable: None, line, column, width: width.max(1) }
    }

    /// The environment variable of that name.
    pub(crate) fn variable(name: &str) -> Self {
        Self { variable: Some(name.into()), line: 0, column: 0, width: 1 }
    }
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// What a node holds. Scalars stay text: what they mean depends on where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// Text, and whether it was written in quotes.
    Scalar { text: String, quoted: bool },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the file's order. Keys may repeat: the checker reports that.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

impl Node {
    /// An empty mapping: what an absent section reads as.
    pub(crate) fn empty_map() -> Self {
        Self { value: Value::Map(Vec::new()), place: Place::at(1, 1, 1) }
    }

    /// What it is, for a person.
    pub(crate) fn shape(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Its text, where it is a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Its items, where it is a list; nothing otherwise.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Scalar { .. } | Value::Map(_) => &[],
        }
    }

    /// Its entries, where it is a mapping; nothing otherwise.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null | Value::Scalar { .. } | Value::List(_) => &[],
        }
    }

    /// Whether it is a list or mapping with nothing in it.
    pub(crate) fn is_empty_collection(&self) -> bool {
        match &self.value {
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            Value::Null | Value::Scalar { .. } => false,
        }
    }

    /// The value of a key, where it is a mapping that has it with a value.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let entry = self.entries().iter().find(|entry| entry.key == key)?;
        (entry.value.value != Value::Null).then_some(&entry.value)
    }
}
