//! Getting the peers: from the system's packages, PyPI and npm, by their ordinary clients, within a time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Lab;
use crate::report::say;
use crate::tools::{self, Running};

/// How long one installation may take.
const LIMIT: Duration = Duration::from_mins(10);

/// A program of the system's packages, installed if it is missing and we may.
pub(crate) fn system(program: &str, version_flag: &str) -> Result<()> {
    if tools::has(program, version_flag) {
        return Ok(());
    }
    if tools::output(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("not installed, and only root may install it: apt-get install {program}");
    }
    say(&format!("installing {program}"));
    let mut apt = Command::new("apt-get");
    apt.args(["install", "-y", "-q", "--no-install-recommends", program])
        .env("DEBIAN_FRONTEND", "noninteractive");
    timed(&mut apt)?;
    // Debian starts services that it installs; the benchmark starts its own.
    let _stopped = Command::new("service").args([program, "stop"]).output();
    Ok(())
}

/// A virtual environment with the LiteLLM proxy; gives the program and its version.
pub(crate) fn litellm(lab: &Lab) -> Result<(PathBuf, String)> {
    let folder = lab.kept.join("litellm");
    let program = folder.join("bin/litellm");
    if !program.exists() {
        say("installing LiteLLM (a minute or three)");
        timed(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        timed(
            Command::new(folder.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .arg("litellm[proxy]"),
        )?;
    }
    let code = "import importlib.metadata as m; print(m.version('litellm'))";
    let version = tools::output(Command::new(folder.join("bin/python")).args(["-c", code]))?;
    Ok((program, version.trim().to_owned()))
}

/// Portkey's gateway from npm; gives its start script and its version.
pub(crate) fn portkey(lab: &Lab) -> Result<(PathBuf, String)> {
    let folder = lab.kept.join("portkey");
    let package = folder.join("node_modules/@portkey-ai/gateway");
    let script = package.join("build/start-server.js");
    if !script.exists() {
        say("installing Portkey");
        std::fs::create_dir_all(&folder)?;
        timed(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
                .arg(&folder)
                .arg("@portkey-ai/gateway"),
        )?;
    }
    Ok((script, package_version(&package.join("package.json"))?))
}

fn package_version(manifest: &Path) -> Result<String> {
    let text = std::fs::read_to_string(manifest)?;
    let value: serde_json::Value = serde_json::from_str(&text)?;
    let version = value.get("version").and_then(serde_json::Value::as_str);
    Ok(version.context("no version in package.json")?.to_owned())
}

/// Runs a command to its end, but not longer than the limit.
fn timed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{name} can't be started"))?;
    let mut running = Running(child);
    let start = Instant::now();
    loop {
        if let Some(status) = running.0.try_wait()? {
            return if status.success() { Ok(()) } else { bail!("{name} failed ({status})") };
        }
        if start.elapsed() > LIMIT {
            bail!("{name} took more than {} s", LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
