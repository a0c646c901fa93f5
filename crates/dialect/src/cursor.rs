//! A place in JSON text that moves forward: reads what is asked for and skips the rest, without a tree.
//!
//! Requests have passed the gate before; answers come as they are. So nothing here trusts its bytes: on anything
//! malformed the cursor goes to the end, where every question is answered with nothing.

use std::borrow::Cow;
use std::ops::Range;

use crate::gate::{Unescaped, plain_length};

/// A string as written, without its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// Whether it stands for that text.
    pub(crate) fn is(&self, text: &str) -> bool {
        if self.escaped {
            Unescaped::new(self.raw).eq(text.bytes())
        } else {
            self.raw == text.as_bytes()
        }
    }

    /// The text's bytes, for comparing with a few known ones.
    pub(crate) fn bytes(&self) -> Cow<'a, [u8]> {
        if self.escaped {
            Cow::Owned(Unescaped::new(self.raw).collect())
        } else {
            Cow::Borrowed(self.raw)
        }
    }

    /// The text; bytes that are not UTF-8 are replaced.
    pub(crate) fn decode(&self) -> Cow<'a, str> {
        if self.escaped {
            let bytes: Vec<u8> = Unescaped::new(self.raw).collect();
            Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
        } else {
            // Nearly always so, and much faster than looking for what is not.
            std::str::from_utf8(self.raw)
                .map_or_else(|_| String::from_utf8_lossy(self.raw), Cow::Borrowed)
        }
    }

    /// The text's length in UTF-8 bytes. A surrogate pair is counted as the six bytes of its two halves: an upper
    /// bound.
    pub(crate) fn len(&self) -> usize {
        if !self.escaped {
            return self.raw.len();
        }
        let mut saved = 0;
        let mut at = 0;
        while let Some(rest) = self.raw.get(at..)
            && let Some(next) = memchr::memchr(b'\\', rest)
        {
            // An escape of two bytes stands for one, one of six for at most three.
            let unicode = rest.get(next + 1) == Some(&b'u');
            saved += if unicode { 3 } else { 1 };
            at += next + if unicode { 6 } else { 2 };
        }
        self.raw.len().saturating_sub(saved)
    }

    /// Whether nothing is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}

