//! Fuzz targets on the stable toolchain: the corpora again, then a few seconds of new inputs each.

use anyhow::Result;

use crate::cargo::cargo;
use crate::report::Outcome;
use crate::tools;

pub(crate) fn run(long: bool) -> Result<Outcome> {
    if !tools::root().join("crates/fuzz-targets/Cargo.toml").exists() {
        return Ok(Outcome::Skip("there is no crate fuzz-targets".to_owned()));
    }
    let seconds = if long { "60" } else { "2" };
    let mut command = cargo();
    command.args([
        "run",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        "fuzz-targets",
        "--",
        "--seconds",
        seconds,
    ]);
    let out = tools::output(&mut command)?;
    Ok(Outcome::Pass(out.lines().last().unwrap_or_default().to_owned()))
}
