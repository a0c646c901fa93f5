//! The pixel size of an image, read from the head of its file; nothing is decoded but that head's base64.
//!
//! What an image costs turns on its size, and a reservation must never be too small. So a file that is not plainly one
//! of the four formats that vendors take, that begins with anything unusual or whose size stands far behind its
//! beginning has no size here, and counts as the largest there is.

use crate::cursor::Text;
use crate::gate::Unescaped;

/// Most encoded bytes looked at for one image. A photograph's size stands behind its metadata: a preview (64 KiB at
/// most) and colour profiles.
const HEAD_MAX: usize = 256 << 10;
/// Longest head of a `data:` URL, up to its comma.
const URL_HEAD_MAX: usize = 256;

/// Sizes of one request's images; bounds what looking for them may cost.
#[derive(Debug)]
pub(crate) struct Sizes {
    /// Encoded bytes that may still be looked at.
    left: usize,
}

impl Sizes {
    pub(crate) fn new() -> Self {
        Self { left: 4 << 20 }
    }

    /// Of an image in base64.
    pub(crate) fn of_base64(&mut self, data: Text<'_>) -> Option<(u32, u32)> {
        self.read(Unescaped::new(data.raw))
    }

    /// Of the image in a `data:` URL.
    pub(crate) fn of_data_url(&mut self, url: Text<'_>) -> Option<(u32, u32)> {
        let mut bytes = Unescaped::new(url.raw);
        let head = bytes.by_ref().take(URL_HEAD_MAX).take_while(|byte| *byte != b',');
        if head.collect::<Vec<u8>>().ends_with(b";base64") { self.read(bytes) } else { None }
    }

    fn read(&mut self, text: impl Iterator<Item = u8>) -> Option<(u32, u32)> {
        let before = self.left.min(HEAD_MAX);
        let mut room = before;
        let head = text.take_while(|_| {
            let more = room > 0;
            room -= usize::from(more);
            more
        });
        let size = image_size(Base64::new(head));
        self.left -= before - room;
        size
    }
}

/// Standard or URL-safe base64 as bytes, up to padding or to the first character that is neither that nor a line end.
struct Base64<I> {
    text: I,
    /// What is decoded and not yet given out, in the lowest bits.
    bits: u32,
    count: u32,
}

impl<I> Base64<I> {
    fn new(text: I) -> Self {
        Self { text, bits: 0, count: 0 }
    }
}

impl<I: Iterator<Item = u8>> Iterator for Base64<I> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        while self.count < 8 {
            let six = match self.text.next()? {
                letter @ b'A'..=b'Z' => letter - b'A',
                letter @ b'a'..=b'z' => letter - b'a' + 26,
                digit @ b'0'..=b'9' => digit - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                b'\r' | b'\n' => continue,
                _ => return None,
            };
            self.bits = self.bits << 6 | u32::from(six);
            self.count += 6;
        }
        self.count -= 8;
        Some((self.bits >> self.count) as u8)
    }
}

/// Width and height in pixels of the PNG, JPEG, GIF or WebP file that begins with these bytes. Reads no further than
/// it must. `None` where the size can't be told.
pub fn image_size(file: impl Iterator<Item = u8>) -> Option<(u32, u32)> {
    let mut file = Reader(file);
    let size = match file.array()? {
        [0x89, b'P', b'N', b'G'] => png(&mut file),
        [0xff, 0xd8, 0xff, marker] => jpeg(&mut file, marker),
        [b'G', b'I', b'F', b'8'] => gif(&mut file),
        [b'R', b'I', b'F', b'F'] => webp(&mut file),
        _ => None,
    };
    size.filter(|(width, height)| *width > 0 && *height > 0)
}

struct Reader<I>(I);

