//! Where something lies, or is to lie; and calls that go there.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dialect::{Dialect, DialectId, Peek};
use domain::{CapabilityName, Endpoint, Envelope, ErrorClass, ModelName, OfferId, OnLoss, Role};
use http::{HeaderMap, Method, Response};
use store::Binding;

use super::open::Lies;
use crate::accept::{Cx, Run, attempts};
use crate::body::RespBody;
use crate::dispatch::{self, Fault, Reply};
use crate::errors::{self, Failure};
use crate::kept::Past;
use crate::plan;
use crate::read::{Ask, Canonical, Way};
use crate::resolve::Resolved;
use crate::snapshot::{Offer, Provider, Snapshot};
use crate::worker::Worker;

/// A provider, and the key with which something lies there.
pub(super) struct Place {
    pub(super) provider: Arc<Provider>,
    pub(super) key: Option<u64>,
}

/// Whether files and batches of that dialect can lie at a provider.
fn keeps(provider: &Provider, client: DialectId) -> bool {
    provider.dialects.iter().any(|it| it.dialect == client && it.envelope == Envelope::None)
}

/// The place for something new: the provider that the request names, or the only one there is.
pub(super) fn choose(cx: &Cx, headers: &HeaderMap) -> Result<Place, Failure> {
    let client = cx.client.id();
    let able = cx.snapshot.providers.iter().filter(|it| keeps(it, client));
    let able: Vec<&Arc<Provider>> = able.filter(|it| asked_as(cx, it, None).is_some()).collect();
    let names = || able.iter().map(|it| format!("`{}`", it.name)).collect::<Vec<_>>().join(", ");
    let provider = match (headers.get("x-outrigger-provider"), able.as_slice()) {
        (Some(named), _) => {
            let named = named.to_str().unwrap_or_default();
            able.iter().find(|it| it.name.as_str() == named).ok_or_else(|| {
                let named = crate::resolve::shown(named);
                let message = format!(
                    "no provider `{named}` keeps files and batches of this API for this key"
                );
                Failure::new(&errors::PROVIDER_NOT_SAID, message)
                    .fix(format!("Name one of these in `x-outrigger-provider`: {}.", names()))
            })?
        }
        (None, [only]) => only,
        (None, []) => {
            let message = "no provider that this key may use keeps files and batches of this API";
            return Err(Failure::new(&errors::NO_CANDIDATE, message));
        }
        (None, _) => {
            let message = format!("several providers could take this: {}", names());
            return Err(Failure::new(&errors::PROVIDER_NOT_SAID, message)
                .fix("Name one of them in the header `x-outrigger-provider`."));
        }
    };
    let key = provider.keys.pick(Instant::now()).ok().map(|picked| picked.secret.mark());
    Ok(Place { provider: Arc::clone(provider), key })
}

/// The place of something that lies somewhere.
pub(super) fn of(cx: &Cx, binding: &Binding) -> Result<Place, Failure> {
    let provider = cx.snapshot.provider(&binding.provider).cloned().ok_or_else(|| {
        let message = format!(
            "`{}` lies at `{}`, which is not configured any more",
            binding.id, binding.provider
        );
        Failure::new(&errors::NO_CANDIDATE, message)
    })?;
    Ok(Place { provider, key: binding.credential })
}

/// The name under which a caller may use a provider, or a model there: a capability that has it, for a caller that is bound to
/// some; else the offer's own. `None`: it may not.
pub(super) fn asked_as(
    cx: &Cx,
    provider: &Provider,
    offer: Option<&Offer>,
) -> Option<CapabilityName> {
    let config = &cx.snapshot.config;
    let caller = cx.caller.as_ref().filter(|it| it.is_bound(config));
    let Some(caller) = caller else {
        return match offer {
            Some(offer) => offer.name.clone(),
            None => {
                CapabilityName::new(&format!("{}/{}", provider.name, cx.endpoint.as_str())).ok()
            }
        };
    };
    let has = |entry: &crate::snapshot::CapabilityEntry| {
        entry.offers.iter().any(|(it, _)| match offer {
            Some(offer) => it.id == offer.id,
            None => it.provider.name == provider.name,
        })
    };
    let mut entries = cx.snapshot.capabilities.values();
    entries.find(|it| caller.may_ask(config, &it.name) && has(it)).map(|it| it.name.clone())
}

