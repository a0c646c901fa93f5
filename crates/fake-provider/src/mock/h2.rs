//! HTTP/2 for the mock: the same answers, journal and rules; of the faults those that a stream can have.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::behaviour::{Behaviour, Facts, Fault};
use super::http1::Request;
use super::send;
use super::serve::{Server, call, headers, presented, told};
use super::state::{Ended, Shared};
use crate::demo::{Body, Part, Reply};

/// Whether a plain connection begins as HTTP/2 does.
pub(super) async fn is_spoken(stream: &TcpStream) -> bool {
    let mut first = [0; 4];
    loop {
        match stream.peek(&mut first).await {
            Ok(n)
                if n < first.len()
                    && n > 0
                    && b"PRI ".starts_with(first.get(..n).unwrap_or_default()) =>
            {
                tokio::task::yield_now().await;
            }
            Ok(_) => return &first == b"PRI ",
            Err(_) => return false,
        }
    }
}

#[derive(Clone)]
struct Local;

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, task: F) {
        // The handle is not needed: the connection's end ends its tasks.
        drop(tokio::task::spawn_local(async move { drop(task.await) }));
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    server: Rc<Server>,
    number: u64,
    io: S,
) {
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { answer(&server, number, request).await }
    });
    // A broken connection shows in the ends of its requests.
    drop(
        hyper::server::conn::http2::Builder::new(Local)
            .serve_connection(TokioIo::new(io), service)
            .await,
    );
}

async fn answer(
    server: &Server,
    connection: u64,
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<Streamed>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let fields = head.headers.iter();
    let fields = fields
        .map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
    let request = Request::new(head.method.to_string(), target, fields.collect(), body.to_vec());
    let known = server.known(&request);
    let facts = Facts {
        path: request.path(),
        model: &known.model,
        stream: known.stream,
        body: &request.body,
        key: presented(&request),
    };
    let arrival = server.shared.arrive(connection, &request, &facts, &known.mark);
    let mut books = Books {
        shared: server.shared.clone(),
        number: arrival.number,
        status: 0,
        sent: 0,
        held: false,
        ended: false,
    };
    let behaviour = told(&request).ok().flatten().or(arrival.behaviour).unwrap_or_default();
    if behaviour.hold {
        let (ticket, mut released) = server.shared.hold();
        books.held = true;
        drop(released.wait_for(|upto| *upto >= ticket).await);
        books.unheld();
    }
    if behaviour.fault == Some(Fault::StallBeforeHeaders) {
        std::future::pending::<()>().await;
    }
    let reply = match behaviour.status {
        Some(status) => send::told_error(&request, status, &behaviour),
        None => server.demo.respond_with(&call(&request, &headers(&request)), &behaviour.tweak),
    };
    Ok(response(send::altered(reply, &behaviour), &behaviour, books))
}

fn response(reply: Reply, behaviour: &Behaviour, mut books: Books) -> http::Response<Streamed> {
    books.status = reply.status;
    let mut out = http::Response::builder().status(reply.status);
    let id = format!("req_fake{:08x}", books.number);
    for (name, value) in &reply.headers {
        out = out.header(*name, value);
    }
    for (name, value) in &behaviour.headers {
        out = out.header(name, value);
    }
    out = out.header("x-request-id", &id).header("request-id", &id);
    let (parts, cut) = match reply.body {
        Body::Whole(bytes) => {
            (VecDeque::from([Part { delay: std::time::Duration::ZERO, bytes }]), false)
        }
        Body::Timed { parts, cut } => (VecDeque::from(parts), cut),
    };
    let fault = behaviour.fault;
    let left = match fault {
        Some(Fault::Cut | Fault::RstAt | Fault::StallAt | Fault::TruncatedChunked) => {
            Some(behaviour.at)
        }
        Some(Fault::Rst | Fault::Close | Fault::RstAfterHeaders | Fault::StallAfterHeaders) => {
            Some(0)
        }
        _ => None,
    };
    let stall = matches!(fault, Some(Fault::StallAt | Fault::StallAfterHeaders));
    let body = Streamed { parts, cut, left, stall, sleep: None, books };
    match out.body(body) {
        Ok(response) => response,
        // A header of a test's own that is none: the body alone tells the rest.
        Err(_) => http::Response::new(Streamed {
            parts: VecDeque::new(),
            cut: true,
            left: None,
            stall: false,
            sleep: None,
            books: Books::closed(),
        }),
    }
}

/// Sees to it that every arrival has its end in the journal: a stream that is dropped was cancelled.
struct Books {
    shared: Arc<Shared>,
    number: u64,
    status: u16,
    sent: u64,
    held: bool,
    ended: bool,
}

impl Books {
    fn closed() -> Self {
        Books {
            shared: Arc::new(Shared::new(None, 0)),
            number: 0,
            status: 0,
            sent: 0,
            held: false,
            ended: true,
        }
    }

    fn unheld(&mut self) {
        if std::mem::take(&mut self.held) {
            self.shared.unheld();
        }
    }

    fn end(&mut self, how: Ended) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.end(self.number, self.status, self.sent, how);
        }
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        self.unheld();
        self.end(Ended::Cancelled);
    }
}

/// A body in timed parts.
struct Streamed {
    parts: VecDeque<Part>,
    cut: bool,
    /// Bytes until the fault.
    left: Option<usize>,
    stall: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    books: Books,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Some(sleep) = this.sleep.as_mut() {
            std::task::ready!(sleep.as_mut().poll(cx));
            this.sleep = None;
        } else if let Some(part) = this.parts.front_mut()
            && !part.delay.is_zero()
        {
            this.sleep = Some(Box::pin(tokio::time::sleep(std::mem::take(&mut part.delay))));
            return self.poll_frame(cx);
        }
        if this.left == Some(0) || this.parts.is_empty() && this.cut {
            if this.stall {
                return Poll::Pending;
            }
            this.books.end(Ended::Fault);
            return Poll::Ready(Some(Err(io::Error::other("broken on purpose"))));
        }
        let Some(mut part) = this.parts.pop_front() else {
            this.books.end(Ended::Done);
            return Poll::Ready(None);
        };
        if let Some(left) = this.left.as_mut() {
            part.bytes.truncate(*left);
            *left -= part.bytes.len();
        }
        this.books.sent += part.bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(part.bytes))))
    }

    fn is_end_stream(&self) -> bool {
        false
    }
}
