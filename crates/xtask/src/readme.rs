//! README's code blocks, run as written.
//!
//! In order: a block ` ```sh serve ` starts in the background and must answer `/readyz` at the address that the README
//! names; each ` ```sh ` block runs in an empty folder with the built `outrigger` on the path; a block ` ```yaml NAME `
//! becomes a file of that folder; ` ```json ` must be JSON. The server must end cleanly when it is told to.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::cargo;
use crate::gateway::{fresh_folder, outrigger};
use crate::report::Outcome;
use crate::tools::{self, Running};

/// Where the README says that the gateway listens.
const API: ([u8; 4], u16) = ([127, 0, 0, 1], 4141);

struct Block {
    line: usize,
    info: String,
    text: String,
}

pub(crate) fn run() -> Result<Outcome> {
    let path = tools::root().join("README.md");
    if !path.exists() {
        return Ok(Outcome::Skip("there is no README.md".to_owned()));
    }
    let binary = cargo::release_binary("cli", "outrigger")?;
    let folder = fresh_folder("readme")?;
    let mut server = None;
    let mut ran = 0;
    for block in blocks(&std::fs::read_to_string(&path)?) {
        let words: Vec<&str> = block.info.split_whitespace().collect();
        let done = match words.as_slice() {
            ["sh", "serve"] => serve(&block, &binary, &folder).map(|s| server = Some(s)),
            ["sh"] => shell(&block, &binary, &folder),
            ["yaml", name] => {
                std::fs::write(folder.join(name), &block.text).context("can't write the file")
            }
            ["json"] => {
                serde_json::from_str::<serde_json::Value>(&block.text).map(drop).context("no JSON")
            }
            _ => continue,
        };
        done.with_context(|| format!("README.md:{}", block.line))?;
        ran += 1;
    }
    if let Some(mut server) = server {
        stop(&mut server)?;
    }
    Ok(Outcome::Pass(format!("{ran} blocks")))
}

fn blocks(text: &str) -> Vec<Block> {
    let mut out = Vec::new();
    let mut open: Option<Block> = None;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => out.extend(open.take()),
            (Some(info), None) => {
                open = Some(Block { line: at + 1, info: info.to_owned(), text: String::new() });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    out
}

/// The environment of every block: the built programs first on the path, the data in a folder of the test.
fn bash(block: &Block, binary: &Path, folder: &Path) -> Command {
    let own = outrigger(binary, folder);
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &block.text]);
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let built = binary.parent().unwrap_or(folder).display();
    command.env("PATH", format!("{built}:{path}")).current_dir(folder).stdin(Stdio::null());
    command
}

fn serve(block: &Block, binary: &Path, folder: &Path) -> Result<Running> {
    let api = SocketAddr::from(API);
    if crate::gateway::is_ready(api) {
        bail!("something else already listens on {api}");
    }
    let log = std::fs::File::create(folder.join("serve.log"))?;
    // The shell becomes its last command, so that the signal at the end reaches the gateway.
    let exec = Block {
        line: block.line,
        info: String::new(),
        text: format!("exec {}", block.text.trim()),
    };
    let child = bash(&exec, binary, folder)
        .current_dir(tools::root())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let running = Running(child);
    let ready = tools::wait_for("/readyz", Duration::from_mins(1), || {
        crate::gateway::is_ready(api).then_some(())
    });
    match ready {
        Ok(()) => Ok(running),
        Err(e) => {
            bail!("{e:#}\n{}", tools::tail(&std::fs::read_to_string(folder.join("serve.log"))?, 30))
        }
    }
}

fn shell(block: &Block, binary: &Path, folder: &Path) -> Result<()> {
    tools::output(&mut bash(block, binary, folder)).map(drop)
}

fn stop(server: &mut Running) -> Result<()> {
    tools::output(Command::new("kill").args(["-TERM", &server.0.id().to_string()]))?;
    let code = tools::wait_for("the gateway's end after SIGTERM", Duration::from_secs(20), || {
        server.0.try_wait().ok().flatten()
    })?;
    if code.success() { Ok(()) } else { bail!("after SIGTERM the gateway ended with {code}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn blocks_are_found_with_their_info() {
        let found = super::blocks("x\n```sh serve\nrun\n```\ny\n```\nplain\n```\n");
        let seen: Vec<_> =
            found.iter().map(|b| (b.line, b.info.as_str(), b.text.as_str())).collect();
        assert_eq!(seen, [(2, "sh serve", "run\n"), (6, "", "plain\n")]);
    }
}
