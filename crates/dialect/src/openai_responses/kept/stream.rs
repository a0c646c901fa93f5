//! A stream on its way to the client, which takes the response to be kept out of it.
//!
//! Events that repeat the response are told the truth ([`Told`]); all others pass as they came. The last one is held until
//! it is known whether the response could be kept, and says so.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use super::response::{Told, changes, member, output_of, span_of, state};
use crate::cursor::Cursor;
use crate::gate;
use crate::intake::{splice_in, word_at};
use crate::sse::{EVENT_BYTES_MAX, SseEvent, SseParser};

/// Passes the stream.
#[derive(Debug)]
pub struct Keeper {
    told: Told,
    parser: SseParser,
    /// Bytes of the unfinished event.
    held: Vec<u8>,
    /// Items that were said to be done, for hosts whose last event doesn't repeat them.
    items: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Open,
    /// The last event, where its response stands in it, and what came after it.
    Ended {
        event: Bytes,
        response: Range<usize>,
        after: Vec<Bytes>,
    },
    /// Nothing more is looked at.
    Passing,
}

/// What an event is to us.
enum Kind {
    /// It repeats the response, and more follows.
    Repeats,
    /// It is the last one, and has the response as it ended.
    Last,
    /// An item is done.
    Item,
    Other,
}

impl Keeper {
    /// Of a stream of which that is true, if it can be kept at its end.
    pub fn new(told: Told) -> Self {
        Self {
            told,
            parser: SseParser::default(),
            held: Vec::new(),
            items: Vec::new(),
            state: State::Open,
        }
    }

    /// Takes a piece; pushes what the client gets by now.
    pub fn feed(&mut self, piece: &Bytes, out: &mut VecDeque<Bytes>) {
        match &mut self.state {
            State::Passing => return out.push_back(piece.clone()),
            State::Ended { after, .. } => return after.push(piece.clone()),
            State::Open => {}
        }
        let mut parser = std::mem::take(&mut self.parser);
        let mut from = 0;
        let fed = parser.blocks(piece, |block| {
            self.event(block.event, piece.slice(from..block.end), out);
            from = block.end;
        });
        self.parser = parser;
        let rest = piece.slice(from..);
        match &mut self.state {
            State::Open if fed.is_err() => {
                // Longer than anything that could be kept.
                self.give_up(out);
                out.push_back(rest);
            }
            State::Open => self.held.extend_from_slice(&rest),
            State::Ended { after, .. } => after.push(rest),
            State::Passing => out.push_back(rest),
        }
    }

    /// The stream ended, in order or not: an event that has no blank line behind it counts all the same.
    pub fn end(&mut self, out: &mut VecDeque<Bytes>) {
        if matches!(self.state, State::Open) && !self.held.is_empty() {
            let mut parser = std::mem::take(&mut self.parser);
            let mut kind = None;
            parser.rest(|event| kind = Some(found(&event)));
            let raw = Bytes::from(std::mem::take(&mut self.held));
            match kind {
                Some(Kind::Last) => self.last(raw, out),
                Some(_) | None => out.push_back(raw),
            }
        }
    }

    /// The response as it ended, once it has: what is to be kept. With its items, where it does not repeat them itself.
    pub fn response(&self) -> Option<(Bytes, Option<Vec<u8>>)> {
        let State::Ended { event, response, .. } = &self.state else { return None };
        let response = state(&event.slice(response.clone()), &self.told);
        let is_empty = { Cursor::new(output_of(&response)) }.is_empty_array();
        let items = || [b"[".as_slice(), &self.items, b"]"].concat();
        let output = (is_empty && !self.items.is_empty()).then(items);
        Some((response, output))
    }

    /// Lets the last event go, which says whether the response is kept.
    pub fn close(&mut self, kept: bool, out: &mut VecDeque<Bytes>) {
        let state = std::mem::replace(&mut self.state, State::Passing);
        let State::Ended { event, response, after } = state else { return };
        let told = Told { kept: self.told.kept.map(|wanted| wanted && kept), ..self.told.clone() };
        out.push_back(told_in(&event, response, &told));
        out.extend(after);
    }

    fn give_up(&mut self, out: &mut VecDeque<Bytes>) {
        self.state = State::Passing;
        out.push_back(Bytes::from(std::mem::take(&mut self.held)));
    }

    /// A block of the stream, whose bytes end with this piece.
    fn event(&mut self, event: Option<SseEvent<'_>>, end: Bytes, out: &mut VecDeque<Bytes>) {
        if let State::Ended { after, .. } = &mut self.state {
            return after.push(end);
        }
        let kind = event.as_ref().map_or(Kind::Other, found);
        if let (Kind::Item, Some(event)) = (&kind, &event) {
            self.item(event.data);
        }
        match kind {
            Kind::Other | Kind::Item => {
                if !self.held.is_empty() {
                    out.push_back(Bytes::from(std::mem::take(&mut self.held)));
                }
                out.push_back(end);
            }
            Kind::Repeats => {
                let raw = self.raw(end);
                match place(&raw) {
                    Some(response) => out.push_back(told_in(&raw, response, &self.told)),
                    None => out.push_back(raw),
                }
            }
            Kind::Last => {
                let raw = self.raw(end);
                self.last(raw, out);
            }
        }
    }

    fn raw(&mut self, end: Bytes) -> Bytes {
        if self.held.is_empty() {
            return end;
        }
        self.held.extend_from_slice(&end);
        Bytes::from(std::mem::take(&mut self.held))
    }

    fn last(&mut self, event: Bytes, out: &mut VecDeque<Bytes>) {
        if let Some(response) = place(&event) {
            self.state = State::Ended { event, response, after: Vec::new() };
        } else {
            self.state = State::Passing;
            out.push_back(event);
        }
    }

    fn item(&mut self, data: &[u8]) {
        let item = member(data, b"item").unwrap_or_default();
        if self.items.len() + item.len() > EVENT_BYTES_MAX {
            return;
        }
        if !self.items.is_empty() && !item.is_empty() {
            self.items.push(b',');
        }
        self.items.extend_from_slice(item);
    }
}

/// What an event is, by its name, or by the type in its data where it has none.
fn found(event: &SseEvent<'_>) -> Kind {
    let kind = |name: &[u8]| match name {
        b"response.created" | b"response.in_progress" | b"response.queued" => Kind::Repeats,
        b"response.completed" | b"response.incomplete" => Kind::Last,
        b"response.output_item.done" => Kind::Item,
        _ => Kind::Other,
    };
    if !event.event.is_empty() {
        return kind(event.event);
    }
    word_at(&mut Cursor::new(event.data), "type").map_or(Kind::Other, |word| kind(&word.bytes()))
}

/// Where the response stands in an event whose data is one line, as everybody writes it.
fn place(raw: &[u8]) -> Option<Range<usize>> {
    let mut data = None;
    let mut at = 0;
    for line in raw.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
        if line.starts_with(b"data:")
            && data.replace(at + b"data:".len()..at + line.len()).is_some()
        {
            return None;
        }
        at += line.len();
    }
    let data = data?;
    let response = span_of(raw.get(data.clone())?, b"response")?;
    let place = data.start + response.start..data.start + response.end;
    gate::is_object(raw.get(place.clone())?).then_some(place)
}

fn told_in(event: &Bytes, response: Range<usize>, told: &Told) -> Bytes {
    let text = event.get(response.clone()).unwrap_or_default();
    splice_in(event, changes(text, response.start, told))
}
