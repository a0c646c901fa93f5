//! Answers that pass, watched: what the dialects' tees share. The bytes go on as they came; a reader looks at
//! each event, or at the whole body at its end.

use std::ops::Range;

use bytes::Bytes;
use domain::{ErrorClass, RateHint};
use smallvec::SmallVec;

use crate::cursor::Cursor;
use crate::fault;
use crate::gate;
use crate::registry::Tee;
use crate::sse::{EVENT_BYTES_MAX, SseEvent, SseParser};
use crate::wire::{ClientError, FirstEvent, Seen, TeeOptions, UpstreamFault};

/// More than this of an unfinished event is not held back: no usage chunk is so long.
const HELD_MAX: usize = 64 * 1024;

/// A whole body longer than this is not read: none is that long.
const WHOLE_MAX: usize = 64 << 20;

/// What an event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Says nothing about the answer: a ping.
    Idle,
    /// Part of the answer, or an error.
    Data,
    /// Nothing but usage.
    UsageOnly,
    /// Part of the answer, and a place for usage that holds none: what each chunk has where usage is asked for.
    NullUsage,
}

/// Reads what the ledger needs. Nothing here may trust its bytes.
pub(crate) trait Reader: Default + Send {
    /// Whether a stream has a terminator of its own. Without one, the body's end is it.
    const TERMINATED: bool = true;
    /// Longest event, in bytes.
    const EVENT_MAX: usize = EVENT_BYTES_MAX;

    /// One event of a stream. An endpoint that never streams leaves this and the next two as they are.
    fn event(&mut self, _event: SseEvent<'_>, _seen: &mut Seen) -> Step {
        Step::Idle
    }
    /// A whole body that is valid JSON; sets `seen.complete`.
    fn body(&mut self, body: &[u8], seen: &mut Seen);
    /// Whether the success terminator of the stream has passed.
    fn is_complete(&self) -> bool {
        false
    }
    /// The error event that continues the stream as it stands; `None` where what went before doesn't matter.
    fn error_event(&self, _error: &ClientError<'_>) -> Option<Vec<u8>> {
        None
    }
    /// Adds what is known only at the end.
    fn finish(&mut self, _seen: &mut Seen) {}
}

pub(crate) fn tee<R: Reader + 'static>(options: TeeOptions) -> Box<dyn Tee> {
    if options.streamed {
        Box::new(Streamed::<R> {
            holding: options.strip_usage_chunk.then(Holding::default),
            ..Streamed::default()
        })
    } else {
        Box::new(Whole::<R>::default())
    }
}

/// An answer that its protocol does not allow.
pub(crate) fn bad_response(message: &str) -> UpstreamFault {
    UpstreamFault {
        class: ErrorClass::BadResponse,
        hint: RateHint::default(),
        message: message.to_owned(),
        code: None,
    }
}

/// Generation that failed in the middle.
pub(crate) fn failed_answer(message: &str, code: &str) -> UpstreamFault {
    UpstreamFault {
        class: ErrorClass::ServerError,
        hint: RateHint::default(),
        message: fault::clean(message),
        code: Some(code.to_owned()),
    }
}

/// Whether an `error` says something: hosts send `"error": null` with a success.
pub(crate) fn is_error(raw: &[u8]) -> bool {
    !matches!(raw, b"" | b"null" | b"false" | b"\"\"")
}

struct Streamed<R> {
    parser: SseParser,
    reader: R,
    seen: Seen,
    first: FirstEvent,
    /// Where usage chunks are cut out.
    holding: Option<Holding>,
    /// The parser gave up: bytes only pass.
    blind: bool,
}

impl<R: Reader> Default for Streamed<R> {
    fn default() -> Self {
        Self {
            parser: SseParser::up_to(R::EVENT_MAX),
            reader: R::default(),
            seen: Seen::default(),
            first: FirstEvent::Pending,
            holding: None,
            blind: false,
        }
    }
}

