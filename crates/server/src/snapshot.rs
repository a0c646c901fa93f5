//! The configuration in force, resolved: what every request reads, replaced as a whole on reload.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use catalog::{AuthStyle, Catalog, Mode, Preset, PriceSheet, PriceTimeline, Rates};
use config::{Capability, Config, Disconnect, ProviderKind, Unpriced};
use dialect::{DialectId, Quirks};
use domain::{
    CapabilityName, Endpoint, Envelope, ModelName, OfferId, OnLoss, ProviderName, Role, UnixMicros,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use policy::breaker::BreakerConfig;
use policy::retry::RetryConfig;
use policy::{HealthConfig, OfferIx};
use smallvec::SmallVec;
use telemetry::metrics::{Metrics, OfferMetrics};
use upstream::oci::OciKey;
use upstream::sigv4::AwsKeys;
use upstream::tokens::{AwsLogin, Login, Tokens};
use upstream::{Deadlines, KeyRing, Target, TargetOptions};

use crate::imported::CatalogInForce;
use crate::logins::Logins;
use crate::secrets::{self, SecretError};

/// Offers that were asked for by id and are not in the configuration: remembered up to here.
const AD_HOC_OFFERS_MAX: usize = 4_096;

/// The configuration in force.
pub struct Snapshot {
    /// Its number; each row names it.
    pub revision: u32,
    /// What it says.
    pub config: Config,
    /// Configured endpoints.
    pub providers: Vec<Arc<Provider>>,
    /// Capabilities by name.
    pub capabilities: BTreeMap<String, Arc<CapabilityEntry>>,
    catalog: CatalogInForce,
    metrics: Arc<Metrics>,
    numbers: Arc<OfferNumbers>,
    logins: Arc<Logins>,
    /// By `provider/model`.
    offers: RwLock<HashMap<String, Arc<Offer>>>,
}

/// A configured endpoint, ready to be called.
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// How it is spoken to.
    pub kind: ProviderKind,
    /// The formats it speaks, the preferred one first.
    pub dialects: SmallVec<[Spoken; 2]>,
    /// Its credentials.
    pub keys: KeyRing,
    /// How a credential is sent.
    pub auth: AuthStyle,
    /// How requests are signed, where there is no key to send.
    pub signing: Option<Signing>,
    /// The signing key of Oracle Cloud, where requests are signed with that.
    pub oci_key: Option<OciKey>,
    /// The compartment that pays at Oracle Cloud.
    pub compartment: Option<String>,
    /// Whose tokens are sent, where there is no key.
    pub tokens: Option<Arc<Tokens<Login>>>,
    /// Headers added to every request.
    pub headers: HeaderMap,
    /// Connect and first byte.
    pub deadlines: Deadlines,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// The whole attempt.
    pub total: Duration,
    /// Its peculiarities.
    pub quirks: Quirks,
    /// The `anthropic-version` for clients that name none.
    pub anthropic_version: String,
    /// Its own list of models; empty means the catalog's.
    pub models: Vec<ModelName>,
    /// The catalog's id for its prices; empty for none.
    pub catalog_host: String,
}

/// A format that a provider speaks.
pub struct Spoken {
    /// Which.
    pub dialect: DialectId,
    /// Where; nothing for the demo.
    pub target: Option<Target>,
    /// What is put around its requests.
    pub envelope: Envelope,
}

/// Signing for AWS.
pub struct Signing {
    /// `us-east-1`.
    pub region: String,
    /// `bedrock`.
    pub service: String,
    /// With what.
    pub keys: SigningKeys,
}

/// Key pairs to sign with.
pub enum SigningKeys {
    /// One that stays.
    Fixed(AwsKeys),
    /// One after another.
    Issued(Arc<Tokens<AwsLogin>>),
}

