//! `telemetry`: logs and metrics.

use crate::read::Section;
use crate::spec::{Field, Kind, Scalar, defaulted};
use crate::{LogFormat, Telemetry};

/// Its keys.
pub(crate) static FIELDS: &[Field] = &[
    defaulted(
        "log",
        "info",
        "Least severe level that is logged.",
        Kind::Word(&["error", "warn", "info", "debug", "trace"]),
    ),
    defaulted(
        "log_format",
        "auto",
        "`pretty` for people, `json` for machines, `auto`: by whether it is a terminal.",
        Kind::Word(&["auto", "pretty", "json"]),
    ),
    defaulted(
        "prometheus",
        "true",
        "Whether `/metrics` is served on the admin listener.",
        Kind::Scalar(Scalar::Bool),
    ),
];

/// Reads the section.
pub(crate) fn read(section: Section<'_>) -> Telemetry {
    Telemetry {
        log: section.text("log").unwrap_or_default().into(),
        log_format: match section.text("log_format") {
            Some("pretty") => LogFormat::Pretty,
            Some("json") => LogFormat::Json,
            _ => LogFormat::Auto,
        },
        prometheus: section.truth("prometheus"),
    }
}
