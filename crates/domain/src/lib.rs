//! The words of Outrigger as types: ids, money, tokens, usage, outcomes, layers, and the traits through
//! which pure code receives time and randomness.
//!
//! Nothing here reads a clock, an environment, a file or a random source, and nothing here knows a vendor's
//! JSON or an HTTP status. Types derive no `Deserialize`: what crosses a boundary is converted there by hand.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod calls;
mod dialect_id;
mod envelope;
mod feature;
mod ids;
mod layer;
mod loss;
mod media;
mod money;
mod outcome;
mod time;
mod usage;

pub use calls::{Endpoint, RateHint, RequestLimits, WorstCase};
pub use dialect_id::DialectId;
pub use envelope::Envelope;
pub use feature::{Feature, Features};
pub use ids::{
    AppName, CapabilityName, IdError, KeyPublicId, MakerName, ModelName, OfferId, ProviderName,
    RequestId, TeamName, valid_name,
};
pub use layer::{Layer, Role};
pub use loss::{Fate, Loss, LossReport, OnLoss};
pub use media::{ImageDetail, ImageInput};
pub use money::{Money, MoneyError, MoneySum, PICO_PER_USD, Price};
pub use outcome::{Blame, ErrorClass, OutcomeClass};
pub use time::{Clock, Rng, UnixMicros};
pub use usage::{Usage, UsageQuality};
