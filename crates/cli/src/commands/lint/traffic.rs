//! What an application's requests of the past tie it to: the features that the ledger's rows name, against the
//! offers that are configured.

use std::collections::{BTreeMap, BTreeSet};

use dialect::portability::{self, Carried};
use dialect::{DialectId, Quirks};
use domain::{Fate, Feature, Features, Layer};
use ledger::query::{self, Attempt, Filter, Order, What};
use serde_json::{Value, json};

use super::advice;
use crate::cli::Global;
use crate::commands::model;
use crate::exit::{Context as _, Failure};
use crate::{overlay, surroundings};

/// Something that could answer: an offer, or a provider where no offer of it is named.
pub(super) struct Candidate {
    name: String,
    operator: String,
    dialects: Vec<DialectId>,
    quirks: Quirks,
}

/// What an application did.
#[derive(Default)]
struct App {
    requests: u64,
    /// By feature and the client's dialect.
    used: BTreeMap<(Feature, DialectId), u64>,
    offers: BTreeSet<String>,
    /// Fields that were not carried natively, and the worst that became of each.
    losses: BTreeMap<String, (Fate, u64)>,
}

/// A feature of an application that not everything configured carries as it is.
pub(super) struct Finding {
    pub(super) app: String,
    pub(super) feature: Feature,
    client: DialectId,
    pub(super) requests: u64,
    of: u64,
    served_by: Vec<String>,
    /// Candidates by how they carry it, with what is said about it.
    carried: Vec<(Carried, String, String)>,
    /// Who it is tied to: nobody else carries it whole.
    pub(super) tied_to: Option<String>,
}

impl Finding {
    /// Names of those that carry it so.
    pub(super) fn those(&self, how: Carried) -> Vec<&str> {
        let so = self.carried.iter().filter(|(carried, ..)| *carried == how);
        so.map(|(_, name, _)| name.as_str()).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let notes: BTreeMap<&str, &str> = self
            .carried
            .iter()
            .filter(|(_, _, note)| !note.is_empty())
            .map(|(_, name, note)| (name.as_str(), note.as_str()))
            .collect();
        json!({"from": "traffic", "app": self.app, "feature": self.feature.as_str(), "client": self.client.as_str(),
            "requests": self.requests, "of": self.of, "served_by": self.served_by, "tied_to": self.tied_to,
            "ties": self.tied_to.is_some(), "native": self.those(Carried::Natively),
            "emulated": self.those(Carried::Emulated), "lossy": self.those(Carried::Lossily),
            "impossible": self.those(Carried::NotAtAll), "notes": notes, "change": advice::of(self.feature)})
    }
}

/// What was found in the ledger.
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    /// Applications, with their requests.
    pub(super) apps: Vec<(String, u64)>,
    /// Application, field, fate, attempts.
    pub(super) losses: Vec<(String, String, Fate, u64)>,
}

pub(super) fn read(
    reader: &store::LedgerReader,
    filter: &Filter,
    global: &Global,
) -> Result<Found, Failure> {
    let mut apps: BTreeMap<String, App> = BTreeMap::new();
    query::attempts(reader, filter, Order::Oldest, &mut |attempt| {
        note(&mut apps, &attempt);
        true
    })
    .cant("read the ledger")?;
    let used = apps.values().flat_map(|app| app.offers.iter().cloned()).collect();
    let candidates = candidates(used, global)?;
    let mut found = Found { findings: Vec::new(), apps: Vec::new(), losses: Vec::new() };
    for (name, app) in apps {
        let keys = app.used.iter();
        let judged = keys.map(|(key, requests)| judge(&name, &app, *key, *requests, &candidates));
        found.findings.extend(judged.filter(Finding::is_worth_telling));
        found.apps.push((name.clone(), app.requests));
        let losses = app.losses.into_iter();
        found.losses.extend(losses.map(|(field, (fate, n))| (name.clone(), field, fate, n)));
    }
    Ok(found)
}

fn note(apps: &mut BTreeMap<String, App>, attempt: &Attempt) {
    let What::Tried { intent, .. } = &attempt.what else { return };
    let app = apps.entry(intent.app.as_str().to_owned()).or_default();
    app.offers.insert(intent.offer.to_string());
    for lost in &intent.losses {
        let slot = app.losses.entry(lost.field.to_string()).or_insert((lost.fate, 0));
        *slot = (slot.0.max(lost.fate), slot.1 + 1);
    }
    // A request is one, whatever was tried for it.
    if (attempt.id.call, attempt.id.attempt) != (0, 0) {
        return;
    }
    app.requests += 1;
    let Some(client) = DialectId::parse(intent.client_dialect.as_ref()) else { return };
    for feature in Feature::ALL.iter().filter(|it| intent.features.contains(**it)) {
        *app.used.entry((*feature, client)).or_default() += 1;
    }
}

