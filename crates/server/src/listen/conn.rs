//! One connection, from the accepted socket to its end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::framing::{Framer, HeadLimits};
use super::gate::Gate;
use super::guarded::Guarded;
use super::handler::{LastWords, ReqBody, RespBody, call};
use super::limits::ListenLimits;
use super::state::{ConnState, InFlight, Order};
use super::stream::Stream;
use super::upgraded::{Staying, Upgraded};

/// What a handler may want to know about the connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnInfo {
    /// The peer's address.
    pub peer: SocketAddr,
    /// Whether it came through TLS.
    pub tls: bool,
    /// Whether it is HTTP/2.
    pub h2: bool,
}

/// How a client that knows it speaks HTTP/2 begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a connection to its end or until it is cut.
pub(super) async fn serve_connection<H, F, B>(
    tcp: TcpStream,
    peer: SocketAddr,
    gate: &Gate,
    handler: Rc<H>,
    state: Rc<ConnState>,
) where
    H: Fn(Request<ReqBody>, ConnInfo) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: http_body::Body<Data = Bytes> + LastWords + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Streamed events are small and must not wait for a full segment.
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let limits = &gate.limits;
    let work = async {
        let Some((stream, first, h2)) = open(tcp, gate).await else { return };
        state.opening.set(false);
        let tls = matches!(stream, Stream::Tls(_));
        let info = ConnInfo { peer, tls, h2 };
        let service = {
            let state = Rc::clone(&state);
            // Counted here and not at the handler's first poll: the framer must know at once.
            service_fn(move |request| {
                call(Rc::clone(&handler), request, info, InFlight::new(&state))
            })
        };
        if h2 {
            state.pressing_since.set(None);
            state.h2.set(true);
            let stream = Guarded::new(stream, first, None, Rc::clone(&state));
            drive_h2::<_, B>(stream, service, limits, &state).await;
        } else {
            let head = HeadLimits {
                fields: limits.headers,
                bytes: limits.head_bytes,
                target: limits.target_bytes,
            };
            let stream = Guarded::new(stream, first, Some(Framer::new(head)), Rc::clone(&state));
            drive_h1::<_, B>(stream, service, &state).await;
        }
    };
    state.cuttable(work).await;
}

/// Finds out what is spoken: TLS says so, otherwise the first bytes do.
async fn open(mut tcp: TcpStream, gate: &Gate) -> Option<(Stream, Vec<u8>, bool)> {
    if let Some(tls) = &gate.tls {
        let stream = TlsAcceptor::from(tls.current()).accept(tcp).await.ok()?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        return Some((Stream::Tls(Box::new(stream)), Vec::new(), h2));
    }
    let mut first = Vec::with_capacity(4096);
    loop {
        if tcp.read_buf(&mut first).await.ok()? == 0 {
            return None;
        }
        let looked_at = first.len().min(PREFACE.len());
        let like = first.get(..looked_at) == PREFACE.get(..looked_at);
        if !like || looked_at == PREFACE.len() {
            return Some((Stream::Plain(tcp), first, like));
        }
    }
}

async fn drive_h1<S, B>(stream: Guarded, service: S, state: &ConnState)
where
    S: hyper::service::HttpService<ReqBody, ResBody = RespBody<B>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + LastWords + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = http1::Builder::new()
        // Deadlines of heads are the watchman's.
        .header_read_timeout(None)
        // An end of the client's half is a client that left: its request is dropped.
        .half_close(false)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut asked = false;
    std::future::poll_fn(|cx| {
        let mut connection = Pin::new(&mut connection);
        if !asked && state.order() >= Order::Close {
            asked = true;
            connection.as_mut().graceful_shutdown();
        }
        finished(connection.poll(cx))
    })
    .await;
    let Some((work, place)) = state.taken_over.take() else { return };
    let parts = connection.into_parts();
    let upgraded = Upgraded::new(parts.io.into_inner(), parts.read_buf);
    work.run(upgraded, Staying::new(place)).await;
}

async fn drive_h2<S, B>(stream: Guarded, service: S, limits: &ListenLimits, state: &ConnState)
where
    S: hyper::service::HttpService<ReqBody, ResBody = RespBody<B>>,
    S::Future: 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + LastWords + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = std::pin::pin!(
        http2::Builder::new(LocalTasks)
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.h2_streams)
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(1024 * 1024)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(256)
            // Bounds what a reader that does not read makes us hold, per stream.
            .max_send_buf_size(128 * 1024)
            .keep_alive_interval(std::time::Duration::from_secs(30))
            .keep_alive_timeout(std::time::Duration::from_secs(20))
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut asked = false;
    std::future::poll_fn(|cx| {
        if !asked && state.order() >= Order::Close {
            asked = true;
            connection.as_mut().graceful_shutdown();
        }
        finished(connection.as_mut().poll(cx))
    })
    .await;
}

fn finished(progress: Poll<hyper::Result<()>>) -> Poll<()> {
    progress.map(|result| {
        if let Err(error) = result {
            // Clients leave all the time; that is nobody's trouble.
            tracing::trace!(%error, "a client connection ended");
        }
    })
}

/// Runs the streams of an HTTP/2 connection as tasks of this thread.
#[derive(Clone, Copy, Debug)]
struct LocalTasks;

impl<F> hyper::rt::Executor<F> for LocalTasks
where
    F: Future + 'static,
{
    fn execute(&self, work: F) {
        tokio::task::spawn_local(async move {
            let mut work = Box::pin(work);
            std::future::poll_fn(|cx| Pin::new(&mut work).poll(cx)).await;
        });
    }
}
