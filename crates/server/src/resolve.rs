//! resolve: what the client asked for by name, as offers.

use std::sync::Arc;

use domain::{CapabilityName, OfferId, OnLoss, Role};
use smallvec::SmallVec;

use crate::errors::{self, Failure};
use crate::identify::Caller;
use crate::snapshot::{Offer, Snapshot};

/// Nearest names shown for one that is unknown.
const NEAREST: usize = 3;

/// What a requested model name stands for.
pub struct Resolved {
    /// The name to record: the capability's, or the name as asked.
    pub capability: CapabilityName,
    /// The offer that the client named itself, where it did.
    pub named: Option<OfferId>,
    /// The offers in the order they are tried.
    pub offers: SmallVec<[(Arc<Offer>, Role); 4]>,
    /// Whether a lossy translation may go ahead.
    pub on_loss: OnLoss,
    /// Output bound to write into requests that set none.
    pub max_output: Option<u64>,
    /// The same for models whose own limit is unknown; assumed where nothing can be written.
    pub default_max_output: Option<u64>,
}

/// Resolves in this order: a capability's name; an offer id; a bare model id that exactly one offer bears. A failure
/// names nothing that `caller` may not ask for.
pub fn resolve(
    snapshot: &Snapshot,
    caller: Option<&Caller>,
    model: &str,
) -> Result<Resolved, Failure> {
    if let Some(entry) = snapshot.capabilities.get(model) {
        return Ok(Resolved {
            capability: entry.name.clone(),
            named: None,
            offers: entry.offers.clone(),
            on_loss: entry.on_loss,
            max_output: entry.max_output,
            default_max_output: snapshot.config.routing.default_max_output,
        });
    }
    if let Some(resolved) = snapshot.offer_called(model).and_then(|offer| one(snapshot, offer)) {
        return Ok(resolved);
    }
    let bearing = snapshot.bearing(model);
    match bearing.as_slice() {
        [only] => snapshot
            .offer(only)
            .and_then(|offer| one(snapshot, offer))
            .ok_or_else(|| unknown(snapshot, caller, model)),
        [] => Err(unknown(snapshot, caller, model)),
        // It may ask for none of them, so their names are none of its business.
        _ if is_bound(snapshot, caller) => Err(unknown(snapshot, caller, model)),
        several => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            let message =
                format!("several providers serve `{}`: {}", shown(model), names.join(", "));
            Err(Failure::new(&errors::MODEL_NOT_FOUND, message)
                .fix("Ask for one of them by its full name.")
                .field("model"))
        }
    }
}

fn one(snapshot: &Snapshot, offer: Arc<Offer>) -> Option<Resolved> {
    let capability = offer.name.clone()?;
    let named = Some(offer.id.clone());
    let mut offers = SmallVec::new();
    offers.push((offer, Role::Core));
    let routing = &snapshot.config.routing;
    Some(Resolved {
        capability,
        named,
        offers,
        on_loss: routing.on_loss,
        max_output: None,
        default_max_output: routing.default_max_output,
    })
}

fn is_bound(snapshot: &Snapshot, caller: Option<&Caller>) -> bool {
    caller.is_some_and(|caller| caller.is_bound(&snapshot.config))
}

fn unknown(snapshot: &Snapshot, caller: Option<&Caller>, model: &str) -> Failure {
    let may = |name| caller.is_none_or(|caller| caller.may_ask(&snapshot.config, name));
    let capabilities = snapshot.capabilities.iter().filter(|(_, entry)| may(&entry.name));
    let mut names: Vec<String> = capabilities.map(|(name, _)| name.clone()).collect();
    // Who is bound may not ask for offers by their own names.
    let providers = if is_bound(snapshot, caller) { &[][..] } else { &snapshot.providers };
    for provider in providers {
        names.extend(
            snapshot.models_of(provider).into_iter().map(|it| format!("{}/{it}", provider.name)),
        );
    }
    let near = catalog::nearest(model, names.iter().map(String::as_str), NEAREST);
    let asked = shown(model);
    let failure = Failure::new(
        &errors::MODEL_NOT_FOUND,
        format!("no capability, offer or model is called `{asked}`"),
    )
    .field("model");
    if near.is_empty() {
        return failure.fix("`GET /v1/models` lists what there is.");
    }
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    failure.fix(format!("Did you mean {}? `GET /v1/models` lists what there is.", near.join(", ")))
}

/// A name as it may stand in a message: bounded, without control characters.
pub fn shown(model: &str) -> String {
    model.chars().filter(|it| !it.is_control()).take(80).collect()
}
