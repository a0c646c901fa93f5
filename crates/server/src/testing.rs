//! One attempt of one request, made without a socket: for tests of what is reserved, sent and accounted.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use dialect::{DialectId, PathFacts};
use domain::Endpoint;
use fake_provider::{Body, Part};
use flow::{Attempt, Why};
use http::{HeaderMap, StatusCode};
use ledger::query::{self, Filter, Order};
use ledger::{Intent, Record, Settlement, Stop};
use policy::Plan;

use crate::accept::Cx;
use crate::admin::tests::world::World;
use crate::admit::{self, Bound};
use crate::dispatch::{self, Call, Reply};
use crate::fetch::Files;
use crate::identify::Caller;
use crate::plan;
use crate::read::{self, Ask};
use crate::resolve::{self, Resolved};
use crate::settle::{Flight, IntentFacts};
use crate::source::{DemoBody, Source};
use crate::worker::Worker;

/// A request as far as its first attempt, before anything is reserved.
pub(crate) struct Trial {
    world: World,
    worker: Rc<Worker>,
    cx: Cx,
    ask: Ask,
    resolved: Resolved,
    pub(crate) planned: Plan,
    pub(crate) call: Call,
}

impl Trial {
    /// A chat request in `client`'s dialect under that configuration.
    pub(crate) fn new(config: &'static str, client: DialectId, body: &'static str) -> Self {
        let world = World::with(config);
        let worker = world.block_on(async { Rc::new(Worker::new(world.gateway.clone())) });
        let at = world.gateway.now();
        let mut cx = Cx {
            id: worker.request_id(at),
            at,

            since: tokio::time::Instant::now(),
            snapshot: world.gateway.snapshot.load_full(),
            client: dialect::dialect(client),
            envelope: domain::Envelope::None,
            endpoint: Endpoint::Chat,
            caller: Some(Caller { key: None }),
            model: None,
            attempts: 0,
            candidates: Vec::new(),
            keep: None,
        };
        let headers = HeaderMap::new();
        let body = Bytes::from_static(body.as_bytes());
        let ask = read::read(cx.client, cx.endpoint, body, &headers, PathFacts::default());
        let ask = ask.unwrap();
        let resolved = resolve::resolve(&cx.snapshot, cx.caller.as_ref(), &ask.peek.model).unwrap();
        let files = Files::planned(&cx.snapshot.config.routing.fetch_urls);
        let mut canonical = read::Canonical { files, ..read::Canonical::default() };
        let planned = plan::plan(&worker, &cx, &ask, &resolved, &headers, &mut canonical).unwrap();
        let offer = &resolved.offers[0].0;
        let call = dispatch::prepare(&ask, &headers, &mut canonical, offer, &resolved);
        cx.attempts = 1;
        Self { call: *call.unwrap(), world, worker, cx, ask, resolved, planned }
    }

    /// What the attempt may use at most.
    pub(crate) fn bound(&self) -> Bound {
        let now = self.worker.gateway.now();
        admit::bound(&self.ask, &self.call.offer, self.call.max_output, now).unwrap()
    }

    /// Reserves and sends it, so to say.
    pub(crate) fn depart(&self) -> Box<Flight> {
        let offer = self.call.offer.ix;
        let now = self.worker.gateway.now();
        let facts = IntentFacts {
            ask: &self.ask,
            resolved: &self.resolved,
            planned: &self.planned,
            call: &self.call,
            bound: self.bound(),
            attempt: Attempt { offer, number: 0, why: Why::First, wait_micros: 0 },
            claim: self.worker.gateway.health().claim(offer, now).unwrap(),
        };
        let begun = Flight::begin(&self.worker, &self.cx, &facts, None);
        let ((mut flight, receipt), _) = begun.ok().expect("nothing stands in its way");
        self.block_on(receipt).unwrap();
        flight.dispatched();
        flight
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.world.block_on(future)
    }

    /// What the ledger says of the attempt, once it is settled.
    pub(crate) fn row(&self) -> (Intent, Settlement) {
        // Records are written in order: what was handed over before is there when this one is.
        self.world.append(&Record::Stop(Stop { at: self.cx.at, why: "test".into() }));
        let reader = self.world.store.reader().unwrap();
        let mut found = None;
        query::attempts(&reader, &Filter::default(), Order::Newest, &mut |attempt| {
            let parts = attempt.intent().cloned().zip(attempt.settlement().cloned());
            found = parts;
            false
        })
        .unwrap();
        found.expect("the attempt is settled")
    }
}

/// The head of a success answer whose body comes in these pieces, each after a wait, and is then cut or ends.
pub(crate) fn reply(pieces: &[(Duration, &str)], cut: bool) -> Reply {
    let part = |(delay, text): &(Duration, &str)| Part {
        delay: *delay,
        bytes: Bytes::copy_from_slice(text.as_bytes()),
    };
    let body = Body::Timed { parts: pieces.iter().map(part).collect(), cut };
    Reply {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        source: Source::Demo(DemoBody::new(body)),
        shown: crate::dispatch::Shown::Nothing,
    }
}