/// The place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Goes on from there, where a value begins.
    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The first byte of the next value (or of what stands in its place).
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Where the next value begins.
    pub(crate) fn place(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// Where the value that was just read ended.
    pub(crate) fn place_passed(&self) -> usize {
        self.at
    }

    /// Whether the next value is written exactly so; it is not passed.
    pub(crate) fn raw_is(&self, written: &str) -> bool {
        { *self }.raw() == written.as_bytes()
    }

    /// Whether the next value is an array without items; it is not passed.
    pub(crate) fn is_empty_array(&self) -> bool {
        let mut ahead = *self;
        let mut items = ahead.array();
        items.inside && !ahead.item(&mut items)
    }

    pub(crate) fn is_null(&mut self) -> bool {
        self.peek() == Some(b'n')
    }

    fn fail(&mut self) {
        self.at = self.bytes.len();
    }

    fn pass(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Enters an object; any other value is skipped and has no keys.
    pub(crate) fn object(&mut self) -> Members {
        self.enter(b'{')
    }

    /// Enters an array; any other value is skipped and has no items.
    pub(crate) fn array(&mut self) -> Members {
        self.enter(b'[')
    }

    fn enter(&mut self, opening: u8) -> Members {
        let inside = self.pass(opening);
        if !inside {
            self.skip();
        }
        Members { first: true, inside }
    }

    /// Passes a comma, or the end of the container.
    fn next(&mut self, members: &mut Members, closing: u8) -> bool {
        if !members.inside {
            return false;
        }
        if self.pass(closing) {
            members.inside = false;
            return false;
        }
        if !members.first && !self.pass(b',') {
            self.fail();
        }
        members.first = false;
        if self.peek().is_none() {
            members.inside = false;
        }
        members.inside
    }

    /// The next key of the object; its value is next, and must be read or skipped.
    pub(crate) fn key(&mut self, members: &mut Members) -> Option<Text<'a>> {
        if !self.next(members, b'}') {
            return None;
        }
        let key = self.text();
        if key.is_none() || !self.pass(b':') {
            self.fail();
            members.inside = false;
            return None;
        }
        key
    }

    /// Whether there is another item in the array; it is next, and must be read or skipped.
    pub(crate) fn item(&mut self, members: &mut Members) -> bool {
        self.next(members, b']')
    }

    /// A string. `None`, and the value is skipped, when it is something else.
    pub(crate) fn text(&mut self) -> Option<Text<'a>> {
        if self.peek() != Some(b'"') {
            self.skip();
            return None;
        }
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let length = plain_length::<false>(rest);
            self.at += length;
            match rest.get(length) {
                Some(b'"') => {
                    let raw = self.bytes.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Some(Text { raw, escaped });
                }
                Some(_) => {
                    escaped = true;
                    self.at = (self.at + 2).min(self.bytes.len());
                }
                None => {
                    self.fail();
                    return None;
                }
            }
        }
    }

    /// A boolean; `None`, and the value is skipped, when it is something else.
    pub(crate) fn boolean(&mut self) -> Option<bool> {
        match self.raw() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// A whole number that is not negative; `None`, and the value is skipped, when it is something else.
    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        let raw = self.raw();
        if raw.is_empty() || raw.len() > 19 {
            return None;
        }
        raw.iter().try_fold(0_u64, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
        })
    }

    /// The next value's bytes.
    pub(crate) fn raw(&mut self) -> &'a [u8] {
        let span = self.span();
        self.bytes.get(span).unwrap_or_default()
    }

    /// Where the next value stands; it is passed.
    pub(crate) fn span(&mut self) -> Range<usize> {
        let start = self.place();
        self.skip();
        start..self.at
    }

    /// Passes the next value.
    pub(crate) fn skip(&mut self) {
        match self.peek() {
            None => {}
            Some(b'"') => {
                self.text();
            }
            Some(b'{' | b'[') => self.skip_container(),
            Some(b',' | b':' | b'}' | b']') => self.fail(),
            Some(_) => {
                let rest = self.bytes.get(self.at..).unwrap_or_default();
                let end =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
                self.at += rest.iter().position(end).unwrap_or(rest.len());
            }
        }
    }

    fn skip_container(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.text();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
    }
}

/// Where one is in a container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Members {
    first: bool,
    inside: bool,
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn reads_what_is_asked_and_skips_the_rest() {
        let mut cursor =
            Cursor::new(br#" {"a" : [1, {"x":"]}"}, "s\"" ], "b\u0063": 42 , "d":null}"#);
        let mut object = cursor.object();
        let key = cursor.key(&mut object).unwrap();
        assert!(key.is("a"));
        assert_eq!(cursor.raw(), br#"[1, {"x":"]}"}, "s\"" ]"#);
        assert!(cursor.key(&mut object).unwrap().is("bc"));
        assert_eq!(cursor.unsigned(), Some(42));
        assert!(cursor.key(&mut object).unwrap().is("d"));
        assert!(cursor.is_null());
        cursor.skip();
        assert!(cursor.key(&mut object).is_none());
        assert_eq!(cursor.peek(), None);
    }

    #[test]
    fn malformed_text_ends_every_loop() {
        for text in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":}",
            "{\"a\" 1}",
            "[,,]",
            "[1 2]",
            "{]",
            "\"\\",
            "[\"\\",
        ] {
            let mut cursor = Cursor::new(text.as_bytes());
            let mut object = cursor.object();
            while cursor.key(&mut object).is_some() {
                cursor.skip();
            }
            let mut cursor = Cursor::new(text.as_bytes());
            let mut array = cursor.array();
            while cursor.item(&mut array) {
                cursor.skip();
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn the_length_is_never_below_the_text(text: String) {
            let raw = serde_json::to_string(&text).unwrap();
            let mut ascii = String::new();
            for unit in text.encode_utf16() {
                write!(ascii, "\\u{unit:04x}").unwrap();
            }
            for raw in [raw, format!("\"{ascii}\"")] {
                let read = Cursor::new(raw.as_bytes()).text().unwrap();
                proptest::prop_assert!(read.len() >= text.len());
                proptest::prop_assert!(read.is(&text));
                proptest::prop_assert_eq!(read.decode(), text.as_str());
            }
        }
    }
}
