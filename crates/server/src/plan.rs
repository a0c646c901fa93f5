//! plan: the policy's choice for this request, and what it is told.

use std::time::Instant;

use domain::{Endpoint, Features, UnixMicros};
use http::HeaderMap;
use ledger::Candidate;
use limits::{Denied, Scope};
use policy::{Allowed, Ask as PolicyAsk, Availability, OfferView, Plan, Reason, Tags, Verdict};
use smallvec::SmallVec;

use crate::accept::Cx;
use crate::errors::{self, Failure};
use crate::gateway::Gateway;
use crate::identify::Caller;
use crate::read::{Ask, Canonical};
use crate::resolve::{self, Resolved};
use crate::snapshot::{Offer, SigningKeys, Spoken};
use crate::worker::Worker;
use crate::{admit, dispatch};

/// Bytes of text that hold at least one token of any model here: a lower bound of the input, since an upper bound would
/// leave out offers that fit.
const BYTES_PER_TOKEN_MOST: u64 = 16;

/// The scope of a caller and what it asks for, before an offer is chosen.
pub fn scope<'a>(caller: Option<&'a Caller>, resolved: &'a Resolved) -> Scope<'a> {
    Scope {
        key: caller.and_then(Caller::public),
        app: caller.and_then(Caller::app),
        team: caller.and_then(Caller::team),
        provider: None,
        capability: Some(&resolved.capability),
    }
}

/// Asks the policy. Counts as one request of each recovering offer.
pub fn plan(
    worker: &Worker,
    cx: &Cx,
    ask: &Ask,
    resolved: &Resolved,
    headers: &HeaderMap,
    canonical: &mut Canonical,
) -> Result<Plan, Failure> {
    let now = worker.gateway.now();
    let mut views: SmallVec<[OfferView; 4]> = SmallVec::new();
    let mut unwritable: SmallVec<[Failure; 1]> = SmallVec::new();
    for (offer, role) in &resolved.offers {
        let carries = carries(ask, offer, headers, canonical, resolved);
        let carries = carries.unwrap_or_else(|failure| {
            unwritable.push(failure);
            Features::NONE
        });
        views.push(OfferView {
            role: *role,
            endpoints: endpoints(ask, offer),
            carries,
            max_context: offer.max_input,
            priced: admit::is_known(ask, admit::output_limit(ask, resolved, offer), offer, now),
            ..OfferView::unlimited(offer.ix)
        });
    }
    if unwritable.len() == views.len()
        && let Some(failure) = unwritable.into_iter().next()
    {
        return Err(failure);
    }
    {
        let mut health = worker.gateway.health();
        for (view, (offer, _)) in views.iter_mut().zip(&resolved.offers) {
            view.availability =
                credentials(offer, now).unwrap_or_else(|| health.view(offer.ix, now));
        }
    }
    let unpriced = worker.gateway.unpriced(&cx.snapshot);
    if unpriced == limits::Unpriced::Reject {
        note_budgets(&worker.gateway, cx.caller.as_ref(), resolved, &mut views);
    }
    let policy_ask = PolicyAsk {
        endpoint: ask.endpoint,
        features: ask.peek.features,
        input_at_least: ask.peek.text_bytes / BYTES_PER_TOKEN_MOST,
        on_loss: resolved.on_loss,
        unpriced,
        residency: Tags::default(),
        allowed: allowed(cx.caller.as_ref(), &cx.snapshot.config, resolved),
    };
    Ok(policy::plan(&policy::Snapshot { now, offers: &views }, &policy_ask))
}

/// Which of its offers a caller may use: permissions are by the name that is asked for, so all or none.
pub fn allowed(
    caller: Option<&Caller>,
    config: &config::Config,
    resolved: &Resolved,
) -> Allowed<'static> {
    match caller {
        Some(caller) if !caller.may_ask(config, &resolved.capability) => Allowed::Only(&[]),
        _ => Allowed::All,
    }
}

/// Notes where a money budget stands in the way of an offer whose cost can't be known.
pub fn note_budgets(
    gateway: &Gateway,
    caller: Option<&Caller>,
    resolved: &Resolved,
    views: &mut [OfferView],
) {
    let scope = scope(caller, resolved);
    for (view, (offer, _)) in views.iter_mut().zip(&resolved.offers).filter(|it| !it.0.priced) {
        let scope = Scope { provider: Some(offer.id.provider()), ..scope };
        view.money_budget = gateway.limits().has_money_budget(&scope);
    }
}

/// Whether the caller may use none of the offers.
pub fn is_forbidden(plan: &Plan) -> bool {
    let candidates = &plan.explanation.candidates;
    let forbidden = |verdict| matches!(verdict, Verdict::Left(Reason::NotAllowed));
    !candidates.is_empty() && candidates.iter().all(|it| forbidden(it.verdict))
}

/// What the ledger keeps of a plan.
pub fn candidates(plan: &Plan, resolved: &Resolved) -> Vec<Candidate> {
    let coded = plan.explanation.codes().zip(&resolved.offers);
    coded
        .take(ledger::CANDIDATES_MAX)
        .map(|((_, reason), (offer, _))| Candidate { offer: offer.code, reason })
        .collect()
}

