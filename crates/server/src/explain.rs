//! Why a request goes where it goes, and what the ledger says about one that went.

use std::sync::Arc;
use std::time::Instant;

use domain::{
    Endpoint, Features, KeyPublicId, MoneySum, OutcomeClass, RequestId, Usage, UsageQuality,
};
use ledger::query::{self, Attempt, Closed, What};
use ledger::storage::{Reads, StorageError};
use ledger::{AttemptKey, Candidate, Intent, Kind, Record, Seq, Settlement, WriteOff};
use policy::{Allowed, Ask, Availability, OfferView, Tags, Verdict};
use serde_json::{Value, json};
use store::{LedgerReader, OpenError, Store};

use crate::errors::Failure;
use crate::gateway::Gateway;
use crate::resolve::{self, Resolved};
use crate::restore;
use crate::snapshot::Offer;

/// Most records that the admin API reads for one request.
pub const ROWS_MAX: usize = 5_000_000;
/// Most records that a client's question reads: it is answered on a thread that serves others.
const CLIENT_ROWS_MAX: usize = 20_000;
/// Most records that are read backward for the names of former offers.
const NAMES_ROWS_MAX: u64 = 50_000;
/// Records read at a time.
const CHUNK: usize = 256;
/// How long after its id was made a request's first record is looked for: its body may come slowly.
const ARRIVAL_MICROS: i64 = 600_000_000;
/// How long after a failed attempt the next one is looked for.
const NEXT_ATTEMPT_MICROS: i64 = 60_000_000;

/// The account of a request, where the caller may see it: rows of its own key, or without a key rows that have none.
///
/// # Errors
/// The ledger can't be read.
pub fn request(
    gateway: &Gateway,
    id: RequestId,
    caller: Option<&KeyPublicId>,
) -> Result<Option<Value>, OpenError> {
    let account = account(gateway, id, CLIENT_ROWS_MAX)?;
    let own = account.filter(|it| it.key() == caller.map(KeyPublicId::as_str));
    Ok(own.map(|it| it.json()))
}

/// Everything the ledger says about one request; reads at most `rows` records. `None`: no such request was found.
///
/// # Errors
/// The ledger can't be read.
pub fn account(
    gateway: &Gateway,
    id: RequestId,
    rows: usize,
) -> Result<Option<Account>, OpenError> {
    let reader = Store::open_read_only(&gateway.data_dir)?;
    let held = |attempt: AttemptKey| {
        gateway.limits().restored_open().any(|it| it == restore::key(attempt))
    };
    let (attempts, complete) = find(&reader, id, rows, &held)?;
    if attempts.is_empty() {
        return Ok(None);
    }
    let attempts = attempts.into_iter().map(|attempt| (held(attempt.id), attempt)).collect();
    let mut account = Account { id, complete, attempts, candidates: Vec::new() };
    account.candidates = name_candidates(gateway, &reader, &account)?;
    Ok(Some(account))
}

/// What the ledger says about one request.
#[derive(Debug)]
pub struct Account {
    id: RequestId,
    complete: bool,
    /// Each with whether an earlier process left it open.
    attempts: Vec<(bool, Attempt)>,
    candidates: Vec<(String, u8)>,
}

impl Account {
    /// The public part of the key that made it.
    pub fn key(&self) -> Option<&str> {
        self.attempts.first().and_then(|(_, it)| it.key())
    }

    /// The intent of one of its attempts that nobody closed.
    pub fn open_intent(&self, id: AttemptKey) -> Option<&Intent> {
        let (_, attempt) = self.attempts.iter().find(|(_, it)| it.id == id)?;
        match &attempt.what {
            What::Tried { intent, closed: None } => Some(intent),
            _ => None,
        }
    }

    fn candidates_of(attempts: &[(bool, Attempt)]) -> &[Candidate] {
        match attempts.first().map(|(_, it)| &it.what) {
            Some(What::Tried { intent, .. }) => &intent.candidates,
            Some(What::Refused(refusal)) => &refusal.candidates,
            None => &[],
        }
    }

