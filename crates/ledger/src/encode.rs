//! Records as bytes.
//!
//! ```text
//! offset  size  what
//!      0     1  format version: 2, or 1 of a record that was written before a key's event had its capabilities
//!      1     1  kind (record::Kind)
//!      2     8  logged_at: microseconds since 1970, i64 little-endian; never less than the record's before
//!     10    20  for refusal, intent, settlement, write-off: request id (16, big-endian), call (u16 LE),
//!               attempt (u16 LE); other kinds start their fields here
//!    ...        the kind's fields, in the order of the functions below (crate::codec has the alphabet)
//! len-32    32  chain hash: SHA-256(chain hash of the record before || all bytes of this one before it)
//! ```
//!
//! The chain hash is filled in, and `logged_at` raised where a clock stepped back, by [`crate::chain::Chain`],
//! the only place that knows the record before; everything else is written by the caller's thread. A new field means a new format version:
//! this program reads every version up to its own and refuses later ones by name.

use domain::{
    AppName, CapabilityName, Endpoint, ErrorClass, Fate, Features, KeyPublicId, ModelName, OfferId,
    OutcomeClass, ProviderName, RequestId, RequestLimits, TeamName, UnixMicros, Usage,
    UsageQuality,
};

use crate::codec::{DecodeError, In, Out};
use crate::record::{
    Amount, AttemptKey, BudgetDefinition, CANDIDATES_MAX, Candidate, Charge, Checkpoint,
    ConfigChange, Damaged, Durability, Intent, KeyAction, KeyEvent, Kind, Lost, Marks, Record,
    Refusal, Repair, Settlement, Start, Stop, Unit, Word, WriteOff,
};

/// The format version this program writes.
pub const FORMAT_VERSION: u8 = 2;
/// From this version on a key's event says what the key may ask for.
const KEY_CAPABILITIES: u8 = 2;
/// Length of the chain hash at a body's end.
pub const HASH_LEN: usize = 32;
/// Where `logged_at` stands.
pub const LOGGED_AT: std::ops::Range<usize> = 2..10;
/// Length of the fixed header.
pub const HEADER_LEN: usize = 10;
/// Longest upstream request id that is kept, in bytes.
const UPSTREAM_ID_LEN_MAX: usize = 64;
/// Longest free text that is kept, in bytes.
const TEXT_LEN_MAX: usize = 1_024;

/// Encodes a record. `logged_at` is the record's own time until the chain raises it; the chain hash is zero.
pub fn encode(record: &Record) -> Vec<u8> {
    let mut out = Out(Vec::with_capacity(384));
    out.u8(FORMAT_VERSION);
    out.u8(record.kind() as u8);
    out.time(record.at());
    if let Some(id) = record.attempt() {
        out.raw(&id.request.bits().to_be_bytes());
        out.raw(&id.call.to_le_bytes());
        out.raw(&id.attempt.to_le_bytes());
    }
    match record {
        Record::Start(it) => write_start(&mut out, it),
        Record::Stop(it) => {
            out.time(it.at);
            out.str(clip(&it.why, TEXT_LEN_MAX));
        }
        Record::Config(it) => write_config(&mut out, it),
        Record::Key(it) => write_key(&mut out, it),
        Record::Refusal(it) => write_refusal(&mut out, it),
        Record::Intent(it) => write_intent(&mut out, it),
        Record::Settlement(it) => write_settlement(&mut out, it),
        Record::WriteOff(it) => write_write_off(&mut out, it),
        Record::Checkpoint(it) => write_checkpoint(&mut out, it),
        Record::Repair(it) => write_repair(&mut out, it),
    }
    out.raw(&[0; HASH_LEN]);
    out.0
}

/// What can be known of a body without reading its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its kind.
    pub kind: Kind,
    /// When it was logged; ascending through the log.
    pub logged_at: UnixMicros,
    /// The attempt it is about.
    pub attempt: Option<AttemptKey>,
}

/// Reads the fixed part of a body.
pub fn header(body: &[u8]) -> Result<Header, DecodeError> {
    let fields = body.len().checked_sub(HASH_LEN).ok_or(DecodeError::Truncated("header"))?;
    let mut from = In(body.get(..fields).unwrap_or_default());
    read_header(&mut from).map(|(_, header)| header)
}

/// Decodes a body. The chain hash is not checked here: see [`crate::chain`].
pub fn decode(body: &[u8]) -> Result<(Header, Record), DecodeError> {
    let fields = body.len().checked_sub(HASH_LEN).ok_or(DecodeError::Truncated("header"))?;
    let mut from = In(body.get(..fields).unwrap_or_default());
    let (version, header) = read_header(&mut from)?;
    let record = read_record(&mut from, version, header)?;
    from.end()?;
    Ok((header, record))
}

