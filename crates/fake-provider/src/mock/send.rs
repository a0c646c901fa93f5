//! Answers onto the wire, with the faults that live there.

use std::time::Duration;

use bytes::Bytes;

use super::behaviour::{Behaviour, Fault};
use super::bomb;
use super::http1::{Conn, Gone, Request, Stream};
use super::serve::{call, headers};
use super::state::Ended;
use crate::ask::Refused;
use crate::demo::{Body, Part, Reply};

/// How an answer went.
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) how: Ended,
    /// The connection can serve another request.
    pub(crate) keep: bool,
}

impl Outcome {
    pub(crate) fn gone(status: u16) -> Self {
        Outcome { status, how: Ended::Cancelled, keep: false }
    }

    fn fault(status: u16) -> Self {
        Outcome { status, how: Ended::Fault, keep: false }
    }
}

/// An error with a status that a test asked for, in the shape of the route's dialect unless a body is given.
pub(crate) fn told_error(request: &Request, status: u16, b: &Behaviour) -> Reply {
    let bedrock = request.path().starts_with("/model/");
    let anthropic = request.path().starts_with("/v1/messages")
        || request.path().contains("/publishers/anthropic/")
        || request.header("anthropic-version").is_some();
    let refused = Refused::new(status, format!("status {status}, as told"));
    let headers = headers(request);
    let call = call(request, &headers);
    let mut reply = if crate::gemini::is_meant(&call) {
        crate::gemini::refuse(&call, &refused)
    } else if bedrock {
        crate::bedrock::error(&refused)
    } else if anthropic {
        crate::anthropic::error(&refused)
    } else if request.path().starts_with(crate::oci::ROOT) {
        crate::oci::error(&refused)
    } else if request.path().starts_with("/v2/") {
        crate::cohere::error(&refused)
    } else {
        crate::openai::error(&refused)
    };
    if let Some(body) = &b.body {
        reply.body = Body::Whole(Bytes::from(body.clone()));
    }
    if let Some(ms) = b.tweak.first_ms {
        let Body::Whole(bytes) = reply.body else { return reply };
        let parts = vec![Part { delay: Duration::from_millis(ms), bytes }];
        reply.body = Body::Timed { parts, cut: false };
    }
    reply
}

/// Faults that only change what the answer says.
pub(crate) fn altered(reply: Reply, b: &Behaviour) -> Reply {
    let with = |kind: &str, body: Bytes| Reply {
        status: 200,
        headers: vec![("content-type", kind.to_owned())],
        body: Body::Whole(body),
    };
    match b.fault {
        Some(Fault::Html200) => {
            with("text/html; charset=utf-8", Bytes::from_static(b"<!doctype html><title>502</title><h1>Bad gateway</h1>"))
        }
        Some(Fault::Error200) => with(
            "application/json",
            Bytes::from_static(b"{\"error\":{\"message\":\"an error under status 200\",\"type\":\"server_error\",\"param\":null,\"code\":null}}"),
        ),
        Some(Fault::Empty200) => with("application/json", Bytes::new()),
        Some(Fault::BadJson) => with("application/json", Bytes::from_static(b"{\"id\":\"x\",\"choices\":[{\"message\":{\"content\":\"cut off")),
        Some(Fault::GzipBomb) => {
            let mut reply = with("application/json", bomb::gzip(1 << 30));
            reply.headers.push(("content-encoding", "gzip".to_owned()));
            reply
        }
        Some(Fault::Redirect) => {
            let mut reply = with("text/plain", Bytes::new());
            reply.status = 307;
            reply.headers.push(("location", "/__mock/trap".to_owned()));
            reply
        }
        _ => reply,
    }
}

/// Writes an answer. `number` becomes its request id.
pub(crate) async fn reply<S: Stream>(
    conn: &mut Conn<S>,
    reply: &Reply,
    b: &Behaviour,
    number: u64,
) -> Outcome {
    match try_reply(conn, reply, b, number).await {
        Ok(outcome) => outcome,
        Err(Gone) => Outcome::gone(reply.status),
    }
}

