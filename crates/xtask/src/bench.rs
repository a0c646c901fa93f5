//! `cargo xtask bench`: the same load on each gateway in turn, on one machine, in one run.
//!
//! The gateway under test has core 0 to itself; mock provider and load generator share core 1. Everything is a ratio to
//! HAProxy measured seconds before or after, because machines differ and drift; absolute figures are printed beside.

mod config;
mod extras;
mod install;
mod machine;
mod measure;
mod peers;
mod process;
mod results;
mod start;
mod table;

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::gateway::fresh_folder;
use crate::report::{complain, say};
use crate::{cargo, tools};

const HELP: &str = "cargo xtask bench [--quick] [--only NAME[,NAME]] [--write]
  --quick  one short round: shows that everything runs, its figures mean little
  --only   these gateways (mock and haproxy always run, the others are measured by them):
           nginx, litellm, portkey, outrigger, outrigger-relaxed, outrigger-translated, outrigger-slowest
  --write  writes bench/RESULTS.md from this run
";

/// What was asked for.
pub(crate) struct Args {
    quick: bool,
    write: bool,
    only: Vec<String>,
}

impl Args {
    fn parse(args: &[&str]) -> Result<Option<Self>> {
        let mut parsed = Self { quick: false, write: false, only: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match *arg {
                "--quick" => parsed.quick = true,
                "--write" => parsed.write = true,
                "--only" => {
                    let names = args.next().context("--only needs names")?;
                    parsed.only.extend(names.split(',').map(str::to_owned));
                }
                "--help" | "-h" => return Ok(None),
                other => bail!("unknown argument {other}\n{HELP}"),
            }
        }
        if let Some(name) = parsed.only.iter().find(|name| !peers::is_known(name)) {
            bail!("no gateway is called {name}\n{HELP}");
        }
        Ok(Some(parsed))
    }

    /// Whether a gateway takes part.
    fn wants(&self, id: &str) -> bool {
        self.only.is_empty()
            || ["mock", "haproxy"].contains(&id)
            || self.only.iter().any(|n| n == id)
    }

    fn rounds(&self) -> usize {
        if self.quick { 1 } else { 5 }
    }

    fn seconds(&self) -> f64 {
        if self.quick { 0.5 } else { 2.0 }
    }
}

/// Programs and places of a run.
pub(crate) struct Lab {
    /// The built `bench`.
    bench: PathBuf,
    /// The built `outrigger`, if it builds.
    outrigger: Result<PathBuf>,
    /// Fresh files of this run: configurations, logs, ledgers. On the disk that the cache is on.
    folder: PathBuf,
    /// What is kept from run to run: installed peers, results.
    kept: PathBuf,
}

/// Measures; false if something that should have run did not.
pub(crate) fn run(args: &[&str]) -> Result<bool> {
    let Some(args) = Args::parse(args)? else {
        say(HELP.trim_end());
        return Ok(true);
    };
    if !cfg!(target_os = "linux") {
        bail!("the benchmark reads /proc: it runs on Linux only");
    }
    let cores = machine::cores();
    if cores < 2 {
        complain(
            "fewer than two cores: gateway, mock and load share one, and every figure suffers\n",
        );
    }
    let lab = Lab {
        bench: cargo::release_binary("bench", "bench")?,
        outrigger: if peers::wants_outrigger(&args) {
            cargo::release_binary("cli", "outrigger")
        } else {
            Err(anyhow!("not asked for"))
        },
        folder: fresh_folder("bench-run")?,
        kept: tools::cache().join("bench"),
    };
    std::fs::create_dir_all(&lab.kept)?;
    let machine = machine::Machine::look(&lab.folder)?;
    let mock = peers::mock(&lab)?;
    let (mut peers, absent) = peers::all(&lab, &args, &mock);
    for (label, why) in &absent {
        say(&format!("{label}: not measured: {why}"));
    }
    let samples = measure::rounds(&lab, &args, &mock, &peers)?;
    process::note_peaks(&mut peers);
    let roster = peers::Roster::of(&peers, &absent);
    // The peers end here, so that what follows has the machine to itself.
    drop(peers);
    let extras = extras::all(&lab, &args, &mock);
    let results = results::Results { machine, roster, samples, extras, quick: args.quick };
    say(&table::terminal(&results));
    let json = lab.kept.join("results.json");
    std::fs::write(&json, format!("{:#}\n", results.json()))?;
    say(&format!("written: {}", json.display()));
    if args.write {
        std::fs::write(tools::root().join("bench/RESULTS.md"), table::markdown(&results))?;
        say("written: bench/RESULTS.md");
    }
    // A peer that fails is a finding, not a fault of this run.
    Ok(results.failed("Outrigger") == 0
        && !absent.iter().any(|(label, _)| label.starts_with("Outrigger")))
}