/// The format version and what it has in common with others.
fn read_header(from: &mut In<'_>) -> Result<(u8, Header), DecodeError> {
    let version = match from.u8("version")? {
        0 => return Err(DecodeError::Value("version")),
        known @ 1..=FORMAT_VERSION => known,
        later => return Err(DecodeError::Version(later)),
    };
    let code = from.u8("kind")?;
    let kind = Kind::from_code(code).ok_or(DecodeError::Kind(code))?;
    let logged_at = from.time("logged_at")?;
    let attempt = match kind {
        Kind::Refusal | Kind::Intent | Kind::Settlement | Kind::WriteOff => Some(AttemptKey {
            request: RequestId::from_bits(u128::from_be_bytes(from.array("request")?)),
            call: u16::from_le_bytes(from.array("call")?),
            attempt: u16::from_le_bytes(from.array("attempt")?),
        }),
        Kind::Start | Kind::Stop | Kind::Config | Kind::Key | Kind::Checkpoint | Kind::Repair => {
            None
        }
    };
    Ok((version, Header { kind, logged_at, attempt }))
}

fn read_record(from: &mut In<'_>, version: u8, header: Header) -> Result<Record, DecodeError> {
    let attempt = || header.attempt.ok_or(DecodeError::Value("attempt"));
    Ok(match header.kind {
        Kind::Start => Record::Start(read_start(from)?),
        Kind::Stop => Record::Stop(Stop { at: from.time("at")?, why: from.word("why")? }),
        Kind::Config => Record::Config(Box::new(read_config(from)?)),
        Kind::Key => Record::Key(Box::new(read_key(from, version)?)),
        Kind::Refusal => Record::Refusal(Box::new(read_refusal(from, attempt()?.request)?)),
        Kind::Intent => Record::Intent(Box::new(read_intent(from, attempt()?)?)),
        Kind::Settlement => Record::Settlement(Box::new(read_settlement(from, attempt()?)?)),
        Kind::WriteOff => Record::WriteOff(Box::new(read_write_off(from, attempt()?)?)),
        Kind::Checkpoint => Record::Checkpoint(Box::new(read_checkpoint(from)?)),
        Kind::Repair => Record::Repair(Box::new(read_repair(from)?)),
    })
}

/// The longest prefix of at most `len` bytes that ends between characters.
fn clip(text: &str, len: usize) -> &str {
    let end = text.floor_char_boundary(len);
    text.get(..end).unwrap_or_default()
}

// ---- shared parts ----

pub(crate) fn write_amount(out: &mut Out, it: &Amount) {
    out.money(it.money);
    out.uint(it.tokens);
    out.uint(it.requests.into());
}

pub(crate) fn read_amount(from: &mut In<'_>) -> Result<Amount, DecodeError> {
    Ok(Amount {
        money: from.money("money")?,
        tokens: from.uint("tokens")?,
        requests: from.small("requests")?,
    })
}

pub(crate) fn write_charge(out: &mut Out, it: &Charge) {
    out.str(&it.budget);
    out.time(it.start);
    out.time(it.end);
    // Unit and hardness share a byte: a row has several charges.
    out.u8(it.unit as u8 | u8::from(it.hard) << 7);
    out.wide_int(it.limit);
}

pub(crate) fn read_charge(from: &mut In<'_>) -> Result<Charge, DecodeError> {
    let (budget, start, end) = (from.shared("budget")?, from.time("start")?, from.time("end")?);
    let code = from.u8("unit")?;
    Ok(Charge {
        budget,
        start,
        end,
        unit: Unit::from_code(code & 0x7f).ok_or(DecodeError::Value("unit"))?,
        limit: from.wide_int("limit")?,
        hard: code & 0x80 != 0,
    })
}

fn write_candidates(out: &mut Out, candidates: &[Candidate]) {
    let kept = candidates.get(..CANDIDATES_MAX).unwrap_or(candidates);
    out.list(kept, |out, it| {
        out.raw(&it.offer.to_le_bytes());
        out.u8(it.reason);
    });
}

fn read_candidates(from: &mut In<'_>) -> Result<Vec<Candidate>, DecodeError> {
    from.list("candidates", |from| {
        let offer = u32::from_le_bytes(from.array("offer code")?);
        Ok(Candidate { offer, reason: from.u8("reason")? })
    })
}

fn write_marks(out: &mut Out, marks: Marks) {
    out.u8(marks.bits());
}

