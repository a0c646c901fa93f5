//! The `outrigger` command: reads what was typed, does it, and says how it went by its exit code.

#![forbid(unsafe_code)]

mod agents;
mod certificate;
mod cli;
mod client;
mod client_env;
mod clock;
mod commands;
mod data;
mod exit;
mod http;
mod jq;
mod names;
mod output;
mod overlay;
mod rows;
mod surroundings;

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(done) = commands::completion::asked() {
        return ended(done);
    }
    let cli = match cli::Cli::typed() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and go to standard output. A closed pipe is no failure.
            drop(error.print());
            match error.kind() {
                ErrorKind::DisplayHelp => drop(std::io::stdout().write_all(b"\n")),
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => output::complain(""),
                _ => {}
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    ended(cli.command.run(&cli.global))
}

/// Says how it went.
fn ended(done: exit::Done) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                output::complain(&format!("error: {}", failure.message));
            }
            if let Some(hint) = &failure.hint {
                output::complain(&format!("hint: {hint}"));
            }
            failure.into()
        }
    }
}
