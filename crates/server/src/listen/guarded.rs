//! The stream as hyper sees it: with the framer between.
//!
//! A head is kept back until it is complete and sound, so the parser behind sees sound heads or the end of the
//! stream, and never half of something that is then refused. Heads that arrive in one piece are not copied.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::{Fed, Framer};
use super::state::ConnState;
use super::stream::Stream;

/// Bytes read and thrown away after our last word, so that a client that is still sending gets to read it
/// instead of a reset.
const DISCARD_MAX: usize = 4 * 1024 * 1024;

/// A connection's stream behind the framer.
#[derive(Debug)]
pub(super) struct Guarded {
    stream: Stream,
    /// None on HTTP/2, which frames by itself.
    framer: Option<Framer>,
    /// Bytes kept back; the first `cleared` of them may go on.
    kept: Vec<u8>,
    cleared: usize,
    state: Rc<ConnState>,
    farewell: Farewell,
}

#[derive(Debug)]
enum Farewell {
    NotYet,
    Say { text: String, said: usize },
    Finish,
    Discard { left: usize },
    Done,
}

impl Guarded {
    /// A stream from which `first` has been read already.
    pub(super) fn new(
        stream: Stream,
        first: Vec<u8>,
        framer: Option<Framer>,
        state: Rc<ConnState>,
    ) -> Self {
        let mut this = Self {
            stream,
            framer,
            kept: Vec::new(),
            cleared: 0,
            state,
            farewell: Farewell::NotYet,
        };
        this.judge(&first);
        this.kept = first;
        this
    }

    /// Judges bytes that follow what is kept; adds to `cleared`. Returns how many of `new` were cleared.
    fn judge(&mut self, new: &[u8]) -> usize {
        let Some(framer) = self.framer.as_mut().filter(|_| !self.state.switched.get()) else {
            self.cleared += self.kept.len() + new.len();
            return new.len();
        };
        let release = match framer.feed(new) {
            Ok(Fed { release }) => release,
            Err(violation) => {
                self.state.violation.set(Some(violation));
                violation.release
            }
        };
        self.state.pressing(framer.in_head());
        if release > 0 {
            self.cleared = self.kept.len() + release;
        }
        release
    }

    /// HTTP has ended: whatever was kept back is not ours to judge.
    fn switch(&mut self) {
        self.framer = None;
        self.cleared = self.kept.len();
        self.state.pressing(false);
    }

    /// Hands cleared bytes on; `true` if there were any.
    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let count = self.cleared.min(buf.remaining());
        if count == 0 {
            return false;
        }
        buf.put_slice(self.kept.get(..count).unwrap_or_default());
        self.kept.drain(..count);
        self.cleared -= count;
        if self.kept.is_empty() && self.kept.capacity() > 4096 {
            self.kept = Vec::new();
        }
        true
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.framer.is_some() && this.state.switched.get() {
                this.switch();
            }
            if buf.remaining() == 0 || this.hand_over(buf) {
                return Poll::Ready(Ok(()));
            }
            if this.state.violation.get().is_some() {
                // The end of the stream, but not before what was asked soundly has been answered: an end in the
                // middle of an answer means that the client has left.
                if this.state.in_flight.get() > 0
                    && this.state.violation.get().is_some_and(|it| it.in_head)
                {
                    return Poll::Pending;
                }
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let Some(new) = buf.filled().get(before..).filter(|it| !it.is_empty()) else {
                return Poll::Ready(Ok(()));
            };
            if this.framer.is_none() {
                return Poll::Ready(Ok(()));
            }
            let was_empty = this.kept.is_empty();
            let cleared = this.judge(new);
            if was_empty {
                // Cleared bytes stay where they were read to; only the beginning of a head is put aside.
                this.kept.extend_from_slice(new.get(cleared..).unwrap_or_default());
                this.cleared = 0;
                buf.set_filled(before + cleared);
                if cleared > 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                this.kept.extend_from_slice(new);
                buf.set_filled(before);
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.state.wrote(&progress);
        progress
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.state.wrote(&progress);
        progress
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    /// hyper calls this when it is done with the connection: everything asked soundly has been answered.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.farewell {
                Farewell::NotYet => {
                    this.state.pressing_since.set(Some(this.state.now()));
                    this.farewell = match this.state.violation.get() {
                        Some(it) if it.in_head => {
                            Farewell::Say { text: refusal(it.status, it.reason), said: 0 }
                        }
                        _ => Farewell::Finish,
                    };
                }
                Farewell::Say { text, said } => {
                    let rest = text.as_bytes().get(*said..).unwrap_or_default();
                    if rest.is_empty() {
                        this.farewell = Farewell::Finish;
                        continue;
                    }
                    let count = ready!(Pin::new(&mut this.stream).poll_write(cx, rest))?;
                    if count == 0 {
                        this.farewell = Farewell::Done;
                    } else {
                        *said += count;
                    }
                }
                Farewell::Finish => {
                    ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                    // A client that is not in the middle of something gets our last word anyway, and may keep its
                    // half open for as long as it likes.
                    let all_read = this.framer.as_ref().is_none_or(Framer::at_boundary);
                    this.farewell = if all_read && this.kept.is_empty() {
                        Farewell::Done
                    } else {
                        this.state.leaving.set(true);
                        Farewell::Discard { left: DISCARD_MAX }
                    };
                }
                Farewell::Discard { left } => {
                    let mut scrap = [0; 4096];
                    let mut scrap = ReadBuf::new(&mut scrap);
                    ready!(Pin::new(&mut this.stream).poll_read(cx, &mut scrap))?;
                    let count = scrap.filled().len();
                    if count == 0 || count >= *left {
                        this.farewell = Farewell::Done;
                    } else {
                        *left -= count;
                    }
                }
                Farewell::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// The whole answer to a request that can't be trusted. It has no dialect: what is not a sound request has no
/// route either.
fn refusal(status: u16, reason: &str) -> String {
    let phrase = match status {
        414 => "URI Too Long",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        505 => "HTTP Version Not Supported",
        _ => "Bad Request",
    };
    let body = format!(
        "{{\"error\":{{\"message\":\"{reason}\",\"type\":\"invalid_request_error\",\"code\":\"bad_framing\"}}}}"
    );
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}
