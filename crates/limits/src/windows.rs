//! Calendar windows in a stated time zone: half-open spans that tile the time line, without a gap or an overlap,
//! whatever daylight saving time does.
//!
//! Days, weeks (from Monday) and months begin at the first instant of their first civil day. Hours begin at the
//! local full hour; where the zone's offset changes inside an hour, the hour is cut there, so the repeated hour of
//! an autumn night is two windows.
//!
//! Zone data is compiled in (the IANA database that `jiff` bundles): the same version gives the same windows on
//! every machine.

use std::fmt;

use domain::UnixMicros;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span as Step, Timestamp};

const HOUR_SECONDS: i64 = 3_600;

/// How long a window lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Period {
    /// From a full local hour to the next.
    Hour = 0,
    /// A civil day.
    Day = 1,
    /// Seven civil days from Monday.
    Week = 2,
    /// A civil month.
    Month = 3,
    /// Everything, for ever.
    Total = 4,
}

impl Period {
    /// Every period, shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Total];

    /// The word used in config, rows and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The period of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == word)
    }
}

/// No such time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone: use an IANA name such as `Europe/Berlin` or `UTC`")]
pub struct UnknownZone(pub String);

/// An IANA time zone.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of that IANA name, in any case. A fixed offset has no calendar of its own and is refused.
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Self::UTC);
        }
        let zone = TimeZone::get(name).map_err(|_| UnknownZone(name.chars().take(80).collect()))?;
        match zone.iana_name() {
            Some(_) => Ok(Self(zone)),
            None => Err(UnknownZone(name.chars().take(80).collect())),
        }
    }

    /// Every zone name that the bundled database knows.
    pub fn names() -> Vec<String> {
        jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect()
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Local time and zone, for people: `2026-12-01T00:00 Europe/Berlin`.
    pub fn describe(&self, at: UnixMicros) -> String {
        let local = self.0.to_datetime(timestamp(at));
        let seconds = if local.second() == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
        format!("{} {}", local.strftime(seconds), self.name())
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// One window: `start` belongs to it, `end` to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First instant.
    pub start: UnixMicros,
    /// First instant after it.
    pub end: UnixMicros,
}

impl Span {
    /// All of time.
    pub const EVER: Self =
        Self { start: UnixMicros::from_micros(i64::MIN), end: UnixMicros::from_micros(i64::MAX) };

    /// The window of `period` in `zone` that holds `at`. Times outside the years 0 to 9000 are taken for the
    /// nearest of these, so this cannot fail.
    pub fn containing(period: Period, zone: &Zone, at: UnixMicros) -> Self {
        let found = match period {
            Period::Total => None,
            Period::Hour => hour(&zone.0, timestamp(at)),
            Period::Day | Period::Week | Period::Month => days(period, &zone.0, timestamp(at)),
        };
        found.unwrap_or(Self::EVER)
    }

    /// Whether `at` is in it.
    pub fn contains(&self, at: UnixMicros) -> bool {
        self.start <= at && at < self.end
    }
}

/// Within the years that calendar arithmetic can step around in.
fn timestamp(at: UnixMicros) -> Timestamp {
    const YEAR_0: i64 = -62_167_219_200_000_000;
    const YEAR_9000: i64 = 221_845_392_000_000_000;
    let micros = at.micros().clamp(YEAR_0, YEAR_9000);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn micros(at: Timestamp) -> UnixMicros {
    UnixMicros::from_micros(at.as_microsecond())
}

/// The hour, cut where the zone's offset changes.
fn hour(zone: &TimeZone, at: Timestamp) -> Option<Span> {
    let offset = i64::from(zone.to_offset(at).seconds());
    let into = (at.as_second() + offset).rem_euclid(HOUR_SECONDS);
    // `as_second` rounds toward zero: before 1970 a fraction of a second belongs to the second below.
    let second = at.as_second() - i64::from(at.subsec_nanosecond() < 0);
    let into =
        if second == at.as_second() { into } else { (second + offset).rem_euclid(HOUR_SECONDS) };
    let full = Timestamp::from_second(second - into).ok()?;
    let next = Timestamp::from_second(second - into + HOUR_SECONDS).ok()?;
    let just_after = at.checked_add(Step::new().microseconds(1)).ok()?;
    let changed = zone.preceding(just_after).next().map(|change| change.timestamp());
    let changes = zone.following(at).next().map(|change| change.timestamp());
    Some(Span {
        start: micros(changed.map_or(full, |change| change.max(full))),
        end: micros(changes.map_or(next, |change| change.min(next))),
    })
}

/// A span of whole civil days.
fn days(period: Period, zone: &TimeZone, at: Timestamp) -> Option<Span> {
    let mut first = first_day(period, zone.to_datetime(at).date())?;
    let mut start = first_instant(zone, first)?;
    // A clock that is set back across midnight shows the old date again although the new one has begun; a date
    // that a zone skips has no instant at all. Both move by one window at most a few times.
    while start > at {
        first = first_day(period, first.yesterday().ok()?)?;
        start = first_instant(zone, first)?;
    }
    loop {
        let next = next_first_day(period, first)?;
        let end = first_instant(zone, next)?;
        if at < end {
            return Some(Span { start: micros(start), end: micros(end) });
        }
        (first, start) = (next, end);
    }
}

fn first_day(period: Period, date: Date) -> Option<Date> {
    match period {
        Period::Week => {
            let back = date.weekday().since(Weekday::Monday);
            date.checked_sub(Step::new().days(back)).ok()
        }
        Period::Month => Some(date.first_of_month()),
        Period::Hour | Period::Day | Period::Total => Some(date),
    }
}

fn next_first_day(period: Period, first: Date) -> Option<Date> {
    let step = match period {
        Period::Week => Step::new().days(7),
        Period::Month => Step::new().months(1),
        Period::Hour | Period::Day | Period::Total => Step::new().days(1),
    };
    first.checked_add(step).ok()
}

/// The first instant at or after a date's midnight: the earlier one where midnight happens twice, the end of the
/// gap where it does not happen.
fn first_instant(zone: &TimeZone, date: Date) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(date.to_datetime(jiff::civil::Time::midnight()));
    match ambiguous.offset() {
        jiff::tz::AmbiguousOffset::Unambiguous { .. } | jiff::tz::AmbiguousOffset::Fold { .. } => {
            ambiguous.earlier().ok()
        }
        jiff::tz::AmbiguousOffset::Gap { before, .. } => {
            // The offset before the gap puts midnight after the change by as much as the gap has swallowed of it.
            let shown =
                before.to_timestamp(date.to_datetime(jiff::civil::Time::midnight())).ok()?;
            let just_after = shown.checked_add(Step::new().microseconds(1)).ok()?;
            zone.preceding(just_after).next().map(|change| change.timestamp())
        }
    }
}