    fn outcome(&self, held: bool, attempt: &Attempt) -> &'static str {
        match attempt.outcome() {
            // The ledger alone can't tell these apart.
            OutcomeClass::Unsettled if held => OutcomeClass::Unsettled.as_str(),
            OutcomeClass::Unsettled if self.complete => "in_flight",
            OutcomeClass::Unsettled => "unknown",
            other => other.as_str(),
        }
    }

    /// How its newest attempt ended; of several calls, one that did not end well.
    fn last_outcome(&self) -> Option<&'static str> {
        let newest = self.attempts.iter().map(|(_, it)| it.id.attempt).max();
        let words = self
            .attempts
            .iter()
            .filter(|(_, it)| Some(it.id.attempt) == newest)
            .map(|(held, it)| self.outcome(*held, it));
        let ok = OutcomeClass::Ok.as_str();
        words.fold(
            None,
            |worst, word| if worst.is_none_or(|it| it == ok) { Some(word) } else { worst },
        )
    }

    /// Everything.
    pub fn json(&self) -> Value {
        let Some((_, first)) = self.attempts.first() else { return Value::Null };
        let settled = || self.attempts.iter().filter_map(|(_, it)| it.settlement());
        let cost: Option<MoneySum> =
            settled().map(|it| it.cost).try_fold(MoneySum::ZERO, |sum, cost| {
                cost.map(|cost| MoneySum::from_pico(sum.pico() + i128::from(cost.pico())))
            });
        let closed = self.attempts.iter().all(|(_, it)| it.outcome() != OutcomeClass::Unsettled);
        let quality = settled().map(|it| it.quality).max();
        let refusal = match &first.what {
            What::Refused(refusal) => Some(refusal.code.as_ref()),
            What::Tried { .. } => None,
        };
        let (endpoint, dialect) = match &first.what {
            What::Refused(it) => (it.endpoint, it.client_dialect.as_ref()),
            What::Tried { intent, .. } => (intent.endpoint, intent.client_dialect.as_ref()),
        };
        let attempts = self.attempts.iter().filter(|(_, it)| it.intent().is_some());
        json!({
            "object": "outrigger.request",
            "id": self.id.to_string(),
            "at": first.at.to_string(),
            "app": first.app(),
            "team": first.team(),
            "key": first.key(),
            "capability": first.capability(),
            "endpoint": endpoint.as_str(),
            "client_dialect": dialect,
            "stream": first.intent().is_some_and(|it| it.marks.stream),
            "outcome": self.last_outcome(),
            "refusal": refusal,
            "cost_usd": cost.filter(|_| closed).map(|it| it.to_string()),
            "cost_quality": quality.filter(|_| closed).map(UsageQuality::as_str),
            "complete": self.complete,
            "attempts": attempts.map(|(held, it)| self.attempt(*held, it)).collect::<Vec<_>>(),
            "candidates": self.candidates_json(),
        })
    }

    /// Why it went where it went.
    pub fn decision(&self) -> Value {
        let tried: Vec<String> = self
            .attempts
            .iter()
            .filter_map(|(held, it)| {
                Some(format!("`{}` {}", it.intent()?.offer, self.outcome(*held, it)))
            })
            .collect();
        let asked = self.attempts.first().and_then(|(_, it)| it.capability()).unwrap_or("-");
        let summary = if tried.is_empty() {
            format!("{} asked for `{asked}` and was refused before any attempt", self.id)
        } else {
            format!("{} asked for `{asked}`: {}", self.id, tried.join(", then "))
        };
        json!({
            "requested": asked,
            "request": self.id.to_string(),
            "summary": summary,
            "candidates": self.candidates_json(),
        })
    }

    fn attempt(&self, held: bool, attempt: &Attempt) -> Value {
        let Some(intent) = attempt.intent() else { return Value::Null };
        let settled = attempt.settlement();
        let written_off = match &attempt.what {
            What::Tried { closed: Some(Closed::WrittenOff(it)), .. } => Some(write_off_json(it)),
            _ => None,
        };
        let losses =
            intent.losses.iter().map(|it| json!({"field": it.field, "fate": it.fate.as_str()}));
        json!({
            "call": attempt.id.call,
            "attempt": attempt.id.attempt,
            "offer": intent.offer.to_string(),
            "provider": intent.offer.provider().as_str(),
            "model": intent.offer.model().as_str(),
            "provider_dialect": intent.provider_dialect,
            "outcome": self.outcome(held, attempt),
            "error": settled.map(|it| it.error.as_str()),
            "retry": intent.marks.retry,
            "failover": intent.marks.failover,
            "admitted_at": intent.admitted_at.to_string(),
            "dispatched_at": settled.map_or(intent.dispatched_at, |it| it.dispatched_at).to_string(),
            "first_byte_at": settled.and_then(|it| it.first_byte_at).map(|it| it.to_string()),
            "done_at": settled.map(|it| it.done_at.to_string()),
            "usage": settled.map(|it| usage_json(&it.usage)),
            "usage_quality": settled.map(|it| it.quality.as_str()),
            "cost_usd": settled.and_then(|it| it.cost).map(|it| it.to_string()),
            "reserved_usd": intent.reserved.money.to_string(),
            "reserved_tokens": intent.reserved.tokens,
            "budgets": intent.charges.iter().map(|it| &*it.budget).collect::<Vec<_>>(),
            "losses": losses.collect::<Vec<_>>(),
            "answer": settled.map(answer_json),
            "written_off": written_off,
            "config_revision": intent.config_revision,
        })
    }

    fn candidates_json(&self) -> Vec<Value> {
        let candidates = self.candidates.iter();
        let shown = candidates.map(|(offer, code)| {
            let word = policy::code_word(*code);
            let verdict = if is_taken(word) { "taken" } else { "left" };
            json!({"offer": offer, "verdict": verdict, "code": word, "reason": past_sentence(offer, word)})
        });
        shown.collect()
    }
}

