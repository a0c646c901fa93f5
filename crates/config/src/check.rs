//! Walks the tree along the description and collects every problem of form: keys, shapes, scalars.
//!
//! After it each reader may take a value for granted or find it absent, and reports only what concerns
//! several values at once.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Severity};
use crate::spec::{Field, KeyForm, Kind, Need, Scalar};
use crate::suggest;
use crate::tree::{Node, Place, Value};
use crate::units::{CALLS_MAX, Refused};

/// Where problems are gathered.
pub(crate) struct Problems<'a> {
    file: &'a str,
    found: Vec<Diagnostic>,
}

/// A problem before it knows its file.
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    pub(crate) suggestion: Option<String>,
}

impl Problem {
    /// A problem with nothing to say beside it.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, suggestion: None }
    }

    /// Says something beside the mark.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to write instead, in the help too unless it says something else already.
    pub(crate) fn instead(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        if let (Some(suggestion), None) = (&self.suggestion, &self.help) {
            self.help = Some(format!("did you mean `{suggestion}`?"));
        }
        self
    }
}

impl<'a> Problems<'a> {
    /// None yet.
    pub(crate) fn new(file: &'a str) -> Self {
        Self { file, found: Vec::new() }
    }

    /// An error at a place.
    pub(crate) fn error(&mut self, place: &Place, problem: Problem) {
        self.push(place, Severity::Error, problem);
    }

    /// A warning at a place.
    pub(crate) fn warning(&mut self, place: &Place, problem: Problem) {
        self.push(place, Severity::Warning, problem);
    }

    fn push(&mut self, place: &Place, severity: Severity, problem: Problem) {
        self.found.push(Diagnostic {
            code: problem.code,
            severity,
            message: problem.message,
            file: place.variable.clone().unwrap_or_else(|| self.file.into()),
            line: place.line,
            column: place.column,
            width: place.width,
            help: problem.help,
            suggestion: problem.suggestion,
        });
    }

    /// All of them in the file's order, those of variables last.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|it| (it.line == 0, it.line, it.column, it.code));
        self.found
    }
}

/// Checks `node` against `kind`. `path` names the place in messages; it is empty at the top.
pub(crate) fn check(node: &Node, kind: &Kind, path: &str, problems: &mut Problems<'_>) {
    match (kind, &node.value) {
        (Kind::OneOf(kinds), _) => match kinds.iter().find(|it| fits(it, node)) {
            Some(kind) => check(node, kind, path, problems),
            None => wrong_shape(node, kind, path, problems),
        },
        (Kind::Word(words), Value::Scalar { text, .. }) => word(node, text, words, path, problems),
        (Kind::Scalar(form), Value::Scalar { text, quoted }) => {
            scalar(node, text, *quoted, *form, path, problems);
        }
        (Kind::List(kind), Value::List(items)) => {
            for (at, item) in items.iter().enumerate() {
                check(item, kind, &format!("{path}[{at}]"), problems);
            }
        }
        (Kind::Map(form, kind), Value::Map(_)) => map(node, *form, kind, path, problems),
        (Kind::Section(fields), Value::Map(_)) => section(node, fields, path, problems),
        // An empty section is one in which everything has its default.
        (Kind::Section(fields), Value::Null) => missing_keys(node, fields, path, problems),
        (_, Value::Null) => {
            let message = format!("`{}` has no value", shown(path));
            problems.error(&node.place, Problem::new("E0103", message).help(expected(kind)));
        }
        _ => wrong_shape(node, kind, path, problems),
    }
}

/// Whether the node has the shape the kind asks for.
fn fits(kind: &Kind, node: &Node) -> bool {
    match (kind, &node.value) {
        (Kind::Word(_) | Kind::Scalar(_), Value::Scalar { .. })
        | (Kind::List(_), Value::List(_))
        | (Kind::Map(..) | Kind::Section(_), Value::Map(_))
        | (Kind::Section(_), Value::Null) => true,
        (Kind::OneOf(kinds), _) => kinds.iter().any(|it| fits(it, node)),
        _ => false,
    }
}

fn wrong_shape(node: &Node, kind: &Kind, path: &str, problems: &mut Problems<'_>) {
    let message = format!("`{}` is {}", shown(path), node.shape());
    problems.error(&node.place, Problem::new("E0103", message).help(expected(kind)));
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the file" } else { path }
}

