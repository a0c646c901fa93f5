//! `outrigger completion SHELL`.

use clap::CommandFactory as _;

use crate::cli::{Cli, Global};
use crate::exit::Done;

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger completion bash > ~/.local/share/bash-completion/completions/outrigger\n  outrigger completion zsh > ~/.zfunc/_outrigger\n  outrigger completion fish > ~/.config/fish/completions/outrigger.fish"
)]
pub(crate) struct Args {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "outrigger", &mut script);
    global.output().data(&String::from_utf8_lossy(&script))
}
