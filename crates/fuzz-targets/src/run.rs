//! Runs a target and notices panics and slowness.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fuzz_targets::Target;

use crate::mutate::Mutator;

/// An input that takes longer than this is a failure: nobody may buy so much work with one body.
const SLOW: Duration = Duration::from_secs(1);
/// Longest input that is made up.
const LENGTH_MAX: usize = 16 * 1024;

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What a run did.
pub(crate) struct Report {
    pub(crate) replayed: usize,
    pub(crate) executions: u64,
    pub(crate) slowest: Duration,
}

/// What failed, and how.
pub(crate) struct Failure {
    pub(crate) why: String,
    input: Vec<u8>,
}

impl Failure {
    /// Keeps the input in the system's temporary folder; its path, or why that was not possible.
    pub(crate) fn keep(&self, name: &str) -> String {
        let path = std::env::temp_dir().join(format!("outrigger-fuzz-{name}"));
        match std::fs::write(&path, &self.input) {
            Ok(()) => path.display().to_string(),
            Err(error) => format!("nothing ({error})"),
        }
    }
}

/// Panics are caught and told by [`once`]; their usual report would drown everything else.
pub(crate) fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        LAST_PANIC.with(|last| *last.borrow_mut() = panic.to_string());
    }));
}

/// One input; how long it took.
pub(crate) fn once(target: &Target, input: &[u8]) -> Result<Duration, Failure> {
    let fail = |why: String| Failure { why, input: input.to_vec() };
    let started = Instant::now();
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        let why = LAST_PANIC.with(|last| last.borrow().chars().take(4_000).collect());
        return Err(fail(why));
    }
    let took = started.elapsed();
    if took > SLOW {
        // A busy machine is not the target's fault: the second time decides.
        let started = Instant::now();
        (target.run)(input);
        if started.elapsed() > SLOW {
            return Err(fail(format!("{took:?} for {} bytes", input.len())));
        }
    }
    Ok(took)
}

/// A target with its inputs.
pub(crate) struct Rig {
    target: Target,
    mutator: Mutator,
}

impl Rig {
    pub(crate) fn new(target: Target, seed: u64) -> Self {
        Self { target, mutator: Mutator::new(seed, target.words) }
    }

    /// Replays the corpus, then makes inputs of it until the time is up.
    pub(crate) fn run(mut self, corpus: &Path, time: Duration) -> Result<Report, Failure> {
        let folder = corpus.join(self.target.name);
        let mut inputs = read_folder(&folder);
        let replayed = inputs.len();
        let mut report = Report { replayed, executions: 0, slowest: Duration::ZERO };
        for input in &inputs {
            report.slowest = report.slowest.max(once(&self.target, input)?);
            report.executions += 1;
        }
        inputs.retain(|input| input.len() <= LENGTH_MAX);
        inputs.push(Vec::new());
        let until = Instant::now() + time;
        while Instant::now() < until {
            for _ in 0..64 {
                let input = self.mutator.input(&inputs, LENGTH_MAX);
                report.slowest = report.slowest.max(once(&self.target, &input)?);
                report.executions += 1;
            }
        }
        Ok(report)
    }
}

/// The files of a folder, sorted by name; none where there is no folder.
fn read_folder(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}