/// The offer that stands for a provider's files, or batches, in rows.
pub(super) fn stand_in(
    snapshot: &Snapshot,
    provider: &Provider,
    endpoint: Endpoint,
) -> Option<Arc<Offer>> {
    let model = ModelName::new(endpoint.as_str()).ok()?;
    snapshot.offer(&OfferId::new(provider.name.clone(), model))
}

/// A request for one offer.
pub(super) fn resolved(snapshot: &Snapshot, offer: Arc<Offer>, name: CapabilityName) -> Resolved {
    let routing = &snapshot.config.routing;
    Resolved {
        capability: name,
        named: Some(offer.id.clone()),
        offers: [(offer, Role::Core)].into_iter().collect(),
        on_loss: OnLoss::Allow,
        max_output: None,
        default_max_output: routing.default_max_output,
    }
}

/// A request that is only sent on.
pub(super) fn ask(
    client: &'static dyn Dialect,
    endpoint: Endpoint,
    way: Way,
    headers: &HeaderMap,
    body: Bytes,
    streamed: bool,
) -> Ask {
    let mut peek = Peek::default();
    endpoint.as_str().clone_into(&mut peek.model);
    peek.stream = streamed;
    peek.form = dialect::is_form(&crate::read::HeaderView(headers));
    peek.limits.answers = 1;
    Ask { client, endpoint, body, path_model: None, peek, past: Past::default(), way: Some(way) }
}

/// Sends a call there, with a row of its own, which costs nothing.
pub(super) async fn go(
    worker: &Rc<Worker>,
    cx: &mut Cx,
    place: &Place,
    way: Way,
    headers: &HeaderMap,
    body: Bytes,
    streamed: bool,
) -> Result<Response<RespBody>, Failure> {
    let offer = stand_in(&cx.snapshot, &place.provider, cx.endpoint);
    let name = asked_as(cx, &place.provider, None);
    let own = || CapabilityName::new(cx.endpoint.as_str()).ok();
    let (Some(offer), Some(name)) = (offer, name.or_else(own)) else {
        return Err(Failure::new(&errors::INTERNAL, "a provider without a name"));
    };
    let resolved = resolved(&cx.snapshot, offer, name);
    cx.model = Some(resolved.capability.to_string());
    let ask = ask(cx.client, cx.endpoint, way, headers, body, streamed);
    let mut canonical = Canonical::default();
    let planned = plan::plan(worker, cx, &ask, &resolved, headers, &mut canonical)?;
    let run = Run {
        ask: &ask,
        headers,
        resolved: &resolved,
        planned: &planned,
        canonical,
        handshake: None,
        admission: None,
    };
    attempts(worker, cx, run).await
}

/// Asks for what lies somewhere, on the gateway's own account: no client waits for it, and it costs nothing.
pub(super) async fn fetch(
    worker: &Worker,
    snapshot: &Snapshot,
    lies: &Lies,
    endpoint: Endpoint,
    path: String,
) -> Result<Reply, Fault> {
    let gone = |why: &str| Fault::silent(ErrorClass::Internal, false, why);
    let provider = snapshot.provider(lies.provider.as_str());
    let provider = provider.ok_or_else(|| gone("its provider is not configured any more"))?;
    let offer = stand_in(snapshot, provider, endpoint).ok_or_else(|| gone("it has no name"))?;
    let name = offer.name.clone().ok_or_else(|| gone("it has no name"))?;
    let resolved = resolved(snapshot, Arc::clone(&offer), name);
    let way = Way { method: Method::GET, path, key: lies.credential };
    let headers = HeaderMap::new();
    let ask = ask(dialect::dialect(lies.client), endpoint, way, &headers, Bytes::new(), false);
    let call = dispatch::prepare(&ask, &headers, &mut Canonical::default(), &offer, &resolved);
    let call = call.map_err(|failure| gone(&failure.message))?;
    Box::pin(dispatch::send(worker, &call)).await
}
