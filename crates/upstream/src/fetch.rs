//! Fetches what a client named by URL: one file, behind the address guard.
//!
//! The guard judges each address right before it is dialled, at the first URL and after each redirect, and lets only
//! public ones through. Nothing of the client's request goes along: no credential, no cookie, no header. Nothing is
//! kept: neither a connection, nor a name's address, nor the file.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::error::TargetError;
use crate::guard::Reach;
use crate::pool::{Deadlines, Incoming, Outgoing, Pool, PoolOptions};
use crate::target::{Http2, Target, TargetOptions};

/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 3;
/// Longest URL.
const URL_MAX: usize = 8 << 10;
/// For name, connection and TLS, and then for the head of the answer. The whole is bounded by whoever waits for it.
const DEADLINES: Deadlines =
    Deadlines { connect: Duration::from_secs(4), first_byte: Duration::from_secs(8) };

/// What may be fetched.
pub struct FetchOptions<'a> {
    /// Whether that host and port may be asked; the guard has its say besides.
    pub may_ask: &'a dyn Fn(&Target) -> bool,
    /// Inner addresses and this machine too.
    pub allow_private_address: bool,
    /// Bytes that may still be read, of this file and others that are fetched at the same time.
    pub room: &'a Cell<u64>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The media type that its server says, lower-case, without parameters.
    pub media_type: Option<String>,
    /// The file.
    pub body: Vec<u8>,
}

/// Why a file could not be had. No message holds the URL: it may bear a signature. None tells what lies at an address
/// that the guard keeps out, nor whether anything does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It can't be read as a URL.
    #[error("the URL is not usable: {0}")]
    Url(&'static str),
    /// Not a host or port that may be asked.
    #[error("nothing is fetched from that host or port")]
    NotPermitted,
    /// Kept out by the guard, unknown, refused, silent: all the same to a client.
    #[error("it can't be reached from here")]
    Unreachable,
    /// Its server does not give it.
    #[error("its server answered with status {}", .0.as_u16())]
    Status(StatusCode),
    /// It is nowhere.
    #[error("it is redirected more than {REDIRECTS_MAX} times")]
    Redirects,
    /// Whoever is on the way could put another file there.
    #[error("it is redirected from https to http")]
    Downgrade,
    /// Nobody asked for a coding.
    #[error("its server sent it compressed, which was not asked for")]
    Coded,
    /// It does not fit into what may be read.
    #[error("it is too large, by itself or together with the request's other files")]
    TooLarge,
    /// It broke off.
    #[error("it broke off before its end")]
    Broken,
}

/// The host of a URL that can be read; what cannot has none.
pub fn host_of(url: &str) -> Option<String> {
    Target::named_host(&Place::parse(url).ok()?.origin)
}

/// Fetches the file at `url`.
///
/// # Errors
/// See [`FetchError`].
pub async fn fetch(url: &str, options: &FetchOptions<'_>) -> Result<Fetched, FetchError> {
    // Of its own: a client's hosts are as many as there are URLs, and none is kept.
    let pool = Pool::new(PoolOptions::default());
    let mut place = Place::parse(url)?;
    for _ in 0..=REDIRECTS_MAX {
        let answer = ask(&pool, &place, options).await?;
        if answer.status.is_redirection() {
            let to = answer.headers.get(LOCATION).and_then(|it| it.to_str().ok());
            let next = place.follow(to.ok_or(FetchError::Status(answer.status))?)?;
            if place.is_safe() && !next.is_safe() {
                return Err(FetchError::Downgrade);
            }
            place = next;
        } else if answer.status == StatusCode::OK {
            return read(answer, options.room).await;
        } else {
            return Err(FetchError::Status(answer.status));
        }
    }
    Err(FetchError::Redirects)
}

async fn ask(
    pool: &Pool,
    place: &Place,
    options: &FetchOptions<'_>,
) -> Result<Incoming, FetchError> {
    let reach = if options.allow_private_address { Reach::Private } else { Reach::Client };
    let wanted = TargetOptions { http2: Http2::Never, ..TargetOptions::default() };
    let target = Target::within(&place.origin, &wanted, reach).map_err(|error| match error {
        TargetError::Url(why) => FetchError::Url(why),
        TargetError::Address { .. } | TargetError::Ca(_) => FetchError::Unreachable,
    })?;
    if !(options.may_ask)(&target) {
        return Err(FetchError::NotPermitted);
    }
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("image/*, application/pdf, text/*, */*;q=0.1"));
    headers.insert(USER_AGENT, HeaderValue::from_static("outrigger"));
    let outgoing = Outgoing { method: Method::GET, path: &place.path, headers, body: Bytes::new() };
    pool.send(&target, outgoing, &DEADLINES).await.map_err(|_| FetchError::Unreachable)
}

