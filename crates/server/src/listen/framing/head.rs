//! Request heads, line by line.

use memchr::memchr;

use super::Reject;

/// Bounds of a request head.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct HeadLimits {
    /// Header fields.
    pub(in super::super) fields: usize,
    /// Bytes, from the first of the request line to the empty line's last.
    pub(in super::super) bytes: usize,
    /// Bytes of the request target.
    pub(in super::super) target: usize,
}

/// How the body of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadEnd {
    NoBody,
    Length(u64),
    Chunked,
}

/// What is known of the head so far.
#[derive(Debug)]
pub(super) struct Head {
    limits: HeadLimits,
    /// The beginning of a line that is not complete.
    partial: Vec<u8>,
    facts: Facts,
}

#[derive(Debug, Default)]
struct Facts {
    bytes: usize,
    fields: usize,
    request_line: bool,
    http10: bool,
    get: bool,
    /// A WebSocket is asked for.
    upgrade: bool,
    /// `connection` says so too.
    switches: bool,
    length: Option<u64>,
    chunked: bool,
    host_seen: bool,
    /// Set when the target is in absolute form, and until the host was found equal to it.
    authority: Option<Box<[u8]>>,
}

impl Head {
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self { limits, partial: Vec::new(), facts: Facts::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.facts.bytes == 0
    }

    /// Reads on; returns how much was taken, and how the body is delimited once the head is complete.
    pub(super) fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<HeadEnd>), Reject> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let Some(end) = memchr(b'\n', rest) else {
                self.keep(rest)?;
                return Ok((input.len(), None));
            };
            let line = rest.get(..=end).unwrap_or_default();
            at += line.len();
            self.count(line.len())?;
            let done = if self.partial.is_empty() {
                self.facts.line(line, &self.limits)?
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                let done = self.facts.line(&whole, &self.limits)?;
                whole.clear();
                self.partial = whole;
                done
            };
            if done {
                let facts = std::mem::take(&mut self.facts);
                return facts.end().map(|end| (at, Some(end)));
            }
        }
    }

    fn keep(&mut self, rest: &[u8]) -> Result<(), Reject> {
        self.count(rest.len())?;
        self.partial.extend_from_slice(rest);
        // What can't become a request any more is told at once, not when (or if) its line ends.
        if self.facts.request_line {
            return Ok(());
        }
        if self.partial.iter().any(|byte| !(0x20..=0x7e).contains(byte) && *byte != b'\r') {
            return Err((400, "not an HTTP request"));
        }
        if self.partial.len() > self.limits.target + 32 {
            return Err((414, "the request target is too long"));
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), Reject> {
        self.facts.bytes += bytes;
        if self.facts.bytes > self.limits.bytes {
            return Err(if self.facts.request_line {
                (431, "the request head is too large")
            } else {
                (414, "the request target is too long")
            });
        }
        Ok(())
    }
}

