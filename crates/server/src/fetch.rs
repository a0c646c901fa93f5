//! fetch: what the client named by URL and an offer takes inline only, where `routing.fetch_urls` allows it.
//!
//! Done before the request is written for such an offer and once, however many offers are tried. The client's URLs lead
//! where the client wants, so the address guard is stricter than for providers, nothing of ours goes along, and the
//! request has its place in the limits before anything is fetched for it.

use std::borrow::Cow;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use config::FetchUrls;
use dialect::exchange::Media;
use dialect::remote::{self, MediaKind, Remote};
use dialect::{Dialect, Exchange, Quirks};
use domain::{Endpoint, Feature, LossReport};
use http::HeaderMap;
use limits::{Ask as LimitsAsk, Scope, Ticket};
use upstream::{FetchOptions, Scheme, Target};

use crate::accept::{Cx, Refused};
use crate::errors::{self, Failure};
use crate::gateway::Gateway;
use crate::read::{Ask, Canonical};
use crate::resolve::Resolved;
use crate::snapshot::Offer;
use crate::worker::Worker;
use crate::{admit, dispatch, plan};

/// Most URLs of one request that are fetched.
const URLS_MAX: usize = 16;
/// Time for all of them together.
const TIME_MAX: Duration = Duration::from_secs(15);
/// Files that one thread fetches at the same time.
pub const AT_ONCE_MAX: usize = 16;

/// The files of a request that lie at URLs.
#[derive(Debug, Default)]
pub struct Files {
    /// Whether the request is only being planned: what would be fetched is stood in for.
    is_plan: bool,
    known: Vec<File>,
}

#[derive(Debug)]
struct File {
    kind: MediaKind,
    url: String,
    /// The file, or why it could not be had.
    got: Result<Media, String>,
}

impl Files {
    /// For the plan of a request: nothing is fetched yet, but what may be is taken for had.
    pub fn planned(rules: &FetchUrls) -> Self {
        Self { is_plan: rules.is_allowed(), known: Vec::new() }
    }

    /// The plan is made: what counts from here on is what was fetched.
    pub fn end_plan(&mut self) {
        self.is_plan = false;
    }

    /// The request as an offer is told it: with the files inline that it would not fetch.
    pub fn inline<'a>(
        &self,
        exchange: &'a Exchange,
        dialect: &dyn Dialect,
        quirks: &Quirks,
        losses: &mut LossReport,
    ) -> Cow<'a, Exchange> {
        if !self.are_needed(exchange, dialect, quirks) {
            return Cow::Borrowed(exchange);
        }
        let file = |kind, url: &str| match self.known(kind, url) {
            Some(file) => file.got.clone().ok(),
            None => self.is_plan.then(|| remote::stand_in(kind)),
        };
        Cow::Owned(remote::inlined(exchange, dialect, quirks, losses, file))
    }

    /// Whether there are none, and none are taken for had.
    pub fn is_idle(&self) -> bool {
        self.known.is_empty() && !self.is_plan
    }

    /// Whether a request is told with files inline.
    pub fn are_needed(&self, exchange: &Exchange, dialect: &dyn Dialect, quirks: &Quirks) -> bool {
        !self.is_idle() && !remote::unfetched(exchange, dialect, quirks).is_empty()
    }

    fn known(&self, kind: MediaKind, url: &str) -> Option<&File> {
        self.known.iter().find(|it| it.kind == kind && it.url == url)
    }
}