/// A model at a provider.
pub struct Offer {
    /// `provider/model`.
    pub id: OfferId,
    /// Its provider.
    pub provider: Arc<Provider>,
    /// The dialects in which the provider may be asked for this model, the preferred one first.
    pub dialects: SmallVec<[DialectId; 2]>,
    /// What it costs over time.
    pub prices: Option<PriceTimeline>,
    /// The model's output limit, in tokens.
    pub max_output: Option<u64>,
    /// The model's input limit, in tokens.
    pub max_input: Option<u64>,
    /// The day it stops being served (`YYYY-MM-DD`), where one is announced.
    pub shutdown: Option<String>,
    /// Its peculiarities: the provider's and the model's.
    pub quirks: Quirks,
    /// Its counters.
    pub metrics: Arc<OfferMetrics>,
    /// The ledger's short code of its name.
    pub code: u32,
    /// The number under which its health is kept.
    pub ix: OfferIx,
    /// Its id as the name that a request for it is recorded under; none where the two together are too long for a name.
    pub name: Option<CapabilityName>,
    /// Its id as the header that says who served.
    pub header: HeaderValue,
}

/// Numbers for offers, given once and for the life of the process, so that what was learned of an offer survives a
/// reload.
#[derive(Debug, Default)]
pub struct OfferNumbers(Mutex<HashMap<OfferId, OfferIx>>);

impl OfferNumbers {
    /// The offer's number. Beyond 65,535 offers the rest share one: those are asked for by name and have no
    /// alternative anyway.
    pub fn of(&self, id: &OfferId) -> OfferIx {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = OfferIx(u16::try_from(numbers.len()).unwrap_or(u16::MAX));
        *numbers.entry(id.clone()).or_insert(next)
    }

    /// The offer of a number.
    pub fn name(&self, ix: OfferIx) -> Option<OfferId> {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<&OfferId> =
            numbers.iter().filter(|(_, it)| **it == ix).map(|(id, _)| id).collect();
        found.sort();
        found.first().map(|id| (*id).clone())
    }
}

impl Offer {
    /// Where and in which dialect a request of `client` is best sent: its own if the provider speaks it, else the first
    /// into which it can be translated.
    pub fn dialect_for(&self, endpoint: Endpoint, client: DialectId) -> Option<&Spoken> {
        let other = || self.dialects.iter().find(|it| dialect::converts(endpoint, client, **it));
        let id = if self.speaks(client) { client } else { *other()? };
        self.provider.dialects.iter().find(|it| it.dialect == id)
    }

    /// Whether it can be asked in that dialect.
    pub fn speaks(&self, dialect: DialectId) -> bool {
        self.dialects.contains(&dialect)
    }

    /// The price in force.
    pub fn price_at(&self, at: UnixMicros) -> Option<&PriceSheet> {
        self.prices.as_ref()?.at(at, Mode::Standard)
    }
}

/// A capability, its offers resolved.
pub struct CapabilityEntry {
    /// Its name.
    pub name: CapabilityName,
    /// Its offers in the order they are tried.
    pub offers: SmallVec<[(Arc<Offer>, Role); 4]>,
    /// Whether a lossy translation may go ahead.
    pub on_loss: OnLoss,
    /// Output bound of requests that set none.
    pub max_output: Option<u64>,
}

/// Why a configuration that reads well can't be put in force.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A secret can't be had.
    #[error("provider `{provider}`: its key can't be read")]
    Secret {
        /// Whose.
        provider: String,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// A base URL can't be used.
    #[error("provider `{provider}`: {hint}")]
    Target {
        /// Whose.
        provider: String,
        /// What to do.
        hint: String,
        /// Why.
        #[source]
        source: upstream::TargetError,
    },
    /// A header can't be sent.
    #[error("provider `{provider}`: header `{header}` can't be sent")]
    Header {
        /// Whose.
        provider: String,
        /// Which.
        header: String,
    },
}