fn read_marks(from: &mut In<'_>) -> Result<Marks, DecodeError> {
    Marks::from_bits(from.u8("marks")?).ok_or(DecodeError::Value("marks"))
}

fn write_offer(out: &mut Out, offer: &OfferId) {
    out.str(offer.provider().as_str());
    out.str(offer.model().as_str());
}

fn read_offer(from: &mut In<'_>) -> Result<OfferId, DecodeError> {
    let provider = from.name("provider", ProviderName::new)?;
    Ok(OfferId::new(provider, from.name("model", ModelName::new)?))
}

fn read_endpoint(from: &mut In<'_>) -> Result<Endpoint, DecodeError> {
    Endpoint::from_code(from.u8("endpoint")?).ok_or(DecodeError::Value("endpoint"))
}

fn write_text(out: &mut Out, text: &Word) {
    out.str(clip(text, TEXT_LEN_MAX));
}

// ---- the kinds ----

fn write_start(out: &mut Out, it: &Start) {
    out.time(it.at);
    out.str(&it.version);
    out.uint(it.config_revision.into());
    out.u8(it.durability as u8);
}

fn read_start(from: &mut In<'_>) -> Result<Start, DecodeError> {
    Ok(Start {
        at: from.time("at")?,
        version: from.word("version")?,
        config_revision: from.small("config_revision")?,
        durability: Durability::from_code(from.u8("durability")?)
            .ok_or(DecodeError::Value("durability"))?,
    })
}

fn write_config(out: &mut Out, it: &ConfigChange) {
    out.time(it.at);
    out.uint(it.revision.into());
    out.raw(&it.digest);
    out.list(&it.budgets, |out, budget| {
        out.str(&budget.name);
        write_text(out, &budget.scope);
        out.u8(budget.unit as u8);
        out.wide_int(budget.limit);
        write_text(out, &budget.window);
        out.bool(budget.hard);
    });
    out.list(&it.offers, |out, offer| out.str(offer));
}

fn read_config(from: &mut In<'_>) -> Result<ConfigChange, DecodeError> {
    Ok(ConfigChange {
        at: from.time("at")?,
        revision: from.small("revision")?,
        digest: from.array("digest")?,
        budgets: from.list("budgets", |from| {
            Ok(BudgetDefinition {
                name: from.shared("budget")?,
                scope: from.word("scope")?,
                unit: Unit::from_code(from.u8("unit")?).ok_or(DecodeError::Value("unit"))?,
                limit: from.wide_int("limit")?,
                window: from.word("window")?,
                hard: from.bool("hard")?,
            })
        })?,
        offers: from.list("offers", |from| from.shared("offer"))?,
    })
}

fn write_key(out: &mut Out, it: &KeyEvent) {
    out.time(it.at);
    out.u8(it.action as u8);
    out.str(it.key.as_str());
    out.str(it.app.as_str());
    out.option(it.team.as_ref(), |out, team| out.str(team.as_str()));
    out.list(&it.budgets, write_text);
    out.option(it.capabilities.as_deref(), |out, names| {
        out.list(names, |out, name| out.str(name.as_str()));
    });
}

fn read_key(from: &mut In<'_>, version: u8) -> Result<KeyEvent, DecodeError> {
    Ok(KeyEvent {
        at: from.time("at")?,
        action: KeyAction::from_code(from.u8("action")?).ok_or(DecodeError::Value("action"))?,
        key: from.name("key", KeyPublicId::new)?,
        app: from.name("app", AppName::new)?,
        team: from.option("team", |from| from.name("team", TeamName::new))?,
        budgets: from.list("budgets", |from| from.word("budget"))?,
        capabilities: if version < KEY_CAPABILITIES {
            None
        } else {
            from.option("capabilities", |from| {
                from.list("capabilities", |from| from.name("capability", CapabilityName::new))
            })?
        },
    })
}

fn write_refusal(out: &mut Out, it: &Refusal) {
    out.time(it.at);
    out.option(it.key.as_ref(), |out, key| out.str(key.as_str()));
    out.option(it.app.as_ref(), |out, app| out.str(app.as_str()));
    out.option(it.team.as_ref(), |out, team| out.str(team.as_str()));
    out.option(it.model.as_ref(), |out, model| out.str(clip(model, 200)));
    out.str(&it.code);
    out.u8(it.endpoint as u8);
    out.str(&it.client_dialect);
    out.uint(it.config_revision.into());
    write_candidates(out, &it.candidates);
}

