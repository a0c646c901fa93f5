//! A JSON array as it streams: what this protocol sends where `alt=sse` was not asked for. Each item is handed over
//! when its last byte has come, in any chunking.

/// Largest item.
const ITEM_BYTES_MAX: usize = crate::sse::EVENT_BYTES_MAX;

/// Not an array of objects, or an item beyond the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream is not a JSON array of objects")]
pub(super) struct BadArray;

/// The splitter.
#[derive(Debug, Default)]
pub(super) struct ArrayParser {
    place: Place,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The beginning of an unfinished item.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the opening bracket.
    #[default]
    Before,
    /// Between items.
    Between,
    /// Within an item.
    Item,
    /// After the closing bracket.
    After,
}

impl ArrayParser {
    /// Whether the array has ended.
    pub(super) fn is_over(&self) -> bool {
        self.place == Place::After
    }

    /// Takes bytes and hands over each item that they complete, with the place in these bytes where it ends.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut on_item: impl FnMut(&[u8], usize),
    ) -> Result<(), BadArray> {
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            match self.place {
                Place::Item => {
                    if !self.passes(*byte) {
                        continue;
                    }
                    let rest = bytes.get(from..=at).unwrap_or_default();
                    if self.held.is_empty() {
                        on_item(rest, at + 1);
                    } else {
                        self.held.extend_from_slice(rest);
                        on_item(&self.held, at + 1);
                        self.held.clear();
                    }
                    self.place = Place::Between;
                }
                _ if byte.is_ascii_whitespace() => {}
                Place::Before if *byte == b'[' => self.place = Place::Between,
                Place::Between if *byte == b',' => {}
                Place::Between if *byte == b']' => self.place = Place::After,
                Place::Between if *byte == b'{' => {
                    self.place = Place::Item;
                    self.depth = 1;
                    from = at;
                }
                Place::Before | Place::Between | Place::After => return Err(BadArray),
            }
        }
        if self.place == Place::Item {
            self.held.extend_from_slice(bytes.get(from..).unwrap_or_default());
            if self.held.len() > ITEM_BYTES_MAX {
                return Err(BadArray);
            }
        }
        Ok(())
    }

    /// Passes a byte of an item; whether it was the last.
    fn passes(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
        let mut parser = ArrayParser::default();
        let mut out = Vec::new();
        for piece in pieces {
            if parser.feed(piece, |item, _| out.push(item.to_vec())).is_err() {
                return (out, false);
            }
        }
        (out, parser.is_over())
    }

    #[test]
    fn items_are_found_whatever_they_hold() {
        let text = br#"[{"a": "]}\"{", "b": [1, {}]}
,
{"c": "\\"}]
"#;
        let (found, over) = items([text.as_slice()]);
        assert!(over);
        assert_eq!(
            found,
            [br#"{"a": "]}\"{", "b": [1, {}]}"#.to_vec(), br#"{"c": "\\"}"#.to_vec()]
        );
        for bad in ["{}", "[1]", "[{}] x", "x"] {
            assert!(!items([bad.as_bytes()]).1, "{bad}");
        }
        assert_eq!(items([b"[]".as_slice()]), (Vec::new(), true));
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(
            values in prop::collection::vec(".*", 0..6),
            cuts in prop::collection::vec(any::<usize>(), 0..10),
            junk in prop::collection::vec(any::<u8>(), 0..4),
            at: usize,
        ) {
            let all: Vec<_> = values.iter().map(|text| serde_json::json!({"t": text, "n": [{}]})).collect();
            let mut bytes = serde_json::to_vec_pretty(&all).unwrap();
            let at = at % (bytes.len() + 1);
            bytes.splice(at..at, junk.iter().copied());
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            prop_assert_eq!(items(pieces), items([bytes.as_slice()]));
        }
    }
}
