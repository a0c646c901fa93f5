//! Lasting names of price sheets.

use std::fmt;

use domain::Price;

use crate::Rates;

/// Names a price sheet for good: a hash of what it says and from when. A ledger row keeps it; the same sheet has
/// the same version in every release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PriceVersion(pub u64);

impl PriceVersion {
    /// Reads what `Display` wrote.
    pub fn parse(hex: &str) -> Option<Self> {
        if hex.len() == 16 { u64::from_str_radix(hex, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for PriceVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

/// FNV-1a, 64 bit: short, stable, and its inputs are our own, so nobody picks collisions.
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) fn rates(&mut self, rates: &Rates) {
        let optional = [
            rates.cache_read,
            rates.cache_write,
            rates.cache_write_long,
            rates.reasoning,
            rates.audio_input,
            rates.audio_output,
            rates.image_input,
        ];
        self.write(&rates.input.pico_per_million().to_le_bytes());
        self.write(&rates.output.pico_per_million().to_le_bytes());
        for price in optional {
            // No published price is negative, so -1 can stand for "not quoted".
            self.write(&price.map_or(-1, Price::pico_per_million).to_le_bytes());
        }
    }

    pub(crate) fn finish(self) -> u64 {
        self.0
    }
}
