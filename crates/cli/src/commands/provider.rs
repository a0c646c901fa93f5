//! `outrigger provider`: who serves, and whether they answer.

use config::{Provider, ProviderKind, Secret};
use serde_json::json;
use upstream::TargetOptions;

use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
use crate::http::{self, Call};
use crate::overlay;
use crate::surroundings::{self, Process};

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
    let configuration = surroundings::load(global.config.as_deref(), output)?;
    let catalog = overlay::catalog(global)?;
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for it in &configuration.loaded.config.providers {
        let keys: Vec<String> = it.keys.iter().map(Secret::shown).collect();
        let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
        let models = super::model::models(it, &catalog).len();
        let address = if it.kind == ProviderKind::Demo { "(built in)" } else { &it.base_url };
        let dialects: Vec<&str> = it.dialects.iter().map(|it| it.as_str()).collect();
        let layers = super::model::layers(it, &catalog);
        let layers: serde_json::Map<_, _> =
            layers.into_iter().map(|(layer, nodes)| (layer, json!(nodes))).collect();
        list.push(json!({"name": it.name.as_str(), "type": it.preset.as_deref().unwrap_or(it.kind.as_str()),
            "base_url": it.base_url, "key": keys, "models": models, "dialects": dialects, "layers": layers}));
        rows.push(vec![
            it.name.to_string(),
            it.preset.clone().unwrap_or_else(|| it.kind.as_str().into()),
            address.into(),
            keys,
            models.to_string(),
        ]);
    }
    output.either(&json!(list), || {
        output.table(&["provider", "type", "address", "key", "models"], &rows, &[4])
    })
}

/// How a test went.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) good: bool,
    pub(crate) said: String,
    millis: Option<u128>,
}

fn test(only: Option<&str>, global: &Global) -> Done {
    let output = global.output();
    let configuration = surroundings::load(global.config.as_deref(), output)?;
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
        .map(|it| json!({"provider": it.name, "ok": it.good, "said": it.said, "ms": it.millis.map(|it| it as u64)}))
        .collect();
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|it| {
            let millis = it.millis.map_or_else(String::new, |millis| format!("{millis} ms"));
            let word = output.mark(if it.good { "ok" } else { "failed" }, it.good);
            vec![it.name.clone(), word, it.said.clone(), millis]
        })
        .collect();
    output
        .either(&json!(list), || output.table(&["provider", "state", "", "time"], &rows, &[3]))?;
    if outcomes.iter().all(|it| it.good) { Ok(()) } else { Err(Failure::silent(Exit::Network)) }
}

/// Asks a provider for its models with each of its keys.
pub(crate) fn ask(provider: &Provider) -> Vec<Outcome> {
    if provider.kind == ProviderKind::Demo {
        let said = "built in".to_owned();
        return vec![Outcome { name: provider.name.to_string(), good: true, said, millis: None }];
    }
    if provider.keys.is_empty() {
        return vec![ask_with(provider, None, provider.name.to_string())];
    }
    let several = provider.keys.len() > 1;
    let named = |key: &Secret| {
        if several {
            format!("{} ({})", provider.name, key.shown())
        } else {
            provider.name.to_string()
        }
    };
    provider.keys.iter().map(|key| ask_with(provider, Some(key), named(key))).collect()
}

fn ask_with(provider: &Provider, key: Option<&Secret>, name: String) -> Outcome {
    let failed = |said: String| Outcome { name: name.clone(), good: false, said, millis: None };
    let secret = match key.map(surroundings::reveal).transpose() {
        Ok(secret) => secret,
        Err(failure) => return failed(failure.message),
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
    let by_header = preset.is_some_and(|it| it.auth == catalog::AuthStyle::XApiKey);
    match (secret, by_header) {
        (Some(secret), true) => call.headers.push(("x-api-key", secret)),
        (Some(secret), false) => call = call.bearer(&secret),
        (None, _) => {}
    }
    if provider.kind == ProviderKind::Anthropic {
        let version = provider.anthropic_version.clone().unwrap_or_else(|| "2023-06-01".into());
        call.headers.push(("anthropic-version", version));
    }
    match http::send(call, |_| ()) {
        Ok(answer) => {
            let (good, said) = judged(answer.status);
            Outcome { name, good, said, millis: Some(answer.total.as_millis()) }
        }
        Err(failure) => failed(failure.message),
    }
}

/// What the status of a list of models says about the provider.
fn judged(status: u16) -> (bool, String) {
    match status {
        200..=299 => (true, "answers".into()),
        401 | 403 => (false, format!("answers, but refuses the key (HTTP {status})")),
        404 | 405 => (true, format!("answers, but lists no models (HTTP {status})")),
        429 => (true, "answers, but its rate limit is reached (HTTP 429)".into()),
        _ => (false, format!("answers with HTTP {status}")),
    }
}

/// Whether a provider's key can be had; for `doctor`.
pub(crate) fn key_is_there(provider: &Provider) -> bool {
    provider.keys.iter().all(|key| match key {
        Secret::Env(name) => config::Env::var(&Process, name).is_some(),
        Secret::File(path) => std::fs::File::open(path).is_ok(),
        Secret::Plain(_) => true,
    })
}
