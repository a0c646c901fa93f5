//! A gzip body that is small on the wire and huge when opened.

use bytes::Bytes;

/// Bytes that a run of eight 258-byte matches takes: 8 x 13 bits.
const PERIOD: usize = 13;

/// Gzip of about `size` zero bytes at some 160 to 1, made by hand: one literal, then runs of 258.
pub(crate) fn gzip(size: usize) -> Bytes {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let start = out.len();
    let mut bits = Bits { out: &mut out, byte: 0, used: 0 };
    bits.put(0b1, 1); // last block
    bits.put(0b01, 2); // fixed Huffman codes
    bits.code(0b0011_0000, 8); // literal 0
    for _ in 0..24 {
        bits.code(0b1100_0101, 8); // length 258
        bits.code(0, 5); // distance 1
    }
    bits.code(0, 7); // end of block
    bits.flush();
    // Eight matches end where they began within a byte, so the bytes repeat and the rest is copying.
    let at = start + PERIOD;
    let period = out.get(at..at + PERIOD).unwrap_or_default().to_vec();
    let tail = out.split_off(at);
    out.extend_from_slice(&period.repeat(size / (8 * 258)));
    out.extend_from_slice(&tail);
    // The checksum is wrong, but nobody should read so far.
    out.extend_from_slice(&[0; 8]);
    Bytes::from(out)
}

struct Bits<'a> {
    out: &'a mut Vec<u8>,
    byte: u8,
    used: u8,
}

impl Bits<'_> {
    /// Least significant bit first, as deflate packs numbers.
    fn put(&mut self, value: u16, count: u8) {
        for at in 0..count {
            self.byte |= u8::from(value >> at & 1 == 1) << self.used;
            self.used += 1;
            if self.used == 8 {
                self.flush();
            }
        }
    }

    /// Most significant bit first, as deflate packs Huffman codes.
    fn code(&mut self, value: u16, count: u8) {
        for at in (0..count).rev() {
            self.put(value >> at & 1, 1);
        }
    }

    fn flush(&mut self) {
        if self.used > 0 {
            self.out.push(self.byte);
        }
        (self.byte, self.used) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bomb_is_small() {
        let bomb = super::gzip(1 << 20);
        assert!(bomb.len() < 8 << 10);
        assert!(bomb.starts_with(&[0x1f, 0x8b, 8]));
    }
}
