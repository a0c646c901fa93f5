//! What commands print: data on standard output, talk on standard error, nothing that could steer a terminal.

use std::io::{self, IsTerminal as _, Write as _};

use serde_json::Value;

use crate::exit::{Done, Exit, Failure};
use crate::jq;

const GOOD: &str = "\u{1b}[32m";
const BAD: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// How data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Tables and sentences.
    Text,
    /// Tab-separated lines without a head.
    Plain,
    /// One JSON document.
    Json,
    /// One JSON value a line: a list's rows, or the whole document.
    Jsonl,
}

/// How a command prints.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// How data is written.
    pub(crate) form: Form,
    /// A jq expression that JSON goes through first.
    pub(crate) jq: Option<String>,
    /// No talk.
    pub(crate) quiet: bool,
    /// Escape sequences for emphasis.
    pub(crate) color: bool,
}

/// Whether to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal that has it.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

impl Color {
    /// What it comes to: the flag, then `NO_COLOR`, `CLICOLOR_FORCE`, `TERM`, then whether it is a terminal.
    pub(crate) fn decided(self, terminal: bool) -> bool {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let forced = std::env::var_os("CLICOLOR_FORCE");
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto if set("NO_COLOR") => false,
            Self::Auto if forced.is_some_and(|it| !it.is_empty() && it != "0") => true,
            Self::Auto => {
                let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
                !dumb && terminal
            }
        }
    }
}

impl Output {
    /// Whether a program reads: JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.form, Form::Json | Form::Jsonl)
    }

    /// Prints data as it is: the caller made sure that it holds nothing but text of ours.
    #[expect(clippy::unused_self, reason = "all printing goes through one value")]
    pub(crate) fn data(&self, text: &str) -> Done {
        written(io::stdout().lock().write_all(text.as_bytes()))
    }

    /// Prints a line of data.
    pub(crate) fn line(&self, text: &str) -> Done {
        self.data(&format!("{}\n", escaped(text)))
    }

    /// Prints text of several lines that came from elsewhere.
    pub(crate) fn lines(&self, text: &str) -> Done {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// Prints a piece of a text that came from elsewhere and may go on.
    pub(crate) fn piece(&self, text: &str) -> Done {
        let lines: Vec<String> = text.split('\n').map(escaped).collect();
        self.data(&lines.join("\n"))
    }

    /// Prints data as one JSON document, or on one line for `--jsonl`.
    pub(crate) fn json(&self, value: &Value) -> Done {
        if let Some(filter) = &self.jq {
            return jq::apply(filter, value)?.iter().try_for_each(|text| self.filtered(text));
        }
        let text = if self.form == Form::Jsonl { value.to_string() } else { format!("{value:#}") };
        self.data(&(escaped_json(&text) + "\n"))
    }

    /// Prints a JSON text that is written already.
    pub(crate) fn json_text(&self, text: &str) -> Done {
        self.data(&escaped_json(text))
    }

    /// A result of a filter: a text as it is, so that shells can use it; anything else as JSON.
    fn filtered(&self, text: &str) -> Done {
        match serde_json::from_str::<String>(text) {
            Ok(text) => self.lines(&text),
            Err(_) => self.data(&(escaped_json(text) + "\n")),
        }
    }

    /// Prints the JSON form, or what `text` makes.
    pub(crate) fn either(&self, value: &Value, text: impl FnOnce() -> Done) -> Done {
        if self.is_json() { self.json(value) } else { text() }
    }

    /// Like [`Output::either`] for a document whose rows lie under `rows`: `--jsonl` prints those, one a line.
    pub(crate) fn listing(&self, value: &Value, rows: &str, text: impl FnOnce() -> Done) -> Done {
        match (self.form, value[rows].as_array()) {
            (Form::Jsonl, Some(rows)) => rows.iter().try_for_each(|row| self.json(row)),
            _ => self.either(value, text),
        }
    }

    /// Prints rows: a table for people, tab-separated lines for `--plain`.
    pub(crate) fn table(&self, head: &[&str], rows: &[Vec<String>], numbers: &[usize]) -> Done {
        if self.form == Form::Plain {
            let lines = rows.iter().map(|row| {
                let cells: Vec<String> = row.iter().map(|cell| one_cell(cell)).collect();
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
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }

    /// Prints a line that begins with a marked word.
    pub(crate) fn verdict(&self, word: &str, good: bool, rest: &str) -> Done {
        self.data(&format!("{}{}\n", self.mark(word, good), escaped(rest)))
    }

    /// Marks a word as good (green) or bad (red), where colour is wanted. It only adds to what the word says.
    pub(crate) fn mark(&self, word: &str, good: bool) -> String {
        match (self.color && self.form == Form::Text, good) {
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

/// Whether somebody can be asked: both the question and the answer have a terminal.
pub(crate) fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks; only a yes is a yes.
pub(crate) fn ask(question: &str) -> bool {
    drop(write!(io::stderr().lock(), "{} [y/N] ", escaped(question)));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
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
    for colour in [GOOD, BAD] {
        let word = cell.strip_prefix(colour).and_then(|it| it.strip_suffix(PLAIN));
        if let Some(word) = word {
            return format!("{colour}{}{PLAIN}", one_cell(word));
        }
    }
    one_cell(cell)
}

/// Columns a cell takes; escape sequences take none.
fn shown_width(cell: &str) -> usize {
    let marked = cell.starts_with(GOOD) || cell.starts_with(BAD);
    cell.chars().count() - if marked { GOOD.len() + PLAIN.len() } else { 0 }
}

/// A cell on one line, without what separates cells.
fn one_cell(text: &str) -> String {
    escaped(text).replace('\t', "\\t")
}

/// With what could steer a terminal written out: names and errors from elsewhere could hold it.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && c != '\t' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The same for JSON, in its own spelling: the value stays what it is.
fn escaped_json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && !matches!(c, '\n' | '\t') {
            let code = format!("\\u{:04x}", u32::from(c));
            shown.push_str(&code);
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters of both kinds, and what changes the direction of text or hides in it.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        assert_eq!(
            escaped("a\u{1b}[2Jb\u{9b}1m\u{202e}c\r\n"),
            "a\\u{1b}[2Jb\\u{9b}1m\\u{202e}c\\r\\n"
        );
        let value = Value::from("\u{9b}31m\u{7f}é");
        let shown = escaped_json(&value.to_string());
        assert_eq!(shown, "\"\\u009b31m\\u007fé\"");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_marked_cell_keeps_its_own_marks_only() {
        assert_eq!(clean(&format!("{GOOD}o\u{1b}k{PLAIN}")), format!("{GOOD}o\\u{{1b}}k{PLAIN}"));
        assert_eq!(clean("a\tb"), "a\\tb");
    }
}
