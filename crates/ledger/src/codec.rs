//! Primitive values as bytes: the alphabet that [`crate::record`] is written in.
//!
//! Integers are little-endian base-128 (LEB128), signed ones zigzagged first; text is a length and UTF-8; an
//! optional value is one byte 0 or 1 and then the value. Nothing is aligned. Reading never panics and never
//! allocates more than the bytes that are there.

use std::borrow::Cow;
use std::sync::Arc;

use domain::{Money, UnixMicros};

/// Why bytes are no record of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end in the middle of a value.
    #[error("record ends in the middle of `{0}`")]
    Truncated(&'static str),
    /// A value is outside its range.
    #[error("record has an impossible `{0}`")]
    Value(&'static str),
    /// Written by a later version of the program.
    #[error("record has format version {0}, newer than this program knows")]
    Version(u8),
    /// A kind this program doesn't know.
    #[error("record has unknown kind {0}")]
    Kind(u8),
    /// Bytes after the last field.
    #[error("record has {0} bytes too many")]
    Trailing(usize),
}

/// Writes values behind one another.
#[derive(Debug, Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(crate) fn uint(&mut self, value: u64) {
        self.wide(u128::from(value));
    }

    pub(crate) fn wide(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn int(&mut self, value: i64) {
        self.uint(((value << 1) ^ (value >> 63)) as u64);
    }

    pub(crate) fn wide_int(&mut self, value: i128) {
        self.wide(((value << 1) ^ (value >> 127)) as u128);
    }

    pub(crate) fn money(&mut self, value: Money) {
        self.int(value.pico());
    }

    /// A time as eight bytes: what others are relative to.
    pub(crate) fn time(&mut self, value: UnixMicros) {
        self.0.extend_from_slice(&value.micros().to_le_bytes());
    }

    /// A time relative to another: two to four bytes as a rule.
    pub(crate) fn since(&mut self, value: UnixMicros, base: UnixMicros) {
        self.int(value.micros().wrapping_sub(base.micros()));
    }

    pub(crate) fn str(&mut self, value: &str) {
        self.uint(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.uint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(crate) fn raw(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                write(self, value);
            }
        }
    }

    pub(crate) fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.uint(values.len() as u64);
        for value in values {
            write(self, value);
        }
    }
}

/// Reads values from the front.
#[derive(Debug)]
pub(crate) struct In<'a>(pub(crate) &'a [u8]);

impl<'a> In<'a> {
    pub(crate) fn raw(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(DecodeError::Truncated(what))?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        self.raw(N, what)?.try_into().map_err(|_| DecodeError::Truncated(what))
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn bool(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value(what)),
        }
    }

    pub(crate) fn wide(&mut self, what: &'static str) -> Result<u128, DecodeError> {
        let mut value = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u128::from(byte & 0x7f);
            if shift > 121 && bits >> (128 - shift) != 0 {
                return Err(DecodeError::Value(what));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Value(what))
    }

    pub(crate) fn uint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Value(what));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Value(what))
    }

    pub(crate) fn small<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        T::try_from(self.uint(what)?).map_err(|_| DecodeError::Value(what))
    }

    pub(crate) fn int(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let value = self.uint(what)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(crate) fn wide_int(&mut self, what: &'static str) -> Result<i128, DecodeError> {
        let value = self.wide(what)?;
        Ok((value >> 1) as i128 ^ -((value & 1) as i128))
    }

    pub(crate) fn money(&mut self, what: &'static str) -> Result<Money, DecodeError> {
        self.int(what).map(Money::from_pico)
    }

    pub(crate) fn time(&mut self, what: &'static str) -> Result<UnixMicros, DecodeError> {
        Ok(UnixMicros::from_micros(i64::from_le_bytes(self.array(what)?)))
    }

    pub(crate) fn since(
        &mut self,
        base: UnixMicros,
        what: &'static str,
    ) -> Result<UnixMicros, DecodeError> {
        Ok(UnixMicros::from_micros(base.micros().wrapping_add(self.int(what)?)))
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.small::<usize>(what)?;
        self.raw(len, what)
    }

    pub(crate) fn str(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(what)?).map_err(|_| DecodeError::Value(what))
    }

    pub(crate) fn shared(&mut self, what: &'static str) -> Result<Arc<str>, DecodeError> {
        self.str(what).map(Arc::from)
    }

    pub(crate) fn word(&mut self, what: &'static str) -> Result<Cow<'static, str>, DecodeError> {
        self.str(what).map(|text| Cow::Owned(text.to_owned()))
    }

    pub(crate) fn name<T, E>(
        &mut self,
        what: &'static str,
        new: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, DecodeError> {
        new(self.str(what)?).map_err(|_| DecodeError::Value(what))
    }

    pub(crate) fn option<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.bool(what)? { read(self).map(Some) } else { Ok(None) }
    }

    pub(crate) fn list<T>(
        &mut self,
        what: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.small::<usize>(what)?;
        // Each value takes at least one byte, so a count beyond that is corrupt: don't allocate for it.
        if count > self.0.len() {
            return Err(DecodeError::Truncated(what));
        }
        (0..count).map(|_| read(self)).collect()
    }

    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.0.len())) }
    }
}
