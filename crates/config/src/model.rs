//! The checked configuration: plain data in the words of `domain`, every value valid, every default filled in.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use domain::{
    CapabilityName, DialectId, Layer, ModelName, OfferId, OnLoss, Price, ProviderName, Role,
    TeamName, UnixMicros,
};
use limits::units::Rate;
use limits::{BudgetSpec, ScopeFilter};

use crate::FetchUrls;

/// Everything `outrigger.yaml` says, checked, with defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Listeners and their limits.
    pub server: Server,
    /// Who may call.
    pub auth: Auth,
    /// Configured endpoints, in the file's order. Never empty.
    pub providers: Vec<Provider>,
    /// What applications may ask for by name, in the file's order.
    pub capabilities: Vec<Capability>,
    /// Teams whose keys may not ask for everything, in the file's order.
    pub teams: Vec<Team>,
    /// Hard or soft limits over calendar windows, in the file's order.
    pub budgets: Vec<BudgetSpec>,
    /// Request and token rates and parallel caps, in the file's order.
    pub rates: Vec<RateLimit>,
    /// Prices that override the catalog's.
    pub prices: Prices,
    /// The record of every request.
    pub ledger: Ledger,
    /// Retries, breakers, and what happens when something can't be carried.
    pub routing: Routing,
    /// Logs and metrics.
    pub telemetry: Telemetry,
    /// Whether responses are kept.
    pub responses: Responses,
    /// Whether prompts and answers are logged.
    pub content: Content,
}

/// Listeners and their limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Address of the data plane.
    pub api: SocketAddr,
    /// Address of the admin API and metrics.
    pub admin: SocketAddr,
    /// TLS on the data plane.
    pub tls: Option<Tls>,
    /// Networks of load balancers and proxies: a connection from there speaks for many clients.
    pub trusted_proxies: Vec<Network>,
    /// Bounds on what a client may send.
    pub limits: ServerLimits,
    /// How long running requests may finish after SIGTERM.
    pub drain: Duration,
}

/// Certificate and key of the data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Path of the PEM certificate chain.
    pub cert: String,
    /// Path of the PEM private key.
    pub key: String,
    /// How often the files are looked at for a change.
    pub reload: Duration,
}

/// An address range in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The network's address.
    pub address: IpAddr,
    /// Leading bits that must agree: 0 to 32 (IPv4) or 128 (IPv6).
    pub prefix: u8,
}

impl Network {
    /// Whether the address is within. An IPv4 address may come in IPv6's clothes.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differs = network.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differs = network.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

/// Bounds on what a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Longest request body, in bytes.
    pub body: u64,
    /// All header lines together, in bytes.
    pub headers_size: u64,
    /// Number of header lines.
    pub headers: u32,
    /// Time a client has to send its headers.
    pub headers_timeout: Duration,
    /// How long a kept-alive connection may idle.
    pub idle_timeout: Duration,
    /// Open connections, all clients together.
    pub connections: u32,
    /// Open connections from one address that is no trusted proxy's.
    pub connections_per_ip: u32,
}

/// Who may call the data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Whether a virtual key is needed.
    pub keys: KeyPolicy,
}

/// Whether a virtual key is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPolicy {
    /// Every request bears a virtual key.
    Required,
    /// Requests from this machine need none. Only legal on a loopback address.
    LoopbackOpen,
}

impl KeyPolicy {
    /// The word used in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::LoopbackOpen => "loopback-open",
        }
    }
}

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenAI's own API.
    Openai,
    /// Anthropic's own API.
    Anthropic,
    /// Anything that speaks OpenAI's chat completions at a base URL.
    OpenaiCompatible,
    /// The built-in fake partner: no network, no cost.
    Demo,
}

impl ProviderKind {
    /// The word used in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::OpenaiCompatible => "openai-compatible",
            Self::Demo => "demo",
        }
    }
}

/// A configured endpoint that serves models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name: the first segment of its offers' ids.
    pub name: ProviderName,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// The catalog's preset it takes its facts, quirks and prices from; none for a bare base URL.
    pub preset: Option<String>,
    /// Where it answers, without a trailing slash; empty for `demo`.
    pub base_url: String,
    /// Where its dialects are that are not at `base_url`, without a trailing slash.
    pub base_urls: Vec<(DialectId, String)>,
    /// Formats it speaks, the preferred one first. Never empty.
    pub dialects: Vec<DialectId>,
    /// Its credentials, spread over requests; empty when it needs none.
    pub keys: Vec<Secret>,
    /// Whether its base URL may resolve to a private address.
    pub allow_private_address: bool,
    /// Its deadlines.
    pub timeouts: Timeouts,
    /// Headers added to every request to it.
    pub headers: Vec<(String, Secret)>,
    /// Its models; empty means those of the catalog, and any other id is passed on.
    pub models: Vec<ModelName>,
    /// Value of `anthropic-version` sent to it, where the client sent none.
    pub anthropic_version: Option<String>,
    /// Facts that replace the catalog's: layer and its nodes (one for a partition).
    pub layers: Vec<(Layer, Vec<String>)>,
    /// Path of a PEM file with the authorities that may sign its certificate, instead of the system's.
    pub tls_ca: Option<String>,
    /// How requests to it are signed, where it wants that and there is no other key.
    pub aws: Option<Aws>,
    /// Who pays and how requests are signed at Oracle Cloud, where it is asked there without a key.
    pub oci: Option<Oci>,
    /// How tokens for it are had, where it takes them and there is no key.
    pub tokens: Option<Tokens>,
}