/// Fetches what `offer` would not, unless that was done before. `is_admitted` says that the request has its place in the
/// limits already.
pub async fn fetch(
    worker: &Worker,
    cx: &Cx,
    (ask, resolved): (&Ask, &Resolved),
    headers: &HeaderMap,
    canonical: &mut Canonical,
    offer: &Arc<Offer>,
    is_admitted: bool,
) -> Result<(), Refused> {
    let rules = &cx.snapshot.config.routing.fetch_urls;
    let remote = ask.endpoint == Endpoint::Chat && ask.peek.features.contains(Feature::RemoteMedia);
    if !remote || !rules.is_allowed() {
        return Ok(());
    }
    let Some(id) = dispatch::written_in(ask, offer) else { return Ok(()) };
    canonical.read(ask, headers).map_err(Refused::Failure)?;
    let Canonical { chat: Some(exchange), files, .. } = canonical else { return Ok(()) };
    let needed = remote::unfetched(exchange, dialect::dialect(id), &offer.quirks);
    if needed.len() > URLS_MAX {
        let why =
            format!("it names {} URLs, of which at most {URLS_MAX} are fetched", needed.len());
        return Err(Refused::Failure(Failure::new(&errors::URL_NOT_FETCHED, why)));
    }
    let missing: Vec<&Remote<'_>> =
        needed.iter().filter(|it| files.known(it.kind, it.url).is_none()).collect();
    if !missing.is_empty() {
        let place =
            if is_admitted { None } else { Some(Place::take(worker, cx, ask, resolved, offer)?) };
        let room = Cell::new(cx.snapshot.config.server.limits.body);
        let all = missing.iter().map(|it| Box::pin(one(worker, rules, it, &room))).collect();
        let got = together(all).await;
        for (it, got) in missing.iter().zip(got) {
            files.known.push(File { kind: it.kind, url: it.url.to_owned(), got });
        }
        let failed = needed
            .iter()
            .any(|it| files.known(it.kind, it.url).is_some_and(|file| file.got.is_err()));
        if let Some(place) = place.filter(|_| !failed) {
            place.give_back();
        }
    }
    for it in &needed {
        if let Some(Err(why)) = files.known(it.kind, it.url).map(|file| &file.got) {
            return Err(Refused::Failure(not_fetched(it, why)));
        }
    }
    Ok(())
}

fn not_fetched(it: &Remote<'_>, why: &str) -> Failure {
    let what = match it.kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
    };
    // Of the URL only its host is told: the rest may bear a signature.
    let host = upstream::host_of(it.url).map(|host| format!(" at `{host}`")).unwrap_or_default();
    let why = format!("{}: the {what}{host} was not fetched: {why}", it.place);
    Failure::new(&errors::URL_NOT_FETCHED, why).field(it.place.clone())
}

async fn one(
    worker: &Worker,
    rules: &FetchUrls,
    it: &Remote<'_>,
    room: &Cell<u64>,
) -> Result<Media, String> {
    let own_port = |target: &Target| match target.scheme() {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let may_ask = |to: &Target| rules.may_ask(to.host(), to.port(), own_port(to));
    let options = FetchOptions {
        may_ask: &may_ask,
        allow_private_address: rules.allow_private_address(),
        room,
    };
    let work = async {
        // Closed never: it lives as long as its thread.
        let _permit = worker.fetches.acquire().await.ok();
        let file = upstream::fetch(it.url, &options).await.map_err(|error| error.to_string())?;
        let media = remote::media_of(it.kind, file.media_type.as_deref(), &file.body);
        media.map_err(str::to_owned)
    };
    match tokio::time::timeout(TIME_MAX, work).await {
        Ok(got) => got,
        Err(_) => Err(format!("it was not here within {} s", TIME_MAX.as_secs())),
    }
}

/// All of them at the same time, in their order.
async fn together<F: Future>(mut all: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, done) in all.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// A request's place in the limits while its files are fetched. Dropped, it counts as a request that was refused.
struct Place {
    gateway: Arc<Gateway>,
    ticket: Option<Ticket>,
}

impl Place {
    /// As for an attempt: the worst case of what is at a URL is known before it is fetched, since an image then counts as
    /// the largest there is and a document as all that fits the context.
    fn take(
        worker: &Worker,
        cx: &Cx,
        ask: &Ask,
        resolved: &Resolved,
        offer: &Offer,
    ) -> Result<Self, Refused> {
        let gateway = Arc::clone(&worker.gateway);
        let now = gateway.now();
        let limit = admit::output_limit(ask, resolved, offer);
        let bound = admit::bound(ask, offer, limit, now)
            .map_err(|error| Refused::Failure(admit::unrecordable(error)))?;
        let wanted = LimitsAsk {
            money: bound.money,
            tokens: bound.tokens.output.map(|it| bound.tokens.input.saturating_add(it)),
            requests: 1,
            unpriced: gateway.unpriced(&cx.snapshot),
        };
        let scope = Scope {
            provider: Some(offer.id.provider()),
            ..plan::scope(cx.caller.as_ref(), resolved)
        };
        let admitted = gateway.limits().admit(now, &scope, &wanted);
        let ticket = admitted.map_err(|denied| Refused::Limit(plan::denied(&denied)))?;
        Ok(Self { gateway, ticket: Some(ticket) })
    }

    /// The attempt takes it anew, for what it really is.
    fn give_back(mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.gateway.limits().cancel(ticket);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.gateway.limits().decline(ticket);
        }
    }
}
