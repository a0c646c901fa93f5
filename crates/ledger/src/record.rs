//! What the ledger is made of. [`crate::encode`] says how each record looks in bytes.
//!
//! One attempt at one offer has the key ([`RequestId`], call, attempt). Its [`Intent`] is durable before
//! anything is sent (strict durability); exactly one [`Settlement`] or [`WriteOff`] closes it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use domain::{
    AppName, CapabilityName, Endpoint, ErrorClass, Fate, Features, KeyPublicId, LossReport, Money,
    OfferId, OutcomeClass, RequestId, RequestLimits, TeamName, UnixMicros, Usage, UsageQuality,
};

/// A record's place in the log, from 1, without gaps.
pub type Seq = u64;

/// A short word: borrowed from the program when written, owned when read back.
pub type Word = Cow<'static, str>;

/// The most candidates an intent remembers.
pub const CANDIDATES_MAX: usize = 16;

/// What identifies one attempt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey {
    /// The client's request.
    pub request: RequestId,
    /// The upstream call, from 0: more than one where `n` answers need several calls.
    pub call: u16,
    /// The attempt at that call, from 0.
    pub attempt: u16,
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}", self.request, self.call, self.attempt)
    }
}

impl fmt::Debug for AttemptKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// An amount in every unit that a budget can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Money; zero where the price is unknown.
    pub money: Money,
    /// Tokens, input and output.
    pub tokens: u64,
    /// Requests: 1 at a request's first attempt, 0 at later ones.
    pub requests: u32,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self { money: Money::ZERO, tokens: 0, requests: 0 };

    /// What is left of this reservation after `charged`: never below zero in any unit.
    pub fn released_after(&self, charged: &Self) -> Self {
        let money = self.money.checked_sub(charged.money).unwrap_or(Money::ZERO).max(Money::ZERO);
        Self {
            money,
            tokens: self.tokens.saturating_sub(charged.tokens),
            requests: self.requests.saturating_sub(charged.requests),
        }
    }
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Unit {
    /// Pico-USD.
    Money = 0,
    /// Tokens.
    Tokens = 1,
    /// Requests.
    Requests = 2,
}

impl Unit {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Money => "money",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
        }
    }

    /// The inverse of the discriminant.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Money, Self::Tokens, Self::Requests].into_iter().find(|unit| *unit as u8 == code)
    }
}

/// A budget window that an attempt is charged to, with the terms in force at its admission: a verifier needs
/// neither the configuration nor a time zone database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The budget's name, unique in the gateway: `team/search`, `key/abc123/0`.
    pub budget: Arc<str>,
    /// The window's first instant.
    pub start: UnixMicros,
    /// The first instant after the window; [`UnixMicros`] of `i64::MAX` for a budget without an end.
    pub end: UnixMicros,
    /// What it counts.
    pub unit: Unit,
    /// The limit at admission: pico-USD, tokens or requests.
    pub limit: i128,
    /// Whether the limit refuses; a soft budget only reports.
    pub hard: bool,
}

/// An offer that was considered, and what was decided about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// [`offer_code`] of the offer; the configuration's record lists the offers' names.
    pub offer: u32,
    /// The policy's reason code; its meaning is the policy's and never reused.
    pub reason: u8,
}

/// A stable 32-bit code of an offer's name (FNV-1a): what candidates are remembered by.
pub fn offer_code(offer: &str) -> u32 {
    offer.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A request feature that was not carried natively.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The client's field.
    pub field: Word,
    /// What was done.
    pub fate: Fate,
}

/// The losses of a report, as an intent keeps them.
pub fn lost(report: &LossReport) -> Vec<Lost> {
    let keep = |loss: &domain::Loss| Lost { field: Cow::Borrowed(loss.field), fate: loss.fate };
    report.losses().iter().map(keep).collect()
}

/// Yes-or-no facts about an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The client asked for a stream.
    pub stream: bool,
    /// Part of a drill.
    pub drill: bool,
    /// A copy sent for comparison; the client never sees its answer.
    pub mirror: bool,
    /// A second try at the same offer.
    pub retry: bool,
    /// A try at another offer after one failed.
    pub failover: bool,
    /// The price was unknown at admission, so the money reserved is zero although the attempt may cost.
    pub unpriced: bool,
}