/// Whether every credential of the offer's provider was refused and rests, or none could be had and that is not tried
/// again yet.
pub fn credentials(offer: &Offer, now: UnixMicros) -> Option<Availability> {
    let provider = &offer.provider;
    let issued = || match &provider.signing.as_ref()?.keys {
        SigningKeys::Issued(pairs) => pairs.wait(),
        SigningKeys::Fixed(_) => None,
    };
    // A provider has one of the three.
    let tokens = || provider.tokens.as_ref()?.wait();
    let wait = provider.keys.wait(Instant::now()).or_else(tokens).or_else(issued)?;
    let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
    Some(Availability::NoCredential { until: Some(now.plus_micros(micros)) })
}

/// What can't be translated is served in the client's own dialect only.
fn endpoints(ask: &Ask, offer: &Offer) -> u32 {
    let spoken = offer.dialect_for(ask.endpoint, dispatch::asked_in(ask, offer));
    // A session needs a line: the built-in partners have none.
    let reached = |it: &Spoken| ask.endpoint != Endpoint::Realtime || it.target.is_some();
    if spoken.is_some_and(reached) { u32::MAX } else { 0 }
}

/// What reaches the offer without loss of meaning. Asked in earnest only where `on_loss` is `reject`: the request is
/// written for the offer, and if anything was lost, the offer carries nothing of it. An error where it can't be written:
/// another offer may carry it; a mistake of the client's none will.
fn carries(
    ask: &Ask,
    offer: &std::sync::Arc<Offer>,
    headers: &HeaderMap,
    canonical: &mut Canonical,
    resolved: &Resolved,
) -> Result<Features, Failure> {
    let all = Features::from_bits(u64::MAX);
    let client = ask.client.id();
    let forwarded = offer.speaks(client) && dispatch::asked_in(ask, offer) == client;
    if resolved.on_loss == domain::OnLoss::Allow || forwarded {
        return Ok(all);
    }
    let call = dispatch::prepare(ask, headers, canonical, offer, resolved)?;
    Ok(if call.losses.is_lossy() { Features::NONE } else { all })
}

/// The failure of a request that no offer can serve, with every offer's reason.
pub fn no_candidate(cx: &Cx, resolved: &Resolved, plan: &Plan) -> Failure {
    if is_forbidden(plan) {
        return not_allowed(cx, resolved);
    }
    let left: Vec<(String, Reason)> = plan
        .explanation
        .candidates
        .iter()
        .zip(&resolved.offers)
        .filter_map(|(candidate, (offer, _))| match candidate.verdict {
            Verdict::Left(reason) => Some((offer.id.to_string(), reason)),
            Verdict::Taken(..) => None,
        })
        .collect();
    let all = |wanted: fn(&Reason) -> bool| {
        !left.is_empty() && left.iter().all(|(_, reason)| wanted(reason))
    };
    let kind = if all(|it| matches!(it, Reason::Lossy(_))) {
        &errors::FEATURE_NOT_PORTABLE
    } else if all(|it| matches!(it, Reason::ContextTooLong { .. })) {
        &errors::CONTEXT_TOO_LONG
    } else if all(|it| matches!(it, Reason::Unpriced)) {
        &errors::UNPRICED
    } else if all(|it| matches!(it, Reason::SetAside { .. })) {
        &errors::UPSTREAM_RATE_LIMITED
    } else {
        &errors::NO_CANDIDATE
    };
    let sentences: Vec<String> =
        left.iter().map(|(offer, reason)| reason.sentence(offer)).collect();
    let wait = plan
        .retry_at
        .map(|at| u64::try_from(at.micros_since(cx.at)).unwrap_or(0).div_ceil(1_000).max(1));
    Failure::new(kind, sentences.join(" ")).retry_after_ms(wait)
}

/// The failure of a caller that may not ask for this; it says what it may ask for.
pub fn not_allowed(cx: &Cx, resolved: &Resolved) -> Failure {
    let config = &cx.snapshot.config;
    let caller = cx.caller.as_ref();
    let may = |name| caller.is_some_and(|caller| caller.may_ask(config, name));
    let names: Vec<String> = config
        .capabilities
        .iter()
        .filter(|it| may(&it.name))
        .map(|it| format!("`{}`", it.name))
        .collect();
    let message =
        format!("this key may not use `{}`", resolve::shown(resolved.capability.as_str()));
    let failure = Failure::new(&errors::MODEL_NOT_ALLOWED, message).field("model");
    match names.as_slice() {
        [] => failure.fix("It may use nothing of this configuration: ask for another key."),
        names => failure.fix(format!("It may use {}, or ask for another key.", names.join(", "))),
    }
}

/// The failure of a request that a limit refused.
pub fn denied(denied: &Denied) -> Failure {
    let kind = match denied {
        Denied::Budget(_) => &errors::BUDGET_EXCEEDED,
        Denied::Unpriced { .. } => &errors::UNPRICED,
        Denied::Rate(_) | Denied::Parallel(_) => &errors::RATE_LIMITED,
    };
    let wait = denied.retry_after_micros().map(|micros| micros.div_ceil(1_000));
    Failure::new(kind, denied.to_string()).retry_after_ms(wait)
}
