//! The fake partner on a socket, as an oracle: it keeps its own books of what arrived and how it ended.

mod behaviour;
mod bomb;
mod control;
#[cfg(feature = "h2")]
mod h2;
mod http1;
mod issuer;
mod realtime;
mod send;
mod serve;
mod state;
#[cfg(feature = "tls")]
mod tls;

use std::fs::OpenOptions;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::demo::{Demo, DemoOptions};
use serve::Server;
use state::Shared;

/// Settings of a [`Mock`].
#[derive(Debug, Clone)]
pub struct MockOptions {
    /// Where to listen; port 0 picks one.
    pub listen: SocketAddr,
    /// Where the control API listens; it is also on the main listener while that is open.
    pub control: SocketAddr,
    /// File to which the journal is appended.
    pub journal: Option<PathBuf>,
    /// How many of the latest requests are kept whole, for tests to look at.
    pub keep: usize,
    /// The partner that answers.
    pub demo: DemoOptions,
    /// Serve TLS (feature `tls`) with a certificate made at start, for `localhost` and `127.0.0.1`.
    pub tls: bool,
}

impl Default for MockOptions {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        MockOptions {
            listen: any,
            control: any,
            journal: None,
            keep: 256,
            demo: DemoOptions::default(),
            tls: false,
        }
    }
}

/// A running mock partner, on a thread of its own; dropped, it stops.
pub struct Mock {
    addr: SocketAddr,
    control: SocketAddr,
    ca_pem: Option<String>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Mock {
    /// Starts one on loopback with the defaults.
    pub fn start() -> io::Result<Mock> {
        Mock::start_with(MockOptions::default())
    }

    /// Starts one. Fails when an address is taken or the journal can't be opened.
    pub fn start_with(options: MockOptions) -> io::Result<Mock> {
        let journal = match &options.journal {
            Some(path) => Some(OpenOptions::new().create(true).append(true).open(path)?),
            None => None,
        };
        let shared = Arc::new(Shared::new(journal, options.keep));
        let tls = tls_config(options.tls)?;
        let ca_pem = tls.as_ref().map(|t| t.1.clone());
        let main = bind(options.listen)?;
        let control = bind(options.control)?;
        let (addr, control_addr) = (local(&main)?, local(&control)?);
        let (stop, stopped) = oneshot::channel();
        let server = (options.demo, shared.clone());
        let thread =
            std::thread::Builder::new().name("fake-provider".to_owned()).spawn(move || {
                let server = Server::new(Demo::new(server.0), server.1);
                run(server, [main, control], addr, tls.map(|t| t.0), stopped);
            })?;
        Ok(Mock {
            addr,
            control: control_addr,
            ca_pem,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Base URL for OpenAI and Anthropic alike, ending in `/v1`.
    pub fn base_url(&self) -> String {
        let scheme = if self.ca_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/v1", self.addr)
    }

    /// The control API, for another process: `http://127.0.0.1:PORT/__mock`.
    pub fn control_url(&self) -> String {
        format!("http://{}/__mock", self.control)
    }

    /// The certificate to trust, in PEM, when serving TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Adds a rule (or a list of them), as `POST /__mock/rules` does.
    pub fn rule(&self, rule: &Value) -> Result<(), String> {
        let (status, answer) = control::act(&self.shared, "POST", "/__mock/rules", rule);
        if status == 200 { Ok(()) } else { Err(answer.to_string()) }
    }

    /// Arms the log-in services, as `POST /__mock/issuer` does; what was given out before is good no more.
    pub fn issuer(&self, setup: Value) {
        self.shared.arm_issuer(setup);
    }

    /// Removes all rules.
    pub fn clear_rules(&self) {
        self.shared.clear_rules();
    }

    /// The counters, as `GET /__mock/stats`.
    pub fn stats(&self) -> Value {
        self.shared.stats()
    }

    /// One counter of [`Mock::stats`]; 0 for a name that is none.
    pub fn count(&self, counter: &str) -> u64 {
        self.stats().get(counter).and_then(Value::as_u64).unwrap_or(0)
    }

    /// The latest requests: number, method, path, headers in order, body.
    pub fn requests(&self) -> Vec<Value> {
        self.shared.requests()
    }

    /// Lets held answers go: the next `count`, or all.
    pub fn release(&self, count: Option<u64>) {
        self.shared.release(count);
    }

    /// Forgets rules, counters and kept requests.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Refuses (false) or accepts connections; `drop_open` breaks those that are open.
    pub fn accept(&self, open: bool, drop_open: bool) {
        self.shared.accept(open, drop_open);
    }

    /// Waits until a counter has at least this value; false if it has not in time.
    pub fn wait_for(&self, counter: &str, at_least: u64, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        while self.count(counter) < at_least {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }
}

impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mock")
            .field("addr", &self.addr)
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been printed; there is nobody to give it to.
            drop(thread.join());
        }
    }
}

#[cfg(feature = "tls")]
type Acceptor = tokio_rustls::TlsAcceptor;
/// Without the feature there is no value of this type.
#[cfg(not(feature = "tls"))]
#[derive(Clone)]
enum Acceptor {}

#[cfg(feature = "tls")]
fn tls_config(wanted: bool) -> io::Result<Option<(Acceptor, String)>> {
    if wanted { tls::acceptor().map(Some) } else { Ok(None) }
}

#[cfg(not(feature = "tls"))]
fn tls_config(wanted: bool) -> io::Result<Option<(Acceptor, String)>> {
    if wanted {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "built without the feature `tls`"));
    }
    Ok(None)
}

