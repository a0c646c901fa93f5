//! TLS: trust, names, HTTP/2.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::ErrorClass;
use http::{HeaderMap, Method};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use upstream::{Deadlines, Http2, Outgoing, Stage, Target, TargetError, TargetOptions};

use crate::raw::{pool, post, read, run};

struct Authority {
    pem: Vec<u8>,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

fn authority() -> Authority {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Authority { pem: certificate.pem().into_bytes(), issuer: rcgen::Issuer::new(params, key) }
}

impl Authority {
    fn server(&self, name: &str, expired: bool, alpn: &[&[u8]]) -> ServerConfig {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key =
            tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
        config
    }
}

struct Server {
    port: u16,
    handshakes: Arc<AtomicUsize>,
    /// A message for each answer that was let go.
    dropped: mpsc::UnboundedReceiver<()>,
}

/// One piece of data; then the end, or nothing for ever.
struct Answer {
    piece: Option<Bytes>,
    hang: bool,
    dropped: mpsc::UnboundedSender<()>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.dropped.send(()).ok();
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        match self.piece.take() {
            Some(piece) => Poll::Ready(Some(Ok(http_body::Frame::data(piece)))),
            None if self.hang => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

/// Answers `/v1/hang` with a stream that never ends, all else with the HTTP version.
async fn serve(config: ServerConfig) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let handshakes = Arc::new(AtomicUsize::new(0));
    let (tell, dropped) = mpsc::unbounded_channel();
    let count = Arc::clone(&handshakes);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (acceptor, count, tell) = (acceptor.clone(), Arc::clone(&count), tell.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(tcp).await else { return };
                count.fetch_add(1, Ordering::SeqCst);
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let piece = Some(Bytes::from(format!("{:?}", request.version())));
                    let hang = request.uri().path() == "/v1/hang";
                    let answer = Answer { piece, hang, dropped: tell.clone() };
                    async move { Ok::<_, Infallible>(http::Response::new(answer)) }
                });
                let io = TokioIo::new(stream);
                if h2 {
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    builder.serve_connection(io, service).await.ok();
                } else {
                    let builder = hyper::server::conn::http1::Builder::new();
                    builder.serve_connection(io, service).await.ok();
                }
            });
        }
    });
    Server { port, handshakes, dropped }
}

fn target(host: &str, port: u16, ca: &[u8], http2: Http2) -> Target {
    let options = TargetOptions { ca_pem: Some(ca.to_vec()), http2, ..TargetOptions::default() };
    Target::new(&format!("https://{host}:{port}/v1"), &options).unwrap()
}

#[test]
fn a_given_authority_is_trusted_and_http2_is_shared() {
    run(async {
        let authority = authority();
        let server = serve(authority.server("localhost", false, &[b"h2", b"http/1.1"])).await;
        let (pool, target) =
            (pool(), target("localhost", server.port, &authority.pem, Http2::Auto));
        let twenty: Vec<_> = (0..20)
            .map(|_| Box::pin(async { read(post(&pool, &target).await.unwrap()).await.unwrap() }))
            .collect();
        for body in all(twenty).await {
            assert_eq!(body, b"HTTP/2.0");
        }
        assert_eq!(server.handshakes.load(Ordering::SeqCst), 1, "a burst makes one connection");
    });
}

#[test]
fn http1_over_tls_is_reused() {
    run(async {
        let authority = authority();
        for (alpn, http2) in [
            (vec![b"h2".as_slice(), b"http/1.1"], Http2::Never),
            (vec![b"http/1.1".as_slice()], Http2::Auto),
            (vec![], Http2::Auto),
        ] {
            let server = serve(authority.server("localhost", false, &alpn)).await;
            let (pool, target) = (pool(), target("localhost", server.port, &authority.pem, http2));
            for _ in 0..3 {
                let body = read(post(&pool, &target).await.unwrap()).await.unwrap();
                assert_eq!(body, b"HTTP/1.1");
            }
            assert_eq!(server.handshakes.load(Ordering::SeqCst), 1);
        }
    });
}

#[test]
fn certificates_that_prove_nothing_are_refused() {
    run(async {
        let (ours, theirs) = (authority(), authority());
        let cases = [
            ("wrong name", ours.server("other.example", false, &[]), &ours.pem),
            ("expired", ours.server("localhost", true, &[]), &ours.pem),
            ("another authority", theirs.server("localhost", false, &[]), &ours.pem),
        ];
        for (what, config, ca) in cases {
            let server = serve(config).await;
            let target = target("localhost", server.port, ca, Http2::Auto);
            let error = post(&pool(), &target).await.err().unwrap();
            assert_eq!(
                (error.class, error.stage, error.sent),
                (ErrorClass::Unreachable, Stage::Tls, false),
                "{what}"
            );
            assert_eq!(server.handshakes.load(Ordering::SeqCst), 0, "{what}");
        }
        let server = serve(ours.server("localhost", false, &[])).await;
        let system =
            Target::parse(&format!("https://localhost:{}/v1", server.port), false).unwrap();
        assert_eq!(
            post(&pool(), &system).await.err().unwrap().stage,
            Stage::Tls,
            "not a system root"
        );
    });
}

#[test]
fn dropping_an_http2_body_resets_its_stream_only() {
    run(async {
        let authority = authority();
        let mut server = serve(authority.server("localhost", false, &[b"h2"])).await;
        let (pool, target) =
            (pool(), target("localhost", server.port, &authority.pem, Http2::Auto));
        for _ in 0..50 {
            let outgoing = Outgoing {
                method: Method::POST,
                path: "/hang",
                headers: HeaderMap::new(),
                body: Bytes::from_static(b"x"),
            };
            let mut incoming = pool.send(&target, outgoing, &Deadlines::default()).await.unwrap();
            incoming.body.frame().await.unwrap().unwrap();
            let begun = Instant::now();
            drop(incoming);
            server.dropped.recv().await.unwrap();
            assert!(begun.elapsed() < Duration::from_millis(250));
        }
        assert_eq!(read(post(&pool, &target).await.unwrap()).await.unwrap(), b"HTTP/2.0");
        assert_eq!(server.handshakes.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let options = TargetOptions { ca_pem: Some(pem.into()), ..TargetOptions::default() };
        let result = Target::new("https://x.example/v1", &options);
        assert!(matches!(result, Err(TargetError::Ca(_))), "{pem:?}: {result:?}");
    }
}

/// Runs futures side by side, without a crate for it.
async fn all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let Poll::Ready(value) = Pin::new(future).poll(cx)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
