//! `outrigger responses`: what the gateway keeps of responses.

use domain::AppName;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::{client, data};

/// Delete the responses that the gateway keeps for `previous_response_id`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger responses purge --app search --yes\n  outrigger responses purge --app search --yes --json\n  outrigger responses purge --all --yes"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Delete all kept responses of an application, or all there are.
    #[command(
        after_help = "Examples:\n  outrigger responses purge --app search --yes\n  outrigger responses purge --app search --yes --json\n  outrigger responses purge --all --yes"
    )]
    Purge {
        /// The application whose responses go.
        #[arg(long, required_unless_present = "all", conflicts_with = "all")]
        app: Option<String>,
        /// All there are.
        #[arg(long)]
        all: bool,
    },
}

/// Does it.
pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let Command::Purge { app, all: _ } = &args.command;
    purge(app.as_deref(), global)
}

fn purge(app: Option<&str>, global: &Global) -> Done {
    let output = global.output();
    let name = app.map(AppName::new).transpose();
    let name = name.map_err(|error| Failure::new(Exit::Usage, error))?;
    let whose = app.map_or_else(|| "of all applications".to_owned(), |app| format!("of {app}"));
    global.sure(&format!("all kept responses {whose} go for good"))?;
    let value = match client::running(global)? {
        Some(admin) => {
            let asked = app.map_or_else(|| json!({"all": true}), |app| json!({"app": app}));
            admin.post("/v1/outrigger/responses/purge", &asked)?
        }
        None => offline(name, global)?,
    };
    output.either(&value, || {
        let count = value["purged"].as_u64().unwrap_or_default();
        output
            .line(&format!("{count} {} deleted", if count == 1 { "response" } else { "responses" }))
    })
}

fn offline(app: Option<AppName>, global: &Global) -> Result<Value, Failure> {
    data::write(global, "purge_responses", |store| {
        let purged = if store.kept().is_made() {
            let responses = store.responses().cant("open what is kept")?;
            responses.purge(app).wait().cant("delete kept responses")?
        } else {
            0
        };
        Ok((json!({"purged": purged}), Vec::new()))
    })
}