/// What should stand there, for a person.
fn expected(kind: &Kind) -> String {
    format!("expected {}", described(kind))
}

fn described(kind: &Kind) -> String {
    match kind {
        Kind::Word(words) => one_of(words),
        Kind::Scalar(form) => {
            let form = form.form();
            format!("{}, such as {}", form.noun, form.examples)
        }
        Kind::List(_) => "a list, such as `[a, b]`".into(),
        Kind::Map(KeyForm::Offer, _) => "a mapping of offers, such as `provider/model: ...`".into(),
        Kind::Map(KeyForm::Name | KeyForm::Header, _) => "a mapping of names".into(),
        Kind::Section(fields) => {
            let names: Vec<_> = fields.iter().map(|field| field.name).collect();
            format!("a mapping with {}", one_of(&names))
        }
        Kind::OneOf(kinds) => kinds.iter().map(described).collect::<Vec<_>>().join(", or "),
    }
}

/// "`a`, `b` or `c`".
pub(crate) fn one_of<T: AsRef<str>>(words: &[T]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".into(),
    }
}

/// What YAML 1.1 takes for a truth value and YAML 1.2 for text.
fn ambiguous(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" => Some(true),
        "no" | "off" | "n" => Some(false),
        // YAML 1.2 itself allows these, but one spelling is enough.
        "true" if text != "true" => Some(true),
        "false" if text != "false" => Some(false),
        _ => None,
    }
}

fn word(node: &Node, text: &str, words: &[&str], path: &str, problems: &mut Problems<'_>) {
    if words.contains(&text) {
        return;
    }
    let message = format!("`{}` is not a value of `{path}`", clipped(text));
    let near = suggest::nearest(text, words.iter().copied());
    let mut problem = Problem::new("E0108", message).instead(near);
    let choice = format!("expected {}", one_of(words));
    problem.help = Some(match problem.help {
        Some(help) => format!("{help}  ({choice})"),
        None => choice,
    });
    problems.error(&node.place, problem);
}

fn scalar(
    node: &Node,
    text: &str,
    quoted: bool,
    form: Scalar,
    path: &str,
    problems: &mut Problems<'_>,
) {
    if let (false, Some(truth)) = (quoted, ambiguous(text)) {
        let said = format!("`{text}` means different things to different YAML readers");
        let problem = Problem::new("E0106", said);
        problems.error(
            &node.place,
            match form {
                Scalar::Bool => problem.instead(Some(truth.to_string())),
                _ => problem.help(format!("write `\"{text}\"` if the text is meant")),
            },
        );
        return;
    }
    let Err(refused) = form.check(text) else { return };
    let described = described(&Kind::Scalar(form));
    let secret = form == Scalar::Secret;
    let typed = if secret { "this".into() } else { format!("`{}`", clipped(text)) };
    let problem = match refused {
        Refused::UnitMissing => {
            let unit = form.form().units.first().copied().unwrap_or_default();
            let whole = format!("{text}{unit}");
            Problem::new("E0105", format!("{typed} has no unit"))
                .help(format!("`{path}` is {described}"))
                .instead(form.check(&whole).is_ok().then_some(whole))
        }
        Refused::OutOfRange => {
            Problem::new("E0109", format!("{typed} is out of range for `{path}`"))
                .help(range_of(form))
        }
        Refused::Malformed => {
            let near = if secret { None } else { nearest_value(text, form) };
            let asked =
                near.as_ref().map_or_else(String::new, |near| format!("did you mean `{near}`?  "));
            Problem::new("E0104", format!("{typed} is not {}", form.form().noun))
                .help(format!("{asked}`{path}` is {described}"))
                .instead(near)
        }
    };
    problems.error(&node.place, problem);
}

fn range_of(form: Scalar) -> String {
    match form {
        Scalar::Integer { min, max } if min == max => format!("it is {min}"),
        Scalar::Integer { min, max } => format!("it is {min} to {max}"),
        Scalar::Percent => "it is 0% to 100%".into(),
        Scalar::Calls => format!("it is 1 to {CALLS_MAX} calls"),
        Scalar::Duration => "it is more than nothing and at most a century".into(),
        Scalar::Count | Scalar::Rate => "it is more than nothing".into(),
        _ => "it is too small or too large".into(),
    }
}

