//! The listener against raw clients.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::{
    BodyFault, ConnInfo, Gate, LastWords, ListenLimits, Pace, ReqBody, Served, Shutdown, TlsSource,
    accept, bind, intake, read_body, serve,
};
use config::Network;

/// A body that says a few pieces and then ends, hangs, fails or panics.
struct Script {
    pieces: Vec<&'static str>,
    end: End,
    #[expect(dead_code, reason = "held for its drop")]
    dropped: Option<Dropped>,
    polls: Rc<Cell<usize>>,
}

#[derive(Clone, Copy)]
enum End {
    Clean,
    Hang,
    Fail,
    Panic,
}

/// Tells when it is dropped.
struct Dropped(mpsc::UnboundedSender<&'static str>, &'static str);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.send(self.1).ok();
    }
}

impl LastWords for Script {
    fn last_words(&mut self) {
        if matches!(self.end, End::Hang) {
            self.pieces.push("last words");
            self.end = End::Fail;
        }
    }
}

impl http_body::Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, &'static str>>> {
        if !self.pieces.is_empty() {
            self.polls.set(self.polls.get() + 1);
            let piece = Bytes::from_static(self.pieces.remove(0).as_bytes());
            return Poll::Ready(Some(Ok(http_body::Frame::data(piece))));
        }
        match self.end {
            End::Clean => Poll::Ready(None),
            End::Hang => Poll::Pending,
            End::Fail => Poll::Ready(Some(Err("broken"))),
            End::Panic => panic!("planted in a body"),
        }
    }
}

struct Fixture {
    address: SocketAddr,
    gate: Arc<Gate>,
    shutdown: Shutdown,
    served: tokio::task::JoinHandle<Served>,
    dropped: mpsc::UnboundedReceiver<&'static str>,
    handled: Rc<Cell<usize>>,
    polled: Rc<Cell<usize>>,
}

/// One piece of a large answer, and how many there are.
const FLOOD: &str = match std::str::from_utf8(&[b'x'; 64 * 1024]) {
    Ok(text) => text,
    Err(_) => "",
};
const FLOODS: usize = 200;

fn text(words: &'static str) -> Script {
    Script { pieces: vec![words], end: End::Clean, dropped: None, polls: Rc::default() }
}

fn start(limits: ListenLimits, tls: Option<Arc<TlsSource>>) -> Fixture {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (gate, shutdown) = Gate::new(limits, tls);
    let (one, arrivals) = intake();
    let (tell, dropped) = mpsc::unbounded_channel();
    let handled = Rc::new(Cell::new(0));
    let polled = Rc::new(Cell::new(0));
    let (count, polls) = (Rc::clone(&handled), Rc::clone(&polled));
    let handler = Rc::new(move |request: Request<ReqBody>, _info: ConnInfo| {
        count.set(count.get() + 1);
        handle(request, tell.clone(), Rc::clone(&polls))
    });
    tokio::task::spawn_local(accept(listener, vec![one], Arc::clone(&gate)));
    let served = tokio::task::spawn_local(serve(arrivals, Arc::clone(&gate), handler));
    Fixture { address, gate, shutdown, served, dropped, handled, polled }
}

async fn handle(
    request: Request<ReqBody>,
    tell: mpsc::UnboundedSender<&'static str>,
    polls: Rc<Cell<usize>>,
) -> Response<Script> {
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/panic" => panic!("planted in a handler"),
        "/wait" => {
            let _watched = Dropped(tell, "handler");
            std::future::pending().await
        }
        "/hang" => Response::new(Script {
            pieces: vec!["first"],
            end: End::Hang,
            dropped: Some(Dropped(tell, "body")),
            polls,
        }),
        "/fail" => {
            Response::new(Script { pieces: vec!["first"], end: End::Fail, dropped: None, polls })
        }
        "/body-panic" => {
            Response::new(Script { pieces: vec!["first"], end: End::Panic, dropped: None, polls })
        }
        "/flood" => {
            let mut pieces = vec![FLOOD; FLOODS];
            pieces.push("last words");
            Response::new(Script { pieces, end: End::Fail, dropped: None, polls })
        }
        "/endless" => {
            let pieces = vec![FLOOD; 100_000];
            Response::new(Script { pieces, end: End::Clean, dropped: None, polls })
        }
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(150)).await;
            Response::new(text("slow"))
        }
        _ => {
            let pace = Pace { grace: Duration::from_millis(100), bytes_per_second: 1024 };
            let mut response = Response::new(text("ok"));
            match read_body(request.into_body(), 100_000, pace).await {
                Ok(body) => {
                    let length = body.len().to_string().parse().unwrap();
                    response.headers_mut().insert("x-read", length);
                }
                Err(BodyFault::TooLarge) => {
                    *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
                }
                Err(BodyFault::TooSlow) => {
                    *response.status_mut() = http::StatusCode::REQUEST_TIMEOUT;
                }
                Err(BodyFault::Broken) => *response.status_mut() = http::StatusCode::BAD_REQUEST,
            }
            response
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_mins(1), test).await.unwrap();
    });
}

