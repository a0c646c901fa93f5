//! What all threads of the gateway share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use domain::{AppName, Clock as _, UnixMicros};
use fake_provider::Demo;
use ledger::{Record, Refusal};
use limits::{Limits, Unpriced};
use policy::Health;
use store::{Bindings, LedgerWriter, Responses};
use telemetry::metrics::Metrics;

use crate::accept::Cx;
use crate::clock::SystemClock;
use crate::errors::Failure;
use crate::keys::KeyTable;
use crate::lodged::OpenBatches;
use crate::snapshot::{OfferNumbers, Snapshot};

/// Rows a second for requests refused without a known key: a flood of strangers must not fill the disk. Beyond it
/// they are only counted.
const STRANGERS_PER_SECOND: u32 = 100;

/// Shared by all threads of the data plane and the admin API.
pub struct Gateway {
    /// The configuration in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// Virtual keys.
    pub keys: ArcSwap<KeyTable>,
    /// Where records go.
    pub ledger: LedgerWriter,
    /// Kept responses.
    pub responses: Responses,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The built-in partners.
    pub demo: Demo,
    /// The application of callers without a key.
    pub local_app: AppName,
    /// The data folder.
    pub data_dir: PathBuf,
    /// Offers' numbers.
    pub numbers: Arc<OfferNumbers>,
    /// What lies at providers, and whose it is.
    pub bindings: Bindings,
    /// Batches that run.
    pub batches: OpenBatches,
    clock: SystemClock,
    limits: Mutex<Limits>,
    health: Mutex<Health>,
    draining: AtomicBool,
    strangers: AtomicU32,
    strangers_second: std::sync::atomic::AtomicI64,
}

/// What a gateway is made of.
pub struct Parts {
    /// The first configuration.
    pub snapshot: Arc<Snapshot>,
    /// Virtual keys.
    pub keys: KeyTable,
    /// Where records go.
    pub ledger: LedgerWriter,
    /// Kept responses.
    pub responses: Responses,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Budgets and rates, with what the ledger remembers.
    pub limits: Limits,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The application of callers without a key.
    pub local_app: AppName,
    /// Offers' numbers.
    pub numbers: Arc<OfferNumbers>,
    /// What lies at providers, and whose it is.
    pub bindings: Bindings,
    /// Batches that earlier processes began.
    pub batches: OpenBatches,
}

impl Gateway {
    /// A gateway of these parts.
    pub fn new(parts: Parts) -> Self {
        let health = parts.snapshot.health_config();
        Self {
            snapshot: ArcSwap::new(parts.snapshot),
            keys: ArcSwap::from_pointee(parts.keys),
            ledger: parts.ledger,
            responses: parts.responses,
            metrics: parts.metrics,
            demo: Demo::default(),
            local_app: parts.local_app,
            data_dir: parts.data_dir,
            numbers: parts.numbers,
            bindings: parts.bindings,
            batches: parts.batches,
            clock: SystemClock::default(),
            limits: Mutex::new(parts.limits),
            health: Mutex::new(Health::new(health)),
            draining: AtomicBool::new(false),
            strangers: AtomicU32::new(0),
            strangers_second: std::sync::atomic::AtomicI64::new(0),
        }
    }

    /// The time, for records and windows.
    pub fn now(&self) -> UnixMicros {
        self.clock.now()
    }

    /// Budgets, rates and caps. Hold it for a moment only: every request passes here.
    pub fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breakers and retry budgets. Hold it for a moment only.
    pub fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an unknown worst case means.
    pub fn unpriced(&self, snapshot: &Snapshot) -> Unpriced {
        if snapshot.unpriced_allowed() { Unpriced::Allow } else { Unpriced::Reject }
    }

    /// Whether new requests are turned away.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Turns new requests away from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Records a request that was refused before any attempt.
    pub fn refused(&self, cx: &Cx, failure: &Failure) {
        self.metrics.refused(failure.kind.code);
        let caller = cx.caller.as_ref();
        if caller.is_none() && !self.stranger_has_room(cx.at) {
            return;
        }
        let refusal = Refusal {
            request: cx.id,
            at: cx.at,
            key: caller.and_then(|it| it.public()).cloned(),
            app: caller.and_then(|it| it.app()).cloned(),
            team: caller.and_then(|it| it.team()).cloned(),
            model: cx.model.as_deref().map(|model| crate::resolve::shown(model).into()),
            code: failure.kind.code.into(),
            endpoint: cx.endpoint,
            client_dialect: cx.client.id().as_str().into(),
            config_revision: cx.snapshot.revision,
            candidates: cx.candidates.clone(),
        };
        // Nobody waits for it: nothing was sent and nothing is owed.
        drop(self.ledger.append(&Record::Refusal(Box::new(refusal))));
    }

    fn stranger_has_room(&self, now: UnixMicros) -> bool {
        let second = now.secs();
        if self.strangers_second.swap(second, Ordering::Relaxed) != second {
            self.strangers.store(0, Ordering::Relaxed);
        }
        self.strangers.fetch_add(1, Ordering::Relaxed) < STRANGERS_PER_SECOND
    }
}
