//! Prices that depend on the hour (peak and off-peak), as some vendors have them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use domain::{Price, UnixMicros};
use serde::Deserialize;

use crate::{PriceSheet, Rates, dates};

const HOURS: &str = include_str!("../data/hours.json");
const MICROS_PER_MINUTE: i64 = 60_000_000;
const MINUTES_PER_DAY: i64 = 24 * 60;

/// When the other price applies. All times are UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    valid_from: UnixMicros,
    valid_until: Option<UnixMicros>,
    /// Minutes of the day, `[from, to)`; `to` below `from` goes past midnight.
    windows: Vec<(i64, i64)>,
    weekdays_only: bool,
    /// Days since 1970-01-01.
    holidays: BTreeSet<i64>,
    /// The zone in which days count as holidays and weekends.
    offset_minutes: i64,
}

impl Hours {
    /// Whether the other price applies at `time`.
    pub fn contains(&self, time: UnixMicros) -> bool {
        if time < self.valid_from || self.valid_until.is_some_and(|until| time >= until) {
            return false;
        }
        let minutes = time.micros().div_euclid(MICROS_PER_MINUTE);
        let minute = minutes.rem_euclid(MINUTES_PER_DAY);
        let inside = |(from, to): &(i64, i64)| {
            if from <= to {
                (*from..*to).contains(&minute)
            } else {
                minute >= *from || minute < *to
            }
        };
        self.windows.iter().any(inside) && !self.is_free_day(minutes + self.offset_minutes)
    }

    fn is_free_day(&self, local_minutes: i64) -> bool {
        let day = local_minutes.div_euclid(MINUTES_PER_DAY);
        // Day 0, 1970-01-01, was a Thursday; counted from Monday that is 3. The published hours lie in one and the
        // same day in UTC and in the vendor's zone, so the local weekday is the one that is meant.
        let weekend = (day + 3).rem_euclid(7) >= 5;
        (self.weekdays_only && weekend) || self.holidays.contains(&day)
    }

    /// Whether it can apply at all within `[from, until]`.
    pub(crate) fn may_touch(&self, from: UnixMicros, until: UnixMicros) -> bool {
        // A quarter of an hour is the smallest grain of any published hour; the ends are looked at themselves.
        let step = 15 * MICROS_PER_MINUTE;
        let mut time = from;
        while time < until {
            if self.contains(time) {
                return true;
            }
            let next = time.micros().div_euclid(step).saturating_add(1).saturating_mul(step);
            time = UnixMicros::from_micros(next);
        }
        self.contains(until)
    }
}

/// A rule for one model: at these hours its prices are multiplied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HourRule {
    pub(crate) hours: Arc<Hours>,
    /// In thousandths.
    permille: i64,
}

impl HourRule {
    /// The sheet as it is at these hours.
    pub(crate) fn apply(&self, key: &str, sheet: &PriceSheet) -> PriceSheet {
        let scale = |price: Price| {
            let product = i128::from(price.pico_per_million()) * i128::from(self.permille);
            Price::from_pico_per_million(i64::try_from(product / 1_000).unwrap_or(i64::MAX))
        };
        let rates = |rates: &Rates| rates.map(scale);
        let mut other = sheet.clone();
        other.rates = rates(&other.rates);
        for tier in &mut other.tiers {
            tier.rates = rates(&tier.rates);
        }
        other.from_time(key, sheet.effective_from)
    }
}

#[derive(Deserialize)]
struct File {
    holidays: BTreeMap<String, Holidays>,
    rules: Vec<RuleRow>,
}

#[derive(Deserialize)]
struct Holidays {
    utc_offset_hours: i64,
    dates: Vec<String>,
}

#[derive(Deserialize)]
struct RuleRow {
    provider: String,
    valid_from: String,
    #[serde(default)]
    valid_until: Option<String>,
    #[serde(default)]
    weekdays_only: bool,
    #[serde(default)]
    holidays: Option<String>,
    #[serde(default)]
    peak_hours_utc: Vec<(String, String)>,
    #[serde(default)]
    off_peak_hours_utc: Vec<(String, String)>,
    /// One for all models of the provider.
    #[serde(default)]
    peak_multiplier: Option<f64>,
    /// By model.
    #[serde(default)]
    off_peak_multiplier: BTreeMap<String, f64>,
}

