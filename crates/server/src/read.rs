//! read: the body, bounded, checked once, and only the fields that we act on.

use bytes::Bytes;
use dialect::gate::{self, GateErrorKind};
use dialect::{
    Dialect, EmbeddingRequest, Exchange, FieldError, Headers, Incoming, PathFacts, Peek,
};
use domain::Endpoint;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};

use crate::errors::{self, Failure};
use crate::fetch::Files;
use crate::kept::Past;

/// A request as read: the client's bytes and what was typed of them.
pub struct Ask {
    /// The client's dialect.
    pub client: &'static dyn Dialect,
    /// What is called.
    pub endpoint: Endpoint,
    /// The body as it came.
    pub body: Bytes,
    /// The model that the path named.
    pub path_model: Option<String>,
    /// The fields we act on.
    pub peek: Peek,
    /// What it took from kept responses.
    pub past: Past,
    /// Where it goes, if that is no matter of its dialect: to what lies at one provider.
    pub way: Option<Way>,
}

/// The way to something that lies at a provider.
#[derive(Clone, Debug)]
pub struct Way {
    /// The method.
    pub method: Method,
    /// The path below the provider's base URL, with its query.
    pub path: String,
    /// The mark of the provider's key that it lies with, where there are keys.
    pub key: Option<u64>,
}

/// The request in no vendor's words; read once an offer needs it so.
#[derive(Debug, Default)]
pub struct Canonical {
    /// A chat request.
    pub chat: Option<Box<Exchange>>,
    /// A request for embeddings.
    pub embedding: Option<Box<EmbeddingRequest>>,
    /// What it names by URL, where that was fetched.
    pub files: Files,
}

impl Canonical {
    /// Reads the request, unless that was done before.
    pub fn read(&mut self, ask: &Ask, headers: &HeaderMap) -> Result<(), Failure> {
        let view = HeaderView(headers);
        let incoming = ask.incoming(&view);
        match (ask.endpoint, ask.client.embeddings()) {
            (Endpoint::Embeddings, Some(dialect)) if self.embedding.is_none() => {
                let read = dialect.read_request(&incoming).map_err(bad_field)?;
                self.embedding = Some(Box::new(read));
            }
            (Endpoint::Chat, _) if self.chat.is_none() => {
                let mut read = ask.client.read_request(&incoming).map_err(bad_field)?;
                if ask.past.kept_here {
                    // Other dialects' providers keep nothing unless they are asked to, and some know no such field.
                    read.extras.remove("store");
                }
                self.chat = Some(Box::new(read));
            }
            _ => {}
        }
        Ok(())
    }
}

/// An HTTP header map as the dialects see it.
pub struct HeaderView<'a>(pub &'a HeaderMap);

impl Headers for HeaderView<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }
}

/// Checks the body and types what we act on.
pub fn read(
    client: &'static dyn Dialect,
    endpoint: Endpoint,
    body: Bytes,
    headers: &HeaderMap,
    path: PathFacts<'_>,
) -> Result<Ask, Failure> {
    let view = HeaderView(headers);
    if !(endpoint.is_passed_on() && dialect::is_form(&view)) {
        gate::scan(&body, gate::GateLimits::default()).map_err(|error| refused(&error))?;
    }
    let request = Incoming { body: &body, headers: &view, path };
    let peek = client.peek(endpoint, &request).map_err(bad_field)?;
    if peek.model.is_empty() {
        return Err(Failure::new(&errors::BAD_FIELD, "`model` is missing").field("model"));
    }
    let path_model = path.model.map(str::to_owned);
    Ok(Ask { client, endpoint, body, path_model, peek, past: Past::default(), way: None })
}

impl Ask {
    /// Whether the answer with these headers goes to the client as it comes. Models that can't stream answer in one piece
    /// all the same (whisper), and a voice is sound or events unless it is an error.
    pub fn is_streamed_by(&self, headers: &HeaderMap) -> bool {
        if !self.endpoint.is_passed_on() {
            return self.peek.stream && self.endpoint == Endpoint::Chat;
        }
        let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let is = |wanted: &[u8]| {
            kind.get(..wanted.len()).is_some_and(|it| it.eq_ignore_ascii_case(wanted))
        };
        match self.endpoint {
            Endpoint::Speech => !is(b"application/json"),
            Endpoint::Files | Endpoint::Batches => self.peek.stream,
            _ => self.peek.stream && is(b"text/event-stream"),
        }
    }

    /// The request as its dialect reads it.
    pub fn incoming<'a>(&'a self, headers: &'a HeaderView<'a>) -> Incoming<'a> {
        let stream = self.peek.stream.then_some(self.peek.stream_form);
        let path = PathFacts { model: self.path_model.as_deref(), stream };
        Incoming { body: &self.body, headers, path }
    }
}

/// A body that is not usable JSON.
pub fn refused(error: &gate::GateError) -> Failure {
    let place = error.offset;
    match &error.kind {
        GateErrorKind::DuplicateField(name) => Failure::new(
            &errors::DUPLICATE_FIELD,
            format!("field `{name}` stands twice (byte {place})"),
        )
        .field(name.clone()),
        kind => Failure::new(
            &errors::BAD_JSON,
            format!("the body is not usable JSON: {kind} (byte {place})"),
        ),
    }
}

/// A field that the client's own API would refuse.
pub fn bad_field(error: FieldError) -> Failure {
    let place = error.offset.map(|at| format!(" (byte {at})")).unwrap_or_default();
    Failure::new(&errors::BAD_FIELD, format!("{}: {}{place}", error.field, error.message))
        .field(error.field)
}
