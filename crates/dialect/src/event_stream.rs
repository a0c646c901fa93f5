//! AWS `application/vnd.amazon.eventstream` on bytes, in any chunking.
//!
//! A frame is a total length, a length of headers, a CRC-32 of those eight bytes, the headers, the payload and a CRC-32
//! of all before (big endian; protocols A6). A frame that lies within one piece is handed over as slices of that piece;
//! only what a piece leaves unfinished is copied. The whole format:
//! <https://smithy.io/2.0/aws/amazon-eventstream.html>.

/// Longest payload: the format's own bound.
pub const PAYLOAD_MAX: usize = 16 << 20;
/// Longest headers: the format's own bound.
pub const HEADERS_MAX: usize = 128 << 10;

/// Two lengths and their checksum.
const PRELUDE: usize = 12;
/// Prelude and the checksum at the end.
const AROUND: usize = PRELUDE + 4;

/// The media type.
pub const MEDIA_TYPE: &str = "application/vnd.amazon.eventstream";

/// What a frame says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// `:message-type: event`.
    Event,
    /// `exception` (modelled) or `error` (not modelled): nothing follows.
    Exception,
    /// Another word, or none.
    Other,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it says it is.
    pub kind: FrameKind,
    /// Its `:event-type`, `:exception-type` or `:error-code`; empty without one.
    pub name: &'a [u8],
    /// Its `:error-message`; empty without one.
    pub message: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

/// Bytes that are no event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Lengths that contradict each other or pass the bounds.
    #[error("an event-stream frame has lengths that can't be")]
    Length,
    /// A checksum that does not match.
    #[error("an event-stream frame has a wrong checksum")]
    Checksum,
    /// Headers that are cut or of a type that does not exist.
    #[error("an event-stream frame has headers that can't be read")]
    Headers,
}

/// The decoder. After a [`BadFrame`] it is spent.
#[derive(Debug, Default)]
pub struct Decoder {
    /// An unfinished frame of earlier pieces.
    held: Vec<u8>,
    /// The whole length of that frame, once its prelude is there.
    wanted: Option<usize>,
}

impl Decoder {
    /// Takes bytes and hands over each frame that they complete.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut on_frame: impl FnMut(Frame<'_>),
    ) -> Result<(), BadFrame> {
        while !bytes.is_empty() {
            if self.held.is_empty() {
                let Some(length) = length(bytes)? else { break };
                let Some((frame, rest)) = bytes.split_at_checked(length) else { break };
                on_frame(read(frame)?);
                bytes = rest;
                continue;
            }
            let missing = self.wanted.unwrap_or(PRELUDE).saturating_sub(self.held.len());
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            self.held.extend_from_slice(taken);
            bytes = rest;
            if self.wanted.is_none() {
                self.wanted = length(&self.held)?;
            }
            if self.wanted == Some(self.held.len()) {
                on_frame(read(&self.held)?);
                self.held.clear();
                self.wanted = None;
            }
        }
        self.held.extend_from_slice(bytes);
        if self.wanted.is_none() {
            self.wanted = length(&self.held)?;
        }
        Ok(())
    }

    /// Whether nothing of a frame is waiting for its rest.
    pub fn is_between_frames(&self) -> bool {
        self.held.is_empty()
    }
}

/// The whole length of the frame at the front; `None` when there is too little to tell.
fn length(bytes: &[u8]) -> Result<Option<usize>, BadFrame> {
    let Some(prelude) = bytes.first_chunk::<PRELUDE>() else { return Ok(None) };
    let [total, headers, checksum] = [0, 4, 8].map(|at| number(prelude, at));
    if crc32(0, prelude.get(..8).unwrap_or_default()) != checksum {
        return Err(BadFrame::Checksum);
    }
    let (total, headers) = (total as usize, headers as usize);
    let payload = total.checked_sub(AROUND).and_then(|rest| rest.checked_sub(headers));
    match payload {
        Some(payload) if payload <= PAYLOAD_MAX && headers <= HEADERS_MAX => Ok(Some(total)),
        _ => Err(BadFrame::Length),
    }
}

