//! What a request says of kept responses, and the request that says all that it is about.

use std::ops::Range;

use bytes::Bytes;

use super::super::peek::{Cuts, is_foreign};
use super::super::write_request::INCLUDE_ENCRYPTED;
use super::response::span_of;
use crate::cursor::Cursor;
use crate::intake::{boolean, splice_in, word_at, wrong};
use crate::wire::{FieldError, Peek};

/// A response that was kept: the items of its request and of its answer, each as the text of an array.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'a> {
    /// What was asked.
    pub input: &'a [u8],
    /// What was answered.
    pub output: &'a [u8],
    /// Which provider reasoned: what it encrypted is for it alone. Empty where that doesn't matter.
    pub provider: &'a str,
}

/// What a request says of kept responses.
#[derive(Debug)]
pub struct Asked {
    /// The response that it builds on.
    pub previous: Option<String>,
    /// Whether its own response is to be kept: unless `store` is `false`.
    pub keeps: bool,
    previous_at: Option<Range<usize>>,
    store_at: Option<Range<usize>>,
    input_at: Option<Range<usize>>,
    include_at: Option<Range<usize>>,
    /// Right after the opening brace.
    begin: usize,
    members: usize,
    reasons: bool,
    includes_reasoning: bool,
}

/// A request that says all that it is about.
#[derive(Debug)]
pub struct Whole {
    /// Its body: of the earlier responses' items, and of this one's.
    pub body: Bytes,
    /// Whether reasoning of earlier turns is missing: a provider gives it back only for what it encrypted.
    pub lost_reasoning: bool,
    /// Where items stand that only the named provider can read, in [`Whole::body`].
    pub bound: Vec<(Range<usize>, String)>,
}

impl Asked {
    /// Of a body that has passed the gate.
    ///
    /// # Errors
    /// A field that has no meaning.
    pub fn of(body: &[u8]) -> Result<Self, FieldError> {
        let mut cursor = Cursor::new(body);
        let begin = cursor.place() + 1;
        let mut it = Self {
            previous: None,
            keeps: true,
            previous_at: None,
            store_at: None,
            input_at: None,
            include_at: None,
            begin,
            members: 0,
            reasons: false,
            includes_reasoning: false,
        };
        let mut top = cursor.object();
        let mut before = begin;
        while let Some(key) = cursor.key(&mut top) {
            it.members += 1;
            let start = cursor.place();
            match &*key.bytes() {
                b"previous_response_id" => {
                    it.read_previous(&mut cursor)?;
                    it.previous_at = Some(before..cursor.place_passed());
                }
                b"store" => {
                    let off = cursor.raw_is("false");
                    boolean(&mut cursor, "store")?;
                    it.keeps = !off;
                    it.store_at = Some(start..cursor.place_passed());
                }
                b"input" => it.input_at = Some(cursor.span()),
                b"reasoning" => {
                    let effort = word_at(&mut cursor, "effort");
                    it.reasons = effort.is_some_and(|word| !word.is("none"));
                }
                b"include" => it.read_include(&mut cursor),
                _ => cursor.skip(),
            }
            before = cursor.place_passed();
        }
        Ok(it)
    }

    fn read_previous(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
        if cursor.is_null() {
            cursor.skip();
            return Ok(());
        }
        let start = cursor.place();
        let text = cursor
            .text()
            .ok_or_else(|| wrong("previous_response_id", start, "expected the id of a response"))?;
        self.previous = Some(text.decode().into_owned());
        Ok(())
    }

    fn read_include(&mut self, cursor: &mut Cursor<'_>) {
        let mut ahead = *cursor;
        self.include_at = Some(cursor.span());
        let mut items = ahead.array();
        while ahead.item(&mut items) {
            self.includes_reasoning |= ahead.text().is_some_and(|word| word.is(INCLUDE_ENCRYPTED));
        }
    }

    /// The items of this request alone, as the text of an array.
    pub fn input(&self, body: &[u8]) -> Vec<u8> {
        let mut out = vec![b'['];
        out.extend_from_slice(&self.own_items(body));
        out.push(b']');
        out
    }

