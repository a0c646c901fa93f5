//! An HTTP/1.1 connection, driven inside the request that uses it.
//!
//! hyper splits a connection into a handle and a driver that is usually a task. Here the driver is polled by
//! whoever waits for the response or its body. That saves a task and two wake-ups per request, makes dropping the
//! request close the socket at once, and lets the pool ask an idle connection whether it is still alive.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::ErrorClass;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::error::{SendError, Stage};
use crate::stream::{Meter, Metered, Stream, Switched};

type Outbound = Full<Bytes>;

/// A connection and the handle to send on it.
pub(crate) struct H1 {
    handle: http1::SendRequest<Outbound>,
    driver: http1::Connection<TokioIo<Metered>, Outbound>,
    meter: Rc<Meter>,
    /// The driver has ended.
    over: bool,
    /// When it was last put aside.
    pub(crate) idle_since: Instant,
    /// How long it may idle: ours, or less if the server announced less.
    pub(crate) idle_limit: Duration,
}

/// A request that got no response head.
pub(crate) struct Failed {
    pub(crate) error: SendError,
    /// The request itself, if it surely was not sent.
    pub(crate) unsent: Option<Request<Outbound>>,
}

impl H1 {
    /// Starts HTTP/1.1 on a stream.
    pub(crate) async fn start(
        stream: Stream,
        idle_limit: Duration,
        head_bytes: usize,
    ) -> hyper::Result<Box<Self>> {
        let meter = Rc::new(Meter::default());
        let io = TokioIo::new(Metered { stream, meter: Rc::clone(&meter) });
        let (handle, driver) =
            http1::Builder::new().max_buf_size(head_bytes.max(8 * 1024)).handshake(io).await?;
        let idle_since = Instant::now();
        Ok(Box::new(Self { handle, driver, meter, over: false, idle_since, idle_limit }))
    }

    /// Lets the connection work; `true` when it is over.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut self.driver).poll(cx).is_ready()
    }

    /// Whether a request may be sent on it now. A connection that the server closed, or on which it spoke
    /// unasked, is not usable.
    pub(crate) fn usable(&mut self, cx: &mut Context<'_>) -> bool {
        !self.drive(cx) && self.handle.is_ready()
    }

    /// Sends a request and waits for the response head.
    pub(crate) async fn exchange(
        mut self: Box<Self>,
        request: Request<Outbound>,
        head_bytes: usize,
        limit: Duration,
    ) -> Result<(Response<Incoming>, Box<Self>), Failed> {
        self.meter.written.set(0);
        // Twice: a whole head of informational responses and the head itself, each within hyper's own bound.
        self.meter.head_room.set(Some(head_bytes.saturating_mul(2)));
        let outcome = {
            let answer = self.handle.try_send_request(request);
            let mut answer = std::pin::pin!(answer);
            let driver = &mut self.driver;
            let over = &mut self.over;
            // All progress comes from driving, so the answer itself needs nobody to wake.
            let mut quiet = Context::from_waker(Waker::noop());
            let work = std::future::poll_fn(|cx| {
                *over = *over || Pin::new(&mut *driver).poll(cx).is_ready();
                match answer.as_mut().poll(&mut quiet) {
                    Poll::Pending if *over => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(it) => Poll::Ready(Some(it)),
                }
            });
            tokio::time::timeout(limit, work).await
        };
        let sent = self.meter.written.get() > 0;
        match outcome {
            Ok(Some(Ok(response))) => {
                self.meter.head_room.set(None);
                self.note_keep_alive(response.headers());
                Ok((response, self))
            }
            Ok(Some(Err(mut refused))) => {
                let unsent = refused.take_message().filter(|_| !sent);
                let error = no_head(sent, &explain(refused.error()), refused.error().is_parse());
                Err(Failed { error, unsent })
            }
            Ok(None) => Err(Failed {
                error: no_head(sent, "the connection was closed", false),
                unsent: None,
            }),
            Err(_) => Err(Failed { error: late(sent, limit), unsent: None }),
        }
    }

    /// The stream, once the server has switched protocols: the driver ends with the head of that answer.
    pub(crate) async fn switched(mut self: Box<Self>) -> Switched {
        std::future::poll_fn(|cx| {
            if self.over || self.drive(cx) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = self.driver.into_parts();
        Switched::new(parts.io.into_inner(), parts.read_buf)
    }

    fn note_keep_alive(&mut self, headers: &HeaderMap) {
        let announced = headers
            .get("keep-alive")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(',').find_map(|it| it.trim().strip_prefix("timeout=")))
            .and_then(|value| value.parse::<u64>().ok());
        if let Some(seconds) = announced {
            // A second less than the server says, so that we close first and no request meets a closing door.
            self.idle_limit = self.idle_limit.min(Duration::from_secs(seconds.saturating_sub(1)));
        }
    }
}

/// The text of hyper's error with its causes; hyper shows one level only.
pub(crate) fn explain(error: &hyper::Error) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        text.push_str(": ");
        text.push_str(&it.to_string());
        cause = it.source();
    }
    text
}

/// No response head, and not for lack of time.
pub(crate) fn no_head(sent: bool, why: &str, malformed: bool) -> SendError {
    let (class, stage) = if sent || malformed {
        (ErrorClass::BadResponse, Stage::FirstByte)
    } else {
        (ErrorClass::Unreachable, Stage::Send)
    };
    SendError { class, stage, sent, message: format!("no usable response: {why}") }
}

/// No response head in time.
pub(crate) fn late(sent: bool, limit: Duration) -> SendError {
    let stage = if sent { Stage::FirstByte } else { Stage::Send };
    SendError {
        class: ErrorClass::Timeout,
        stage,
        sent,
        message: format!("no response within {limit:?}"),
    }
}
