//! Connections kept for reuse, one pool per runtime thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::ErrorClass;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};
use http_body_util::Full;

use crate::body::Body;
use crate::connect::{Connected, connect};
use crate::dns::Resolver;
use crate::error::{SendError, Stage};
use crate::h1::{Failed, H1, explain, no_head};
use crate::h2::{self, H2};
use crate::stream::Switched;
use crate::target::{Http2, Inner, Scheme, Target};

/// How long the parts of an attempt may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Name, TCP and TLS together. Default 5 s.
    pub connect: Duration,
    /// From the request's first byte out to the response head. Default 120 s.
    pub first_byte: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), first_byte: Duration::from_mins(2) }
    }
}

/// A request to send. `host`, `accept-encoding` and framing headers are the pool's business.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// The method.
    pub method: Method,
    /// Path and query, appended to the target's base path; begins with `/`.
    pub path: &'a str,
    /// Headers besides those that the pool sets.
    pub headers: HeaderMap,
    /// The whole body; sent with `content-length`.
    pub body: Bytes,
}

/// A response whose head has arrived.
pub struct Incoming {
    /// The status; redirects are not followed, they are answers like any other.
    pub status: StatusCode,
    /// The headers as received.
    pub headers: HeaderMap,
    /// The body, still on the wire.
    pub body: Body,
}

impl Incoming {
    /// The coding of the body, if it is coded although we asked for `identity`. Nothing here decodes: such an
    /// answer can't be read and is the provider's fault.
    pub fn content_coding(&self) -> Option<&str> {
        let value = self.headers.get(http::header::CONTENT_ENCODING)?;
        let value = value.to_str().unwrap_or("unreadable").trim();
        (!value.is_empty() && !value.eq_ignore_ascii_case("identity")).then_some(value)
    }
}

/// What became of a request to switch protocols.
pub enum Upgrade {
    /// It was switched.
    Switched {
        /// The headers of the answer.
        headers: HeaderMap,
        /// The connection, on which the other protocol is spoken from now on.
        stream: Switched,
    },
    /// It was not.
    Refused(Incoming),
}

/// What a pool keeps and for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Idle HTTP/1.1 connections kept per target.
    pub max_idle_per_target: usize,
    /// Most bytes of a response head.
    pub max_head_bytes: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_mins(1),
            max_idle_per_target: 256,
            max_head_bytes: 64 * 1024,
        }
    }
}

/// The connections of one runtime thread. Clones share them.
#[derive(Clone)]
pub struct Pool(Rc<Shared>);

struct Shared {
    options: PoolOptions,
    resolver: Resolver,
    /// By the address of the target's inner part, which the site keeps alive.
    sites: RefCell<BTreeMap<usize, Rc<Site>>>,
}

/// What is known about one target.
pub(crate) struct Site {
    target: Arc<Inner>,
    idle_max: usize,
    /// Newest last: the most recently used is taken first, so that surplus ones grow old and are closed.
    #[expect(
        clippy::vec_box,
        reason = "moved in and out once per request; the box is reused, not made anew"
    )]
    idle: RefCell<Vec<Box<H1>>>,
    shared: RefCell<Vec<H2>>,
    /// Whether the server chose HTTP/2 at the last handshake.
    speaks_h2: std::cell::Cell<Option<bool>>,
    /// Held while the first (or next) shared connection is made, so that a burst makes one and not many.
    opening: tokio::sync::Mutex<()>,
    /// Request targets already parsed, by path; a provider has a handful.
    uris: RefCell<Vec<(String, Uri)>>,
}

/// Where a connection returns to.
pub(crate) struct Home(Weak<Site>);

impl Home {
    pub(crate) fn put(&self, mut connection: Box<H1>) {
        let Some(site) = self.0.upgrade() else { return };
        let mut idle = site.idle.borrow_mut();
        if idle.len() < site.idle_max {
            connection.idle_since = Instant::now();
            idle.push(connection);
        }
    }
}

/// A connection to send on, and whether it served before.
enum Line {
    H1(Box<H1>, bool),
    H2(hyper::client::conn::http2::SendRequest<Full<Bytes>>, h2::Slot, bool),
}

impl Pool {
    /// An empty pool.
    pub fn new(options: PoolOptions) -> Self {
        Self(Rc::new(Shared {
            options,
            resolver: Resolver::default(),
            sites: RefCell::new(BTreeMap::new()),
        }))
    }

