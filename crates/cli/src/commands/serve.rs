//! `outrigger serve`: the gateway itself.

use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};

/// Run the gateway.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger serve\n  outrigger serve --config outrigger.yaml\n  OPENAI_API_KEY=... outrigger serve"
)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, _global: &Global) -> Done {
    Err(Failure::new(Exit::Failed, "this build has no server"))
}
