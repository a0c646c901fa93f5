//! Whether a provider answers: it is asked for its list of models with each of its keys. No tokens, no cost.

use std::time::{Duration, Instant};

use catalog::Catalog;
use config::{ProviderKind, Secret};
use dialect::envelope;
use domain::{Endpoint, ErrorClass, UnixMicros};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use upstream::sigv4::AwsKeys;
use upstream::tokens::TokenError;
use upstream::{Deadlines, Incoming, Outgoing, Pool, PoolOptions, Target};

use crate::dispatch::{self, ERROR_BYTES_MAX};
use crate::logins::Logins;
use crate::read::HeaderView;
use crate::secrets;
use crate::snapshot::{self, Provider, SigningKeys};

/// Patience with a provider that may be far away, whatever its own deadlines are.
const PATIENCE: Deadlines =
    Deadlines { connect: Duration::from_secs(5), first_byte: Duration::from_secs(15) };

/// What a test says about a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answers.
    Good,
    /// It answers and does not take the key.
    KeyRefused,
    /// It does not answer, or not as it should.
    Bad,
}

/// How a test went.
#[derive(Debug)]
pub struct Outcome {
    /// With which key; none where none is sent.
    pub key: Option<Secret>,
    /// How it went, in a word.
    pub verdict: Verdict,
    /// For people.
    pub said: String,
    /// Until the head of the answer was there.
    pub took: Option<Duration>,
}

impl Outcome {
    fn new(key: Option<&Secret>, verdict: Verdict, said: impl Into<String>) -> Self {
        Self { key: key.cloned(), verdict, said: said.into(), took: None }
    }
}

/// Tests a configured provider: once, or once for each of its keys. Waits, so it is for a thread that may.
pub fn probe(from: &config::Provider, catalog: &Catalog, now: UnixMicros) -> Vec<Outcome> {
    if from.kind == ProviderKind::Demo {
        return vec![Outcome::new(None, Verdict::Good, "built in")];
    }
    // Its keys are read one by one: that one of them can't be had is no reason not to try the others.
    let keyless = config::Provider { keys: Vec::new(), ..from.clone() };
    let provider = match snapshot::provider(&keyless, catalog, &Logins::default()) {
        Ok(provider) => provider,
        Err(error) => return vec![Outcome::new(None, Verdict::Bad, whole(&error))],
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return vec![Outcome::new(None, Verdict::Bad, error.to_string())],
    };
    // Connections belong to one thread, so a test has a runtime of its own on the thread it runs on.
    tokio::task::LocalSet::new().block_on(&runtime, async {
        if from.keys.is_empty() {
            return vec![ask(&provider, None, None, now).await];
        }
        let mut outcomes = Vec::with_capacity(from.keys.len());
        for key in &from.keys {
            outcomes.push(match secrets::read(key) {
                Ok(secret) => ask(&provider, Some(key), Some(secret.reveal()), now).await,
                Err(error) => Outcome::new(Some(key), Verdict::KeyRefused, error.to_string()),
            });
        }
        outcomes
    })
}

/// An error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |it| it.source());
    std::iter::once(error.to_string())
        .chain(causes.map(ToString::to_string))
        .collect::<Vec<_>>()
        .join(": ")
}

