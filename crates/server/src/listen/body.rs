//! Reading a request's body: whole, bounded, and not too slowly.

use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use tokio::time::Sleep;

use super::handler::ReqBody;

/// How slowly a body may arrive.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time without any demand.
    pub grace: Duration,
    /// After that: bytes per second, on average over the whole body.
    pub bytes_per_second: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), bytes_per_second: 1024 }
    }
}

/// Why a body could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// Larger than allowed (413). Known from `content-length` before anything is read, where there is one.
    #[error("the request body is larger than allowed")]
    TooLarge,
    /// Slower than allowed (408).
    #[error("the request body arrives too slowly")]
    TooSlow,
    /// Cut, or its framing is broken (400; mostly nobody is left to read the answer).
    #[error("the request body is incomplete or malformed")]
    Broken,
}

/// Reads a whole body of at most `limit` bytes. A body that arrives in one piece is not copied.
///
/// # Errors
/// See [`BodyFault`]. The connection is of no further use then; hyper closes it after the answer.
pub async fn read_body(mut body: ReqBody, limit: u64, pace: Pace) -> Result<Bytes, BodyFault> {
    if body.size_hint().lower() > limit {
        return Err(BodyFault::TooLarge);
    }
    let mut gathered = Gathered::default();
    // Made when the body first keeps us waiting, which most never do.
    let mut watch: Option<Watch> = None;
    loop {
        let frame = std::future::poll_fn(|cx| {
            if let Poll::Ready(frame) = Pin::new(&mut body).poll_frame(cx) {
                return Poll::Ready(Ok(frame));
            }
            watch.get_or_insert_with(|| Watch::new(pace)).poll(cx, gathered.length).map(Err)
        })
        .await?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| BodyFault::Broken)?.into_data() else { continue };
        if gathered.length + data.len() as u64 > limit {
            return Err(BodyFault::TooLarge);
        }
        let to_come = body.size_hint().lower();
        gathered.add(data, to_come);
    }
    Ok(gathered.join())
}

/// Most bytes of a block.
const BLOCK: usize = 256 * 1024;
/// Most bytes that are set aside for what was announced but has not come.
const ANNOUNCED: usize = 1024 * 1024;

/// A body as it comes: one piece as it is, several copied into blocks. A buffer that doubles would take three times the
/// limit just to find out that a body is too long.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    blocks: Vec<BytesMut>,
    length: u64,
}

impl Gathered {
    fn add(&mut self, data: Bytes, to_come: u64) {
        self.length += data.len() as u64;
        if self.first.is_empty() && self.blocks.is_empty() {
            self.first = data;
            return;
        }
        let announced = usize::try_from(to_come).unwrap_or(ANNOUNCED).min(ANNOUNCED);
        if self.blocks.is_empty() {
            let first = std::mem::take(&mut self.first);
            let mut block = BytesMut::with_capacity(first.len() + data.len() + announced);
            block.extend_from_slice(&first);
            self.blocks.push(block);
        }
        let mut data = data;
        while !data.is_empty() {
            let room = self.blocks.last().map_or(0, |block| BLOCK.saturating_sub(block.len()));
            if room == 0 {
                self.blocks.push(BytesMut::with_capacity(BLOCK));
                continue;
            }
            let now = data.split_to(room.min(data.len()));
            if let Some(block) = self.blocks.last_mut() {
                block.extend_from_slice(&now);
            }
        }
    }

    fn join(mut self) -> Bytes {
        match self.blocks.len() {
            0 => self.first,
            1 => self.blocks.pop().map_or_else(Bytes::new, BytesMut::freeze),
            _ => self.blocks.concat().into(),
        }
    }
}

struct Watch {
    begun: Instant,
    pace: Pace,
    next: Pin<Box<Sleep>>,
}

impl Watch {
    fn new(pace: Pace) -> Self {
        Self { begun: Instant::now(), pace, next: Box::pin(tokio::time::sleep(pace.grace)) }
    }

    fn poll(&mut self, cx: &mut std::task::Context<'_>, so_far: u64) -> Poll<BodyFault> {
        while self.next.as_mut().poll(cx).is_ready() {
            let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            if so_far < self.pace.bytes_per_second.saturating_mul(millis) / 1000 {
                return Poll::Ready(BodyFault::TooSlow);
            }
            let step = self.pace.grace.min(Duration::from_secs(1)).max(Duration::from_millis(1));
            self.next.as_mut().reset(tokio::time::Instant::now() + step);
        }
        Poll::Pending
    }
}