fn answer_json(settled: &Settlement) -> Value {
    json!({
        "model": settled.model,
        "finish": settled.finish,
        "status": Some(settled.upstream_code).filter(|it| *it != 0),
        "upstream_request_id": settled.upstream_id,
    })
}

fn write_off_json(it: &WriteOff) -> Value {
    json!({"at": it.at.to_string(), "why": it.why, "by": it.by, "charged_usd": it.charged.money.to_string()})
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "input": usage.input,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "cache_write_long": usage.cache_write_long,
        "output": usage.output,
        "reasoning": usage.reasoning,
        "audio_input": usage.audio_input,
        "audio_output": usage.audio_output,
        "image_input": usage.image_input,
        "input_total": usage.input_total(),
        "output_total": usage.output_total(),
    })
}

/// Finds a request's records from the time in its id on, and stops as soon as no further one can come. The flag says
/// whether that point was reached within `rows` records.
fn find(
    reader: &LedgerReader,
    id: RequestId,
    rows: usize,
    held: &dyn Fn(AttemptKey) -> bool,
) -> Result<(Vec<Attempt>, bool), StorageError> {
    let mut search = Search { id, attempts: Vec::new(), ended_at: None, restarted: false };
    let mut next = query::first_at(reader, id.made_at())?;
    let mut left = rows;
    while left > 0 {
        let chunk = reader.read(next, CHUNK.min(left))?;
        let Some(last) = chunk.last() else { return Ok((search.attempts, true)) };
        next = last.seq + 1;
        left -= chunk.len();
        for row in &chunk {
            let Ok(header) = ledger::encode::header(&row.body) else { continue };
            if header.attempt.is_some_and(|it| it.request == id) {
                if let Ok((_, record)) = ledger::decode(&row.body) {
                    search.take(row.seq, record);
                }
            } else {
                search.restarted |= header.kind == Kind::Start;
            }
            if search.is_over(header.logged_at, held) {
                return Ok((search.attempts, true));
            }
        }
    }
    Ok((search.attempts, false))
}

struct Search {
    id: RequestId,
    attempts: Vec<Attempt>,
    /// When its last attempt ended.
    ended_at: Option<domain::UnixMicros>,
    /// Whether the process was started anew while an attempt was open.
    restarted: bool,
}

impl Search {
    fn take(&mut self, seq: Seq, record: Record) {
        let at = record.at();
        let (id, end) = match record {
            Record::Intent(intent) => {
                self.restarted = false;
                let (id, at) = (intent.id, intent.admitted_at);
                let what = What::Tried { intent, closed: None };
                self.attempts.push(Attempt { seq, id, at, what });
                return;
            }
            Record::Refusal(refusal) => {
                let id = AttemptKey { request: self.id, call: 0, attempt: 0 };
                self.attempts.push(Attempt { seq, id, at, what: What::Refused(refusal) });
                return;
            }
            Record::Settlement(it) => (it.id, Closed::Settled(it)),
            Record::WriteOff(it) => (it.id, Closed::WrittenOff(it)),
            _ => return,
        };
        let attempt = self.attempts.iter_mut().find(|it| it.id == id);
        if let Some(Attempt { what: What::Tried { closed, .. }, .. }) = attempt {
            *closed = Some(end);
            self.ended_at = Some(at);
        }
    }

