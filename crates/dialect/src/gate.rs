//! One validating scan of a body before anything reads it.
//!
//! Full JSON grammar (RFC 8259) on strict UTF-8, an object at the top, bounded nesting, and no key twice in one
//! object: two readers that disagree on which of two `model` fields counts would route one thing and bill another.
//! Keys are compared after unescaping, as the readers behind us compare them. No tree is built and nothing is
//! copied; the keys of small objects are compared one by one, those of large ones sorted when they close.

/// What a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateLimits {
    /// Deepest nesting; the top level counts as one.
    pub depth: u32,
    /// Most keys in one object.
    pub keys_per_object: u32,
    /// Most keys in the whole body.
    pub keys: u32,
    /// Longest key, in bytes as written.
    pub key_bytes: u32,
}

impl Default for GateLimits {
    /// Far above what a request needs, low enough that the worst body is refused in well under a second.
    fn default() -> Self {
        Self { depth: 64, keys_per_object: 4_096, keys: 65_536, key_bytes: 1_024 }
    }
}

/// Why a body was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct GateError {
    /// Where, in bytes.
    pub offset: usize,
    /// What.
    pub kind: GateErrorKind,
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateErrorKind {
    /// Not JSON, not UTF-8, or not an object.
    #[error("not valid JSON")]
    BadJson,
    /// A key twice in one object.
    #[error("the field `{0}` appears twice")]
    DuplicateField(String),
    /// Nested too deep.
    #[error("nested too deep")]
    TooDeep,
    /// Too many keys, or a key too long.
    #[error("more or longer keys than a request can need")]
    TooManyKeys,
    /// A number beyond what a double can hold.
    #[error("a number out of range")]
    NumberRange,
}

impl GateErrorKind {
    /// The code of the error catalogue (ux 6.5).
    pub fn code(&self) -> &'static str {
        match self {
            Self::DuplicateField(_) => "duplicate_field",
            _ => "bad_json",
        }
    }
}

/// Up to so many keys, each new one is compared with all before it; beyond, they are sorted at the end.
const COMPARED_MAX: usize = 16;
/// Numbers up to here are exact enough in every reader not to become infinite.
const NUMBER_MAX: f64 = 1e308;

/// Checks a body. Linear in its length, but for the sorting of large objects.
pub fn scan(body: &[u8], limits: GateLimits) -> Result<(), GateError> {
    if let Err(error) = std::str::from_utf8(body) {
        return Err(GateError { offset: error.valid_up_to(), kind: GateErrorKind::BadJson });
    }
    Scan {
        body,
        at: 0,
        limits,
        compares: true,
        keys: Vec::with_capacity(16),
        seen: 0,
        open: Vec::with_capacity(16),
    }
    .run()
}

/// Whether a body is one JSON object and nothing else. For answers: a key may stand twice in them, and their nesting is
/// bounded only so far that whoever reads on can.
pub(crate) fn is_object(body: &[u8]) -> bool {
    let limits =
        GateLimits { depth: 127, keys_per_object: u32::MAX, keys: u32::MAX, key_bytes: u32::MAX };
    let open = Vec::with_capacity(16);
    let scan = Scan { body, at: 0, limits, compares: false, keys: Vec::new(), seen: 0, open };
    std::str::from_utf8(body).is_ok() && scan.run().is_ok()
}

/// A key as written, without its quotes.
#[derive(Clone, Copy)]
struct Key {
    start: u32,
    end: u32,
    escaped: bool,
}

/// An open container: `None` for an array, else where its keys begin in [`Scan::keys`].
type Open = Option<usize>;

struct Scan<'a> {
    body: &'a [u8],
    at: usize,
    limits: GateLimits,
    /// Whether no key may stand twice in an object.
    compares: bool,
    /// Keys of all open objects, innermost last.
    keys: Vec<Key>,
    /// Keys so far in the whole body.
    seen: u32,
    open: Vec<Open>,
}

