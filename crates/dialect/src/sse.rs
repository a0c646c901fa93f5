//! The WHATWG event-stream grammar on bytes, in any chunking.
//!
//! Lines end with CR, LF or CRLF and with nothing else (U+2028 is text). An event that lies within one piece is
//! handed over as slices of that piece; only what a piece leaves unfinished is copied.

use std::ops::Range;

/// Largest event: type, data and the unfinished line together.
pub const EVENT_BYTES_MAX: usize = 8 << 20;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// Its `event:` field; empty without one.
    pub event: &'a [u8],
    /// Its `data:` lines, joined by line feeds.
    pub data: &'a [u8],
}

/// An event beyond the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than the cap")]
pub struct EventTooLarge;

/// A block of lines up to its blank line: an event, or comments and fields without data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    /// The event; `None` when the block has no data.
    pub(crate) event: Option<SseEvent<'a>>,
    /// Where the block ends in the piece that was fed.
    pub(crate) end: usize,
}

/// A field's bytes: a part of the piece being read, or copied because it began in an earlier piece or line.
#[derive(Debug, Default)]
enum Field {
    #[default]
    Absent,
    Here(Range<usize>),
    Copied,
}

/// The parser. After [`EventTooLarge`] it is spent.
#[derive(Debug, Default)]
pub struct SseParser {
    /// Bytes of a byte order mark seen so far; [`BOM_PAST`] when there is none to come.
    bom: u8,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    /// An unfinished line of earlier pieces.
    line: Vec<u8>,
    data: Field,
    event: Field,
    data_copy: Vec<u8>,
    event_copy: Vec<u8>,
    /// Largest event where it is not [`EVENT_BYTES_MAX`].
    most: Option<usize>,
}

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
const BOM_PAST: u8 = 4;

impl SseParser {
    /// One that takes events of up to so many bytes.
    pub(crate) fn up_to(most: usize) -> Self {
        Self { most: Some(most), ..Self::default() }
    }

