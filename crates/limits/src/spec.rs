//! A budget in words: `5 USD per day`, `2M tokens per month in Europe/Berlin`, `1000 requests per hour`,
//! `50 USD total`. The command line, the configuration and stored keys all use this one reader.

use std::fmt;

use domain::PICO_PER_USD;

use crate::amount::{Quantity, Unit};
use crate::units::{self, Refused};
use crate::windows::{Period, UnknownZone, Zone};

/// How much, in which unit, over which window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The limit.
    pub limit: Quantity,
    /// The window it applies to.
    pub period: Period,
    /// The zone, where the text names one.
    pub zone: Option<Zone>,
}

/// Why a budget in words was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not `AMOUNT UNIT per PERIOD`.
    #[error(
        "`{0}` is not a budget: expected an amount, a unit and a period, such as `5 USD per day`, \
         `2M tokens per month` or `1000 requests per hour`"
    )]
    Shape(String),
    /// It breaks off before its unit or its period.
    #[error(
        "`{0}` is not a whole budget: expected an amount, a unit and a period, such as `5 USD per day`"
    )]
    Incomplete(String),
    /// The amount is no number of that unit.
    #[error("`{figure}` is not an amount of {unit}: expected {expected}")]
    Amount {
        /// What stands there.
        figure: String,
        /// The unit that follows.
        unit: Unit,
        /// What is accepted.
        expected: &'static str,
        /// Whether it is no number, or too large a one.
        refused: Refused,
    },
    /// The unit is none of ours.
    #[error("`{0}` is not a unit: expected `USD`, `tokens` or `requests`")]
    Unit(String),
    /// The period is none of ours.
    #[error("`{0}` is not a period: expected `hour`, `day`, `week`, `month` or `total`")]
    Period(String),
    /// No such zone.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
}

impl SpecError {
    /// The same without words.
    pub fn refused(&self) -> Refused {
        match self {
            Self::Incomplete(_) => Refused::UnitMissing,
            // `5 per day`: the period stands where the unit belongs.
            Self::Unit(word) if word == "per" => Refused::UnitMissing,
            Self::Amount { refused, .. } => *refused,
            Self::Shape(_) | Self::Unit(_) | Self::Period(_) | Self::Zone(_) => Refused::Malformed,
        }
    }
}

/// Reads a budget in words.
pub fn parse(text: &str) -> Result<Allowance, SpecError> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (amount, rest) = match words.as_slice() {
        [figure, unit, rest @ ..] => (quantity(figure, unit)?, rest),
        [figure] => return Err(unitless(figure)),
        [] => return Err(SpecError::Shape(String::new())),
    };
    let (period, rest) = match rest {
        ["per", period, rest @ ..] => (self::period(period)?, rest),
        ["total", rest @ ..] | ["in", "total", rest @ ..] => (Period::Total, rest),
        [] => return Err(SpecError::Incomplete(clipped(text))),
        _ => return Err(SpecError::Shape(clipped(text))),
    };
    let zone = match rest {
        [] => None,
        ["in", zone] => Some(Zone::parse(zone)?),
        _ => return Err(SpecError::Shape(clipped(text))),
    };
    Ok(Allowance { limit: amount, period, zone })
}

fn clipped(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A word alone: an amount without its unit, or nothing of the kind.
fn unitless(word: &str) -> SpecError {
    match units::parse_count(word) {
        Ok(_) => SpecError::Incomplete(clipped(word)),
        Err(_) => SpecError::Shape(clipped(word)),
    }
}

/// Reads an amount with its unit: `5 USD`, `2M tokens`.
pub fn parse_quantity(text: &str) -> Result<Quantity, SpecError> {
    let mut words = text.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(figure), Some(unit), None) => quantity(figure, unit),
        (Some(figure), None, None) => Err(unitless(figure)),
        _ => Err(SpecError::Shape(clipped(text))),
    }
}

fn quantity(figure: &str, unit: &str) -> Result<Quantity, SpecError> {
    let unit = match unit {
        "USD" => Unit::Money,
        "token" | "tokens" => Unit::Tokens,
        "request" | "requests" => Unit::Requests,
        other => return Err(SpecError::Unit(clipped(other))),
    };
    let amount = match unit {
        Unit::Money => units::decimal(figure, i128::from(PICO_PER_USD)),
        Unit::Tokens | Unit::Requests => {
            units::parse_count(figure).map(i128::from).map_err(|error| error.refused())
        }
    };
    match amount {
        Ok(amount) => Ok(Quantity { unit, amount }),
        Err(refused) => Err(SpecError::Amount {
            figure: clipped(figure),
            unit,
            refused,
            expected: match unit {
                Unit::Money => "a decimal number with at most 12 places, such as `0.25`",
                Unit::Tokens | Unit::Requests => {
                    "a whole number, or one with k, M or G, such as `2M`"
                }
            },
        }),
    }
}

fn period(word: &str) -> Result<Period, SpecError> {
    Period::parse(word)
        .filter(|period| *period != Period::Total)
        .ok_or_else(|| SpecError::Period(clipped(word)))
}

impl fmt::Display for Allowance {
    /// The canonical form, which [`parse`] reads back to the same value.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.period {
            Period::Total => write!(out, "{} total", self.limit)?,
            period => write!(out, "{} per {}", self.limit, period.as_str())?,
        }
        match &self.zone {
            Some(zone) => write!(out, " in {}", zone.name()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        let read = parse(text).unwrap();
        assert_eq!(parse(&read.to_string()).unwrap(), read);
        read.to_string()
    }

    #[test]
    fn budgets_in_words_have_one_canonical_form() {
        assert_eq!(round_trip("5 USD per day"), "5.00 USD per day");
        assert_eq!(round_trip("0.000001 USD per hour"), "0.000001 USD per hour");
        assert_eq!(round_trip("2M tokens per month"), "2000000 tokens per month");
        assert_eq!(
            round_trip("1000  requests per week in europe/berlin"),
            "1000 requests per week in Europe/Berlin"
        );
        assert_eq!(round_trip("20000000 USD in total"), "20000000.00 USD total");
    }

    #[test]
    fn errors_name_the_part_that_is_wrong() {
        let refused = |text: &str| parse(text).unwrap_err().to_string();
        assert!(refused("5 per day").starts_with("`per` is not a unit"));
        assert!(refused("5").starts_with("`5` is not a whole budget"));
        assert!(refused("5 USD").starts_with("`5 USD` is not a whole budget"));
        assert!(refused("much").starts_with("`much` is not a budget"));
        assert!(refused("5 USD daily").contains("`5 USD per day`"));
        assert!(refused("5 USD per fortnight").starts_with("`fortnight` is not a period"));
        assert!(refused("five USD per day").starts_with("`five` is not an amount of USD"));
        assert!(refused("-5 USD per day").starts_with("`-5` is not an amount of USD"));
        assert!(refused("1.5 requests per day").starts_with("`1.5` is not an amount of requests"));
        assert!(refused("5 EUR per day").starts_with("`EUR` is not a unit"));
        assert!(
            refused("5 USD per day in Mars/Base").starts_with("`Mars/Base` is not a time zone")
        );
    }
}
