//! Developer commands: `cargo xtask test`, `bench` and `matrix`.
//!
//! Light on purpose (two small dependencies), because everything else waits until it is built.

mod bench;
mod cargo;
mod edges;
mod fuzz;
mod gateway;
mod install;
mod links;
mod matrix;
mod readme;
mod report;
mod sdk;
mod suites;
mod system;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

const HELP: &str = "cargo xtask test [--long] [--only NAME[,NAME]]
  runs every test, installing by itself what the tests need
  --long   the full figures instead of the quick ones
  --only   one or several of: fmt, clippy, tidy, unit, fuzz, readme, sdk, and the scripts of tests/system (kills, ...)
cargo xtask bench [--quick] [--only NAME[,NAME]] [--write]
  measures the gateway beside others; --help tells the rest
cargo xtask matrix [--write]
  what the SDK suites passed in their last run, or puts that into the README
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.split_first() {
        Some((&"test", rest)) => test::run(rest),
        Some((&"bench", rest)) => bench::run(rest),
        Some((&"matrix", rest)) => matrix::run(rest),
        _ => {
            report::complain(HELP);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            report::complain(&format!("xtask: {e:#}\n"));
            ExitCode::FAILURE
        }
    }
}
