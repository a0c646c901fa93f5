//! What others rely on: windows that tile, budgets that hold against a naive model and under concurrency.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: clippy only knows functions marked `#[test]`"
)]

mod admission;
mod model;
mod race;
mod windows;

use domain::{AppName, KeyPublicId, Money, ProviderName, TeamName, UnixMicros};
use limits::windows::{Period, Zone};
use limits::{BudgetSpec, Scope, ScopeFilter, spec};

/// 2026-11-22T12:00:00Z.
pub(crate) const NOON: UnixMicros = UnixMicros::from_secs(1_795_348_800);

pub(crate) fn budget(name: &str, scope: ScopeFilter, words: &str) -> BudgetSpec {
    let allowance = spec::parse(words).unwrap();
    BudgetSpec {
        name: name.into(),
        scope,
        limit: allowance.limit,
        period: allowance.period,
        zone: allowance.zone.unwrap_or_default(),
        hard: true,
    }
}

pub(crate) fn usd(text: &str) -> Money {
    Money::from_usd(text).unwrap()
}

/// Names that live as long as a test.
pub(crate) struct Names {
    pub(crate) key: KeyPublicId,
    pub(crate) app: AppName,
    pub(crate) team: TeamName,
    pub(crate) one: ProviderName,
    pub(crate) two: ProviderName,
}

impl Names {
    pub(crate) fn new() -> Self {
        Self {
            key: KeyPublicId::new("k1").unwrap(),
            app: AppName::new("web").unwrap(),
            team: TeamName::new("search").unwrap(),
            one: ProviderName::new("one").unwrap(),
            two: ProviderName::new("two").unwrap(),
        }
    }

    pub(crate) fn at<'a>(&'a self, provider: &'a ProviderName) -> Scope<'a> {
        Scope {
            key: Some(&self.key),
            app: Some(&self.app),
            team: Some(&self.team),
            provider: Some(provider),
            capability: None,
        }
    }

    pub(crate) fn only_app(&self) -> ScopeFilter {
        ScopeFilter { app: Some(self.app.clone()), ..ScopeFilter::ALL }
    }

    pub(crate) fn only_provider(provider: &ProviderName) -> ScopeFilter {
        ScopeFilter { provider: Some(provider.clone()), ..ScopeFilter::ALL }
    }
}

pub(crate) fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

pub(crate) fn at(text: &str) -> UnixMicros {
    let timestamp: jiff::Timestamp = text.parse().unwrap();
    UnixMicros::from_micros(timestamp.as_microsecond())
}

pub(crate) const CALENDAR: [Period; 4] = [Period::Hour, Period::Day, Period::Week, Period::Month];
