//! `outrigger version`.

use serde_json::json;

use crate::cli::Global;
use crate::exit::Done;

/// Print the version.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger version\n  outrigger --version\n  outrigger version --json"
)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, global: &Global) -> Done {
    let output = global.output();
    let version = env!("CARGO_PKG_VERSION");
    output.either(&json!({"name": "outrigger", "version": version}), || {
        output.line(&format!("outrigger {version}"))
    })
}