async fn read(mut answer: Incoming, room: &Cell<u64>) -> Result<Fetched, FetchError> {
    if answer.content_coding().is_some() {
        return Err(FetchError::Coded);
    }
    let said = |name| answer.headers.get(name).and_then(|it| it.to_str().ok());
    let length: Option<u64> = said(CONTENT_LENGTH).and_then(|it| it.parse().ok());
    if length.is_some_and(|length| length > room.get()) {
        return Err(FetchError::TooLarge);
    }
    let bare = said(CONTENT_TYPE).and_then(|it| it.split(';').next());
    let media_type = bare.map(|it| it.trim().to_ascii_lowercase()).filter(|it| !it.is_empty());
    let mut body = Vec::new();
    while let Some(piece) = answer.body.frame().await {
        let piece = piece.map_err(|_| FetchError::Broken)?;
        let left = room.get().checked_sub(piece.len() as u64).ok_or(FetchError::TooLarge)?;
        room.set(left);
        body.extend_from_slice(&piece);
    }
    Ok(Fetched { media_type, body })
}

/// A URL in two parts: what is dialled, which [`Target`] reads, and what is asked for there.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// Scheme, host and port.
    origin: String,
    /// Path and query.
    path: String,
}

impl Place {
    fn parse(url: &str) -> Result<Self, FetchError> {
        if url.len() > URL_MAX {
            return Err(FetchError::Url("it is too long"));
        }
        let (scheme, rest) = url.split_once("://").ok_or(FetchError::Url("it has no scheme"))?;
        let scheme = match scheme.to_ascii_lowercase() {
            it if it == "http" || it == "https" => it,
            _ => return Err(FetchError::Url("its scheme is neither http nor https")),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        Ok(Self { origin: format!("{scheme}://{authority}"), path: path(rest)? })
    }

    fn is_safe(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// Where a redirect leads.
    fn follow(&self, to: &str) -> Result<Self, FetchError> {
        if to.contains("://") && !to.starts_with(['/', '?']) {
            return Self::parse(to);
        }
        let scheme = if self.is_safe() { "https" } else { "http" };
        if to.starts_with("//") {
            return Self::parse(&format!("{scheme}:{to}"));
        }
        let bare = self.path.split('?').next().unwrap_or("/");
        let folder = bare.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = match to.as_bytes().first() {
            Some(b'/') => path(to)?,
            Some(b'?') => path(&format!("{bare}{to}"))?,
            _ => path(&format!("{folder}/{to}"))?,
        };
        Ok(Self { origin: self.origin.clone(), path })
    }
}

/// What is not allowed in a request's path or query; percent signs stay what they are.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Path and query as they may stand in a request: without the fragment, what is not allowed there in percent signs.
fn path(text: &str) -> Result<String, FetchError> {
    let text = text.split('#').next().unwrap_or_default();
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(FetchError::Url("it holds a control character"));
    }
    let slash = if text.starts_with('/') { "" } else { "/" };
    Ok(format!("{slash}{}", utf8_percent_encode(text, NOT_IN_PATH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> (String, String) {
        let place = Place::parse(url).unwrap();
        (place.origin, place.path)
    }

    #[test]
    fn a_url_is_where_to_dial_and_what_to_ask_for() {
        for (url, origin, path) in [
            ("https://x.example/a.png", "https://x.example", "/a.png"),
            ("HTTPS://x.example:8443?b=c#d", "https://x.example:8443", "/?b=c"),
            ("http://x.example", "http://x.example", "/"),
            ("https://x.example/a b/\u{e9}?q=%20", "https://x.example", "/a%20b/%C3%A9?q=%20"),
        ] {
            assert_eq!(place(url), (origin.to_owned(), path.to_owned()), "{url}");
        }
        for url in
            ["x.example/a", "file:///etc/passwd", "ftp://x.example/", "https://x.example/a\nb"]
        {
            assert!(matches!(Place::parse(url), Err(FetchError::Url(_))), "{url:?}");
        }
    }

    #[test]
    fn a_redirect_leads_from_where_it_stands() {
        let from = Place::parse("https://x.example/a/b?c=d").unwrap();
        for (to, origin, path) in [
            ("http://y.example/e", "http://y.example", "/e"),
            ("//y.example/e", "https://y.example", "/e"),
            ("/e?f=https://z.example/", "https://x.example", "/e?f=https://z.example/"),
            ("e", "https://x.example", "/a/e"),
            ("?e", "https://x.example", "/a/b?e"),
        ] {
            let place = from.follow(to).unwrap();
            assert_eq!((place.origin.as_str(), place.path.as_str()), (origin, path), "{to}");
        }
    }
}