impl Marks {
    pub(crate) fn bits(self) -> u8 {
        [self.stream, self.drill, self.mirror, self.retry, self.failover, self.unpriced]
            .into_iter()
            .enumerate()
            .fold(0, |bits, (index, on)| bits | (u8::from(on) << index))
    }

    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        let on = |index: u8| bits & (1 << index) != 0;
        (bits < 64).then(|| Self {
            stream: on(0),
            drill: on(1),
            mirror: on(2),
            retry: on(3),
            failover: on(4),
            unpriced: on(5),
        })
    }
}

/// How durable an acknowledged record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Durability {
    /// On disk before it is acknowledged.
    #[default]
    Strict = 0,
    /// On disk at most 50 ms after it is acknowledged.
    Relaxed = 1,
}

impl Durability {
    /// The word used in the configuration and in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Relaxed => "relaxed",
        }
    }

    /// The inverse of the discriminant.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Strict, Self::Relaxed].into_iter().find(|it| *it as u8 == code)
    }
}

/// The process started: every intent before this and not closed is unsettled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// When.
    pub at: UnixMicros,
    /// The program's version.
    pub version: Word,
    /// The configuration in force.
    pub config_revision: u32,
    /// The promise made for the records that follow.
    pub durability: Durability,
}

/// A clean stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// When.
    pub at: UnixMicros,
    /// Why, in a word: `sigterm`, `drain_deadline`.
    pub why: Word,
}

/// A budget as configured, for people; what binds stands in each [`Charge`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetDefinition {
    /// Its name, as in [`Charge::budget`].
    pub name: Arc<str>,
    /// Whom it binds, in words: `team=search`.
    pub scope: Word,
    /// What it counts.
    pub unit: Unit,
    /// The limit: pico-USD, tokens or requests.
    pub limit: i128,
    /// The window in words: `day Europe/Berlin`.
    pub window: Word,
    /// Whether it refuses.
    pub hard: bool,
}

/// A configuration came into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// When.
    pub at: UnixMicros,
    /// Its number.
    pub revision: u32,
    /// SHA-256 of its text, so that a revision can be matched to a file.
    pub digest: [u8; 32],
    /// The budgets.
    pub budgets: Vec<BudgetDefinition>,
    /// The offers, `provider/model`: what [`Candidate::offer`] refers to.
    pub offers: Vec<Arc<str>>,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyAction {
    /// Made.
    Created = 0,
    /// Given a new secret.
    Rotated = 1,
    /// Ended.
    Revoked = 2,
}

impl KeyAction {
    /// The word used in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Rotated => "rotated",
            Self::Revoked => "revoked",
        }
    }

    /// The inverse of the discriminant.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Created, Self::Rotated, Self::Revoked].into_iter().find(|it| *it as u8 == code)
    }
}

/// A virtual key changed. Never holds a secret or a hash of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// When.
    pub at: UnixMicros,
    /// What happened.
    pub action: KeyAction,
    /// The key's public part.
    pub key: KeyPublicId,
    /// Whose it is.
    pub app: AppName,
    /// The team, if any.
    pub team: Option<TeamName>,
    /// Its budgets, in words.
    pub budgets: Vec<Word>,
    /// What it may ask for; empty: everything. `None` in records from before this was kept.
    pub capabilities: Option<Vec<CapabilityName>>,
}

/// A request that was refused before any attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its id.
    pub request: RequestId,
    /// When.
    pub at: UnixMicros,
    /// The key, where one was recognised.
    pub key: Option<KeyPublicId>,
    /// The application, where one was recognised.
    pub app: Option<AppName>,
    /// The team, where one was recognised.
    pub team: Option<TeamName>,
    /// The model name as asked, at most 200 bytes, where it was read.
    pub model: Option<Word>,
    /// The error's code word: `budget_exceeded`.
    pub code: Word,
    /// What was called.
    pub endpoint: Endpoint,
    /// The client's dialect.
    pub client_dialect: Word,
    /// The configuration in force.
    pub config_revision: u32,
    /// What was considered, for `no candidate`.
    pub candidates: Vec<Candidate>,
}

