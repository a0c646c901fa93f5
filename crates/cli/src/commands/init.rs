//! `outrigger init`: a first configuration file from what is found.

use std::path::PathBuf;

use config::Found;
use serde_json::json;

use crate::cli::Global;
use crate::exit::{Context as _, Done};
use crate::surroundings::{self, FILE, Process};

/// Write outrigger.yaml from what is found on this machine.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger init\n  outrigger init --dry-run\n  outrigger init --yes --config staging.yaml"
)]
pub(crate) struct Args {
    /// Print it; write nothing.
    #[arg(long, visible_alias = "stdout")]
    dry_run: bool,
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
    let path = global.config.clone().unwrap_or_else(|| PathBuf::from(FILE));
    let names: Vec<&str> = found.iter().map(|it| &*it.preset).collect();
    let written = (!args.dry_run).then(|| path.display().to_string());
    let value = json!({"written": written, "providers": names, "text": text});
    if args.dry_run {
        return output.either(&value, || output.lines(&text));
    }
    if path.exists() {
        global.sure(&format!("{} is there already and would be overwritten", path.display()))?;
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).cant(format!("make {}", folder.display()))?;
    }
    std::fs::write(&path, &text).cant(format!("write {}", path.display()))?;
    output.either(&value, || {
        output.line(&format!("wrote {}", path.display()))?;
        let flag = match &global.config {
            Some(path) => format!(" --config {}", path.display()),
            None => String::new(),
        };
        output.say(&format!("next: outrigger config check{flag} && outrigger serve{flag}"));
        Ok(())
    })
}

/// The file: what was found in use, everything else as comments.
fn text(found: &[Found]) -> String {
    let mut text = String::from(
        "# yaml-language-server: $schema=outrigger.schema.json\n\
         # Outrigger configuration. For help in your editor: outrigger config schema > outrigger.schema.json\n\
         # Check it: outrigger config check. What is in force, and why: outrigger config show --origin\n\
         version: 1\n\n\
         server:\n  api: 127.0.0.1:4141 # another address needs `auth: {keys: required}`\n  admin: 127.0.0.1:4142\n\n\
         # auth: {keys: required} # clients then need a key: outrigger key create --app NAME\n\n\
         providers:\n",
    );
    for it in found.iter().filter(|it| it.preset != "demo") {
        text.push_str(&it.line());
    }
    text.push_str("  demo: {} # built in: no network, no cost\n");
    text.push_str("  # any OpenAI-compatible server:\n  # house:\n  #   base_url: http://127.0.0.1:8000/v1\n\n");
    text.push_str("# A capability is a name that applications ask for: the first healthy offer serves, the next takes over.\n");
    text.push_str(&capability(found));
    text.push_str(
        "\n# Budgets are hard: the worst case of a request is reserved before anything is sent.\n\
         budgets:\n  all: 50 USD per month\n  # search: {team: search, limit: 800 USD, per: month, timezone: Europe/Berlin}\n\n\
         # rates:\n#   agents: {team: agents, requests: 600/min, tokens: 2M/min, parallel: 50}\n\n\
         prices:\n  unpriced: allow # reject: what has no known price does not pass a money budget\n  # overrides:\n  \
         #   house/qwen3-32b: {input: 0.05 USD per 1M, output: 0.15 USD per 1M}\n\n\
         ledger: {durability: strict} # relaxed: faster, and a crash may lose the last 50 ms\n",
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
