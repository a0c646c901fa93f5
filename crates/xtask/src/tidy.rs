//! Rules about the repository that no compiler checks.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::cargo::cargo;
use crate::edges::{BANNED, BANNED_DIRECT, EDGES, IMPURE, PURE, TEST_EDGES};
use crate::links;
use crate::matrix;
use crate::report::{Outcome, Tally};
use crate::tools;

/// All tidy checks, each a step.
pub(crate) fn all(tally: &mut Tally) {
    tally.step("tidy: crate edges", || {
        let metadata = metadata()?;
        Ok(verdict(&edges(&metadata)))
    });
    tally.step("tidy: banned crates", || {
        let metadata = metadata()?;
        Ok(verdict(&banned(&metadata)?))
    });
    tally.step("tidy: unused dependencies", || {
        let metadata = metadata()?;
        Ok(verdict(&unused(&metadata)?))
    });
    tally.step("tidy: words and paths", || Ok(verdict(&words()?)));
    tally.step("tidy: Markdown", || Ok(verdict(&links::markdown()?)));
    tally.step("tidy: the README's matrix", || Ok(verdict(&matrix::faults()?)));
    tally.step("tidy: examples are used", || Ok(verdict(&links::examples()?)));
}

fn verdict(faults: &[String]) -> Outcome {
    if faults.is_empty() { Outcome::Pass(String::new()) } else { Outcome::Fail(faults.join("\n")) }
}

fn metadata() -> Result<Value> {
    let text = tools::output(cargo().args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--all-features",
    ]))?;
    serde_json::from_str(&text).context("cargo metadata")
}

fn list<'a>(v: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    v.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(v: &'a Value, key: &str) -> &'a str {
    v.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn members(metadata: &Value) -> Vec<&Value> {
    let ids: BTreeSet<&str> =
        list(metadata, "workspace_members").filter_map(Value::as_str).collect();
    list(metadata, "packages").filter(|p| ids.contains(text(p, "id"))).collect()
}

/// A dependency that goes into the product, not only into tests or build scripts.
fn ships(dependency: &Value) -> bool {
    dependency.get("kind").is_none_or(Value::is_null)
}

fn edges(metadata: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let members = members(metadata);
    let ours: BTreeSet<&str> = members.iter().map(|p| text(p, "name")).collect();
    for package in &members {
        let name = text(package, "name");
        let Some((_, allowed)) = EDGES.iter().find(|(n, _)| *n == name) else {
            faults.push(format!(
                "{name}: not in the table of crates/xtask/src/edges.rs; say what it may use"
            ));
            continue;
        };
        for dependency in list(package, "dependencies") {
            let to = text(dependency, "name");
            let in_tests = !ships(dependency) && TEST_EDGES.contains(&(name, to));
            if ours.contains(to) && !allowed.contains(&to) && !in_tests {
                faults.push(format!("{name} must not depend on {to} (crates/xtask/src/edges.rs)"));
            }
            if PURE.contains(&name) && ships(dependency) && IMPURE.contains(&to) {
                faults.push(format!("{name} is pure and must not depend on {to}"));
            }
        }
    }
    faults
}

fn banned(metadata: &Value) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    // Not from the metadata: that also lists crates that only a feature nobody turns on would bring.
    let tree = tools::output(cargo().args([
        "tree",
        "--workspace",
        "--all-features",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--locked",
    ]))?;
    let names: BTreeSet<&str> = tree.lines().filter_map(|l| l.split(' ').next()).collect();
    for name in BANNED.iter().filter(|n| names.contains(*n)) {
        faults.push(format!("{name} is in the dependency tree and is banned"));
    }
    for package in members(metadata) {
        for dependency in list(package, "dependencies") {
            let to = text(dependency, "name");
            if BANNED_DIRECT.contains(&to) {
                faults.push(format!(
                    "{} depends on {to}, which is banned as a direct dependency",
                    text(package, "name")
                ));
            }
        }
    }
    Ok(faults)
}

/// Dependencies that are declared and not named in any source of the crate.
fn unused(metadata: &Value) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for package in members(metadata) {
        let manifest = Path::new(text(package, "manifest_path"));
        let Some(folder) = manifest.parent() else { continue };
        let mut source = String::new();
        rust_sources(folder, &mut source)?;
        for dependency in list(package, "dependencies") {
            let name = dependency
                .get("rename")
                .and_then(Value::as_str)
                .unwrap_or(text(dependency, "name"));
            if !source.contains(&name.replace('-', "_")) {
                faults
                    .push(format!("{}: the dependency {name} is not used", text(package, "name")));
            }
        }
    }
    Ok(faults)
}

fn rust_sources(folder: &Path, out: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            rust_sources(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// Words that must not be in a committed file, put together here so that this file does not hold them itself.
fn forbidden() -> Vec<(String, &'static str)> {
    let mut out = Vec::new();
    for folder in ["root", "work"] {
        out.push((format!("/{folder}/"), "a path of one machine"));
    }
    for host in ["registry.npmjs", "pypi", "files.pythonhosted", "deb.debian"] {
        out.push((format!("{host}.org"), "a registry's host"));
    }
    for mark in ["TO", "FIX"] {
        let word = if mark == "TO" { "DO" } else { "ME" };
        out.push((format!("{mark}{word}:"), "an unfinished mark"));
        out.push((format!("{mark}{word}("), "an unfinished mark"));
    }
    out
}

fn words() -> Result<Vec<String>> {
    let forbidden = forbidden();
    let mut faults = Vec::new();
    for file in tools::tracked()? {
        if file == "Cargo.lock" {
            continue;
        }
        let Ok(content) = std::fs::read_to_string(tools::root().join(&file)) else { continue };
        for (at, line) in content.lines().enumerate() {
            for (word, what) in &forbidden {
                if line.contains(word.as_str()) && !inside_longer_path(line, word) {
                    faults.push(format!("{file}:{}: {word} is {what}", at + 1));
                }
            }
        }
    }
    Ok(faults)
}

/// A folder of that name may be the middle of a URL or of a relative path: only a path that starts there is a machine's.
fn inside_longer_path(line: &str, word: &str) -> bool {
    word.starts_with('/')
        && line.match_indices(word).all(|(at, _)| {
            let before = line.get(..at).and_then(|b| b.chars().next_back());
            before.is_some_and(|c| c.is_alphanumeric() || "._-*}".contains(c))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_path_is_told_from_a_part_of_another() {
        let word = format!("/{}/", "root");
        assert!(!inside_longer_path(&format!("see {word}x"), &word));
        assert!(inside_longer_path(&format!("https://example.com{word}x"), &word));
    }
}