impl Snapshot {
    /// Resolves a checked configuration: reads its secrets, parses its URLs, looks up prices.
    pub fn build(
        revision: u32,
        config: Config,
        catalog: CatalogInForce,
        metrics: Arc<Metrics>,
        numbers: Arc<OfferNumbers>,
        logins: Arc<Logins>,
    ) -> Result<Self, SnapshotError> {
        let providers = config
            .providers
            .iter()
            .map(|it| provider(it, &catalog, &logins).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let mut snapshot = Self {
            revision,
            config,
            providers,
            capabilities: BTreeMap::new(),
            catalog,
            metrics,
            numbers,
            logins,
            offers: RwLock::default(),
        };
        let capabilities: Vec<Capability> = snapshot.config.capabilities.clone();
        for capability in capabilities {
            let offers = capability
                .offers
                .iter()
                .filter_map(|it| Some((snapshot.offer(&it.offer)?, it.role)))
                .collect();
            let entry = CapabilityEntry {
                name: capability.name.clone(),
                offers,
                on_loss: capability.on_loss,
                max_output: capability.max_output,
            };
            snapshot.capabilities.insert(capability.name.as_str().to_owned(), Arc::new(entry));
        }
        Ok(snapshot)
    }

    /// The provider of that name.
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| provider.name.as_str() == name)
    }

    /// Whoever asks for short-lived credentials.
    pub fn logins(&self) -> &Arc<Logins> {
        &self.logins
    }

    /// The catalog.
    pub fn catalog(&self) -> &CatalogInForce {
        &self.catalog
    }

    /// The offer of that id, where its provider is configured. Any model of a provider may be asked for: what is not
    /// in the catalog is passed on, without a price.
    pub fn offer(&self, id: &OfferId) -> Option<Arc<Offer>> {
        let text = id.to_string();
        let known = self.known(&text);
        if known.is_some() {
            return known;
        }
        let provider = self.provider(id.provider().as_str())?;
        let offer = Arc::new(self.resolve(id, provider));
        let mut offers = self.offers.write().unwrap_or_else(PoisonError::into_inner);
        if offers.len() < AD_HOC_OFFERS_MAX {
            offers.insert(text, Arc::clone(&offer));
        }
        Some(offer)
    }

    /// The offer called `provider/model`.
    pub fn offer_called(&self, text: &str) -> Option<Arc<Offer>> {
        self.known(text).or_else(|| self.offer(&OfferId::parse(text).ok()?))
    }

    fn known(&self, text: &str) -> Option<Arc<Offer>> {
        self.offers.read().unwrap_or_else(PoisonError::into_inner).get(text).cloned()
    }

    fn resolve(&self, id: &OfferId, provider: &Arc<Provider>) -> Offer {
        let model = id.model().as_str();
        let host = provider.catalog_host.as_str();
        let facts = self.catalog.model(host, model);
        let own = self.config.prices.overrides.iter().find(|it| it.offer == *id);
        let prices = match own {
            Some(own) => Some(PriceTimeline::fixed(sheet_of(own))),
            None if provider.kind == ProviderKind::Demo => Some(demo_prices(id)),
            None => self.catalog.prices(host, model).cloned(),
        };
        let lifecycle = self.catalog.lifecycle(host, model);
        let text = id.to_string();
        Offer {
            id: id.clone(),
            provider: Arc::clone(provider),
            dialects: self.spoken(provider, model),
            prices,
            quirks: with_model(provider.quirks, provider.kind, model),
            max_output: facts.and_then(|it| it.max_output),
            max_input: facts.and_then(|it| it.max_input),
            shutdown: lifecycle.map(|it| it.shutdown.to_string()).filter(|day| !day.is_empty()),
            metrics: self.metrics.offer(id.provider().as_str(), model),
            code: ledger::offer_code(&text),
            ix: self.numbers.of(id),
            name: CapabilityName::new(&text).ok(),
            // The characters of a name are all fit for a header.
            header: HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("-")),
        }
    }

    /// The provider's dialects, as far as it speaks them with this model.
    fn spoken(&self, provider: &Provider, model: &str) -> SmallVec<[DialectId; 2]> {
        let from = self.config.providers.iter().find(|it| it.name == provider.name);
        from.map(|from| dialects_of(from, &self.catalog, model)).unwrap_or_default()
    }

    /// The models a provider is known to serve: its own list, else the catalog's.
    pub fn models_of(&self, provider: &Provider) -> Vec<String> {
        if provider.kind == ProviderKind::Demo {
            return fake_provider::MODELS.iter().map(|model| (*model).to_owned()).collect();
        }
        if !provider.models.is_empty() {
            return provider.models.iter().map(|model| model.as_str().to_owned()).collect();
        }
        self.catalog
            .models_of(&provider.catalog_host)
            .map(|facts| facts.model.to_string())
            .collect()
    }

    /// The offers that bear a bare model id.
    pub fn bearing(&self, model: &str) -> SmallVec<[OfferId; 2]> {
        let Ok(name) = ModelName::new(model) else { return SmallVec::new() };
        let mut found: SmallVec<[OfferId; 2]> = SmallVec::new();
        let configured =
            self.capabilities.values().flat_map(|it| it.offers.iter().map(|(offer, _)| &offer.id));
        for id in configured.filter(|id| *id.model() == name) {
            if !found.contains(id) {
                found.push(id.clone());
            }
        }
        for provider in &self.providers {
            let id = OfferId::new(provider.name.clone(), name.clone());
            if !found.contains(&id) && self.lists(provider, model) {
                found.push(id);
            }
        }
        found
    }

    fn lists(&self, provider: &Provider, model: &str) -> bool {
        if provider.kind == ProviderKind::Demo {
            return fake_provider::MODELS.contains(&model);
        }
        if !provider.models.is_empty() {
            return provider.models.iter().any(|it| it.as_str() == model);
        }
        self.catalog.model(&provider.catalog_host, model).is_some_and(|facts| facts.model == model)
    }

    /// Whether a request without a known price may pass.
    pub fn unpriced_allowed(&self) -> bool {
        self.config.prices.unpriced == Unpriced::Allow
    }

    /// Its numbers of breakers and retries.
    pub fn health_config(&self) -> HealthConfig {
        let config::Routing { retries, circuit, .. } = &self.config.routing;
        let micros = u64::try_from(circuit.probe_after.as_micros()).unwrap_or(u64::MAX);
        let breaker = BreakerConfig::default();
        let retry = RetryConfig::default();
        HealthConfig {
            breaker: BreakerConfig {
                window: u8::try_from(circuit.over_calls).unwrap_or(u8::MAX),
                open_basis_points: u16::try_from(circuit.open_at_basis_points).unwrap_or(u16::MAX),
                probe_first: micros,
                probe_max: breaker.probe_max.max(micros),
                lone_probe_every: breaker.lone_probe_every.min(micros),
                ..breaker
            },
            retry: RetryConfig {
                tries_max: u8::try_from(retries.max).unwrap_or(u8::MAX),
                basis_points: retries.budget_basis_points,
                ..retry
            },
        }
    }

    /// What a client that leaves does to its attempt.
    pub fn on_client_disconnect(&self) -> Disconnect {
        self.config.routing.on_client_disconnect
    }
}

