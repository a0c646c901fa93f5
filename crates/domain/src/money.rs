//! Money is an integer number of pico-dollars (10^-12 USD). A row holds `i64` (up to about 9.2 million USD),
//! a sum holds `i128`. Prices are integers of pico-dollars per million tokens, so every published price is exact.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

/// Pico-dollars in one US dollar.
pub const PICO_PER_USD: i64 = 1_000_000_000_000;

/// Tokens a [`Price`] is quoted for.
const TOKENS_PER_PRICE: i128 = 1_000_000;

/// An amount of one ledger row, in pico-USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// A sum of amounts, in pico-USD; wide enough that no ledger can overflow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoneySum(i128);

/// A price in pico-USD per million tokens. 3 USD per million is `3 * PICO_PER_USD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i64);

/// Why an amount can't be represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// More than about 9.2 million USD in one row.
    #[error("amount is beyond what one ledger row holds (about 9.2 million USD)")]
    Overflow,
    /// Not a decimal number of at most twelve places.
    #[error("expected a decimal amount with at most 12 places, such as `0.25`")]
    Malformed,
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount a row can hold.
    pub const MAX: Self = Self(i64::MAX);

    /// From pico-dollars.
    pub const fn from_pico(pico: i64) -> Self {
        Self(pico)
    }

    /// In pico-dollars.
    pub const fn pico(self) -> i64 {
        self.0
    }

    /// From a decimal number of dollars, exactly: `0.25`, `5`, `1e-6` is refused.
    pub fn from_usd(text: &str) -> Result<Self, MoneyError> {
        decimal_to_pico(text).map(Self)
    }

    /// Sum, or `None` past the row's range.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Difference, or `None` past the row's range.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum of `tokens x price` over all parts, divided once and rounded half away from zero.
    ///
    /// Multiplying in `i128` and dividing last is what makes the result independent of how usage was split.
    pub fn of_tokens(parts: impl IntoIterator<Item = (u64, Price)>) -> Result<Self, MoneyError> {
        let mut total: i128 = 0;
        for (tokens, price) in parts {
            let part =
                i128::from(tokens).checked_mul(i128::from(price.0)).ok_or(MoneyError::Overflow)?;
            total = total.checked_add(part).ok_or(MoneyError::Overflow)?;
        }
        let half = TOKENS_PER_PRICE / 2;
        let rounded = if total >= 0 {
            (total + half) / TOKENS_PER_PRICE
        } else {
            (total - half) / TOKENS_PER_PRICE
        };
        i64::try_from(rounded).map(Self).map_err(|_| MoneyError::Overflow)
    }
}

impl MoneySum {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From pico-dollars.
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// In pico-dollars.
    pub const fn pico(self) -> i128 {
        self.0
    }
}

impl From<Money> for MoneySum {
    fn from(money: Money) -> Self {
        Self(i128::from(money.0))
    }
}

impl std::ops::Add for MoneySum {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        // 2^127 pico-USD is 10^26 USD: unreachable by adding rows that hold at most 10^7 each.
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Sub for MoneySum {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::ops::AddAssign for MoneySum {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::ops::SubAssign for MoneySum {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum<Money> for MoneySum {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, |sum, amount| sum + amount.into())
    }
}

impl Price {
    /// Free of charge.
    pub const ZERO: Self = Self(0);

    /// From pico-USD per million tokens.
    pub const fn from_pico_per_million(pico: i64) -> Self {
        Self(pico)
    }

    /// In pico-USD per million tokens.
    pub const fn pico_per_million(self) -> i64 {
        self.0
    }

    /// From a decimal number of dollars per million tokens, exactly.
    pub fn from_usd_per_million(text: &str) -> Result<Self, MoneyError> {
        decimal_to_pico(text).map(Self)
    }
}

/// Parses `[-]digits[.digits]` into pico-units. Floats never take part, so `0.1` is exact.
fn decimal_to_pico(text: &str) -> Result<i64, MoneyError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return Err(MoneyError::Malformed);
    }
    let significant = fraction.trim_end_matches('0');
    if significant.len() > 12 {
        return Err(MoneyError::Malformed);
    }
    let whole: i128 =
        if whole.is_empty() { 0 } else { whole.parse().map_err(|_| MoneyError::Overflow)? };
    let mut pico = whole.checked_mul(i128::from(PICO_PER_USD)).ok_or(MoneyError::Overflow)?;
    if !significant.is_empty() {
        let scale =
            10_i128.pow(12 - u32::try_from(significant.len()).map_err(|_| MoneyError::Malformed)?);
        pico += i128::from_str(significant).map_err(|_| MoneyError::Malformed)? * scale;
    }
    i64::try_from(if negative { -pico } else { pico }).map_err(|_| MoneyError::Overflow)
}

/// Writes all significant places and at least two: `0.25`, `0.000001`, `5.00`. Never an exponent.
fn write_usd(pico: i128, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let sign = if pico < 0 { "-" } else { "" };
    let magnitude = pico.unsigned_abs();
    let unit: u128 = PICO_PER_USD.unsigned_abs().into();
    let (whole, fraction) = (magnitude / unit, magnitude % unit);
    let places = format!("{fraction:012}");
    let significant = places.trim_end_matches('0');
    let width = significant.len().max(2);
    write!(out, "{sign}{whole}.{significant:0<width$}")
}

impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_usd(i128::from(self.0), out)
    }
}

impl fmt::Display for MoneySum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_usd(self.0, out)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_usd(i128::from(self.0), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_prices_are_exact() {
        let price = Price::from_usd_per_million("0.0375").unwrap();
        assert_eq!(price.pico_per_million(), 37_500_000_000);
        // 1,000 tokens at 0.0375 USD per million are 0.0000375 USD.
        let cost = Money::of_tokens([(1_000, price)]).unwrap();
        assert_eq!(cost.to_string(), "0.0000375");
    }

    #[test]
    fn display_keeps_two_places_and_never_rounds() {
        assert_eq!(Money::from_usd("5").unwrap().to_string(), "5.00");
        assert_eq!(Money::from_usd("-0.5").unwrap().to_string(), "-0.50");
        assert_eq!(Money::from_pico(1).to_string(), "0.000000000001");
    }

    #[test]
    fn malformed_and_oversized_amounts_are_refused() {
        for text in ["", ".", "1e3", "1,5", "--1", "+1", "0.0000000000001", " 1"] {
            assert_eq!(Money::from_usd(text), Err(MoneyError::Malformed), "{text:?}");
        }
        assert_eq!(Money::from_usd("9300000"), Err(MoneyError::Overflow));
    }

    #[test]
    fn a_row_beyond_nine_million_dollars_is_refused() {
        let price = Price::from_usd_per_million("1000").unwrap();
        assert_eq!(Money::of_tokens([(10_000_000_000_000, price)]), Err(MoneyError::Overflow));
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(pico in any::<i64>()) {
            let money = Money::from_pico(pico);
            prop_assert_eq!(Money::from_usd(&money.to_string()), Ok(money));
        }
    }
}
