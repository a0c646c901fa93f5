//! What the peeks of both dialects share: fields with their errors, edits spliced into a body, the key of a
//! prefix.

use crate::cursor::{Cursor, Text};
use crate::wire::{FieldError, Peek};

/// Bytes allowed per message, tool or part for the markers that a chat template puts around it.
pub(crate) const ALLOWANCE: u64 = 16;

/// Deeper than this, content within content is counted as it is written instead of being entered.
pub(crate) const NESTING_MAX: u32 = 8;

/// A mistake in a field of the top level, with its place.
pub(crate) fn wrong(field: &str, offset: usize, message: &str) -> FieldError {
    FieldError { field: field.to_owned(), offset: Some(offset), message: message.to_owned() }
}

/// A field that must be there and is not.
pub(crate) fn missing(field: &str) -> FieldError {
    FieldError::new(field, "this field is required")
}

/// A string.
pub(crate) fn text<'a>(cursor: &mut Cursor<'a>, field: &str) -> Result<Text<'a>, FieldError> {
    let place = cursor.place();
    cursor.text().ok_or_else(|| wrong(field, place, "expected a string"))
}

/// A boolean; `null` is false.
pub(crate) fn boolean(cursor: &mut Cursor<'_>, field: &str) -> Result<bool, FieldError> {
    let place = cursor.place();
    if cursor.is_null() {
        cursor.skip();
        return Ok(false);
    }
    cursor.boolean().ok_or_else(|| wrong(field, place, "expected true or false"))
}

/// A whole number that is not negative. What bounds the cost of a request must be readable.
pub(crate) fn unsigned(cursor: &mut Cursor<'_>, field: &str) -> Result<u64, FieldError> {
    let place = cursor.place();
    cursor.unsigned().ok_or_else(|| wrong(field, place, "expected a whole number, not negative"))
}

/// The model and where it stands.
pub(crate) fn model(cursor: &mut Cursor<'_>, peek: &mut Peek) -> Result<(), FieldError> {
    let start = cursor.place();
    let name = text(cursor, "model")?;
    peek.model = name.decode().into_owned();
    // The text, and its two quotes.
    peek.model_span = start..start + name.raw.len() + 2;
    Ok(())
}

/// The string values of an object's or a part's field, as text; anything else as it is written.
pub(crate) fn text_or_raw(cursor: &mut Cursor<'_>) -> u64 {
    if cursor.peek() == Some(b'"') {
        return cursor.text().map_or(0, |text| text.len() as u64);
    }
    if cursor.is_null() {
        cursor.skip();
        return 0;
    }
    cursor.raw().len() as u64
}

/// How many items an array has and how long it is as written; passes it.
pub(crate) fn measured_items(cursor: &mut Cursor<'_>, mut each: impl FnMut(Cursor<'_>)) -> u64 {
    let start = cursor.place();
    let mut items = cursor.array();
    let mut count = 0;
    while cursor.item(&mut items) {
        count += 1;
        each(*cursor);
        cursor.skip();
    }
    (cursor.position() - start) as u64 + count * ALLOWANCE
}

/// The value of an object's string field. The cursor is a copy: nothing is passed.
pub(crate) fn string_at<'a>(mut object: Cursor<'a>, name: &str) -> Option<Text<'a>> {
    let mut members = object.object();
    while let Some(key) = object.key(&mut members) {
        if key.is(name) {
            return object.text();
        }
        object.skip();
    }
    None
}

/// Whether a value says anything at all; the cursor is a copy.
pub(crate) fn is_some(mut value: Cursor<'_>) -> bool {
    !value.is_null()
}

/// A stable hash of what providers cache: system prompt, tools and first message, as written. FNV-1a over words
/// of eight bytes instead of single bytes, so that a long prompt costs little.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PrefixKey(u64);

impl Default for PrefixKey {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl PrefixKey {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let word = <[u8; 8]>::try_from(word).map_or(0, u64::from_le_bytes);
            self.mix(word);
        }
        let mut last = [0_u8; 8];
        for (to, from) in last.iter_mut().zip(words.remainder()) {
            *to = *from;
        }
        self.mix(u64::from_le_bytes(last));
        self.mix(bytes.len() as u64);
    }

    fn mix(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        // A product carries only upwards: bring the high bits down again.
        self.0 ^= self.0 >> 29;
    }

    pub(crate) fn finish(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[&[u8]]) -> u64 {
        let mut key = PrefixKey::default();
        parts.iter().for_each(|part| key.add(part));
        key.finish()
    }

    #[test]
    fn prefix_keys_tell_parts_apart() {
        assert_eq!(key(&[b"system", b"tools"]), key(&[b"system", b"tools"]));
        assert_ne!(key(&[b"system", b"tools"]), key(&[b"systemt", b"ools"]));
        assert_ne!(key(&[b"12345678"]), key(&[b"12345679"]));
        assert_ne!(key(&[b"", b"a"]), key(&[b"a", b""]));
    }
}
