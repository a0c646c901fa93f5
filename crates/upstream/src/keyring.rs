//! Several keys for one provider: spread evenly, a refused one set aside for a while.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::secret::Secret;

/// The first time a key is set aside; doubles with each refusal in a row.
const FIRST_ASIDE: Duration = Duration::from_mins(1);
/// The longest.
const LONGEST_ASIDE: Duration = Duration::from_hours(1);

/// The keys of a provider, shared by all threads.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Slot>,
    next: AtomicUsize,
    /// Times are kept as milliseconds since then.
    origin: Instant,
}

#[derive(Debug)]
struct Slot {
    secret: Secret,
    /// Milliseconds since the origin until which it is not used; zero when in use.
    aside_until: AtomicU64,
    refusals: AtomicU32,
}

/// A key to use now.
#[derive(Clone, Copy, Debug)]
pub struct Picked<'a> {
    /// Its place in the ring, for [`KeyRing::refused`] and [`KeyRing::accepted`] and for logs.
    pub index: usize,
    /// The key.
    pub secret: &'a Secret,
}

/// Every key is set aside (or there is none).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every key of the provider is set aside after being refused")]
pub struct NoKey {
    /// When the first may be tried again; `None` if the ring is empty.
    pub earliest: Option<Instant>,
}

impl KeyRing {
    /// A ring of these keys; empty ones are left out. `now` is any moment not later than the others.
    pub fn new(keys: Vec<Secret>, now: Instant) -> Self {
        let slot =
            |secret| Slot { secret, aside_until: AtomicU64::new(0), refusals: AtomicU32::new(0) };
        Self {
            keys: keys.into_iter().filter(|it| !it.is_empty()).map(slot).collect(),
            next: AtomicUsize::new(0),
            origin: now,
        }
    }

    /// Keys in the ring, set aside or not.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The next key in turn that is not set aside.
    ///
    /// # Errors
    /// [`NoKey`] when there is none.
    pub fn pick(&self, now: Instant) -> Result<Picked<'_>, NoKey> {
        let count = self.keys.len();
        if count == 0 {
            return Err(NoKey { earliest: None });
        }
        let now = self.millis(now);
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let mut earliest = u64::MAX;
        for index in (0..count).map(|step| start.wrapping_add(step) % count) {
            let Some(slot) = self.keys.get(index) else { continue };
            let until = slot.aside_until.load(Ordering::Relaxed);
            if until <= now {
                return Ok(Picked { index, secret: &slot.secret });
            }
            earliest = earliest.min(until);
        }
        Err(NoKey { earliest: Some(self.origin + Duration::from_millis(earliest)) })
    }

    /// The key of that mark, set aside or not: what lies with one key is there for no other.
    pub fn marked(&self, mark: u64) -> Option<Picked<'_>> {
        let mut slots = self.keys.iter().enumerate();
        let (index, slot) = slots.find(|(_, slot)| slot.secret.mark() == mark)?;
        Some(Picked { index, secret: &slot.secret })
    }

    /// How long until a key may be used: `None` when one may be now. Takes no turn.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let at = self.millis(now);
        let soonest = self.keys.iter().map(|it| it.aside_until.load(Ordering::Relaxed)).min()?;
        (soonest > at).then(|| Duration::from_millis(soonest - at))
    }

    /// The provider refused this key (401, 403, quota): it rests 1 min, then 2, 4, ... up to 1 h.
    /// Returns until when.
    pub fn refused(&self, index: usize, now: Instant) -> Option<Instant> {
        let slot = self.keys.get(index)?;
        let at = self.millis(now);
        if slot.aside_until.load(Ordering::Relaxed) > at {
            // Requests that were under way with it when it was set aside say nothing new.
            return Some(
                self.origin + Duration::from_millis(slot.aside_until.load(Ordering::Relaxed)),
            );
        }
        let before = slot.refusals.fetch_add(1, Ordering::Relaxed).min(16);
        let rest = FIRST_ASIDE.saturating_mul(1 << before).min(LONGEST_ASIDE);
        let until = at + rest.as_millis() as u64;
        slot.aside_until.store(until, Ordering::Relaxed);
        Some(self.origin + Duration::from_millis(until))
    }

    /// The provider accepted this key: its past refusals are forgotten.
    pub fn accepted(&self, index: usize) {
        if let Some(slot) = self.keys.get(index)
            && slot.refusals.load(Ordering::Relaxed) != 0
        {
            slot.refusals.store(0, Ordering::Relaxed);
            slot.aside_until.store(0, Ordering::Relaxed);
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, KeyRing, NoKey, Secret};

    fn ring(count: usize, now: Instant) -> KeyRing {
        KeyRing::new((0..count).map(|it| Secret::new(format!("key-{it}"))).collect(), now)
    }

    #[test]
    fn spreads_evenly() {
        let now = Instant::now();
        let ring = ring(3, now);
        let mut seen = [0; 3];
        for _ in 0..300 {
            seen[ring.pick(now).unwrap().index] += 1;
        }
        assert_eq!(seen, [100, 100, 100]);
    }

    #[test]
    fn a_refused_key_rests_longer_each_time_and_is_forgiven_on_success() {
        let now = Instant::now();
        let ring = ring(2, now);
        let mut at = now;
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            let until = ring.refused(0, at).unwrap();
            assert_eq!(until - at, Duration::from_mins(minutes));
            assert_eq!(ring.refused(0, at).unwrap(), until, "a late refusal does not add up");
            for _ in 0..4 {
                assert_eq!(ring.pick(at + (until - at) * 9 / 10).unwrap().index, 1);
            }
            at = until;
        }
        assert!((0..2).any(|_| ring.pick(at).unwrap().index == 0));
        ring.accepted(0);
        assert_eq!(ring.refused(0, at).unwrap() - at, Duration::from_mins(1));
    }

    #[test]
    fn says_when_the_first_returns() {
        let now = Instant::now();
        let ring = ring(2, now);
        ring.refused(0, now);
        let later = now + Duration::from_secs(10);
        ring.refused(1, later);
        let NoKey { earliest } = ring.pick(later).unwrap_err();
        assert_eq!(earliest, Some(now + Duration::from_mins(1)));
        assert_eq!(KeyRing::new(Vec::new(), now).pick(now).unwrap_err(), NoKey { earliest: None });
    }
}
