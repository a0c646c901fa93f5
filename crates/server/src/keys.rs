//! The virtual keys that are known, in memory: a request costs one look-up and one keyed hash.

use std::collections::HashMap;
use std::sync::Arc;

use config::Config;
use domain::{AppName, CapabilityName, KeyPublicId, TeamName, UnixMicros};
use limits::{BudgetSpec, ScopeFilter};
use store::{KeyHasher, KeyRecord};

use crate::resolve;

/// A key as requests know it.
#[derive(Debug)]
pub struct Key {
    /// Its public part.
    pub public: KeyPublicId,
    /// Its application.
    pub app: AppName,
    /// Its team.
    pub team: Option<TeamName>,
    /// What it may ask for; empty: everything.
    pub capabilities: Vec<CapabilityName>,
    record: KeyRecord,
}

/// What a presented key is.
#[derive(Debug)]
pub enum Lookup {
    /// Valid.
    Found(Arc<Key>),
    /// Its time is over.
    Expired(KeyPublicId),
    /// It was revoked.
    Revoked(KeyPublicId),
    /// Not one of ours.
    Unknown,
}

/// All keys, by their public part.
pub struct KeyTable {
    hasher: KeyHasher,
    keys: HashMap<String, Arc<Key>>,
}

impl KeyTable {
    /// A table of these records.
    pub fn new(hasher: KeyHasher, records: Vec<KeyRecord>) -> Self {
        let keys = records
            .into_iter()
            .map(|record| {
                let key = Key {
                    public: record.public.clone(),
                    app: record.app.clone(),
                    team: record.team.clone(),
                    capabilities: record.capabilities.clone(),
                    record,
                };
                (key.public.as_str().to_owned(), Arc::new(key))
            })
            .collect();
        Self { hasher, keys }
    }

    /// The key of that public part, whatever its state.
    pub fn get(&self, public: &str) -> Option<&Arc<Key>> {
        self.keys.get(public)
    }

    /// What a presented key is. Shape first, then the public part, then the secret in constant time: whether a key is
    /// expired or revoked is told only to whoever has its secret.
    pub fn look_up(&self, presented: &str, now: UnixMicros) -> Lookup {
        let Ok(parsed) = store::keys::parse(presented) else { return Lookup::Unknown };
        let Some(key) = self.keys.get(parsed.public()) else { return Lookup::Unknown };
        if !self.hasher.verify(&parsed, &key.record, now) {
            return Lookup::Unknown;
        }
        if key.record.revoked_at.is_some_and(|at| at <= now) {
            return Lookup::Revoked(key.public.clone());
        }
        if key.record.expires_at.is_some_and(|at| at <= now) {
            return Lookup::Expired(key.public.clone());
        }
        Lookup::Found(Arc::clone(key))
    }

    /// The budgets that stand on keys themselves: `5 USD per day` as `key/<public>/0`. Revoked keys have none.
    pub fn budgets(&self) -> Vec<BudgetSpec> {
        let mut keys: Vec<&Arc<Key>> =
            self.keys.values().filter(|key| key.record.revoked_at.is_none()).collect();
        keys.sort_by(|left, right| left.public.cmp(&right.public));
        keys.into_iter().flat_map(|key| key_budgets(key)).collect()
    }
}

/// A capability of the configuration, or why it is none.
pub fn capability(text: &str, config: &Config) -> Result<CapabilityName, String> {
    if let Some(known) = config.capabilities.iter().find(|it| it.name.as_str() == text) {
        return Ok(known.name.clone());
    }
    let names = || config.capabilities.iter().map(|it| it.name.as_str());
    let asked = resolve::shown(text);
    Err(match catalog::nearest(text, names(), 1).first() {
        Some(near) => format!("there is no capability `{asked}`; did you mean `{near}`?"),
        None => format!("there is no capability `{asked}`; `capabilities` has {}", listed(names())),
    })
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn key_budgets(key: &Key) -> Vec<BudgetSpec> {
    let specs = key.record.budgets.iter().enumerate().filter_map(|(at, text)| {
        // The text was checked when the key was made.
        let allowance = limits::spec::parse(text).ok()?;
        Some(BudgetSpec {
            name: format!("key/{}/{at}", key.public).into(),
            scope: ScopeFilter { key: Some(key.public.clone()), ..ScopeFilter::ALL },
            limit: allowance.limit,
            period: allowance.period,
            zone: allowance.zone.unwrap_or_default(),
            hard: true,
        })
    });
    specs.collect()
}
