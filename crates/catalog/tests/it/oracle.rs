//! T-L13: price arithmetic against rational numbers of any size, kept apart from the code under test.

use catalog::{Mode, PriceSheet, PriceTimeline, Rates, Tier};
use domain::{Feature, Features, Money, MoneyError, Price, UnixMicros, Usage, WorstCase};
use proptest::prelude::*;

/// A natural number of any size, base 10^9, least digit first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Big(Vec<u32>);

const BASE: u64 = 1_000_000_000;

impl Big {
    fn of(mut value: u128) -> Self {
        let mut digits = Vec::new();
        while value > 0 {
            digits.push((value % u128::from(BASE)) as u32);
            value /= u128::from(BASE);
        }
        Self(digits)
    }

    fn add(&self, other: &Self) -> Self {
        let mut digits = Vec::new();
        let mut carry = 0;
        for at in 0..self.0.len().max(other.0.len()) {
            let digit = |it: &Self| u64::from(it.0.get(at).copied().unwrap_or(0));
            let sum = digit(self) + digit(other) + carry;
            digits.push((sum % BASE) as u32);
            carry = sum / BASE;
        }
        if carry > 0 {
            digits.push(carry as u32);
        }
        Self(digits)
    }

    fn mul(&self, other: &Self) -> Self {
        let mut total = Self(Vec::new());
        for (shift, left) in self.0.iter().enumerate() {
            let mut digits = vec![0; shift];
            let mut carry = 0;
            for right in &other.0 {
                let product = u64::from(*left) * u64::from(*right) + carry;
                digits.push((product % BASE) as u32);
                carry = product / BASE;
            }
            if carry > 0 {
                digits.push(carry as u32);
            }
            total = total.add(&Self(digits));
        }
        total
    }

    /// Divided by a small number: quotient and remainder, by long division.
    fn div(&self, by: u64) -> (Self, u64) {
        let mut digits = vec![0; self.0.len()];
        let mut rest = 0;
        for at in (0..self.0.len()).rev() {
            let value = rest * BASE + u64::from(self.0[at]);
            digits[at] = (value / by) as u32;
            rest = value % by;
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        (Self(digits), rest)
    }
}

/// The sum of tokens x price / 10^6 in pico-USD, rounded half up; `None` when that is beyond a row.
fn oracle(parts: &[(u64, i64)]) -> Option<i64> {
    let mut sum = Big(Vec::new());
    for (tokens, price) in parts {
        let price = u128::try_from(*price).unwrap();
        sum = sum.add(&Big::of(u128::from(*tokens)).mul(&Big::of(price)));
    }
    let (quotient, rest) = sum.div(1_000_000);
    let rounded = if rest >= 500_000 { quotient.add(&Big::of(1)) } else { quotient };
    let mut value: i64 = 0;
    for digit in rounded.0.iter().rev() {
        value = value.checked_mul(i64::try_from(BASE).unwrap())?.checked_add(i64::from(*digit))?;
    }
    Some(value)
}

/// The documented stand-ins, written out again.
fn expected(rates: &Rates, usage: &Usage) -> Option<i64> {
    let pico = Price::pico_per_million;
    let input = pico(rates.input);
    let output = pico(rates.output);
    let or = |price: Option<Price>, default: i64| price.map_or(default, pico);
    let write = or(rates.cache_write, input);
    let long = or(rates.cache_write_long, if write > input { write * 2 } else { write });
    oracle(&[
        (usage.input, input),
        (usage.cache_read, or(rates.cache_read, input)),
        (usage.cache_write, write),
        (usage.cache_write_long, long),
        (usage.output, output),
        (usage.reasoning, or(rates.reasoning, output)),
        (usage.audio_input, or(rates.audio_input, input)),
        (usage.audio_output, or(rates.audio_output, output)),
        (usage.image_input, or(rates.image_input, input)),
    ])
}

/// Up to 10,000 USD per million, to the last pico.
fn price() -> impl Strategy<Value = Price> {
    prop_oneof![
        4 => 0_i64..=100_000_000_000_000,
        1 => 0_i64..=10_000_000_000_000_000,
        1 => Just(0_i64),
    ]
    .prop_map(Price::from_pico_per_million)
}

fn rates() -> impl Strategy<Value = Rates> {
    let optional = || proptest::option::of(price());
    (
        price(),
        price(),
        optional(),
        optional(),
        optional(),
        optional(),
        optional(),
        optional(),
        optional(),
    )
        .prop_map(|(input, output, a, b, c, d, e, f, g)| Rates {
            input,
            output,
            cache_read: a,
            cache_write: b,
            cache_write_long: c,
            reasoning: d,
            audio_input: e,
            audio_output: f,
            image_input: g,
        })
}

fn sheet() -> impl Strategy<Value = PriceSheet> {
    let tier = (1_u64..2_000_000, rates())
        .prop_map(|(above_input_tokens, rates)| Tier { above_input_tokens, rates });
    (rates(), proptest::collection::vec(tier, 0..3))
        .prop_map(|(rates, tiers)| PriceSheet::new("host/model", Mode::Standard, rates, tiers))
}

fn tokens() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0_u64..5_000_000, 1 => 0_u64..=1_000_000_000_000, 1 => Just(0_u64)]
}