/// A configured provider, ready to be called.
pub fn provider(
    from: &config::Provider,
    catalog: &Catalog,
    logins: &Logins,
) -> Result<Provider, SnapshotError> {
    let name = from.name.as_str().to_owned();
    let preset = from.preset.as_deref().and_then(|preset| catalog.preset(preset));
    let mut keys = Vec::with_capacity(from.keys.len());
    for key in &from.keys {
        let secret = secrets::read(key)
            .map_err(|source| SnapshotError::Secret { provider: name.clone(), source })?;
        keys.push(secret);
    }
    let signing = from.aws.as_ref().map(|it| signing(it, logins)).transpose();
    let signing =
        signing.map_err(|source| SnapshotError::Secret { provider: name.clone(), source })?;
    let oci_key = from.oci.as_ref().map(|it| secrets::oci(&it.key)).transpose();
    let oci_key =
        oci_key.map_err(|source| SnapshotError::Secret { provider: name.clone(), source })?;
    let tokens = from.tokens.as_ref().map(|it| logins.tokens(it)).transpose();
    let tokens =
        tokens.map_err(|source| SnapshotError::Secret { provider: name.clone(), source })?;
    let ca_pem = from.tls_ca.as_deref().map(secrets::read_file).transpose();
    let ca_pem =
        ca_pem.map_err(|source| SnapshotError::Secret { provider: name.clone(), source })?;
    let mut dialects: SmallVec<[Spoken; 2]> = SmallVec::new();
    for dialect in &from.dialects {
        let id = *dialect;
        let target = target(from, id, ca_pem.as_deref(), &name)?;
        // Connections are pooled by target: two dialects at one address share them.
        let same = |other: &&Target| target.as_ref().is_some_and(|it| same_place(it, other));
        let shared = dialects.iter().filter_map(|it| it.target.as_ref()).find(same).cloned();
        dialects.push(spoken(preset, id, shared.or(target)));
    }
    Ok(Provider {
        headers: headers(from, preset, &name)?,
        auth: preset.map_or(AuthStyle::Bearer, |preset| preset.auth),
        quirks: preset.map(quirks).unwrap_or_default(),
        catalog_host: preset.map(|preset| preset.catalog_host.to_string()).unwrap_or_default(),
        keys: KeyRing::new(keys, std::time::Instant::now()),
        deadlines: Deadlines {
            connect: from.timeouts.connect,
            first_byte: from.timeouts.first_byte,
        },
        idle: from.timeouts.idle,
        total: from.timeouts.total,
        anthropic_version: from
            .anthropic_version
            .clone()
            .unwrap_or_else(|| "2023-06-01".to_owned()),
        name: from.name.clone(),
        kind: from.kind,
        models: from.models.clone(),
        dialects,
        signing,
        oci_key,
        compartment: from.oci.as_ref().map(|it| it.compartment.clone()),
        tokens,
    })
}

