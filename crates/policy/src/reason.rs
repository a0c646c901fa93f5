//! Why an offer was taken or left: one byte for the ledger, one word for the API, one sentence for a person.
//!
//! Codes are stored in the ledger and never reused:
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | not considered |
//! | 1 | taken: first |
//! | 2 | taken: next, if those before it fail |
//! | 3 | taken to try whether it works again |
//! | 4 | taken as a last resort |
//! | 16 to 31 | left: see [`Reason`] |
//! | 64 + class | left: breaker open for that [`ErrorClass`] |

use domain::{ErrorClass, Feature, UnixMicros};

/// How an offer was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Taken {
    /// It is asked first.
    First = 1,
    /// It is asked if those before it fail.
    Next = 2,
    /// It failed before; this request tries whether it works again.
    Probe = 3,
    /// It is not well, but nothing else is left.
    LastResort = 4,
}

/// Why an offer was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The key may not use it.
    NotAllowed,
    /// It does not serve this operation.
    Endpoint,
    /// It can't do something that the request uses.
    Feature(Feature),
    /// Translation would lose something (the feature, where it is known), and `on_loss: reject` is set.
    Lossy(Option<Feature>),
    /// The request is longer than its context.
    ContextTooLong {
        /// Tokens the request has at least.
        needs: u64,
        /// Tokens it holds.
        holds: u64,
    },
    /// It lies outside the residency that is required.
    Residency,
    /// The most it can cost is unknown, a money budget applies to it, and `unpriced: reject` is set.
    Unpriced,
    /// Its model was retired.
    Retired {
        /// When.
        at: UnixMicros,
    },
    /// It is not on offer yet.
    NotYet {
        /// When it will be.
        at: UnixMicros,
    },
    /// The provider asked to be left alone.
    SetAside {
        /// Until then.
        until: UnixMicros,
    },
    /// Every credential was refused.
    NoCredential {
        /// When one is tried again, if ever.
        until: Option<UnixMicros>,
    },
    /// It recovers, and this request is not among the part that goes to it.
    Ramp {
        /// The part, in percent.
        percent: u8,
    },
    /// Its breaker is open.
    BreakerOpen {
        /// What it failed with.
        class: ErrorClass,
        /// When it is tried again.
        until: UnixMicros,
    },
    /// The plan is long enough without it.
    PlanFull,
}

pub(crate) const BREAKER: u8 = 64;

impl Reason {
    /// The ledger's byte.
    pub fn code(self) -> u8 {
        match self {
            Self::NotAllowed => 16,
            Self::Endpoint => 17,
            Self::Feature(_) => 18,
            Self::Lossy(_) => 19,
            Self::ContextTooLong { .. } => 20,
            Self::Residency => 21,
            Self::Unpriced => 22,
            Self::Retired { .. } => 23,
            Self::NotYet { .. } => 24,
            Self::SetAside { .. } => 25,
            Self::NoCredential { .. } => 26,
            Self::Ramp { .. } => 27,
            Self::PlanFull => 28,
            Self::BreakerOpen { class, .. } => BREAKER + class as u8,
        }
    }

    /// When this stops being a reason, where that is a matter of time alone.
    pub fn retry_at(self) -> Option<UnixMicros> {
        match self {
            Self::SetAside { until } | Self::BreakerOpen { until, .. } => Some(until),
            Self::NoCredential { until } => until,
            Self::NotYet { at } => Some(at),
            _ => None,
        }
    }

