//! Closed-loop load: each connection sends its next request when the last answer is whole.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::{Chunks, Framing, head};

/// What is sent, and how.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Where.
    pub(crate) address: SocketAddr,
    /// The whole request, head and body.
    pub(crate) request: Vec<u8>,
    /// Connections.
    pub(crate) connections: usize,
    /// How long.
    pub(crate) duration: Duration,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Answers with status 200 that ended in order.
    pub(crate) ok: u64,
    /// Everything else.
    pub(crate) failed: u64,
    /// Events of streams (empty lines in payloads).
    pub(crate) events: u64,
    /// Latency of each answer, in microseconds, sorted.
    pub(crate) latencies: Vec<u64>,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
}

impl Outcome {
    /// The latency that so many hundredths of the answers stayed below, in microseconds.
    pub(crate) fn percentile(&self, hundredths: usize) -> u64 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies
            .get((self.latencies.len() * hundredths / 100).min(last))
            .copied()
            .unwrap_or(0)
    }
}

/// Runs the load on this thread.
pub(crate) async fn run(load: Load) -> Outcome {
    let shared = Rc::new(RefCell::new(Outcome::default()));
    let started = Instant::now();
    let until = started + load.duration;
    let load = Rc::new(load);
    let tasks: Vec<_> = (0..load.connections)
        .map(|_| {
            let (load, shared) = (Rc::clone(&load), Rc::clone(&shared));
            tokio::task::spawn_local(async move {
                while Instant::now() < until {
                    if connection(&load, &shared, until).await.is_err() {
                        shared.borrow_mut().failed += 1;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        let _joined = task.await.is_ok();
    }
    let mut outcome = shared.take();
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.latencies.sort_unstable();
    outcome
}

async fn connection(load: &Load, shared: &RefCell<Outcome>, until: Instant) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(load.address).await.context("connect")?;
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    while Instant::now() < until {
        let sent = Instant::now();
        socket.write_all(&load.request).await?;
        let (status, events) = answer(&mut socket, &mut buffer).await?;
        let mut outcome = shared.borrow_mut();
        outcome.events += events;
        if status == 200 {
            outcome.ok += 1;
            outcome.latencies.push(u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX));
        } else {
            outcome.failed += 1;
        }
    }
    Ok(())
}

async fn answer(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<(u16, u64)> {
    buffer.clear();
    let head = loop {
        if let Some(head) = head(buffer) {
            break head;
        }
        anyhow::ensure!(socket.read_buf(buffer).await? > 0, "closed in the head");
    };
    match head.framing {
        Framing::Length(length) => {
            while buffer.len() < head.len + length {
                anyhow::ensure!(socket.read_buf(buffer).await? > 0, "closed in the body");
            }
            Ok((head.status, 0))
        }
        Framing::Chunked => {
            let mut chunks = Chunks::default();
            let (mut events, mut newline) = (0, false);
            buffer.drain(..head.len);
            loop {
                let ended =
                    chunks.feed(buffer, |data| count_events(data, &mut newline, &mut events));
                if ended {
                    return Ok((head.status, events));
                }
                buffer.clear();
                anyhow::ensure!(socket.read_buf(buffer).await? > 0, "closed in the body");
            }
        }
    }
}

/// An event ends with an empty line; it may be split anywhere.
fn count_events(data: &[u8], newline: &mut bool, events: &mut u64) {
    for byte in data {
        if *byte == b'\n' && *newline {
            *events += 1;
            *newline = false;
        } else {
            *newline = *byte == b'\n';
        }
    }
}