impl Scan<'_> {
    fn run(mut self) -> Result<(), GateError> {
        // Offsets of keys are kept in 32 bits.
        if u32::try_from(self.body.len()).is_err() {
            return Err(self.bad());
        }
        self.space();
        if self.peek() != Some(b'{') {
            return Err(self.bad());
        }
        loop {
            // A value begins here.
            let opened = self.value()?;
            if opened {
                continue;
            }
            // A value ended: close what closes, until another one begins.
            loop {
                self.space();
                match (self.open.last().copied(), self.peek()) {
                    (None, None) => return Ok(()),
                    (Some(None), Some(b',')) => {
                        self.at += 1;
                        self.space();
                        break;
                    }
                    (Some(Some(first)), Some(b',')) => {
                        self.at += 1;
                        self.space();
                        self.key(first)?;
                        break;
                    }
                    (Some(None), Some(b']')) => self.close(),
                    (Some(Some(first)), Some(b'}')) => {
                        self.check_closed(first)?;
                        self.close();
                    }
                    _ => return Err(self.bad()),
                }
            }
        }
    }

    fn close(&mut self) {
        if let Some(Some(first)) = self.open.pop() {
            self.keys.truncate(first);
        }
        self.at += 1;
    }

    /// Passes a scalar or an empty container (false), or enters a container and stands before its first value
    /// (true).
    fn value(&mut self) -> Result<bool, GateError> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| false),
            Some(b'{') => {
                self.enter(Some(self.keys.len()))?;
                if self.peek() == Some(b'}') {
                    self.close();
                    return Ok(false);
                }
                self.key(self.keys.len())?;
                Ok(true)
            }
            Some(b'[') => {
                self.enter(None)?;
                if self.peek() == Some(b']') {
                    self.close();
                    return Ok(false);
                }
                Ok(true)
            }
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            _ => Err(self.bad()),
        }
    }

    fn enter(&mut self, container: Open) -> Result<(), GateError> {
        if self.open.len() as u64 >= u64::from(self.limits.depth) {
            return Err(self.error(GateErrorKind::TooDeep));
        }
        self.open.push(container);
        self.at += 1;
        self.space();
        Ok(())
    }

    /// A key and its colon; `first` is where the keys of this object begin.
    fn key(&mut self, first: usize) -> Result<(), GateError> {
        if self.peek() != Some(b'"') {
            return Err(self.bad());
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        if self.compares {
            self.note_key(first, start, escaped)?;
        }
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.bad());
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Compares the key that was just passed with those before it in its object.
    fn note_key(&mut self, first: usize, start: usize, escaped: bool) -> Result<(), GateError> {
        let end = self.at - 1;
        let place = |kind| GateError { offset: start - 1, kind };
        self.seen = self.seen.saturating_add(1);
        let count = self.keys.len() - first;
        if count as u64 >= u64::from(self.limits.keys_per_object)
            || self.seen > self.limits.keys
            || (end - start) as u64 > u64::from(self.limits.key_bytes)
        {
            return Err(place(GateErrorKind::TooManyKeys));
        }
        let key = Key { start: start as u32, end: end as u32, escaped };
        if count < COMPARED_MAX {
            let before = self.keys.get(first..).unwrap_or_default();
            if before.iter().any(|other| self.raw(*other) == self.raw(key)) {
                return Err(place(GateErrorKind::DuplicateField(self.name(key))));
            }
        }
        self.keys.push(key);
        Ok(())
    }

    /// The duplicates that comparing as written could not see, or was not tried for. Keys with escapes are
    /// unescaped once, so that hostile ones cost no more than others.
    fn check_closed(&self, first: usize) -> Result<(), GateError> {
        let keys = self.keys.get(first..).unwrap_or_default();
        if keys.len() <= COMPARED_MAX && !keys.iter().any(|key| key.escaped) {
            return Ok(());
        }
        let mut arena = Vec::new();
        let places: Vec<(Key, usize)> = keys
            .iter()
            .map(|key| {
                let from = arena.len();
                if key.escaped {
                    arena.extend(Unescaped::new(self.raw(*key)));
                }
                (*key, from)
            })
            .collect();
        let ends = places.iter().skip(1).map(|(_, from)| *from).chain([arena.len()]);
        let mut texts: Vec<(&[u8], Key)> = places
            .iter()
            .zip(ends)
            .map(|((key, from), end)| {
                let unescaped = arena.get(*from..end).unwrap_or_default();
                (if key.escaped { unescaped } else { self.raw(*key) }, *key)
            })
            .collect();
        texts.sort_unstable_by_key(|(text, key)| (*text, key.start));
        for pair in texts.windows(2) {
            if let [(one, _), (other, key)] = pair
                && one == other
            {
                let kind = GateErrorKind::DuplicateField(self.name(*key));
                return Err(GateError { offset: key.start as usize - 1, kind });
            }
        }
        Ok(())
    }

    fn raw(&self, key: Key) -> &[u8] {
        self.body.get(key.start as usize..key.end as usize).unwrap_or_default()
    }

    /// The key for people: unescaped, cut, without control characters.
    fn name(&self, key: Key) -> String {
        let bytes: Vec<u8> = Unescaped::new(self.raw(key)).take(80).collect();
        String::from_utf8_lossy(&bytes).chars().filter(|letter| !letter.is_control()).collect()
    }

    /// Passes a string; whether it has escapes.
    fn string(&mut self) -> Result<bool, GateError> {
        self.at += 1;
        let mut escaped = false;
        loop {
            let rest = self.body.get(self.at..).unwrap_or_default();
            let length = plain_length::<true>(rest);
            self.at += length;
            match rest.get(length) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.bad()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), GateError> {
        match self.body.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let unit = self.unit(self.at).ok_or_else(|| self.bad())?;
                match unit {
                    // A high surrogate needs its low one; alone neither is a character.
                    0xd800..=0xdbff => match self.unit(self.at + 6) {
                        Some(0xdc00..=0xdfff) => self.at += 12,
                        _ => return Err(self.bad()),
                    },
                    0xdc00..=0xdfff => return Err(self.bad()),
                    _ => self.at += 6,
                }
                Ok(())
            }
            _ => Err(self.bad()),
        }
    }

    /// The UTF-16 unit of the `\uXXXX` at `at`.
    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.body.get(at..at + 6)?.strip_prefix(b"\\u")?;
        hex(digits)
    }

    fn word(&mut self, word: &[u8]) -> Result<bool, GateError> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.bad());
        }
        self.at += word.len();
        Ok(false)
    }

    fn number(&mut self) -> Result<(), GateError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.bad()),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        let mut large = self.at - start > 300;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            large = true;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        if large {
            let text = self.body.get(start..self.at).and_then(|it| std::str::from_utf8(it).ok());
            let value = text.and_then(|it| it.parse::<f64>().ok()).map_or(f64::INFINITY, f64::abs);
            if value > NUMBER_MAX {
                return Err(GateError { offset: start, kind: GateErrorKind::NumberRange });
            }
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Result<(), GateError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.bad());
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn bad(&self) -> GateError {
        self.error(GateErrorKind::BadJson)
    }

    fn error(&self, kind: GateErrorKind) -> GateError {
        GateError { offset: self.at.min(self.body.len()), kind }
    }
}