    /// For a person; `offer` is the subject.
    pub fn sentence(self, offer: &str) -> String {
        match self {
            Self::NotAllowed => format!("`{offer}` is not among the offers this key may use."),
            Self::Endpoint => format!("`{offer}` does not serve this operation."),
            Self::Feature(feature) => {
                format!("`{offer}` can't do `{}`, which the request uses.", feature.as_str())
            }
            Self::Lossy(None) => format!(
                "`{offer}` would lose a part of the request in translation, and `on_loss: reject` is set."
            ),
            Self::Lossy(Some(feature)) => format!(
                "`{offer}` would lose `{}` in translation, and `on_loss: reject` is set.",
                feature.as_str()
            ),
            Self::ContextTooLong { needs, holds } => {
                format!("`{offer}` holds {holds} tokens; the request has at least {needs}.")
            }
            Self::Residency => format!("`{offer}` lies outside the required residency."),
            Self::Unpriced => format!(
                "the most `{offer}` can cost is unknown (no price, or nothing bounds its output), a money budget \
                 applies to it, and `unpriced: reject` is set."
            ),
            Self::Retired { at } => format!("`{offer}` was retired on {}.", day(at)),
            Self::NotYet { at } => format!("`{offer}` is not available before {}.", day(at)),
            Self::SetAside { until } => {
                format!("`{offer}` asked to be left alone until {until}.")
            }
            Self::NoCredential { until: Some(until) } => {
                format!("`{offer}` refused every credential; tried again at {until}.")
            }
            Self::NoCredential { until: None } => {
                format!("`{offer}` refused every credential.")
            }
            Self::Ramp { percent } => format!(
                "`{offer}` recovers and gets {percent} % of requests; this one went elsewhere."
            ),
            Self::PlanFull => format!("`{offer}` was not needed: the plan is long enough."),
            Self::BreakerOpen { class, until } => {
                format!("`{offer}` failed too often ({class}); tried again at {until}.")
            }
        }
    }
}

fn day(at: UnixMicros) -> String {
    at.to_string().chars().take(10).collect()
}

/// The word for a stored code, also one that carries no detail any more.
pub fn code_word(code: u8) -> &'static str {
    match code {
        0 => "not_considered",
        1 => "first",
        2 => "next",
        3 => "probe",
        4 => "last_resort",
        16 => "not_allowed",
        17 => "endpoint",
        18 => "feature",
        19 => "lossy",
        20 => "context_too_long",
        21 => "residency",
        22 => "unpriced",
        23 => "retired",
        24 => "not_yet",
        25 => "set_aside",
        26 => "no_credential",
        27 => "ramp",
        28 => "plan_full",
        code => breaker_word(code),
    }
}

fn breaker_word(code: u8) -> &'static str {
    match code.checked_sub(BREAKER).and_then(ErrorClass::from_code) {
        Some(ErrorClass::Unreachable) => "breaker_unreachable",
        Some(ErrorClass::Timeout) => "breaker_timeout",
        Some(ErrorClass::RateLimited) => "breaker_rate_limited",
        Some(ErrorClass::Overloaded) => "breaker_overloaded",
        Some(ErrorClass::ServerError) => "breaker_server_error",
        Some(ErrorClass::BadResponse) => "breaker_bad_response",
        Some(ErrorClass::ModelNotFound) => "breaker_model_not_found",
        Some(ErrorClass::Stall) => "breaker_stall",
        Some(_) => "breaker",
        None => "unknown",
    }
}

/// What became of one candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In the plan, at that rank from 0.
    Taken(u8, Taken),
    /// Not in the plan.
    Left(Reason),
}

impl Verdict {
    /// The ledger's byte.
    pub fn code(self) -> u8 {
        match self {
            Self::Taken(_, how) => how as u8,
            Self::Left(reason) => reason.code(),
        }
    }

    /// The word used in the API.
    pub fn word(self) -> &'static str {
        code_word(self.code())
    }

    /// For a person; `offer` is the subject.
    pub fn sentence(self, offer: &str) -> String {
        match self {
            Self::Taken(_, Taken::First) => format!("`{offer}` is asked first."),
            Self::Taken(rank, Taken::Next) => {
                format!("`{offer}` is number {} if those before it fail.", u16::from(rank) + 1)
            }
            Self::Taken(rank, Taken::Probe) => format!(
                "`{offer}` is number {}: it failed before, and this request tries whether it works again.",
                u16::from(rank) + 1
            ),
            Self::Taken(rank, Taken::LastResort) => format!(
                "`{offer}` is number {}: it is not well, but nothing else is left.",
                u16::from(rank) + 1
            ),
            Self::Left(reason) => reason.sentence(offer),
        }
    }
}
