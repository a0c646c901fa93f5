//! Declared facts carry where they come from, when that was seen, and how far to trust it.

use std::borrow::Cow;
use std::fmt;

/// How far a declared fact can be trusted. Reports show the weakest grade that they rest on, so the order matters:
/// `A` is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Grade {
    /// Measured by us, or the text of a contract.
    A = 0,
    /// Published by the party it is about.
    B = 1,
    /// Told by a third party: a table, the press, an observer.
    C = 2,
    /// Inferred or assumed.
    D = 3,
}

impl Grade {
    /// The letter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }

    /// The grade of that letter.
    pub fn parse(letter: &str) -> Option<Self> {
        [Self::A, Self::B, Self::C, Self::D].into_iter().find(|grade| grade.as_str() == letter)
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A value and its provenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact<T> {
    /// What is claimed.
    pub value: T,
    /// Who says so: a link, or publisher and title where no link is sure.
    pub source: Cow<'static, str>,
    /// When that was so or was read, `YYYY-MM-DD` or `YYYY-MM`; empty when unknown.
    pub date: Cow<'static, str>,
    /// How far to trust it.
    pub grade: Grade,
}
