//! `outrigger completion SHELL`, and what the script that it prints asks for at each TAB.

use std::ffi::OsString;
use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::env::{EnvCompleter, Shells};
use serde_json::json;

use crate::cli::{Cli, Global};
use crate::exit::{Context as _, Done, Exit, Failure};

/// Names the shell when a script asks for candidates.
const VARIABLE: &str = "OUTRIGGER_COMPLETE";
const SHELLS: Shells<'static> = Shells::builtins();

/// Print the script that lets a shell complete commands, models, keys, requests.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  eval \"$(outrigger completion bash)\"\n  outrigger completion zsh > _outrigger\n  outrigger completion fish > outrigger.fish"
)]
pub(crate) struct Args {
    /// bash, zsh, fish, elvish or powershell.
    #[arg(value_parser = ["bash", "zsh", "fish", "elvish", "powershell"], hide_possible_values = true)]
    shell: String,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let output = global.output();
    let mut script = Vec::new();
    completer(&args.shell)?
        .write_registration(VARIABLE, "outrigger", "outrigger", "outrigger", &mut script)
        .cant("write the script")?;
    let script = String::from_utf8_lossy(&script);
    output.either(&json!({"shell": args.shell, "script": script}), || output.data(&script))
}

fn completer(shell: &str) -> Result<&'static dyn EnvCompleter, Failure> {
    // The path of `$SHELL` is as good as its name.
    let name = shell.rsplit('/').next().unwrap_or(shell);
    let found = SHELLS.0.iter().copied().find(|it| it.is(name));
    found.ok_or_else(|| Failure::new(Exit::Usage, format!("there is no completion for `{name}`")))
}

/// Answers a script's question: `OUTRIGGER_COMPLETE=bash outrigger -- outrigger key re`. `None`: nobody asks.
pub(crate) fn asked() -> Option<Done> {
    let shell = std::env::var(VARIABLE).ok().filter(|it| !it.is_empty())?;
    let words = std::env::args_os().skip_while(|it| it != "--").skip(1).collect();
    Some(answer(&shell, words))
}

fn answer(shell: &str, words: Vec<OsString>) -> Done {
    let mut candidates = Vec::new();
    let here = std::env::current_dir().ok();
    completer(shell)?
        .write_complete(&mut Cli::command(), words, here.as_deref(), &mut candidates)
        .cant("complete")?;
    drop(std::io::stdout().lock().write_all(&candidates));
    Ok(())
}