fn read_refusal(from: &mut In<'_>, request: RequestId) -> Result<Refusal, DecodeError> {
    Ok(Refusal {
        request,
        at: from.time("at")?,
        key: from.option("key", |from| from.name("key", KeyPublicId::new))?,
        app: from.option("app", |from| from.name("app", AppName::new))?,
        team: from.option("team", |from| from.name("team", TeamName::new))?,
        model: from.option("model", |from| from.word("model"))?,
        code: from.word("code")?,
        endpoint: read_endpoint(from)?,
        client_dialect: from.word("client_dialect")?,
        config_revision: from.small("config_revision")?,
        candidates: read_candidates(from)?,
    })
}

pub(crate) fn write_intent(out: &mut Out, it: &Intent) {
    out.time(it.admitted_at);
    out.since(it.dispatched_at, it.admitted_at);
    out.since(it.deadline, it.admitted_at);
    out.option(it.key.as_ref(), |out, key| out.str(key.as_str()));
    out.str(it.app.as_str());
    out.option(it.team.as_ref(), |out, team| out.str(team.as_str()));
    out.str(it.capability.as_str());
    write_offer(out, &it.offer);
    out.option(it.requested_offer.as_ref(), write_offer);
    out.u8(it.endpoint as u8);
    out.str(&it.client_dialect);
    out.str(&it.provider_dialect);
    out.option(it.contract.as_ref(), |out, contract| out.str(contract));
    out.option(it.limits.max_output, Out::uint);
    out.uint(it.limits.answers.into());
    out.uint(it.context_bound);
    out.uint(it.features.bits());
    out.list(&it.residency, |out, tag| out.str(tag));
    out.raw(&it.prefix_key.to_le_bytes());
    out.uint(it.policy_version.into());
    out.uint(it.config_revision.into());
    out.option(it.price_version, Out::uint);
    write_amount(out, &it.reserved);
    out.list(&it.charges, write_charge);
    write_candidates(out, &it.candidates);
    write_marks(out, it.marks);
    out.list(&it.losses, |out, lost| {
        out.str(clip(&lost.field, 200));
        out.u8(lost.fate as u8);
    });
}

pub(crate) fn read_intent(from: &mut In<'_>, id: AttemptKey) -> Result<Intent, DecodeError> {
    let admitted_at = from.time("admitted_at")?;
    Ok(Intent {
        id,
        admitted_at,
        dispatched_at: from.since(admitted_at, "dispatched_at")?,
        deadline: from.since(admitted_at, "deadline")?,
        key: from.option("key", |from| from.name("key", KeyPublicId::new))?,
        app: from.name("app", AppName::new)?,
        team: from.option("team", |from| from.name("team", TeamName::new))?,
        capability: from.name("capability", CapabilityName::new)?,
        offer: read_offer(from)?,
        requested_offer: from.option("requested_offer", read_offer)?,
        endpoint: read_endpoint(from)?,
        client_dialect: from.word("client_dialect")?,
        provider_dialect: from.word("provider_dialect")?,
        contract: from.option("contract", |from| from.shared("contract"))?,
        limits: RequestLimits {
            max_output: from.option("max_output", |from| from.uint("max_output"))?,
            answers: from.small("answers")?,
        },
        context_bound: from.uint("context_bound")?,
        features: Features::from_bits(from.uint("features")?),
        residency: from.list("residency", |from| from.shared("residency"))?,
        prefix_key: u64::from_le_bytes(from.array("prefix_key")?),
        policy_version: from.small("policy_version")?,
        config_revision: from.small("config_revision")?,
        price_version: from.option("price_version", |from| from.uint("price_version"))?,
        reserved: read_amount(from)?,
        charges: from.list("charges", read_charge)?,
        candidates: read_candidates(from)?,
        marks: read_marks(from)?,
        losses: from.list("losses", |from| {
            Ok(Lost { field: from.word("field")?, fate: read_fate(from)? })
        })?,
    })
}

fn read_fate(from: &mut In<'_>) -> Result<Fate, DecodeError> {
    let code = from.u8("fate")?;
    [Fate::Emulated, Fate::Approximated, Fate::Dropped]
        .into_iter()
        .find(|fate| *fate as u8 == code)
        .ok_or(DecodeError::Value("fate"))
}

fn write_settlement(out: &mut Out, it: &Settlement) {
    out.time(it.done_at);
    out.since(it.dispatched_at, it.done_at);
    out.option(it.first_byte_at, |out, at| out.since(at, it.done_at));
    out.u8(it.outcome as u8);
    out.u8(it.error as u8);
    for tokens in buckets(&it.usage) {
        out.uint(tokens);
    }
    out.u8(it.quality as u8);
    out.option(it.cost, Out::money);
    write_amount(out, &it.charged);
    write_amount(out, &it.released);
    out.option(it.price_version, Out::uint);
    out.u8(it.price_tier);
    out.option(it.upstream_id.as_ref(), |out, id| out.str(clip(id, UPSTREAM_ID_LEN_MAX)));
    out.option(it.finish.as_ref(), |out, word| out.str(clip(word, 64)));
    out.uint(it.upstream_code.into());
    out.option(it.model.as_ref(), |out, model| out.str(clip(model, 200)));
    write_marks(out, it.marks);
}

