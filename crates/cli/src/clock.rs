//! The time, for commands.

use domain::UnixMicros;

/// Now.
pub(crate) fn now() -> UnixMicros {
    UnixMicros::from_micros(jiff::Timestamp::now().as_microsecond())
}

/// Today in UTC, `YYYY-MM-DD`.
pub(crate) fn today() -> String {
    now().to_string().chars().take(10).collect()
}
