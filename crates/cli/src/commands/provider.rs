//! `outrigger provider`: who serves, and whether they answer.

use clap_complete::engine::ArgValueCandidates;
use config::{Provider, ProviderKind, Secret};
use serde_json::json;
use upstream::TargetOptions;

use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
use crate::http::{self, Call};
use crate::{names, overlay, surroundings};

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

/// What a test says about a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answers.
    Good,
    /// It answers and does not take the key.
    KeyRefused,
    /// It does not answer, or not as it should.
    Bad,
}

/// How a test went.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) key: Option<Secret>,
    pub(crate) verdict: Verdict,
    pub(crate) said: String,
    millis: Option<u128>,
}

impl Outcome {
    fn good(&self) -> bool {
        self.verdict == Verdict::Good
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
    let outcomes: Vec<Outcome> = chosen.flat_map(ask).collect();
    let list: Vec<_> = outcomes
        .iter()
        .map(|it| json!({"provider": it.name, "ok": it.good(), "said": it.said, "ms": it.millis.map(|it| it as u64)}))
        .collect();
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|it| {
            let millis = it.millis.map_or_else(String::new, |millis| format!("{millis} ms"));
            let word = output.mark(if it.good() { "ok" } else { "failed" }, it.good());
            vec![it.name.clone(), word, it.said.clone(), millis]
        })
        .collect();
    output.listing(&json!({"tests": list}), "tests", || {
        output.table(&["provider", "state", "answer", "time"], &rows, &[3])
    })?;
    // A refused key is the only trouble that a better network does not mend.
    let worst = outcomes.iter().map(|it| it.verdict).max_by_key(|it| *it as u8);
    match worst {
        None | Some(Verdict::Good) => Ok(()),
        Some(Verdict::KeyRefused) => Err(Failure::silent(Exit::Denied)),
        Some(Verdict::Bad) => Err(Failure::silent(Exit::Network)),
    }
}

/// Asks a provider for its models with each of its keys.
pub(crate) fn ask(provider: &Provider) -> Vec<Outcome> {
    if provider.kind == ProviderKind::Demo {
        let said = "built in".to_owned();
        let name = provider.name.to_string();
        return vec![Outcome { name, key: None, verdict: Verdict::Good, said, millis: None }];
    }
    if provider.keys.is_empty() {
        return vec![ask_with(provider, None, provider.name.as_str())];
    }
    let several = provider.keys.len() > 1;
    let named = |key: &Secret| {
        if several {
            format!("{} ({})", provider.name, key.shown())
        } else {
            provider.name.to_string()
        }
    };
    provider.keys.iter().map(|key| ask_with(provider, Some(key), &named(key))).collect()
}

fn ask_with(provider: &Provider, key: Option<&Secret>, name: &str) -> Outcome {
    let outcome = |verdict, said: String, millis| Outcome {
        name: name.to_owned(),
        key: key.cloned(),
        verdict,
        said,
        millis,
    };
    let failed = |said| outcome(Verdict::Bad, said, None);
    let secret = match key.map(surroundings::reveal).transpose() {
        Ok(secret) => secret,
        Err(failure) => return outcome(Verdict::KeyRefused, failure.message, None),
    };
    let ca = provider.tls_ca.as_ref().map(std::fs::read).transpose();
    let Ok(ca_pem) = ca else { return failed("its `tls.ca` can't be read".into()) };
    let mut call = Call::get(&provider.base_url, "/models");
    call.options = TargetOptions {
        allow_private_address: provider.allow_private_address,
        ca_pem,
        ..TargetOptions::default()
    };
    let preset = provider.preset.as_deref().and_then(|name| catalog::builtin().preset(name));
    let style = preset.map_or(catalog::AuthStyle::Bearer, |it| it.auth);
    call.headers.extend(secret.map(|secret| style.header(&secret)));
    if provider.kind == ProviderKind::Anthropic {
        let version = provider.anthropic_version.clone().unwrap_or_else(|| "2023-06-01".into());
        call.headers.push(("anthropic-version", version));
    }
    match http::send(call, |_| ()) {
        Ok(answer) => {
            let (verdict, said) = judged(answer.status);
            outcome(verdict, said, Some(answer.total.as_millis()))
        }
        Err(failure) => failed(failure.message),
    }
}

/// What the status of a list of models says about the provider.
fn judged(status: u16) -> (Verdict, String) {
    match status {
        200..=299 => (Verdict::Good, "answers".into()),
        401 | 403 => (Verdict::KeyRefused, format!("answers, but refuses the key (HTTP {status})")),
        404 | 405 => (Verdict::Good, format!("answers, but lists no models (HTTP {status})")),
        429 => (Verdict::Good, "answers, but its rate limit is reached (HTTP 429)".into()),
        _ => (Verdict::Bad, format!("answers with HTTP {status}")),
    }
}
