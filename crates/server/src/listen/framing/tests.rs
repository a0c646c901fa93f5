//! The table of payloads: each is refused, or is exactly one request, however its bytes are cut.

use proptest::prelude::*;

use super::{Fed, Framer, HeadLimits, Violation, host_ok};

fn framer() -> Framer {
    Framer::new(HeadLimits { fields: 64, bytes: 32 * 1024, target: 8 * 1024 })
}

/// How a payload fares: requests, bytes released, and the violation.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    requests: u64,
    released: usize,
    refused: Option<(u16, &'static str)>,
    at_boundary: bool,
}

fn feed(payload: &[u8], piece: usize) -> Outcome {
    let mut framer = framer();
    let mut fed = 0;
    let mut released = 0;
    let mut refused = None;
    for piece in payload.chunks(piece) {
        match framer.feed(piece) {
            Ok(Fed { release }) => {
                if release > 0 {
                    released = fed + release;
                }
            }
            Err(Violation { status, reason, release, .. }) => {
                if release > 0 {
                    released = fed + release;
                }
                refused = Some((status, reason));
                break;
            }
        }
        fed += piece.len();
    }
    let at_boundary = refused.is_none() && framer.at_boundary();
    Outcome { requests: framer.requests(), released, refused, at_boundary }
}

fn is_refused(name: &str, payload: &[u8], status: u16) {
    let shown = String::from_utf8_lossy(payload);
    let shown: String = shown.chars().take(300).collect();
    let whole = feed(payload, payload.len());
    assert_eq!(whole.refused.map(|it| it.0), Some(status), "{name}: {shown:?} gave {whole:?}");
    for piece in [1, 2, 3, 7] {
        let cut = feed(payload, piece);
        assert_eq!(
            cut.refused.map(|it| it.0),
            Some(status),
            "{name} by {piece}: {shown:?} gave {cut:?}"
        );
        assert_eq!(cut.requests, whole.requests, "{name} by {piece}");
    }
}

fn is_one(name: &str, payload: &[u8]) {
    let shown = String::from_utf8_lossy(payload);
    let expected =
        Outcome { requests: 1, released: payload.len(), refused: None, at_boundary: true };
    for piece in [payload.len(), 1, 2, 3, 7, 64] {
        assert_eq!(feed(payload, piece), expected, "{name} by {piece}: {shown:?}");
    }
}

pub(in super::super) fn post(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /v1/messages HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n{body}").into_bytes()
}

const SMUGGLED: &str = "GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// Header blocks that make the end of a message doubtful, with the answer.
pub(in super::super) fn framing_headers() -> Vec<(String, u16)> {
    let mut all = Vec::new();
    let lengths = [
        "+5",
        "-5",
        " +5",
        "0x5",
        "0X5",
        "5_0",
        "1_0",
        "5, 5",
        "5,5",
        "5,",
        ",5",
        "5 5",
        "5;",
        "5.0",
        "5e0",
        "05",
        "005",
        "00",
        "٥",
        "",
        " ",
        "\t",
        "five",
        "5 \x0b",
        "\x0c5",
        "5\x00",
        "\"5\"",
        "9999999999999999999",
        "18446744073709551616",
        "99999999999999999999999999",
        "0b101",
        "5L",
        "5\u{a0}",
        "NaN",
        "inf",
        "5 chunked",
    ];
    all.extend(lengths.map(|it| (format!("Content-Length: {it}\r\n"), 400)));
    let encodings = [
        "Chunked",
        "CHUNKED",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, identity",
        "chunked, gzip",
        "xchunked",
        "chunkedx",
        "x chunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunked\x0b",
        "\x0bchunked",
        "chunked\x00",
        "chun\tked",
        "chunked chunked",
        "cow",
        "deflate",
        "",
        " ",
        "chunked\u{a0}",
        "'chunked'",
        "chunke",
        "compress, chunked",
        "trailers",
        "chunked\x7f",
    ];
    all.extend(encodings.map(|it| (format!("Transfer-Encoding: {it}\r\n"), 400)));
    let pairs = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\ncontent-length: 0\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: x\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer_Encoding: chunked\r\n",
        "Transfer_Encoding: chunked\r\n",
        "Content_Length: 5\r\n",
        "transfer_encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n",
        "Content-Length : 5\r\n",
        "Content-Length\t: 5\r\n",
        "Content-Length\x0b: 5\r\n",
        "Content-Length\x00: 5\r\n",
        "Content-Length 5\r\n",
        " Content-Length: 5\r\n",
        "\tContent-Length: 5\r\n",
        "X: y\r\n Content-Length: 5\r\n",
        "X: y\r\n\tTransfer-Encoding: chunked\r\n",
        "X: y\r\n \r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Content-Length:\r\n 5\r\n",
        "Content-\r\nLength: 5\r\n",
        ": 5\r\n",
        ":\r\n",
        "Content-Length: 5\n",
        "X: y\nContent-Length: 5\r\n",
        "X: y\rContent-Length: 5\r\n",
        "X: y\r\rContent-Length: 5\r\n",
        "X: y\n\r\n",
        "X: y\r\n\n",
        "X: y\r\r\n",
        "\n",
        "\r\r\n",
        "(Content-Length): 5\r\n",
        "\"Content-Length\": 5\r\n",
        "Content Length: 5\r\n",
        "Content-Length\u{a0}: 5\r\n",
        "C\u{f6}ntent-Length: 5\r\n",
        "Host: a.example\r\n",
        "Host: b.example\r\n",
        "host: a.example\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings\r\n",
        "Connection: Content-Length\r\nContent-Length: 5\r\n",
        "Connection: close, Host\r\n",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
        "Connection: keep-alive, authorization\r\n",
        "Connection: x-api-key\r\n",
        "Connection: a b\r\n",
    ];
    all.extend(pairs.map(|it| (it.to_owned(), 400)));
    let expectations = ["101-switching", "200-ok", "100-continue, x", "", "100"];
    all.extend(expectations.map(|it| (format!("Expect: {it}\r\n"), 417)));
    all
}