/// The dialects in which a provider may be asked for a model, the preferred one first.
pub fn dialects_of(
    from: &config::Provider,
    catalog: &Catalog,
    model: &str,
) -> SmallVec<[DialectId; 2]> {
    let preset = from.preset.as_deref().and_then(|preset| catalog.preset(preset));
    let all = from.dialects.iter().copied();
    let Some(some) = preset.and_then(|preset| preset.spoken_with(model)) else {
        return all.collect();
    };
    let spoken: SmallVec<_> = all.clone().filter(|id| some.contains(id)).collect();
    // Whoever names other dialects in the configuration knows more than the catalog.
    if spoken.is_empty() { all.collect() } else { spoken }
}

/// The peculiarities of a model at a provider.
pub fn quirks_of(from: &config::Provider, catalog: &Catalog, model: &str) -> Quirks {
    let preset = from.preset.as_deref().and_then(|preset| catalog.preset(preset));
    with_model(preset.map(quirks).unwrap_or_default(), from.kind, model)
}

fn signing(from: &config::Aws, logins: &Logins) -> Result<Signing, SecretError> {
    let config::Aws { region, service, keys } = from;
    Ok(Signing { region: region.clone(), service: service.clone(), keys: logins.signing(keys)? })
}

/// The header of a token that was given out for a while, whatever header the provider's keys are sent in.
pub fn bearer(token: &upstream::Secret) -> (&'static str, String) {
    AuthStyle::Bearer.header(token.reveal())
}

/// How the preset has the dialect spoken.
fn spoken(preset: Option<&Preset>, dialect: DialectId, target: Option<Target>) -> Spoken {
    let envelopes = preset.map(|it| it.envelopes.as_slice()).unwrap_or_default();
    let envelope = envelopes.iter().find(|(id, _)| *id == dialect).map(|(_, it)| *it);
    Spoken { dialect, target, envelope: envelope.unwrap_or_default() }
}

fn same_place(left: &Target, right: &Target) -> bool {
    left.scheme() == right.scheme()
        && left.authority() == right.authority()
        && left.base_path() == right.base_path()
}

