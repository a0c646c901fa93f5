//! A server that says exactly what a test tells it to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use upstream::{Deadlines, Incoming, Outgoing, Pool, PoolOptions, SendError, Target};

/// What the server saw and how often it was dialled.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) accepted: Arc<AtomicUsize>,
    /// One message per connection that ended on the client's side.
    pub(crate) closed: mpsc::UnboundedReceiver<()>,
}

impl Server {
    pub(crate) fn target(&self) -> Target {
        Target::parse(&format!("http://127.0.0.1:{}/v1", self.port), false).unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// What to do after the bytes have been written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Wait for the next request.
    Keep,
    /// Close.
    Close,
    /// Say no more; report when the client goes.
    Hold,
}

/// Serves `script(n)` to the n-th request of all connections together.
pub(crate) async fn serve(
    script: impl Fn(usize) -> (Vec<u8>, Then) + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(AtomicUsize::new(0));
    let (report, closed) = mpsc::unbounded_channel();
    let script = Arc::new(script);
    let count = Arc::clone(&accepted);
    let requests = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let (script, requests, report) =
                (Arc::clone(&script), Arc::clone(&requests), report.clone());
            tokio::spawn(async move {
                connection(stream, &*script, &requests).await;
                report.send(()).ok();
            });
        }
    });
    Server { port, accepted, closed }
}

async fn connection(
    mut stream: TcpStream,
    script: &(dyn Fn(usize) -> (Vec<u8>, Then) + Send + Sync),
    requests: &AtomicUsize,
) {
    let mut seen = Vec::new();
    while let Some(rest) = read_request(&mut stream, seen).await {
        seen = rest;
        let (answer, then) = script(requests.fetch_add(1, Ordering::SeqCst));
        if stream.write_all(&answer).await.is_err() || then == Then::Close {
            return;
        }
        if then == Then::Hold {
            stream.read_buf(&mut seen).await.ok();
            return;
        }
    }
}

/// Reads one request with `content-length`; returns what follows it.
async fn read_request(stream: &mut TcpStream, mut seen: Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = seen.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8(seen[..end].to_vec()).unwrap().to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|it| it.strip_prefix("content-length: "))
                .map_or(0, |it| it.parse::<usize>().unwrap());
            if seen.len() >= end + 4 + length {
                return Some(seen.split_off(end + 4 + length));
            }
        }
        if stream.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    }
}

/// Runs a test on a runtime of the kind the gateway uses.
pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        tokio::time::timeout(Duration::from_mins(1), test).await.unwrap();
    });
}

pub(crate) fn pool() -> Pool {
    Pool::new(PoolOptions::default())
}

pub(crate) fn short() -> Deadlines {
    Deadlines { connect: Duration::from_secs(5), first_byte: Duration::from_secs(5) }
}

pub(crate) async fn post(pool: &Pool, target: &Target) -> Result<Incoming, SendError> {
    let outgoing = Outgoing {
        method: Method::POST,
        path: "/chat/completions",
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"{\"model\":\"m\"}"),
    };
    pool.send(target, outgoing, &short()).await
}

pub(crate) async fn read(mut incoming: Incoming) -> Result<Vec<u8>, upstream::BodyError> {
    let mut whole = Vec::new();
    while let Some(piece) = incoming.body.frame().await {
        whole.extend_from_slice(&piece?);
    }
    Ok(whole)
}

pub(crate) fn answer(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
