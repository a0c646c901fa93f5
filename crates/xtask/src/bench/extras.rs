//! Figures that need a process of their own: memory with many idle streams, and the time to be ready.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

use super::peers::{self, Mock};
use super::results::median;
use super::start::{LOAD_CORE, pinned, started, streams};
use super::{Args, Lab, process};
use crate::report::complain;
use crate::tools::Running;

/// How long it may take to open all idle streams.
const PATIENCE: Duration = Duration::from_mins(3);

/// Memory with idle streams open.
pub(crate) struct Idle {
    pub(crate) label: &'static str,
    pub(crate) streams: u64,
    pub(crate) before_kib: u64,
    pub(crate) held_kib: u64,
}

/// What was found, or why not.
pub(crate) struct Extras {
    pub(crate) idle: Vec<(&'static str, Result<Idle>)>,
    /// Outrigger restarted on a data folder that exists: exec to the first answered chat, in milliseconds.
    pub(crate) ready_ms: Result<Vec<f64>>,
}

impl Extras {
    pub(crate) fn json(&self) -> Value {
        let idle = self.idle.iter().map(|(id, idle)| match idle {
            Ok(i) => json!({"name": id, "streams": i.streams, "before_kib": i.before_kib, "held_kib": i.held_kib}),
            Err(why) => json!({"name": id, "why": format!("{why:#}")}),
        });
        json!({
            "idle_streams": idle.collect::<Vec<_>>(),
            "ready_ms": self.ready_ms.as_ref().ok(),
            "ready_median_ms": self.ready_ms.as_ref().ok().and_then(|r| median(r.clone())),
        })
    }
}

/// Measures them.
pub(crate) fn all(lab: &Lab, args: &Args, mock: &Mock) -> Extras {
    let wanted = ["nginx", "haproxy", "outrigger"];
    let streams = if args.quick { 500 } else { 10_000 };
    let mut idle = Vec::new();
    for id in wanted.into_iter().filter(|id| args.wants(id)) {
        complain(&format!("idle streams: {id}\n"));
        idle.push((id, idle_streams(lab, mock, id, streams)));
    }
    let ready_ms = if args.wants("outrigger") {
        ready(lab, mock, if args.quick { 2 } else { 7 })
    } else {
        Err(anyhow!("not asked for"))
    };
    Extras { idle, ready_ms }
}

fn idle_streams(lab: &Lab, mock: &Mock, id: &'static str, wanted: u64) -> Result<Idle> {
    let streams = wanted.min(streams()?);
    let peer = peers::start(lab, mock, id, &format!("{id}-idle"))?;
    let pid = peer.pid().context("no process")?;
    let before_kib = process::resident_kib(pid);
    let mut command = pinned(LOAD_CORE, &lab.bench);
    command.arg("hold").args(peer.route.words());
    command.args([format!("connections={streams}"), "stream=3".into(), "gap=1000000000".into()]);
    let _held = hold(&mut command)?;
    Ok(Idle { label: peer.label, streams, before_kib, held_kib: process::resident_kib(pid) })
}

/// Starts the holder and waits for its line.
fn hold(command: &mut Command) -> Result<Running> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("hold")?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let running = Running(child);
    let (tell, told) = mpsc::channel();
    let mut out = BufReader::new(out.context("no output")?);
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = out.read_line(&mut line);
        // Nobody waits any more once the time is over.
        drop(tell.send(read.map(|_| line)));
    });
    let line = told.recv_timeout(PATIENCE).context("the streams did not all begin")??;
    if !line.contains("held") {
        let mut why = String::new();
        BufReader::new(err.context("no error output")?).read_line(&mut why)?;
        bail!("{}", why.trim());
    }
    Ok(running)
}

fn ready(lab: &Lab, mock: &Mock, times: usize) -> Result<Vec<f64>> {
    let program = lab.outrigger.as_ref().map_err(|e| anyhow!("it does not build: {e:#}"))?;
    let folder = lab.folder.join("outrigger-ready");
    let route = peers::start(lab, mock, "outrigger", "outrigger-ready")?.route;
    let mut found = Vec::new();
    for _ in 0..times {
        // Without the shell and taskset in front, whose own start would count.
        let mut command = Command::new(program);
        peers::serve(&mut command, &folder);
        let (_running, took) = started(&mut command, &folder.join("log"), &route)?;
        found.push(took.as_secs_f64() * 1e3);
    }
    Ok(found)
}
