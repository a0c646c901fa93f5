//! Starting, running and stopping the gateway.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use config::{Config, Diagnostic};
use domain::UnixMicros;
use ledger::{BudgetDefinition, ConfigChange, Durability, Record, Start, Stop};
use limits::{Limits, LimitsSpec};
use store::{OpenOptions, Store};
use telemetry::metrics::Metrics;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::gateway::{Gateway, Parts};
use crate::imported::CatalogInForce;
use crate::keys::KeyTable;
use crate::listen::{self, Gate, ListenLimits, Served, TlsSource};
use crate::lodged::{self, OpenBatches};
use crate::reload::{Reloader, chained, rendered};
use crate::snapshot::{OfferNumbers, Snapshot, SnapshotError};
use crate::worker::Worker;
use crate::{accept, admin, restore, secrets, settle};

/// How often idle connections to providers are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How often the configuration is looked at for a change.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How often what was kept long enough is deleted.
const SWEEP_KEPT_EVERY: Duration = Duration::from_hours(1);
/// How often gauges are brought up to date.
const GAUGES_EVERY: Duration = Duration::from_secs(1);

/// Where the configuration comes from, now and at each reload.
pub trait ConfigSource: Send {
    /// Its text as it is now; the error is for a person.
    fn text(&self) -> Result<String, String>;
    /// The text, checked; the error holds every problem.
    fn check(&self, text: &str) -> Result<Config, Vec<Diagnostic>>;
}

/// What the gateway is started with.
pub struct Options {
    /// The configuration.
    pub source: Box<dyn ConfigSource>,
    /// The data folder; the configuration's unless given.
    pub data_dir: Option<PathBuf>,
    /// `OUTRIGGER_MASTER_KEY`, where set.
    pub master_key: Option<Vec<u8>>,
    /// `OUTRIGGER_ADMIN_TOKEN`, where set; else a token is made and kept in the data folder.
    pub admin_token: Option<String>,
    /// Threads of the data plane; one per core unless given.
    pub threads: Option<usize>,
    /// Told once when requests are taken.
    pub on_ready: Box<dyn FnOnce(&Ready)>,
}

/// What is said when the gateway takes requests.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where the data plane listens.
    pub api: SocketAddr,
    /// Where the admin API listens.
    pub admin: SocketAddr,
    /// Whether the data plane speaks TLS.
    pub tls: bool,
    /// Whether keys are required.
    pub keys_required: bool,
    /// Providers and how many models each is known to serve.
    pub providers: Vec<(String, usize)>,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// The data folder.
    pub data_dir: PathBuf,
    /// Attempts of earlier processes that nobody settled.
    pub unsettled: usize,
    /// The admin token, where it was made just now: shown once.
    pub new_admin_token: Option<String>,
}