/// Written, and in strict mode durable, before an attempt leaves for a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Which attempt.
    pub id: AttemptKey,
    /// When the request was admitted: decides the budget windows.
    pub admitted_at: UnixMicros,
    /// When the attempt was handed to the ledger, on its way out.
    pub dispatched_at: UnixMicros,
    /// When the attempt must have ended: a reservation older than this and a minute is a fault.
    pub deadline: UnixMicros,
    /// The virtual key; none where keys are not required.
    pub key: Option<KeyPublicId>,
    /// The application.
    pub app: AppName,
    /// The team.
    pub team: Option<TeamName>,
    /// What the client asked for by name.
    pub capability: CapabilityName,
    /// The offer that is tried.
    pub offer: OfferId,
    /// The offer that the client named, where it named one.
    pub requested_offer: Option<OfferId>,
    /// What is called.
    pub endpoint: Endpoint,
    /// The client's dialect: `openai-chat`.
    pub client_dialect: Word,
    /// The provider's dialect.
    pub provider_dialect: Word,
    /// The contract, by name.
    pub contract: Option<Arc<str>>,
    /// The limits the client set.
    pub limits: RequestLimits,
    /// Upper bound of the input, tokens.
    pub context_bound: u64,
    /// What the request uses.
    pub features: Features,
    /// Residency the request is bound to.
    pub residency: Vec<Arc<str>>,
    /// Hash of the prefix that a prompt cache would hold.
    pub prefix_key: u64,
    /// Version of the policy that chose.
    pub policy_version: u32,
    /// The configuration in force.
    pub config_revision: u32,
    /// The price sheet's version at admission.
    pub price_version: Option<u64>,
    /// What is reserved, in every unit.
    pub reserved: Amount,
    /// The budget windows that it is reserved from.
    pub charges: Vec<Charge>,
    /// What was considered, best first; the first sixteen are kept.
    pub candidates: Vec<Candidate>,
    /// Yes-or-no facts.
    pub marks: Marks,
    /// What the translation did not carry natively.
    pub losses: Vec<Lost>,
}

/// How an attempt ended and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which attempt.
    pub id: AttemptKey,
    /// How it ended.
    pub outcome: OutcomeClass,
    /// What went wrong, if anything.
    pub error: ErrorClass,
    /// What was used.
    pub usage: Usage,
    /// How far `usage` can be trusted.
    pub quality: UsageQuality,
    /// What it cost; `None` where no price is known.
    pub cost: Option<Money>,
    /// What the budgets are charged.
    pub charged: Amount,
    /// What goes back: [`Amount::released_after`] of the reservation.
    pub released: Amount,
    /// The price sheet's version at completion.
    pub price_version: Option<u64>,
    /// The price tier that applied; 0 is the base.
    pub price_tier: u8,
    /// When it was sent.
    pub dispatched_at: UnixMicros,
    /// When the first byte of the answer came.
    pub first_byte_at: Option<UnixMicros>,
    /// When it ended.
    pub done_at: UnixMicros,
    /// The provider's id of the request; the first 64 bytes are kept.
    pub upstream_id: Option<Word>,
    /// Why the model stopped: `stop`, `length`.
    pub finish: Option<Word>,
    /// The provider's status code; 0 where there was none.
    pub upstream_code: u16,
    /// The model that the answer names.
    pub model: Option<Word>,
    /// Yes-or-no facts.
    pub marks: Marks,
}

/// An attempt was given up: by an operator, or by the gateway where nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteOff {
    /// Which attempt.
    pub id: AttemptKey,
    /// When.
    pub at: UnixMicros,
    /// What the budgets are charged: nothing, or the whole reservation.
    pub charged: Amount,
    /// What goes back.
    pub released: Amount,
    /// Why.
    pub why: Word,
    /// Who.
    pub by: Word,
}

/// Everything up to `through` was pruned; the balances stand here instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// When.
    pub at: UnixMicros,
    /// The last record that went.
    pub through: Seq,
    /// Chain hash of the last record that went: the first one left continues from it.
    pub chain: [u8; 32],
    /// How many records went.
    pub removed: u64,
    /// SHA-256 over the bodies that went, in order.
    pub digest: [u8; 32],
    /// [`crate::replay::Replay`] as it stood after `through`, encoded.
    pub state: Vec<u8>,
    /// The ledger's public key.
    pub public_key: [u8; 32],
    /// Ed25519 over [`crate::chain::checkpoint_message`].
    pub signature: [u8; 64],
}

