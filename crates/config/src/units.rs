//! Values with units, as people write them. Each parser takes the whole text and names what it expected.

use std::time::Duration;

use domain::{Money, Price};

use crate::{Amount, Rate, Window};

/// Why a value was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A bare number where a unit belongs.
    UnitMissing,
    /// Not of this form at all.
    Malformed,
    /// Of this form, but too small or too large.
    OutOfRange,
}

type Parsed<T> = Result<T, Refused>;

/// Splits `32MiB` or `32 MiB` into its number and its unit; the unit may be empty.
fn split(text: &str) -> Parsed<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).ok_or(Refused::Malformed)?;
    if number.is_empty() || number.starts_with('.') || number.ends_with('.') {
        return Err(Refused::Malformed);
    }
    Ok((number, unit.trim_start_matches(' ')))
}

/// A decimal times an integer factor, exactly; a result that is no integer is malformed.
fn scaled(number: &str, factor: u64) -> Parsed<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || fraction.len() > 12 {
        return Err(Refused::Malformed);
    }
    let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| Refused::OutOfRange)?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(12));
    let product = digits.checked_mul(u128::from(factor)).ok_or(Refused::OutOfRange)?;
    if product % scale != 0 {
        return Err(Refused::Malformed);
    }
    u64::try_from(product / scale).map_err(|_| Refused::OutOfRange)
}

/// A duration: `1500ms`, `30s`, `10min`, `2h`, `90d`.
pub(crate) fn duration(text: &str) -> Parsed<Duration> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" | "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(Refused::UnitMissing),
        _ => return Err(Refused::Malformed),
    };
    let millis = scaled(number, millis)?;
    // A century: more is a slip, and keeps every later sum far from overflow.
    if millis > 36_525 * 86_400_000 {
        Err(Refused::OutOfRange)
    } else {
        Ok(Duration::from_millis(millis))
    }
}

/// A size in bytes: `64KiB`, `32MiB`, `1GB`.
pub(crate) fn size(text: &str) -> Parsed<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        "" => return Err(Refused::UnitMissing),
        _ => return Err(Refused::Malformed),
    };
    scaled(number, factor)
}

/// A share in basis points: `10%`, `99.5%`.
pub(crate) fn percent(text: &str) -> Parsed<u32> {
    let (number, unit) = split(text)?;
    match unit {
        "%" => {}
        "" => return Err(Refused::UnitMissing),
        _ => return Err(Refused::Malformed),
    }
    let points = scaled(number, 100)?;
    if points > 10_000 {
        Err(Refused::OutOfRange)
    } else {
        u32::try_from(points).map_err(|_| Refused::OutOfRange)
    }
}

/// A count, which may be short: `4096`, `128k`, `2M`.
pub(crate) fn count(text: &str) -> Parsed<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => return Err(Refused::Malformed),
    };
    scaled(number, factor)
}

/// `20 calls`.
pub(crate) fn calls(text: &str) -> Parsed<u32> {
    let (number, unit) = split(text)?;
    match unit {
        "calls" => {}
        "" => return Err(Refused::UnitMissing),
        _ => return Err(Refused::Malformed),
    }
    match u32::try_from(scaled(number, 1)?) {
        Ok(calls) if (1..=100_000).contains(&calls) => Ok(calls),
        _ => Err(Refused::OutOfRange),
    }
}

/// A rate: `600/min`, `2M/h`.
pub(crate) fn rate(text: &str) -> Parsed<Rate> {
    let Some((number, per)) = text.split_once('/') else {
        return Err(if count(text).is_ok() { Refused::UnitMissing } else { Refused::Malformed });
    };
    let per = match per.trim() {
        "s" | "second" => 1,
        "min" | "m" | "minute" => 60,
        "h" | "hour" => 3_600,
        "d" | "day" => 86_400,
        _ => return Err(Refused::Malformed),
    };
    let count = count(number.trim())?;
    if count == 0 {
        Err(Refused::OutOfRange)
    } else {
        Ok(Rate { count, per: Duration::from_secs(per) })
    }
}

