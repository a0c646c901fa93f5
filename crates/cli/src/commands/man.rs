//! `outrigger man [COMMAND...]`.

use clap::CommandFactory as _;
use serde_json::json;

use crate::cli::{Cli, Global};
use crate::exit::{Context as _, Done, Exit, Failure};

/// Print a manual page (roff).
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger man | man -l -\n  outrigger man key create | man -l -\n  outrigger man > outrigger.1"
)]
pub(crate) struct Args {
    /// The command; without one, the page of outrigger itself.
    command: Vec<String>,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let mut command = Cli::command();
    command.build();
    let mut name = "outrigger".to_owned();
    let mut page = &command;
    for word in &args.command {
        page = page.find_subcommand(word).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("there is no command `{name} {word}`"))
        })?;
        name = format!("{name} {word}");
    }
    let page = clap_mangen::Man::new(page.clone()).title(name.replace(' ', "-"));
    let mut text = Vec::new();
    page.render(&mut text).cant("write the manual page")?;
    let (output, text) = (global.output(), String::from_utf8_lossy(&text));
    output.either(&json!({"page": name, "roff": text}), || output.data(&text))
}