    fn is_over(&self, logged_at: domain::UnixMicros, held: &dyn Fn(AttemptKey) -> bool) -> bool {
        let Some(last) = self.attempts.last() else {
            return logged_at > self.id.made_at().plus_micros(ARRIVAL_MICROS);
        };
        let mut open =
            self.attempts.iter().filter(|it| it.outcome() == OutcomeClass::Unsettled).peekable();
        if open.peek().is_some() {
            // What an earlier process left open and nobody closed since is held in memory.
            return self.restarted && open.all(|it| held(it.id));
        }
        // Only after a failure is there another attempt; one failed call fails its siblings.
        let mut newest = self.attempts.iter().filter(|it| it.id.attempt == last.id.attempt);
        let may_go_on = newest
            .any(|it| matches!(it.outcome(), OutcomeClass::Failed | OutcomeClass::WrittenOff));
        let ended = self.ended_at.unwrap_or(last.at);
        !may_go_on || logged_at > ended.plus_micros(NEXT_ATTEMPT_MICROS)
    }
}

/// The candidates by name. The ledger keeps short codes; what they stand for is looked up among the offers that were
/// tried, those of the configuration in force, and, if that is not enough, those of the configuration of that time.
fn name_candidates(
    gateway: &Gateway,
    reader: &LedgerReader,
    account: &Account,
) -> Result<Vec<(String, u8)>, StorageError> {
    let candidates = Account::candidates_of(&account.attempts);
    let mut names: Vec<String> = Vec::new();
    for (_, attempt) in &account.attempts {
        names.extend(attempt.intent().map(|it| it.offer.to_string()));
        names.extend(attempt.capability().map(str::to_owned));
    }
    let snapshot = gateway.snapshot.load();
    let configured = snapshot.capabilities.values().flat_map(|entry| &entry.offers);
    names.extend(configured.map(|(offer, _)| offer.id.to_string()));
    let named = |names: &[String], code: u32| {
        names.iter().find(|name| ledger::offer_code(name) == code).cloned()
    };
    if candidates.iter().any(|it| named(&names, it.offer).is_none())
        && let Some((_, first)) = account.attempts.first()
    {
        names.extend(former_offers(reader, first.seq)?);
    }
    let name = |code: u32| named(&names, code).unwrap_or_else(|| format!("offer {code:08x}"));
    Ok(candidates.iter().map(|it| (name(it.offer), it.reason)).collect())
}

/// The offers of the configuration that was in force at a record.
fn former_offers(reader: &LedgerReader, at: Seq) -> Result<Vec<String>, StorageError> {
    let first = at.saturating_sub(NAMES_ROWS_MAX);
    let mut end = at;
    while end > first {
        let from = end.saturating_sub(CHUNK as u64).max(first);
        let limit = usize::try_from(end - from).unwrap_or(CHUNK);
        for row in reader.read(from, limit)?.iter().rev().filter(|row| row.seq < end) {
            let config = ledger::encode::header(&row.body).is_ok_and(|it| it.kind == Kind::Config);
            if config && let Ok((_, Record::Config(change))) = ledger::decode(&row.body) {
                return Ok(change.offers.iter().map(ToString::to_string).collect());
            }
        }
        end = from;
    }
    Ok(Vec::new())
}

fn is_taken(word: &str) -> bool {
    matches!(word, "first" | "next" | "probe" | "last_resort")
}

/// What a stored code says to a person; the details that the moment knew are gone.
fn past_sentence(offer: &str, word: &str) -> String {
    match word {
        "first" => format!("`{offer}` was asked first."),
        "next" => format!("`{offer}` stood ready if those before it failed."),
        "probe" => {
            format!("`{offer}` had failed before, and this request tried whether it works again.")
        }
        "last_resort" => format!("`{offer}` was not well, but nothing else was left."),
        "not_considered" => format!("`{offer}` was not considered."),
        "not_allowed" => format!("`{offer}` was not among the offers this key may use."),
        "endpoint" => format!("`{offer}` does not serve this operation."),
        "feature" => format!("`{offer}` can't do something that the request uses."),
        "lossy" => format!(
            "`{offer}` would have lost something in translation, and `on_loss: reject` was set."
        ),
        "context_too_long" => format!("the request was longer than the context of `{offer}`."),
        "residency" => format!("`{offer}` lies outside the required residency."),
        "unpriced" => format!(
            "`{offer}` had no price, a money budget applied, and `unpriced: reject` was set."
        ),
        "retired" => format!("`{offer}` was retired."),
        "not_yet" => format!("`{offer}` was not available yet."),
        "set_aside" => format!("`{offer}` had asked to be left alone for a while."),
        "no_credential" => format!("`{offer}` had refused every credential."),
        "ramp" => format!("`{offer}` was recovering, and this request went elsewhere."),
        "plan_full" => format!("`{offer}` was not needed: the plan was long enough."),
        _ => match word.strip_prefix("breaker_") {
            Some(class) => format!("`{offer}` had failed too often ({class})."),
            None => format!("`{offer}` was left: {}.", word.replace('_', " ")),
        },
    }
}

