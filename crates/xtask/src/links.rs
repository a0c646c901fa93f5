//! Documents: links that lead somewhere, one title each, examples that somebody shows.

use std::path::Path;

use anyhow::Result;

use crate::tools;

/// Markdown files outside fixtures: relative links exist, and there is one title.
pub(crate) fn markdown() -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for file in tools::tracked()? {
        if Path::new(&file).extension().is_none_or(|e| e != "md") || file.contains("/fixtures/") {
            continue;
        }
        let path = tools::root().join(&file);
        let text = std::fs::read_to_string(&path)?;
        let mut fenced = false;
        let mut titles = 0;
        for (at, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if fenced {
                continue;
            }
            titles += usize::from(line.starts_with("# "));
            for target in targets(line) {
                let folder = path.parent().unwrap_or(&path);
                let place = target.split('#').next().unwrap_or_default();
                if !place.is_empty() && !folder.join(place).exists() {
                    faults.push(format!("{file}:{}: {target} does not exist", at + 1));
                }
            }
        }
        if titles != 1 {
            faults.push(format!("{file}: {titles} titles instead of one"));
        }
    }
    Ok(faults)
}

/// Relative link targets of a line: `](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|t| {
        let outside = t.contains("://") || t.starts_with("mailto:") || t.starts_with('/');
        !outside && !t.contains(' ')
    })
}

/// Each file below `examples/` is named in some other file.
pub(crate) fn examples() -> Result<Vec<String>> {
    let files = tools::tracked()?;
    let mut faults = Vec::new();
    for example in files.iter().filter(|f| f.starts_with("examples/")) {
        let name = example.rsplit('/').next().unwrap_or(example);
        let named = files.iter().filter(|f| *f != example).any(|f| {
            std::fs::read_to_string(tools::root().join(f)).is_ok_and(|text| text.contains(name))
        });
        if !named {
            faults.push(format!("{example}: nothing names it"));
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_relative_targets_are_followed() {
        let line = "[a](docs/a.md#x), [b](https://example.com), [c](#here), [d](/v1/models)";
        assert_eq!(super::targets(line).collect::<Vec<_>>(), ["docs/a.md#x", "#here"]);
    }
}
