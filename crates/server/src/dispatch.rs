//! dispatch: one attempt as it leaves: our headers, our framing, the provider's dialect.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use config::ProviderKind;
use dialect::envelope;
use dialect::openai_responses::kept;
use dialect::{
    Answer, BadAnswer, Dialect, DialectId, Edits, Peek, StopCut, StreamForm, StreamReader,
    Target as DialectTarget, UpstreamFault,
};
use domain::{Endpoint, Envelope, ErrorClass, Fate, Feature, LossReport, RateHint, UnixMicros};
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use tokio_tungstenite::tungstenite::handshake::{self, client::generate_key};
use upstream::RsaError;
use upstream::oci::OciKey;
use upstream::sigv4::{self, AwsKeys, Scope, Signable};
use upstream::tokens::TokenError;
use upstream::{Outgoing, Switched, Target, Upgrade};

use crate::admit;
use crate::errors::Failure;
use crate::listen::headers as allowed;
use crate::read::{Ask, Canonical, HeaderView, bad_field};
use crate::resolve::Resolved;
use crate::snapshot::{self, Offer, Signing, SigningKeys};
use crate::source::{DemoBody, Opener, Source};
use crate::trace::TraceParent;
use crate::worker::Worker;

#[cfg(test)]
mod tests;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An attempt, ready to leave.
pub struct Call {
    /// Where it goes.
    pub offer: Arc<Offer>,
    /// The dialect it is written in.
    pub dialect: &'static dyn Dialect,
    /// What is around it on the way.
    pub envelope: Envelope,
    endpoint: Endpoint,
    method: Method,
    /// The mark of the one key that will do.
    key: Option<u64>,
    streams: bool,
    target: Option<Target>,
    body: Bytes,
    headers: HeaderMap,
    path: Cow<'static, str>,
    /// Whether the answer must be converted for the client.
    pub translated: bool,
    /// Whether we asked for the usage chunk that the client did not ask for.
    pub strip_usage: bool,
    /// What the conversion did not carry natively.
    pub losses: LossReport,
    /// What bounds the output of each answer: what the request says as it leaves, or else the model.
    pub max_output: Option<u64>,
    /// Where the answer's text is to be cut: stop sequences that the provider is not told of.
    pub cut_at: Vec<String>,
    /// Calls that the request needs: more than one where the provider gives one answer a call.
    pub calls: u16,
}

/// The head of a provider's answer.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, still coming.
    pub source: Source,
    /// With what the provider was asked.
    pub shown: Shown,
}

/// The credential that a request bears.
pub enum Shown {
    /// None, or one that stays whatever becomes of it.
    Nothing,
    /// Of the provider's keys the one at this place.
    Key(usize),
    /// A token.
    Token(Arc<upstream::Secret>),
    /// A key pair that was given out for a while.
    Pair(Arc<AwsKeys>),
}

/// An attempt that brought no usable answer.
#[derive(Debug)]
pub struct Fault {
    /// What it was.
    pub fault: UpstreamFault,
    /// Whether a byte of the request may have left.
    pub sent: bool,
    /// The provider's status, where there was one.
    pub status: u16,
    /// The provider's own error answer, fit to be forwarded on a same-dialect route.
    pub raw: Option<(HeaderMap, Bytes)>,
}

impl Call {
    /// A whole answer in the provider's dialect.
    pub fn read_answer(&self, body: &[u8]) -> Result<Answer, BadAnswer> {
        let mut answer = self.dialect.read_answer(body)?;
        StopCut::whole(&mut answer, &self.cut_at);
        Ok(answer)
    }

    /// Reads the provider's stream.
    pub fn stream_reader(&self) -> Box<dyn StreamReader> {
        StopCut::around(self.dialect.stream_reader(), &self.cut_at)
    }
}

impl Fault {
    /// A fault without an answer.
    pub fn silent(class: ErrorClass, sent: bool, message: impl Into<String>) -> Self {
        let fault =
            UpstreamFault { class, hint: RateHint::default(), message: message.into(), code: None };
        Self { fault, sent, status: 0, raw: None }
    }
}

