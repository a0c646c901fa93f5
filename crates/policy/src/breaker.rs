//! What an offer's failures mean for the next requests: breakers per (offer, error class), recovery, `Retry-After`.
//!
//! - **Closed**: everything passes. Of the last 20 calls, those that failed by the offer's own fault are counted; at
//!   50 % the breaker of the failing class opens. Five unreachables or timeouts in a row open it too.
//! - **Open**: nothing passes until `probe_first`; then one request may try. It failed: the wait of its class
//!   doubles, up to `probe_max`. A request that has nowhere else to go may try earlier, one each `lone_probe_every`;
//!   its failure changes nothing.
//! - **Recovery**: after a try that went well 10, then 25, then 50 % of eligible requests pass, one step each
//!   `ramp_step`, counted out evenly (every tenth, every fourth, every second); then the breaker is closed.
//!
//! A client's mistake or a refused credential says nothing about the offer and is not counted.

use domain::{Blame, ErrorClass, RateHint, UnixMicros};
use smallvec::SmallVec;

use crate::Availability;

/// Most calls that a window can hold.
const WINDOW_MAX: usize = 64;

/// Numbers of the breaker; times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Calls that are looked back at; 1 to 64.
    pub window: u8,
    /// Failed calls in the window, in hundredths of a percent, at which it opens.
    pub open_basis_points: u16,
    /// Unreachables or timeouts in a row at which it opens.
    pub consecutive: u8,
    /// Wait before the first try.
    pub probe_first: u64,
    /// Longest wait between tries.
    pub probe_max: u64,
    /// A try without an outcome counts as lost after this.
    pub probe_lease: u64,
    /// Least time between tries of requests that have nowhere else to go.
    pub lone_probe_every: u64,
    /// How long each step of the recovery lasts.
    pub ramp_step: u64,
    /// How long, after a try that went well, only every second request with nowhere else to go passes: those that
    /// were refused during the outage come back at the same time. The first ten pass in any case.
    pub lone_half: u64,
    /// Longest `Retry-After` that is believed.
    pub set_aside_max: u64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: 20,
            open_basis_points: 5_000,
            consecutive: 5,
            probe_first: 15_000_000,
            probe_max: 300_000_000,
            probe_lease: 150_000_000,
            lone_probe_every: 2_000_000,
            ramp_step: 10_000_000,
            lone_half: 3_000_000,
            set_aside_max: 3_600_000_000,
        }
    }
}

/// Requests with nowhere else to go that pass at the start of a recovery before every second one is held back.
const LONE_FREE: u8 = 10;

/// Percent of eligible requests in each step of the recovery.
const RAMP: [u8; 3] = [10, 25, 50];

/// The breaker of one error class, once it has opened; forgotten after full recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opened {
    class: ErrorClass,
    until: UnixMicros,
    delay: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open,
    Ramp { since: UnixMicros, credit: u8, lone: u8 },
}

/// The last calls, newest overwriting oldest; `true` is a failure.
#[derive(Clone, Copy, Debug)]
struct Ring {
    failed: u64,
    at: u8,
    len: u8,
}

impl Ring {
    const EMPTY: Self = Self { failed: 0, at: 0, len: 0 };

    fn push(&mut self, window: u8, failed: bool) {
        let window = window.clamp(1, WINDOW_MAX as u8);
        self.at %= window;
        // What lies beyond a window that has become shorter would never be overwritten.
        self.failed &= u64::MAX >> (WINDOW_MAX as u8 - window);
        let bit = 1_u64 << self.at;
        self.failed = if failed { self.failed | bit } else { self.failed & !bit };
        self.at = (self.at + 1) % window;
        self.len = self.len.saturating_add(1).min(window);
    }

    /// Failures as a share of the whole window, full or not: ten of twenty open it whatever the other ten bring.
    fn at_least(&self, window: u8, basis_points: u16) -> bool {
        let window = u32::from(window.clamp(1, WINDOW_MAX as u8));
        self.failed.count_ones() * 10_000 >= window * u32::from(basis_points.max(1))
    }
}

/// One offer's breakers.
#[derive(Clone, Debug)]
pub struct Breaker {
    phase: Phase,
    ring: Ring,
    streak: u8,
    opened: SmallVec<[Opened; 1]>,
    probe_since: Option<UnixMicros>,
    tried_at: UnixMicros,
    set_aside_until: UnixMicros,
}