/// How the gateway ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything in flight was finished.
    Drained,
    /// This many requests were cut at the deadline.
    Cut(usize),
}

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration can't be read or is refused; the text shows every problem.
    #[error("{0}")]
    Config(String),
    /// The configuration reads well and can't be put in force.
    #[error("the configuration can't be put in force")]
    Snapshot(#[from] SnapshotError),
    /// The data folder can't be used.
    #[error("the data folder can't be used")]
    Store(#[from] store::OpenError),
    /// What is kept can't be sealed.
    #[error("what is kept can't be sealed")]
    Sealer(#[from] store::SealError),
    /// The keys can't be read.
    #[error("the keys can't be read")]
    Keys(#[from] store::KeyError),
    /// An address can't be listened on.
    #[error("can't listen on {address}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A TLS file can't be used.
    #[error("TLS can't be set up")]
    Tls(#[from] listen::TlsError),
    /// A file of the configuration can't be read.
    #[error("a file can't be read")]
    Secret(#[from] secrets::SecretError),
    /// The ledger refused its first record.
    #[error("the ledger can't be written")]
    Ledger(#[from] store::LedgerUnavailable),
    /// The system refused a thread, a signal handler or a file.
    #[error("the system refused what the gateway needs")]
    System(#[from] std::io::Error),
}

/// Runs the gateway until it is asked to stop.
pub fn run(options: Options) -> Result<Exit, ServeError> {
    let text = options.source.text().map_err(ServeError::Config)?;
    let config = options
        .source
        .check(&text)
        .map_err(|problems| ServeError::Config(rendered(&problems, &text)))?;
    let data_dir = options.data_dir.clone().unwrap_or_else(|| PathBuf::from(&config.ledger.dir));
    let durability = match config.ledger.durability {
        config::Durability::Strict => Durability::Strict,
        config::Durability::Relaxed => Durability::Relaxed,
    };
    let open = OpenOptions {
        durability,
        master_key: options.master_key.clone(),
        ..OpenOptions::new(&data_dir)
    };
    let (store, replay) = Store::open(&open)?;
    let batches = OpenBatches::restored(&replay);
    let unsettled = replay.open.len() - batches.count();
    let metrics = Arc::new(Metrics::default());
    let numbers = Arc::new(OfferNumbers::default());
    // Old prices at the start are better than no gateway; a reload is refused instead.
    let catalog = CatalogInForce::of(&data_dir, &CatalogInForce::Builtin).unwrap_or_else(|error| {
        tracing::error!(error = chained(error), "the built-in prices are used");
        CatalogInForce::Builtin
    });
    let logins = Arc::default();
    let snapshot =
        Snapshot::build(1, config, catalog, Arc::clone(&metrics), Arc::clone(&numbers), logins)?;
    let key_store = store.keys()?;
    let keys = KeyTable::new(key_store.verifier(), key_store.list()?);
    let now = now_of_system();
    let mut limits = Limits::new(now, limits_spec(&snapshot.config, &keys));
    restore::restore(&mut limits, &replay);
    let writer = store.writer();
    writer.append(&Record::Start(start_record(now, durability))).wait()?;
    writer.append(&Record::Config(Box::new(config_record(now, &snapshot, &text)))).wait()?;
    metrics.ledger_unsettled_rows.set(i64::try_from(unsettled).unwrap_or(i64::MAX));
    metrics.config_revision.set(1);
    let local_app = settle::local_app().ok_or_else(|| {
        ServeError::Config("the name of the local application is not valid".to_owned())
    })?;
    let gateway = Arc::new(Gateway::new(Parts {
        snapshot: Arc::new(snapshot),
        keys,
        ledger: writer,
        responses: store.responses()?,
        metrics,
        limits,
        data_dir: data_dir.clone(),
        local_app,
        numbers,
        bindings: store.bindings(),
        batches,
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // From now on a signal drains: nobody may be told of a gateway that a signal would still kill.
    let signals = {
        let _entered = runtime.enter();
        Signals::watched()?
    };
    let running = Running::start(gateway, store, options, text, durability, unsettled)?;
    running.until_stopped(&runtime, signals)
}

fn now_of_system() -> UnixMicros {
    domain::Clock::now(&crate::clock::SystemClock::default())
}

/// What an operator says with a signal.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn watched() -> Result<Self, std::io::Error> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Everything that runs.
struct Running {
    gateway: Arc<Gateway>,
    store: Arc<Store>,
    threads: Vec<JoinHandle<Served>>,
    gate: Arc<Gate>,
    shutdown: listen::Shutdown,
    reloader: Reloader,
    admin: std::net::TcpListener,
    listener: std::net::TcpListener,
    intakes: Vec<listen::Intake>,
    token: String,
}

impl Running {
    fn start(
        gateway: Arc<Gateway>,
        store: Store,
        options: Options,
        text: String,
        durability: Durability,
        unsettled: usize,
    ) -> Result<Self, ServeError> {
        let snapshot = gateway.snapshot.load_full();
        let server = &snapshot.config.server;
        let tls = match &server.tls {
            Some(files) => Some(TlsSource::from_pem(
                &secrets::read_file(&files.cert)?,
                &secrets::read_file(&files.key)?,
            )?),
            None => None,
        };
        let bind =
            |address| listen::bind(address).map_err(|source| ServeError::Bind { address, source });
        let listener = bind(server.api)?;
        let admin = bind(server.admin)?;
        let (gate, shutdown) = Gate::new(listen_limits(&snapshot.config), tls.clone());
        let count =
            options.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        let mut intakes = Vec::new();
        let mut threads = Vec::new();
        for number in 0..count.unwrap_or(1).max(1) {
            let (intake, arrivals) = listen::intake();
            intakes.push(intake);
            threads.push(data_plane(number, arrivals, Arc::clone(&gate), Arc::clone(&gateway))?);
        }
        let (token, new_admin_token) = admin::token(&gateway.data_dir, options.admin_token)?;
        let addresses = (listener.local_addr()?, admin.local_addr()?);
        admin::leave_address(&gateway.data_dir, addresses.1)?;
        let ready = Ready {
            api: addresses.0,
            admin: addresses.1,
            tls: tls.is_some(),
            keys_required: snapshot.config.auth.keys == config::KeyPolicy::Required,
            providers: snapshot
                .providers
                .iter()
                .map(|provider| (provider.name.to_string(), snapshot.models_of(provider).len()))
                .collect(),
            durability,
            data_dir: gateway.data_dir.clone(),
            unsettled,
            new_admin_token,
        };
        (options.on_ready)(&ready);
        let reloader = Reloader::new(Arc::clone(&gateway), options.source, text, tls);
        Ok(Self {
            gateway,
            store: Arc::new(store),
            threads,
            gate,
            shutdown,
            reloader,
            admin,
            listener,
            intakes,
            token,
        })
    }

    /// Serves until SIGTERM or SIGINT, then drains; a second SIGINT cuts the drain short.
    fn until_stopped(
        mut self,
        runtime: &tokio::runtime::Runtime,
        mut signals: Signals,
    ) -> Result<Exit, ServeError> {
        let why = runtime.block_on(self.control(&mut signals))?;
        let drain = self.gateway.snapshot.load().config.server.drain;
        self.gateway.drain();
        self.shutdown.drain(drain);
        tracing::info!(why, drain_seconds = drain.as_secs(), "draining");
        // While the data plane drains, the admin API still answers: readiness above all.
        let threads = std::mem::take(&mut self.threads);
        let joining = runtime.spawn_blocking(|| join(threads));
        let cut = runtime.block_on(async {
            tokio::pin!(joining);
            tokio::select! {
                cut = &mut joining => return cut.unwrap_or_default(),
                () = received(&mut signals.interrupt) => {}
            }
            // Whoever interrupts twice does not want to wait.
            tracing::warn!("interrupted again: what still runs is cut");
            self.shutdown.drain(Duration::ZERO);
            joining.await.unwrap_or_default()
        });
        let why = if cut == 0 { "drained" } else { "drain_deadline" };
        let stop = Stop { at: self.gateway.now(), why: why.into() };
        if self.gateway.ledger.append(&Record::Stop(stop)).wait().is_err() {
            tracing::warn!("the ledger could not record the stop");
        }
        admin::forget_address(&self.gateway.data_dir);
        Ok(if cut == 0 { Exit::Drained } else { Exit::Cut(cut) })
    }

    /// Deletes what was kept long enough. Nobody waits for it: what fails is in the log, and tried again.
    fn sweep_kept(&self) {
        let kept = self.store.kept();
        if kept.is_made() {
            drop(kept.sweep(self.gateway.now()));
        }
    }

    async fn control(&mut self, signals: &mut Signals) -> Result<&'static str, ServeError> {
        let admin = admin::serve(
            self.admin.try_clone()?,
            Arc::clone(&self.gateway),
            Arc::clone(&self.store),
            self.token.clone(),
        )?;
        let accepting = listen::accept(
            self.listener.try_clone()?,
            self.intakes.clone(),
            Arc::clone(&self.gate),
        );
        let mut accepting = std::pin::pin!(accepting);
        let mut watch = tokio::time::interval(WATCH_EVERY);
        let mut gauges = tokio::time::interval(GAUGES_EVERY);
        // The first tick is at once: what had its time while nothing ran goes at the start.
        let mut sweep = tokio::time::interval(SWEEP_KEPT_EVERY);
        loop {
            tokio::select! {
                () = received(&mut signals.terminate) => break Ok("sigterm"),
                () = received(&mut signals.interrupt) => break Ok("sigint"),
                // What came of it is in the log.
                () = received(&mut signals.hangup) => drop(self.reloader.reload()),
                now = watch.tick() => self.reloader.look(now.into_std()),
                _ = sweep.tick() => self.sweep_kept(),
                _ = gauges.tick() => self.gateway.update_gauges(),
                asking = admin.asked_to_reload() => admin::tell(asking, &self.reloader.reload()),
                () = admin.asked_to_drain() => break Ok("drain"),
                ended = &mut accepting => { ended?; break Ok("listener closed") }
            }
        }
    }
}

/// Waits for the data plane; how many requests were cut.
fn join(threads: Vec<JoinHandle<Served>>) -> usize {
    let mut cut = 0;
    for thread in threads {
        if let Ok(served) = thread.join() {
            cut += served.cut;
        } else {
            tracing::error!("a thread of the data plane panicked");
        }
    }
    cut
}

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        // No handler any more: it will never come.
        std::future::pending::<()>().await;
    }
}

fn data_plane(
    number: usize,
    arrivals: listen::Arrivals,
    gate: Arc<Gate>,
    gateway: Arc<Gateway>,
) -> Result<JoinHandle<Served>, std::io::Error> {
    let (told, started) = std::sync::mpsc::sync_channel(1);
    let thread =
        std::thread::Builder::new().name(format!("outrigger-data-{number}")).spawn(move || {
            // A runtime of local tasks stays on the thread that made it.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default());
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    drop(told.send(Err(error)));
                    return Served::default();
                }
            };
            drop(told.send(Ok(())));
            runtime.block_on(async move {
                tokio::task::spawn_local(gateway.ledger.clone().gather());
                let worker = Rc::new(Worker::new(gateway));
                let pool = worker.pool.clone();
                tokio::task::spawn_local(async move {
                    let mut every = tokio::time::interval(SWEEP_EVERY);
                    loop {
                        every.tick().await;
                        pool.sweep();
                    }
                });
                if number == 0 {
                    tokio::task::spawn_local(lodged::watch(Rc::clone(&worker)));
                }
                let handler =
                    Rc::new(move |request, _conn| accept::handle(Rc::clone(&worker), request));
                listen::serve(arrivals, gate, handler).await
            })
        })?;
    started
        .recv()
        .unwrap_or_else(|_| Err(std::io::Error::other("a data thread died at its start")))?;
    Ok(thread)
}

fn listen_limits(config: &Config) -> ListenLimits {
    let limits = &config.server.limits;
    ListenLimits {
        connections: usize::try_from(limits.connections).unwrap_or(usize::MAX),
        connections_per_ip: usize::try_from(limits.connections_per_ip).unwrap_or(usize::MAX),
        proxies: config.server.trusted_proxies.clone(),
        header_deadline: limits.headers_timeout,
        keep_alive_idle: limits.idle_timeout,
        headers: usize::try_from(limits.headers).unwrap_or(usize::MAX),
        head_bytes: usize::try_from(limits.headers_size).unwrap_or(usize::MAX),
        ..ListenLimits::default()
    }
}

fn start_record(at: UnixMicros, durability: Durability) -> Start {
    Start { at, version: env!("CARGO_PKG_VERSION").into(), config_revision: 1, durability }
}

/// The configuration as the ledger keeps it.
pub fn config_record(at: UnixMicros, snapshot: &Snapshot, text: &str) -> ConfigChange {
    let budgets = snapshot.config.budgets.iter().map(|spec| BudgetDefinition {
        name: spec.name.clone(),
        scope: spec.scope.to_string().into(),
        unit: settle::unit(spec.limit.unit),
        limit: spec.limit.amount,
        window: format!("{} {}", spec.period.as_str(), spec.zone.name()).into(),
        hard: spec.hard,
    });
    let mut offers: Vec<std::sync::Arc<str>> = snapshot
        .capabilities
        .values()
        .flat_map(|entry| entry.offers.iter().map(|(offer, _)| offer.id.to_string().into()))
        .collect();
    offers.sort_unstable();
    offers.dedup();
    ConfigChange {
        at,
        revision: snapshot.revision,
        digest: digest(text),
        budgets: budgets.collect(),
        offers,
    }
}

fn digest(text: &str) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).into()
}

/// Every limit of a configuration and of the keys.
pub fn limits_spec(config: &Config, keys: &KeyTable) -> LimitsSpec {
    let mut spec = LimitsSpec::default();
    spec.budgets.extend(config.budgets.iter().cloned());
    spec.budgets.extend(keys.budgets());
    for rate in &config.rates {
        let units = [(limits::Unit::Requests, rate.requests), (limits::Unit::Tokens, rate.tokens)];
        for (unit, rate_of) in units {
            let Some(of) = rate_of else { continue };
            spec.rates.push(limits::RateSpec::new(&rate.name, rate.scope.clone(), unit, of));
        }
        if let Some(limit) = rate.parallel {
            spec.parallel.push(limits::ParallelSpec {
                name: rate.name.as_str().into(),
                scope: rate.scope.clone(),
                limit,
            });
        }
    }
    spec
}
