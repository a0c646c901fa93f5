//! A gateway without its data plane, on a folder of its own.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use ::ledger::{
    Amount, AttemptKey, Candidate, Charge, Durability, Intent, Lost, Marks, Record, Refusal,
    Settlement, Start, Unit, offer_code,
};
use axum::Router;
use axum::body::Body;
use config::Config;
use domain::{
    AppName, CapabilityName, Endpoint, ErrorClass, Fate, Features, KeyPublicId, Money, OfferId,
    OutcomeClass, RequestId, RequestLimits, UnixMicros, Usage, UsageQuality,
};
use http::{HeaderMap, Method, Request};
use limits::Limits;
use serde_json::Value;
use store::{OpenOptions, Store};
use telemetry::metrics::Metrics;
use tempfile::TempDir;
use tower_service::Service as _;

use super::super::access::TokenHash;
use super::super::{Admin, Api, Asked, router};
use crate::gateway::{Gateway, Parts};
use crate::imported::CatalogInForce;
use crate::keys::KeyTable;
use crate::serve::{config_record, limits_spec};
use crate::snapshot::{OfferNumbers, Snapshot};
use crate::{restore, settle};

pub(super) const TOKEN: &str = "a-token-of-the-tests-0123456789";

const CONFIG: &str = "
providers:
  demo: {}
  gone: {type: openai-compatible, base_url: 'http://127.0.0.1:1/v1'}
capabilities:
  chat: [gone/away, demo/echo]
budgets:
  daily: 5 USD per day
prices: {unpriced: allow}
";

pub(super) struct NoEnv;

impl config::Env for NoEnv {
    fn var(&self, _: &str) -> Option<String> {
        None
    }
    fn outrigger_vars(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    fn readable(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

/// A configuration that is good.
pub(super) fn config(text: &str) -> Config {
    let loaded = config::load(text, "outrigger.yaml", &NoEnv, catalog::builtin());
    loaded.unwrap_or_else(|problems| panic!("{problems:?}")).config
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) store: Arc<Store>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) router: Router,
    config: &'static str,
    runtime: tokio::runtime::Runtime,
    asked: Arc<Asked>,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    pub(super) json: Value,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(CONFIG)
    }

    pub(crate) fn with(config: &'static str) -> Self {
        Self::open_dir(tempfile::tempdir().unwrap(), config)
    }

    /// The process ends here and starts anew.
    pub(super) fn restarted(self) -> Self {
        let Self { dir, store, gateway, router, config, .. } = self;
        drop((store, router, gateway));
        Self::open_dir(dir, config)
    }

    fn open_dir(dir: TempDir, config: &'static str) -> Self {
        let options = OpenOptions { ballast_bytes: 0, ..OpenOptions::new(dir.path()) };
        let (store, replay) = Store::open(&options).unwrap();
        let metrics = Arc::new(Metrics::default());
        let numbers = Arc::new(OfferNumbers::default());
        let snapshot = build(1, config, &metrics, &numbers);
        let key_store = store.keys().unwrap();
        let keys = KeyTable::new(key_store.verifier(), key_store.list().unwrap());
        let now = domain::Clock::now(&crate::clock::SystemClock::default());
        let mut limits = Limits::new(now, limits_spec(&snapshot.config, &keys));
        restore::restore(&mut limits, &replay);
        let ledger = store.writer();
        let start = Start {
            at: now,
            version: "test".into(),
            config_revision: 1,
            durability: Durability::Strict,
        };
        ledger.append(&Record::Start(start)).wait().unwrap();
        ledger
            .append(&Record::Config(Box::new(config_record(now, &snapshot, config))))
            .wait()
            .unwrap();
        let gateway = Arc::new(Gateway::new(Parts {
            snapshot: Arc::new(snapshot),
            keys,
            ledger,
            responses: store.responses().unwrap(),
            metrics,
            limits,
            data_dir: dir.path().to_owned(),
            local_app: settle::local_app().unwrap(),
            numbers,
            bindings: store.bindings(),
            batches: crate::lodged::OpenBatches::default(),
        }));
        let store = Arc::new(store);
        let asked = Arc::new(Asked::default());
        let api = Api {
            gateway: Arc::clone(&gateway),
            store: Arc::downgrade(&store),
            token: TokenHash::new(TOKEN),
            address: "127.0.0.1:4142".parse().unwrap(),
            started_at: now,
            asked: Arc::clone(&asked),
            changing: std::sync::Mutex::default(),
        };
        let router = router(&Arc::new(api));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { dir, store, gateway, router, config, runtime, asked }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn admin(&self) -> Admin {
        Admin { asked: Arc::clone(&self.asked) }
    }

    pub(super) fn snapshot(&self, revision: u32) -> Snapshot {
        build(revision, self.config, &self.gateway.metrics, &self.gateway.numbers)
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// With the token, from this machine.
    pub(super) fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path, Some(TOKEN), ""))
    }

    /// With the token, from this machine.
    pub(super) fn post(&self, path: &str, body: &str) -> Reply {
        self.send(request(Method::POST, path, Some(TOKEN), body))
    }

    /// Without a token.
    pub(super) fn open(&self, method: Method, path: &str) -> Reply {
        self.send(request(method, path, None, ""))
    }

    pub(super) fn send(&self, request: Request<Body>) -> Reply {
        self.block_on(answer(self.router.clone(), request))
    }

    /// Runs `beside` while the request is under way.
    pub(super) fn while_answering(
        &self,
        method: &str,
        path: &str,
        beside: impl Future<Output = ()>,
    ) -> Reply {
        let request = request(method.parse().unwrap(), path, Some(TOKEN), "");
        self.block_on(async { tokio::join!(answer(self.router.clone(), request), beside).0 })
    }

    pub(crate) fn append(&self, record: &Record) {
        self.gateway.ledger.append(record).wait().unwrap();
    }

    /// A new request's id.
    pub(super) fn id(&self, number: u16) -> RequestId {
        RequestId::new(self.gateway.now(), u128::from(number) << 64)
    }

    /// The money budget as the API shows it.
    pub(super) fn daily(&self) -> Value {
        let budgets = self.get("/v1/outrigger/budgets").json;
        budgets["budgets"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["name"] == "daily")
            .unwrap()
            .clone()
    }
}

