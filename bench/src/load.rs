//! Closed-loop load: each connection sends its next request when the last answer is whole.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::http::{Chunks, Framing, Head, head};

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
    /// Time to the first piece of each streamed answer's body, in microseconds, sorted.
    pub(crate) firsts: Vec<u64>,
    /// Longest pause between two reads of each streamed answer, in microseconds, sorted.
    pub(crate) pauses: Vec<u64>,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
}

/// The value that so many hundredths of a sorted list stay below; 0 for an empty one.
pub(crate) fn percentile(sorted: &[u64], hundredths: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * hundredths / 100).min(last)).copied().unwrap_or(0)
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
    for list in [&mut outcome.latencies, &mut outcome.firsts, &mut outcome.pauses] {
        list.sort_unstable();
    }
    outcome
}

async fn connection(load: &Load, shared: &RefCell<Outcome>, until: Instant) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(load.address).await.context("connect")?;
    socket.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    while Instant::now() < until {
        let sent = Instant::now();
        socket.write_all(&load.request).await?;
        let answer = answer(&mut socket, &mut buffer, sent).await?;
        let mut outcome = shared.borrow_mut();
        outcome.events += answer.events;
        if answer.status != 200 {
            outcome.failed += 1;
            continue;
        }
        outcome.ok += 1;
        outcome.latencies.push(micros(sent.elapsed()));
        if answer.events > 0 {
            outcome.firsts.push(micros(answer.first));
            outcome.pauses.push(micros(answer.pause));
        }
    }
    Ok(())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// One answer as it was seen.
#[derive(Default)]
struct Answer {
    status: u16,
    events: u64,
    first: Duration,
    pause: Duration,
}

async fn answer(
    socket: &mut TcpStream,
    buffer: &mut Vec<u8>,
    sent: Instant,
) -> anyhow::Result<Answer> {
    let head = read_head(socket, buffer).await?;
    let mut answer = Answer { status: head.status, ..Answer::default() };
    if let Framing::Length(length) = head.framing {
        while buffer.len() < head.len + length {
            anyhow::ensure!(socket.read_buf(buffer).await? > 0, "closed in the body");
        }
        return Ok(answer);
    }
    let (mut chunks, mut newline) = (Chunks::default(), false);
    buffer.drain(..head.len);
    let mut before: Option<Instant> = None;
    loop {
        if !buffer.is_empty() {
            let now = Instant::now();
            match before {
                None => answer.first = now.duration_since(sent),
                Some(before) => answer.pause = answer.pause.max(now.duration_since(before)),
            }
            before = Some(now);
        }
        if chunks.feed(buffer, |data| count_events(data, &mut newline, &mut answer.events)) {
            return Ok(answer);
        }
        buffer.clear();
        anyhow::ensure!(socket.read_buf(buffer).await? > 0, "closed in the body");
    }
}

async fn read_head(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<Head> {
    buffer.clear();
    loop {
        if let Some(head) = head(buffer) {
            return Ok(head);
        }
        anyhow::ensure!(socket.read_buf(buffer).await? > 0, "closed in the head");
    }
}

/// Opens streams and keeps them: each has had the first bytes of its body when this returns.
pub(crate) async fn hold(load: Load) -> anyhow::Result<Vec<TcpStream>> {
    // A few at a time, so that no listen queue overflows.
    const OPENERS: usize = 32;
    let load = Rc::new(load);
    let openers: Vec<_> = (0..OPENERS)
        .map(|at| {
            let load = Rc::clone(&load);
            let share = load.connections / OPENERS + usize::from(at < load.connections % OPENERS);
            tokio::task::spawn_local(async move {
                let mut held = Vec::with_capacity(share);
                for _ in 0..share {
                    held.push(open(&load).await?);
                }
                anyhow::Ok(held)
            })
        })
        .collect();
    let mut held = Vec::with_capacity(load.connections);
    for opener in openers {
        held.append(&mut opener.await??);
    }
    Ok(held)
}

async fn open(load: &Load) -> anyhow::Result<TcpStream> {
    let mut socket = TcpStream::connect(load.address).await.context("connect")?;
    socket.write_all(&load.request).await?;
    let mut buffer = Vec::with_capacity(4096);
    let head = read_head(&mut socket, &mut buffer).await?;
    anyhow::ensure!(head.status == 200, "{}", String::from_utf8_lossy(&buffer));
    while buffer.len() <= head.len {
        anyhow::ensure!(socket.read_buf(&mut buffer).await? > 0, "closed in the body");
    }
    Ok(socket)
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