/// Bytes of an event that is not yet known to be a usage chunk or not.
#[derive(Default)]
struct Holding {
    held: SmallVec<[Bytes; 2]>,
    length: usize,
    /// The unfinished event is known to go on: its bytes pass.
    passing: bool,
    /// The last piece ended with the CR that ended an event: a LF that follows shares its fate.
    after_cr: bool,
    /// The last event was cut out.
    was_cut: bool,
}

impl Holding {
    fn release(&mut self, out: &mut SmallVec<[Bytes; 2]>) {
        out.extend(self.held.drain(..));
        self.length = 0;
    }

    fn discard(&mut self) {
        self.held.clear();
        self.length = 0;
    }

    /// The event that these bytes end.
    fn whole(&mut self, end: Bytes) -> Bytes {
        if self.held.is_empty() {
            return end;
        }
        self.held.push(end);
        let whole = Bytes::from(self.held.concat());
        self.discard();
        whole
    }

    /// The unfinished rest of a piece.
    fn hold(&mut self, rest: Bytes, out: &mut SmallVec<[Bytes; 2]>) {
        if rest.is_empty() {
            return;
        }
        self.length += rest.len();
        self.held.push(rest);
        self.passing |= self.length > HELD_MAX || self.is_no_object();
        if self.passing {
            self.release(out);
        }
    }

    /// Whether the unfinished event is already known not to be JSON: a terminator must not wait for a blank line
    /// that never comes.
    fn is_no_object(&self) -> bool {
        let mut bytes = self.held.iter().flatten().skip_while(|byte| matches!(byte, b'\r' | b'\n'));
        let is_data = b"data:".iter().all(|letter| bytes.next() == Some(letter));
        // A line without content says nothing: the data may go on in the next.
        let is_other = |byte: &u8| !matches!(byte, b'{' | b'\r' | b'\n');
        is_data && bytes.find(|byte| !matches!(byte, b' ' | b'\t' | b'\x0c')).is_some_and(is_other)
    }
}

/// Passes an event without the member `"usage": null` of its object. Data of several lines passes as it is: no host
/// writes its chunks so.
fn without_null_usage(event: Bytes, out: &mut SmallVec<[Bytes; 2]>) {
    match null_usage(&event) {
        Some(cut) => {
            out.push(event.slice(..cut.start));
            out.push(event.slice(cut.end..));
        }
        None => out.push(event),
    }
}

/// Where the member stands, with one of the commas beside it.
fn null_usage(event: &[u8]) -> Option<Range<usize>> {
    let begin = memchr::memchr(b'{', event)?;
    let mut cursor = Cursor::new(event.get(begin..)?);
    let mut object = cursor.object();
    let mut before = None;
    loop {
        let key = cursor.key(&mut object)?;
        if key.is("usage") && cursor.is_null() {
            break;
        }
        cursor.skip();
        before = Some(begin + cursor.place_passed());
    }
    cursor.skip();
    let end = begin + cursor.place_passed();
    if let Some(before) = before {
        return Some(before..end);
    }
    let rest = event.get(end..)?;
    let comma = rest.iter().position(|byte| !byte.is_ascii_whitespace());
    let comma = comma.filter(|at| rest.get(*at) == Some(&b','));
    Some(begin + 1..end + comma.map_or(0, |at| at + 1))
}

impl<R: Reader> Streamed<R> {
    fn read(reader: &mut R, seen: &mut Seen, first: &mut FirstEvent, event: SseEvent<'_>) -> Step {
        if event.data.is_empty() {
            return Step::Idle;
        }
        let step = reader.event(event, seen);
        if *first == FirstEvent::Pending && step != Step::Idle {
            *first = match &seen.error {
                Some(fault) => FirstEvent::Error(fault.clone()),
                None => FirstEvent::Good,
            };
        }
        step
    }

