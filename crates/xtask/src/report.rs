//! PASS, FAIL and SKIP lines, and the closing counts.

use std::io::Write as _;
use std::time::{Duration, Instant};

/// How one step ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With a few words about what was done.
    Pass(String),
    Fail(String),
    /// With the reason.
    Skip(String),
}

/// Prints a line to standard output.
pub(crate) fn say(text: &str) {
    // Nobody left to read it: the steps go on, their results still count in the exit code.
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Prints to standard error.
pub(crate) fn complain(text: &str) {
    drop(write!(std::io::stderr(), "{text}"));
}

/// Collects outcomes.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Tally {
    /// Runs one step and prints its line. An error is a failure.
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce() -> anyhow::Result<Outcome>) {
        let start = Instant::now();
        let outcome = run().unwrap_or_else(|e| Outcome::Fail(format!("{e:#}")));
        self.count(name, &outcome, start.elapsed());
    }

    /// Counts an outcome and prints its line.
    pub(crate) fn count(&mut self, name: &str, outcome: &Outcome, took: Duration) {
        let seconds = took.as_secs_f64();
        match outcome {
            Outcome::Pass(text) => {
                self.passed += 1;
                say(&format!("PASS {name} ({seconds:.1} s) {text}"));
            }
            Outcome::Fail(text) => {
                self.failed += 1;
                say(&format!("FAIL {name} ({seconds:.1} s)\n{text}"));
            }
            Outcome::Skip(why) => {
                self.skipped += 1;
                say(&format!("SKIP {name}: {why}"));
            }
        }
    }

    /// Prints the closing line; true if all is well. In CI a skipped step is a failure: nobody reads its reason.
    pub(crate) fn close(&self) -> bool {
        let ci = std::env::var_os("CI").is_some_and(|v| v == "true");
        if ci && self.skipped > 0 {
            say("skipped steps fail in CI");
        }
        say(&format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped));
        self.failed == 0 && !(ci && self.skipped > 0) && self.passed > 0
    }
}
