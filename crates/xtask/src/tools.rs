//! Running other programs, and finding folders.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The root of the repository: two folders above this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Where things that tests install are kept: `OUTRIGGER_CACHE`, else inside the target folder.
pub(crate) fn cache() -> PathBuf {
    match std::env::var_os("OUTRIGGER_CACHE") {
        Some(folder) => PathBuf::from(folder),
        None => target().join("outrigger-cache"),
    }
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Whether a program can be started.
pub(crate) fn has(program: &str, probe: &str) -> bool {
    let tried =
        Command::new(program).arg(probe).stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|s| s.success())
}

/// Runs a command and gives its standard output; a failure carries the end of both outputs.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    both_outputs(command).map(|(out, _)| out)
}

/// The same with standard error beside it.
pub(crate) fn both_outputs(command: &mut Command) -> Result<(String, String)> {
    let done = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't start {}", name(command)))?;
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    let err = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() {
        return Ok((out, err));
    }
    bail!("{} failed ({})\n{}\n{}", name(command), done.status, tail(&out, 80), tail(&err, 80))
}

/// Runs a command whose output goes straight to ours.
pub(crate) fn pass_through(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("can't start {}", name(command)))?;
    if status.success() { Ok(()) } else { bail!("{} failed ({status})", name(command)) }
}

fn name(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// A child process that ends with us.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Calls `ready` until it gives something or the time is over.
pub(crate) fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T> {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = ready() {
            return Ok(found);
        }
        if Instant::now() >= until {
            bail!("{what}: not within {} s", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A folder of its own under the cache, named by the content of some files, so that a change of them makes a new one.
pub(crate) fn keyed_folder(name: &str, files: &[PathBuf]) -> Result<PathBuf> {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for file in files {
        let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
        for b in bytes {
            hash = (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    Ok(cache().join(format!("{name}-{hash:016x}")))
}

/// Files that git knows, relative to the root.
pub(crate) fn tracked() -> Result<Vec<String>> {
    let listed = output(
        Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root()),
    )?;
    Ok(listed
        .split('\0')
        .filter(|f| !f.is_empty() && root().join(f).is_file())
        .map(str::to_owned)
        .collect())
}
