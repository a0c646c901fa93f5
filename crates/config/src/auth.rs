//! `auth`: who may call.

use crate::read::Section;
use crate::spec::{Field, Kind, defaulted};
use crate::{Auth, KeyPolicy};

/// Its keys.
pub(crate) static FIELDS: &[Field] = &[defaulted(
    "keys",
    "loopback-open",
    "`required`: every request bears a virtual key. `loopback-open`: requests from this machine need none.",
    Kind::Word(&["required", "loopback-open"]),
)];

/// Reads the section.
pub(crate) fn read(section: Section<'_>) -> Auth {
    let keys = match section.text("keys") {
        Some("required") => KeyPolicy::Required,
        _ => KeyPolicy::LoopbackOpen,
    };
    Auth { keys }
}
