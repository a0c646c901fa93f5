//! A client's request out of a cloud's envelope, and what is put around its answer: the steps between see the dialect
//! only.

use std::borrow::Cow;

use bytes::Bytes;
use dialect::envelope::{self, Count};
use dialect::gate::{self, GateLimits};
use dialect::{Dialect, DialectId, PathFacts};
use domain::{Endpoint, Envelope};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::accept::Cx;
use crate::errors::Failure;
use crate::read::{bad_field, refused};

/// What a stream's events are, as AWS's clients ask it of the head.
const EVENTS: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-amzn-bedrock-content-type"),
    HeaderValue::from_static("application/json"),
);

/// A request as its dialect's own vendor would get it.
pub struct Opened<'a> {
    /// Its body.
    pub body: Bytes,
    /// Its headers.
    pub headers: Cow<'a, HeaderMap>,
    /// What its path says, where that is not in the body by now.
    pub path: PathFacts<'a>,
}

/// Opens a request. One to count tokens at Bedrock says only by its body which dialect it is in.
///
/// # Errors
/// What the cloud would refuse.
pub fn open<'a>(
    cx: &mut Cx,
    body: Bytes,
    headers: &'a HeaderMap,
    path: PathFacts<'a>,
) -> Result<Opened<'a>, Failure> {
    let may_hold_either =
        cx.endpoint == Endpoint::CountTokens && cx.client.id() == DialectId::BedrockConverse;
    if cx.envelope == Envelope::None && !may_hold_either {
        return Ok(Opened { body, headers: Cow::Borrowed(headers), path });
    }
    gate::scan(&body, GateLimits::default()).map_err(|error| refused(&error))?;
    if may_hold_either {
        if !envelope::is_invoke_count(&body) {
            return Ok(Opened { body, headers: Cow::Borrowed(headers), path });
        }
        cx.envelope = Envelope::BedrockInvoke;
        cx.client = dialect::dialect(DialectId::AnthropicMessages);
    }
    let out = envelope::unpack(cx.envelope, cx.endpoint, &body, path).map_err(bad_field)?;
    let mut headers = headers.clone();
    for (name, value) in [("anthropic-version", &out.version), ("anthropic-beta", &out.betas)] {
        if let Ok(value) = HeaderValue::from_str(value)
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    }
    let path = PathFacts::default();
    Ok(Opened { body: out.body, headers: Cow::Owned(headers), path })
}

/// The dialect in which the client reads errors.
pub fn errors(cx: &Cx) -> &'static dyn Dialect {
    dialect::dialect(envelope::errors(cx.envelope, cx.client.id()))
}

/// What is put into the head of a stream.
pub fn stream_head(cx: &Cx, headers: &mut HeaderMap) {
    if let Some(media) = envelope::stream_media_type(cx.envelope) {
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(EVENTS.0, EVENTS.1);
    }
}

/// A count of tokens under the client's name for it.
pub fn count(cx: &Cx, answer: Vec<u8>) -> Vec<u8> {
    match (cx.envelope, cx.endpoint) {
        (Envelope::BedrockInvoke, Endpoint::CountTokens) => {
            envelope::rename_count(&answer, Count::Anthropic, Count::Bedrock)
        }
        _ => answer,
    }
}