async fn try_reply<S: Stream>(
    conn: &mut Conn<S>,
    reply: &Reply,
    b: &Behaviour,
    number: u64,
) -> Result<Outcome, Gone> {
    if let Some(outcome) = before_headers(conn, b).await? {
        return Ok(outcome);
    }
    let (parts, cut) = parts_of(reply, b);
    let framing = framing(&parts, cut, reply, b);
    let head = head(reply, b, &framing, number);
    if let Some(first) = parts.first()
        && !first.delay.is_zero()
    {
        conn.until(tokio::time::sleep(first.delay)).await?;
    }
    match b.fault {
        Some(Fault::InfiniteHeaders) => return endless_headers(conn, &head, b).await,
        Some(Fault::StallAfterHeaders) => {
            conn.write(head.as_bytes()).await?;
            return Err(conn.forever().await);
        }
        Some(Fault::RstAfterHeaders) => {
            conn.write(head.as_bytes()).await?;
            conn.io.arm_reset();
            return Ok(Outcome::fault(reply.status));
        }
        _ => {}
    }
    let chunked = matches!(framing, Framing::Chunked);
    if b.coalesce || parts.len() <= 1 && !cut && b.fault.is_none() {
        return together(conn, reply.status, head, &parts, chunked).await;
    }
    conn.write(head.as_bytes()).await?;
    if let Some(outcome) = body(conn, &parts, chunked, b, reply.status).await? {
        return Ok(outcome);
    }
    if cut {
        return Ok(Outcome::fault(reply.status));
    }
    if chunked {
        conn.write(b"0\r\n\r\n").await?;
    }
    ending(conn, reply, b, number).await
}

async fn before_headers<S: Stream>(
    conn: &mut Conn<S>,
    b: &Behaviour,
) -> Result<Option<Outcome>, Gone> {
    match b.fault {
        Some(Fault::Close) => Ok(Some(Outcome::fault(0))),
        Some(Fault::Rst) => {
            conn.io.arm_reset();
            Ok(Some(Outcome::fault(0)))
        }
        Some(Fault::StallBeforeHeaders) => Err(conn.forever().await),
        Some(Fault::Garbage) => {
            conn.write(b"\x16\x03\x01\x02\x00 this is no HTTP\r\n\r\n").await?;
            Ok(Some(Outcome::fault(0)))
        }
        Some(Fault::Flood1xx) => {
            let mut left = b.count;
            loop {
                conn.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n").await?;
                left = left.wrapping_sub(1);
                if left == 0 {
                    return Ok(None);
                }
                tokio::task::yield_now().await;
            }
        }
        _ => Ok(None),
    }
}

async fn endless_headers<S: Stream>(
    conn: &mut Conn<S>,
    head: &str,
    b: &Behaviour,
) -> Result<Outcome, Gone> {
    conn.write(head.trim_end_matches("\r\n").as_bytes()).await?;
    conn.write(b"\r\n").await?;
    let mut n = 0u64;
    while b.count == 0 || n < b.count {
        conn.write(format!("x-filler-{n}: {n:064}\r\n").as_bytes()).await?;
        n += 1;
        tokio::task::yield_now().await;
    }
    Ok(Outcome::fault(200))
}

/// The body's parts, cut to the pieces that were asked for.
fn parts_of(reply: &Reply, b: &Behaviour) -> (Vec<Part>, bool) {
    let (parts, cut) = match &reply.body {
        Body::Whole(bytes) => (vec![Part { delay: Duration::ZERO, bytes: bytes.clone() }], false),
        Body::Timed { parts, cut } => (parts.clone(), *cut),
    };
    let Some(size) = b.split else { return (parts, cut) };
    let mut out = Vec::new();
    for part in parts {
        let mut delay = part.delay;
        for start in (0..part.bytes.len()).step_by(size) {
            let end = (start + size).min(part.bytes.len());
            out.push(Part { delay, bytes: part.bytes.slice(start..end) });
            delay = Duration::ZERO;
        }
    }
    (out, cut)
}

enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

fn framing(parts: &[Part], cut: bool, reply: &Reply, b: &Behaviour) -> Framing {
    let total: usize = parts.iter().map(|p| p.bytes.len()).sum();
    let streamed = reply
        .headers
        .iter()
        .any(|(n, v)| *n == "content-type" && v.starts_with("text/event-stream"));
    match b.fault {
        Some(Fault::LengthTooLong) => Framing::Length(total + 100),
        Some(Fault::LengthTooShort) => Framing::Length(total.saturating_sub(10)),
        Some(Fault::TruncatedChunked) => Framing::Chunked,
        Some(Fault::CloseDelimited) => Framing::UntilClose,
        _ if streamed || cut && parts.len() > 1 => Framing::Chunked,
        _ => Framing::Length(total),
    }
}