    /// The items between the brackets; a string is the message of a user.
    fn own_items(&self, body: &[u8]) -> Vec<u8> {
        let raw = self.input_at.clone().and_then(|at| body.get(at)).unwrap_or_default();
        match raw.first() {
            Some(b'[') => inner(raw).to_vec(),
            Some(b'"') => [br#"{"role":"user","content":"#, raw, b"}"].concat(),
            // Nothing, or what is no input: that is said where the request is read.
            _ => Vec::new(),
        }
    }

    /// The request with the earlier turns' items before its own, first turn first. It refers to nothing any more, and what
    /// is kept here is not to be kept by the provider too.
    pub fn whole(&self, body: &Bytes, turns: &[Turn<'_>]) -> Whole {
        let mut joined = Joined::default();
        for turn in turns {
            joined.plain(inner(turn.input));
            joined.answered(turn);
        }
        let (mut changes, mut added) = (Vec::new(), Vec::new());
        if self.keeps {
            match &self.store_at {
                Some(at) => changes.push((at.clone(), b"false".to_vec())),
                None => added.push(b"\"store\":false".to_vec()),
            }
        }
        // Models that don't reason refuse it, so it is asked for only where reasoning is at hand.
        if self.keeps && !self.includes_reasoning && (self.reasons || joined.reasoned) {
            self.include(body, &mut changes, &mut added);
        }
        let mut items_at = None;
        if let Some(at) = &self.previous_at
            && self.previous.is_some()
        {
            items_at = self.put_items(body, &joined.items, &mut changes, &mut added);
            changes.push((self.cut(body, at.clone()), Vec::new()));
        }
        if !added.is_empty() {
            let is_empty = self.members == usize::from(self.previous.is_some());
            let mut text = added.join(&b',');
            text.extend_from_slice(if is_empty { b"" } else { b"," });
            changes.insert(0, (self.begin..self.begin, text));
        }
        let shift = items_at.map(|place| self.shifted(&place, &changes));
        let bound = joined.bound.into_iter().filter_map(|(at, provider)| {
            let shift = shift? + 1;
            Some((at.start + shift..at.end + shift, provider))
        });
        let bound = bound.collect();
        Whole { body: splice_in(body, changes), lost_reasoning: joined.lost, bound }
    }

    /// Puts earlier items before the request's own; where they are.
    fn put_items(
        &self,
        body: &[u8],
        earlier: &[u8],
        changes: &mut Vec<(Range<usize>, Vec<u8>)>,
        added: &mut Vec<Vec<u8>>,
    ) -> Option<Place> {
        let mut items = earlier.to_vec();
        push_item(&mut items, &self.own_items(body));
        let Some(at) = &self.input_at else {
            let before: usize = added.iter().map(|it| it.len() + 1).sum();
            added.push([b"\"input\":[".as_slice(), &items, b"]"].concat());
            return Some(Place::Added(before + b"\"input\":".len()));
        };
        // What is no input stays, and is refused where it is read.
        matches!(body.get(at.start), Some(b'[' | b'"' | b'n')).then(|| {
            changes.push((at.clone(), [b"[".as_slice(), &items, b"]"].concat()));
            Place::There(at.start)
        })
    }

    /// Where the items begin, once all is changed.
    fn shifted(&self, place: &Place, changes: &[(Range<usize>, Vec<u8>)]) -> usize {
        let at = match place {
            Place::Added(offset) => return self.begin + offset,
            Place::There(at) => *at,
        };
        let before = changes.iter().filter(|(range, _)| range.start < at);
        let (gone, come) = before
            .fold((0, 0), |(gone, come), (range, text)| (gone + range.len(), come + text.len()));
        at + come - gone
    }

    fn include(
        &self,
        body: &[u8],
        changes: &mut Vec<(Range<usize>, Vec<u8>)>,
        added: &mut Vec<Vec<u8>>,
    ) {
        let word = format!("\"{INCLUDE_ENCRYPTED}\"");
        let list = self.include_at.clone().and_then(|at| body.get(at.clone()).map(|raw| (at, raw)));
        match list {
            Some((at, raw)) if raw.first() == Some(&b'[') => {
                let comma = if inner(raw).is_empty() { "" } else { "," };
                changes.push((at.start + 1..at.start + 1, format!("{word}{comma}").into()));
            }
            Some((at, b"null")) => changes.push((at, format!("[{word}]").into())),
            // Not a list: that is said where the request is read.
            Some(_) => {}
            None => added.push(format!("\"include\":[{word}]").into()),
        }
    }

    /// A member with one of the commas beside it. `at` begins where the member before ended.
    fn cut(&self, body: &[u8], at: Range<usize>) -> Range<usize> {
        if at.start != self.begin {
            return at;
        }
        let rest = body.get(at.end..).unwrap_or_default();
        let next = rest.iter().position(|byte| !byte.is_ascii_whitespace());
        let comma = next.filter(|next| rest.get(*next) == Some(&b','));
        at.start..at.end + comma.map_or(0, |comma| comma + 1)
    }
}

/// Where the joined items stand.
enum Place {
    /// In the place of the request's own.
    There(usize),
    /// In what is added, so far into it.
    Added(usize),
}

/// Items, one after another, with commas between.
#[derive(Default)]
struct Joined {
    items: Vec<u8>,
    bound: Vec<(Range<usize>, String)>,
    reasoned: bool,
    lost: bool,
}

impl Joined {
    fn plain(&mut self, items: &[u8]) {
        push_item(&mut self.items, items);
    }

    /// The items of an answer, but for reasoning that only its provider's own store could give back.
    fn answered(&mut self, turn: &Turn<'_>) {
        let mut cursor = Cursor::new(turn.output);
        let mut items = cursor.array();
        while cursor.item(&mut items) {
            let raw = cursor.raw();
            match reasoning(raw) {
                Reasoning::No | Reasoning::Plain => self.plain(raw),
                Reasoning::Lost => (self.reasoned, self.lost) = (true, true),
                Reasoning::Encrypted => {
                    self.reasoned = true;
                    self.plain(raw);
                    let at = self.items.len() - raw.len()..self.items.len();
                    if !turn.provider.is_empty() {
                        self.bound.push((at, turn.provider.to_owned()));
                    }
                }
            }
        }
    }
}

/// What an item is to those who get it back.
#[derive(PartialEq, Eq)]
enum Reasoning {
    /// No reasoning.
    No,
    /// Reasoning with its text, or of another dialect's vendor: whoever reads it decides.
    Plain,
    /// With what its provider takes back.
    Encrypted,
    /// Without anything.
    Lost,
}

fn reasoning(item: &[u8]) -> Reasoning {
    let (mut is_reasoning, mut has_text) = (false, false);
    let mut found = Reasoning::Lost;
    let mut cursor = Cursor::new(item);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*key.bytes() {
            b"type" => is_reasoning = cursor.text().is_some_and(|word| word.is("reasoning")),
            b"encrypted_content" => {
                if cursor.text().is_some_and(|text| !text.is_empty()) {
                    let foreign = is_foreign(item);
                    found = if foreign { Reasoning::Plain } else { Reasoning::Encrypted };
                }
            }
            b"content" => {
                has_text = !cursor.is_null() && !cursor.is_empty_array();
                cursor.skip();
            }
            _ => cursor.skip(),
        }
    }
    match (is_reasoning, found) {
        (false, _) => Reasoning::No,
        // Hosts that show the reasoning itself take it back.
        (true, Reasoning::Lost) if has_text => Reasoning::Plain,
        (true, found) => found,
    }
}

/// What stands between the brackets of an array.
fn inner(array: &[u8]) -> &[u8] {
    let array = array.trim_ascii();
    let inner = array.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    inner.unwrap_or_default().trim_ascii()
}

/// Appends items, unless there are none.
fn push_item(out: &mut Vec<u8>, items: &[u8]) {
    if items.is_empty() {
        return;
    }
    if !out.is_empty() {
        out.push(b',');
    }
    out.extend_from_slice(items);
}

/// What is known of a request, for a provider that must not be sent these items of its `input`: [`Whole::bound`] says where
/// they stand.
pub fn without(body: &[u8], peek: &Peek, items: &[Range<usize>]) -> Peek {
    let mut cuts = Cuts::default();
    if let Some(input) = span_of(body, b"input") {
        let mut cursor = Cursor::new(body.get(..input.end).unwrap_or_default());
        cursor.go_to(input.start);
        let mut members = cursor.array();
        while cursor.item(&mut members) {
            let at = cursor.span();
            let raw = body.get(at.clone()).unwrap_or_default();
            cuts.pass(at.clone(), items.contains(&at) || is_foreign(raw));
        }
    }
    // Before those that the peek knows: they lie within these.
    let mut all = cuts.finish();
    all.extend_from_slice(&peek.cuts);
    Peek { cuts: all, ..peek.clone() }
}