/// An amount: `50 USD`, `2M tokens`, `1000 requests`.
pub(crate) fn amount(text: &str) -> Parsed<Amount> {
    let (number, unit) = text.split_once(' ').ok_or_else(|| {
        if count(text).is_ok() { Refused::UnitMissing } else { Refused::Malformed }
    })?;
    match unit.trim() {
        "USD" | "usd" => match Money::from_usd(number) {
            Ok(money) if money >= Money::ZERO => Ok(Amount::Money(money)),
            Ok(_) | Err(domain::MoneyError::Overflow) => Err(Refused::OutOfRange),
            Err(domain::MoneyError::Malformed) => Err(Refused::Malformed),
        },
        "tokens" | "token" => count(number).map(Amount::Tokens),
        "requests" | "request" => count(number).map(Amount::Requests),
        _ => Err(Refused::Malformed),
    }
}

/// A window's word.
pub(crate) fn window(text: &str) -> Option<Window> {
    [Window::Hour, Window::Day, Window::Week, Window::Month, Window::Total]
        .into_iter()
        .find(|window| window.as_str() == text)
}

/// A budget in one line: `50 USD per month`, `100 requests per hour`, `500 USD total`.
pub(crate) fn budget(text: &str) -> Parsed<(Amount, Window)> {
    if let Some(limit) = text.strip_suffix(" total") {
        return Ok((amount(limit)?, Window::Total));
    }
    let Some((limit, per)) = text.split_once(" per ") else {
        return Err(match amount(text) {
            Ok(_) | Err(Refused::UnitMissing) => Refused::UnitMissing,
            Err(other) => other,
        });
    };
    Ok((amount(limit)?, window(per.trim()).ok_or(Refused::Malformed)?))
}

/// A price: `0.05 USD per 1M` (tokens).
pub(crate) fn price(text: &str) -> Parsed<Price> {
    let Some((number, rest)) = text.split_once(' ') else {
        return Err(if split(text).is_ok_and(|(_, unit)| unit.is_empty()) {
            Refused::UnitMissing
        } else {
            Refused::Malformed
        });
    };
    match rest.trim() {
        "USD per 1M" | "USD per 1M tokens" | "USD / 1M" | "USD/1M" => {}
        "USD" => return Err(Refused::UnitMissing),
        _ => return Err(Refused::Malformed),
    }
    match Price::from_usd_per_million(number) {
        Ok(price) if price.pico_per_million() >= 0 => Ok(price),
        Ok(_) | Err(domain::MoneyError::Overflow) => Err(Refused::OutOfRange),
        Err(domain::MoneyError::Malformed) => Err(Refused::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_are_exact() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("10 min"), Ok(Duration::from_mins(10)));
        assert_eq!(duration("30"), Err(Refused::UnitMissing));
        assert_eq!(duration("1.5ms"), Err(Refused::Malformed));
        assert_eq!(duration("999999999999d"), Err(Refused::OutOfRange));
        assert_eq!(duration("-1s"), Err(Refused::Malformed));
    }

    #[test]
    fn sizes_shares_and_counts() {
        assert_eq!(size("32MiB"), Ok(32 << 20));
        assert_eq!(size("32"), Err(Refused::UnitMissing));
        assert_eq!(percent("99.5%"), Ok(9_950));
        assert_eq!(percent("101%"), Err(Refused::OutOfRange));
        assert_eq!(count("2.5M"), Ok(2_500_000));
        assert_eq!(count("1.5"), Err(Refused::Malformed));
        assert_eq!(calls("20 calls"), Ok(20));
    }

    #[test]
    fn budgets_rates_and_prices() {
        let fifty = Amount::Money(Money::from_usd("50").unwrap());
        assert_eq!(budget("50 USD per month"), Ok((fifty, Window::Month)));
        assert_eq!(budget("137 requests total"), Ok((Amount::Requests(137), Window::Total)));
        assert_eq!(budget("50 USD"), Err(Refused::UnitMissing));
        assert_eq!(budget("50 per month"), Err(Refused::UnitMissing));
        assert_eq!(budget("50 EUR per month"), Err(Refused::Malformed));
        assert_eq!(rate("2M/min"), Ok(Rate { count: 2_000_000, per: Duration::from_mins(1) }));
        assert_eq!(rate("600"), Err(Refused::UnitMissing));
        assert_eq!(price("0.05 USD per 1M").unwrap().pico_per_million(), 50_000_000_000);
        assert_eq!(price("0.05"), Err(Refused::UnitMissing));
        assert_eq!(price("0.05 USD per 1K"), Err(Refused::Malformed));
    }
}