/// The dialect in which the offer's provider is asked if it speaks it: the client's own, but for a chat request that it
/// would not carry there.
pub fn asked_in(ask: &Ask, offer: &Offer) -> DialectId {
    let client = ask.client.id();
    match ask.endpoint {
        Endpoint::Chat => offer.quirks.dialect_for(client, ask.peek.features),
        _ => client,
    }
}

/// The dialect in which the offer is asked.
pub fn written_in(ask: &Ask, offer: &Offer) -> Option<DialectId> {
    offer.dialect_for(ask.endpoint, asked_in(ask, offer)).map(|it| it.dialect)
}

/// Writes the request for an offer, in the client's own dialect where the provider speaks it.
pub fn prepare(
    ask: &Ask,
    client_headers: &HeaderMap,
    canonical: &mut Canonical,
    offer: &Arc<Offer>,
    resolved: &Resolved,
) -> Result<Box<Call>, Failure> {
    let provider = &offer.provider;
    let model = offer.id.model().as_str();
    let spoken = offer.dialect_for(ask.endpoint, asked_in(ask, offer)).ok_or_else(|| {
        let why = format!("{} has no {}", provider.name, ask.endpoint.as_str());
        Failure::new(&crate::errors::NO_CANDIDATE, why)
    })?;
    let id = spoken.dialect;
    let dialect = dialect::dialect(id);
    let mut call = Box::new(Call {
        offer: Arc::clone(offer),
        dialect,
        envelope: spoken.envelope,
        endpoint: ask.endpoint,
        method: ask.way.as_ref().map_or(Method::POST, |way| way.method.clone()),
        key: ask.way.as_ref().and_then(|way| way.key),
        streams: ask.peek.stream,
        target: spoken.target.clone(),
        body: Bytes::new(),
        headers: HeaderMap::new(),
        path: path(ask, spoken.envelope, dialect, model),
        translated: id != ask.client.id(),
        strip_usage: false,
        losses: LossReport::default(),
        max_output: admit::output_limit(ask, resolved, offer),
        cut_at: Vec::new(),
        calls: 1,
    });
    call.translated |= needs_files(&call, ask, client_headers, canonical)?;
    if call.translated {
        translate(&mut call, ask, client_headers, canonical, resolved)?;
    } else {
        forward(&mut call, ask, client_headers);
    }
    if ask.past.lost_reasoning {
        let note = "reasoning of earlier turns is left out: it came without `encrypted_content`";
        call.losses.note("previous_response_id", Fate::Approximated, note);
    }
    pack(&mut call);
    own_headers(&mut call, ask, client_headers);
    Ok(call)
}

/// Whether the request names files by URL that the provider does not fetch and that are had. Then it is written anew also
/// in the client's own dialect.
fn needs_files(
    call: &Call,
    ask: &Ask,
    client_headers: &HeaderMap,
    canonical: &mut Canonical,
) -> Result<bool, Failure> {
    if canonical.files.is_idle() || !ask.peek.features.contains(Feature::RemoteMedia) {
        return Ok(false);
    }
    canonical.read(ask, client_headers)?;
    let quirks = &call.offer.quirks;
    let exchange = canonical.chat.as_ref();
    Ok(exchange.is_some_and(|it| canonical.files.are_needed(it, call.dialect, quirks)))
}

/// Puts the request into the provider's envelope: what that holds is not in the headers any more.
fn pack(call: &mut Call) {
    if !call.envelope.wraps() {
        return;
    }
    let taken = |headers: &mut HeaderMap, name| {
        let value = headers.remove(name);
        value.and_then(|it| it.to_str().ok().map(str::to_owned)).unwrap_or_default()
    };
    let version = taken(&mut call.headers, "anthropic-version");
    let betas = match call.envelope {
        Envelope::BedrockInvoke => taken(&mut call.headers, "anthropic-beta"),
        _ => String::new(),
    };
    call.body = envelope::pack(call.envelope, call.endpoint, &call.body, &version, &betas);
}

fn path(
    ask: &Ask,
    envelope: Envelope,
    dialect: &'static dyn Dialect,
    model: &str,
) -> Cow<'static, str> {
    if let Some(way) = &ask.way {
        return Cow::Owned(way.path.clone());
    }
    if let Some(path) = envelope::path(envelope, ask.endpoint, model, ask.peek.stream) {
        return Cow::Owned(path);
    }
    if dialect.id() == ask.client.id() {
        return dialect.forward_path(ask.endpoint, model, &ask.peek);
    }
    dialect.path(ask.endpoint, model, ask.peek.stream.then_some(StreamForm::Events))
}

