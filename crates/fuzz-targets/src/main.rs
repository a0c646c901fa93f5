//! `fuzz-stable`: every corpus replayed, then new inputs made of it for some seconds a target, on the stable
//! toolchain. There is no coverage feedback: for depth, `cargo fuzz run TARGET` in `fuzz/` runs the same functions.
//!
//! The canary comes first: a rig that doesn't find a target that must fail is broken, and says so.

#![forbid(unsafe_code)]

mod mutate;
mod run;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use fuzz_targets::{CANARY, TARGETS};
use run::{Report, Rig};

const USAGE: &str = "\
usage: fuzz-stable [--seconds N] [--seed N] [--target NAME] [--corpus DIR] [--input FILE]
  --seconds N    new inputs for so long per target; default 5
  --seed N       where the inputs begin; default 1
  --target NAME  this target only
  --corpus DIR   a folder per target; default fuzz/corpus of this repository
  --input FILE   run one file through the target and stop
";

struct Args {
    seconds: u64,
    seed: u64,
    target: Option<String>,
    corpus: PathBuf,
    input: Option<PathBuf>,
}

fn args() -> Option<Args> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let corpus = root.join("fuzz/corpus");
    let mut args = Args { seconds: 5, seed: 1, target: None, corpus, input: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--seconds" => args.seconds = value.parse().ok()?,
            "--seed" => args.seed = value.parse().ok()?,
            "--target" => args.target = Some(value),
            "--corpus" => args.corpus = value.into(),
            "--input" => args.input = Some(value.into()),
            _ => return None,
        }
    }
    Some(args)
}

/// Prints a line; a closed pipe is no failure of the run.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

fn main() -> ExitCode {
    let Some(args) = args() else {
        say(USAGE);
        return ExitCode::from(2);
    };
    let wanted = |name: &str| args.target.as_deref().is_none_or(|target| target == name);
    let targets: Vec<_> = TARGETS.iter().filter(|target| wanted(target.name)).collect();
    if targets.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        say(&format!("no such target; there are: {}", names.join(", ")));
        return ExitCode::from(2);
    }
    run::quiet_panics();
    if let Some(path) = &args.input {
        return one_input(path, &targets);
    }
    let canary = Rig::new(CANARY, args.seed).run(&args.corpus, Duration::from_mins(1));
    if canary.is_ok() {
        say("the canary was not found: this rig finds nothing");
        return ExitCode::FAILURE;
    }
    say(&format!("{:<28} found, as it must be", CANARY.name));
    let mut total = 0;
    for target in &targets {
        match Rig::new(**target, args.seed).run(&args.corpus, Duration::from_secs(args.seconds)) {
            Ok(Report { replayed, executions, slowest }) => {
                total += executions;
                let name = target.name;
                say(&format!(
                    "{name:<28} {replayed:>3} of the corpus, {executions:>9} executions, slowest {slowest:?}"
                ));
            }
            Err(failure) => {
                let kept = failure.keep(target.name);
                say(&format!("{:<28} FAILED: {}", target.name, failure.why));
                say(&format!(
                    "input kept as {kept}; again: fuzz-stable --target {} --input {kept}",
                    target.name
                ));
                return ExitCode::FAILURE;
            }
        }
    }
    say(&format!("{} fuzz targets, {total} executions, no failure", targets.len()));
    ExitCode::SUCCESS
}

fn one_input(path: &Path, targets: &[&fuzz_targets::Target]) -> ExitCode {
    let input = match std::fs::read(path) {
        Ok(input) => input,
        Err(error) => {
            say(&format!("{}: {error}", path.display()));
            return ExitCode::FAILURE;
        }
    };
    for target in targets {
        if let Err(failure) = run::once(target, &input) {
            say(&format!("{}: {}", target.name, failure.why));
            return ExitCode::FAILURE;
        }
    }
    say("no failure");
    ExitCode::SUCCESS
}
