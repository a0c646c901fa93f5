//! The chunked coding, as far as its framing goes.

use super::Reject;
use super::head::TOKEN;

/// Bytes of a chunk's extensions, and of all extensions of a body. Nobody means anything by them.
const EXTENSION_MAX: u16 = 256;
const EXTENSIONS_MAX: u16 = 4 * 1024;
/// Trailer fields, and bytes of a trailer section.
const TRAILERS_MAX: u8 = 16;
const TRAILER_BYTES_MAX: usize = 4 * 1024;

/// Fields that would change what has been understood already.
const FORBIDDEN: [&[u8]; 4] = [b"content-length", b"transfer-encoding", b"host", b"authorization"];

/// The position in a chunked body.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    at: At,
    extension_bytes: u16,
    trailers: u8,
    trailer: Vec<u8>,
    trailer_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// In the size, after so many digits.
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
        length: u16,
    },
    /// After the CR of a size line.
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the beginning of, or in, a line of the trailer section.
    Trailer,
}

impl Default for At {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunked {
    /// Reads on; returns how much was taken, and whether the body ended there.
    pub(super) fn feed(&mut self, input: &[u8]) -> Result<(usize, bool), Reject> {
        let mut at = 0;
        while let Some(byte) = input.get(at).copied() {
            if let At::Data { left } = self.at {
                let rest = input.len() - at;
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest);
                at += taken;
                let left = left - taken as u64;
                self.at = if left == 0 { At::DataCr } else { At::Data { left } };
                continue;
            }
            at += 1;
            if self.step(byte)? {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    fn step(&mut self, byte: u8) -> Result<bool, Reject> {
        self.at = match (self.at, byte) {
            (At::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                // Eight digits are 4 GiB, far beyond any body that is accepted.
                if digits == 8 {
                    return Err((400, "a chunk is too large"));
                }
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                At::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (At::Size { size, digits: 1.. } | At::Extension { size, .. }, b'\r') => {
                At::SizeLf { size }
            }
            (At::Size { size, digits: 1.. }, b';') => At::Extension { size, length: 0 },
            (At::Size { .. }, _) => return Err((400, "a chunk size is malformed")),
            (At::Extension { size, length }, b'\t' | b' '..=b'~') => {
                self.extension_bytes += 1;
                if length == EXTENSION_MAX || self.extension_bytes > EXTENSIONS_MAX {
                    return Err((400, "chunk extensions are too long"));
                }
                At::Extension { size, length: length + 1 }
            }
            (At::Extension { .. }, _) => return Err((400, "a chunk extension is malformed")),
            (At::SizeLf { size: 0 }, b'\n') => At::Trailer,
            (At::SizeLf { size }, b'\n') => At::Data { left: size },
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::default(),
            (At::Trailer, _) => return self.trailer(byte),
            _ => return Err((400, "a chunk does not end with CR LF")),
        };
        Ok(false)
    }

    fn trailer(&mut self, byte: u8) -> Result<bool, Reject> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err((400, "the trailer section is too large"));
        }
        if self.trailer.last() == Some(&b'\r') && byte != b'\n' {
            return Err((400, "a line ends without CR LF"));
        }
        self.trailer.push(byte);
        if byte != b'\n' {
            return Ok(false);
        }
        let Some(line) = self.trailer.strip_suffix(b"\r\n") else {
            return Err((400, "a line ends without CR LF"));
        };
        if line.is_empty() {
            return Ok(true);
        }
        self.trailers += 1;
        if self.trailers > TRAILERS_MAX {
            return Err((400, "too many trailers"));
        }
        let malformed = Err((400, "a trailer is malformed"));
        let Some(colon) = memchr::memchr(b':', line) else { return malformed };
        let (name, value) = line.split_at(colon);
        let name_ok = !name.is_empty() && name.iter().all(|it| TOKEN[usize::from(*it)]);
        let value_ok = value.iter().all(|it| (*it >= 0x20 && *it != 0x7f) || *it == b'\t');
        if !name_ok || !value_ok {
            return malformed;
        }
        if FORBIDDEN.iter().any(|it| name.eq_ignore_ascii_case(it)) {
            return Err((400, "a trailer that belongs in the head"));
        }
        self.trailer.clear();
        Ok(false)
    }
}
