//! What providers send that they should not, and what we send.

use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::ErrorClass;
use http::{HeaderMap, HeaderValue, Method};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use upstream::{Deadlines, Outgoing, Stage, Target};

use crate::raw::{Then, answer, pool, post, read, run, serve};

#[test]
fn broken_heads_are_bad_responses() {
    let heads: &[&[u8]] = &[
        b"<html>hello</html>\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/3.7 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"",
    ];
    run(async move {
        for head in heads {
            let server = serve(move |_| (head.to_vec(), Then::Close)).await;
            let error = post(&pool(), &server.target()).await.err();
            let shown = String::from_utf8_lossy(head);
            let error = error.unwrap_or_else(|| panic!("accepted {shown:?}"));
            assert_eq!((error.class, error.sent), (ErrorClass::BadResponse, true), "{shown:?}");
        }
    });
}

#[test]
fn broken_bodies_are_bad_responses_after_what_was_whole() {
    let answers: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0x2\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nfffffffffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    ];
    run(async move {
        for bytes in answers {
            let server = serve(move |_| (bytes.to_vec(), Then::Close)).await;
            let pool = pool();
            let mut incoming = post(&pool, &server.target()).await.unwrap();
            let shown = String::from_utf8_lossy(bytes);
            let mut seen = Vec::new();
            let error = loop {
                match incoming.body.frame().await {
                    Some(Ok(piece)) => seen.extend_from_slice(&piece),
                    Some(Err(error)) => break error,
                    None => panic!("took {shown:?} for whole"),
                }
            };
            assert_eq!(
                (error.class, &seen[..]),
                (ErrorClass::BadResponse, b"hello".as_slice()),
                "{shown:?}"
            );
            assert!(!incoming.body.is_done(), "{shown:?}");
            assert!(incoming.body.frame().await.is_none(), "nothing after the error");
            assert_eq!(pool.connections(), 0);
        }
    });
}

#[test]
fn an_answer_without_length_ends_with_the_connection() {
    run(async {
        let server = serve(|_| (b"HTTP/1.1 200 OK\r\n\r\nall of it".to_vec(), Then::Close)).await;
        let pool = pool();
        assert_eq!(read(post(&pool, &server.target()).await.unwrap()).await.unwrap(), b"all of it");
        assert_eq!(pool.connections(), 0);
    });
}

#[test]
fn informational_answers_are_passed_over_but_not_for_ever() {
    run(async {
        let few = [
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".as_slice(),
            &answer("x"),
        ]
        .concat();
        let server = serve(move |_| (few.clone(), Then::Keep)).await;
        assert_eq!(read(post(&pool(), &server.target()).await.unwrap()).await.unwrap(), b"x");

        let flood = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".repeat(20_000);
        let server = serve(move |_| (flood.clone(), Then::Hold)).await;
        let error = post(&pool(), &server.target()).await.err().unwrap();
        assert_eq!(error.class, ErrorClass::BadResponse);
    });
}

#[test]
fn endless_headers_are_cut_off() {
    run(async {
        let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        bytes.extend_from_slice(&b"x-filler: 0123456789abcdef0123456789abcdef\r\n".repeat(5_000));
        let server = serve(move |_| (bytes.clone(), Then::Hold)).await;
        let error = post(&pool(), &server.target()).await.err().unwrap();
        assert_eq!(error.class, ErrorClass::BadResponse);
    });
}

#[test]
fn redirects_are_answers_and_are_not_followed() {
    run(async {
        let other = serve(|_| (answer("secret"), Then::Keep)).await;
        let location = format!(
            "HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n",
            other.port
        );
        let server = serve(move |_| (location.clone().into_bytes(), Then::Keep)).await;
        assert_eq!(post(&pool(), &server.target()).await.unwrap().status, 307);
        assert_eq!(other.connections(), 0);
    });
}

#[test]
fn silence_before_the_head_is_a_timeout() {
    run(async {
        let mut server = serve(|_| (b"HTTP/1.1 200".to_vec(), Then::Hold)).await;
        let outgoing = Outgoing {
            method: Method::GET,
            path: "/models",
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let limits = Deadlines { first_byte: Duration::from_millis(100), ..Deadlines::default() };
        let begun = Instant::now();
        let error = pool().send(&server.target(), outgoing, &limits).await.err().unwrap();
        assert_eq!(
            (error.class, error.stage, error.sent),
            (ErrorClass::Timeout, Stage::FirstByte, true)
        );
        assert!(begun.elapsed() < Duration::from_secs(2));
        server.closed.recv().await.unwrap();
    });
}

#[test]
fn a_closed_port_is_unreachable_and_nothing_was_sent() {
    run(async {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let target = Target::parse(&format!("http://127.0.0.1:{port}"), false).unwrap();
        let error = post(&pool(), &target).await.err().unwrap();
        assert_eq!(
            (error.class, error.stage, error.sent),
            (ErrorClass::Unreachable, Stage::Connect, false)
        );
    });
}

#[test]
fn a_name_that_does_not_exist_is_unreachable() {
    run(async {
        let target = Target::parse("http://no-such-host.invalid/v1", false).unwrap();
        let error = post(&pool(), &target).await.err().unwrap();
        assert_eq!((error.class, error.sent), (ErrorClass::Unreachable, false));
        assert!(error.message.contains("no-such-host.invalid"), "{}", error.message);
    });
}

#[test]
fn a_coded_answer_is_told_apart() {
    run(async {
        let server = serve(|_| {
            (
                b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx".to_vec(),
                Then::Keep,
            )
        })
        .await;
        assert_eq!(post(&pool(), &server.target()).await.unwrap().content_coding(), Some("gzip"));
        let server = serve(|_| {
            (
                b"HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 1\r\n\r\nx"
                    .to_vec(),
                Then::Keep,
            )
        })
        .await;
        assert_eq!(post(&pool(), &server.target()).await.unwrap().content_coding(), None);
    });
}

#[test]
fn the_request_on_the_wire_has_our_framing() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"BODY") {
                stream.read_buf(&mut seen).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            String::from_utf8(seen).unwrap()
        });
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer k"));
        headers.insert("host", HeaderValue::from_static("evil.example"));
        headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
        headers.insert("content-length", HeaderValue::from_static("999"));
        headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        let outgoing = Outgoing {
            method: Method::POST,
            path: "/messages?beta=true",
            headers,
            body: Bytes::from_static(b"BODY"),
        };
        let target = Target::parse(&format!("http://127.0.0.1:{port}/v1/"), false).unwrap();
        pool().send(&target, outgoing, &Deadlines::default()).await.unwrap();
        let seen = server.await.unwrap();
        let mut lines: Vec<_> = seen.split("\r\n").collect();
        lines[1..].sort_unstable();
        let mut expected = vec![
            "POST /v1/messages?beta=true HTTP/1.1".to_owned(),
            "accept-encoding: identity".to_owned(),
            "authorization: Bearer k".to_owned(),
            "content-length: 4".to_owned(),
            format!("host: 127.0.0.1:{port}"),
            "BODY".to_owned(),
            String::new(),
        ];
        expected[1..].sort_unstable();
        assert_eq!(lines, expected);
    });
}
