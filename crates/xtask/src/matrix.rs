//! The matrix of the README: what each client's suite passed and skipped at a provider of each dialect, from the last run.
//!
//! `cargo xtask test --only sdk --long` keeps its figures in the cache, and `cargo xtask matrix --write` puts them between
//! the marks of the README. That a row stands there for each suite is checked by `tidy`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::report::{Outcome, say};
use crate::suites::{CLOUDS, PROVIDERS, Provider, SUITES, Suite};
use crate::tools;

const BEGIN: &str = "<!-- matrix: written by `cargo xtask matrix --write` -->";
const END: &str = "<!-- end of the matrix -->";
/// What a table's first two lines begin with.
const HEADING: &str = "| client | ";
const RULE: &str = "| --- |";

/// Tests of one suite at one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) skipped: u64,
}

/// By suite, then by provider.
pub(crate) type Cells = BTreeMap<String, BTreeMap<String, Count>>;

/// The figures in what Python's unittest says at its end, if all went well.
pub(crate) fn of_unittest(text: &str) -> Option<Count> {
    let ran = text.lines().rev().find_map(|line| line.strip_prefix("Ran "))?;
    let ran: u64 = ran.split(' ').next()?.parse().ok()?;
    let verdict = text.lines().rev().find_map(|line| line.strip_prefix("OK"))?;
    let skipped = match verdict.split("skipped=").nth(1) {
        Some(rest) => rest.split([',', ')']).next()?.parse().ok()?,
        None => 0,
    };
    Some(Count { passed: ran.checked_sub(skipped)?, skipped })
}

/// The figures in what Node's test runner says at its end.
pub(crate) fn of_tap(text: &str) -> Option<Count> {
    let figure =
        |name: &str| text.lines().rev().find_map(|line| line.strip_prefix(name)?.parse().ok());
    Some(Count { passed: figure("# pass ")?, skipped: figure("# skipped ")? })
}

fn file() -> PathBuf {
    tools::cache().join("sdk-results.json")
}

/// Keeps the figures of a run; those of earlier runs stay where this one has none.
pub(crate) fn keep(cells: &Cells) -> Result<Outcome> {
    let mut all = read().unwrap_or_default();
    for (suite, row) in cells {
        all.entry(suite.clone()).or_default().extend(row.clone());
    }
    let rows = all.into_iter().map(|(suite, row)| {
        let row = row.into_iter().map(|(provider, it)| (provider, json!([it.passed, it.skipped])));
        (suite, Value::Object(row.collect()))
    });
    std::fs::write(file(), serde_json::to_vec(&Value::Object(rows.collect()))?)?;
    Ok(Outcome::Pass(String::new()))
}

fn read() -> Result<Cells> {
    let text = std::fs::read(file()).context(
        "there are no figures of a run yet: cargo xtask test --only sdk --long leaves some",
    )?;
    let all: BTreeMap<String, BTreeMap<String, (u64, u64)>> = serde_json::from_slice(&text)?;
    let row = |row: BTreeMap<String, (u64, u64)>| {
        row.into_iter().map(|(it, (passed, skipped))| (it, Count { passed, skipped })).collect()
    };
    Ok(all.into_iter().map(|(suite, cells)| (suite, row(cells))).collect())
}

/// `cargo xtask matrix [--write]`: shows the matrix of the last run, or puts it into the README.
pub(crate) fn run(args: &[&str]) -> Result<bool> {
    let cells = read()?;
    let at_clouds: Vec<Suite> = SUITES.into_iter().filter(|it| !it.clouds.is_empty()).collect();
    let matrix =
        format!("{}\n{}", table(&cells, &PROVIDERS, &SUITES), table(&cells, &CLOUDS, &at_clouds));
    match args {
        [] => say(&matrix),
        ["--write"] => {
            let path = tools::root().join("README.md");
            let text = std::fs::read_to_string(&path)?;
            let (before, _, after) = parts(&text)?;
            std::fs::write(path, format!("{before}{BEGIN}\n{matrix}{END}{after}"))?;
        }
        _ => bail!("matrix takes --write and nothing else"),
    }
    Ok(true)
}

