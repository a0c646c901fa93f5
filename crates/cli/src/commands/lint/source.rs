//! What in code ties it to a vendor: plain text, by the rows of `data/lint.tsv`.

use std::path::Path;

use serde_json::{Value, json};

use crate::exit::{Exit, Failure};

const ROWS: &str = include_str!("../../../data/lint.tsv");

/// What is looked at; other files are not code of the kind that calls models.
const ENDINGS: &[&str] = &[
    "py", "ipynb", "js", "jsx", "mjs", "cjs", "ts", "tsx", "go", "java", "kt", "rs", "yaml", "yml",
    "toml", "json", "env", "sh", "rb", "cs", "php",
];
/// Folders that hold other people's code.
const VENDORED: &[&str] =
    &["node_modules", "vendor", "site-packages", "target", "dist", "build", "third_party"];
/// Longer files are data or made by programs.
const FILE_BYTES_MAX: u64 = 2 << 20;

/// A row of the table.
struct Row {
    kind: &'static str,
    ties: bool,
    vendor: &'static str,
    endings: &'static str,
    text: &'static str,
    /// The text may go on.
    open: bool,
    change: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |line: &'static str| {
        let mut cells = line.split('\t');
        let (kind, weight, vendor) = (cells.next()?, cells.next()?, cells.next()?);
        let (endings, text, change) = (cells.next()?, cells.next()?, cells.next()?);
        let (text, open) = text.strip_suffix('*').map_or((text, false), |text| (text, true));
        Some(Row { kind, ties: weight == "ties", vendor, endings, text, open, change })
    };
    ROWS.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

impl Row {
    fn is_for(&self, ending: &str) -> bool {
        self.endings == "*" || self.endings.split(',').any(|it| it == ending)
    }

    /// Whether the line holds the text as a word of its own.
    fn is_in(&self, line: &str) -> bool {
        let joins = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        };
        let text = self.text.as_bytes();
        let bytes = line.as_bytes();
        line.match_indices(self.text).any(|(at, _)| {
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(at + text.len());
            !(joins(text.first()) && joins(before))
                && (self.open || !(joins(text.last()) && joins(after)))
        })
    }
}

/// What stands in the way of another vendor.
pub(super) struct Finding {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) kind: &'static str,
    pub(super) vendor: &'static str,
    pub(super) text: &'static str,
    pub(super) ties: bool,
    pub(super) change: &'static str,
}

impl Finding {
    pub(super) fn to_json(&self) -> Value {
        json!({"from": "code", "file": self.file, "line": self.line, "kind": self.kind, "vendor": self.vendor,
            "text": self.text, "ties": self.ties, "change": self.change})
    }
}

/// Looks through a folder. What git ignores, hidden and vendored folders are passed over.
pub(super) fn scan(dir: &Path) -> Result<Vec<Finding>, Failure> {
    if !dir.exists() {
        return Err(Failure::new(Exit::Usage, format!("there is no folder {}", dir.display())));
    }
    let rows = rows();
    let mut found = Vec::new();
    let ours = |entry: &ignore::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        !entry.file_type().is_some_and(|it| it.is_dir()) || !VENDORED.contains(&&*name)
    };
    let walk = ignore::WalkBuilder::new(dir).require_git(false).filter_entry(ours).build();
    // What can't be read is passed over: a broken link is no reason to tell nothing.
    for entry in walk.filter_map(Result::ok) {
        let path = entry.path();
        let ending = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
        let fits = entry.metadata().is_ok_and(|it| it.is_file() && it.len() <= FILE_BYTES_MAX);
        if !fits || !ENDINGS.contains(&ending) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let file = path.strip_prefix(dir).unwrap_or(path).display().to_string();
        for (at, line) in text.lines().enumerate() {
            let hits = rows.iter().filter(|row| row.is_for(ending) && row.is_in(line));
            found.extend(hits.map(|row| Finding {
                file: file.clone(),
                line: at + 1,
                kind: row.kind,
                vendor: row.vendor,
                text: row.text,
                ties: row.ties,
                change: row.change,
            }));
        }
    }
    found.sort_by(|one, two| (&one.file, one.line, one.kind).cmp(&(&two.file, two.line, two.kind)));
    // Two rows may tell the same of a line.
    found.dedup_by(|one, two| {
        (&one.file, one.line, one.kind, one.vendor) == (&two.file, two.line, two.kind, two.vendor)
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole_and_none_stands_twice() {
        let lines = ROWS.lines().filter(|line| !line.starts_with('#'));
        for line in lines.clone() {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!(cells.len(), 6, "{line}");
            assert!(matches!(cells[1], "ties" | "note"), "{line}");
            let known = |it: &str| it == "*" || ENDINGS.contains(&it);
            assert!(cells[3].split(',').all(known), "{line}");
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
        }
        assert_eq!(rows().len(), lines.count());
        let mut texts: Vec<_> = rows().iter().map(|it| (it.text, it.endings)).collect();
        let count = texts.len();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), count);
    }

    #[test]
    fn a_text_is_a_word_of_its_own() {
        let row = |text: &'static str, open| Row {
            kind: "k",
            ties: true,
            vendor: "v",
            endings: "py,ts",
            text,
            open,
            change: "c",
        };
        assert!(row("top_k", false).is_in("x(top_k=1)"));
        assert!(!row("top_k", false).is_in("stop_k = top_kind"));
        assert!(row("gpt-", true).is_in("m = 'gpt-5'"));
        assert!(row("\"gpt-", true).is_in("\"gpt-5\""));
        assert!(!row("gpt", false).is_in("gpts"));
        assert!(row("x", false).is_for("py") && !row("x", false).is_for("p"));
    }
}
