//! read: the body, bounded, checked once, and only the fields that we act on.

use bytes::Bytes;
use dialect::gate::{self, GateErrorKind};
use dialect::{Dialect, FieldError, Headers, Peek};
use domain::Endpoint;
use http::HeaderMap;

use crate::errors::{self, Failure};

/// A request as read: the client's bytes and what was typed of them.
pub struct Ask {
    /// The client's dialect.
    pub client: &'static dyn Dialect,
    /// What is called.
    pub endpoint: Endpoint,
    /// The body as it came.
    pub body: Bytes,
    /// The fields we act on.
    pub peek: Peek,
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
) -> Result<Ask, Failure> {
    gate::scan(&body, gate::GateLimits::default()).map_err(|error| refused(&error))?;
    let view = HeaderView(headers);
    let peek = match endpoint {
        Endpoint::Embeddings => dialect::embeddings::peek(&body),
        Endpoint::Chat | Endpoint::CountTokens | Endpoint::Models => client.peek(&body, &view),
    };
    let peek = peek.map_err(bad_field)?;
    if peek.model.is_empty() {
        return Err(Failure::new(&errors::BAD_FIELD, "`model` is missing").field("model"));
    }
    Ok(Ask { client, endpoint, body, peek })
}

fn refused(error: &gate::GateError) -> Failure {
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