fn build(
    revision: u32,
    text: &str,
    metrics: &Arc<Metrics>,
    numbers: &Arc<OfferNumbers>,
) -> Snapshot {
    Snapshot::build(
        revision,
        config(text),
        CatalogInForce::Builtin,
        Arc::clone(metrics),
        Arc::clone(numbers),
        Arc::default(),
    )
    .unwrap()
}

pub(super) fn request(
    method: Method,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:4142");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

async fn answer(mut router: Router, request: Request<Body>) -> Reply {
    let response = router.call(request).await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let json = serde_json::from_str(&text).unwrap_or_default();
    Reply { status, headers, text, json }
}

pub(super) fn key(public: &str) -> KeyPublicId {
    KeyPublicId::new(public).unwrap()
}

/// An attempt at `demo/echo` that reserves one of the five dollars of the day.
pub(super) fn intent(id: RequestId, attempt: u16, now: UnixMicros) -> Intent {
    Intent {
        id: AttemptKey { request: id, call: 0, attempt },
        admitted_at: now,
        dispatched_at: now,
        deadline: now.plus_micros(600_000_000),
        key: None,
        app: AppName::new("local").unwrap(),
        team: None,
        capability: CapabilityName::new("chat").unwrap(),
        offer: OfferId::parse("demo/echo").unwrap(),
        requested_offer: None,
        endpoint: Endpoint::Chat,
        client_dialect: "openai-chat".into(),
        provider_dialect: "openai-chat".into(),
        contract: None,
        limits: RequestLimits::default(),
        context_bound: 10,
        features: Features::NONE,
        residency: Vec::new(),
        prefix_key: 0,
        policy_version: 1,
        config_revision: 1,
        price_version: None,
        reserved: Amount { money: Money::from_usd("1").unwrap(), tokens: 30, requests: 1 },
        charges: vec![daily(now)],
        candidates: vec![
            Candidate {
                offer: offer_code("gone/away"),
                reason: 64 + ErrorClass::Unreachable as u8,
            },
            Candidate { offer: offer_code("demo/echo"), reason: 1 },
        ],
        marks: Marks { stream: true, ..Marks::default() },
        losses: vec![Lost { field: "seed".into(), fate: Fate::Dropped }],
    }
}

fn daily(now: UnixMicros) -> Charge {
    let window = limits::windows::Span::containing(
        limits::windows::Period::Day,
        &limits::windows::Zone::UTC,
        now,
    );
    Charge {
        budget: "daily".into(),
        start: window.start,
        end: window.end,
        unit: Unit::Money,
        limit: i128::from(Money::from_usd("5").unwrap().pico()),
        hard: true,
    }
}

/// The end of such an attempt.
pub(super) fn settlement(
    intent: &Intent,
    outcome: OutcomeClass,
    error: ErrorClass,
    now: UnixMicros,
) -> Settlement {
    let cost = Money::from_usd("0.25").unwrap();
    let charged = Amount { money: cost, tokens: 10, requests: intent.reserved.requests };
    Settlement {
        id: intent.id,
        outcome,
        error,
        usage: Usage { input: 7, output: 3, ..Usage::default() },
        quality: UsageQuality::Reported,
        cost: Some(cost),
        charged,
        released: intent.reserved.released_after(&charged),
        price_version: None,
        price_tier: 0,
        dispatched_at: intent.dispatched_at,
        first_byte_at: Some(now),
        done_at: now,
        upstream_id: Some("chatcmpl-1".into()),
        finish: Some("stop".into()),
        upstream_code: 200,
        model: Some("echo".into()),
        marks: intent.marks,
    }
}

/// A request that was refused.
pub(super) fn refusal(id: RequestId, key: Option<KeyPublicId>, now: UnixMicros) -> Refusal {
    Refusal {
        request: id,
        at: now,
        key,
        app: None,
        team: None,
        model: Some("chat".into()),
        code: "budget_exceeded".into(),
        endpoint: Endpoint::Chat,
        client_dialect: "openai-chat".into(),
        config_revision: 1,
        candidates: Vec::new(),
    }
}
