//! Why a request goes where it goes, and what the ledger says about one that went.

mod account;
mod search;

use std::sync::Arc;
use std::time::Instant;

use domain::{Endpoint, Features, KeyPublicId, RequestId};
use ledger::AttemptKey;
use ledger::storage::StorageError;
use policy::{Allowed, Ask, Availability, OfferView, Tags, Verdict};
use serde_json::{Value, json};
use store::{LedgerReader, OpenError, Store};

use crate::errors::Failure;
use crate::gateway::Gateway;
use crate::resolve::{self, Resolved};
use crate::restore;
use crate::snapshot::Offer;

pub use account::Account;

/// Most records that the admin API reads for one request.
pub const ROWS_MAX: usize = 5_000_000;
/// Most records that a client's question reads: it is answered on a thread that serves others.
const CLIENT_ROWS_MAX: usize = 20_000;

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
    let snapshot = gateway.snapshot.load();
    let configured = snapshot.capabilities.values().flat_map(|entry| &entry.offers);
    let offers = configured.map(|(offer, _)| offer.id.to_string()).collect();
    Ok(told(&reader, id, rows, &held, offers)?)
}

/// The same from a data folder that no gateway owns: what is open there was left open. `offers` are the configured
/// ones, by name.
///
/// # Errors
/// The ledger can't be read.
pub fn recorded(
    reader: &LedgerReader,
    id: RequestId,
    offers: Vec<String>,
) -> Result<Option<Account>, StorageError> {
    told(reader, id, ROWS_MAX, &|_| true, offers)
}

fn told(
    reader: &LedgerReader,
    id: RequestId,
    rows: usize,
    held: &dyn Fn(AttemptKey) -> bool,
    offers: Vec<String>,
) -> Result<Option<Account>, StorageError> {
    let (attempts, complete) = search::find(reader, id, rows, held)?;
    if attempts.is_empty() {
        return Ok(None);
    }
    let attempts = attempts.into_iter().map(|attempt| (held(attempt.id), attempt)).collect();
    let mut account = Account::new(id, complete, attempts);
    account.candidates = search::name_candidates(offers, reader, &account)?;
    Ok(Some(account))
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
