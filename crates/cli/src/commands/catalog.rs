//! `outrigger catalog`: where prices and facts come from, and newer tables of others.

use std::path::PathBuf;

use catalog::Overlay;
use catalog::import::{Comparison, compare, import};
use serde_json::{Value, json};
use server::imported::CatalogInForce;

use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::{client, clock, overlay};

/// Show the price table, import a newer one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger catalog show\n  outrigger catalog import model_prices_and_context_window.json --dry-run\n  outrigger catalog import data.json"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what the catalog holds and how old it is.
    #[command(
        after_help = "Examples:\n  outrigger catalog show\n  outrigger catalog show --json\n  outrigger catalog show --plain"
    )]
    Show,
    /// Import LiteLLM's or genai-prices' table and list every disagreement with ours.
    #[command(
        after_help = "Examples:\n  outrigger catalog import model_prices_and_context_window.json --dry-run\n  outrigger catalog import data.json --dated 2026-11-01\n  outrigger catalog import data.json --json"
    )]
    Import {
        /// The file: LiteLLM's model_prices_and_context_window.json or genai-prices' data.json.
        file: PathBuf,
        /// Only compare; change nothing.
        #[arg(long)]
        dry_run: bool,
        /// The day the table is of, YYYY-MM-DD.
        #[arg(long, default_value = "")]
        dated: String,
        /// List at most this many disagreements.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    match &args.command {
        Command::Show => show(global),
        Command::Import { file, dry_run, dated, limit } => {
            import_file(file, *dry_run, dated, *limit, global)
        }
    }
}

fn show(global: &Global) -> Done {
    let output = global.output();
    let catalog = overlay::catalog(global)?;
    let mut rows = Vec::new();
    let mut list = Vec::new();
    let mut hosts: Vec<&str> = catalog.hosts().collect();
    hosts.sort_unstable();
    for host in hosts {
        let models = catalog.entries_of(host).count();
        let priced = catalog.entries_of(host).filter(|it| it.prices.is_some()).count();
        let newest = catalog.models_of(host).map(|it| &*it.checked).max().unwrap_or_default();
        list.push(json!({"host": host, "models": models, "priced": priced, "checked": newest}));
        rows.push(vec![host.into(), models.to_string(), priced.to_string(), newest.into()]);
    }
    let import = match &catalog {
        CatalogInForce::Builtin => None,
        CatalogInForce::Imported(import) => Some(import),
    };
    let shown = import.map(|it| json!({"models": it.models, "from": it.from.to_string()}));
    output.listing(&json!({"hosts": list, "import": shown}), "hosts", || {
        output.table(&["host", "models", "priced", "checked"], &rows, &[1, 2])?;
        if let Some(it) = import {
            let said =
                format!("with an import of {} models that counts from {}", it.models, it.from);
            output.say(&said);
        }
        Ok(())
    })
}

fn import_file(file: &PathBuf, dry_run: bool, dated: &str, limit: usize, global: &Global) -> Done {
    let output = global.output();
    if !dated.is_empty() && dated.parse::<jiff::civil::Date>().is_err() {
        let message = format!("`{dated}` is not a day: write YYYY-MM-DD");
        return Err(Failure::new(Exit::Usage, message));
    }
    let text = std::fs::read_to_string(file).cant(format!("read {}", file.display()))?;
    let imported = import(&text, dated).cant(format!("import {}", file.display()))?;
    let now = clock::now();
    let before = overlay::catalog(global)?;
    let comparison = compare(&before, &imported, now);
    let reloaded = if dry_run {
        Ok(None)
    } else {
        overlay::write(global, &Overlay::of(&imported), now)?;
        reload(global)
    };
    let revision = reloaded.as_ref().ok().and_then(Option::as_ref);
    let skipped: Vec<Value> =
        imported.skipped.iter().map(|it| json!({"key": it.key, "why": it.why})).collect();
    let value = json!({
        "format": imported.format.to_string(), "models": imported.models.len(), "written": !dry_run,
        "skipped": skipped, "comparison": comparison_json(&comparison), "reloaded": revision,
    });
    let said = match (dry_run, revision) {
        (true, _) => "nothing was changed".to_owned(),
        (false, Some(it)) => {
            format!("the running gateway has taken it: revision {}", it["revision"])
        }
        (false, None) => {
            "it counts from the next start or reload of a gateway on this data folder".to_owned()
        }
    };
    output.either(&value, || {
        let rows: Vec<Vec<String>> = comparison.disagreements.iter().take(limit).map(row).collect();
        if !rows.is_empty() {
            output.table(&["model", "figure", "ours", "theirs", "newer"], &rows, &[2, 3])?;
        }
        let more = comparison.disagreements.len().saturating_sub(limit);
        if more > 0 {
            output.say(&format!("and {more} more: --limit {}", comparison.disagreements.len()));
        }
        output.line(&format!(
            "{} table: {} models read, {} left out; {} compared, {} agree, {} figures differ; {} only theirs, {} only ours",
            imported.format, imported.models.len(), imported.skipped.len(), comparison.compared,
            comparison.agreeing, comparison.disagreements.len(), comparison.only_theirs.len(), comparison.only_ours.len(),
        ))?;
        if reloaded.is_ok() {
            output.say(&said);
        }
        Ok(())
    })?;
    reloaded.map(drop)
}

/// Asks the gateway that runs on this data folder, if any does, to take the import. One that is reached by `--url` has
/// its folder elsewhere.
fn reload(global: &Global) -> Result<Option<Value>, Failure> {
    if global.url.is_some() || !client::is_running(global) {
        return Ok(None);
    }
    let asked = client::running(global)
        .and_then(|admin| admin.map(|it| it.post("/v1/outrigger/reload", &json!({}))).transpose());
    asked.map_err(|failure| {
        let message = format!("the import is kept, but not in force yet: {}", failure.message);
        Failure::new(failure.exit, message)
            .hint("see `outrigger config check`; the next start or reload takes the import")
    })
}

fn row(it: &catalog::import::Disagreement) -> Vec<String> {
    let figure = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".into());
    let model = format!("{}/{}", it.host, it.model);
    vec![model, it.field.clone(), figure(&it.ours), figure(&it.theirs), it.newer.to_string()]
}

fn comparison_json(it: &Comparison) -> Value {
    let list = it.disagreements.iter().map(|it| {
        json!({"host": it.host, "model": it.model, "their_model": it.their_model, "figure": it.field,
            "ours": it.ours, "theirs": it.theirs, "newer": it.newer.to_string()})
    });
    json!({"compared": it.compared, "agreeing": it.agreeing, "disagreements": list.collect::<Vec<_>>(),
        "only_theirs": it.only_theirs, "only_ours": it.only_ours})
}
