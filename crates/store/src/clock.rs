//! The wall clock, for what the store itself dates.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::UnixMicros;

/// Now.
pub(crate) fn now() -> UnixMicros {
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |it| -it),
    };
    UnixMicros::from_micros(micros)
}