/// A WebSocket is asked for so, and in no other way.
#[test]
fn only_a_bare_get_may_ask_for_a_websocket() {
    let get = |headers: &str| {
        format!("GET /v1/realtime HTTP/1.1\r\nHost: a.example\r\n{headers}\r\n").into_bytes()
    };
    for headers in [
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "Connection: keep-alive, upgrade\r\nupgrade: WebSocket\r\nSec-WebSocket-Key: x\r\n",
    ] {
        is_one(headers, &get(headers));
    }
    for headers in [
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Upgrade: h2c\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade, Host\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nTransfer-Encoding: chunked\r\n",
    ] {
        is_refused(headers, &get(headers), 400);
    }
    let old = b"GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    is_refused("HTTP/1.0", old, 400);
}

#[test]
fn doubtful_framing_is_refused() {
    let table = framing_headers();
    for (headers, status) in &table {
        is_refused("headers", &post(headers, &format!("0\r\n\r\n{SMUGGLED}")), *status);
    }
    assert!(table.len() > 110, "{}", table.len());
}

#[test]
fn control_bytes_are_refused_everywhere() {
    let mut count = 0;
    for byte in (0..=0x1f_u8).chain([0x7f]) {
        if !matches!(byte, b'\t' | b'\n' | b'\r') {
            let mut value = b"GET / HTTP/1.1\r\nHost: a\r\nX: a".to_vec();
            value.push(byte);
            value.extend_from_slice(b"b\r\n\r\n");
            is_refused("value", &value, 400);
            count += 1;
        }
        for (before, after) in [
            ("GET /", "x HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("G", "ET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX", "Y: a\r\n\r\n"),
        ] {
            let payload = [before.as_bytes(), &[byte], after.as_bytes()].concat();
            is_refused("elsewhere", &payload, 400);
            count += 1;
        }
    }
    assert!(count > 120, "{count}");
}

#[test]
fn malformed_request_lines_are_refused() {
    for (line, status) in [
        ("", 400),
        (" ", 400),
        ("GET", 400),
        ("GET /", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        (" GET / HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        ("GET\t/ HTTP/1.1", 400),
        ("GET /\tHTTP/1.1", 400),
        ("GET / x HTTP/1.1", 400),
        ("get / HTTP/1.1", 400),
        ("Get / HTTP/1.1", 400),
        ("GE(T / HTTP/1.1", 400),
        ("G\"T / HTTP/1.1", 400),
        ("ABCDEFGHIJKLMNOPQ / HTTP/1.1", 400),
        ("CONNECT a.example:443 HTTP/1.1", 400),
        ("TRACE / HTTP/1.1", 400),
        ("PRI * HTTP/2.0", 505),
        ("OPTIONS * HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET a.example HTTP/1.1", 400),
        ("GET a.example:80 HTTP/1.1", 400),
        ("GET ?x HTTP/1.1", 400),
        ("GET #x HTTP/1.1", 400),
        ("GET /#x HTTP/1.1", 400),
        ("GET \\ HTTP/1.1", 400),
        ("GET http:/a.example/ HTTP/1.1", 400),
        ("GET http://a.example HTTP/1.1", 400),
        ("GET http:///x HTTP/1.1", 400),
        ("GET http://b.example/ HTTP/1.1", 400),
        ("GET http://a.example:81/ HTTP/1.1", 400),
        ("GET http://u@a.example/ HTTP/1.1", 400),
        ("GET http://a.example@b.example/ HTTP/1.1", 400),
        ("GET http://a.example?x/ HTTP/1.1", 400),
        ("GET ftp://a.example/ HTTP/1.1", 400),
        ("GET HTTP://a.example/ HTTP/1.1", 400),
        ("GET //a.example/\u{fc} HTTP/1.1", 400),
        ("GET /\u{2028} HTTP/1.1", 400),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/0.9", 505),
        ("GET / HTTP/1.10", 505),
        ("GET / HTTP/1.1x", 505),
        ("GET / HTTP/11", 505),
        ("GET / http/1.1", 400),
        ("GET / HTTPS/1.1", 400),
        ("GET / ICY/1.1", 400),
    ] {
        is_refused("request line", format!("{line}\r\nHost: a.example\r\n\r\n").as_bytes(), status);
    }
    is_refused("bare LF", b"GET / HTTP/1.1\nHost: a.example\n\n", 400);
    is_refused("leading CRLF", b"\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 400);
    is_refused("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400);
}

#[test]
fn hosts_that_could_be_read_two_ways_are_refused() {
    for host in [
        "",
        " ",
        "a@b",
        "user:pass@a",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "a b",
        "a,b",
        "a;b",
        "a:b",
        "a:",
        "a:99999",
        "a:-1",
        "a:+1",
        "a:1:2",
        ":80",
        "[::1",
        "::1",
        "[::1]x",
        "[::g]",
        "[]",
        "[::1]:",
        "[127.0.0.1]",
        "a%2eb",
        "a%00",
        "\u{fc}.example",
        "a\"",
        "<a>",
        "foo?",
        "foo/../",
        "foo#",
        "*",
        "a$",
        "a&b",
        "http://a",
    ] {
        is_refused("host", format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes(), 400);
    }
    is_refused("no host", b"GET / HTTP/1.1\r\n\r\n", 400);
    is_refused("no host", b"GET http://a.example/ HTTP/1.1\r\n\r\n", 400);
    for host in [
        "a",
        "a.example",
        "A.example:80",
        "127.0.0.1",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:80",
        "x_y-z.",
    ] {
        is_one("host", format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert!(host_ok(host.as_bytes()));
    }
}

#[test]
fn malformed_chunks_are_refused() {
    let long = "x".repeat(257);
    let many =
        "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(80);
    let trailers = "0\r\n".to_owned() + &"a: b\r\n".repeat(17) + "\r\n";
    let long_trailer = format!("0\r\na: {}\r\n\r\n", "x".repeat(5_000));
    let bodies = [
        "\r\n",
        "x\r\n",
        " 5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "5\t\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "-5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5_\r\nhello\r\n",
        "5\nhello\r\n",
        "5\rhello\r\n",
        "5\r\r\nhello\r\n",
        "5\r\nhello\n",
        "5\r\nhelloX\r\n",
        "5\r\nhello\r\r\n",
        "5\r\nhell\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "123456789\r\n",
        "ffffffffffffffff\r\n",
        "100000000000000005\r\nhello\r\n",
        "5;a\nb\r\nhello\r\n",
        "5;a\x00b\r\nhello\r\n",
        "5;\u{fc}\r\nhello\r\n",
        "5,a\r\nhello\r\n",
        "5 ;a\r\nhello\r\n",
        "0\n\n",
        "0\r\n\n",
        "0\r\n\rX",
        "0\r\n \r\n",
        "0\r\na\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\na : b\r\n\r\n",
        "0\r\n a: b\r\n\r\n",
        "0\r\na: b\n\r\n",
        "0\r\na: \x00\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\nhost: b\r\n\r\n",
        "0\r\nauthorization: b\r\n\r\n",
        &trailers,
        &long_trailer,
        &many,
    ];
    for body in bodies {
        is_refused("chunks", &post("Transfer-Encoding: chunked\r\n", body), 400);
    }
    is_refused(
        "extension",
        &post("Transfer-Encoding: chunked\r\n", &format!("5;{long}\r\nhello\r\n")),
        400,
    );
}

#[test]
fn oversized_heads_are_refused() {
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9_000));
    is_refused("target", target.as_bytes(), 414);
    is_refused("endless target", format!("GET /{}", "x".repeat(40_000)).as_bytes(), 414);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(64));
    is_refused("65 fields", many.as_bytes(), 431);
    let fat = format!("GET / HTTP/1.1\r\nHost: a\r\na: {}\r\n\r\n", "x".repeat(33_000));
    is_refused("33 KB", fat.as_bytes(), 431);
    is_refused(
        "endless field",
        format!("GET / HTTP/1.1\r\nHost: a\r\na: {}", "x".repeat(33_000)).as_bytes(),
        431,
    );
}

#[test]
fn sound_requests_are_exactly_one() {
    let full = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(63));
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(8_000));
    for payload in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",
        "GET /a?b=c&d=%20 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a.example:80/x HTTP/1.1\r\nHost: A.example:80\r\n\r\n",
        "GET http://a.example/x HTTP/1.1\r\nX: y\r\nHost: a.example\r\n\r\n",
        "HEAD / HTTP/1.1\r\nhost:a\r\n\r\n",
        "OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "DELETE /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        "GET / HTTP/1.1\r\nHost: a\r\nEmpty:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{fc}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nx_y: z\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, TE\r\nTE: trailers\r\n\r\n",
        &full,
        &long,
    ] {
        is_one("sound", payload.as_bytes());
    }
    for (headers, body) in [
        ("Content-Length: 5\r\n", "hello"),
        ("content-length:5\r\n", "hello"),
        ("Content-Length: \t5 \r\n", "hello"),
        ("Content-Length: 40\r\n", "GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        ("Expect: 100-continue\r\nContent-Length: 1\r\n", "x"),
        ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: \tchunked \r\n", "0\r\n\r\n"),
        ("transfer-encoding:chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "00000005\r\nhello\r\n00\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "A\r\n0\r\n\r\nGET /\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "1\r\n\r\r\n1\r\n\n\r\n0\r\nx-sum: 1\r\n\r\n"),
    ] {
        is_one("body", &post(headers, body));
    }
}

#[test]
fn what_follows_a_sound_request_is_judged_by_itself() {
    let sound = post("Content-Length: 5\r\n", "hello");
    let two = [sound.as_slice(), SMUGGLED.as_bytes()].concat();
    assert_eq!(feed(&two, two.len()).requests, 2, "pipelining is fine: it is seen");
    for piece in [1, 5, 4096] {
        let bad =
            [sound.as_slice(), b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"].concat();
        let outcome = feed(&bad, piece);
        assert_eq!((outcome.requests, outcome.released), (1, sound.len()), "only the first passes");
        assert_eq!(outcome.refused.map(|it| it.0), Some(400));
    }
    let mut framer = framer();
    framer.feed(b"G").unwrap();
    assert!(framer.in_head() && !framer.at_boundary());
    framer.feed(b"\0").unwrap_err();
    assert_eq!(
        framer.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap_err().release,
        0,
        "once refused, always"
    );
}

proptest! {
    /// However a stream is cut, the verdict is the same; and nothing panics.
    #[test]
    fn cuts_do_not_matter(
        parts in prop::collection::vec(prop::sample::select(vec![
            "GET / HTTP/1.1\r\n", "POST /v1/messages HTTP/1.1\r\n", "Host: a\r\n", "\r\n", "Content-Length: 5\r\n",
            "hello", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n", "0\r\n\r\n", "\n", "\r", " ", "X: y\r\n",
            ": ", "chunked", "0", ";", "\0", "HTTP/1.0\r\n",
        ]), 0..12),
        piece in 1_usize..40,
    ) {
        let payload = parts.concat().into_bytes();
        prop_assume!(!payload.is_empty());
        let whole = feed(&payload, payload.len());
        let cut = feed(&payload, piece);
        prop_assert_eq!(whole.refused.is_some(), cut.refused.is_some());
        prop_assert_eq!(whole.requests, cut.requests);
        prop_assert_eq!(whole.released, cut.released);
    }

    /// Arbitrary bytes are never more than refused.
    #[test]
    fn noise_is_survived(bytes in prop::collection::vec(any::<u8>(), 1..400), piece in 1_usize..40) {
        let whole = feed(&bytes, bytes.len());
        prop_assert_eq!(whole.requests, feed(&bytes, piece).requests);
    }
}
