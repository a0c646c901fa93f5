//! Decimal literals of JSON and CSV, exactly: floats never take part.

use domain::Price;

/// Reads a decimal literal (`0.27`, `3e-07`, `1.25E-6`) times ten to the `shift` as an integer, rounded half up at
/// the last place. The rounding only meets the noise of tables that were written by floating-point programs
/// (`3.0000000000000004e-07`); every price people publish is exact.
fn scaled(text: &str, shift: i32) -> Option<i64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut digits: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        digits = digits.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
    }
    let power = exponent.checked_add(shift)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let value = if power >= 0 {
        digits.checked_mul(10_i128.checked_pow(power.unsigned_abs())?)?
    } else {
        // Beyond 10^38 nothing is left of a 38-digit number.
        let divisor = 10_i128.checked_pow(power.unsigned_abs());
        divisor.map_or(0, |divisor| (digits + divisor / 2) / divisor)
    };
    i64::try_from(value).ok()
}

/// A price quoted in USD per million tokens. Negative prices are refused.
pub(crate) fn per_million(text: &str) -> Option<Price> {
    scaled(text, 12).map(Price::from_pico_per_million)
}

/// A price quoted in USD per token. Negative prices are refused.
pub(crate) fn per_token(text: &str) -> Option<Price> {
    scaled(text, 18).map(Price::from_pico_per_million)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_exact_and_float_noise_vanishes() {
        let price = |text| Price::from_usd_per_million(text).unwrap();
        assert_eq!(per_token("2.5e-06"), Some(price("2.5")));
        assert_eq!(per_token("3.0000000000000004e-07"), Some(price("0.3")));
        assert_eq!(per_token("0.00001"), Some(price("10")));
        assert_eq!(per_token("1e-05"), Some(price("10")));
        assert_eq!(per_million("0.0028"), Some(price("0.0028")));
        assert_eq!(per_million("15"), Some(price("15")));
        assert_eq!(per_million("0.0"), Some(Price::ZERO));
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", ".", "e3", "-1", "1,5", "NaN", "\"1\"", "1e", "1e999999999999", "1e40"] {
            assert_eq!(per_million(text), None, "{text:?}");
        }
    }
}