struct Rule {
    host: String,
    hours: Arc<Hours>,
    for_all: Option<i64>,
    by_model: BTreeMap<String, i64>,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let Ok(file) = serde_json::from_str::<File>(HOURS) else { return Vec::new() };
    file.rules.iter().filter_map(|row| read_rule(row, &file.holidays)).collect()
});

fn read_rule(row: &RuleRow, holidays: &BTreeMap<String, Holidays>) -> Option<Rule> {
    let windows =
        if row.peak_hours_utc.is_empty() { &row.off_peak_hours_utc } else { &row.peak_hours_utc };
    let windows = windows
        .iter()
        .map(|(from, to)| Some((minute_of(from)?, minute_of(to)?)))
        .collect::<Option<Vec<_>>>()?;
    let free = row.holidays.as_ref().and_then(|name| holidays.get(name));
    let day_number = |day: &String| Some(dates::parse(day)?.secs().div_euclid(86_400));
    let days = free.iter().flat_map(|it| &it.dates).filter_map(day_number).collect();
    let until = row.valid_until.as_deref().map(|until| dates::parse(until).ok_or(()));
    let hours = Hours {
        valid_from: dates::parse(&row.valid_from)?,
        valid_until: until.transpose().ok()?,
        windows,
        weekdays_only: row.weekdays_only,
        holidays: days,
        offset_minutes: free.map_or(0, |it| it.utc_offset_hours * 60),
    };
    let permille = |factor: f64| (factor * 1_000.0).round() as i64;
    Some(Rule {
        host: row.provider.clone(),
        hours: Arc::new(hours),
        for_all: row.peak_multiplier.map(permille),
        by_model: row.off_peak_multiplier.iter().map(|(m, f)| (m.clone(), permille(*f))).collect(),
    })
}

fn minute_of(clock: &str) -> Option<i64> {
    let (hour, minute) = clock.split_once(':')?;
    Some(hour.parse::<i64>().ok()? * 60 + minute.parse::<i64>().ok()?)
}

/// The rules for a model's interactive prices.
pub(crate) fn rules(host: &str, model: &str) -> Vec<HourRule> {
    if !matches!(host, "deepseek" | "alibaba") {
        // Keeps the file unread for everybody else; a test holds that no other host is in it.
        return Vec::new();
    }
    RULES
        .iter()
        .filter(|rule| rule.host == host)
        .filter_map(|rule| {
            let permille = rule.by_model.get(model).copied().or(rule.for_all)?;
            Some(HourRule { hours: Arc::clone(&rule.hours), permille })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hosts_that_are_looked_for_have_rules() {
        assert_eq!(RULES.len(), 3);
        assert!(RULES.iter().all(|rule| matches!(rule.host.as_str(), "deepseek" | "alibaba")));
    }

    #[test]
    fn peak_hours_skip_nights_weekends_and_holidays() {
        let rule = rules("deepseek", "deepseek-v4-flash")
            .into_iter()
            .find(|rule| rule.hours.weekdays_only)
            .unwrap();
        let at = |text: &str| rule.hours.contains(dates::parse(text).unwrap());
        assert!(at("2026-09-16T01:00:00Z") && at("2026-09-16T09:59:59Z"));
        assert!(!at("2026-09-16T04:00:00Z") && !at("2026-09-16T00:59:59Z"));
        assert!(!at("2026-09-19T02:00:00Z"), "a Saturday");
        assert!(!at("2026-10-01T02:00:00Z"), "a Chinese public holiday");
        assert!(!at("2026-08-13T02:00:00Z"), "before the rule");
    }

    #[test]
    fn windows_past_midnight_hold_on_both_sides() {
        let all = rules("deepseek", "deepseek-chat");
        let rule = all.iter().find(|rule| rule.permille == 500).unwrap();
        let at = |text: &str| rule.hours.contains(dates::parse(text).unwrap());
        assert!(at("2025-03-01T16:30:00Z") && at("2025-03-02T00:29:00Z"));
        assert!(!at("2025-03-02T00:30:00Z") && !at("2025-09-05T17:00:00Z"));
    }
}
