//! Calls of cargo.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::report::Outcome;
use crate::tools;

/// The cargo that runs us, in the repository.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(tools::root());
    command
}

pub(crate) fn fmt() -> Result<Outcome> {
    tools::output(cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Pass(String::new()))
}

pub(crate) fn clippy() -> Result<Outcome> {
    tools::output(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(Outcome::Pass(String::new()))
}

/// Unit and integration tests of every crate.
pub(crate) fn unit(long: bool) -> Result<Outcome> {
    let mut command = cargo();
    if tools::has("cargo-nextest", "--version") {
        command.args([
            "nextest",
            "run",
            "--workspace",
            "--all-features",
            "--locked",
            "--no-fail-fast",
            "--status-level",
            "fail",
        ]);
    } else {
        command.args(["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"]);
    }
    if long {
        command.env("OUTRIGGER_TEST_LONG", "1");
    }
    command.env("INSTA_UPDATE", "no");
    tools::pass_through(&mut command)?;
    Ok(Outcome::Pass(String::new()))
}

/// Builds a binary for use by other steps and gives its place.
pub(crate) fn release_binary(package: &str, binary: &str) -> Result<PathBuf> {
    built(package, binary, "release", &["--release"])
}

/// The gateway as it panics where a test says so, from the profile and with the features of the unit tests.
pub(crate) fn panicking_gateway() -> Result<PathBuf> {
    built("cli", "outrigger", "debug", &["--all-features"])
}

fn built(package: &str, binary: &str, profile: &str, more: &[&str]) -> Result<PathBuf> {
    let what = ["build", "--locked", "--quiet", "--package", package, "--bin", binary];
    tools::output(cargo().args(what).args(more))?;
    let folder = tools::target();
    let folder = if folder.is_absolute() { folder } else { tools::root().join(folder) };
    Ok(folder.join(profile).join(binary))
}