/// A breaker as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All is well.
    Closed,
    /// Nothing passes.
    Open {
        /// What it failed with.
        class: ErrorClass,
        /// When it is tried again.
        until: UnixMicros,
    },
    /// It recovers.
    Recovering {
        /// The part of requests it gets, in percent.
        percent: u8,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

impl Breaker {
    /// A closed one.
    pub fn new() -> Self {
        let never = UnixMicros::from_micros(i64::MIN);
        Self {
            phase: Phase::Closed,
            ring: Ring::EMPTY,
            streak: 0,
            opened: SmallVec::new(),
            probe_since: None,
            tried_at: never,
            set_aside_until: never,
        }
    }

    /// Whether this request may go to the offer. Counts the request when the offer recovers, so call it once per
    /// request and offer; [`Breaker::peek`] counts nothing.
    pub fn view(&mut self, config: &BreakerConfig, now: UnixMicros) -> Availability {
        let seen = self.peek(config, now);
        match seen {
            Availability::Ramp { percent, .. } => self.turn(config, now, percent),
            other => other,
        }
    }

    /// The same without counting; an offer that recovers is always `Ramp`.
    pub fn peek(&mut self, config: &BreakerConfig, now: UnixMicros) -> Availability {
        if now < self.set_aside_until {
            return Availability::SetAside { until: self.set_aside_until };
        }
        match self.phase {
            Phase::Closed => Availability::Ready,
            Phase::Ramp { since, .. } => {
                if let Some(percent) = ramp_percent(config, since, now) {
                    return Availability::Ramp { percent, lone: true };
                }
                self.close();
                Availability::Ready
            }
            Phase::Open => self.open_view(config, now),
        }
    }

    fn open_view(&self, config: &BreakerConfig, now: UnixMicros) -> Availability {
        let (class, until) = self.latest();
        if now >= until && !self.probing(config, now) {
            return Availability::Probe;
        }
        let until = if now < until { until } else { self.lease_ends(config) };
        Availability::Open { class, until, lone_at: self.lone_at(config) }
    }

    /// The breaker that opens last.
    fn latest(&self) -> (ErrorClass, UnixMicros) {
        let last = self.opened.iter().max_by_key(|it| it.until);
        last.map_or((ErrorClass::None, UnixMicros::from_micros(i64::MIN)), |it| {
            (it.class, it.until)
        })
    }

    fn probing(&self, config: &BreakerConfig, now: UnixMicros) -> bool {
        self.probe_since.is_some_and(|since| elapsed(since, now) < config.probe_lease)
    }

    fn lease_ends(&self, config: &BreakerConfig) -> UnixMicros {
        let lease = i64::try_from(config.probe_lease).unwrap_or(i64::MAX);
        self.probe_since.map_or(self.tried_at, |since| since.plus_micros(lease))
    }

    fn lone_at(&self, config: &BreakerConfig) -> UnixMicros {
        self.tried_at.plus_micros(i64::try_from(config.lone_probe_every).unwrap_or(i64::MAX))
    }

    /// Every tenth, fourth, second request passes.
    fn turn(&mut self, config: &BreakerConfig, now: UnixMicros, percent: u8) -> Availability {
        let Phase::Ramp { since, credit, lone } = &mut self.phase else {
            return Availability::Ready;
        };
        *credit = credit.saturating_add(percent);
        if *credit >= 100 {
            *credit -= 100;
            return Availability::Ready;
        }
        // Counts up to the free ones, then back and forth between the last two.
        *lone = if *lone > LONE_FREE { LONE_FREE } else { *lone + 1 };
        let held_back = *lone > LONE_FREE && elapsed(*since, now) < config.lone_half;
        Availability::Ramp { percent, lone: !held_back }
    }

    /// Takes the right to ask the offer now: `None` if it has gone meanwhile (the breaker has opened, another
    /// request is trying), else whether this is a try.
    pub fn claim(&mut self, config: &BreakerConfig, now: UnixMicros) -> Option<bool> {
        match self.peek(config, now) {
            Availability::Ready | Availability::Ramp { .. } => Some(false),
            Availability::Open { lone_at, .. } if now < lone_at => None,
            Availability::Probe | Availability::Open { .. } => {
                self.probe_since = Some(now);
                self.tried_at = now;
                Some(true)
            }
            Availability::SetAside { .. } | Availability::NoCredential { .. } => None,
        }
    }

    /// Learns how an attempt ended. `probe` is what [`Breaker::claim`] said.
    pub fn observe(
        &mut self,
        config: &BreakerConfig,
        now: UnixMicros,
        probe: bool,
        outcome: Result<(), ErrorClass>,
        hint: RateHint,
    ) {
        if probe {
            self.probe_since = None;
        }
        match outcome {
            Ok(()) => self.succeeded(config, now, probe),
            Err(class) if class.blame() == Blame::Offer => {
                self.set_aside(config, now, hint);
                self.failed(config, now, probe, class);
            }
            Err(_) => {}
        }
    }

    fn succeeded(&mut self, config: &BreakerConfig, now: UnixMicros, probe: bool) {
        match self.phase {
            // An answer to a request from before the breaker opened proves nothing about now.
            Phase::Open if !probe => {}
            Phase::Open => {
                self.ring = Ring::EMPTY;
                self.streak = 0;
                self.phase = Phase::Ramp { since: now, credit: 0, lone: 0 };
            }
            Phase::Closed | Phase::Ramp { .. } => {
                self.streak = 0;
                self.ring.push(config.window, false);
            }
        }
    }

    fn failed(&mut self, config: &BreakerConfig, now: UnixMicros, probe: bool, class: ErrorClass) {
        if self.phase == Phase::Open {
            if probe && now >= self.latest().1 {
                self.open(config, now, class);
            }
            return;
        }
        let gone = matches!(class, ErrorClass::Unreachable | ErrorClass::Timeout);
        self.streak = if gone { self.streak.saturating_add(1) } else { 0 };
        self.ring.push(config.window, true);
        let in_a_row = self.streak >= config.consecutive.max(1);
        if in_a_row || self.ring.at_least(config.window, config.open_basis_points) {
            self.open(config, now, class);
        }
    }

    fn open(&mut self, config: &BreakerConfig, now: UnixMicros, class: ErrorClass) {
        let known = self.opened.iter().position(|it| it.class == class);
        let delay = match known.map(|at| self.opened.swap_remove(at)) {
            Some(before) => before.delay.saturating_mul(2).min(config.probe_max),
            None => config.probe_first,
        };
        let until = now.plus_micros(i64::try_from(delay).unwrap_or(i64::MAX));
        self.opened.push(Opened { class, until, delay });
        self.phase = Phase::Open;
        self.ring = Ring::EMPTY;
        self.streak = 0;
        self.tried_at = now;
    }

    fn close(&mut self) {
        self.phase = Phase::Closed;
        self.opened.clear();
    }

    fn set_aside(&mut self, config: &BreakerConfig, now: UnixMicros, hint: RateHint) {
        let Some(ms) = hint.retry_after_ms else { return };
        let micros = ms.saturating_mul(1_000).min(config.set_aside_max);
        let until = now.plus_micros(i64::try_from(micros).unwrap_or(i64::MAX));
        self.set_aside_until = self.set_aside_until.max(until);
    }

    /// How it stands, for metrics and people.
    pub fn state(&self, config: &BreakerConfig, now: UnixMicros) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open => {
                let (class, until) = self.latest();
                BreakerState::Open { class, until }
            }
            Phase::Ramp { since, .. } => match ramp_percent(config, since, now) {
                Some(percent) => BreakerState::Recovering { percent },
                None => BreakerState::Closed,
            },
        }
    }
}

/// `None` once the recovery is over.
fn ramp_percent(config: &BreakerConfig, since: UnixMicros, now: UnixMicros) -> Option<u8> {
    let step = elapsed(since, now) / config.ramp_step.max(1);
    usize::try_from(step).ok().and_then(|step| RAMP.get(step)).copied()
}

/// Microseconds from `since` to `now`; none if the clock was set back.
fn elapsed(since: UnixMicros, now: UnixMicros) -> u64 {
    u64::try_from(now.micros_since(since)).unwrap_or(0)
}