    /// Passes the piece without its usage chunks, and without the places for usage in the others.
    fn cut(&mut self, chunk: &Bytes, mut holding: Holding, out: &mut SmallVec<[Bytes; 2]>) {
        let Self { parser, reader, seen, first, .. } = self;
        // What stands before `kept` is gone or passed; what stands between is to be passed.
        let line_feed = usize::from(holding.after_cr && chunk.first() == Some(&b'\n'));
        let (mut from, mut kept) = (if holding.was_cut { line_feed } else { 0 }, line_feed);
        let result = parser.blocks(chunk, |block| {
            let step =
                block.event.map_or(Step::Idle, |event| Self::read(reader, seen, first, event));
            holding.was_cut = step == Step::UsageOnly && !holding.passing;
            if holding.was_cut {
                if kept > from {
                    out.push(chunk.slice(from..kept));
                }
                holding.discard();
                from = block.end;
            } else if step == Step::NullUsage && !holding.passing {
                if kept > from {
                    out.push(chunk.slice(from..kept));
                }
                without_null_usage(holding.whole(chunk.slice(kept..block.end)), out);
                from = block.end;
            } else {
                holding.release(out);
            }
            holding.passing = false;
            kept = block.end;
        });
        if result.is_err() {
            self.blind = true;
            holding.release(out);
            kept = chunk.len();
        }
        if kept > from {
            out.push(chunk.slice(from..kept));
        }
        holding.after_cr = kept == chunk.len() && chunk.last() == Some(&b'\r');
        holding.hold(chunk.slice(kept..), out);
        self.holding = Some(holding);
    }
}

impl<R: Reader> Tee for Streamed<R> {
    fn feed(&mut self, chunk: Bytes, out: &mut SmallVec<[Bytes; 2]>) {
        if self.blind || chunk.is_empty() {
            out.push(chunk);
            return;
        }
        if let Some(holding) = self.holding.take() {
            return self.cut(&chunk, holding, out);
        }
        let Self { parser, reader, seen, first, .. } = self;
        let result = parser.blocks(&chunk, |block| {
            if let Some(event) = block.event {
                Self::read(reader, seen, first, event);
            }
        });
        self.blind = result.is_err();
        out.push(chunk);
    }

    fn first(&self) -> FirstEvent {
        self.first.clone()
    }

    fn error_event(&self, error: &ClientError<'_>) -> Option<Vec<u8>> {
        self.reader.error_event(error)
    }

    fn is_complete(&self) -> bool {
        R::TERMINATED && self.reader.is_complete() && self.seen.error.is_none()
    }

    fn finish(&mut self) -> Seen {
        let Self { parser, reader, seen, first, .. } = self;
        if !self.blind {
            parser.rest(|event| {
                Self::read(reader, seen, first, event);
            });
        }
        reader.finish(seen);
        let mut seen = std::mem::take(seen);
        seen.complete = reader.is_complete() && seen.error.is_none() && !self.blind;
        seen
    }
}

struct Whole<R> {
    reader: R,
    pieces: SmallVec<[Bytes; 4]>,
    length: usize,
    first: FirstEvent,
    complete: bool,
}

impl<R: Default> Default for Whole<R> {
    fn default() -> Self {
        Self {
            reader: R::default(),
            pieces: SmallVec::new(),
            length: 0,
            first: FirstEvent::Pending,
            complete: false,
        }
    }
}

impl<R: Reader> Tee for Whole<R> {
    fn feed(&mut self, chunk: Bytes, out: &mut SmallVec<[Bytes; 2]>) {
        self.length = self.length.saturating_add(chunk.len());
        if self.length > WHOLE_MAX {
            self.pieces.clear();
        } else if !chunk.is_empty() {
            self.pieces.push(chunk.clone());
        }
        out.push(chunk);
    }

    fn first(&self) -> FirstEvent {
        self.first.clone()
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn finish(&mut self) -> Seen {
        let mut seen = Seen::default();
        let pieces = std::mem::take(&mut self.pieces);
        match pieces.as_slice() {
            [one] => self.read(one, &mut seen),
            many => self.read(&many.concat(), &mut seen),
        }
        self.complete = seen.complete;
        self.first = match &seen.error {
            Some(fault) => FirstEvent::Error(fault.clone()),
            None => FirstEvent::Good,
        };
        seen
    }
}

impl<R: Reader> Whole<R> {
    fn read(&mut self, body: &[u8], seen: &mut Seen) {
        if !gate::is_object(body) {
            return;
        }
        self.reader.body(body, seen);
        self.reader.finish(seen);
        seen.complete &= seen.error.is_none();
    }
}