impl Facts {
    /// One line with its end; `true` when it is the empty one.
    fn line(&mut self, line: &[u8], limits: &HeadLimits) -> Result<bool, Reject> {
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err((400, "a line ends without CR LF"));
        };
        if !self.request_line {
            self.request(line, limits)?;
            self.request_line = true;
            return Ok(false);
        }
        if line.is_empty() {
            return Ok(true);
        }
        self.fields += 1;
        if self.fields > limits.fields {
            return Err((431, "too many header fields"));
        }
        self.field(line)?;
        Ok(false)
    }

    fn request(&mut self, line: &[u8], limits: &HeadLimits) -> Result<(), Reject> {
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err((400, "the request line is malformed"));
        };
        if method.is_empty() || method.len() > 16 || !method.iter().all(u8::is_ascii_uppercase) {
            return Err((400, "the method is malformed"));
        }
        if matches!(method, b"CONNECT" | b"TRACE") {
            return Err((400, "this method is not served"));
        }
        self.get = method == b"GET";
        match version {
            b"HTTP/1.1" => {}
            b"HTTP/1.0" => self.http10 = true,
            _ if version.starts_with(b"HTTP/") => {
                return Err((505, "this HTTP version is not served"));
            }
            _ => return Err((400, "the request line is malformed")),
        }
        if target.len() > limits.target {
            return Err((414, "the request target is too long"));
        }
        if !target.iter().all(|byte| (0x21..=0x7e).contains(byte) && *byte != b'#') {
            return Err((400, "the request target holds a forbidden character"));
        }
        if target.first() == Some(&b'/') {
            return Ok(());
        }
        let absolute = target.strip_prefix(b"http://").or_else(|| target.strip_prefix(b"https://"));
        let Some(rest) = absolute else {
            return Err((400, "the request target is not a path"));
        };
        let (authority, path) = rest.split_at(memchr(b'/', rest).unwrap_or(rest.len()));
        if path.is_empty() || !host_ok(authority) {
            return Err((400, "the request target is malformed"));
        }
        self.authority = Some(authority.into());
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Reject> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err((400, "a header line is folded"));
        }
        let Some(colon) = memchr(b':', line) else {
            return Err((400, "a header line has no colon"));
        };
        let (name, value) = line.split_at(colon);
        if name.is_empty() || !name.iter().all(|byte| TOKEN[usize::from(*byte)]) {
            return Err((400, "a header name is malformed"));
        }
        let value = trim(value.get(1..).unwrap_or_default());
        // HTAB and everything from space on but DEL; a CR inside the line falls out here as well.
        if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
            return Err((400, "a header value holds a control character"));
        }
        self.framing_field(name, value)
    }

    /// Acts on the few fields that say where a message ends or to whom it goes.
    fn framing_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), Reject> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            6 if name.eq_ignore_ascii_case(b"expect") => {
                if value.eq_ignore_ascii_case(b"100-continue") && !self.http10 {
                    return Ok(());
                }
                Err((417, "this expectation can't be met"))
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                if self.upgrade || !value.eq_ignore_ascii_case(b"websocket") {
                    return Err((400, "no other protocol is served on this connection"));
                }
                self.upgrade = true;
                Ok(())
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.switches |= connection(value)?;
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value),
            14 if name.eq_ignore_ascii_case(b"content_length") => {
                Err((400, "a framing header in disguise"))
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.encoding(value),
            17 if name.eq_ignore_ascii_case(b"transfer_encoding") => {
                Err((400, "a framing header in disguise"))
            }
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.host_seen {
            return Err((400, "several `host` headers"));
        }
        self.host_seen = true;
        if !host_ok(value) {
            return Err((400, "the `host` header is malformed"));
        }
        match self.authority.take() {
            Some(authority) if !authority.eq_ignore_ascii_case(value) => {
                Err((400, "the request target and `host` differ"))
            }
            _ => Ok(()),
        }
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.length.is_some() {
            return Err((400, "several `content-length` headers"));
        }
        if self.chunked {
            return Err((400, "both `content-length` and `transfer-encoding`"));
        }
        let plain = (1..=18).contains(&value.len())
            && value.iter().all(u8::is_ascii_digit)
            && (value.len() == 1 || value.first() != Some(&b'0'));
        if !plain {
            return Err((400, "`content-length` is not a plain number"));
        }
        let number = value.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        self.length = Some(number);
        Ok(())
    }

    fn encoding(&mut self, value: &[u8]) -> Result<(), Reject> {
        if self.chunked {
            return Err((400, "several `transfer-encoding` headers"));
        }
        if self.length.is_some() {
            return Err((400, "both `content-length` and `transfer-encoding`"));
        }
        if self.http10 {
            return Err((400, "`transfer-encoding` in HTTP/1.0"));
        }
        if value != b"chunked" {
            return Err((400, "`transfer-encoding` is not exactly `chunked`"));
        }
        self.chunked = true;
        Ok(())
    }

    /// The only other protocol is a WebSocket's, asked for as RFC 6455, section 4.1, has it: both headers, by `GET`,
    /// without a body. So no two servers can disagree on where HTTP ends.
    fn upgraded(&self) -> Result<(), Reject> {
        let bare = self.length.is_none() && !self.chunked;
        if self.upgrade && self.switches && self.get && !self.http10 && bare {
            return Ok(());
        }
        Err((400, "no other protocol is served on this connection"))
    }

    fn end(self) -> Result<HeadEnd, Reject> {
        if self.authority.is_some() || (!self.host_seen && !self.http10) {
            return Err((400, "the `host` header is missing"));
        }
        if self.upgrade || self.switches {
            self.upgraded()?;
        }
        Ok(match (self.chunked, self.length) {
            (true, _) => HeadEnd::Chunked,
            (false, None | Some(0)) => HeadEnd::NoBody,
            (false, Some(length)) => HeadEnd::Length(length),
        })
    }
}

/// A `connection` header may ask for an end or a keeping; naming a field that frames or identifies a request
/// would have the next server drop that field. Tells whether it asks for another protocol.
fn connection(value: &[u8]) -> Result<bool, Reject> {
    if value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close") {
        return Ok(false);
    }
    let mut switches = false;
    for option in value.split(|byte| *byte == b',').map(trim) {
        const PROTECTED: [&[u8]; 6] = [
            b"content-length",
            b"transfer-encoding",
            b"host",
            b"authorization",
            b"x-api-key",
            b"content-type",
        ];
        if PROTECTED.iter().any(|it| option.eq_ignore_ascii_case(it)) {
            return Err((400, "`connection` names a header that is not its business"));
        }
        if !option.iter().all(|byte| TOKEN[usize::from(*byte)]) {
            return Err((400, "the `connection` header is malformed"));
        }
        switches |= option.eq_ignore_ascii_case(b"upgrade");
    }
    Ok(switches)
}

/// `host[:port]`: a name, an IPv4 address or a bracketed IPv6 address; no user, no path, nothing to argue about.
pub(in super::super) fn host_ok(value: &[u8]) -> bool {
    if value.len() > 255 + 6 {
        return false;
    }
    let (host, rest) = if value.first() == Some(&b'[') {
        let Some(end) = memchr(b']', value) else { return false };
        let (host, rest) = value.split_at(end + 1);
        let inner = host.get(1..end).unwrap_or_default();
        let address = std::str::from_utf8(inner).ok().map(str::parse::<std::net::Ipv6Addr>);
        if !matches!(address, Some(Ok(_))) {
            return false;
        }
        (host, rest)
    } else {
        value.split_at(memchr(b':', value).unwrap_or(value.len()))
    };
    let bracketed = host.first() == Some(&b'[');
    let name_ok = bracketed
        || (!host.is_empty()
            && host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')));
    let port_ok = match rest.split_first() {
        None => true,
        Some((b':', port)) => {
            (1..=5).contains(&port.len())
                && port.iter().all(u8::is_ascii_digit)
                && port.iter().fold(0_u32, |sum, it| sum * 10 + u32::from(it - b'0')) <= 65_535
        }
        Some(_) => false,
    };
    name_ok && port_ok
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', rest)) = value.split_first() {
        value = rest;
    }
    while let Some((b' ' | b'\t', rest)) = value.split_last() {
        value = rest;
    }
    value
}

/// The characters of a token (RFC 9110, section 5.6.2).
pub(super) const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let it = byte as u8;
        table[byte] = it.is_ascii_alphanumeric()
            || matches!(
                it,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};
