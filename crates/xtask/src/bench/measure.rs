//! The rounds: every load on every gateway, one after the other, again and again, so that drift hits all alike.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::peers::{Mock, Peer};
use super::start::{LOAD_CORE, pinned};
use super::{Args, Lab, process};
use crate::report::complain;
use crate::tools;

/// Connections of the streamed loads.
pub(crate) const STREAMS: usize = 16;
/// Pause between two events of a stream, in microseconds: 16 streams make 8,000 events a second.
const GAP: u64 = 2_000;

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    /// Whole answers at so many connections.
    Whole(usize),
    /// Streams of so many events.
    Stream(usize),
}

/// All of them. Two lengths of stream tell the cost of an event from the cost of a start.
pub(crate) const CELLS: [Cell; 5] =
    [Cell::Whole(1), Cell::Whole(16), Cell::Whole(64), Cell::Stream(100), Cell::Stream(400)];

impl Cell {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Whole(connections) => format!("whole-{connections}"),
            Self::Stream(events) => format!("stream-{events}"),
        }
    }

    fn words(self, seconds: f64) -> Vec<String> {
        let connections = match self {
            Self::Whole(connections) => connections,
            Self::Stream(_) => STREAMS,
        };
        let mut words = vec![format!("connections={connections}"), format!("seconds={seconds}")];
        if let Self::Stream(events) = self {
            words.extend([format!("stream={events}"), format!("gap={GAP}")]);
        }
        words
    }

    /// The same kind of work, briefly.
    fn warm_up(self) -> Vec<String> {
        match self {
            Self::Whole(_) => self.words(0.2),
            Self::Stream(_) => Self::Stream(20).words(0.1),
        }
    }
}

/// What one turn showed. Latencies in microseconds, CPU in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) ok: f64,
    pub(crate) failed: f64,
    pub(crate) events: f64,
    pub(crate) seconds: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) first_p50: f64,
    pub(crate) first_p99: f64,
    pub(crate) pause_p50: f64,
    pub(crate) pause_p99: f64,
    pub(crate) gateway_cpu: f64,
    pub(crate) mock_cpu: f64,
    pub(crate) load_cpu: f64,
}

impl Sample {
    pub(crate) fn json(&self) -> Value {
        json!({
            "ok": self.ok, "failed": self.failed, "events": self.events, "seconds": self.seconds,
            "p50_us": self.p50, "p99_us": self.p99, "first_p50_us": self.first_p50, "first_p99_us": self.first_p99,
            "pause_p50_us": self.pause_p50, "pause_p99_us": self.pause_p99,
            "gateway_cpu_ns": self.gateway_cpu, "mock_cpu_ns": self.mock_cpu, "load_cpu_ns": self.load_cpu,
        })
    }
}

/// Turns of each gateway under each load, in the order of the rounds. A turn that failed is None.
pub(crate) type Samples = BTreeMap<(&'static str, Cell), Vec<Option<Sample>>>;

/// Runs all rounds.
pub(crate) fn rounds(lab: &Lab, args: &Args, mock: &Mock, peers: &[Peer]) -> Result<Samples> {
    let mut samples = Samples::new();
    for peer in peers {
        // What a gateway does once (imports, caches, connections) is not part of any turn.
        load(lab, peer, &Cell::Whole(16).words(if args.quick { 0.3 } else { 1.0 }))?;
    }
    for round in 1..=args.rounds() {
        complain(&format!("round {round} of {}\n", args.rounds()));
        for cell in CELLS {
            for peer in peers {
                let sample = turn(lab, mock, peer, cell, args.seconds());
                if let Err(why) = &sample {
                    complain(&format!("{} {}: {why:#}\n", peer.label, cell.name()));
                }
                samples.entry((peer.id, cell)).or_default().push(sample.ok());
            }
        }
    }
    Ok(samples)
}

fn turn(lab: &Lab, mock: &Mock, peer: &Peer, cell: Cell, seconds: f64) -> Result<Sample> {
    load(lab, peer, &cell.warm_up())?;
    // Work put off (settlements, logs) belongs to what caused it: before the first reading and after the last load.
    let settle = || std::thread::sleep(Duration::from_millis(60));
    let cpu = || peer.pid().map_or(0, process::cpu_nanos);
    settle();
    let mock_pid = mock.process.0.id();
    let (gateway, mock) = (cpu(), process::cpu_nanos(mock_pid));
    let said = load(lab, peer, &cell.words(seconds))?;
    let mock = process::cpu_nanos(mock_pid) - mock;
    settle();
    let gateway = cpu().saturating_sub(gateway);
    let number = |name: &str| said.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    Ok(Sample {
        ok: number("ok"),
        failed: number("failed"),
        events: number("events"),
        seconds: number("seconds"),
        p50: number("p50_us"),
        p99: number("p99_us"),
        first_p50: number("first_p50_us"),
        first_p99: number("first_p99_us"),
        pause_p50: number("pause_p50_us"),
        pause_p99: number("pause_p99_us"),
        gateway_cpu: gateway as f64,
        mock_cpu: mock as f64,
        load_cpu: number("cpu_us") * 1e3,
    })
}

fn load(lab: &Lab, peer: &Peer, words: &[String]) -> Result<Value> {
    let mut command: Command = pinned(LOAD_CORE, &lab.bench);
    command.arg("load").args(peer.route.words()).args(words).stderr(Stdio::null());
    let said = tools::output(&mut command).with_context(|| format!("load on {}", peer.label))?;
    let Some(line) = said.lines().last() else { bail!("the load generator said nothing") };
    Ok(serde_json::from_str(line)?)
}