/// Sends bytes and reads until the server closes.
async fn say(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut seen = Vec::new();
    stream.read_to_end(&mut seen).await.ok();
    String::from_utf8(seen).unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn last(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

/// Reads until `needle` has come.
async fn until(stream: &mut TcpStream, needle: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(needle) {
        assert!(
            stream.read_buf(&mut seen).await.unwrap() > 0,
            "{}",
            String::from_utf8_lossy(&seen)
        );
    }
    String::from_utf8(seen).unwrap()
}

#[test]
fn serves_keeps_alive_and_pipelines() {
    run(async {
        let it = start(ListenLimits::default(), None);
        let bytes = format!("{}{}{}", get("/a"), get("/slow"), last("/c"));
        let seen = say(it.address, bytes.as_bytes()).await;
        assert_eq!(seen.matches("HTTP/1.1 200 OK").count(), 3, "{seen}");
        assert_eq!(it.handled.get(), 3);
    });
}

#[test]
fn heads_in_pieces_arrive_whole() {
    run(async {
        let it = start(ListenLimits::default(), None);
        let mut stream = TcpStream::connect(it.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let bytes =
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello{}", last("/x"));
        for byte in bytes.as_bytes() {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut seen = String::new();
        stream.read_to_string(&mut seen).await.unwrap();
        assert!(seen.contains("x-read: 5"), "{seen}");
        assert_eq!(seen.matches("HTTP/1.1 200 OK").count(), 2, "{seen}");
    });
}

#[test]
fn a_refused_head_is_answered_after_what_came_before_and_reaches_no_handler() {
    run(async {
        let it = start(ListenLimits::default(), None);
        for bad in [
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        ] {
            let before = it.handled.get();
            let seen = say(it.address, bad.as_bytes()).await;
            assert!(seen.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{seen}");
            assert!(seen.contains("bad_framing"), "{seen}");
            assert_eq!(it.handled.get(), before);
            let seen = say(it.address, format!("{}{bad}", get("/slow")).as_bytes()).await;
            assert_eq!(it.handled.get(), before + 1);
            let (first, second) = (seen.find("200 OK"), seen.find("400 Bad Request"));
            assert!(first.is_some() && second > first, "{seen}");
        }
    });
}

#[test]
fn every_payload_of_the_table_is_refused_on_the_wire_and_leaves_nothing_behind() {
    run(async {
        let it = start(ListenLimits::default(), None);
        for (headers, status) in super::framing::tests::framing_headers() {
            let payload =
                super::framing::tests::post(&headers, &format!("0\r\n\r\n{}", get("/admin")));
            let seen = say(it.address, &payload).await;
            assert!(seen.starts_with(&format!("HTTP/1.1 {status} ")), "{headers:?} gave {seen}");
            assert_eq!(seen.matches("HTTP/1.1 ").count(), 1, "{headers:?} gave {seen}");
        }
        assert_eq!(it.handled.get(), 0);
    });
}

#[test]
fn the_last_words_of_a_cut_answer_reach_a_slow_reader() {
    run(async {
        let it = start(ListenLimits::default(), None);
        let mut stream = TcpStream::connect(it.address).await.unwrap();
        stream.write_all(get("/flood").as_bytes()).await.unwrap();
        // Nothing is read until the server can't write any more.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut seen = Vec::new();
        stream.read_to_end(&mut seen).await.ok();
        assert!(seen.len() > FLOOD.len() * FLOODS, "{}", seen.len());
        let tail = String::from_utf8_lossy(&seen[seen.len() - 30..]).into_owned();
        assert!(tail.ends_with("A\r\nlast words\r\n"), "{tail:?}");
    });
}

#[test]
fn a_reader_that_does_not_read_stops_the_source() {
    run(async {
        let it = start(ListenLimits::default(), None);
        let mut stream = TcpStream::connect(it.address).await.unwrap();
        socket2::SockRef::from(&stream).set_recv_buffer_size(16 * 1024).unwrap();
        stream.write_all(get("/endless").as_bytes()).await.unwrap();
        let mut before = usize::MAX;
        // The kernel's buffers fill; then the body is not asked any more.
        while before != it.polled.get() {
            before = it.polled.get();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(before > 0 && before * FLOOD.len() < 16 * 1024 * 1024, "{before}");
        until(&mut stream, "x").await;
    });
}

#[test]
fn a_broken_chunk_fails_its_own_request_only() {
    run(async {
        let it = start(ListenLimits::default(), None);
        let seen = say(
            it.address,
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxx\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .await;
        assert!(seen.starts_with("HTTP/1.1 400"), "{seen}");
        assert_eq!(seen.matches("HTTP/1.1").count(), 1, "{seen}");
        assert_eq!(it.handled.get(), 1);
    });
}

#[test]
fn a_panic_costs_its_request_only() {
    run(async {
        let it = start(ListenLimits::default(), None);
        let seen = say(it.address, format!("{}{}", get("/panic"), last("/a")).as_bytes()).await;
        assert!(seen.starts_with("HTTP/1.1 500"), "{seen}");
        assert!(seen.contains("200 OK"), "the connection goes on: {seen}");
        let seen = say(it.address, get("/body-panic").as_bytes()).await;
        assert!(seen.contains("first") && !seen.ends_with("0\r\n\r\n"), "cut, not ended: {seen}");
        assert!(say(it.address, last("/a").as_bytes()).await.contains("200 OK"));
    });
}

#[test]
fn a_failed_body_is_cut_and_never_ends_cleanly() {
    run(async {
        let it = start(ListenLimits::default(), None);
        let seen = say(it.address, get("/fail").as_bytes()).await;
        assert!(seen.contains("5\r\nfirst\r\n") && !seen.ends_with("0\r\n\r\n"), "{seen}");
    });
}

#[test]
fn a_client_that_leaves_is_noticed_at_once() {
    run(async {
        let mut it = start(ListenLimits::default(), None);
        for (path, what) in [("/wait", "handler"), ("/hang", "body")] {
            for reset in [false, true] {
                for _ in 0..25 {
                    let mut stream = TcpStream::connect(it.address).await.unwrap();
                    stream.write_all(get(path).as_bytes()).await.unwrap();
                    if path == "/hang" {
                        until(&mut stream, "first").await;
                    } else {
                        let before = it.handled.get();
                        while it.handled.get() == before && it.gate.connections() == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    if reset {
                        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                    }
                    let begun = Instant::now();
                    drop(stream);
                    if path == "/wait" {
                        // A reset may overtake the request itself; then there is no handler to drop.
                        let told =
                            tokio::time::timeout(Duration::from_millis(250), it.dropped.recv())
                                .await;
                        assert!(reset || told.is_ok_and(|it| it == Some(what)));
                    } else {
                        assert_eq!(it.dropped.recv().await, Some(what));
                        assert!(begun.elapsed() < Duration::from_millis(250));
                    }
                }
            }
        }
    });
}

#[test]
fn large_slow_and_cut_bodies_are_told_apart() {
    run(async {
        let it = start(ListenLimits::default(), None);
        let head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
        let seen =
            say(it.address, format!("{head}Content-Length: 10000000000\r\n\r\nabc").as_bytes())
                .await;
        assert!(seen.starts_with("HTTP/1.1 413"), "{seen}");
        let chunk = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000));
        let seen = say(
            it.address,
            format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(seen.starts_with("HTTP/1.1 413"), "{seen}");
        let seen =
            say(it.address, format!("{head}Content-Length: 5000\r\n\r\nabc").as_bytes()).await;
        assert!(seen.starts_with("HTTP/1.1 408"), "{seen}");
        let seen = say(
            it.address,
            format!("{head}Content-Length: 60000\r\n\r\n{}", "x".repeat(60_000)).as_bytes(),
        )
        .await;
        assert!(seen.contains("x-read: 60000"), "{seen}");
    });
}

#[test]
fn slow_heads_and_idle_connections_are_closed() {
    run(async {
        let limits = ListenLimits {
            header_deadline: Duration::from_millis(100),
            keep_alive_idle: Duration::from_millis(300),
            ..ListenLimits::default()
        };
        let it = start(limits, None);
        for beginning in ["", "G", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
            let begun = Instant::now();
            assert_eq!(say(it.address, beginning.as_bytes()).await, "", "{beginning:?}");
            assert!(begun.elapsed() < Duration::from_millis(290), "{beginning:?}");
        }
        let begun = Instant::now();
        assert!(say(it.address, get("/a").as_bytes()).await.contains("200 OK"));
        let took = begun.elapsed();
        assert!(took > Duration::from_millis(290) && took < Duration::from_secs(2), "{took:?}");
        let begun = Instant::now();
        assert!(
            say(it.address, last("/slow").as_bytes()).await.contains("200 OK"),
            "waiting for us is not idling"
        );
        assert!(begun.elapsed() > Duration::from_millis(140));
    });
}

#[test]
fn an_old_connection_is_asked_to_close() {
    run(async {
        let limits =
            ListenLimits { connection_age: Duration::from_millis(100), ..ListenLimits::default() };
        let it = start(limits, None);
        let seen = say(it.address, get("/slow").as_bytes()).await;
        assert!(seen.contains("200 OK") && seen.contains("connection: close"), "{seen}");
    });
}

#[test]
fn connections_are_limited_per_address_and_in_all() {
    run(async {
        for limits in [
            ListenLimits { connections_per_ip: 3, ..ListenLimits::default() },
            ListenLimits { connections: 3, ..ListenLimits::default() },
        ] {
            let it = start(limits, None);
            let mut held = Vec::new();
            for _ in 0..3 {
                let mut stream = TcpStream::connect(it.address).await.unwrap();
                stream.write_all(get("/a").as_bytes()).await.unwrap();
                until(&mut stream, "ok").await;
                held.push(stream);
            }
            assert_eq!(say(it.address, b"").await, "", "the fourth is closed at once");
            assert_eq!((it.gate.connections(), it.gate.turned_away()), (3, 1));
            drop(held);
            while it.gate.connections() > 0 {
                tokio::task::yield_now().await;
            }
            assert!(say(it.address, last("/a").as_bytes()).await.contains("200 OK"));
        }
    });
}

#[test]
fn a_trusted_proxy_is_not_held_to_the_limit_of_one_address() {
    run(async {
        let network = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
        let one = ListenLimits { connections_per_ip: 1, ..ListenLimits::default() };
        for (proxies, served) in [
            (vec![network("10.0.0.0", 8)], false),
            (vec![network("10.0.0.0", 8), network("127.0.0.0", 8)], true),
        ] {
            let it = start(ListenLimits { proxies, ..one.clone() }, None);
            let mut first = TcpStream::connect(it.address).await.unwrap();
            first.write_all(get("/a").as_bytes()).await.unwrap();
            until(&mut first, "ok").await;
            let second = say(it.address, last("/a").as_bytes()).await;
            assert_eq!(second.contains("200 OK"), served, "{second}");
        }
    });
}

#[test]
fn draining_finishes_what_runs_and_cuts_what_does_not_end() {
    run(async {
        let it = start(ListenLimits::default(), None);
        let mut idle = TcpStream::connect(it.address).await.unwrap();
        idle.write_all(get("/a").as_bytes()).await.unwrap();
        until(&mut idle, "ok").await;
        let mut slow = TcpStream::connect(it.address).await.unwrap();
        slow.write_all(get("/slow").as_bytes()).await.unwrap();
        let mut stuck = TcpStream::connect(it.address).await.unwrap();
        stuck.write_all(get("/hang").as_bytes()).await.unwrap();
        until(&mut stuck, "first").await;
        while it.handled.get() < 3 {
            tokio::task::yield_now().await;
        }
        it.shutdown.drain(Duration::from_millis(400));
        let begun = Instant::now();
        assert_eq!(
            idle.read_buf(&mut Vec::new()).await.unwrap(),
            0,
            "the idle one is closed at once"
        );
        assert!(begun.elapsed() < Duration::from_millis(100));
        let mut rest = String::new();
        slow.read_to_string(&mut rest).await.unwrap();
        assert!(rest.contains("200 OK") && rest.contains("connection: close"), "{rest}");
        let served = it.served.await.unwrap();
        assert_eq!(served, Served { cut: 1, requests: 3 });
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(TcpStream::connect(it.address).await.is_err(), "nobody listens any more");
    });
}

async fn h2_client(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, driver) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(driver);
    sender
}

fn h2_request(uri: &str) -> Request<Full<Bytes>> {
    Request::builder().method("POST").uri(uri).body(Full::from("hello")).unwrap()
}

#[test]
fn http2_with_prior_knowledge_is_served_checked_and_cancelled() {
    run(async {
        let mut it = start(ListenLimits::default(), None);
        let mut client = h2_client(it.address).await;
        let response = client.send_request(h2_request("http://a/x")).await.unwrap();
        assert_eq!(response.headers()["x-read"], "5");
        let mut two_hosts = h2_request("http://a/x");
        two_hosts.headers_mut().insert("host", "b".parse().unwrap());
        assert_eq!(client.send_request(two_hosts).await.unwrap().status(), 400);
        assert_eq!(client.send_request(h2_request("http://a/panic")).await.unwrap().status(), 500);

        let response = client.send_request(h2_request("http://a/hang")).await.unwrap();
        drop(response);
        assert_eq!(it.dropped.recv().await, Some("body"));
        let waiting = client.send_request(h2_request("http://a/wait"));
        tokio::time::timeout(Duration::from_millis(50), waiting).await.unwrap_err();
        assert_eq!(it.dropped.recv().await, Some("handler"));
        let slow = client.send_request(h2_request("http://a/slow"));
        let slow = tokio::task::spawn_local(slow);
        while it.handled.get() < 5 {
            tokio::task::yield_now().await;
        }
        it.shutdown.drain(Duration::from_secs(5));
        assert_eq!(slow.await.unwrap().unwrap().status(), 200, "GOAWAY lets it finish");
        assert_eq!(it.served.await.unwrap().cut, 0);
    });
}

fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

async fn handshake(
    address: SocketAddr,
    trusted: &str,
    alpn: &[u8],
) -> std::io::Result<(String, Option<Vec<u8>>)> {
    use rustls_pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls_pki_types::CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let tcp = TcpStream::connect(address).await?;
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    let mut seen = Vec::new();
    if alpn == b"http/1.1" {
        stream.write_all(last("/a").as_bytes()).await?;
        stream.read_to_end(&mut seen).await.ok();
    }
    Ok((String::from_utf8_lossy(&seen).into_owned(), chosen))
}

#[test]
fn certificates_are_replaced_while_running() {
    run(async {
        let (first, first_key) = certificate();
        let source = TlsSource::from_pem(first.as_bytes(), first_key.as_bytes()).unwrap();
        let it = start(ListenLimits::default(), Some(Arc::clone(&source)));
        let (seen, _) = handshake(it.address, &first, b"http/1.1").await.unwrap();
        assert!(seen.contains("200 OK"), "{seen}");
        let (_, chosen) = handshake(it.address, &first, b"h2").await.unwrap();
        assert_eq!(chosen.as_deref(), Some(b"h2".as_slice()));

        let (second, second_key) = certificate();
        source.replace(second.as_bytes(), first_key.as_bytes()).unwrap_err();
        source.replace(b"", b"").unwrap_err();
        handshake(it.address, &first, b"http/1.1").await.unwrap();
        source.replace(second.as_bytes(), second_key.as_bytes()).unwrap();
        handshake(it.address, &first, b"http/1.1").await.unwrap_err();
        handshake(it.address, &second, b"http/1.1").await.unwrap();
        assert_eq!(
            say(it.address, get("/a").as_bytes()).await.find("HTTP/1.1"),
            None,
            "no plain text on a TLS port"
        );
    });
}
