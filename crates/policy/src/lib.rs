//! Which offer serves a request, and why.
//!
//! [`plan`] is a pure function of a snapshot: it cannot fail, and at worst returns an empty plan with reasons.
//! [`Health`] learns from what attempts report and says which offers may be asked; [`retry`] decides whether a
//! failed attempt is repeated. Time and randomness are arguments; nothing here waits or is shared.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod breaker;
mod health;
mod past;
mod plan;
mod reason;
pub mod retry;

pub use health::{Claim, Health, HealthConfig, OfferReport};
pub use past::{Known, past_sentence};
pub use plan::{Allowed, Ask, Candidate, Explanation, OfferView, Plan, Snapshot, Tags, plan};
pub use reason::{Reason, Taken, Verdict, code_word};

/// An offer's number: given once per process and never to another offer, so it outlives a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfferIx(pub u16);

/// Whether an offer may be asked now, as far as its past tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Availability {
    /// Yes.
    #[default]
    Ready,
    /// Its breaker is open, and it is time for one request to try.
    Probe,
    /// It recovers: only a part of the eligible requests goes to it first, and this one is not among them.
    Ramp {
        /// The part, in percent.
        percent: u8,
        /// Whether the request may go there if it has nowhere else to go.
        lone: bool,
    },
    /// Its breaker is open.
    Open {
        /// What it failed with.
        class: domain::ErrorClass,
        /// When it is tried again.
        until: domain::UnixMicros,
        /// When a request that has nowhere else to go may try it.
        lone_at: domain::UnixMicros,
    },
    /// The provider asked to be left alone (`Retry-After`).
    SetAside {
        /// Until then.
        until: domain::UnixMicros,
    },
    /// Every credential for it was refused.
    NoCredential {
        /// When one is tried again, if ever.
        until: Option<domain::UnixMicros>,
    },
}