/// Same dialect: the client's bytes, but for the model's name and the one exception for usage.
fn forward(call: &mut Call, ask: &Ask, client_headers: &HeaderMap) {
    let model = call.offer.id.model().as_str();
    let asks_usage = call.dialect.usage_is_asked_for()
        && ask.endpoint == Endpoint::Chat
        && ask.peek.stream
        && !ask.peek.wants_stream_usage
        && !call.offer.quirks.no_stream_options;
    let edits = Edits { model: Some(model), ask_usage: asks_usage };
    call.strip_usage = asks_usage;
    call.body = match (foreign_items(ask, &call.offer), &ask.way) {
        (Some(peek), _) => {
            let note = "reasoning of another provider is left out: only that one can read it";
            call.losses.note("previous_response_id", Fate::Dropped, note);
            ask.client.forward(&ask.body, &peek, &edits)
        }
        (None, Some(_)) => ask.body.clone(),
        (None, None) => ask.client.forward(&ask.body, &ask.peek, &edits),
    };
    call.headers = allowed::to_provider(call.dialect.forwarded_headers(), client_headers);
    if let Some(kind) = client_headers.get(CONTENT_TYPE).filter(|_| ask.peek.form) {
        // It holds the boundary.
        call.headers.insert(CONTENT_TYPE, kind.clone());
    }
    if let Some((name, value)) = call.dialect.version_header(&call.offer.provider.anthropic_version)
        && !call.headers.contains_key(name)
    {
        set(&mut call.headers, name, value);
    }
}

/// What is known of the request without what kept responses hold for another provider, if they do.
fn foreign_items(ask: &Ask, offer: &Offer) -> Option<Peek> {
    let provider = offer.provider.name.as_str();
    let bound = ask.past.bound.iter().filter(|(_, of)| of != provider);
    let items: Vec<_> = bound.map(|(at, _)| at.clone()).collect();
    (!items.is_empty()).then(|| kept::without(&ask.body, &ask.peek, &items))
}

fn translate(
    call: &mut Call,
    ask: &Ask,
    client_headers: &HeaderMap,
    canonical: &mut Canonical,
    resolved: &Resolved,
) -> Result<(), Failure> {
    canonical.read(ask, client_headers)?;
    let provider = &call.offer.provider;
    let target = DialectTarget {
        model: call.offer.id.model().as_str(),
        // A capability's own bound holds only if the provider is told of it.
        max_output: call.max_output,
        quirks: &call.offer.quirks,
        anthropic_version: &provider.anthropic_version,
        compartment: provider.compartment.as_deref(),
        ask_usage: !call.offer.quirks.no_stream_options,
    };
    let written = if let Some(exchange) = &canonical.chat {
        let quirks = &call.offer.quirks;
        let exchange = canonical.files.inline(exchange, call.dialect, quirks, &mut call.losses);
        let limit = call.dialect.output_limit(&exchange, &target);
        let calls = call.dialect.calls(&exchange, &target);
        let written = call.dialect.write_request(&exchange, &target, &mut call.losses);
        // What was written counts; a dialect that leaves it out leaves it to the model.
        call.max_output = limit.or(call.offer.max_output).or(resolved.default_max_output);
        call.calls = u16::try_from(calls).unwrap_or(u16::MAX).max(1);
        written
    } else if let (Some(request), Some(embeddings)) =
        (&canonical.embedding, call.dialect.embeddings())
    {
        embeddings.write_request(request, &target, &mut call.losses)
    } else {
        return Err(Failure::new(&crate::errors::INTERNAL, "a translation of nothing"));
    };
    let written = written.map_err(bad_field)?;
    call.body = written.body.into();
    call.cut_at = written.cut_at;
    call.headers = allowed::ours();
    for (name, value) in &written.headers {
        set(&mut call.headers, name, value);
    }
    Ok(())
}

