//! A custom tool travels through a dialect without custom tools as a function with one string field, `input`.
//! This takes the text out of `{"input": "..."}` again, also while it streams.

use serde_json::{Value, json};

use crate::loss::Corner;

/// The schema of the stand-in function.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The tool's whole input, as plain text."}},
        "required": ["input"],
        "additionalProperties": false,
    })
}

/// The text of a whole call; what is not the expected wrapper is passed as it is.
pub(crate) fn unwrap(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(value) => match value.get("input").and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => arguments.to_owned(),
        },
        Err(_) => arguments.to_owned(),
    }
}

/// The input of a call for a host that takes objects only; `note` is told where one had to be made.
pub(crate) fn object(input: &str, custom: bool, mut note: impl FnMut(Corner)) -> Value {
    if custom {
        return json!({"input": input});
    }
    if input.trim().is_empty() {
        return json!({});
    }
    serde_json::from_str(input).ok().filter(Value::is_object).unwrap_or_else(|| {
        note(Corner::ToolInput);
        json!({"input": unwrap(input)})
    })
}

/// The wrapper of a text.
pub(crate) fn wrap(text: &str) -> String {
    json!({"input": text}).to_string()
}

/// Takes the text out of fragments. The first string value of the object is the text: the schema allows no
/// other field.
#[derive(Debug, Default)]
pub(crate) struct Unwrapper {
    state: State,
    /// Bytes of an escape sequence, or a high surrogate that waits for its other half.
    escape: String,
    high: Option<u16>,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    /// Before the colon after the key.
    #[default]
    Key,
    /// Between the colon and the opening quote.
    Value,
    /// In the text.
    Text,
    /// In an escape sequence of the text.
    Escape,
    /// After the closing quote.
    Done,
}

impl Unwrapper {
    /// The text that a fragment completes.
    pub(crate) fn feed(&mut self, fragment: &str) -> String {
        let mut out = String::new();
        for letter in fragment.chars() {
            match self.state {
                State::Key if letter == ':' => self.state = State::Value,
                State::Value if letter == '"' => self.state = State::Text,
                State::Text => self.text(letter, &mut out),
                State::Escape => self.escaped(letter, &mut out),
                State::Key | State::Value | State::Done => {}
            }
        }
        out
    }

    fn text(&mut self, letter: char, out: &mut String) {
        match letter {
            '"' => self.state = State::Done,
            '\\' => self.state = State::Escape,
            _ => {
                self.flush_high(out);
                out.push(letter);
            }
        }
    }

    fn escaped(&mut self, letter: char, out: &mut String) {
        self.escape.push(letter);
        if self.escape.starts_with('u') {
            if self.escape.chars().count() == 5 {
                self.unicode(out);
                self.finish_escape();
            }
            return;
        }
        self.flush_high(out);
        out.push(match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            other => other,
        });
        self.finish_escape();
    }

    fn finish_escape(&mut self) {
        self.escape.clear();
        self.state = State::Text;
    }

    fn unicode(&mut self, out: &mut String) {
        let digits = self.escape.trim_start_matches('u');
        let unit = u16::from_str_radix(digits, 16).unwrap_or(0xfffd);
        let units = match self.high.take() {
            Some(high) => vec![high, unit],
            None if (0xd800..0xdc00).contains(&unit) => {
                self.high = Some(unit);
                return;
            }
            None => vec![unit],
        };
        out.extend(
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)),
        );
    }

    fn flush_high(&mut self, out: &mut String) {
        if self.high.take().is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fragments_unwrap_to_the_text(text in ".*", cuts in prop::collection::vec(0usize..200, 0..8)) {
            for wrapped in [wrap(&text), ascii(&wrap(&text))] {
                let mut cuts: Vec<usize> =
                    cuts.iter().map(|cut| cut % (wrapped.chars().count() + 1)).collect();
                cuts.sort_unstable();
                let letters: Vec<char> = wrapped.chars().collect();
                let mut unwrapper = Unwrapper::default();
                let (mut from, mut got) = (0, String::new());
                for cut in cuts.into_iter().chain([letters.len()]) {
                    got += &unwrapper.feed(&letters[from..cut].iter().collect::<String>());
                    from = cut;
                }
                prop_assert_eq!(&got, &text);
                prop_assert_eq!(&unwrap(&wrapped), &text);
            }
        }
    }

    /// Every letter beyond ASCII as `\u` escapes, as some servers write them.
    fn ascii(json: &str) -> String {
        let mut out = String::new();
        for letter in json.chars() {
            if matches!(letter, ' '..='~') {
                out.push(letter);
                continue;
            }
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").unwrap();
            }
        }
        out
    }
}
