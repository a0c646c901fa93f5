//! Fetching what a client names: what is followed, what is refused, what is told.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use upstream::{FetchError, FetchOptions, Fetched, Target, fetch, host_of};

use crate::raw::{Server, Then, answer, run, serve};

/// As for hosts that the configuration names, with inner addresses allowed.
async fn get(url: &str, ports: &[u16], room: u64) -> Result<Fetched, FetchError> {
    let may_ask = |target: &Target| ports.contains(&target.port());
    let room = Cell::new(room);
    let options = FetchOptions { may_ask: &may_ask, allow_private_address: true, room: &room };
    fetch(url, &options).await
}

/// As for any host that a client names.
async fn get_public(url: &str) -> Result<Fetched, FetchError> {
    let room = Cell::new(1 << 20);
    let options = FetchOptions { may_ask: &|_| true, allow_private_address: false, room: &room };
    fetch(url, &options).await
}

fn url(server: &Server) -> String {
    format!("http://127.0.0.1:{}/a.png?b=c#d", server.port)
}

fn head(text: &str) -> Vec<u8> {
    format!("HTTP/1.1 {text}\r\n\r\n").into_bytes()
}

#[test]
fn a_file_comes_with_the_type_that_its_server_says() {
    run(async {
        let said = "200 OK\r\ncontent-type: Image/PNG; charset=x\r\ncontent-length: 3\r\n\r\nabc";
        let server = serve(move |_| (format!("HTTP/1.1 {said}").into_bytes(), Then::Keep)).await;
        let got = get(&url(&server), &[server.port], 3).await.unwrap();
        assert_eq!(got, Fetched { media_type: Some("image/png".into()), body: b"abc".to_vec() });
        assert_eq!(get(&url(&server), &[server.port], 2).await, Err(FetchError::TooLarge));
        assert_eq!(get(&url(&server), &[], 3).await, Err(FetchError::NotPermitted));
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn nothing_of_ours_goes_along() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut seen).await.unwrap();
            }
            stream.write_all(&answer("x")).await.unwrap();
            String::from_utf8(seen).unwrap()
        });
        get(&format!("http://127.0.0.1:{port}/a b?c"), &[port], 9).await.unwrap();
        let seen = server.await.unwrap();
        let mut lines: Vec<&str> = seen.trim_end().split("\r\n").collect();
        assert_eq!(lines.remove(0), "GET /a%20b?c HTTP/1.1");
        lines.sort_unstable();
        let host = format!("host: 127.0.0.1:{port}");
        let accept = "accept: image/*, application/pdf, text/*, */*;q=0.1";
        let mut wanted = vec![accept, "accept-encoding: identity", &host, "user-agent: outrigger"];
        if lines.contains(&"content-length: 0") {
            wanted.push("content-length: 0");
        }
        wanted.sort_unstable();
        assert_eq!(lines, wanted);
    });
}

#[test]
fn what_grows_beyond_the_room_is_cut_while_it_comes() {
    run(async {
        let endless = "200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n5\r\nabcde\r\n";
        let server = serve(move |_| (format!("HTTP/1.1 {endless}").into_bytes(), Then::Hold)).await;
        assert_eq!(get(&url(&server), &[server.port], 9).await, Err(FetchError::TooLarge));
    });
}

#[test]
fn what_is_no_whole_plain_file_is_none() {
    run(async {
        for (said, then, why) in [
            (
                "404 Not Found\r\ncontent-length: 0",
                Then::Close,
                FetchError::Status(StatusCode::NOT_FOUND),
            ),
            (
                "206 Partial Content\r\ncontent-length: 0",
                Then::Close,
                FetchError::Status(StatusCode::PARTIAL_CONTENT),
            ),
            ("304 Not Modified", Then::Close, FetchError::Status(StatusCode::NOT_MODIFIED)),
            (
                "200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 0",
                Then::Close,
                FetchError::Coded,
            ),
            ("200 OK\r\ncontent-length: 7", Then::Close, FetchError::Broken),
            ("nonsense", Then::Close, FetchError::Unreachable),
        ] {
            let server = serve(move |_| (head(said), then)).await;
            assert_eq!(get(&url(&server), &[server.port], 9).await, Err(why), "{said}");
        }
    });
}