fn own_headers(call: &mut Call, ask: &Ask, client_headers: &HeaderMap) {
    for (name, value) in &call.offer.provider.headers {
        call.headers.insert(name.clone(), value.clone());
    }
    let accept = if ask.endpoint.is_passed_on() {
        HeaderValue::from_static("*/*")
    } else if ask.peek.stream {
        let usual = || call.dialect.stream_media_type(form(ask, call.dialect.id()));
        let media = envelope::stream_media_type(call.envelope).unwrap_or_else(usual);
        HeaderValue::from_static(media.split(';').next().unwrap_or(media))
    } else {
        JSON
    };
    call.headers.insert(ACCEPT, accept);
    for name in ["traceparent", "tracestate"] {
        if let Some(value) = client_headers.get(name) {
            call.headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
}

/// The form in which a provider is asked for a stream: the client's own where its bytes pass, else the usual one.
fn form(ask: &Ask, provider: DialectId) -> StreamForm {
    if provider == ask.client.id() { ask.peek.stream_form } else { StreamForm::Events }
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) =
        (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
    {
        headers.insert(name, value);
    }
}

/// Sends an attempt and waits for the head of its answer. An error answer is read and classified here.
pub async fn send(worker: &Worker, call: &Call) -> Result<Reply, Fault> {
    let reply = match call.offer.provider.kind {
        ProviderKind::Demo => Box::pin(demo(worker, call)).await?,
        ProviderKind::Openai | ProviderKind::Anthropic | ProviderKind::OpenaiCompatible => {
            http(worker, call).await?
        }
    };
    if !reply.status.is_success() {
        let (shown, fault) = Box::pin(error_answer(call, reply)).await;
        judge(call, &shown, fault.fault.class != ErrorClass::Auth);
        return Err(fault);
    }
    judge(call, &reply.shown, true);
    let coded = reply.headers.get(http::header::CONTENT_ENCODING);
    if coded.is_some_and(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Fault::silent(
            ErrorClass::BadResponse,
            true,
            "a compressed answer, which was not asked for",
        ));
    }
    Ok(unpack(call, reply))
}

/// Asks for a realtime session. A handshake is never billed, so no failure of one may have been.
pub async fn switch(worker: &Worker, call: &Call, is_beta: bool) -> Result<Switched, Fault> {
    let provider = &call.offer.provider;
    let Some(target) = &call.target else {
        return Err(Fault::silent(ErrorClass::Internal, false, "the provider has no address"));
    };
    let challenge = generate_key();
    let mut headers = call.headers.clone();
    headers.remove(CONTENT_TYPE);
    headers.remove(ACCEPT);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    set(&mut headers, "sec-websocket-key", &challenge);
    if is_beta {
        headers.insert("openai-beta", HeaderValue::from_static("realtime=v1"));
    }
    let shown = credential(&mut headers, worker, call, target).await?;
    trace(&mut headers, worker);
    let model = percent_encoding::utf8_percent_encode(call.offer.id.model().as_str(), QUERY_VALUE);
    let path = format!("{}?model={model}", call.path);
    let outgoing = Outgoing { method: Method::GET, path: &path, headers, body: Bytes::new() };
    let answer = worker.pool.upgrade(target, outgoing, &provider.deadlines).await;
    match answer.map_err(|error| Fault::silent(error.class, false, error.message))? {
        Upgrade::Switched { headers, stream } => {
            judge(call, &shown, true);
            let expected = handshake::derive_accept_key(challenge.as_bytes());
            let answered = headers.get("sec-websocket-accept").map(HeaderValue::as_bytes);
            let extended = headers.contains_key("sec-websocket-extensions");
            if answered != Some(expected.as_bytes()) || extended {
                let why = "the provider's handshake answers another one";
                return Err(Fault::silent(ErrorClass::BadResponse, false, why));
            }
            Ok(stream)
        }
        Upgrade::Refused(incoming) => {
            let (status, headers) = (incoming.status, incoming.headers);
            let source = Source::Http(incoming.body);
            let (shown, mut fault) =
                Box::pin(error_answer(call, Reply { status, headers, source, shown })).await;
            judge(call, &shown, fault.fault.class != ErrorClass::Auth);
            fault.sent = false;
            Err(fault)
        }
    }
}

/// What a model's name may not hold in a query.
const QUERY_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Takes an answer out of the provider's envelope, so that what follows sees the dialect only.
fn unpack(call: &Call, mut reply: Reply) -> Reply {
    let Some(opener) = Opener::of(call.envelope, call.endpoint, call.streams) else {
        return reply;
    };
    if call.streams {
        let media = call.dialect.stream_media_type(StreamForm::Events);
        reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    }
    reply.source = Source::Enveloped(Box::new(reply.source), opener);
    reply
}

/// A key that was refused rests for a while. What a refusal is, the dialect knows: not every vendor says it by the status.
fn judge(call: &Call, shown: &Shown, accepted: bool) {
    let provider = &call.offer.provider;
    match shown {
        Shown::Key(index) if accepted => provider.keys.accepted(*index),
        Shown::Key(index) => {
            provider.keys.refused(*index, Instant::now());
        }
        Shown::Token(token) if !accepted => {
            provider.tokens.iter().for_each(|it| it.refused(token));
        }
        Shown::Pair(pair) if !accepted => {
            if let Some(SigningKeys::Issued(pairs)) = provider.signing.as_ref().map(|it| &it.keys) {
                pairs.refused(pair);
            }
        }
        Shown::Token(_) | Shown::Pair(_) | Shown::Nothing => {}
    }
}

async fn http(worker: &Worker, call: &Call) -> Result<Reply, Fault> {
    let provider = &call.offer.provider;
    let Some(target) = &call.target else {
        return Err(Fault::silent(ErrorClass::Internal, false, "the provider has no address"));
    };
    let mut headers = call.headers.clone();
    let shown = credential(&mut headers, worker, call, target).await?;
    trace(&mut headers, worker);
    let outgoing = Outgoing {
        method: call.method.clone(),
        path: &call.path,
        headers,
        body: call.body.clone(),
    };
    match worker.pool.send(target, outgoing, &provider.deadlines).await {
        Ok(incoming) => Ok(Reply {
            status: incoming.status,
            headers: incoming.headers,
            source: Source::Http(incoming.body),
            shown,
        }),
        Err(error) => Err(Fault::silent(error.class, error.sent, error.message)),
    }
}

/// Adds the provider's credential: a key, a token or a signature. Waits only where one has to be asked for first.
async fn credential(
    headers: &mut HeaderMap,
    worker: &Worker,
    call: &Call,
    target: &Target,
) -> Result<Shown, Fault> {
    let provider = &call.offer.provider;
    let not_had = |error: TokenError| Fault::silent(error.class, false, error.message);
    if !provider.keys.is_empty() {
        return key(headers, call);
    }
    if let Some(tokens) = &provider.tokens {
        let token = tokens.get(&worker.pool).await.map_err(not_had)?;
        let (name, text) = snapshot::bearer(&token);
        secret(headers, name, &text)?;
        return Ok(Shown::Token(token));
    }
    if let Some(key) = &provider.oci_key {
        let now = worker.gateway.now();
        let signed = oci_signature(key, &call.method, target, &call.path, &call.body, now);
        let signed =
            signed.map_err(|why| Fault::silent(ErrorClass::Auth, false, why.to_string()))?;
        for (name, value) in signed {
            secret(headers, name, &value)?;
        }
        return Ok(Shown::Nothing);
    }
    let Some(signing) = &provider.signing else { return Ok(Shown::Nothing) };
    let (shown, issued);
    let pair = match &signing.keys {
        SigningKeys::Fixed(pair) => {
            shown = Shown::Nothing;
            pair
        }
        SigningKeys::Issued(pairs) => {
            issued = pairs.get(&worker.pool).await.map_err(not_had)?;
            shown = Shown::Pair(Arc::clone(&issued));
            &issued
        }
    };
    let now = worker.gateway.now();
    let signed = signature(signing, pair, &call.method, target, &call.path, &call.body, now);
    for (name, value) in signed {
        secret(headers, name, &value)?;
    }
    Ok(shown)
}

/// Adds one of the provider's keys.
fn key(headers: &mut HeaderMap, call: &Call) -> Result<Shown, Fault> {
    let provider = &call.offer.provider;
    let marked = call.key.and_then(|mark| provider.keys.marked(mark));
    let Some(picked) = marked.or_else(|| provider.keys.pick(Instant::now()).ok()) else {
        return Err(Fault::silent(
            ErrorClass::Auth,
            false,
            "every key of the provider was refused and rests",
        ));
    };
    let (name, text) = provider.auth.header(picked.secret.reveal());
    secret(headers, name, &text)?;
    Ok(Shown::Key(picked.index))
}

/// Sets a header that no log may show.
fn secret(headers: &mut HeaderMap, name: &'static str, text: &str) -> Result<(), Fault> {
    let Ok(mut value) = HeaderValue::from_str(text) else {
        let why = "the provider's key holds characters no header may";
        return Err(Fault::silent(ErrorClass::Auth, false, why));
    };
    value.set_sensitive(true);
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

/// The same for Oracle Cloud.
pub fn oci_signature(
    key: &OciKey,
    method: &Method,
    target: &Target,
    path: &str,
    body: &[u8],
    now: UnixMicros,
) -> Result<Vec<(&'static str, String)>, RsaError> {
    let whole = format!("{}{path}", target.base_path());
    let request = upstream::oci::Signable {
        method: method.as_str(),
        target: &whole,
        host: target.authority(),
        body,
    };
    upstream::oci::sign(&request, key, now)
}

/// The headers that sign a request as it will be on the wire. What is not signed may be added beside them.
pub fn signature(
    signing: &Signing,
    pair: &AwsKeys,
    method: &Method,
    target: &Target,
    path: &str,
    body: &[u8],
    now: UnixMicros,
) -> Vec<(&'static str, String)> {
    let whole = format!("{}{path}", target.base_path());
    let (path, query) = whole.split_once('?').unwrap_or((&whole, ""));
    let host = ("host", target.authority());
    let with_body = [host, ("content-type", "application/json")];
    let headers = if body.is_empty() { &with_body[..1] } else { &with_body[..] };
    let request = Signable { method: method.as_str(), path, query, headers, body };
    let scope = Scope { region: &signing.region, service: &signing.service };
    sigv4::sign(&request, pair, scope, now)
}

fn trace(headers: &mut HeaderMap, worker: &Worker) {
    let Some(child) = headers
        .get("traceparent")
        .and_then(|value| TraceParent::parse(value.to_str().ok()?))
        .map(|parent| parent.child(worker.random.next()))
    else {
        headers.remove("traceparent");
        headers.remove("tracestate");
        return;
    };
    set(headers, "traceparent", &child);
}

async fn demo(worker: &Worker, call: &Call) -> Result<Reply, Fault> {
    let headers: Vec<(&str, &str)> = call
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let path = format!("{}{}", call.dialect.usual_base(), call.path);
    let reply = worker.gateway.demo.respond(&fake_provider::Call {
        method: call.method.as_str(),
        path: &path,
        headers: &headers,
        body: &call.body,
    });
    let mut map = HeaderMap::new();
    for (name, value) in &reply.headers {
        set(&mut map, name, value);
    }
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut source = Source::Demo(DemoBody::new(reply.body));
    // The demo's delay before its first byte is a wait for the head, as with any provider.
    if let Source::Demo(body) = &mut source {
        body.first_delay().await;
    }
    Ok(Reply { status, headers: map, source, shown: Shown::Nothing })
}

/// Most bytes of an error answer that are read.
pub const ERROR_BYTES_MAX: usize = 64 * 1024;

async fn error_answer(call: &Call, mut reply: Reply) -> (Shown, Fault) {
    let mut body = Vec::new();
    let reading = async {
        while let Some(Ok(chunk)) = reply.source.data().await {
            let room = ERROR_BYTES_MAX.saturating_sub(body.len());
            body.extend_from_slice(chunk.get(..chunk.len().min(room)).unwrap_or_default());
            if room == 0 {
                break;
            }
        }
    };
    // Whatever arrived in time is enough to tell what the error is.
    let _whole = tokio::time::timeout(call.offer.provider.idle, reading).await.is_ok();
    let status = reply.status.as_u16();
    let headers = HeaderView(&reply.headers);
    let fault = envelope::classify(call.envelope, call.dialect.id(), status, &headers, &body);
    let raw = Some((reply.headers, body.into()));
    (reply.shown, Fault { fault, sent: true, status, raw })
}