    /// Takes bytes and hands over each event that they complete. Events whose data is empty are left out: no
    /// dialect has any, some hosts send them to keep a connection alive.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(SseEvent<'_>),
    ) -> Result<(), EventTooLarge> {
        self.blocks(bytes, |block| {
            if let Some(event) = block.event.filter(|event| !event.data.is_empty()) {
                on_event(event);
            }
        })
    }

    /// Hands over what stands there unfinished, as if a blank line followed. The grammar drops an event that the
    /// stream's end cuts; whoever reads a bill off the stream wants it all the same.
    pub(crate) fn rest(&mut self, mut on_event: impl FnMut(SseEvent<'_>)) {
        if self.blocks(b"\n\n", |block| block.event.into_iter().for_each(&mut on_event)).is_err() {
            *self = Self::default();
        }
    }

    /// Takes bytes and hands over each block that they complete.
    pub(crate) fn blocks(
        &mut self,
        bytes: &[u8],
        mut on_block: impl FnMut(Block<'_>),
    ) -> Result<(), EventTooLarge> {
        let mut at = self.pass_bom(bytes);
        if self.after_cr && at < bytes.len() {
            self.after_cr = false;
            at += usize::from(bytes.get(at) == Some(&b'\n'));
        }
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(length) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.line.extend_from_slice(rest);
                break;
            };
            let line = at..at + length;
            at = self.pass_line_end(bytes, line.end);
            if self.line.is_empty() && line.is_empty() {
                let event = self.take(bytes);
                on_block(Block { event, end: at });
                self.clear();
            } else if self.line.is_empty() {
                self.field_here(bytes, line);
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(bytes.get(line).unwrap_or_default());
                self.field_copied(&whole);
                whole.clear();
                self.line = whole;
            }
        }
        self.keep(bytes);
        let length = self.line.len() + self.data_copy.len() + self.event_copy.len();
        if length > self.most.unwrap_or(EVENT_BYTES_MAX) {
            return Err(EventTooLarge);
        }
        Ok(())
    }

    fn pass_bom(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while self.bom < BOM_PAST {
            if usize::from(self.bom) == BOM.len() {
                self.bom = BOM_PAST;
                break;
            }
            let Some(byte) = bytes.get(at) else { break };
            if Some(byte) == BOM.get(usize::from(self.bom)) {
                self.bom += 1;
                at += 1;
            } else {
                // What looked like a mark is the beginning of a line.
                self.line.extend(BOM.iter().take(usize::from(self.bom)));
                self.bom = BOM_PAST;
                // Bytes of this piece are read from its own beginning of that line on.
                break;
            }
        }
        at
    }

    /// Where the next line begins, after the line end at `at`.
    fn pass_line_end(&mut self, bytes: &[u8], at: usize) -> usize {
        if bytes.get(at) == Some(&b'\r') {
            match bytes.get(at + 1) {
                Some(b'\n') => return at + 2,
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        at + 1
    }

    /// A line that lies within the piece.
    fn field_here(&mut self, bytes: &[u8], line: Range<usize>) {
        let text = bytes.get(line.clone()).unwrap_or_default();
        let (kind, value) = split(text);
        let place = line.end - value.len()..line.end;
        match (kind, &self.data) {
            (Kind::Data, Field::Absent) => self.data = Field::Here(place),
            (Kind::Data, _) => self.add_data(bytes, value),
            (Kind::Event, _) => self.event = Field::Here(place),
            (Kind::Other, _) => {}
        }
    }

    /// A line that began in an earlier piece; nothing of this piece is kept yet.
    fn field_copied(&mut self, line: &[u8]) {
        let (kind, value) = split(line);
        match kind {
            Kind::Data => self.add_data(&[], value),
            Kind::Event => {
                self.event_copy.clear();
                self.event_copy.extend_from_slice(value);
                self.event = Field::Copied;
            }
            Kind::Other => {}
        }
    }

    fn add_data(&mut self, bytes: &[u8], value: &[u8]) {
        match std::mem::replace(&mut self.data, Field::Copied) {
            Field::Absent => {}
            Field::Here(place) => {
                self.data_copy.extend_from_slice(bytes.get(place).unwrap_or_default());
                self.data_copy.push(b'\n');
            }
            Field::Copied => self.data_copy.push(b'\n'),
        }
        self.data_copy.extend_from_slice(value);
    }

    fn take<'a>(&'a self, bytes: &'a [u8]) -> Option<SseEvent<'a>> {
        let data = field(&self.data, &self.data_copy, bytes)?;
        let event = field(&self.event, &self.event_copy, bytes).unwrap_or_default();
        Some(SseEvent { event, data })
    }

    fn clear(&mut self) {
        self.data = Field::Absent;
        self.event = Field::Absent;
        self.data_copy.clear();
        self.event_copy.clear();
    }

    /// Copies what the next piece must still know of this one.
    fn keep(&mut self, bytes: &[u8]) {
        if let Field::Here(place) = &self.data {
            self.data_copy.extend_from_slice(bytes.get(place.clone()).unwrap_or_default());
            self.data = Field::Copied;
        }
        if let Field::Here(place) = &self.event {
            self.event_copy.clear();
            self.event_copy.extend_from_slice(bytes.get(place.clone()).unwrap_or_default());
            self.event = Field::Copied;
        }
    }
}

fn field<'a>(field: &Field, copy: &'a [u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    match field {
        Field::Absent => None,
        Field::Here(place) => bytes.get(place.clone()),
        Field::Copied => Some(copy),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Data,
    Event,
    Other,
}

/// A line's field and value; one space after the colon is not part of the value.
fn split(line: &[u8]) -> (Kind, &[u8]) {
    let (kind, rest) = if let Some(rest) = line.strip_prefix(b"data") {
        (Kind::Data, rest)
    } else if let Some(rest) = line.strip_prefix(b"event") {
        (Kind::Event, rest)
    } else {
        return (Kind::Other, &[]);
    };
    match rest {
        [] => (kind, rest),
        [b':', value @ ..] => (kind, value.strip_prefix(b" ").unwrap_or(value)),
        _ => (Kind::Other, &[]),
    }
}

#[cfg(test)]
mod tests;
