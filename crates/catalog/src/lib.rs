//! Makers, models, hosts, dated prices, life cycles, providers as data, and the layer graph's facts.
//!
//! The data files are compiled in (`data/`, see `data/README.md` for where they come from) and read on first
//! need, host by host, so that asking for [`builtin`] costs next to nothing at start. Nothing here reads a clock,
//! a file or the network: times are arguments.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod catalog;
#[cfg(test)]
mod convert;
mod dates;
mod decimal;
mod fact;
mod hosts;
mod hours;
pub mod import;
mod maker;
mod mode;
mod model;
mod model_quirks;
mod names;
mod overlay;
mod price;
mod provider;
mod provider_data;
mod table;
mod timeline;
mod version;
mod vision;

pub use catalog::{Catalog, builtin};

pub use fact::{Fact, Grade};
pub use hours::Hours;
pub use mode::Mode;
pub use model::{Found, Lifecycle, LifecycleStatus, Matched, ModelEntry, ModelFacts, ModelMode};
pub use model_quirks::model_quirks;
pub use names::nearest;
pub use overlay::{Overlay, OverlayError};
pub use price::{PriceSheet, Rates, Tier};
pub use provider::{
    AddressPart, AuthStyle, Canonical, Equity, Issuer, LayerFact, Maker, Preset, ProviderFacts,
    Tokens,
};
pub use timeline::{Change, PriceTimeline};
pub use version::PriceVersion;
pub use vision::{ImageRule, PatchLimit, image_rule};
