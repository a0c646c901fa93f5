//! `outrigger config`: check, show, schema, path.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
use crate::surroundings::{self, Process, Source};

/// Check the configuration, show what is in force, print the schema.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger config check\n  outrigger config show --origin\n  outrigger config schema > outrigger.schema.json"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check the file and list every problem with its place.
    #[command(
        after_help = "Examples:\n  outrigger config check\n  outrigger config check --config staging.yaml\n  outrigger config check --json"
    )]
    Check,
    /// Print every value in force.
    #[command(
        after_help = "Examples:\n  outrigger config show\n  outrigger config show --origin\n  outrigger config show --json"
    )]
    Show {
        /// Say where each value comes from.
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of the file, for editors.
    #[command(
        after_help = "Examples:\n  outrigger config schema\n  outrigger config schema > outrigger.schema.json\n  outrigger config schema | head -20"
    )]
    Schema,
    /// Print which file is read, where the data is, and where a user's own file would be.
    #[command(
        after_help = "Examples:\n  outrigger config path\n  outrigger config path --json\n  outrigger config path --config other.yaml"
    )]
    Path,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    match args.command {
        Command::Check => check(global),
        Command::Show { origin } => show(origin, global),
        Command::Schema => global.output().json(&config::schema()),
        Command::Path => path(global),
    }
}

fn check(global: &Global) -> Done {
    let output = global.output();
    let Source::File(path) = surroundings::source(global.config.as_deref()) else {
        let message = "there is no outrigger.yaml here";
        return Err(Failure::new(Exit::Config, message)
            .hint("`outrigger serve` runs without one; `outrigger init` writes one"));
    };
    let text = surroundings::read(&path)?;
    let name = path.display().to_string();
    let result = config::load(&text, &name, &Process, catalog::builtin());
    let (ok, problems) = match &result {
        Ok(loaded) => (true, &loaded.warnings),
        Err(problems) => (false, problems),
    };
    if output.is_json() {
        let list: Vec<_> = problems.iter().map(config::to_json).collect();
        let value = json!({"ok": ok, "file": name, "problems": list});
        output.listing(&value, "problems", || Ok(()))?;
    } else {
        surroundings::show(problems, &text);
    }
    match result {
        Ok(loaded) if !output.is_json() => {
            let config = &loaded.config;
            output.line(&format!(
                "{name} is good: {}, {}, {}",
                plural(config.providers.len(), "provider", "providers"),
                plural(config.capabilities.len(), "capability", "capabilities"),
                plural(config.budgets.len(), "budget", "budgets"),
            ))
        }
        Ok(_) => Ok(()),
        Err(_) if output.is_json() => Err(Failure::silent(Exit::Config)),
        Err(problems) => Err(surroundings::refused(&problems)),
    }
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn show(origin: bool, global: &Global) -> Done {
    let output = global.output();
    let configuration = surroundings::load(global)?;
    let leaves = &configuration.loaded.leaves;
    let values: Vec<_> = leaves
        .iter()
        .map(|leaf| json!({"path": leaf.path, "value": leaf.value, "origin": leaf.origin.to_string()}))
        .collect();
    output.listing(&json!({"settings": values}), "settings", || {
        let head = if origin { &["setting", "value", "from"][..] } else { &["setting", "value"] };
        let row = |leaf: &config::Leaf| {
            let mut row = vec![leaf.path.clone(), leaf.value.clone()];
            row.extend(origin.then(|| leaf.origin.to_string()));
            row
        };
        output.table(head, &leaves.iter().map(row).collect::<Vec<_>>(), &[])
    })
}

fn path(global: &Global) -> Done {
    let output = global.output();
    let text = |path: PathBuf| path.display().to_string();
    let file = match surroundings::source(global.config.as_deref()) {
        Source::File(path) => Some(text(path)),
        Source::Nothing => None,
    };
    let data = text(surroundings::data_dir(global));
    let user = surroundings::user_file().map(text);
    let value = json!({"config": file, "data": data, "user_config": user});
    output.either(&value, || {
        let none = "(no file: what is found is used)";
        let rows = [
            ("config", file.as_deref().unwrap_or(none)),
            ("data", &*data),
            ("user", user.as_deref().unwrap_or("(there is no home folder)")),
        ];
        let rows: Vec<_> = rows.map(|(name, text)| vec![name.to_owned(), text.to_owned()]).into();
        output.table(&["what", "path"], &rows, &[])
    })
}
