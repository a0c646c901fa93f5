//! How a problem is shown: as text with the line and a caret, and as JSON.

use serde_json::{Value, json};

use crate::{Diagnostic, Severity};

/// A problem as text, in several lines, the last one ended. `source` is the text of the file it is in.
///
/// ```text
/// error[E0102]: unknown key `num_retires` in `routing.retries`
///   ┌ outrigger.yaml:42:5
/// 42 │     num_retires: 3
///    │     ^^^^^^^^^^^ did you mean `max`?
///    = help: outrigger explain E0102
/// ```
pub fn render(problem: &Diagnostic, source: &str) -> String {
    let mut out = String::new();
    let word = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let help = problem.help.as_deref().unwrap_or_default();
    let mut line = |text: String| out.push_str(&text);
    line(format!("{word}[{}]: {}\n", problem.code, escaped(&problem.message)));
    let number = problem.line.to_string();
    let pad = " ".repeat(number.len());
    if problem.line == 0 {
        line(format!("{pad} ┌ environment variable {}\n", problem.file));
        if !help.is_empty() {
            line(format!("{pad} │ {}\n", escaped(help)));
        }
    } else {
        let place = format!("{}:{}:{}", problem.file, problem.line, problem.column);
        line(format!("{pad} ┌ {}\n", escaped(&place)));
        let text = source.lines().nth(problem.line.saturating_sub(1)).unwrap_or_default();
        let (text, column) = window(text, problem.column);
        let caret = "^".repeat(problem.width.clamp(1, 60));
        line(format!("{number} │ {text}\n"));
        let indent = " ".repeat(column.saturating_sub(1));
        line(format!("{pad} │ {}\n", format!("{indent}{caret} {}", escaped(help)).trim_end()));
    }
    line(format!("{pad} = help: outrigger explain {}\n", problem.code));
    out
}

/// At most 120 characters around the column, without control characters; tabs as one space.
fn window(text: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 120;
    let skip = column.saturating_sub(WIDTH - 40);
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    if skip == 0 {
        return (clean.take(WIDTH).collect(), column);
    }
    let shown: String = clean.skip(skip).take(WIDTH - 3).collect();
    (format!("...{shown}"), column - skip + 3)
}

/// Without control characters, which could steer a terminal.
fn escaped(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A problem as JSON. Places count from 1; a variable has none.
pub fn to_json(problem: &Diagnostic) -> Value {
    let in_file = problem.line > 0;
    json!({
        "code": problem.code,
        "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
        "message": problem.message,
        "file": in_file.then_some(&problem.file),
        "variable": (!in_file).then_some(&problem.file),
        "line": in_file.then_some(problem.line),
        "column": in_file.then_some(problem.column),
        "width": in_file.then_some(problem.width),
        "help": problem.help,
        "suggestion": problem.suggestion,
    })
}