fn target(
    from: &config::Provider,
    dialect: DialectId,
    ca_pem: Option<&[u8]>,
    name: &str,
) -> Result<Option<Target>, SnapshotError> {
    if from.kind == ProviderKind::Demo {
        return Ok(None);
    }
    let apart = from.base_urls.iter().find(|(id, _)| *id == dialect);
    let url = apart.map_or(from.base_url.as_str(), |(_, url)| url.as_str());
    let options = TargetOptions {
        allow_private_address: from.allow_private_address,
        ca_pem: ca_pem.map(<[u8]>::to_vec),
        ..TargetOptions::default()
    };
    Target::new(url, &options).map(Some).map_err(|source| {
        let hint = match &source {
            upstream::TargetError::Address { .. } => {
                format!("base URL `{url}` leads to an inner address; say `allow_private_address: true` if that is meant")
            }
            _ => format!("base URL `{url}` can't be used"),
        };
        SnapshotError::Target { provider: name.to_owned(), hint, source }
    })
}

/// Where Oracle's endpoints in other vendors' dialects are told who pays; its own has a field for it.
const COMPARTMENT: HeaderName = HeaderName::from_static("opc-compartment-id");

fn headers(
    from: &config::Provider,
    preset: Option<&Preset>,
    name: &str,
) -> Result<HeaderMap, SnapshotError> {
    let mut map = HeaderMap::new();
    let refused = |header: &str| SnapshotError::Header {
        provider: name.to_owned(),
        header: header.to_owned(),
    };
    for (header, value) in preset.iter().flat_map(|preset| &preset.headers) {
        let key = HeaderName::from_bytes(header.as_bytes()).map_err(|_| refused(header))?;
        map.insert(key, HeaderValue::from_str(value).map_err(|_| refused(header))?);
    }
    if let Some(oci) = &from.oci {
        let value = HeaderValue::from_str(&oci.compartment);
        map.insert(COMPARTMENT, value.map_err(|_| refused(COMPARTMENT.as_str()))?);
    }
    for (header, value) in &from.headers {
        let secret = secrets::read(value)
            .map_err(|source| SnapshotError::Secret { provider: name.to_owned(), source })?;
        let key = HeaderName::from_bytes(header.as_bytes()).map_err(|_| refused(header))?;
        let mut value = HeaderValue::from_str(secret.reveal()).map_err(|_| refused(header))?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

fn with_model(mut quirks: Quirks, kind: ProviderKind, model: &str) -> Quirks {
    if kind != ProviderKind::Demo {
        for word in catalog::model_quirks(model) {
            quirks.set(word);
        }
    }
    quirks
}

/// Words that the dialects don't know are the catalog's mistake and are caught by a test, not at run time.
fn quirks(preset: &Preset) -> Quirks {
    let mut quirks = Quirks::default();
    for word in &preset.quirks {
        quirks.set(word);
    }
    quirks
}

fn sheet_of(own: &config::PriceOverride) -> PriceSheet {
    let rates = Rates {
        cache_read: own.cache_read,
        cache_write: own.cache_write,
        reasoning: own.reasoning,
        audio_input: own.audio_input,
        audio_output: own.audio_output,
        ..Rates::new(own.input, own.output)
    };
    PriceSheet::new(&own.offer.to_string(), Mode::Standard, rates, Vec::new())
}

/// The demo costs nothing.
fn demo_prices(id: &OfferId) -> PriceTimeline {
    let free = domain::Price::ZERO;
    PriceTimeline::fixed(PriceSheet::new(
        &id.to_string(),
        Mode::Standard,
        Rates::new(free, free),
        Vec::new(),
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_quirk_of_a_preset_is_one_the_dialects_know() {
        for preset in catalog::builtin().presets() {
            let words = preset.quirks.iter().map(AsRef::as_ref);
            assert_eq!(dialect::Quirks::from_words(words).map(|_| ()), Ok(()), "{}", preset.name);
        }
        for model in ["o3", "gpt-5.6", "claude-3-7-sonnet", "claude-3-haiku"] {
            let words = catalog::model_quirks(model);
            assert_eq!(dialect::Quirks::from_words(words).map(|_| ()), Ok(()), "{model}");
        }
    }
}