/// So many bytes are looked at in words before the vectorised search starts: most strings are shorter.
const SHORT: usize = 64;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const QUOTES: u64 = ONES * 0x22;
const BACKSLASHES: u64 = ONES * 0x5c;

/// The high bit of each byte of `word` that is zero; above the lowest such byte there may be others, falsely.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// How many bytes of a string's text come before a quote, a backslash or (where `CONTROLS`) a control character;
/// the whole length when there is none.
pub(crate) fn plain_length<const CONTROLS: bool>(text: &[u8]) -> usize {
    let head = text.get(..SHORT).unwrap_or(text);
    let (words, tail) = head.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let mut found = zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES);
        if CONTROLS {
            found |= word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        }
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| *byte == b'"' || *byte == b'\\' || (CONTROLS && *byte < 0x20);
    if let Some(found) = tail.iter().position(special) {
        return words.len() * 8 + found;
    }
    let rest = text.get(SHORT..).unwrap_or_default();
    let end = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    let plain = rest.get(..end).unwrap_or_default();
    // The smallest byte, not the first control character: that has no branch in the loop.
    let control = |chunk: &[u8]| chunk.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20;
    let length = if CONTROLS && plain.chunks(64).any(control) {
        plain.iter().position(|byte| *byte < 0x20).unwrap_or(end)
    } else {
        end
    };
    head.len() + length
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |unit, digit| char::from(*digit).to_digit(16).map(|digit| unit << 4 | digit))
}

/// The UTF-8 bytes that a string's raw text stands for. Expects text that [`scan`] has passed; anything else
/// gives some bytes, never a panic.
pub(crate) struct Unescaped<'a> {
    raw: &'a [u8],
    /// Bytes of the character that is being given out, last first.
    pending: [u8; 4],
    left: usize,
}

impl<'a> Unescaped<'a> {
    pub(crate) fn new(raw: &'a [u8]) -> Self {
        Self { raw, pending: [0; 4], left: 0 }
    }

    fn advance(&mut self, count: usize) {
        self.raw = self.raw.get(count..).unwrap_or_default();
    }

    fn unit(&self, at: usize) -> Option<u32> {
        hex(self.raw.get(at..at + 6)?.strip_prefix(b"\\u")?)
    }

    /// The character of the `\u` escape at the front, and how many raw bytes it takes.
    fn unicode(&self) -> (char, usize) {
        let Some(unit) = self.unit(0) else { return (char::REPLACEMENT_CHARACTER, self.raw.len()) };
        if let (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) = (unit, self.unit(6)) {
            let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
        }
        (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
    }
}

impl Iterator for Unescaped<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.left > 0 {
            self.left -= 1;
            return self.pending.get(self.left).copied();
        }
        let first = *self.raw.first()?;
        if first != b'\\' {
            self.advance(1);
            return Some(first);
        }
        let simple = match self.raw.get(1)? {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (letter, length) = self.unicode();
                self.advance(length);
                let size = letter.encode_utf8(&mut self.pending).len();
                self.pending.get_mut(..size)?.reverse();
                self.left = size - 1;
                return self.pending.get(size - 1).copied();
            }
            other => *other,
        };
        self.advance(2);
        Some(simple)
    }
}

#[cfg(test)]
mod tests;