/// What stands before, between and after the marks.
fn parts(text: &str) -> Result<(&str, &str, &str)> {
    let (before, rest) = text.split_once(BEGIN).context("README.md: no mark of the matrix")?;
    let (inside, after) = rest.split_once(END).context("README.md: the matrix has no end")?;
    Ok((before, inside, after))
}

fn table(cells: &Cells, providers: &[Provider], suites: &[Suite]) -> String {
    let columns: Vec<&str> = providers.iter().map(|it| it.column).collect();
    let mut lines = vec![
        format!("{HEADING}{} |", columns.join(" | ")),
        format!("{RULE}{}", " ---: |".repeat(providers.len())),
    ];
    for suite in suites {
        let row = cells.get(suite.file);
        let figure = |it: &Provider| match row.and_then(|row| row.get(it.name)) {
            Some(Count { passed, skipped: 0 }) => passed.to_string(),
            Some(Count { passed, skipped }) => format!("{passed} + {skipped}"),
            None => String::new(),
        };
        let figures: Vec<String> = providers.iter().map(figure).collect();
        lines.push(format!("{} {} |", head(suite), figures.join(" | ")));
    }
    lines.join("\n") + "\n"
}

fn head(suite: &Suite) -> String {
    format!("| {} |", suite.title)
}

/// Rows that the README has and no suite, or the other way round; suites that have no file, and files that no suite names.
pub(crate) fn faults() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(tools::root().join("README.md"))?;
    let (_, inside, _) = parts(&text)?;
    let is_row = |line: &&str| {
        line.starts_with('|') && !line.starts_with(HEADING) && !line.starts_with(RULE)
    };
    let rows: Vec<&str> = inside.lines().filter(is_row).collect();
    let heads: Vec<String> = SUITES.iter().map(head).collect();
    let again = "cargo xtask test --only sdk --long; cargo xtask matrix --write";
    let mut faults = Vec::new();
    for suite in heads.iter().filter(|it| !rows.iter().any(|row| row.starts_with(it.as_str()))) {
        faults.push(format!("README.md: the matrix has no row {suite}: {again}"));
    }
    for row in rows.iter().filter(|row| !heads.iter().any(|it| row.starts_with(it.as_str()))) {
        faults.push(format!("README.md: no suite is behind the row {row}: {again}"));
    }
    let known: Vec<&str> = SUITES.iter().map(|suite| suite.file).collect();
    for path in tools::tracked()? {
        let Some(name) = path.strip_prefix("tests/sdk/").and_then(|it| it.split_once('/')) else {
            continue;
        };
        let name = name.1.strip_suffix(".py").unwrap_or(name.1);
        let is_suite = name.starts_with("test_") || name.ends_with(".test.mjs");
        if is_suite && !known.contains(&name) {
            faults.push(format!("{path}: not in crates/xtask/src/suites.rs, so nothing runs it"));
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::{Count, of_tap, of_unittest};

    #[test]
    fn figures_are_read_from_what_the_runners_say() {
        let count = |passed, skipped| Some(Count { passed, skipped });
        assert_eq!(of_unittest("...\nRan 35 tests in 3.8s\n\nOK (skipped=4)\n"), count(31, 4));
        assert_eq!(of_unittest("Ran 1 test in 0.1s\n\nOK\n"), count(1, 0));
        assert_eq!(of_unittest("Ran 35 tests in 3.8s\n\nFAILED (errors=2)\n"), None);
        assert_eq!(of_tap("# tests 5\n# pass 4\n# fail 0\n# skipped 1\n"), count(4, 1));
        assert_eq!(of_tap("not ok"), None);
    }
}
