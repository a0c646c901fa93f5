//! What commands print: data on standard output, talk on standard error, nothing that could steer a terminal.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use crate::exit::{Done, Exit, Failure};

const GOOD: &str = "\u{1b}[32m";
const BAD: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// How a command prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// One JSON document instead of text.
    pub(crate) json: bool,
    /// Tab-separated lines without a head instead of tables.
    pub(crate) plain: bool,
    /// No talk.
    pub(crate) quiet: bool,
    /// Escape sequences for emphasis.
    pub(crate) color: bool,
}

/// Whether to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal that has it.
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

impl Color {
    /// What it comes to: the flag, then `NO_COLOR`, `CLICOLOR_FORCE`, `TERM`, then whether it is a terminal.
    pub(crate) fn decided(self) -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set("NO_COLOR") => false,
            Self::Auto if set("CLICOLOR_FORCE") => true,
            Self::Auto => {
                let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
                !dumb && io::stdout().is_terminal()
            }
        }
    }
}

impl Output {
    /// Prints data.
    #[expect(clippy::unused_self, reason = "all printing goes through one value")]
    pub(crate) fn data(self, text: &str) -> Done {
        written(io::stdout().lock().write_all(text.as_bytes()))
    }

    /// Prints a line of data.
    pub(crate) fn line(self, text: &str) -> Done {
        self.data(&format!("{}\n", escaped(text)))
    }

    /// Prints data as one JSON document.
    pub(crate) fn json(self, value: &Value) -> Done {
        self.data(&format!("{value:#}\n"))
    }

    /// Prints the JSON form, or what `text` makes.
    pub(crate) fn either(self, value: &Value, text: impl FnOnce() -> Done) -> Done {
        if self.json { self.json(value) } else { text() }
    }

    /// Prints rows: a table for people, tab-separated lines for `--plain`.
    pub(crate) fn table(self, head: &[&str], rows: &[Vec<String>], numbers: &[usize]) -> Done {
        if self.plain {
            let lines = rows.iter().map(|row| {
                let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
                cells.join("\t") + "\n"
            });
            return self.data(&lines.collect::<String>());
        }
        let head: Vec<String> = head.iter().map(|it| (*it).to_owned()).collect();
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
        let all = || std::iter::once(&head).chain(&rows);
        let width = |at: usize| all().map(|row| row.get(at).map_or(0, |it| shown_width(it))).max();
        let widths: Vec<usize> = (0..head.len()).map(|at| width(at).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in all() {
            let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
                let gap = " ".repeat(width - shown_width(cell));
                if numbers.contains(&at) { gap + cell } else { cell.clone() + &gap }
            });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        self.data(&text)
    }

    /// Says something to the person in front of the screen.
    pub(crate) fn say(self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }

    /// Marks a word as good (green) or bad (red), where colour is wanted. It only adds to what the word says.
    pub(crate) fn mark(self, word: &str, good: bool) -> String {
        match (self.color, good) {
            (false, _) => word.into(),
            (true, true) => format!("{GOOD}{word}{PLAIN}"),
            (true, false) => format!("{BAD}{word}{PLAIN}"),
        }
    }
}

/// Says something on standard error. A closed standard error is nothing to fail over.
pub(crate) fn complain(text: &str) {
    let mut line: String = text.lines().map(|line| escaped(line) + "\n").collect();
    if line.is_empty() {
        line.push('\n');
    }
    drop(io::stderr().lock().write_all(line.as_bytes()));
}

/// A reader that has seen enough (`| head`) closes the pipe: that is success.
fn written(result: io::Result<()>) -> Done {
    match result.and_then(|()| io::stdout().lock().flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(Exit::Failed, format!("can't write the output: {error}"))),
    }
}

/// A cell without control characters, but with the escape sequences that [`Output::mark`] made.
fn clean(cell: &str) -> String {
    match cell
        .strip_prefix(GOOD)
        .or_else(|| cell.strip_prefix(BAD))
        .and_then(|it| it.strip_suffix(PLAIN))
    {
        Some(word) => cell.replacen(word, &escaped(word), 1),
        None => escaped(cell),
    }
}

/// Columns a cell takes; escape sequences take none.
fn shown_width(cell: &str) -> usize {
    let marked = cell.starts_with(GOOD) || cell.starts_with(BAD);
    cell.chars().count() - if marked { GOOD.len() + PLAIN.len() } else { 0 }
}

/// Without control characters, which names and errors from elsewhere could hold.
pub(crate) fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\t' || is_bidi(c) { '\u{fffd}' } else { c })
        .collect()
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