fn usage() -> impl Strategy<Value = Usage> {
    proptest::collection::vec(tokens(), 9).prop_map(|it| Usage {
        input: it[0],
        cache_read: it[1],
        cache_write: it[2],
        cache_write_long: it[3],
        output: it[4],
        reasoning: it[5],
        audio_input: it[6],
        audio_output: it[7],
        image_input: it[8],
    })
}

/// Every bucket of a usage, to change one at a time.
fn buckets(usage: &mut Usage) -> [&mut u64; 9] {
    [
        &mut usage.input,
        &mut usage.cache_read,
        &mut usage.cache_write,
        &mut usage.cache_write_long,
        &mut usage.output,
        &mut usage.reasoning,
        &mut usage.audio_input,
        &mut usage.audio_output,
        &mut usage.image_input,
    ]
}

/// A refused cost is beyond any other.
fn or_max(cost: Result<Money, MoneyError>) -> Money {
    cost.unwrap_or(Money::MAX)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn cost_equals_the_rational_oracle(sheet in sheet(), usage in usage()) {
        let mut rates = &sheet.rates;
        let mut threshold = 0;
        for tier in &sheet.tiers {
            let above = tier.above_input_tokens;
            if usage.input_total() > above && above >= threshold {
                (rates, threshold) = (&tier.rates, above);
            }
        }
        let expected = expected(rates, &usage).map(Money::from_pico).ok_or(MoneyError::Overflow);
        prop_assert_eq!(sheet.cost(&usage), expected);
    }

    #[test]
    fn cost_grows_with_each_bucket(rates in rates(), usage in usage(), at in 0_usize..9, more in tokens()) {
        let sheet = PriceSheet::new("host/model", Mode::Standard, rates, Vec::new());
        let mut larger = usage;
        *buckets(&mut larger)[at] += more;
        prop_assert!(or_max(sheet.cost(&larger)) >= or_max(sheet.cost(&usage)));
    }

    #[test]
    fn no_usage_within_the_bound_costs_more_than_the_worst_case(sheet in sheet(), usage in usage()) {
        let bound = WorstCase { input: usage.input_total(), output: Some(usage.output_total()) };
        if let Ok(most) = sheet.worst_case(&bound) {
            prop_assert!(sheet.cost(&usage).unwrap() <= most.unwrap());
        }
        // A bound above what is used must hold too, tiers or not.
        let looser = WorstCase { input: bound.input + 1_000_000, output: bound.output };
        if let Ok(most) = sheet.worst_case(&looser) {
            prop_assert!(sheet.cost(&usage).unwrap() <= most.unwrap());
        }
    }

    #[test]
    fn many_requests_are_bounded_by_the_tier_of_the_longest(sheet in sheet(), one in usage(), other in usage()) {
        let longest = one.input_total().max(other.input_total());
        let sums = [one.input_total() + other.input_total(), one.output_total() + other.output_total()];
        let bound = WorstCase { input: sums[0], output: Some(sums[1]) };
        let each = or_max(sheet.cost(&one)).pico().checked_add(or_max(sheet.cost(&other)).pico());
        let most = sheet.worst_case_of_many(&bound, longest, Features::from_bits(u64::MAX));
        if let (Some(each), Ok(Some(most))) = (each, most) {
            // Each is rounded by itself, by half a pico-dollar at most.
            prop_assert!(each <= most.pico() + 1);
        }
    }

    #[test]
    fn leaving_features_out_leaves_no_used_bucket_uncovered(sheet in sheet(), usage in usage()) {
        let mut plain = usage;
        (plain.audio_input, plain.audio_output, plain.image_input) = (0, 0, 0);
        let features = Features::NONE.with(Feature::CacheHints);
        let bound = WorstCase { input: plain.input_total(), output: Some(plain.output_total()) };
        if let Ok(most) = sheet.worst_case_for(&bound, features) {
            prop_assert!(sheet.cost(&plain).unwrap() <= most.unwrap());
        }
        plain.cache_write_long = 0;
        let bound = WorstCase { input: plain.input_total(), output: Some(plain.output_total()) };
        if let Ok(most) = sheet.worst_case_for(&bound, Features::NONE) {
            prop_assert!(sheet.cost(&plain).unwrap() <= most.unwrap());
        }
    }
}

