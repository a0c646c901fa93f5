//! A problem of the configuration, with its place, and how it is shown.

/// How grave a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is accepted; a person should look.
    Warning,
}

/// One problem of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// `E0102`; `outrigger explain` knows it.
    pub code: &'static str,
    /// Whether it is fatal.
    pub severity: Severity,
    /// What is wrong, as a lowercase fragment without a final dot.
    pub message: String,
    /// File, or environment variable, it is in.
    pub file: String,
    /// Line, from 1; 0 when it is not in a file.
    pub line: usize,
    /// Column in characters, from 1; 0 when it is not in a file.
    pub column: usize,
    /// Width of the marked text in characters, at least 1.
    pub width: usize,
    /// Said beside the mark.
    pub help: Option<String>,
    /// What to write instead, where that is known.
    pub suggestion: Option<String>,
}
