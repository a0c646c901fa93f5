//! Prometheus metrics under the names of the product's telemetry page: base units, `_total`, `_seconds`.
//!
//! Handles are resolved once per offer, so that recording a request takes no label lookup. Series are bounded:
//! beyond [`OFFERS_MAX`] offers, the rest is counted under `other`.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{ErrorClass, Money, OutcomeClass, PICO_PER_USD, Usage, UsageQuality};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Offers that get series of their own.
pub const OFFERS_MAX: usize = 500;

/// Upper bounds in seconds for whole requests and first chunks: the buckets of the OpenTelemetry GenAI conventions.
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Upper bounds in seconds for what the gateway itself adds.
const SMALL_SECONDS: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25];

type FloatCounter = Counter<f64, AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    provider: String,
    model: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfferLabels {
    provider: String,
    model: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TokenLabels {
    provider: String,
    model: String,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CostLabels {
    provider: String,
    model: String,
    quality: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct AttemptLabels {
    provider: String,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BudgetLabels {
    budget: String,
}

/// Everything that is measured. Share it behind an `Arc`.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<OfferLabels, Histogram>,
    first_chunks: Family<OfferLabels, Histogram>,
    tokens: Family<TokenLabels, Counter>,
    costs: Family<CostLabels, FloatCounter>,
    attempts: Family<AttemptLabels, Counter>,
    retries: Family<OfferLabels, Counter>,
    circuits: Family<OfferLabels, Gauge>,
    refusals: Family<ReasonLabels, Counter>,
    budget_limits: Family<BudgetLabels, Gauge<f64, AtomicU64>>,
    budget_settled: Family<BudgetLabels, Gauge<f64, AtomicU64>>,
    budget_reserved: Family<BudgetLabels, Gauge<f64, AtomicU64>>,
    offers: Mutex<BTreeMap<(String, String), Arc<OfferMetrics>>>,
    /// What the gateway added before dispatch, in seconds.
    pub overhead_seconds: Histogram,
    /// Streams that are open now.
    pub streams_active: Gauge,
    /// Clients that left before their answer was whole.
    pub client_disconnects: Counter,
    /// Handlers that panicked; only their own request failed.
    pub panics: Counter,
    /// Ledger commits, in seconds.
    pub ledger_commit_seconds: Histogram,
    /// Attempts that may have been billed and are not settled.
    pub ledger_unsettled_rows: Gauge,
    /// 1 while the ledger takes records, 0 while requests are refused because it can't.
    pub ledger_writable: Gauge,
    /// Config reloads that were refused.
    pub reloads_refused: Counter,
    /// The config revision in force.
    pub config_revision: Gauge,
}

/// The handles of one offer: resolve once with [`Metrics::offer`], keep, and record without lookups.
pub struct OfferMetrics {
    outcomes: Vec<Counter>,
    duration: Histogram,
    first_chunk: Histogram,
    input: Counter,
    output: Counter,
    cache_read: Counter,
    cache_write: Counter,
    reasoning: Counter,
    cost: Vec<FloatCounter>,
    attempts: Vec<Counter>,
    retries: Counter,
    circuit: Gauge,
}

/// One finished attempt.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// How it ended.
    pub outcome: OutcomeClass,
    /// What went wrong, if anything.
    pub error: ErrorClass,
    /// Whether it asked again an offer that had just failed the same request.
    pub retry: bool,
    /// Dispatch to last byte, in microseconds.
    pub duration_micros: u64,
    /// Dispatch to first byte, in microseconds, where one came.
    pub first_byte_micros: Option<u64>,
    /// What was used.
    pub usage: Usage,
    /// What it cost; `None` when no price is known.
    pub cost: Option<Money>,
    /// How far the usage can be trusted.
    pub quality: UsageQuality,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(env!("CARGO_PKG_VERSION"))
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

fn usd(money: Money) -> f64 {
    money.pico() as f64 / PICO_PER_USD as f64
}

impl Metrics {
    /// Registers every metric.
    pub fn new(version: &'static str) -> Self {
        let mut registry = Registry::with_prefix("outrigger");
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(seconds),
            first_chunks: Family::new_with_constructor(seconds),
            tokens: Family::default(),
            costs: Family::default(),
            attempts: Family::default(),
            retries: Family::default(),
            circuits: Family::default(),
            refusals: Family::default(),
            budget_limits: Family::default(),
            budget_settled: Family::default(),
            budget_reserved: Family::default(),
            offers: Mutex::default(),
            overhead_seconds: Histogram::new(SMALL_SECONDS),
            streams_active: Gauge::default(),
            client_disconnects: Counter::default(),
            panics: Counter::default(),
            ledger_commit_seconds: Histogram::new(SMALL_SECONDS),
            ledger_unsettled_rows: Gauge::default(),
            ledger_writable: Gauge::default(),
            reloads_refused: Counter::default(),
            config_revision: Gauge::default(),
            registry: Registry::default(),
        };
        metrics.register_requests(&mut registry);
        metrics.register_process(&mut registry, version);
        Self { registry, ..metrics }
    }

    fn register_requests(&self, registry: &mut Registry) {
        registry.register("requests", "attempts by outcome", self.requests.clone());
        registry.register(
            "request_duration_seconds",
            "dispatch to last byte",
            self.durations.clone(),
        );
        registry.register(
            "time_to_first_chunk_seconds",
            "dispatch to first byte",
            self.first_chunks.clone(),
        );
        registry.register("tokens", "tokens by kind", self.tokens.clone());
        registry.register("cost_usd", "settled cost by usage quality", self.costs.clone());
        registry.register("attempts", "attempts by error class", self.attempts.clone());
        registry.register(
            "retries",
            "attempts at an offer that had just failed the same request",
            self.retries.clone(),
        );
        registry.register("circuit_open", "1 while an offer is left out", self.circuits.clone());
        registry.register("refusals", "requests refused before any attempt", self.refusals.clone());
        registry.register(
            "budget_limit_usd",
            "limit of a money budget",
            self.budget_limits.clone(),
        );
        registry.register(
            "budget_settled_usd",
            "settled in the current window",
            self.budget_settled.clone(),
        );
        registry.register(
            "budget_reserved_usd",
            "held by requests in flight",
            self.budget_reserved.clone(),
        );
    }

    fn register_process(&self, registry: &mut Registry, version: &'static str) {
        registry.register(
            "gateway_overhead_seconds",
            "admission to dispatch",
            self.overhead_seconds.clone(),
        );
        registry.register("streams_active", "open streams", self.streams_active.clone());
        registry.register(
            "client_disconnects",
            "clients that left early",
            self.client_disconnects.clone(),
        );
        registry.register("panics", "handlers that panicked", self.panics.clone());
        registry.register(
            "ledger_commit_seconds",
            "one group commit",
            self.ledger_commit_seconds.clone(),
        );
        registry.register(
            "ledger_unsettled_rows",
            "attempts not settled",
            self.ledger_unsettled_rows.clone(),
        );
        registry.register(
            "ledger_writable",
            "1 while the ledger takes records",
            self.ledger_writable.clone(),
        );
        registry.register(
            "config_reloads_refused",
            "reloads refused",
            self.reloads_refused.clone(),
        );
        registry.register("config_revision", "revision in force", self.config_revision.clone());
        registry.register("build", "this binary", Info::new([("version", version)]));
    }

    /// The handles of an offer; the same ones for the same names.
    pub fn offer(&self, provider: &str, model: &str) -> Arc<OfferMetrics> {
        let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = offers.contains_key(&(provider.to_owned(), model.to_owned()));
        let model = if known || offers.len() < OFFERS_MAX { model } else { "other" };
        let key = (provider.to_owned(), model.to_owned());
        Arc::clone(offers.entry(key).or_insert_with(|| Arc::new(self.resolve(provider, model))))
    }

    fn resolve(&self, provider: &str, model: &str) -> OfferMetrics {
        let (provider, model) = (provider.to_owned(), model.to_owned());
        let offer = OfferLabels { provider: provider.clone(), model: model.clone() };
        let token = |kind| {
            let labels = TokenLabels { provider: provider.clone(), model: model.clone(), kind };
            self.tokens.get_or_create_owned(&labels)
        };
        let request = |outcome: &OutcomeClass| RequestLabels {
            provider: provider.clone(),
            model: model.clone(),
            outcome: outcome.as_str(),
        };
        let attempt = |class: &ErrorClass| AttemptLabels {
            provider: provider.clone(),
            reason: class.as_str(),
        };
        let cost = |quality: UsageQuality| CostLabels {
            provider: provider.clone(),
            model: model.clone(),
            quality: quality.as_str(),
        };
        OfferMetrics {
            outcomes: OutcomeClass::ALL
                .iter()
                .map(|it| self.requests.get_or_create_owned(&request(it)))
                .collect(),
            attempts: ErrorClass::ALL
                .iter()
                .map(|it| self.attempts.get_or_create_owned(&attempt(it)))
                .collect(),
            cost: [UsageQuality::Reported, UsageQuality::Counted, UsageQuality::Bounded]
                .into_iter()
                .map(|it| self.costs.get_or_create_owned(&cost(it)))
                .collect(),
            duration: self.durations.get_or_create_owned(&offer),
            first_chunk: self.first_chunks.get_or_create_owned(&offer),
            retries: self.retries.get_or_create_owned(&offer),
            circuit: self.circuits.get_or_create_owned(&offer),
            input: token("input"),
            output: token("output"),
            cache_read: token("cache_read"),
            cache_write: token("cache_write"),
            reasoning: token("reasoning"),
        }
    }

    /// Counts a request that was refused before any attempt, by the code of its error.
    pub fn refused(&self, code: &str) {
        self.refusals.get_or_create(&ReasonLabels { reason: code.to_owned() }).inc();
    }

    /// Shows a money budget as it stands.
    pub fn budget(&self, name: &str, limit_usd: f64, settled_usd: f64, reserved_usd: f64) {
        let labels = BudgetLabels { budget: name.to_owned() };
        self.budget_limits.get_or_create(&labels).set(limit_usd);
        self.budget_settled.get_or_create(&labels).set(settled_usd);
        self.budget_reserved.get_or_create(&labels).set(reserved_usd);
    }

    /// All metrics in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a `String` does not fail.
        if text::encode(&mut out, &self.registry).is_err() {
            out.clear();
        }
        out
    }
}

impl OfferMetrics {
    /// Records one finished attempt.
    pub fn record(&self, sample: &Sample) {
        if let Some(counter) = self.outcomes.get(sample.outcome as usize) {
            counter.inc();
        }
        if let Some(counter) = self.attempts.get(sample.error as usize) {
            counter.inc();
        }
        self.retries.inc_by(u64::from(sample.retry));
        self.duration.observe(sample.duration_micros as f64 / 1e6);
        if let Some(micros) = sample.first_byte_micros {
            self.first_chunk.observe(micros as f64 / 1e6);
        }
        self.input.inc_by(sample.usage.input);
        self.output.inc_by(sample.usage.output);
        self.cache_read.inc_by(sample.usage.cache_read);
        self.cache_write
            .inc_by(sample.usage.cache_write.saturating_add(sample.usage.cache_write_long));
        self.reasoning.inc_by(sample.usage.reasoning);
        if let (Some(cost), Some(counter)) = (sample.cost, self.cost.get(sample.quality as usize)) {
            // A price correction can't be negative here: settled costs are sums of non-negative parts.
            counter.inc_by(usd(cost).max(0.0));
        }
    }

    /// Shows whether the offer is left out.
    pub fn set_circuit_open(&self, open: bool) {
        self.circuit.set(i64::from(open));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_attempt_shows_under_its_names() {
        let metrics = Metrics::default();
        let sample = Sample {
            outcome: OutcomeClass::Ok,
            error: ErrorClass::None,
            retry: true,
            duration_micros: 1_500_000,
            first_byte_micros: Some(200_000),
            usage: Usage { input: 7, output: 3, ..Usage::default() },
            cost: Some(Money::from_usd("0.25").unwrap()),
            quality: UsageQuality::Reported,
        };
        metrics.offer("demo", "echo").record(&sample);
        metrics.refused("budget_exceeded");
        let text = metrics.render();
        for line in [
            "outrigger_requests_total{provider=\"demo\",model=\"echo\",outcome=\"ok\"} 1",
            "outrigger_tokens_total{provider=\"demo\",model=\"echo\",kind=\"input\"} 7",
            "outrigger_cost_usd_total{provider=\"demo\",model=\"echo\",quality=\"reported\"} 0.25",
            "outrigger_retries_total{provider=\"demo\",model=\"echo\"} 1",
            "outrigger_refusals_total{reason=\"budget_exceeded\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
    }

    #[test]
    fn offers_beyond_the_bound_share_one_series() {
        let metrics = Metrics::default();
        for index in 0..OFFERS_MAX + 20 {
            metrics.offer("p", &format!("m{index}"));
        }
        let other = metrics.offer("p", "m-new");
        assert!(Arc::ptr_eq(&other, &metrics.offer("p", "m-newer")));
    }
}
