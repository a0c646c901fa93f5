//! System tests: scripts of `tests/system` that drive the built programs from outside, with real processes and real
//! kills. A script gets its tools by the environment, prints what it finds, and ends with 0; 77 means that it can't run
//! here, with the reason as its last line.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::gateway::fresh_folder;
use crate::report::{Outcome, Tally};
use crate::{cargo, install, tools};

/// Runs one script, a step of its own name.
pub(crate) fn one(name: &str, long: bool, tally: &mut Tally) {
    tally.step(name, || {
        let script = tools::root().join("tests/system").join(format!("{name}.py"));
        if !script.exists() {
            return Ok(Outcome::Skip(format!("there is no tests/system/{name}.py")));
        }
        if !tools::has("python3", "--version") {
            return Ok(Outcome::Skip("python3 is not installed".to_owned()));
        }
        if ["agents", "aimock"].contains(&name) && !tools::has("npm", "--version") {
            return Ok(Outcome::Skip("npm is not installed".to_owned()));
        }
        if ["agents", "aimock"].contains(&name)
            && !cfg!(all(target_os = "linux", target_arch = "x86_64"))
        {
            return Ok(Outcome::Skip("its packages are for Linux on x86-64".to_owned()));
        }
        run(name, &script, long)
    });
}

fn run(name: &str, script: &Path, long: bool) -> Result<Outcome> {
    let gateway = match name {
        "panic" => cargo::panicking_gateway()?,
        _ => cargo::release_binary("cli", "outrigger")?,
    };
    let partner = cargo::release_binary("fake-provider", "fake-provider")?;
    let folder = fresh_folder(&format!("system-{name}"))?;
    let mut command = Command::new("python3");
    if name == "inference" {
        command.env("INFERENCE_PYTHON", inference_python()?);
    }
    if name == "agents" {
        command.envs(agents(long)?);
    }
    if name == "aimock" {
        // Where the SDK suites' packages are, and Node with them.
        let source = tools::root().join("tests/sdk/js");
        command.env("AIMOCK_MODULES", install::javascript("sdk-js", &source)?);
    }
    let done = command
        .arg(script)
        .current_dir(&folder)
        .env("OUTRIGGER_BIN", gateway)
        .env("FAKE_PROVIDER_BIN", partner)
        .env("OUTRIGGER_TEST_LONG", if long { "1" } else { "0" })
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .context("python3")?;
    let out = String::from_utf8_lossy(&done.stdout);
    let last = out.lines().last().unwrap_or_default();
    let last = last.strip_prefix("PASS ").unwrap_or(last).to_owned();
    match done.status.code() {
        Some(0) => Ok(Outcome::Pass(last)),
        Some(77) => Ok(Outcome::Skip(last)),
        _ => Ok(Outcome::Fail(format!(
            "{}\n{}",
            tools::tail(&out, 40),
            tools::tail(&String::from_utf8_lossy(&done.stderr), 40)
        ))),
    }
}

/// The Python that has an inference server and its weights. What those packages depend on is not used, and would have to
/// be built.
fn inference_python() -> Result<PathBuf> {
    let requirements = tools::root().join("tests/system/inference-requirements.txt");
    install::python("inference", &requirements, &["--no-deps"])
}

/// Where the coding agents are that `agents.py` runs: those that are small enough for every run, or all.
fn agents(long: bool) -> Result<Vec<(&'static str, PathBuf)>> {
    let source = |name: &str| tools::root().join("tests/agents").join(name);
    let mut found = vec![("AGENTS_QUICK", install::javascript("agents-quick", &source("quick"))?)];
    if long {
        found.push(("AGENTS_LONG", install::javascript("agents-long", &source("long"))?));
        let python = install::python("agents-aider", &source("aider-requirements.txt"), &[])?;
        found.push(("AGENTS_AIDER", python.parent().unwrap_or(&python).to_path_buf()));
    }
    Ok(found)
}
