//! `outrigger provider`: who serves, and whether they answer.

use catalog::Catalog;
use clap_complete::engine::ArgValueCandidates;
use config::{Provider, ProviderKind, Secret};
use serde_json::json;
use server::probe::{Outcome, Verdict};

use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
use crate::{clock, names, overlay, surroundings};

/// List providers, test whether they answer.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger provider ls\n  outrigger provider test\n  outrigger provider test openai --json"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the configured providers.
    #[command(
        after_help = "Examples:\n  outrigger provider ls\n  outrigger provider ls --json\n  outrigger provider ls --plain"
    )]
    Ls,
    /// Ask providers for their models: no tokens, no cost.
    #[command(
        after_help = "Examples:\n  outrigger provider test\n  outrigger provider test openai\n  outrigger provider test --json"
    )]
    Test {
        /// Only this one.
        #[arg(add = ArgValueCandidates::new(names::providers))]
        name: Option<String>,
    },
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    match &args.command {
        Command::Ls => ls(global),
        Command::Test { name } => test(name.as_deref(), global),
    }
}

/// There is no provider of that name.
pub(crate) fn unknown(name: &str, providers: &[Provider]) -> Failure {
    let names: Vec<&str> = providers.iter().map(|it| it.name.as_str()).collect();
    let near = catalog::nearest(name, names.iter().copied(), 1);
    let hint = match near.first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there is {}", names.join(", ")),
    };
    Failure::new(Exit::Usage, format!("unknown provider `{name}`")).hint(hint)
}

fn ls(global: &Global) -> Done {
    let output = global.output();
    let configuration = surroundings::load(global)?;
    let catalog = overlay::catalog(global)?;
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for it in &configuration.loaded.config.providers {
        let keys: Vec<String> = it.keys.iter().map(Secret::shown).collect();
        let shown = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
        let models = super::model::models(it, &catalog).len();
        let address = if it.kind == ProviderKind::Demo { "(built in)" } else { &it.base_url };
        let dialects: Vec<&str> = it.dialects.iter().map(|it| it.as_str()).collect();
        let layers = super::model::layers(it, &catalog);
        let layers: serde_json::Map<_, _> =
            layers.into_iter().map(|(layer, nodes)| (layer, json!(nodes))).collect();
        list.push(json!({"name": it.name.as_str(), "type": it.preset.as_deref().unwrap_or(it.kind.as_str()),
            "base_url": it.base_url, "keys": keys, "models": models, "dialects": dialects, "layers": layers}));
        rows.push(vec![
            it.name.to_string(),
            it.preset.clone().unwrap_or_else(|| it.kind.as_str().into()),
            address.into(),
            shown,
            models.to_string(),
        ]);
    }
    output.listing(&json!({"providers": list}), "providers", || {
        output.table(&["provider", "type", "address", "key", "models"], &rows, &[4])
    })
}

/// A test and whose it was.
pub(crate) struct Tested {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
}

impl Tested {
    fn good(&self) -> bool {
        self.outcome.verdict == Verdict::Good
    }

    fn millis(&self) -> Option<u64> {
        self.outcome.took.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX))
    }
}

fn test(only: Option<&str>, global: &Global) -> Done {
    let output = global.output();
    let configuration = surroundings::load(global)?;
    let providers = &configuration.loaded.config.providers;
    if let Some(name) = only
        && !providers.iter().any(|it| it.name.as_str() == name)
    {
        return Err(unknown(name, providers));
    }
    let chosen = providers.iter().filter(|it| only.is_none_or(|name| it.name.as_str() == name));
    let catalog = overlay::catalog(global)?;
    let tests: Vec<Tested> = chosen.flat_map(|it| ask(it, &catalog)).collect();
    let list: Vec<_> = tests
        .iter()
        .map(|it| json!({"provider": it.name, "ok": it.good(), "said": it.outcome.said, "ms": it.millis()}))
        .collect();
    let rows: Vec<Vec<String>> = tests
        .iter()
        .map(|it| {
            let millis = it.millis().map_or_else(String::new, |millis| format!("{millis} ms"));
            let word = output.mark(if it.good() { "ok" } else { "failed" }, it.good());
            vec![it.name.clone(), word, it.outcome.said.clone(), millis]
        })
        .collect();
    output.listing(&json!({"tests": list}), "tests", || {
        output.table(&["provider", "state", "answer", "time"], &rows, &[3])
    })?;
    // A refused key is the only trouble that a better network does not mend.
    let worst = tests.iter().map(|it| it.outcome.verdict).max_by_key(|it| *it as u8);
    match worst {
        None | Some(Verdict::Good) => Ok(()),
        Some(Verdict::KeyRefused) => Err(Failure::silent(Exit::Denied)),
        Some(Verdict::Bad) => Err(Failure::silent(Exit::Network)),
    }
}

/// Asks a provider for its models with each of its keys.
pub(crate) fn ask(provider: &Provider, catalog: &Catalog) -> Vec<Tested> {
    let several = provider.keys.len() > 1;
    let outcomes = server::probe::probe(provider, catalog, clock::now()).into_iter();
    let tested = outcomes.map(|outcome| {
        let name = match &outcome.key {
            Some(key) if several => format!("{} ({})", provider.name, key.shown()),
            _ => provider.name.to_string(),
        };
        Tested { name, outcome }
    });
    tested.collect()
}