/// A frame of the right length.
fn read(frame: &[u8]) -> Result<Frame<'_>, BadFrame> {
    let (before, checksum) = frame.split_last_chunk::<4>().ok_or(BadFrame::Length)?;
    if crc32(0, before) != u32::from_be_bytes(*checksum) {
        return Err(BadFrame::Checksum);
    }
    let headers = number(frame, 4) as usize;
    let (headers, payload) = before
        .get(PRELUDE..)
        .and_then(|it| it.split_at_checked(headers))
        .ok_or(BadFrame::Length)?;
    let mut frame = Frame { kind: FrameKind::Other, name: &[], message: &[], payload };
    read_headers(headers, &mut frame)?;
    Ok(frame)
}

fn read_headers<'a>(mut rest: &'a [u8], frame: &mut Frame<'a>) -> Result<(), BadFrame> {
    while let Some((length, after)) = rest.split_first() {
        let (name, value, after) = header(usize::from(*length), after).ok_or(BadFrame::Headers)?;
        rest = after;
        match (name, value) {
            (b":message-type", b"event") => frame.kind = FrameKind::Event,
            (b":message-type", b"exception" | b"error") => frame.kind = FrameKind::Exception,
            (b":event-type" | b":exception-type" | b":error-code", name) => frame.name = name,
            (b":error-message", message) => frame.message = message,
            _ => {}
        }
    }
    Ok(())
}

/// Name, value and what follows; values that are no strings are passed as they are.
fn header(length: usize, bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = bytes.split_at_checked(length)?;
    let (kind, rest) = rest.split_first()?;
    let (size, rest) = match kind {
        // True and false.
        0 | 1 => (0, rest),
        // Integers of one to eight bytes; a timestamp.
        2 => (1, rest),
        3 => (2, rest),
        4 => (4, rest),
        5 | 8 => (8, rest),
        // Bytes and text.
        6 | 7 => {
            let (size, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*size)), rest)
        }
        // A UUID.
        9 => (16, rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(size)?;
    Some((name, value, rest))
}

/// Appends an event with a JSON payload.
pub fn append_event(name: &str, payload: &[u8], out: &mut Vec<u8>) {
    append(
        &[(":event-type", name), (":content-type", JSON), (":message-type", "event")],
        payload,
        out,
    );
}

/// Appends an exception with a JSON payload.
pub fn append_exception(name: &str, payload: &[u8], out: &mut Vec<u8>) {
    let headers =
        [(":exception-type", name), (":content-type", JSON), (":message-type", "exception")];
    append(&headers, payload, out);
}

const JSON: &str = "application/json";

fn append(headers: &[(&str, &str)], payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let headers_length: usize =
        headers.iter().map(|(name, value)| 1 + name.len() + 1 + 2 + value.len()).sum();
    let total = AROUND + headers_length + payload.len();
    out.reserve(total);
    out.extend_from_slice(&(total as u32).to_be_bytes());
    out.extend_from_slice(&(headers_length as u32).to_be_bytes());
    let checksum = crc32(0, out.get(start..).unwrap_or_default());
    out.extend_from_slice(&checksum.to_be_bytes());
    for (name, value) in headers {
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.push(7);
        out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(payload);
    let checksum = crc32(0, out.get(start..).unwrap_or_default());
    out.extend_from_slice(&checksum.to_be_bytes());
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    four.map_or(0, |four| u32::from_be_bytes(*four))
}

/// CRC-32 (IEEE 802.3, reflected) of `bytes` after what had the checksum `before`.
fn crc32(before: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!before, |crc, byte| TABLE[usize::from(crc as u8 ^ *byte)] ^ (crc >> 8))
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests;
