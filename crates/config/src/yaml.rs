//! YAML text to the generic tree. The only module that knows the YAML library.
//!
//! It uses the event interface of the parser below serde-saphyr, because serde's data model loses the place of
//! every node and stops at the first problem. Anchors, aliases, tags and several documents are refused: a
//! configuration needs none of them, and each has been a way to make a small file mean something unseen.

use granit_parser::{Event, Parser, ScalarStyle, Span, options};

use crate::diagnostic::{Diagnostic, Severity};
use crate::tree::{Entry, Node, Place, Value};

/// Deepest nesting; the deepest legal key is at five.
const DEPTH_MAX: usize = 32;

/// Longest file, in bytes.
const LEN_MAX: usize = 4 << 20;

/// Reads one document. An empty text is an empty mapping.
pub(crate) fn parse(text: &str, file: &str) -> Result<Node, Diagnostic> {
    if text.len() > LEN_MAX {
        let message = format!("the file is larger than {LEN_MAX} bytes");
        return Err(problem("E0001", file, &Place::at(1, 1, 1), message, None));
    }
    let options = options! { emit_comments: false, disallow_directives: true };
    let mut builder = Builder { file, text, open: Vec::new(), done: None };
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => builder.event(event, &span)?,
            Err(error) => {
                let mark = error.marker();
                let place = Place::at(mark.line(), mark.col() + 1, 1);
                let message = format!("this is not YAML: {}", error.kind());
                return Err(problem("E0001", file, &place, message, yaml_hint(text, &place)));
            }
        }
    }
    Ok(builder.done.unwrap_or_else(Node::empty_map))
}

/// The commonest slip, a tab, is worth naming.
fn yaml_hint(text: &str, place: &Place) -> Option<String> {
    let line = text.lines().nth(place.line.checked_sub(1)?)?;
    line.trim_start_matches(' ').starts_with('\t').then(|| "indent with spaces, not tabs".into())
}

fn problem(
    code: &'static str,
    file: &str,
    place: &Place,
    message: String,
    help: Option<String>,
) -> Diagnostic {
    Diagnostic {
        code,
        severity: Severity::Error,
        message,
        file: file.into(),
        line: place.line,
        column: place.column,
        width: place.width,
        help,
        suggestion: None,
    }
}

/// A collection whose end has not been seen.
struct Open {
    node: Node,
    key: Option<(String, Place)>,
}

struct Builder<'a> {
    file: &'a str,
    text: &'a str,
    open: Vec<Open>,
    done: Option<Node>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Diagnostic> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), span)?;
                let quoted = style != ScalarStyle::Plain;
                let place = self.place(span);
                let null = !quoted && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if null {
                    Value::Null
                } else {
                    Value::Scalar { text: text.into_owned(), quoted }
                };
                self.push(Node { value, place })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), span)?;
                self.begin(Value::List(Vec::new()), span)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_marks(anchor, tag.is_some(), span)?;
                self.begin(Value::Map(Vec::new()), span)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.push(open.node),
                None => Ok(()),
            },
            Event::Alias(_) | Event::UnresolvedAlias(_) | Event::Anchor(_, _) => {
                self.refuse_marks(1, false, span)
            }
            Event::DocumentStart(..) if self.done.is_some() => {
                let message = "a second document: the configuration is one document".into();
                Err(problem("E0002", self.file, &self.place(span), message, None))
            }
            _ => Ok(()),
        }
    }

    fn refuse_marks(&self, anchor: usize, tagged: bool, span: &Span) -> Result<(), Diagnostic> {
        if anchor == 0 && !tagged {
            return Ok(());
        }
        let message = "anchors, aliases and tags are not used here".into();
        let help = Some("write the value out".into());
        Err(problem("E0002", self.file, &self.place(span), message, help))
    }

    fn begin(&mut self, value: Value, span: &Span) -> Result<(), Diagnostic> {
        let place = self.place(span);
        if self.open.len() >= DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(problem("E0002", self.file, &place, message, None));
        }
        self.open.push(Open { node: Node { value, place }, key: None });
        Ok(())
    }

    fn push(&mut self, node: Node) -> Result<(), Diagnostic> {
        let Some(open) = self.open.last_mut() else {
            self.done = Some(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some((key, key_place))) => {
                entries.push(Entry { key, key_place, value: node });
            }
            (Value::Map(_), None) => match node.value {
                Value::Scalar { text, .. } => open.key = Some((text, node.place)),
                Value::Null | Value::List(_) | Value::Map(_) => {
                    let message = "a key must be a name".into();
                    return Err(problem("E0002", self.file, &node.place, message, None));
                }
            },
            (Value::Null | Value::Scalar { .. }, _) => {}
        }
        Ok(())
    }

    /// The first line of a span; an empty span (a missing value) is one column wide.
    fn place(&self, span: &Span) -> Place {
        let width = span
            .slice(self.text)
            .and_then(|slice| slice.lines().next())
            .map_or(1, |line| line.trim_end().chars().count());
        Place::at(span.start.line(), span.start.col() + 1, width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let tree = parse("a: 1\nbä:\n  c: \"x y\" # note\n", "f").unwrap();
        let entries = tree.entries();
        assert_eq!((entries[1].key_place.line, entries[1].key_place.column), (2, 1));
        assert_eq!(entries[1].key_place.width, 2);
        let inner = &entries[1].value.entries()[0];
        assert_eq!((inner.value.place.line, inner.value.place.column), (3, 6));
        assert_eq!(inner.value.place.width, 5);
    }

    #[test]
    fn repeated_keys_are_kept_for_the_checker() {
        assert_eq!(parse("a: 1\na: 2\n", "f").unwrap().entries().len(), 2);
    }

    #[test]
    fn what_a_configuration_does_not_need_is_refused_with_its_place() {
        for (text, line) in [
            ("a: &x 1\nb: *x\n", 1),
            ("a: !!str 1\n", 1),
            ("a: 1\n---\nb: 2\n", 2),
            ("? [a]\n: b\n", 1),
        ] {
            let error = parse(text, "f").unwrap_err();
            assert_eq!((error.code, error.line), ("E0002", line), "{text:?}");
        }
        assert_eq!(parse("a: [1\nb: 2", "f").unwrap_err().code, "E0001");
        let deep = format!("a: {}1{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(parse(&deep, "f").unwrap_err().code, "E0002");
    }

    #[test]
    fn an_empty_file_is_an_empty_mapping() {
        assert_eq!(parse("# nothing\n", "f").unwrap().entries(), &[]);
    }
}