fn read_settlement(from: &mut In<'_>, id: AttemptKey) -> Result<Settlement, DecodeError> {
    let done_at = from.time("done_at")?;
    Ok(Settlement {
        id,
        done_at,
        dispatched_at: from.since(done_at, "dispatched_at")?,
        first_byte_at: from.option("first_byte_at", |from| from.since(done_at, "first_byte_at"))?,
        outcome: OutcomeClass::from_code(from.u8("outcome")?)
            .ok_or(DecodeError::Value("outcome"))?,
        error: ErrorClass::from_code(from.u8("error")?).ok_or(DecodeError::Value("error"))?,
        usage: read_usage(from)?,
        quality: UsageQuality::from_code(from.u8("quality")?)
            .ok_or(DecodeError::Value("quality"))?,
        cost: from.option("cost", |from| from.money("cost"))?,
        charged: read_amount(from)?,
        released: read_amount(from)?,
        price_version: from.option("price_version", |from| from.uint("price_version"))?,
        price_tier: from.u8("price_tier")?,
        upstream_id: from.option("upstream_id", |from| from.word("upstream_id"))?,
        finish: from.option("finish", |from| from.word("finish"))?,
        upstream_code: from.small("upstream_code")?,
        model: from.option("model", |from| from.word("model"))?,
        marks: read_marks(from)?,
    })
}

/// The usage buckets in stored order.
fn buckets(usage: &Usage) -> [u64; 9] {
    [
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.cache_write_long,
        usage.output,
        usage.reasoning,
        usage.audio_input,
        usage.audio_output,
        usage.image_input,
    ]
}

fn read_usage(from: &mut In<'_>) -> Result<Usage, DecodeError> {
    Ok(Usage {
        input: from.uint("input")?,
        cache_read: from.uint("cache_read")?,
        cache_write: from.uint("cache_write")?,
        cache_write_long: from.uint("cache_write_long")?,
        output: from.uint("output")?,
        reasoning: from.uint("reasoning")?,
        audio_input: from.uint("audio_input")?,
        audio_output: from.uint("audio_output")?,
        image_input: from.uint("image_input")?,
    })
}

fn write_write_off(out: &mut Out, it: &WriteOff) {
    out.time(it.at);
    write_amount(out, &it.charged);
    write_amount(out, &it.released);
    write_text(out, &it.why);
    write_text(out, &it.by);
}

fn read_write_off(from: &mut In<'_>, id: AttemptKey) -> Result<WriteOff, DecodeError> {
    Ok(WriteOff {
        id,
        at: from.time("at")?,
        charged: read_amount(from)?,
        released: read_amount(from)?,
        why: from.word("why")?,
        by: from.word("by")?,
    })
}

fn write_checkpoint(out: &mut Out, it: &Checkpoint) {
    out.time(it.at);
    out.uint(it.through);
    out.raw(&it.chain);
    out.uint(it.removed);
    out.raw(&it.digest);
    out.bytes(&it.state);
    out.raw(&it.public_key);
    out.raw(&it.signature);
}

fn read_checkpoint(from: &mut In<'_>) -> Result<Checkpoint, DecodeError> {
    Ok(Checkpoint {
        at: from.time("at")?,
        through: from.uint("through")?,
        chain: from.array("chain")?,
        removed: from.uint("removed")?,
        digest: from.array("digest")?,
        state: from.bytes("state")?.to_vec(),
        public_key: from.array("public_key")?,
        signature: from.array("signature")?,
    })
}

fn write_repair(out: &mut Out, it: &Repair) {
    out.time(it.at);
    out.list(&it.damaged, |out, damaged| {
        out.uint(damaged.seq);
        out.option(damaged.chain.as_ref(), |out, hash| out.raw(hash));
    });
    out.raw(&it.digest);
    write_text(out, &it.by);
}

fn read_repair(from: &mut In<'_>) -> Result<Repair, DecodeError> {
    Ok(Repair {
        at: from.time("at")?,
        damaged: from.list("damaged", |from| {
            let seq = from.uint("seq")?;
            Ok(Damaged { seq, chain: from.option("chain", |from| from.array("chain"))? })
        })?,
        digest: from.array("digest")?,
        by: from.word("by")?,
    })
}
