//! `content`: whether prompts and answers are logged. They are not, so far; saying so is allowed.

use crate::Content;
use crate::check::Problem;
use crate::read::{Context, Section};
use crate::spec::{Field, Kind, Scalar, defaulted};

/// Its keys.
pub(crate) static FIELDS: &[Field] = &[defaulted(
    "log",
    "false",
    "Whether prompts and answers are logged. Only `false` is possible in this version.",
    Kind::Scalar(Scalar::Bool),
)];

/// Reads the section.
pub(crate) fn read(section: Section<'_>, cx: &mut Context<'_>) -> Content {
    if let Some(node) = section.get("log")
        && section.truth("log")
    {
        let message = "this version never logs prompts and answers";
        let problem = Problem::new("E0601", message).instead(Some("false"));
        cx.problems.error(&node.place, problem);
    }
    Content { log: false }
}