    /// Sends one request and waits for the response head. Repeats by itself only what surely was not sent: a
    /// reused connection that turned out closed, and that once, on a fresh one. Dropping the future cancels.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(
        &self,
        target: &Target,
        outgoing: Outgoing<'_>,
        deadlines: &Deadlines,
    ) -> Result<Incoming, SendError> {
        let site = self.site(target);
        let mut request = site.request(outgoing)?;
        let mut fresh = false;
        loop {
            let line = self.line(&site, deadlines.connect, fresh).await?;
            let reused = matches!(&line, Line::H1(_, true) | Line::H2(_, _, true));
            match self.exchange(&site, line, request, deadlines).await {
                Ok(incoming) => return Ok(incoming),
                Err(Failed { unsent: Some(again), .. }) if reused && !fresh => {
                    request = again;
                    fresh = true;
                }
                Err(failed) => return Err(failed.error),
            }
        }
    }

    async fn exchange(
        &self,
        site: &Rc<Site>,
        line: Line,
        mut request: Request<Full<Bytes>>,
        deadlines: &Deadlines,
    ) -> Result<Incoming, Failed> {
        let (response, body) = match line {
            Line::H1(connection, _) => {
                let head = self.0.options.max_head_bytes;
                let (response, connection) =
                    connection.exchange(request, head, deadlines.first_byte).await?;
                let (parts, incoming) = response.into_parts();
                if parts.headers.contains_key(TRANSFER_ENCODING)
                    && parts.headers.contains_key(CONTENT_LENGTH)
                {
                    let why = "both `transfer-encoding` and `content-length`";
                    return Err(Failed { error: no_head(true, why, true), unsent: None });
                }
                let home = Home(Rc::downgrade(site));
                (parts, Body::over_h1(incoming, connection, home))
            }
            Line::H2(handle, slot, _) => {
                site.absolute(&mut request);
                let (response, slot) =
                    h2::exchange(handle, slot, request, deadlines.first_byte).await?;
                let (parts, incoming) = response.into_parts();
                (parts, Body::over_h2(incoming, slot))
            }
        };
        Ok(Incoming { status: response.status, headers: response.headers, body })
    }

    /// A line to the target: an idle or shared one unless `fresh`, else a new one.
    async fn line(
        &self,
        site: &Rc<Site>,
        connect_limit: Duration,
        fresh: bool,
    ) -> Result<Line, SendError> {
        if !fresh && let Some(line) = site.reuse().await {
            return Ok(line);
        }
        if site.may_share() {
            let begun = Instant::now();
            let Ok(guard) = tokio::time::timeout(connect_limit, site.opening.lock()).await else {
                return Err(no_head(false, "no connection in time", false));
            };
            // Somebody else may have opened one while we waited.
            if let Some(line) = site.shared_line(true) {
                return Ok(line);
            }
            if site.may_share() {
                let left = connect_limit.saturating_sub(begun.elapsed());
                return self.open(site, left).await;
            }
            drop(guard);
        }
        self.open(site, connect_limit).await
    }

    /// Asks a target to switch to another protocol, on a connection of its own: `outgoing` bears `connection` and
    /// `upgrade`. What the target does instead is an answer like any other.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn upgrade(
        &self,
        target: &Target,
        outgoing: Outgoing<'_>,
        deadlines: &Deadlines,
    ) -> Result<Upgrade, SendError> {
        let site = self.site(target);
        let request = site.request(outgoing)?;
        let limit = deadlines.connect;
        let Connected { stream, .. } =
            connect(&site.target, &self.0.resolver, limit, Http2::Never).await?;
        let options = &self.0.options;
        let connection = H1::start(stream, options.idle_timeout, options.max_head_bytes)
            .await
            .map_err(|error| site.unspoken(&error))?;
        let exchange =
            connection.exchange(request, options.max_head_bytes, deadlines.first_byte).await;
        let (response, connection) = exchange.map_err(|failed| failed.error)?;
        let (parts, incoming) = response.into_parts();
        if parts.status != StatusCode::SWITCHING_PROTOCOLS {
            let body = Body::over_h1(incoming, connection, Home(Weak::new()));
            let (status, headers) = (parts.status, parts.headers);
            return Ok(Upgrade::Refused(Incoming { status, headers, body }));
        }
        Ok(Upgrade::Switched { headers: parts.headers, stream: connection.switched().await })
    }

    async fn open(&self, site: &Rc<Site>, limit: Duration) -> Result<Line, SendError> {
        let Connected { stream, h2 } =
            connect(&site.target, &self.0.resolver, limit, Http2::Auto).await?;
        site.speaks_h2.set(Some(h2));
        let options = &self.0.options;
        if h2 {
            let shared = H2::start(stream, options.max_head_bytes)
                .await
                .map_err(|error| site.unspoken(&error))?;
            let (handle, slot) = shared.take();
            site.shared.borrow_mut().push(shared);
            return Ok(Line::H2(handle, slot, false));
        }
        let connection = H1::start(stream, options.idle_timeout, options.max_head_bytes)
            .await
            .map_err(|error| site.unspoken(&error))?;
        Ok(Line::H1(connection, false))
    }

    fn site(&self, target: &Target) -> Rc<Site> {
        let key = Arc::as_ptr(&target.0).addr();
        if let Some(site) = self.0.sites.borrow().get(&key) {
            return Rc::clone(site);
        }
        let site = Rc::new(Site {
            target: Arc::clone(&target.0),
            idle_max: self.0.options.max_idle_per_target,
            idle: RefCell::default(),
            shared: RefCell::default(),
            speaks_h2: std::cell::Cell::new(None),
            opening: tokio::sync::Mutex::new(()),
            uris: RefCell::default(),
        });
        self.0.sites.borrow_mut().insert(key, Rc::clone(&site));
        site
    }

    /// Closes what has been idle too long or was closed by the other side, and forgets targets that nobody else
    /// holds any more (a configuration was reloaded). Call it every few seconds on the pool's own thread.
    pub fn sweep(&self) {
        let mut quiet = Context::from_waker(Waker::noop());
        let idle_limit = self.0.options.idle_timeout;
        self.0.sites.borrow_mut().retain(|_, site| {
            site.idle
                .borrow_mut()
                .retain_mut(|it| it.idle_since.elapsed() < it.idle_limit && it.usable(&mut quiet));
            site.shared.borrow_mut().retain(|it| !it.expired(idle_limit));
            let unused = site.idle.borrow().is_empty() && site.shared.borrow().is_empty();
            let held_elsewhere = Arc::strong_count(&site.target) > 1 || Rc::strong_count(site) > 1;
            !unused || held_elsewhere
        });
    }

    /// Idle and shared connections at the moment.
    pub fn connections(&self) -> usize {
        let sites = self.0.sites.borrow();
        sites.values().map(|it| it.idle.borrow().len() + it.shared.borrow().len()).sum()
    }
}

