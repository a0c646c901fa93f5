//! Whom a limit applies to, and how the limits that apply to a request are found without looking at all.

use std::collections::BTreeMap;
use std::fmt;

use domain::{AppName, CapabilityName, KeyPublicId, ProviderName, TeamName};
use smallvec::SmallVec;

/// Slots of matching limits; six fit without allocating.
pub(crate) type Matches = SmallVec<[u32; 6]>;

/// Who asks for what, from whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The key that was presented.
    pub key: Option<&'a KeyPublicId>,
    /// Its application.
    pub app: Option<&'a AppName>,
    /// Its team.
    pub team: Option<&'a TeamName>,
    /// The provider of the attempt.
    pub provider: Option<&'a ProviderName>,
    /// The capability, or offer, that was asked for.
    pub capability: Option<&'a CapabilityName>,
}

/// Whom a limit applies to: every field that is set must be equal; none set means everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeFilter {
    /// Only this key.
    pub key: Option<KeyPublicId>,
    /// Only this application.
    pub app: Option<AppName>,
    /// Only this team.
    pub team: Option<TeamName>,
    /// Only attempts at this provider.
    pub provider: Option<ProviderName>,
    /// Only this capability.
    pub capability: Option<CapabilityName>,
}

impl ScopeFilter {
    /// Everybody.
    pub const ALL: Self =
        Self { key: None, app: None, team: None, provider: None, capability: None };

    /// Whether a request of this scope is meant.
    pub fn matches(&self, scope: &Scope<'_>) -> bool {
        fn fits<T: Eq>(wanted: Option<&T>, given: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| Some(wanted) == given)
        }
        fits(self.key.as_ref(), scope.key)
            && fits(self.app.as_ref(), scope.app)
            && fits(self.team.as_ref(), scope.team)
            && fits(self.provider.as_ref(), scope.provider)
            && fits(self.capability.as_ref(), scope.capability)
    }
}

impl fmt::Display for ScopeFilter {
    /// `all`, or `team search, provider openai`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("key", self.key.as_ref().map(KeyPublicId::as_str)),
            ("app", self.app.as_ref().map(AppName::as_str)),
            ("team", self.team.as_ref().map(TeamName::as_str)),
            ("provider", self.provider.as_ref().map(ProviderName::as_str)),
            ("capability", self.capability.as_ref().map(CapabilityName::as_str)),
        ];
        let mut first = true;
        for (word, name) in parts {
            if let Some(name) = name {
                write!(out, "{}{word} {name}", if first { "" } else { ", " })?;
                first = false;
            }
        }
        if first { out.write_str("all") } else { Ok(()) }
    }
}

/// Each limit stands in exactly one list, under its narrowest field, so a lookup reads at most six short lists
/// however many limits there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScopeIndex {
    by_key: BTreeMap<KeyPublicId, Vec<u32>>,
    by_app: BTreeMap<AppName, Vec<u32>>,
    by_team: BTreeMap<TeamName, Vec<u32>>,
    by_provider: BTreeMap<ProviderName, Vec<u32>>,
    by_capability: BTreeMap<CapabilityName, Vec<u32>>,
    all: Vec<u32>,
}

impl ScopeIndex {
    pub(crate) fn insert(&mut self, filter: &ScopeFilter, slot: u32) {
        let list = if let Some(key) = &filter.key {
            self.by_key.entry(key.clone()).or_default()
        } else if let Some(app) = &filter.app {
            self.by_app.entry(app.clone()).or_default()
        } else if let Some(team) = &filter.team {
            self.by_team.entry(team.clone()).or_default()
        } else if let Some(provider) = &filter.provider {
            self.by_provider.entry(provider.clone()).or_default()
        } else if let Some(capability) = &filter.capability {
            self.by_capability.entry(capability.clone()).or_default()
        } else {
            &mut self.all
        };
        list.push(slot);
    }

    /// Slots that may match: a superset, still to be tested with [`ScopeFilter::matches`].
    pub(crate) fn candidates(&self, scope: &Scope<'_>, mut each: impl FnMut(u32)) {
        fn of<'a, T: Ord>(map: &'a BTreeMap<T, Vec<u32>>, name: Option<&T>) -> &'a [u32] {
            if map.is_empty() {
                return &[];
            }
            name.and_then(|name| map.get(name)).map_or(&[], Vec::as_slice)
        }
        let lists = [
            of(&self.by_key, scope.key),
            of(&self.by_app, scope.app),
            of(&self.by_team, scope.team),
            of(&self.by_provider, scope.provider),
            of(&self.by_capability, scope.capability),
            &self.all,
        ];
        for slot in lists.into_iter().flatten() {
            each(*slot);
        }
    }
}