fn head(reply: &Reply, b: &Behaviour, framing: &Framing, number: u64) -> String {
    let mut out = String::with_capacity(256);
    let mut line = |text: std::fmt::Arguments<'_>| {
        out.push_str(&text.to_string());
        out.push_str("\r\n");
    };
    line(format_args!("HTTP/1.1 {} {}", reply.status, reason(reply.status)));
    for (name, value) in &reply.headers {
        if !b.headers.iter().any(|(n, _)| n == name) {
            line(format_args!("{name}: {value}"));
        }
    }
    for (name, value) in &b.headers {
        line(format_args!("{name}: {value}"));
    }
    line(format_args!("x-request-id: req_fake{number:08x}"));
    line(format_args!("request-id: req_fake{number:08x}"));
    match framing {
        Framing::Length(n) => line(format_args!("content-length: {n}")),
        Framing::Chunked => line(format_args!("transfer-encoding: chunked")),
        Framing::UntilClose => line(format_args!("connection: close")),
    }
    line(format_args!(""));
    out
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

fn framed(bytes: &[u8], chunked: bool, out: &mut Vec<u8>) {
    if chunked {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
    }
    out.extend_from_slice(bytes);
    if chunked {
        out.extend_from_slice(b"\r\n");
    }
}

/// Head and body in one write.
async fn together<S: Stream>(
    conn: &mut Conn<S>,
    status: u16,
    head: String,
    parts: &[Part],
    chunked: bool,
) -> Result<Outcome, Gone> {
    let mut out = head.into_bytes();
    for part in parts {
        framed(&part.bytes, chunked, &mut out);
    }
    if chunked {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    conn.write(&out).await?;
    Ok(Outcome { status, how: Ended::Done, keep: true })
}

/// Part by part; `Some` when a fault ended it.
async fn body<S: Stream>(
    conn: &mut Conn<S>,
    parts: &[Part],
    chunked: bool,
    b: &Behaviour,
    status: u16,
) -> Result<Option<Outcome>, Gone> {
    let mut before = 0usize;
    let mut buffer = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 && !part.delay.is_zero() {
            conn.until(tokio::time::sleep(part.delay)).await?;
        }
        let here = match b.fault {
            Some(Fault::StallMidEvent) if index == b.at => Some(part.bytes.len() / 2),
            Some(Fault::Cut | Fault::RstAt | Fault::StallAt | Fault::TruncatedChunked) => {
                b.at.checked_sub(before).filter(|n| *n < part.bytes.len())
            }
            _ => None,
        };
        if let Some(keep) = here {
            return strike(conn, part.bytes.slice(..keep), part.bytes.len(), chunked, b, status)
                .await
                .map(Some);
        }
        before += part.bytes.len();
        buffer.clear();
        framed(&part.bytes, chunked, &mut buffer);
        conn.write(&buffer).await?;
    }
    Ok(None)
}

/// Sends the last bytes that come and breaks off as told.
async fn strike<S: Stream>(
    conn: &mut Conn<S>,
    last: Bytes,
    whole: usize,
    chunked: bool,
    b: &Behaviour,
    status: u16,
) -> Result<Outcome, Gone> {
    let mut out = Vec::new();
    if b.fault == Some(Fault::TruncatedChunked) && chunked {
        out.extend_from_slice(format!("{whole:x}\r\n").as_bytes());
        out.extend_from_slice(&last);
    } else if !last.is_empty() {
        framed(&last, chunked, &mut out);
    }
    conn.write(&out).await?;
    match b.fault {
        Some(Fault::StallMidEvent | Fault::StallAt) => return Err(conn.forever().await),
        Some(Fault::RstAt) => conn.io.arm_reset(),
        _ => {}
    }
    Ok(Outcome::fault(status))
}

async fn ending<S: Stream>(
    conn: &mut Conn<S>,
    reply: &Reply,
    b: &Behaviour,
    number: u64,
) -> Result<Outcome, Gone> {
    match b.fault {
        Some(Fault::LengthTooLong | Fault::LengthTooShort) => Ok(Outcome::fault(reply.status)),
        Some(Fault::CloseDelimited) => {
            Ok(Outcome { status: reply.status, how: Ended::Done, keep: false })
        }
        Some(Fault::DoubleAnswer) => {
            let stray = Reply {
                status: 200,
                headers: vec![("content-type", "application/json".to_owned())],
                body: Body::Whole(Bytes::new()),
            };
            let text = "{\"stray\":true}";
            let head = head(&stray, b, &Framing::Length(text.len()), number);
            conn.write(format!("{head}{text}").as_bytes()).await?;
            Ok(Outcome { status: reply.status, how: Ended::Done, keep: true })
        }
        _ => Ok(Outcome { status: reply.status, how: Ended::Done, keep: true }),
    }
}