#[test]
fn ten_to_the_twelve_tokens_are_priced_or_refused() {
    let at = |text: &str| Price::from_usd_per_million(text).unwrap();
    let usage = |tokens| Usage { input: tokens, output: tokens, ..Usage::default() };
    let cheap = PriceSheet::new("h/m", Mode::Standard, Rates::new(at("3"), at("6")), Vec::new());
    assert_eq!(cheap.cost(&usage(1_000_000_000_000)).unwrap(), Money::from_usd("9000000").unwrap());
    let dear = PriceSheet::new("h/m", Mode::Standard, Rates::new(at("3"), at("15")), Vec::new());
    assert_eq!(dear.cost(&usage(1_000_000_000_000)), Err(MoneyError::Overflow));
    assert_eq!(dear.cost(&usage(u64::MAX)), Err(MoneyError::Overflow));
}

#[test]
fn an_unbounded_output_has_no_worst_case() {
    let at = |text: &str| Price::from_usd_per_million(text).unwrap();
    let sheet = PriceSheet::new("h/m", Mode::Standard, Rates::new(at("1"), at("2")), Vec::new());
    assert_eq!(sheet.worst_case(&WorstCase { input: 10, output: None }), Ok(None));
}

#[test]
fn the_reservation_holds_when_the_price_changes_on_the_way() {
    let at = |text: &str| Price::from_usd_per_million(text).unwrap();
    let day = |days: i64| UnixMicros::from_secs(days * 86_400);
    let sheet = |output, from| {
        let rates = Rates::new(at("1"), at(output));
        let sheet = PriceSheet::new("h/m", Mode::Standard, rates, Vec::new());
        let sheet = sheet.from_time("h/m", from);
        catalog::Change { mode: Mode::Standard, from, sheet: Some(sheet) }
    };
    let timeline = PriceTimeline::new(vec![sheet("2", None), sheet("8", Some(day(10)))]);
    let bound = WorstCase { input: 0, output: Some(1_000_000) };
    let most = |from, until| {
        timeline.worst_case((from, until), Mode::Standard, &bound, Features::NONE).unwrap().unwrap()
    };
    assert_eq!(most(day(8), day(9)), Money::from_usd("2").unwrap());
    assert_eq!(most(day(9), day(10)), Money::from_usd("8").unwrap());
    assert_eq!(most(day(11), day(12)), Money::from_usd("8").unwrap());
}
