//! The handler as hyper calls it: counted, checked on HTTP/2, and with a floor under its panics.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};

use super::conn::ConnInfo;
use super::framing::host_ok;
use super::state::InFlight;
use super::upgraded::TakeOver;

/// The body of a request as the handler receives it.
pub type ReqBody = hyper::body::Incoming;

/// What the errors of a response body become; any of them aborts the response, so that no client takes it for
/// whole.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a response body says before its connection is cut.
pub trait LastWords {
    /// The drain is over: end soon, and not as if all had been said.
    fn last_words(&mut self) {}

    /// What takes the connection over, where the answer is to switch protocols (101).
    fn take_over(&mut self) -> Option<TakeOver> {
        None
    }
}

/// A handler's response body, or a short text of our own.
#[derive(Debug)]
pub struct RespBody<B> {
    content: Content<B>,
    /// Held so that the request counts as in flight until its body is sent or dropped.
    in_flight: InFlight,
    /// An error that waits until what was said before it has left. hyper drops what it has not yet written when
    /// a body fails; the last words of a cut stream are often the ones that say why it was cut.
    failure: Option<BoxError>,
    /// Whether the body knows that it has to end.
    told: bool,
}

#[derive(Debug)]
enum Content<B> {
    Body(B),
    Text(Option<Bytes>),
}

/// Calls the handler; answers by itself what must not reach it, and what it failed at.
pub(super) async fn call<H, F, B>(
    handler: Rc<H>,
    request: Request<ReqBody>,
    info: ConnInfo,
    in_flight: InFlight,
) -> Result<Response<RespBody<B>>, std::convert::Infallible>
where
    H: Fn(Request<ReqBody>, ConnInfo) -> F,
    F: Future<Output = Response<B>>,
    B: LastWords,
{
    if info.h2
        && let Err((status, reason)) = sound_h2(&request)
    {
        return Ok(own(status, reason, in_flight));
    }
    let Ok(work) = catch_unwind(AssertUnwindSafe(|| handler(request, info))) else {
        return Ok(panicked(in_flight));
    };
    let mut work = pin!(work);
    let outcome = std::future::poll_fn(|cx| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
            Ok(Poll::Pending) if in_flight.is_ending(cx.waker()) => {
                Poll::Ready(Err(Unanswered::Cut))
            }
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Unanswered::Panicked)),
        }
    })
    .await;
    Ok(match outcome {
        Ok(mut response) => {
            if let Some(work) = response.body_mut().take_over() {
                in_flight.take_over(work);
            }
            response.map(|it| RespBody::new(Content::Body(it), in_flight))
        }
        Err(Unanswered::Panicked) => panicked(in_flight),
        Err(Unanswered::Cut) => {
            own(StatusCode::SERVICE_UNAVAILABLE, "the gateway is shutting down", in_flight)
        }
    })
}

/// Why a handler gave no response.
enum Unanswered {
    Panicked,
    /// It took longer than the drain.
    Cut,
}

fn panicked<B>(in_flight: InFlight) -> Response<RespBody<B>> {
    tracing::error!("a request handler panicked; its request was answered with 500");
    own(StatusCode::INTERNAL_SERVER_ERROR, "internal error", in_flight)
}

fn own<B>(status: StatusCode, reason: &str, in_flight: InFlight) -> Response<RespBody<B>> {
    let kind = if status.is_server_error() { "api_error" } else { "invalid_request_error" };
    // Right for the clients of both dialects: to OpenAI's the outer type is a member that they don't know.
    let text = format!(
        "{{\"type\":\"error\",\"error\":{{\"message\":\"{reason}\",\"type\":\"{kind}\"}}}}"
    );
    let content = Content::Text(Some(Bytes::from(text)));
    let mut response = Response::new(RespBody::new(content, in_flight));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// What the framer sees to on HTTP/1.1 and HTTP/2's own framing leaves open.
fn sound_h2(request: &Request<ReqBody>) -> Result<(), (StatusCode, &'static str)> {
    let bad = |reason| Err((StatusCode::BAD_REQUEST, reason));
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return bad("this method is not served");
    }
    let Some(authority) = request.uri().authority() else {
        let mut hosts = request.headers().get_all(header::HOST).iter();
        return match (hosts.next(), hosts.next()) {
            (Some(host), None) if host_ok(host.as_bytes()) => Ok(()),
            _ => bad("the authority is missing or malformed"),
        };
    };
    if !host_ok(authority.as_str().as_bytes()) {
        return bad("the authority is malformed");
    }
    let same = |host: &http::HeaderValue| {
        host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
    };
    if !request.headers().get_all(header::HOST).iter().all(same) {
        return bad("`:authority` and `host` differ");
    }
    if request.uri().path_and_query().is_some_and(|it| it.as_str().len() > 8 * 1024) {
        return Err((StatusCode::URI_TOO_LONG, "the request target is too long"));
    }
    Ok(())
}

impl<B> RespBody<B> {
    fn new(content: Content<B>, in_flight: InFlight) -> Self {
        Self { content, in_flight, failure: None, told: false }
    }
}

impl<B> Body for RespBody<B>
where
    B: Body<Data = Bytes> + LastWords + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if this.failure.is_some() {
            if this.in_flight.unsent() {
                return Poll::Pending;
            }
            return Poll::Ready(this.failure.take().map(Err));
        }
        let body = match &mut this.content {
            Content::Text(text) => return Poll::Ready(text.take().map(|it| Ok(Frame::data(it)))),
            Content::Body(body) => body,
        };
        if !this.told && this.in_flight.is_ending(cx.waker()) {
            this.told = true;
            body.last_words();
        }
        let failure = match catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(cx))) {
            Ok(Poll::Ready(Some(Err(error)))) => error.into(),
            Ok(Poll::Ready(Some(Ok(frame)))) => return Poll::Ready(Some(Ok(frame))),
            Ok(Poll::Ready(None)) => return Poll::Ready(None),
            Ok(Poll::Pending) => return Poll::Pending,
            Err(_) => {
                tracing::error!("a response body panicked; its response was cut");
                "internal error".into()
            }
        };
        this.failure = Some(failure);
        // Once more round, so that the connection gets to write.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Text(text) => text.is_none(),
            Content::Body(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |it| it.len() as u64))
            }
            Content::Body(body) => body.size_hint(),
        }
    }
}
