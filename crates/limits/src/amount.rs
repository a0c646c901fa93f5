//! What is asked for, what was used, and in which unit.

use std::fmt;

use domain::{Money, MoneySum};

/// What a budget or a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Unit {
    /// Pico-USD.
    Money = 0,
    /// Tokens, input and output together.
    Tokens = 1,
    /// Requests of clients (not attempts).
    Requests = 2,
}

impl Unit {
    /// The word used in config, rows and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Money => "USD",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }

    /// The inverse of the discriminant, as stored in the ledger.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Money, Self::Tokens, Self::Requests].into_iter().find(|unit| *unit as u8 == code)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// An amount with its unit: `5.00 USD`, `2000000 tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// The unit.
    pub unit: Unit,
    /// How much: pico-USD, tokens or requests.
    pub amount: i128,
}

impl Quantity {
    /// The amount without its unit: `5.00`, `2000000`.
    pub fn figure(&self) -> String {
        match self.unit {
            Unit::Money => MoneySum::from_pico(self.amount).to_string(),
            Unit::Tokens | Unit::Requests => self.amount.to_string(),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.figure(), self.unit)
    }
}

/// What to do with a request whose worst case is unknown (no price, or an output that nothing bounds) when a
/// limit in that unit applies to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unpriced {
    /// Let it pass, counted as zero and flagged, while the limit has any room left.
    #[default]
    Allow,
    /// Refuse it.
    Reject,
}

/// The worst case of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Most it can cost; `None` when nothing bounds it or no price is known.
    pub money: Option<Money>,
    /// Most tokens it can use; `None` when nothing bounds it.
    pub tokens: Option<u64>,
    /// How many requests it counts as; a budget or rate counts them once per ticket.
    pub requests: u64,
    /// What an unknown worst case means.
    pub unpriced: Unpriced,
}

impl Ask {
    /// One request of a known worst case.
    pub fn one(money: Money, tokens: u64) -> Self {
        Self { money: Some(money), tokens: Some(tokens), requests: 1, unpriced: Unpriced::Reject }
    }

    /// The part in `unit`. An amount below zero would widen a budget and counts as zero.
    pub(crate) fn in_unit(&self, unit: Unit) -> Option<i64> {
        match unit {
            Unit::Money => self.money.map(|money| money.pico().max(0)),
            Unit::Tokens => self.tokens.map(clamped),
            Unit::Requests => Some(clamped(self.requests)),
        }
    }
}

/// What one attempt really used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actual {
    /// What it cost; `None` when nobody knows: then what was reserved stays charged.
    pub money: Option<Money>,
    /// Tokens used; `None` when nobody knows: then what was reserved stays charged.
    pub tokens: Option<u64>,
}

impl Actual {
    /// Nothing was billed.
    pub const NOTHING: Self = Self { money: Some(Money::ZERO), tokens: Some(0) };
    /// Nobody knows: the whole reservation is charged.
    pub const UNKNOWN: Self = Self { money: None, tokens: None };

    /// A known use.
    pub fn known(money: Money, tokens: u64) -> Self {
        Self { money: Some(money), tokens: Some(tokens) }
    }

    /// The part in `unit`; `None` charges what was reserved, which is what a request counts as.
    pub(crate) fn in_unit(&self, unit: Unit) -> Option<i64> {
        match unit {
            Unit::Money => self.money.map(|money| money.pico().max(0)),
            Unit::Tokens => self.tokens.map(clamped),
            Unit::Requests => None,
        }
    }
}

fn clamped(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