#[test]
fn three_redirects_are_followed_and_each_is_asked_about() {
    run(async {
        let to = |at: &str| head(&format!("302 Found\r\nlocation: {at}\r\ncontent-length: 0"));
        let server = serve(move |n| match n {
            0..3 => (to(&format!("/{n}")), Then::Close),
            _ => (answer("x"), Then::Close),
        })
        .await;
        assert_eq!(get(&url(&server), &[server.port], 9).await.unwrap().body, b"x");
        assert_eq!(server.connections(), 4);

        let server = serve(move |_| (to("/again"), Then::Close)).await;
        assert_eq!(get(&url(&server), &[server.port], 9).await, Err(FetchError::Redirects));

        let other = serve(|_| (answer("secret"), Then::Close)).await;
        let there = format!("http://127.0.0.1:{}/", other.port);
        for (at, why) in [
            (there.as_str(), FetchError::NotPermitted),
            ("file:///etc/passwd", FetchError::Url("its scheme is neither http nor https")),
            ("gopher://127.0.0.1/", FetchError::Url("its scheme is neither http nor https")),
            ("http://169.254.169.254/latest/meta-data", FetchError::Unreachable),
            ("//[fd00:ec2::254]/", FetchError::Unreachable),
            ("http://u:p@127.0.0.1/", FetchError::Url("it must not hold a user name or password")),
        ] {
            let at = at.to_owned();
            let server = serve(move |_| (to(&at), Then::Close)).await;
            assert_eq!(get(&url(&server), &[server.port], 9).await, Err(why));
        }
        assert_eq!(other.connections(), 0);
    });
}

/// T-X1: no spelling of an inner address is dialled, and none is told apart from one where nobody listens.
#[test]
fn no_spelling_of_an_inner_address_is_dialled() {
    run(async {
        let dialled = Arc::new(AtomicUsize::new(0));
        let v4 = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = v4.local_addr().unwrap().port();
        let mut listeners = vec![v4];
        listeners.extend(TcpListener::bind(("::1", open)).await.ok());
        for listener in listeners {
            let dialled = Arc::clone(&dialled);
            tokio::spawn(async move {
                while listener.accept().await.is_ok() {
                    dialled.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let hosts = [
            "127.0.0.1",
            "127.0.0.2",
            "127.1",
            "2130706433",
            "017700000001",
            "0177.0.0.1",
            "0x7f000001",
            "0x7f.0x0.0x0.0x1",
            "0",
            "0.0.0.0",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fe80::1%25lo]",
            "user@127.0.0.1",
            "u:p@127.0.0.1",
            "example.com@127.0.0.1",
            "127.0.0.1\\@example.com",
            "example.com\\@127.0.0.1",
            "127.0.0.1%00.example.com",
            "127.0.0.1%23.example.com",
            "127\u{3002}0\u{3002}0\u{3002}1",
            "\u{2460}\u{2461}7.0.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "[fd00:ec2::254]",
            "10.0.0.1",
            "192.168.0.1",
            "172.16.0.1",
            "100.64.0.1",
            "224.0.0.1",
        ];
        for host in hosts {
            let mut told = Vec::new();
            for port in [open, closed] {
                for scheme in ["http", "https", "HTTP"] {
                    let error =
                        get_public(&format!("{scheme}://{host}:{port}/")).await.unwrap_err();
                    let plain = matches!(error, FetchError::Unreachable | FetchError::Url(_));
                    assert!(plain, "{scheme}://{host}: {error}");
                    told.push(error.to_string());
                }
            }
            told.dedup();
            assert_eq!(told.len(), 1, "{host}: {told:?}");
            assert!(!told[0].contains("127.") && !told[0].contains("private"), "{told:?}");
        }
        for url in [
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "data:,x",
            "//127.0.0.1/",
            "jar:http://127.0.0.1!/",
        ] {
            assert!(matches!(get_public(url).await, Err(FetchError::Url(_))), "{url}");
        }
        assert_eq!(dialled.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn of_a_url_only_its_host_is_told() {
    assert_eq!(host_of("https://X.example:8443/a?sig=secret").as_deref(), Some("x.example"));
    for url in ["https://u:p@x.example/", "x.example", "https://x\u{7}/", "https:///a"] {
        assert_eq!(host_of(url), None, "{url}");
    }
}