/// Short-lived tokens of a cloud's log-in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// What they are asked for.
    pub scope: String,
    /// Who gives them out, and to whom.
    pub from: TokenSource,
}

/// Who gives out tokens, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// Google.
    Google(GoogleLogin),
    /// Microsoft Entra.
    Azure(AzureLogin),
}

/// Who asks Google for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoogleLogin {
    /// The service account or the user of this JSON, as Google's tools write it.
    Key(Secret),
    /// The machine itself.
    Metadata {
        /// `metadata.google.internal`, or an address with a port.
        host: String,
    },
}

/// Who asks Microsoft Entra for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureLogin {
    /// An application.
    Application {
        /// `https://login.microsoftonline.com`.
        authority: String,
        /// The tenant's id or domain.
        tenant: String,
        /// The application's id.
        client_id: String,
        /// What shows that it is the application.
        proof: AzureProof,
    },
    /// The machine itself, by an identity that Azure manages.
    Machine {
        /// Where its metadata service is.
        origin: String,
        /// Which identity, where it has several.
        client_id: Option<String>,
    },
    /// The same in App Service, Functions and Container Apps.
    AppService {
        /// Where tokens are given out.
        url: String,
        /// What is shown for them.
        secret: Secret,
        /// Which identity, where there are several.
        client_id: Option<String>,
    },
}

/// What shows that it is an application that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureProof {
    /// Its secret.
    Secret(Secret),
    /// A token of another issuer that the application trusts, in a file that is replaced before it expires.
    File(String),
}

/// Access to Oracle Cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oci {
    /// The OCID of the compartment that is billed.
    pub compartment: String,
    /// With what requests are signed.
    pub key: OciKey,
}

/// Where a signing key of Oracle Cloud is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OciKey {
    /// Named piece by piece.
    Named {
        /// The tenancy's OCID.
        tenancy: String,
        /// The user's OCID.
        user: String,
        /// `20:3b:97:...`.
        fingerprint: String,
        /// PEM.
        private_key: Secret,
    },
    /// In the file that Oracle's own tools keep.
    Profile {
        /// Which profile.
        name: String,
        /// Which file.
        path: String,
        /// What `~` stands for in it.
        home: String,
    },
}

/// Signing for AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aws {
    /// `us-east-1`.
    pub region: String,
    /// The service's name in a signature.
    pub service: String,
    /// With what.
    pub keys: AwsKeys,
}

/// What a profile of AWS's own tools may refer to: a role that it takes on, and whose pair that is done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsAround {
    /// The file that holds profiles without secrets, where it can be read.
    pub config: Option<String>,
    /// The region whose token service is asked.
    pub region: String,
    /// Where that is.
    pub sts: String,
    /// Where an instance's metadata service is.
    pub instance: String,
    /// Where a container's pair is, where this runs in one.
    pub container: Option<AwsKeys>,
}

/// Where a key pair of AWS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsKeys {
    /// Named one by one.
    Pair {
        /// The public half.
        access_key_id: Secret,
        /// The secret half.
        secret_access_key: Secret,
        /// The token of a temporary pair.
        session_token: Option<Secret>,
    },
    /// In the file that AWS's own tools keep.
    Profile {
        /// Which profile.
        name: String,
        /// Which file.
        path: String,
        /// What the profile may refer to.
        around: Box<AwsAround>,
    },
    /// Given to the container that this runs in, for a while.
    Container {
        /// Where.
        url: String,
        /// What is shown for it; a file is read anew each time.
        token: Option<Secret>,
    },
    /// Given to the instance that this runs on, for a while.
    Instance {
        /// Where its metadata service is.
        url: String,
    },
    /// Given to whoever bears the token of another issuer, for a while.
    WebIdentity {
        /// Where AWS's token service is.
        url: String,
        /// The role's ARN.
        role: String,
        /// The name under which AWS's own logs have it.
        session: String,
        /// The token's file, read anew each time.
        file: String,
    },
}

/// Where a secret is. Its value is read by the caller, at start and on reload.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secret {
    /// In this environment variable.
    Env(String),
    /// In this file, surrounding white space not counted.
    File(String),
    /// In the configuration itself; `check` warns.
    Plain(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.shown())
    }
}

impl Secret {
    /// How it may be shown: the reference, never a plain value.
    pub fn shown(&self) -> String {
        match self {
            Self::Env(name) => format!("env:{name}"),
            Self::File(path) => format!("file:{path}"),
            Self::Plain(_) => "(hidden)".into(),
        }
    }
}

/// A provider's deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS together.
    pub connect: Duration,
    /// From the request being sent to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// The whole attempt.
    pub total: Duration,
}

