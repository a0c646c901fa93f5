//! The virtual keys that are known, in memory: a request costs one look-up and one keyed hash, or a signature.

use std::collections::HashMap;
use std::sync::Arc;

use config::Config;
use domain::{AppName, CapabilityName, KeyPublicId, TeamName, UnixMicros};
use limits::{BudgetSpec, ScopeFilter};
use serde_json::{Value, json};
use store::{KeyKind, KeyRecord, KeyVerifier};
use upstream::Secret;
use upstream::sigv4::{BadSignature, Presented, Signable};

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

/// What a signature is.
#[derive(Debug)]
pub enum Signed {
    /// Made with a key of ours, as [`KeyTable::look_up`] would have it.
    By(Lookup),
    /// Not of this request, or not by the key that it names.
    Bad(BadSignature),
}

/// All keys, by their public part.
pub struct KeyTable {
    verifier: KeyVerifier,
    keys: HashMap<String, Arc<Key>>,
}

impl KeyTable {
    /// A table of these records.
    pub fn new(verifier: KeyVerifier, records: Vec<KeyRecord>) -> Self {
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
        Self { verifier, keys }
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
        if !self.verifier.verify(&parsed, &key.record, now) {
            return Lookup::Unknown;
        }
        by_dates(key, now)
    }

    /// How a key stands now that was found before.
    pub fn again(&self, public: &KeyPublicId, now: UnixMicros) -> Lookup {
        self.keys.get(public.as_str()).map_or(Lookup::Unknown, |key| by_dates(key, now))
    }

    /// The key that an access key id names, if it is of the kind that signs.
    fn signer(&self, access_key_id: &str) -> Option<&Arc<Key>> {
        let key = self.keys.get(store::keys::public_of(access_key_id)?)?;
        (key.record.kind == KeyKind::Aws).then_some(key)
    }

    /// Whether there is a key of that access key id which a request may be signed with. Says nothing about its state.
    pub fn signs(&self, access_key_id: &str) -> bool {
        self.signer(access_key_id).is_some()
    }

    /// What a signature is. The signature comes first: whether a key is expired or revoked is told only to whoever has
    /// its secret.
    pub fn check(
        &self,
        presented: &Presented<'_>,
        request: &Signable<'_>,
        now: UnixMicros,
    ) -> Signed {
        let Some(key) = self.signer(presented.access_key_id) else {
            return Signed::By(Lookup::Unknown);
        };
        let secrets = match self.verifier.signing_keys(&key.record, now) {
            Ok(secrets) => secrets,
            Err(error) => {
                tracing::error!(key = %key.public, %error, "a key that signs can't be opened");
                return Signed::By(Lookup::Unknown);
            }
        };
        let mut refused = BadSignature::Mismatch;
        for secret in secrets {
            match presented.verify(request, &Secret::new(secret.reveal().to_owned()), now) {
                Ok(()) => return Signed::By(by_dates(key, now)),
                Err(bad) => refused = bad,
            }
        }
        Signed::Bad(refused)
    }

    /// The budgets that stand on keys themselves: `5 USD per day` as `key/<public>/0`. Revoked keys have none.
    pub fn budgets(&self) -> Vec<BudgetSpec> {
        let mut keys: Vec<&Arc<Key>> =
            self.keys.values().filter(|key| key.record.revoked_at.is_none()).collect();
        keys.sort_by(|left, right| left.public.cmp(&right.public));
        keys.into_iter().flat_map(|key| key_budgets(key)).collect()
    }
}

/// What a key is whose secret was shown.
fn by_dates(key: &Arc<Key>, now: UnixMicros) -> Lookup {
    if key.record.revoked_at.is_some_and(|at| at <= now) {
        return Lookup::Revoked(key.public.clone());
    }
    if key.record.expires_at.is_some_and(|at| at <= now) {
        return Lookup::Expired(key.public.clone());
    }
    Lookup::Found(Arc::clone(key))
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

/// A key whose secret is shown this once.
pub fn made(record: &KeyRecord, secret: &store::Secret, now: UnixMicros) -> Value {
    json!({"key": shown(record, now), "secret": secret.reveal()})
}

/// What it may ask for; null: everything.
fn capabilities(record: &KeyRecord) -> Value {
    match record.capabilities.as_slice() {
        [] => Value::Null,
        names => names.iter().map(CapabilityName::as_str).collect(),
    }
}

/// A key as it is shown.
pub fn shown(record: &KeyRecord, now: UnixMicros) -> Value {
    let time = |it: Option<UnixMicros>| it.map(|it| it.to_string());
    let state = match (record.revoked_at, record.is_live(now)) {
        (Some(_), _) => "revoked",
        (None, true) => "live",
        (None, false) => "expired",
    };
    let pair = (record.kind == KeyKind::Aws).then(|| store::keys::access_key_id(&record.public));
    json!({
        "id": record.public.as_str(),
        "kind": record.kind.as_str(),
        "access_key_id": pair,
        "app": record.app.as_str(),
        "team": record.team.as_ref().map(TeamName::as_str),
        "state": state,
        "created_at": record.created_at.to_string(),
        "expires_at": time(record.expires_at),
        "revoked_at": time(record.revoked_at),
        "budgets": record.budgets,
        "capabilities": capabilities(record),
    })
}
