//! One question to whoever gives out credentials, and the answer read.

use std::time::Duration;

use bytes::Bytes;
use domain::ErrorClass;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{LIFE_MAX, TokenError};
use crate::error::TargetError;
use crate::pool::{Deadlines, Outgoing, Pool};
use crate::target::{Scheme, Target};

/// Most bytes of an answer; tokens are a few thousand.
const ANSWER_MAX: usize = 256 * 1024;
/// What is as long as this and was shown to a service is not shown to anybody else.
const SECRET_MIN: usize = 12;
/// Most characters of a refusal that are shown.
const SAID_MAX: usize = 300;
const DEADLINES: Deadlines =
    Deadlines { connect: Duration::from_secs(5), first_byte: Duration::from_secs(10) };
/// A form's content type.
pub(super) const FORM_TYPE: &str = "application/x-www-form-urlencoded";
/// What a form may hold as it is: RFC 3986's unreserved characters.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where credentials are given out.
#[derive(Debug)]
pub(super) struct Desk {
    target: Target,
    path: String,
}

/// An answer, whole.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Desk {
    /// A service on the network: over TLS, unless it is on this machine.
    pub(super) fn new(url: &str) -> Result<Self, TargetError> {
        let (origin, path) = split(url);
        let target = Target::parse(origin, false)?;
        if target.scheme() == Scheme::Http && !is_local(target.host()) {
            return Err(TargetError::Url("credentials are asked for over `https://` only"));
        }
        Ok(Self { target, path })
    }

    /// The machine's own metadata service. Others than it and loopback are never dialled.
    pub(super) fn metadata(url: &str) -> Result<Self, TargetError> {
        let (origin, path) = split(url);
        Ok(Self { target: Target::metadata(origin)?, path })
    }

    /// A service on the network, or where the address is a plain one, the machine's own.
    pub(super) fn either(url: &str) -> Result<Self, TargetError> {
        if url.starts_with("http://") { Self::metadata(url) } else { Self::new(url) }
    }

    /// Its host, for messages.
    pub(super) fn host(&self) -> &str {
        self.target.authority()
    }

    /// The path that it was given with.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Posts a form.
    pub(super) async fn post(
        &self,
        pool: &Pool,
        form: &[(&str, &str)],
    ) -> Result<Answer, TokenError> {
        self.post_with(pool, form, |_| Vec::new()).await
    }

    /// Posts a form, with headers that may depend on its bytes.
    pub(super) async fn post_with(
        &self,
        pool: &Pool,
        form: &[(&str, &str)],
        headers: impl FnOnce(&[u8]) -> Vec<(&'static str, String)>,
    ) -> Result<Answer, TokenError> {
        let mut body = Zeroizing::new(String::new());
        for (name, value) in form {
            if !body.is_empty() {
                body.push('&');
            }
            body.push_str(name);
            body.push('=');
            body.extend(utf8_percent_encode(value, FORM));
        }
        let added = headers(body.as_bytes());
        let body = Bytes::copy_from_slice(body.as_bytes());
        let mut headers = vec![("content-type", FORM_TYPE)];
        headers.extend(added.iter().map(|(name, value)| (*name, value.as_str())));
        self.ask(pool, Method::POST, &self.path, &headers, body).await.map_err(|mut error| {
            // A service that repeats what it was shown must not bring it into a log.
            for (_, value) in form.iter().filter(|(_, value)| value.len() >= SECRET_MIN) {
                error.message = error.message.replace(value, "***");
            }
            error
        })
    }

    /// Asks for a path.
    pub(super) async fn get(
        &self,
        pool: &Pool,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, TokenError> {
        self.ask(pool, Method::GET, path, headers, Bytes::new()).await
    }

    /// Asks, and takes nothing but success for an answer.
    pub(super) async fn ask(
        &self,
        pool: &Pool,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, TokenError> {
        let mut map = HeaderMap::new();
        map.insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            let unfit = || {
                self.failed(ErrorClass::Auth, "can't be asked: what it is shown fits in no header")
            };
            let mut value = HeaderValue::from_str(value).map_err(|_| unfit())?;
            value.set_sensitive(*name != CONTENT_TYPE.as_str());
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
            map.insert(name, value);
        }
        let outgoing = Outgoing { method, path, headers: map, body };
        let mut incoming = pool.send(&self.target, outgoing, &DEADLINES).await.map_err(|error| {
            let message = format!(
                "no credential for the provider: {}; check the network between this machine and it",
                error.message
            );
            TokenError { class: error.class, message }
        })?;
        let mut whole = Zeroizing::new(Vec::new());
        while let Some(piece) = incoming.body.frame().await {
            let piece =
                piece.map_err(|_| self.failed(ErrorClass::BadResponse, "cut its answer short"))?;
            if whole.len() + piece.len() > ANSWER_MAX {
                return Err(self.failed(ErrorClass::BadResponse, "answered at too great a length"));
            }
            whole.extend_from_slice(&piece);
        }
        if incoming.status.is_success() {
            return Ok(Answer { headers: incoming.headers, body: whole });
        }
        Err(self.refused(incoming.status, &whole))
    }

    /// A failure of this service's, in its own name.
    pub(super) fn failed(&self, class: ErrorClass, why: &str) -> TokenError {
        let message = format!("no credential for the provider: `{}` {why}", self.host());
        TokenError { class, message }
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> TokenError {
        let (class, next) = match status.as_u16() {
            408 | 409 | 500..=599 => (ErrorClass::ServerError, "it is asked again after a pause"),
            429 => (ErrorClass::RateLimited, "it is asked again after a pause"),
            _ => (ErrorClass::Auth, "check the credentials that the provider is configured with"),
        };
        let said = said(body).map(|it| format!(": {it}")).unwrap_or_default();
        self.failed(class, &format!("refused (HTTP {}{said}); {next}", status.as_u16()))
    }
}

impl Answer {
    /// The answer as JSON.
    pub(super) fn json(&self, desk: &Desk) -> Result<Value, TokenError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| desk.failed(ErrorClass::BadResponse, "answered what is no JSON"))
    }
}

/// A number of seconds, which some write as a text.
pub(super) fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::from_secs(number).min(LIFE_MAX))
}

/// A moment as seconds since 1970, which some write as a text.
pub(super) fn since_1970(value: &Value) -> Option<Duration> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::from_secs(number))
}

/// What a refusal says: OAuth's `error` and `error_description`, AWS's `code` and `message`, the latter in XML at its token
/// service. One line, not long.
fn said(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let field = |names: [&str; 3]| {
        let in_json = names.iter().find_map(|name| value.get(name)?.as_str()).map(str::to_owned);
        in_json.or_else(|| names.iter().find_map(|name| element(&text, name)))
    };
    let code = field(["error", "code", "Code"]);
    let text = field(["error_description", "message", "Message"]);
    let parts: Vec<String> = code.into_iter().chain(text).collect();
    let line = parts.join(": ");
    let shown = line.lines().next().unwrap_or_default().chars().filter(|it| !it.is_control());
    let shown: String = shown.take(SAID_MAX).collect();
    (!shown.is_empty()).then_some(shown)
}

/// The text of an element of XML, in which nothing is escaped.
pub(super) fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    Some(inner.to_owned())
}

/// Origin and path of a URL.
fn split(url: &str) -> (&str, String) {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(after..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| after + at);
    match url.split_at_checked(end) {
        Some((origin, path)) if !path.is_empty() => (origin, path.to_owned()),
        _ => (url, "/".to_owned()),
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
}