fn judge(
    name: &str,
    app: &App,
    (feature, client): (Feature, DialectId),
    requests: u64,
    candidates: &[Candidate],
) -> Finding {
    let served: Vec<&Candidate> =
        candidates.iter().filter(|it| app.offers.contains(&it.name)).collect();
    let at_home: BTreeSet<&str> = served.iter().map(|it| it.operator.as_str()).collect();
    let mut carried: Vec<(Carried, String, String)> = Vec::new();
    let mut elsewhere = Vec::new();
    for candidate in candidates {
        let is_home = at_home.contains(candidate.operator.as_str());
        let (how, note) = candidate.carries(feature, client, is_home);
        if !is_home {
            elsewhere.push(how);
        }
        carried.push((how, candidate.name.clone(), note));
    }
    if elsewhere.is_empty() {
        // Nobody else is configured: what others would make of it, by their protocols.
        for other in DialectId::ALL.iter().filter(|other| **other != client) {
            let (how, note) = at_another(feature, client, *other, &Quirks::default());
            elsewhere.push(how);
            carried.push((how, format!("({})", other.as_str()), note));
        }
    }
    let homes: Vec<&str> = at_home.into_iter().collect();
    let tied = !elsewhere.iter().any(|how| how.is_whole());
    Finding {
        app: name.to_owned(),
        feature,
        client,
        requests,
        of: app.requests,
        served_by: served.iter().map(|it| it.name.clone()).collect(),
        carried,
        tied_to: tied.then(|| homes.join(", ")),
    }
}

/// The same at somebody else, who does not hold what one vendor issued.
fn at_another(
    feature: Feature,
    client: DialectId,
    to: DialectId,
    quirks: &Quirks,
) -> (Carried, String) {
    if portability::is_bound_to_vendor(feature) {
        let why = "it belongs to the vendor that issued or runs it";
        return (Carried::NotAtAll, why.to_owned());
    }
    portability::carried(feature, client, to, quirks)
}

impl Finding {
    /// What everybody carries as it is needs no words.
    fn is_worth_telling(&self) -> bool {
        self.carried.iter().any(|(how, ..)| *how != Carried::Natively)
    }
}

impl Candidate {
    fn carries(&self, feature: Feature, client: DialectId, is_home: bool) -> (Carried, String) {
        let asked = self.quirks.dialect_for(client, Features::NONE.with(feature));
        let to = if self.dialects.contains(&asked) {
            Some(asked)
        } else {
            self.dialects.first().copied()
        };
        match to {
            None => (Carried::NotAtAll, "the provider speaks no dialect of chat".to_owned()),
            Some(to) if is_home => portability::carried(feature, client, to, &self.quirks),
            Some(to) => at_another(feature, client, to, &self.quirks),
        }
    }
}

/// The offers of capabilities and those that served; of a provider with neither, the provider.
fn candidates(used: BTreeSet<String>, global: &Global) -> Result<Vec<Candidate>, Failure> {
    let configuration = surroundings::load(global)?;
    let catalog = overlay::catalog(global)?;
    let config = &configuration.loaded.config;
    let named = config.capabilities.iter().flat_map(|it| &it.offers);
    let mut names: BTreeSet<String> = named.map(|it| it.offer.to_string()).collect();
    names.extend(used);
    let mut all = Vec::new();
    for provider in &config.providers {
        let mut models: Vec<&str> = names
            .iter()
            .filter_map(|name| name.split_once('/'))
            .filter(|(name, _)| *name == provider.name.as_str())
            .map(|(_, model)| model)
            .collect();
        if models.is_empty() {
            models.push("*");
        }
        all.extend(models.into_iter().map(|model| Candidate {
            name: format!("{}/{model}", provider.name),
            operator: operator(provider, &catalog),
            dialects: server::snapshot::dialects_of(provider, &catalog, model).to_vec(),
            quirks: server::snapshot::quirks_of(provider, &catalog, model),
        }));
    }
    Ok(all)
}

/// The company that runs a provider; its own name where nobody says.
fn operator(provider: &config::Provider, catalog: &catalog::Catalog) -> String {
    model::nodes(provider, catalog, Layer::Operator)
        .into_iter()
        .next()
        .unwrap_or_else(|| provider.name.to_string())
}
