//! Figures with units as people write them: `90d`, `32MiB`, `2M`, `600/min`. Exact and strict: a unit is required,
//! a value that is not a whole number of the base unit is refused, and no float takes part.

/// Why a figure was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a figure followed by one of the units.
    #[error("`{text}` is not {what}: expected {expected}")]
    Malformed {
        /// What was given.
        text: String,
        /// What it should be: "a duration".
        what: &'static str,
        /// What is accepted, with an example.
        expected: &'static str,
    },
    /// Does not fit, or is no whole number of the base unit.
    #[error("`{text}` is out of range, or finer than the smallest unit")]
    Range {
        /// What was given.
        text: String,
    },
}

const DURATION: (&str, &str) =
    ("a duration", "a number and one of ms, s, min, h, d, w, such as `30s` or `90d`");
const SIZE: (&str, &str) =
    ("a size", "a number and one of B, KiB, MiB, GiB, kB, MB, GB, such as `32MiB`");
const COUNT: (&str, &str) = ("a count", "a whole number, or one with k, M or G, such as `2M`");
const RATE: (&str, &str) = ("a rate", "a count per s, min, h or d, such as `600/min`");

/// A duration in microseconds: `250ms`, `30s`, `10min`, `12h`, `90d`, `2w`.
pub fn parse_duration(text: &str) -> Result<u64, UnitError> {
    scaled(text, DURATION, |unit| {
        Some(match unit {
            "ms" => 1_000,
            "s" => 1_000_000,
            "min" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            "w" => 604_800_000_000,
            _ => return None,
        })
    })
}

/// A size in bytes: `32MiB`, `100kB`, `512B`.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    scaled(text, SIZE, |unit| {
        Some(match unit {
            "B" => 1,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        })
    })
}

/// A count: `600`, `50k`, `2M`, `1.5M`.
pub fn parse_count(text: &str) -> Result<u64, UnitError> {
    scaled(text, COUNT, |unit| {
        Some(match unit {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            _ => return None,
        })
    })
}

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// In how many microseconds.
    pub per_micros: u64,
}

/// A rate: `600/min`, `2M/min`, `10/s`.
pub fn parse_rate(text: &str) -> Result<Rate, UnitError> {
    let refused = || malformed(text, RATE);
    let (count, per) = text.split_once('/').ok_or_else(refused)?;
    let per_micros = match per.trim() {
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(refused()),
    };
    let count = parse_count(count.trim()).map_err(|_| refused())?;
    Ok(Rate { count, per_micros })
}

fn malformed(text: &str, (what, expected): (&'static str, &'static str)) -> UnitError {
    UnitError::Malformed { text: text.chars().take(80).collect(), what, expected }
}

fn scaled(
    text: &str,
    kind: (&'static str, &'static str),
    unit: impl Fn(&str) -> Option<u64>,
) -> Result<u64, UnitError> {
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (figure, suffix) = text.split_at(end);
    let scale = unit(suffix.trim_start_matches(' ')).ok_or_else(|| malformed(text, kind))?;
    if !is_decimal(figure) {
        return Err(malformed(text, kind));
    }
    decimal(figure, i128::from(scale))
        .and_then(|value| u64::try_from(value).ok())
        .ok_or_else(|| UnitError::Range { text: text.chars().take(80).collect() })
}

/// Digits, perhaps with a point and more digits.
fn is_decimal(figure: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = figure.split_once('.').unwrap_or((figure, "0"));
    digits(whole) && digits(fraction)
}

/// `figure x scale`, exactly; `None` if it is no decimal number, does not fit or is no whole number.
pub(crate) fn decimal(figure: &str, scale: i128) -> Option<i128> {
    is_decimal(figure).then_some(())?;
    let (whole, fraction) = figure.split_once('.').unwrap_or((figure, ""));
    let whole = whole.parse::<i128>().ok()?.checked_mul(scale)?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return Some(whole);
    }
    let places = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = fraction.parse::<i128>().ok()?.checked_mul(scale)?;
    (part % places == 0).then_some(())?;
    whole.checked_add(part / places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_exactly() {
        assert_eq!(parse_duration("90d"), Ok(90 * 86_400_000_000));
        assert_eq!(parse_duration("1500ms"), Ok(1_500_000));
        assert_eq!(parse_duration("0.5s"), Ok(500_000));
        assert_eq!(parse_duration("30 min"), Ok(1_800_000_000));
        assert_eq!(parse_size("32MiB"), Ok(33_554_432));
        assert_eq!(parse_size("1.5KiB"), Ok(1_536));
        assert_eq!(parse_count("2M"), Ok(2_000_000));
        assert_eq!(parse_count("600"), Ok(600));
        assert_eq!(parse_rate("600/min"), Ok(Rate { count: 600, per_micros: 60_000_000 }));
        assert_eq!(parse_rate("2M / min"), Ok(Rate { count: 2_000_000, per_micros: 60_000_000 }));
    }

    #[test]
    fn a_missing_or_ambiguous_unit_is_refused_with_what_is_accepted() {
        for text in ["30", "30m", "s", "", "-1s", "1e3s", "1.s", ".5s", "3 0s", "30S"] {
            let refused = parse_duration(text).unwrap_err();
            assert!(refused.to_string().contains("ms, s, min, h, d, w"), "{text:?}: {refused}");
        }
        assert!(parse_size("32").is_err());
        assert!(parse_size("32mb").is_err());
        assert!(parse_count("1.5").is_err());
        assert!(parse_rate("600").is_err());
        assert!(parse_rate("600/minute").is_err());
    }

    #[test]
    fn what_does_not_fit_is_a_range_error() {
        assert!(matches!(parse_duration("0.0000001s"), Err(UnitError::Range { .. })));
        assert!(matches!(parse_duration("99999999999999999999w"), Err(UnitError::Range { .. })));
    }
}