fn bind(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4_096)?;
    Ok(socket)
}

fn local(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("no IP address"))
}

fn run(
    server: Server,
    [main, control]: [Socket; 2],
    addr: SocketAddr,
    tls: Option<Acceptor>,
    stopped: oneshot::Receiver<()>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let local = tokio::task::LocalSet::new();
    let server = Rc::new(server);
    local.block_on(&runtime, async move {
        let steered = tokio::task::spawn_local(accept_control(server.clone(), control));
        let served = tokio::task::spawn_local(accept_main(server, main, addr, tls));
        // Ends when the Mock is dropped, which drops the sender.
        drop(stopped.await);
        steered.abort();
        served.abort();
    });
}

async fn accept_control(server: Rc<Server>, socket: Socket) {
    let Ok(listener) = TcpListener::from_std(socket.into()) else { return };
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let server = server.clone();
        tokio::task::spawn_local(async move { server.connection(0, stream).await });
    }
}

/// Accepts while accepting is on; closes the socket while it is off, so that connections are refused.
async fn accept_main(server: Rc<Server>, socket: Socket, addr: SocketAddr, tls: Option<Acceptor>) {
    let mut accepting = server.shared.accepting();
    let mut next = Some(socket);
    let mut number = 0;
    loop {
        if !*accepting.borrow() {
            // Told to refuse before the first connection: the socket is open, but must not be.
            next = None;
        }
        if accepting.wait_for(|on| *on).await.is_err() {
            return;
        }
        let Some(socket) = next.take().or_else(|| bind(addr).ok()) else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let Ok(listener) = TcpListener::from_std(socket.into()) else { return };
        loop {
            tokio::select! {
                biased;
                _ = accepting.wait_for(|on| !*on) => break,
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    number += 1;
                    open(&server, number, stream, tls.clone());
                }
            }
        }
    }
}

fn open(server: &Rc<Server>, number: u64, stream: TcpStream, tls: Option<Acceptor>) {
    // Events go out when they are made; a socket that can't be told so is served all the same.
    drop(stream.set_nodelay(true));
    let shared = server.shared.clone();
    let server = server.clone();
    let task = tokio::task::spawn_local(async move {
        match tls {
            #[cfg(feature = "h2")]
            None if h2::is_spoken(&stream).await => h2::serve(server.clone(), number, stream).await,
            None => server.connection(number, stream).await,
            #[cfg(feature = "tls")]
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    #[cfg(feature = "h2")]
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        h2::serve(server.clone(), number, stream).await;
                        server.shared.disconnected(number);
                        return;
                    }
                    server.connection(number, stream).await;
                }
            }
            #[cfg(not(feature = "tls"))]
            Some(never) => match never {},
        }
        server.shared.disconnected(number);
    });
    shared.connected(number, task.abort_handle());
}
