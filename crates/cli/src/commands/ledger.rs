//! Stub.
use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
/// Stub.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) fn run(_args: &Args, _global: &Global) -> Done { Err(Failure::new(Exit::Failed, "stub")) }
pub(crate) fn decision(_id: &str, _global: &Global) -> Result<serde_json::Value, Failure> { Err(Failure::new(Exit::Failed, "stub")) }
pub(crate) fn check(_global: &Global) -> Option<Result<String, String>> { None }