/// Where a request for this name would go now, with every candidate's reason. Nothing is counted.
///
/// # Errors
/// Nothing is called that.
pub fn route(gateway: &Gateway, name: &str) -> Result<Value, Failure> {
    let snapshot = gateway.snapshot.load_full();
    let resolved = resolve::resolve(&snapshot, name)?;
    let now = gateway.now();
    let views: Vec<OfferView> = {
        let mut health = gateway.health();
        let views = resolved.offers.iter().map(|(offer, role)| OfferView {
            role: *role,
            availability: credentials(offer, now).unwrap_or_else(|| health.peek(offer.ix, now)),
            max_context: offer.max_input,
            priced: offer.price_at(now).is_some(),
            ..OfferView::unlimited(offer.ix)
        });
        views.collect()
    };
    let unpriced = gateway.unpriced(&snapshot);
    let scope = crate::plan::scope(None, &resolved);
    let ask = Ask {
        endpoint: Endpoint::Chat,
        features: Features::NONE,
        input_at_least: 0,
        on_loss: resolved.on_loss,
        unpriced,
        money_budget: gateway.limits().has_money_budget(&scope),
        residency: Tags::default(),
        allowed: Allowed::All,
    };
    let plan = policy::plan(&policy::Snapshot { now, offers: &views }, &ask);
    Ok(plan_json(name, &resolved, &views, &plan))
}

fn plan_json(name: &str, resolved: &Resolved, views: &[OfferView], plan: &policy::Plan) -> Value {
    let rows = plan.explanation.candidates.iter().zip(&resolved.offers).zip(views);
    let candidates: Vec<Value> = rows
        .map(|((candidate, (offer, role)), view)| {
            let text = offer.id.to_string();
            let verdict = match candidate.verdict {
                Verdict::Taken(rank, _) => format!("#{}", u16::from(rank) + 1),
                Verdict::Left(_) => "left".to_owned(),
            };
            json!({
                "offer": text,
                "role": role.as_str(),
                "verdict": verdict,
                "code": candidate.verdict.word(),
                "reason": candidate.verdict.sentence(&text),
                "available": availability_word(view.availability),
                "priced": view.priced,
                "dialects": offer.provider.dialects.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
                "max_input": offer.max_input,
                "max_output": offer.max_output,
                "shutdown": offer.shutdown,
            })
        })
        .collect();
    let names: Vec<String> = plan
        .attempts
        .iter()
        .filter_map(|ix| resolved.offers.iter().find(|(offer, _)| offer.ix == *ix))
        .map(|(offer, _)| offer.id.to_string())
        .collect();
    let what = if resolved.named.is_some() { "offer" } else { "capability" };
    let summary = match names.split_first() {
        None => format!("{what} `{name}`: no offer can be asked now"),
        Some((first, [])) => format!("{what} `{name}`: `{first}` is asked"),
        Some((first, rest)) => {
            format!("{what} `{name}`: `{first}` is asked first, then {}", rest.join(", then "))
        }
    };
    json!({
        "requested": name,
        "summary": summary,
        "attempts": names,
        "retry_at": plan.retry_at.map(|it| it.to_string()),
        "candidates": candidates,
    })
}

fn credentials(offer: &Arc<Offer>, now: domain::UnixMicros) -> Option<Availability> {
    let keys = &offer.provider.keys;
    if keys.is_empty() {
        return None;
    }
    let wait = keys.wait(Instant::now())?;
    let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    Some(Availability::NoCredential { until: Some(now.plus_micros(micros)) })
}

/// An offer's availability in a word.
pub fn availability_word(availability: Availability) -> &'static str {
    match availability {
        Availability::Ready => "ready",
        Availability::Probe => "probe",
        Availability::Ramp { .. } => "recovering",
        Availability::Open { .. } => "open",
        Availability::SetAside { .. } => "set_aside",
        Availability::NoCredential { .. } => "no_credential",
    }
}
