//! The names there are: what shells complete and what a misspelled one is compared with. They come from the running
//! gateway where one answers at once, else from the configuration and the data folder. Whatever can't be had is left
//! out: a completion has nobody to complain to.

use std::path::PathBuf;
use std::time::Duration;

use catalog::Catalog;
use clap_complete::engine::CompletionCandidate as Candidate;
use config::Config;
use ledger::query::{self, Attempt, Filter, Order};
use serde_json::Value;

use crate::cli::Global;
use crate::http::{self, Call};
use crate::{client, client_env, data, overlay, surroundings};

/// How long a completion waits for the gateway.
const PATIENCE: Duration = Duration::from_millis(300);
/// How many requests are offered, the newest first.
const REQUESTS_MAX: usize = 20;

/// What can be asked for: capabilities, then offers.
pub(crate) fn of_models(config: &Config, catalog: &Catalog) -> Vec<String> {
    let mut names: Vec<String> = config.capabilities.iter().map(|it| it.name.to_string()).collect();
    names.extend(of_offers(config, catalog));
    names
}

/// Every offer, `provider/model`.
pub(crate) fn of_offers(config: &Config, catalog: &Catalog) -> Vec<String> {
    let of = |provider: &config::Provider| {
        let models = crate::commands::model::models(provider, catalog);
        models
            .into_iter()
            .map(move |model| format!("{}/{model}", provider.name))
            .collect::<Vec<_>>()
    };
    config.providers.iter().flat_map(of).collect()
}

/// Capabilities, offers, models.
pub(crate) fn models() -> Vec<Candidate> {
    let global = typed();
    let names = served(&global).or_else(|| {
        let catalog = overlay::catalog(&global).ok()?;
        Some(of_models(&surroundings::quietly(&global)?.config, &catalog))
    });
    candidates(names.unwrap_or_default())
}

/// Offers.
pub(crate) fn offers() -> Vec<Candidate> {
    let mut names = models();
    names.retain(|it| it.get_value().to_string_lossy().contains('/'));
    names
}

/// Providers.
pub(crate) fn providers() -> Vec<Candidate> {
    let config = surroundings::quietly(&typed()).map(|it| it.config);
    let names = config.iter().flat_map(|it| &it.providers).map(|it| it.name.to_string());
    candidates(names)
}

/// Virtual keys by their public part, with whose they are.
pub(crate) fn keys() -> Vec<Candidate> {
    let described =
        |(key, app, _): (String, String, String)| Candidate::new(key).help(Some(app.into()));
    virtual_keys().into_iter().map(described).collect()
}

/// Applications.
pub(crate) fn apps() -> Vec<Candidate> {
    candidates(virtual_keys().into_iter().map(|(_, app, _)| app))
}

/// Teams.
pub(crate) fn teams() -> Vec<Candidate> {
    candidates(virtual_keys().into_iter().map(|(_, _, team)| team))
}

/// Requests, the newest first, with what they asked for.
pub(crate) fn requests() -> Vec<Candidate> {
    attempts(false, |it| it.id.request.to_string())
}

/// Attempts that nobody closed.
pub(crate) fn unsettled() -> Vec<Candidate> {
    attempts(true, |it| it.id.to_string())
}

/// Whatever `route why` takes.
pub(crate) fn routes() -> Vec<Candidate> {
    models().into_iter().chain(requests()).collect()
}

/// Codes that `explain` knows.
pub(crate) fn codes() -> Vec<Candidate> {
    config::codes().map(|it| Candidate::new(it.code).help(Some(it.what.into()))).collect()
}

/// Names once each, in their order, without those that could steer a terminal.
fn candidates(names: impl IntoIterator<Item = String>) -> Vec<Candidate> {
    let mut seen = Vec::new();
    for name in names {
        if !name.is_empty() && !name.contains(char::is_control) && !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen.into_iter().map(Candidate::new).collect()
}

/// What the gateway lists; none where it does not run here, or wants a key that is not at hand.
fn served(global: &Global) -> Option<Vec<String>> {
    if !client::is_running(global) {
        return None;
    }
    let target = client_env::Target::default();
    let base = client_env::base_within(&target, global, PATIENCE).ok()?;
    let key = client_env::key(&target).ok()?;
    let mut call = Call::get(&base, "/v1/models").key(key.as_deref());
    call.patience = PATIENCE;
    let answer = http::send(call, |_| ()).ok().filter(|it| it.status == 200)?;
    let value: Value = serde_json::from_slice(&answer.body).ok()?;
    let names = value["data"].as_array()?.iter().filter_map(|it| it["id"].as_str());
    Some(names.map(str::to_owned).collect())
}

/// Public part, application, team of every key.
fn virtual_keys() -> Vec<(String, String, String)> {
    let global = typed();
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    if let Ok(Some(admin)) = client::running_within(&global, PATIENCE) {
        let list = admin.get("/v1/outrigger/keys").unwrap_or_default();
        let keys = list["keys"].as_array().cloned().unwrap_or_default();
        return keys.iter().map(|it| (text(it, "id"), text(it, "app"), text(it, "team"))).collect();
    }
    let keys = store::list_keys(&surroundings::data_dir(&global)).unwrap_or_default();
    let team =
        |it: &store::KeyRecord| it.team.as_ref().map(ToString::to_string).unwrap_or_default();
    keys.iter().map(|it| (it.public.to_string(), it.app.to_string(), team(it))).collect()
}

fn attempts(unsettled: bool, name: impl Fn(&Attempt) -> String) -> Vec<Candidate> {
    let Ok(reader) = data::read(&typed()) else { return Vec::new() };
    let filter = Filter { unsettled, ..Filter::default() };
    let mut found: Vec<(String, String)> = Vec::new();
    let read = query::attempts(&reader, &filter, Order::Newest, &mut |attempt| {
        let name = name(&attempt);
        if found.iter().all(|(it, _)| *it != name) {
            let asked = attempt.capability().unwrap_or("-");
            found.push((name, format!("{} {asked}", attempt.at)));
        }
        found.len() < REQUESTS_MAX
    });
    drop(read);
    found.into_iter().map(|(name, help)| Candidate::new(name).help(Some(help.into()))).collect()
}

/// The flags that say where to look, as far as they have been typed on the line that is completed.
fn typed() -> Global {
    let mut global = Global::default();
    let mut words = std::env::args();
    while let Some(word) = words.next() {
        let (flag, joined) = match word.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        let place = match flag.as_str() {
            "--config" | "-c" | "--data-dir" | "--url" => joined.or_else(|| words.next()),
            _ => continue,
        };
        match flag.as_str() {
            "--url" => global.url = place,
            "--data-dir" => global.data_dir = place.map(PathBuf::from),
            _ => global.config = place.map(PathBuf::from),
        }
    }
    let variable = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty());
    global.config = global.config.or_else(|| variable("OUTRIGGER_CONFIG").map(PathBuf::from));
    global.data_dir = global.data_dir.or_else(|| variable("OUTRIGGER_DATA_DIR").map(PathBuf::from));
    global.url = global.url.or_else(|| variable("OUTRIGGER_URL")?.into_string().ok());
    global
}