impl<I: Iterator<Item = u8>> Reader<I> {
    fn byte(&mut self) -> Option<u8> {
        self.0.next()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.0.next()?;
        }
        Some(bytes)
    }

    fn u16_be(&mut self) -> Option<u32> {
        self.array().map(|bytes| u16::from_be_bytes(bytes).into())
    }

    fn u16_le(&mut self) -> Option<u32> {
        self.array().map(|bytes| u16::from_le_bytes(bytes).into())
    }

    fn u24_le(&mut self) -> Option<u32> {
        self.array().map(|[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
    }

    fn skip(&mut self, count: u32) -> Option<()> {
        for _ in 0..count {
            self.0.next()?;
        }
        Some(())
    }
}

/// The header chunk is the first (PNG, third edition, 5.6 and 11.2.1).
fn png(file: &mut Reader<impl Iterator<Item = u8>>) -> Option<(u32, u32)> {
    let rest: [u8; 12] = file.array()?;
    if rest != *b"\r\n\x1a\n\0\0\0\x0dIHDR" {
        return None;
    }
    Some((u32::from_be_bytes(file.array()?), u32::from_be_bytes(file.array()?)))
}

/// Segments up to the first frame header (ITU-T T.81, B.1 and B.2). A height of zero stands for one that comes later.
fn jpeg(file: &mut Reader<impl Iterator<Item = u8>>, mut marker: u8) -> Option<(u32, u32)> {
    loop {
        match marker {
            // Fill bytes before a marker.
            0xff => marker = file.byte()?,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                file.skip(3)?;
                let height = file.u16_be()?;
                return Some((file.u16_be()?, height));
            }
            // Tables, application data and comments: passed by their length.
            0xc4 | 0xcc | 0xdb | 0xdd | 0xe0..=0xef | 0xfe => {
                let length = file.u16_be()?.checked_sub(2)?;
                file.skip(length)?;
                if file.byte()? != 0xff {
                    return None;
                }
                marker = file.byte()?;
            }
            _ => return None,
        }
    }
}

/// The screen, or the first image where that reaches beyond it (GIF89a, 18 and 20): decoders differ in which they take.
fn gif(file: &mut Reader<impl Iterator<Item = u8>>) -> Option<(u32, u32)> {
    if !matches!(file.array()?, [b'7' | b'9', b'a']) {
        return None;
    }
    let (width, height) = (file.u16_le()?, file.u16_le()?);
    let [flags, _background, _aspect] = file.array()?;
    if flags & 0x80 != 0 {
        file.skip(3 * (2 << (flags & 7)))?;
    }
    loop {
        match file.byte()? {
            // An extension: a label, then blocks up to an empty one.
            0x21 => {
                file.byte()?;
                while let length @ 1.. = file.byte()? {
                    file.skip(length.into())?;
                }
            }
            0x2c => {
                let (left, top) = (file.u16_le()?, file.u16_le()?);
                let (right, bottom) = (left + file.u16_le()?, top + file.u16_le()?);
                return Some((width.max(right), height.max(bottom)));
            }
            _ => return None,
        }
    }
}

/// The first chunk of the three kinds (RFC 9649, 2.5 to 2.7; lossy: RFC 6386, 9.1; lossless: RFC 9649, 3.4).
fn webp(file: &mut Reader<impl Iterator<Item = u8>>) -> Option<(u32, u32)> {
    file.skip(4)?;
    if file.array()? != *b"WEBP" {
        return None;
    }
    let kind: [u8; 4] = file.array()?;
    file.skip(4)?;
    match &kind {
        b"VP8X" => {
            file.skip(4)?;
            Some((file.u24_le()? + 1, file.u24_le()? + 1))
        }
        b"VP8 " => {
            file.skip(3)?;
            if file.array()? != [0x9d, 0x01, 0x2a] {
                return None;
            }
            Some((file.u16_le()? & 0x3fff, file.u16_le()? & 0x3fff))
        }
        b"VP8L" => {
            if file.byte()? != 0x2f {
                return None;
            }
            let bits = u32::from_le_bytes(file.array()?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
