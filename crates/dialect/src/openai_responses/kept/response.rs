//! What a response says of itself, and the truth of it.

use std::ops::Range;

use bytes::Bytes;

use crate::cursor::Cursor;
use crate::intake::splice_in;
use crate::json;

/// What is true of a response here, whatever its provider said, which was asked for a whole one and told to keep nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The response that it builds on.
    pub previous: Option<String>,
    /// Whether it can be built on; `None` where it was not to be kept.
    pub kept: Option<bool>,
}

/// The response with `previous_response_id` and `store` as they are. Every other byte stays.
pub fn state(response: &Bytes, told: &Told) -> Bytes {
    splice_in(response, changes(response, 0, told))
}

/// The changes that make it so, of a response that stands at `offset` in what they are made to.
pub(super) fn changes(response: &[u8], offset: usize, told: &Told) -> Vec<(Range<usize>, Vec<u8>)> {
    let mut previous = told.previous.as_ref().map(|id| {
        let mut text = Vec::with_capacity(id.len() + 2);
        json::append(&mut text, id);
        text
    });
    let mut kept = told.kept.map(|kept| if kept { b"true".to_vec() } else { b"false".to_vec() });
    let mut changes = Vec::new();
    let mut cursor = Cursor::new(response);
    if cursor.peek() != Some(b'{') {
        return changes;
    }
    let begin = cursor.place() + 1 + offset;
    let mut members = 0;
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        members += 1;
        let value = match &*key.bytes() {
            b"previous_response_id" => previous.take(),
            b"store" => kept.take(),
            _ => None,
        };
        let at = cursor.span();
        changes.extend(value.map(|value| (at.start + offset..at.end + offset, value)));
    }
    let absent = [("previous_response_id", previous), ("store", kept)];
    for (name, value) in absent.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        let mut text = format!("\"{name}\":").into_bytes();
        text.extend_from_slice(&value);
        if members > 0 {
            text.push(b',');
        }
        members += 1;
        // What comes later goes before: each has its comma after it, but for the first into nothing.
        changes.insert(0, (begin..begin, text));
    }
    changes
}

/// The id that the client knows it by.
pub fn id_of(response: &[u8]) -> Option<String> {
    let text = member(response, b"id")?;
    let id = Cursor::new(text).text()?.decode().into_owned();
    (!id.is_empty()).then_some(id)
}

/// Its items, as the text of an array; empty where it has none.
pub fn output_of(response: &[u8]) -> &[u8] {
    member(response, b"output").filter(|output| output.starts_with(b"[")).unwrap_or(b"[]")
}

/// Where a member of an object stands.
pub(super) fn span_of(object: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let mut cursor = Cursor::new(object);
    let mut members = cursor.object();
    while let Some(key) = cursor.key(&mut members) {
        if &*key.bytes() == name {
            return Some(cursor.span());
        }
        cursor.skip();
    }
    None
}

/// A member of an object, as it is written.
pub(super) fn member<'a>(object: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    object.get(span_of(object, name)?)
}