async fn ask(
    provider: &Provider,
    key: Option<&Secret>,
    secret: Option<&str>,
    now: UnixMicros,
) -> Outcome {
    let Some((spoken, target)) =
        provider.dialects.first().and_then(|it| Some((it, it.target.as_ref()?)))
    else {
        return Outcome::new(key, Verdict::Bad, "it has no address");
    };
    let dialect = dialect::dialect(spoken.dialect);
    let path = dialect.path(Endpoint::Models, "", None);
    let mut headers = provider.headers.clone();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let version = dialect.version_header(&provider.anthropic_version);
    let mut said: Vec<(&str, String)> =
        version.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    let pool = Pool::new(PoolOptions::default());
    match shown(provider, &pool, secret, target, &path, now).await {
        Ok(headers) => said.extend(headers),
        Err(error) => return Outcome::new(key, Verdict::KeyRefused, error.message),
    }
    if !add(&mut headers, said) {
        let why = "its key holds characters that no header can have";
        return Outcome::new(key, Verdict::Bad, why);
    }
    let outgoing =
        Outgoing { method: Method::GET, path: &path, headers, body: bytes::Bytes::new() };
    let began = Instant::now();
    match pool.send(target, outgoing, &PATIENCE).await {
        Ok(mut incoming) => {
            let took = Some(began.elapsed());
            let status = incoming.status.as_u16();
            // What a refusal is, the dialect knows: not every vendor says it by the status.
            let class = if incoming.status.is_success() {
                ErrorClass::None
            } else {
                let body = body(&mut incoming).await;
                let headers = HeaderView(&incoming.headers);
                envelope::classify(spoken.envelope, spoken.dialect, status, &headers, &body).class
            };
            let (verdict, said) = judged(status, class);
            Outcome { took, ..Outcome::new(key, verdict, said) }
        }
        Err(error) => Outcome::new(key, Verdict::Bad, error.message),
    }
}

/// The headers that show who asks.
async fn shown(
    provider: &Provider,
    pool: &Pool,
    secret: Option<&str>,
    target: &Target,
    path: &str,
    now: UnixMicros,
) -> Result<Vec<(&'static str, String)>, TokenError> {
    if let Some(secret) = secret {
        return Ok(vec![provider.auth.header(secret)]);
    }
    if let Some(tokens) = &provider.tokens {
        return Ok(vec![snapshot::bearer(&*tokens.get(pool).await?)]);
    }
    if let Some(key) = &provider.oci_key {
        let signed = dispatch::oci_signature(key, &Method::GET, target, path, b"", now);
        let failed = |why: upstream::RsaError| TokenError {
            class: ErrorClass::Auth,
            message: why.to_string(),
        };
        return signed.map_err(failed);
    }
    let Some(signing) = &provider.signing else { return Ok(Vec::new()) };
    let sign =
        |pair: &AwsKeys| dispatch::signature(signing, pair, &Method::GET, target, path, b"", now);
    match &signing.keys {
        SigningKeys::Fixed(pair) => Ok(sign(pair)),
        SigningKeys::Issued(pairs) => Ok(sign(&*pairs.get(pool).await?)),
    }
}

/// As much of an error answer as tells what it is.
async fn body(incoming: &mut Incoming) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(Ok(piece))) =
        tokio::time::timeout(PATIENCE.first_byte, incoming.body.frame()).await
    {
        body.extend_from_slice(&piece);
        if body.len() > ERROR_BYTES_MAX {
            break;
        }
    }
    body
}

/// Whether all of them could be set.
fn add(headers: &mut HeaderMap, said: Vec<(&str, String)>) -> bool {
    for (name, value) in said {
        let (Ok(name), Ok(mut value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value))
        else {
            return false;
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    true
}

/// What the answer to the question for models says about the provider.
fn judged(status: u16, class: ErrorClass) -> (Verdict, String) {
    match status {
        200..=299 => (Verdict::Good, "answers".to_owned()),
        _ if class == ErrorClass::Auth => {
            (Verdict::KeyRefused, format!("answers, but refuses the key (HTTP {status})"))
        }
        // Oracle and Vertex AI list them at other addresses than they serve them at.
        404 | 405 => {
            let said = format!(
                "answers, but lists no models at this address (HTTP {status}): \
                 `outrigger try` asks one of them"
            );
            (Verdict::Good, said)
        }
        429 => (Verdict::Good, "answers, but its rate limit is reached (HTTP 429)".to_owned()),
        _ => (Verdict::Bad, format!("answers with HTTP {status}")),
    }
}