/// A named list of offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// What applications ask for.
    pub name: CapabilityName,
    /// Its offers, core ones first, each once. Never empty.
    pub offers: Vec<RoledOffer>,
    /// Whether a lossy translation may go ahead.
    pub on_loss: OnLoss,
    /// Output bound that is written into requests that set none; those that are only forwarded keep the client's bytes.
    pub max_output: Option<u64>,
}

/// An offer and the part it plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoledOffer {
    /// The offer; its provider is configured.
    pub offer: OfferId,
    /// Its part.
    pub role: Role,
}

/// A team whose keys may not ask for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Its name, as its keys bear it.
    pub name: TeamName,
    /// What its keys may ask for. Never empty; every one is configured.
    pub capabilities: Vec<CapabilityName>,
}

/// Rates and parallel caps of a scope; at least one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Its name, unique.
    pub name: String,
    /// What it counts.
    pub scope: ScopeFilter,
    /// Requests in a period.
    pub requests: Option<Rate>,
    /// Tokens in a period.
    pub tokens: Option<Rate>,
    /// Requests at the same time.
    pub parallel: Option<u32>,
}

/// Prices that override the catalog's, and what happens without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// Whether a request whose cost can't be known may pass a money budget.
    pub unpriced: Unpriced,
    /// Overrides, in the file's order.
    pub overrides: Vec<PriceOverride>,
}

/// Whether a request whose cost can't be known may pass a money budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpriced {
    /// It passes, its cost marked unknown.
    Allow,
    /// It is refused.
    Reject,
}

/// The price of one offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceOverride {
    /// The offer.
    pub offer: OfferId,
    /// Fresh input.
    pub input: Price,
    /// Output.
    pub output: Price,
    /// Input read from the provider's cache; none means as fresh input.
    pub cache_read: Option<Price>,
    /// Input written to the provider's cache; none means as fresh input.
    pub cache_write: Option<Price>,
    /// Reasoning tokens; none means as output.
    pub reasoning: Option<Price>,
    /// Of sound that is heard.
    pub audio_input: Option<Price>,
    /// Of sound that is made.
    pub audio_output: Option<Price>,
}

/// Whether responses are kept, so that later ones build on them by their id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responses {
    /// Yes, unless a request says no.
    pub store: bool,
    /// How long, since one was made or last built upon.
    pub keep: Duration,
    /// How many bytes in all.
    pub max_size: u64,
}

/// The record of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Whether an intent is on disk before its attempt leaves.
    pub durability: Durability,
    /// The data folder.
    pub dir: String,
    /// How long rows are kept before `ledger prune` may take them; none leaves it to whoever prunes.
    pub keep: Option<Duration>,
}

impl Ledger {
    /// Since when rows are kept at `now`: those from before may be pruned.
    pub fn kept_since(&self, now: UnixMicros) -> Option<UnixMicros> {
        let micros = i64::try_from(self.keep?.as_micros()).unwrap_or(i64::MAX);
        Some(now.plus_micros(micros.saturating_neg()))
    }
}

/// Whether an intent is on disk before its attempt leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Yes.
    Strict,
    /// No: at most 50 ms of rows may be lost in a crash.
    Relaxed,
}

/// Retries, breakers, and what happens when something can't be carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// Further attempts of one request.
    pub retries: Retries,
    /// What a client that leaves does to its attempt.
    pub on_client_disconnect: Disconnect,
    /// When an offer is set aside.
    pub circuit: Circuit,
    /// Whether a lossy translation may go ahead, where the capability does not say.
    pub on_loss: OnLoss,
    /// From where images and documents at URLs are fetched for offers that take them inline only.
    pub fetch_urls: FetchUrls,
    /// Output bound of requests that set none, for models whose own limit is unknown: written into requests that are
    /// translated, assumed of those that are only forwarded.
    pub default_max_output: Option<u64>,
}

/// Further attempts of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Most retries of one request on the same offer.
    pub max: u32,
    /// Retries as a share of requests, in hundredths of a percent: 1,000 is 10 %.
    pub budget_basis_points: u32,
}

/// What a client that leaves does to its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disconnect {
    /// The attempt is cancelled.
    Cancel,
    /// It is read to its end, so that its usage is known.
    Drain,
    /// It is read for this long, then cancelled.
    DrainUpTo(Duration),
}

/// When an offer is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Share of failures, in hundredths of a percent: 5,000 is 50 %.
    pub open_at_basis_points: u32,
    /// Over so many calls.
    pub over_calls: u32,
    /// When it is tried again.
    pub probe_after: Duration,
}

/// Logs and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Least severe level that is logged: `error`, `warn`, `info`, `debug`, `trace`.
    pub log: String,
    /// Layout of log lines.
    pub log_format: LogFormat,
    /// Whether `/metrics` is served on the admin listener.
    pub prometheus: bool,
}

/// Layout of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
    /// For people on a terminal, JSON otherwise.
    Auto,
}

/// Whether prompts and answers are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Always false in this version.
    pub log: bool,
}
