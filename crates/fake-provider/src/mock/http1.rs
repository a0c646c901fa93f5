//! The little of HTTP/1.1 that the mock needs: requests in, with a strict eye; bytes out are made elsewhere.
//! By hand, because half of its answers are ones that no HTTP library would write.

use std::io;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection, plain or in TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Makes the coming close a reset (RST) instead of an orderly end.
    fn arm_reset(&self);
}

impl Stream for tokio::net::TcpStream {
    fn arm_reset(&self) {
        // A failure means that the peer was quicker; then there is nothing left to reset.
        drop(socket2::SockRef::from(self).set_linger(Some(std::time::Duration::ZERO)));
    }
}

const MAX_HEAD: usize = 1 << 20;
const MAX_BODY: usize = 256 << 20;

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    header_list: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A request that came by another way than HTTP/1.1.
    #[cfg(feature = "h2")]
    pub(crate) fn new(
        method: String,
        target: String,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Self {
        Request { method, target, header_list: headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header_list.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.header_list.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or(&self.target)
    }

    pub(crate) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"))
    }
}

/// A connection: the socket and what was read from it but not used.
pub(crate) struct Conn<S> {
    pub(crate) io: S,
    inbox: Vec<u8>,
    /// Bytes written since the last request.
    pub(crate) sent: u64,
}

/// The peer closed or broke the connection.
#[derive(Debug)]
pub(crate) struct Gone;

impl<S: Stream> Conn<S> {
    pub(crate) fn new(io: S) -> Self {
        Conn { io, inbox: Vec::new(), sent: 0 }
    }

    /// The socket and what was read from it but not used.
    pub(crate) fn into_parts(self) -> (S, Vec<u8>) {
        (self.io, self.inbox)
    }

    /// The next request; `None` at a clean end between requests. An error is a request that is no HTTP.
    pub(crate) async fn request(&mut self) -> io::Result<Option<Request>> {
        self.sent = 0;
        let end = loop {
            if let Some(end) = find(&self.inbox, b"\r\n\r\n") {
                break end;
            }
            if self.inbox.len() > MAX_HEAD {
                return Err(bad("request head too large"));
            }
            if self.fill().await? == 0 {
                return if self.inbox.is_empty() { Ok(None) } else { Err(bad("cut request head")) };
            }
        };
        let head: Vec<u8> = self.inbox.drain(..end + 4).collect();
        let mut request = parse_head(head.get(..end).unwrap_or_default())?;
        if request.header("expect").is_some()
            && self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err()
        {
            return Ok(None);
        }
        request.body = self.body(&request).await?;
        Ok(Some(request))
    }

    async fn body(&mut self, request: &Request) -> io::Result<Vec<u8>> {
        match (request.header("transfer-encoding"), request.header("content-length")) {
            (None, None) => Ok(Vec::new()),
            (Some(te), None) if te.eq_ignore_ascii_case("chunked") => self.chunked().await,
            (None, Some(len)) => {
                let all_digits = !len.is_empty() && len.bytes().all(|b| b.is_ascii_digit());
                let len = len
                    .parse()
                    .ok()
                    .filter(|n| all_digits && *n <= MAX_BODY)
                    .ok_or_else(|| bad("content-length"))?;
                self.exactly(len).await
            }
            _ => Err(bad("both lengths, or an unknown transfer coding")),
        }
    }

    async fn exactly(&mut self, len: usize) -> io::Result<Vec<u8>> {
        while self.inbox.len() < len {
            if self.fill().await? == 0 {
                return Err(bad("cut request body"));
            }
        }
        Ok(self.inbox.drain(..len).collect())
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.inbox, b"\r\n") {
                let mut line: Vec<u8> = self.inbox.drain(..end + 2).collect();
                line.truncate(end);
                return Ok(line);
            }
            if self.inbox.len() > MAX_HEAD || self.fill().await? == 0 {
                return Err(bad("cut chunked body"));
            }
        }
    }

    async fn chunked(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            let line = self.line().await?;
            let text = std::str::from_utf8(&line).map_err(|_| bad("chunk size"))?;
            let size = usize::from_str_radix(text, 16).map_err(|_| bad("chunk size"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(out);
            }
            if out.len() + size > MAX_BODY {
                return Err(bad("request body too large"));
            }
            out.extend(self.exactly(size).await?);
            if !self.line().await?.is_empty() {
                return Err(bad("chunk end"));
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let (io, inbox) = (&mut self.io, &mut self.inbox);
        std::future::poll_fn(|cx| {
            let mut space = [0; 16 * 1024];
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut *io).poll_read(cx, &mut buf) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
                Poll::Ready(Ok(())) => {
                    inbox.extend_from_slice(buf.filled());
                    Poll::Ready(Ok(buf.filled().len()))
                }
            }
        })
        .await
    }

    /// Writes all of it, and notices at the same time when the peer leaves.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let mut rest = bytes;
        let Conn { io, inbox, sent } = self;
        std::future::poll_fn(|cx| {
            if peer_left(io, inbox, cx) {
                return Poll::Ready(Err(Gone));
            }
            while !rest.is_empty() {
                match Pin::new(&mut *io).poll_write(cx, rest) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(n)) if n > 0 => {
                        *sent += n as u64;
                        rest = rest.split_at(n).1;
                    }
                    Poll::Ready(_) => return Poll::Ready(Err(Gone)),
                }
            }
            Pin::new(&mut *io).poll_flush(cx).map_err(|_| Gone)
        })
        .await
    }

    /// Waits for `event` unless the peer leaves first.
    pub(crate) async fn until<F: Future>(&mut self, event: F) -> Result<F::Output, Gone> {
        let mut event = std::pin::pin!(event);
        let Conn { io, inbox, .. } = self;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(out) = event.as_mut().poll(cx) {
                return Poll::Ready(Ok(out));
            }
            if peer_left(io, inbox, cx) { Poll::Ready(Err(Gone)) } else { Poll::Pending }
        })
        .await
    }

    /// Waits until the peer leaves.
    pub(crate) async fn forever(&mut self) -> Gone {
        match self.until(std::future::pending::<()>()).await {
            Ok(()) | Err(Gone) => Gone,
        }
    }
}

/// Reads what is there (a pipelined request is kept for later); true when the peer is gone.
fn peer_left<S: Stream>(io: &mut S, inbox: &mut Vec<u8>, cx: &mut std::task::Context<'_>) -> bool {
    while inbox.len() < MAX_HEAD {
        let mut space = [0; 4 * 1024];
        let mut buf = ReadBuf::new(&mut space);
        match Pin::new(&mut *io).poll_read(cx, &mut buf) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                inbox.extend_from_slice(buf.filled());
            }
            Poll::Ready(_) => return true,
        }
    }
    false
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn parse_head(head: &[u8]) -> io::Result<Request> {
    let text = std::str::from_utf8(head).map_err(|_| bad("head is not UTF-8"))?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (first.next(), first.next(), first.next(), first.next())
    else {
        return Err(bad("request line"));
    };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("header line"))?;
        let token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        if !token {
            return Err(bad("header name"));
        }
        headers.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    }
    let hosts = headers.iter().filter(|(n, _)| n == "host").count();
    if hosts != 1 {
        return Err(bad("exactly one host header"));
    }
    Ok(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        header_list: headers,
        body: Vec::new(),
    })
}
