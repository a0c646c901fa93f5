//! Why a request goes where it goes, and what the ledger says about one that went.

mod account;
mod search;

use domain::{Endpoint, Features, KeyPublicId, RequestId};
use ledger::AttemptKey;
use ledger::storage::StorageError;
use limits::Unpriced;
use policy::{Ask, Availability, OfferView, Tags, Verdict};
use serde_json::{Value, json};
use store::{LedgerReader, OpenError, Store};

use crate::errors::{self, Failure};
use crate::gateway::Gateway;
use crate::identify::Caller;
use crate::resolve::{self, Resolved};
use crate::{admit, plan, restore};

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
        // A batch that an earlier process began runs on.
        !gateway.batches.holds(attempt)
            && gateway.limits().restored_open().any(|it| it == restore::key(attempt))
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

/// Where a request for this name would go now, with every candidate's reason; asked with that key, where one is
/// named by its public part. Nothing is counted.
///
/// # Errors
/// Nothing is called that, or there is no such key.
pub fn route(gateway: &Gateway, name: &str, key: Option<&str>) -> Result<Value, Failure> {
    let snapshot = gateway.snapshot.load_full();
    let caller = key.map(|public| caller(gateway, public)).transpose()?;
    let resolved = resolve::resolve(&snapshot, caller.as_ref(), name)?;
    let now = gateway.now();
    let mut views: Vec<OfferView> = {
        let mut health = gateway.health();
        let views = resolved.offers.iter().map(|(offer, role)| OfferView {
            role: *role,
            availability: plan::credentials(offer, now)
                .unwrap_or_else(|| health.peek(offer.ix, now)),
            max_context: offer.max_input,
            // Most requests bound their own output; then the price decides.
            priced: admit::is_known_of_chat(Some(0), offer, now),
            ..OfferView::unlimited(offer.ix)
        });
        views.collect()
    };
    let unpriced = gateway.unpriced(&snapshot);
    if unpriced == Unpriced::Reject {
        plan::note_budgets(gateway, caller.as_ref(), &resolved, &mut views);
    }
    let ask = Ask {
        endpoint: Endpoint::Chat,
        features: Features::NONE,
        input_at_least: 0,
        on_loss: resolved.on_loss,
        unpriced,
        residency: Tags::default(),
        allowed: plan::allowed(caller.as_ref(), &snapshot.config, &resolved),
    };
    let plan = policy::plan(&policy::Snapshot { now, offers: &views }, &ask);
    Ok(plan_json(name, &resolved, &views, &plan))
}

fn caller(gateway: &Gateway, public: &str) -> Result<Caller, Failure> {
    let key = gateway.keys.load().get(public).cloned().ok_or_else(|| {
        let message = format!("there is no key `{}`", resolve::shown(public));
        Failure::new(&errors::INVALID_API_KEY, message).fix("`outrigger key ls` lists the keys.")
    })?;
    Ok(Caller { key: Some(key) })
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
                "dialects": offer.provider.dialects.iter().map(|it| it.dialect.as_str()).collect::<Vec<_>>(),
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
