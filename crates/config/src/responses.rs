//! `responses`: whether responses are kept, so that later ones build on them by their id.

use crate::Responses;
use crate::read::Section;
use crate::spec::{Field, Kind, Scalar, defaulted};

/// Its keys.
pub(crate) static FIELDS: &[Field] = &[
    defaulted(
        "store",
        "off",
        "`on`: what `/v1/responses` is asked and answers is kept, sealed, for `previous_response_id`, unless the request says `store: false`.",
        Kind::Word(&["on", "off"]),
    ),
    defaulted(
        "keep",
        "30d",
        "How long a response is kept since it was made or last built upon.",
        Kind::Scalar(Scalar::Duration),
    ),
    defaulted(
        "max_size",
        "1GiB",
        "How much is kept in all; those whose time ends first go first.",
        Kind::Scalar(Scalar::Size),
    ),
];

/// Reads the section.
pub(crate) fn read(section: Section<'_>) -> Responses {
    Responses {
        store: section.text("store") == Some("on"),
        keep: section.duration("keep"),
        max_size: section.size("max_size"),
    }
}
