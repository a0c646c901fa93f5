//! `outrigger.yaml`: text in, checked data out, every problem at once with its place.
//!
//! Pure: the caller reads the file and answers what the environment holds ([`Env`]).

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod address;
mod auth;
mod aws;
mod budgets;
mod capabilities;
mod check;
mod content;
mod diagnostic;
mod explain;
mod fetch;
mod ledger;
mod load;
mod model;
mod oci;
mod origin;
mod overrides;
mod presets;
mod prices;
mod providers;
mod rates;
mod read;
mod render;
mod responses;
mod routing;
mod scalar;
mod schema;
mod scope;
mod server;
mod spec;
mod suggest;
mod teams;
mod telemetry;
mod tokens;
mod tree;
mod units;
mod yaml;
mod zero;

pub use diagnostic::{Diagnostic, Severity};
pub use explain::{Explained, codes, data_plane, explain};
pub use fetch::{FetchHost, FetchHosts, FetchUrls};
pub use load::{Loaded, load};
pub use model::{
    Auth, Aws, AwsAround, AwsKeys, AzureLogin, AzureProof, Capability, Circuit, Config, Content,
    Disconnect, Durability, GoogleLogin, KeyPolicy, Ledger, LogFormat, Network, Oci, OciKey,
    PriceOverride, Prices, Provider, ProviderKind, RateLimit, Responses, Retries, RoledOffer,
    Routing, Secret, Server, ServerLimits, Team, Telemetry, Timeouts, Tls, TokenSource, Tokens,
    Unpriced,
};
pub use origin::{Leaf, Origin};
pub use render::{render, to_json};
pub use schema::schema;
pub use zero::{Found, FoundBy, zero, zero_text};

/// What the configuration may ask of its surroundings.
pub trait Env {
    /// The value of an environment variable.
    fn var(&self, name: &str) -> Option<String>;
    /// Names and values of all variables that begin with `OUTRIGGER_`.
    fn outrigger_vars(&self) -> Vec<(String, String)>;
    /// Whether a file named by `file:` can be read; the error is the reason, for a person.
    fn readable(&self, path: &str) -> Result<(), String>;
}

/// What the configuration needs to know of a provider by its preset's name; the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresetFacts {
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// Where it answers; none when every user has their own address.
    pub base_url: Option<String>,
    /// Where its dialects are that are not at `base_url`: an address, or (beginning with `/`) a path below it.
    pub base_urls: Vec<(domain::DialectId, String)>,
    /// What its base URL's placeholders stand for, where that is no matter of a cloud's own settings.
    pub address: Vec<catalog::AddressPart>,
    /// Base URLs by where the vendor promises that data stays.
    pub residency: Vec<(String, String)>,
    /// Headers that are sent where one of the environment variables is set.
    pub header_variables: Vec<(String, Vec<String>)>,
    /// Formats it speaks, the preferred one first.
    pub dialects: Vec<domain::DialectId>,
    /// Environment variables that usually hold its key, the first preferred.
    pub key_variables: Vec<String>,
    /// Whether it answers nobody without a key.
    pub key_required: bool,
    /// What requests signed with a key pair of AWS are signed for; none where they are not taken.
    pub aws: Option<String>,
    /// Whether it takes requests signed as Oracle Cloud wants it.
    pub oci: bool,
    /// Whose tokens it takes in a key's place.
    pub tokens: Option<catalog::Tokens>,
}

/// The presets by name.
pub trait Presets {
    /// The facts of one.
    fn facts(&self, name: &str) -> Option<PresetFacts>;
    /// All names, sorted.
    fn names(&self) -> Vec<String>;
}
