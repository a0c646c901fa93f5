//! Stub.
use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
/// Stub.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) fn run(_args: &Args, _global: &Global) -> Done { Err(Failure::new(Exit::Failed, "stub")) }