/// `10mins` was meant as `10min`, `Europe/Berlni` as `Europe/Berlin`.
fn nearest_value(text: &str, form: Scalar) -> Option<String> {
    if form == Scalar::Zone {
        let names = limits::windows::Zone::names();
        return suggest::nearest(text, names.iter().map(String::as_str)).map(Into::into);
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at_checked(end)?;
    let units = form.form().units.iter().copied().filter(|it| !it.is_empty());
    let near = suggest::nearest(unit, units.clone())
        .or_else(|| units.into_iter().find(|it| unit.trim().starts_with(it.trim())))?;
    let whole = format!("{number}{near}");
    form.check(&whole).is_ok().then_some(whole)
}

fn clipped(text: &str) -> String {
    let shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().count() > 60 { format!("{shown}...") } else { shown }
}

fn map(node: &Node, form: KeyForm, kind: &Kind, path: &str, problems: &mut Problems<'_>) {
    repeated_keys(node, path, problems);
    for entry in node.entries() {
        let (legal, noun) = match form {
            KeyForm::Name => (Scalar::Name.check(&entry.key).is_ok(), Scalar::Name.form().noun),
            KeyForm::Offer => {
                (Scalar::Offer.check(&entry.key).is_ok(), "an offer, `provider/model`")
            }
            KeyForm::Header => (header_name(&entry.key), "a header name"),
        };
        if !legal {
            let message = format!("`{}` is not {noun}", clipped(&entry.key));
            problems.error(&entry.key_place, Problem::new("E0110", message));
        }
        check(&entry.value, kind, &joined(path, &entry.key), problems);
    }
}

fn header_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// `a.b`, or `b` at the top.
pub(crate) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

fn section(node: &Node, fields: &[Field], path: &str, problems: &mut Problems<'_>) {
    repeated_keys(node, path, problems);
    for entry in node.entries() {
        match fields.iter().find(|field| field.name == entry.key) {
            // A key with nothing after it is as good as absent for what may be absent and is a section.
            Some(field) => check(&entry.value, &field.kind, &joined(path, field.name), problems),
            None => unknown_key(&entry.key, &entry.key_place, fields, path, problems),
        }
    }
    missing_keys(node, fields, path, problems);
}

fn missing_keys(node: &Node, fields: &[Field], path: &str, problems: &mut Problems<'_>) {
    for field in fields {
        let given = node.entries().iter().any(|entry| entry.key == field.name);
        if matches!(field.need, Need::Required) && !given {
            let message = format!("`{}` is missing in {}", field.name, place_name(path));
            let help = format!("{} Expected {}", field.doc, described(&field.kind));
            problems.error(&node.place, Problem::new("E0107", message).help(help));
        }
    }
}

fn place_name(path: &str) -> String {
    if path.is_empty() { "the file".into() } else { format!("`{path}`") }
}

fn unknown_key(
    key: &str,
    place: &Place,
    fields: &[Field],
    path: &str,
    problems: &mut Problems<'_>,
) {
    let message = format!("unknown key `{}` in {}", clipped(key), place_name(path));
    let names = fields.iter().map(|field| field.name);
    let listed = one_of(&names.clone().collect::<Vec<_>>());
    let problem = Problem::new("E0102", message);
    let problem = match suggest::key(key, names) {
        Some(near) => {
            let whose = near.foreign.map_or_else(String::new, |(whose, theirs)| {
                format!("  ({whose}'s `{theirs}` is `{}` here)", near.name)
            });
            let help = format!("did you mean `{}`?{whose}", near.name);
            problem.help(help).instead(Some(near.name))
        }
        None => problem.help(format!("expected {listed}")),
    };
    problems.error(place, problem);
}

fn repeated_keys(node: &Node, path: &str, problems: &mut Problems<'_>) {
    let mut first = BTreeMap::new();
    for entry in node.entries() {
        if let Some(line) = first.get(entry.key.as_str()) {
            let message =
                format!("`{}` is given twice in {}", clipped(&entry.key), place_name(path));
            let help = format!("first given at line {line}");
            problems.error(&entry.key_place, Problem::new("E0101", message).help(help));
        } else {
            first.insert(entry.key.as_str(), entry.key_place.line);
        }
    }
}
