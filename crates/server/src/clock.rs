//! The one place of the data plane that reads clocks and random bits.

use std::cell::Cell;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use domain::{Clock, Rng, UnixMicros};

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixMicros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMicros::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Random bits for request ids and jitter, one generator a thread (SplitMix64, seeded by the system). Not for secrets.
#[derive(Debug)]
pub struct ThreadRandom(Cell<u64>);

impl ThreadRandom {
    /// A generator with that seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// A generator seeded by the process's own hasher keys, which the system draws at start.
    pub fn from_system() -> Self {
        use std::hash::{BuildHasher, Hasher};
        let hasher = std::collections::hash_map::RandomState::new().build_hasher();
        Self::seeded(hasher.finish())
    }

    /// The next 64 bits.
    pub fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next 128 bits.
    pub fn next_u128(&self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

impl Rng for ThreadRandom {
    fn next_u64(&mut self) -> u64 {
        self.next()
    }
}