impl Site {
    fn unspoken(&self, error: &hyper::Error) -> SendError {
        SendError {
            class: ErrorClass::Unreachable,
            stage: Stage::Connect,
            sent: false,
            message: format!("can't speak HTTP to `{}`: {}", self.target.authority, explain(error)),
        }
    }

    fn may_share(&self) -> bool {
        let offered = self.target.tls.as_ref().is_some_and(|it| it.http2 == Http2::Auto);
        offered && self.speaks_h2.get() != Some(false)
    }

    async fn reuse(&self) -> Option<Line> {
        if let Some(line) = self.shared_line(true) {
            return Some(line);
        }
        if self.idle.borrow().is_empty() {
            return None;
        }
        std::future::poll_fn(|cx| {
            let mut idle = self.idle.borrow_mut();
            while let Some(mut connection) = idle.pop() {
                let young = connection.idle_since.elapsed() < connection.idle_limit;
                if young && connection.usable(cx) {
                    return std::task::Poll::Ready(Some(Line::H1(connection, true)));
                }
            }
            std::task::Poll::Ready(None)
        })
        .await
    }

    fn shared_line(&self, reused: bool) -> Option<Line> {
        let shared = self.shared.borrow();
        let with_room = shared.iter().find(|it| it.has_room())?;
        let (handle, slot) = with_room.take();
        Some(Line::H2(handle, slot, reused))
    }

    fn request(&self, outgoing: Outgoing<'_>) -> Result<Request<Full<Bytes>>, SendError> {
        let mut request = Request::new(Full::new(outgoing.body));
        *request.method_mut() = outgoing.method;
        *request.uri_mut() = self.uri(outgoing.path)?;
        let mut headers = outgoing.headers;
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        headers.insert(HOST, self.target.host_header.clone());
        // Answers are forwarded and metered as they are; nobody here unpacks them.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn uri(&self, path: &str) -> Result<Uri, SendError> {
        /// Paths may hold model names, so they are not endlessly many but more than we want to keep.
        const KEPT: usize = 16;
        if let Some((_, uri)) = self.uris.borrow().iter().find(|(known, _)| known == path) {
            return Ok(uri.clone());
        }
        let whole = format!("{}{path}", self.target.base_path);
        let uri = Uri::try_from(whole).map_err(|_| SendError {
            class: ErrorClass::Internal,
            stage: Stage::Connect,
            sent: false,
            message: "the request path is not a valid one".to_owned(),
        })?;
        let mut uris = self.uris.borrow_mut();
        if uris.len() < KEPT {
            uris.push((path.to_owned(), uri.clone()));
        }
        Ok(uri)
    }

    /// HTTP/2 carries scheme and authority beside the path, and no `host`.
    fn absolute(&self, request: &mut Request<Full<Bytes>>) {
        let scheme = match self.target.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let built = Uri::builder()
            .scheme(scheme)
            .authority(self.target.authority.as_str())
            .path_and_query(request.uri().path_and_query().map_or("/", |it| it.as_str()))
            .build();
        if let Ok(uri) = built {
            *request.uri_mut() = uri;
        }
        request.headers_mut().remove(HOST);
        *request.version_mut() = Version::HTTP_2;
    }
}
