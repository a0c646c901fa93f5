//! Figures with units as people write them: `90d`, `32MiB`, `2M`, `600/min`. Exact and strict: a unit is required,
//! a value that is not a whole number of the base unit is refused, and no float takes part. The configuration, the
//! command line and the admin API all read figures here.

/// How a figure was refused, for whoever words the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A bare number where a unit belongs.
    UnitMissing,
    /// Not of this form at all, or finer than the smallest unit.
    Malformed,
    /// Of this form, but too small or too large.
    OutOfRange,
}

/// Why a figure was refused, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// A bare number.
    #[error("`{text}` has no unit: expected {expected}")]
    UnitMissing {
        /// What was given.
        text: String,
        /// What is accepted, with an example.
        expected: &'static str,
    },
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
    /// No whole number of the base unit.
    #[error("`{text}` is finer than the smallest unit")]
    TooFine {
        /// What was given.
        text: String,
    },
    /// Does not fit.
    #[error("`{text}` is out of range")]
    Range {
        /// What was given.
        text: String,
    },
}

impl UnitError {
    /// The same without words.
    pub fn refused(&self) -> Refused {
        match self {
            Self::UnitMissing { .. } => Refused::UnitMissing,
            Self::Malformed { .. } | Self::TooFine { .. } => Refused::Malformed,
            Self::Range { .. } => Refused::OutOfRange,
        }
    }
}

/// What a figure should be ("a duration"), and what is accepted, with an example.
pub type Form = (&'static str, &'static str);

const DURATION: Form =
    ("a duration", "a number and one of ms, s, min, h, d, w, such as `30s` or `90d`");
const SIZE: Form = ("a size", "a number and one of B, KiB, MiB, GiB, kB, MB, GB, such as `32MiB`");
const COUNT: Form = ("a count", "a whole number, or one with k, M or G, such as `2M`");
const RATE: Form = ("a rate", "a count per s, min, h or d, such as `600/min`");

/// A century: more is a slip, and keeps every later sum far from overflow.
const DURATION_MAX: u64 = 36_525 * 86_400_000_000;

/// A duration in microseconds: `250ms`, `30s`, `10min`, `12h`, `90d`, `2w`.
pub fn parse_duration(text: &str) -> Result<u64, UnitError> {
    let micros = scaled(text, DURATION, |unit| {
        Some(match unit {
            "ms" => 1_000,
            "s" => 1_000_000,
            "min" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            "w" => 604_800_000_000,
            _ => return None,
        })
    })?;
    if micros > DURATION_MAX { Err(UnitError::Range { text: clipped(text) }) } else { Ok(micros) }
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
    let Some((count, per)) = text.split_once('/') else {
        return Err(match parse_count(text) {
            Ok(_) => UnitError::UnitMissing { text: clipped(text), expected: RATE.1 },
            Err(_) => malformed(text, RATE),
        });
    };
    let per_micros = match per.trim() {
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return Err(malformed(text, RATE)),
    };
    let count = parse_count(count.trim()).map_err(|_| malformed(text, RATE))?;
    Ok(Rate { count, per_micros })
}

fn clipped(text: &str) -> String {
    text.chars().take(80).collect()
}

fn malformed(text: &str, (what, expected): Form) -> UnitError {
    UnitError::Malformed { text: clipped(text), what, expected }
}

/// Reads a figure and its unit; `unit` says how many base units one of a unit is.
pub fn scaled(
    text: &str,
    form: Form,
    unit: impl Fn(&str) -> Option<u64>,
) -> Result<u64, UnitError> {
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (figure, suffix) = text.split_at(end);
    let suffix = suffix.trim_start_matches(' ');
    if !is_decimal(figure) {
        return Err(malformed(text, form));
    }
    let scale = unit(suffix).ok_or_else(|| match suffix {
        "" => UnitError::UnitMissing { text: clipped(text), expected: form.1 },
        _ => malformed(text, form),
    })?;
    let value = decimal(figure, i128::from(scale)).map_err(|refused| match refused {
        Refused::OutOfRange => UnitError::Range { text: clipped(text) },
        Refused::Malformed | Refused::UnitMissing => UnitError::TooFine { text: clipped(text) },
    })?;
    u64::try_from(value).map_err(|_| UnitError::Range { text: clipped(text) })
}

/// Digits, perhaps with a point and more digits.
fn is_decimal(figure: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = figure.split_once('.').unwrap_or((figure, "0"));
    digits(whole) && digits(fraction)
}

/// `figure x scale`, exactly; malformed if it is no decimal number or the product is not whole.
pub(crate) fn decimal(figure: &str, scale: i128) -> Result<i128, Refused> {
    if !is_decimal(figure) {
        return Err(Refused::Malformed);
    }
    let (whole, fraction) = figure.split_once('.').unwrap_or((figure, ""));
    let whole = whole.parse::<i128>().ok().and_then(|it| it.checked_mul(scale));
    let whole = whole.ok_or(Refused::OutOfRange)?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return Ok(whole);
    }
    // A fraction too long to be scaled is finer than any unit.
    let part = || {
        let places = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let part = fraction.parse::<i128>().ok()?.checked_mul(scale)?;
        (part % places == 0).then_some(part / places)
    };
    whole.checked_add(part().ok_or(Refused::Malformed)?).ok_or(Refused::OutOfRange)
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
        let refused = |result: Result<u64, UnitError>| result.unwrap_err().refused();
        assert_eq!(refused(parse_duration("30")), Refused::UnitMissing);
        assert_eq!(refused(parse_duration("30S")), Refused::Malformed);
        assert_eq!(refused(parse_size("32")), Refused::UnitMissing);
        assert_eq!(refused(parse_size("32mb")), Refused::Malformed);
        assert_eq!(refused(parse_count("1.5")), Refused::Malformed);
        assert_eq!(parse_rate("600").unwrap_err().refused(), Refused::UnitMissing);
        assert_eq!(parse_rate("600/minute").unwrap_err().refused(), Refused::Malformed);
    }

    #[test]
    fn what_is_too_fine_or_does_not_fit_says_which() {
        assert!(matches!(parse_duration("0.0000001s"), Err(UnitError::TooFine { .. })));
        for long in ["99999999999999999999w", "101000d", &format!("{}s", "9".repeat(60))] {
            assert!(matches!(parse_duration(long), Err(UnitError::Range { .. })), "{long}");
        }
        assert!(matches!(
            parse_count(&format!("1.{}", "1".repeat(60))),
            Err(UnitError::TooFine { .. })
        ));
    }
}
