//! The forms of figures that only the configuration has; all others are those of `limits`, which the command line and
//! the admin API read as well.

use std::time::Duration;

use domain::Price;
use limits::Quantity;
use limits::spec::{self, Allowance};
use limits::units::{self, Form, Rate};

pub(crate) use limits::units::Refused;

type Parsed<T> = Result<T, Refused>;

const SHARE: Form = ("a share", "a number and %, such as `10%`");
const CALLS: Form = ("a number of calls", "a whole number of calls, such as `20 calls`");

/// A duration: `1500ms`, `30s`, `10min`, `2h`, `90d`.
pub(crate) fn duration(text: &str) -> Parsed<Duration> {
    let micros = units::parse_duration(text).map_err(|error| error.refused())?;
    Ok(Duration::from_micros(micros))
}

/// A size in bytes: `64KiB`, `32MiB`, `1GB`.
pub(crate) fn size(text: &str) -> Parsed<u64> {
    units::parse_size(text).map_err(|error| error.refused())
}

/// A count, which may be short: `4096`, `128k`, `2M`.
pub(crate) fn count(text: &str) -> Parsed<u64> {
    units::parse_count(text).map_err(|error| error.refused())
}

/// A rate: `600/min`, `2M/h`. One that lets nothing pass is out of range.
pub(crate) fn rate(text: &str) -> Parsed<Rate> {
    let rate = units::parse_rate(text).map_err(|error| error.refused())?;
    if rate.count == 0 { Err(Refused::OutOfRange) } else { Ok(rate) }
}

/// An amount: `50 USD`, `2M tokens`, `1000 requests`.
pub(crate) fn amount(text: &str) -> Parsed<Quantity> {
    spec::parse_quantity(text).map_err(|error| error.refused())
}

/// A budget in one line: `50 USD per month`, `100 requests per hour in Europe/Berlin`, `500 USD total`.
pub(crate) fn budget(text: &str) -> Parsed<Allowance> {
    spec::parse(text).map_err(|error| error.refused())
}

/// A share in basis points: `10%`, `99.5%`.
pub(crate) fn percent(text: &str) -> Parsed<u32> {
    let points = units::scaled(text, SHARE, |unit| (unit == "%").then_some(100));
    match u32::try_from(points.map_err(|error| error.refused())?) {
        Ok(points) if points <= 10_000 => Ok(points),
        _ => Err(Refused::OutOfRange),
    }
}

/// `20 calls`: at most as many as a breaker looks back at.
pub(crate) fn calls(text: &str) -> Parsed<u32> {
    let calls = units::scaled(text, CALLS, |unit| (unit == "calls").then_some(1));
    match u32::try_from(calls.map_err(|error| error.refused())?) {
        Ok(calls) if (1..=CALLS_MAX).contains(&calls) => Ok(calls),
        _ => Err(Refused::OutOfRange),
    }
}

/// Most calls of `routing.circuit.over`.
pub(crate) const CALLS_MAX: u32 = 64;

/// A price: `0.05 USD per 1M` (tokens).
pub(crate) fn price(text: &str) -> Parsed<Price> {
    let Some((number, rest)) = text.split_once(' ') else {
        return Err(match units::scaled(text, SHARE, |_| None) {
            Err(error) => error.refused(),
            Ok(_) => Refused::Malformed,
        });
    };
    match rest.trim() {
        "USD per 1M" => {}
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
    use limits::Unit;
    use limits::windows::Period;

    #[test]
    fn figures_are_those_of_the_command_line() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("2w"), Ok(Duration::from_hours(14 * 24)));
        assert_eq!(duration("30"), Err(Refused::UnitMissing));
        assert_eq!(duration("10m"), Err(Refused::Malformed));
        assert_eq!(duration("999999999999d"), Err(Refused::OutOfRange));
        assert_eq!(size("32MiB"), Ok(32 << 20));
        assert_eq!(count("1.5"), Err(Refused::Malformed));
        assert_eq!(rate("2M/min"), Ok(Rate { count: 2_000_000, per_micros: 60_000_000 }));
        assert_eq!(rate("600"), Err(Refused::UnitMissing));
        assert_eq!(rate("0/min"), Err(Refused::OutOfRange));
    }

    #[test]
    fn shares_calls_and_prices() {
        assert_eq!(percent("99.5%"), Ok(9_950));
        assert_eq!(percent("10"), Err(Refused::UnitMissing));
        assert_eq!(percent("101%"), Err(Refused::OutOfRange));
        assert_eq!(percent("0.001%"), Err(Refused::Malformed));
        assert_eq!(calls("20 calls"), Ok(20));
        assert_eq!(calls("65 calls"), Err(Refused::OutOfRange));
        assert_eq!(price("0.05 USD per 1M").unwrap().pico_per_million(), 50_000_000_000);
        assert_eq!(price("0.05"), Err(Refused::UnitMissing));
        assert_eq!(price("0.05 USD"), Err(Refused::UnitMissing));
        assert_eq!(price("0.05 USD per 1K"), Err(Refused::Malformed));
    }

    #[test]
    fn budgets_in_one_line_may_name_their_zone() {
        let total = budget("137 requests total").unwrap();
        assert_eq!(
            (total.limit, total.period),
            (Quantity { unit: Unit::Requests, amount: 137 }, Period::Total)
        );
        let zoned = budget("50 USD per month in Europe/Berlin").unwrap();
        assert_eq!(zoned.zone.unwrap().name(), "Europe/Berlin");
        for (text, refused) in [
            ("50 USD", Refused::UnitMissing),
            ("50 per month", Refused::UnitMissing),
            ("50 EUR per month", Refused::Malformed),
            ("-50 USD per month", Refused::Malformed),
        ] {
            assert_eq!(budget(text), Err(refused), "{text}");
        }
        assert_eq!(amount("800"), Err(Refused::UnitMissing));
    }
}
