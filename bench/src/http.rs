//! Just enough HTTP/1.1 to be fast: heads are searched for the two framing fields and nothing else.

/// How a message's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(usize),
    /// Chunks until an empty one.
    Chunked,
}

/// A head that is whole: where it ends, its status (responses) and its body's framing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// Bytes of the head, the empty line included.
    pub(crate) len: usize,
    /// The status code; 0 for a request.
    pub(crate) status: u16,
    /// The body's framing.
    pub(crate) framing: Framing,
}

/// Reads a head if it is whole.
pub(crate) fn head(bytes: &[u8]) -> Option<Head> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let text = bytes.get(..end)?;
    let status = match text.get(..12) {
        Some([b'H', b'T', b'T', b'P', b'/', _, _, _, b' ', a, b, c]) => {
            u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
        }
        _ => 0,
    };
    let mut framing = Framing::Length(0);
    for line in text.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"content-length") {
            let digits = value.iter().filter(|byte| byte.is_ascii_digit());
            framing =
                Framing::Length(digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            framing = Framing::Chunked;
        }
    }
    Some(Head { len: end, status, framing })
}

/// Follows a chunked body through any splitting, without looking at the payload.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    left: usize,
    line: Vec<u8>,
    last: bool,
    done: bool,
}

impl Chunks {
    /// Takes bytes of the body; `payload` gets the data in between. Returns whether the body has ended.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut payload: impl FnMut(&[u8])) -> bool {
        while !bytes.is_empty() && !self.done {
            if self.left > 2 {
                let take = (self.left - 2).min(bytes.len());
                let (data, rest) = bytes.split_at(take);
                payload(data);
                self.left -= take;
                bytes = rest;
            } else if self.left > 0 {
                let take = self.left.min(bytes.len());
                self.left -= take;
                bytes = bytes.get(take..).unwrap_or_default();
            } else {
                bytes = self.size_line(bytes);
            }
        }
        self.done
    }

    fn size_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.line.extend_from_slice(bytes);
            return &[];
        };
        let (line, rest) = bytes.split_at(end + 1);
        self.line.extend_from_slice(line);
        let text = String::from_utf8_lossy(&self.line).trim().to_owned();
        self.line.clear();
        if self.last {
            self.done = text.is_empty();
        } else {
            let size =
                usize::from_str_radix(text.split(';').next().unwrap_or_default(), 16).unwrap_or(0);
            self.last = size == 0;
            self.left = if size == 0 { 0 } else { size + 2 };
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunked_bodies_end_where_they_end_however_they_are_split() {
        let body = b"5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\n\r\n";
        for split in 0..body.len() {
            let (mut chunks, mut seen) = (Chunks::default(), Vec::new());
            let early = chunks.feed(&body[..split], |data| seen.extend_from_slice(data));
            assert!(!early, "{split}");
            assert!(chunks.feed(&body[split..], |data| seen.extend_from_slice(data)), "{split}");
            assert_eq!(seen, b"helloabc");
        }
    }

    #[test]
    fn a_head_tells_its_framing() {
        let head = head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nrest").unwrap();
        assert_eq!((head.status, head.framing, head.len), (200, Framing::Length(12), 39));
    }
}
