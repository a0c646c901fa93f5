//! `ledger`: the record of every request.

use crate::read::Section;
use crate::spec::{Field, Kind, Scalar, defaulted, optional};
use crate::{Durability, Ledger};

/// Its keys.
pub(crate) static FIELDS: &[Field] = &[
    defaulted(
        "durability",
        "strict",
        "`strict`: no attempt leaves before its intent is on disk. `relaxed`: a crash may lose 50 ms.",
        Kind::Word(&["strict", "relaxed"]),
    ),
    defaulted(
        "dir",
        "outrigger-data",
        "The data folder: ledger, keys, tokens.",
        Kind::Scalar(Scalar::File),
    ),
    optional(
        "keep",
        "How long rows are kept at least: `ledger prune` takes older ones and refuses to take younger. Without it, prune is told by hand what goes.",
        Kind::Scalar(Scalar::Duration),
    ),
];

/// Reads the section.
pub(crate) fn read(section: Section<'_>) -> Ledger {
    Ledger {
        durability: match section.text("durability") {
            Some("relaxed") => Durability::Relaxed,
            _ => Durability::Strict,
        },
        dir: section.path("dir").unwrap_or_default(),
        keep: section.maybe_duration("keep"),
    }
}