/// A record that was set aside by a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Its place.
    pub seq: Seq,
    /// Its true chain hash, where its own bytes or its successor still prove it; else the record after it is
    /// taken at its word.
    pub chain: Option<[u8; 32]>,
}

/// Records that could not be read were set aside; the chain continues over their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// When.
    pub at: UnixMicros,
    /// The records whose originals were set aside, ascending.
    pub damaged: Vec<Damaged>,
    /// SHA-256 over the originals, in order.
    pub digest: [u8; 32],
    /// Who.
    pub by: Word,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The process started.
    Start(Start),
    /// It stopped cleanly.
    Stop(Stop),
    /// A configuration came into force.
    Config(Box<ConfigChange>),
    /// A key changed.
    Key(Box<KeyEvent>),
    /// A request was refused before any attempt.
    Refusal(Box<Refusal>),
    /// An attempt is about to leave.
    Intent(Box<Intent>),
    /// An attempt ended.
    Settlement(Box<Settlement>),
    /// An attempt was given up.
    WriteOff(Box<WriteOff>),
    /// Older records were pruned.
    Checkpoint(Box<Checkpoint>),
    /// Damaged records were set aside.
    Repair(Box<Repair>),
}

/// The kinds of record, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// See [`Start`].
    Start = 1,
    /// See [`Stop`].
    Stop = 2,
    /// See [`ConfigChange`].
    Config = 3,
    /// See [`KeyEvent`].
    Key = 4,
    /// See [`Refusal`].
    Refusal = 5,
    /// See [`Intent`].
    Intent = 6,
    /// See [`Settlement`].
    Settlement = 7,
    /// See [`WriteOff`].
    WriteOff = 8,
    /// See [`Checkpoint`].
    Checkpoint = 9,
    /// See [`Repair`].
    Repair = 10,
}

impl Kind {
    /// Every kind, by code.
    pub const ALL: [Self; 10] = [
        Self::Start,
        Self::Stop,
        Self::Config,
        Self::Key,
        Self::Refusal,
        Self::Intent,
        Self::Settlement,
        Self::WriteOff,
        Self::Checkpoint,
        Self::Repair,
    ];

    /// The inverse of the discriminant.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// The word used in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Config => "config",
            Self::Key => "key",
            Self::Refusal => "refusal",
            Self::Intent => "intent",
            Self::Settlement => "settlement",
            Self::WriteOff => "write_off",
            Self::Checkpoint => "checkpoint",
            Self::Repair => "repair",
        }
    }
}

impl Record {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Start(_) => Kind::Start,
            Self::Stop(_) => Kind::Stop,
            Self::Config(_) => Kind::Config,
            Self::Key(_) => Kind::Key,
            Self::Refusal(_) => Kind::Refusal,
            Self::Intent(_) => Kind::Intent,
            Self::Settlement(_) => Kind::Settlement,
            Self::WriteOff(_) => Kind::WriteOff,
            Self::Checkpoint(_) => Kind::Checkpoint,
            Self::Repair(_) => Kind::Repair,
        }
    }

    /// When it was made, by the clock of its maker.
    pub fn at(&self) -> UnixMicros {
        match self {
            Self::Start(it) => it.at,
            Self::Stop(it) => it.at,
            Self::Config(it) => it.at,
            Self::Key(it) => it.at,
            Self::Refusal(it) => it.at,
            Self::Intent(it) => it.dispatched_at,
            Self::Settlement(it) => it.done_at,
            Self::WriteOff(it) => it.at,
            Self::Checkpoint(it) => it.at,
            Self::Repair(it) => it.at,
        }
    }

    /// The attempt it is about, where it is about one. A refusal is call 0, attempt 0 of its request.
    pub fn attempt(&self) -> Option<AttemptKey> {
        match self {
            Self::Refusal(it) => Some(AttemptKey { request: it.request, call: 0, attempt: 0 }),
            Self::Intent(it) => Some(it.id),
            Self::Settlement(it) => Some(it.id),
            Self::WriteOff(it) => Some(it.id),
            Self::Start(_)
            | Self::Stop(_)
            | Self::Config(_)
            | Self::Key(_)
            | Self::Checkpoint(_)
            | Self::Repair(_) => None,
        }
    }
}
