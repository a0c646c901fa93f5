//! Dates and times of data files.

use domain::UnixMicros;

/// Reads `YYYY-MM-DD` (midnight UTC) or an RFC 3339 time.
pub(crate) fn parse(text: &str) -> Option<UnixMicros> {
    let timestamp: jiff::Timestamp = if text.len() == 10 {
        let date: jiff::civil::Date = text.parse().ok()?;
        date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
    } else {
        text.parse().ok()?
    };
    Some(UnixMicros::from_micros(timestamp.as_microsecond()))
}
