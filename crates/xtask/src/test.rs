//! `cargo xtask test`: all steps in order.

use anyhow::{Result, bail};

use crate::report::Tally;
use crate::{cargo, fuzz, readme, sdk, system, tidy};

const STEPS: [&str; 35] = [
    "fmt",
    "clippy",
    "tidy",
    "unit",
    "fuzz",
    "readme",
    "sdk",
    // Scripts of `tests/system`.
    "first_run",
    "inference",
    "aimock",
    "agents",
    "exposure",
    "rules",
    "bypass",
    "headers",
    "fetch",
    "giants",
    "disconnect",
    "slow_reader",
    "upstream_faults",
    "failover",
    "logins",
    "hosts",
    "answers",
    "realtime",
    "reload",
    "prices",
    "batches",
    "drain",
    "leaks",
    "diskfull",
    "panic",
    "kept",
    "kills",
    "budget",
];

/// Runs the steps; true if none failed.
pub(crate) fn run(args: &[&str]) -> Result<bool> {
    let mut long = false;
    let mut only: Vec<&str> = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match (*arg, arg.strip_prefix("--only=")) {
            ("--long", _) => long = true,
            ("--only", _) => match args.next() {
                Some(names) => only.extend(names.split(',')),
                None => bail!("--only needs the name of a step: {}", STEPS.join(", ")),
            },
            (_, Some(names)) => only.extend(names.split(',')),
            (other, None) => bail!("unknown argument {other}"),
        }
    }
    if let Some(unknown) = only.iter().find(|n| !STEPS.contains(n)) {
        bail!("no step is called {unknown}; there are {}", STEPS.join(", "));
    }
    let mut tally = Tally::default();
    for step in STEPS {
        if only.is_empty() || only.contains(&step) {
            one(step, long, &mut tally);
        }
    }
    Ok(tally.close())
}

fn one(step: &str, long: bool, tally: &mut Tally) {
    match step {
        "fmt" => tally.step("fmt", cargo::fmt),
        "clippy" => tally.step("clippy", cargo::clippy),
        "tidy" => tidy::all(tally),
        "unit" => tally.step("unit", || cargo::unit(long)),
        "fuzz" => tally.step("fuzz", || fuzz::run(long)),
        "readme" => tally.step("readme", readme::run),
        "sdk" => sdk::all(long, tally),
        script => system::one(script, long, tally),
    }
}
