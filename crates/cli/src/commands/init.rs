//! `outrigger init`: a first configuration file from what is found.

use std::path::PathBuf;

use config::{Found, FoundBy};
use serde_json::json;

use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::surroundings::{self, FILE, Process};

/// Write outrigger.yaml from what is found on this machine.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger init\n  outrigger init --stdout\n  outrigger init --yes --config staging.yaml"
)]
pub(crate) struct Args {
    /// Overwrite a file that is there.
    #[arg(long)]
    yes: bool,
    /// Print it instead of writing it.
    #[arg(long, conflicts_with = "yes")]
    stdout: bool,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let output = global.output();
    let found = surroundings::discover()?;
    let text = text(&found);
    // What is written must pass, so it is checked like any file.
    if let Err(problems) = config::load(&text, FILE, &Process, catalog::builtin()) {
        surroundings::show(&problems, &text);
        return Err(surroundings::refused(&problems));
    }
    if args.stdout {
        return output.data(&text);
    }
    let path = global.config.clone().unwrap_or_else(|| PathBuf::from(FILE));
    if path.exists() && !args.yes {
        let message = format!("{} is there already", path.display());
        return Err(Failure::new(Exit::Failed, message)
            .hint("`outrigger init --yes` overwrites it, `--stdout` prints instead"));
    }
    std::fs::write(&path, &text).cant(format!("write {}", path.display()))?;
    let names: Vec<&str> = found.iter().map(|it| &*it.preset).collect();
    output.either(&json!({"written": path.display().to_string(), "providers": names}), || {
        output.line(&format!("wrote {}", path.display()))?;
        output.say("next: outrigger config check && outrigger serve");
        Ok(())
    })
}

/// The file: what was found in use, everything else as comments.
fn text(found: &[Found]) -> String {
    let mut text = String::from(
        "# Outrigger configuration. Every key: outrigger config schema; what is in force: outrigger config show --origin\n\
         version: 1\n\n\
         server:\n  api: 127.0.0.1:4141 # another address needs `auth: {keys: required}`\n  admin: 127.0.0.1:4142\n\n\
         providers:\n",
    );
    for it in found.iter().filter(|it| it.preset != "demo") {
        let line = match &it.by {
            FoundBy::Variable(name) => format!("  {}: {{key: env:{name}}}\n", it.preset),
            FoundBy::Server(url) => format!("  {}: {{base_url: {url}}} # answers now\n", it.preset),
        };
        text.push_str(&line);
    }
    text.push_str("  demo: {} # built in: no network, no cost\n");
    text.push_str("  # any OpenAI-compatible server:\n  # house:\n  #   base_url: http://127.0.0.1:8000/v1\n\n");
    text.push_str(&capability(found));
    text.push_str(
        "\nbudgets:\n  all: 50 USD per month\n  # search: {team: search, limit: 800 USD, per: month, timezone: Europe/Berlin}\n\n\
         # rates:\n#   agents: {team: agents, requests: 600/min, tokens: 2M/min, parallel: 50}\n\n\
         prices:\n  unpriced: allow # reject: what has no known price does not pass a money budget\n  # overrides:\n  \
         #   house/qwen3-32b: {input: 0.05 USD per 1M, output: 0.15 USD per 1M}\n\n\
         ledger: {durability: strict}\n",
    );
    text
}

/// A first capability: the demo, with a note on how a real one looks.
fn capability(found: &[Found]) -> String {
    let mut text = String::from(
        "capabilities:\n  hello: [demo/lorem, demo/echo] # the first is core, the rest fallback\n",
    );
    let catalog = catalog::builtin();
    for it in found {
        let Some(preset) = catalog.preset(&it.preset) else { continue };
        let priced = catalog.entries_of(&preset.catalog_host).find(|it| it.prices.is_some());
        if let Some(model) = priced {
            text = format!("{text}  # with-{0}: [{0}/{1}]\n", it.preset, model.facts.model);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_without_any_provider_still_runs() {
        let text = text(&[]);
        let loaded = config::load(&text, FILE, &Process, catalog::builtin());
        assert_eq!(loaded.unwrap().config.providers[0].kind, config::ProviderKind::Demo);
    }
}
