//! whole: an answer in one piece, read to its end before anything of it goes out.

use bytes::Bytes;
use dialect::{Seen, Tee};
use domain::ErrorClass;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::dispatch::{Call, Fault, Reply};
use crate::settle::Flight;

#[cfg(test)]
mod tests;

/// Most bytes of a whole answer that are held.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// An answer being read. Dropped before its end, by whatever, it leaves what it has read with its flight.
struct Reading<'a> {
    tee: Box<dyn Tee>,
    flight: &'a mut Flight,
    pieces: SmallVec<[Bytes; 2]>,
    held: usize,
    done: bool,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.flight.broke_off(self.tee.finish());
        }
    }
}

/// Reads a whole answer through its tee, until `total_at` at the latest; what it holds and what was seen in it.
pub async fn read_whole(
    call: &Call,
    tee: Box<dyn Tee>,
    flight: &mut Flight,
    reply: &mut Reply,
    total_at: Instant,
) -> Result<(SmallVec<[Bytes; 2]>, Seen), Fault> {
    let mut reading = Reading { tee, flight, pieces: SmallVec::new(), held: 0, done: false };
    reading.read_on(call, reply, total_at).await?;
    reading.done = true;
    let seen = reading.tee.finish();
    let fault = match &seen.error {
        Some(fault) => {
            let (fault, status) = (fault.clone(), reply.status.as_u16());
            Fault { fault, sent: true, status, raw: None }
        }
        None if seen.complete => return Ok((std::mem::take(&mut reading.pieces), seen)),
        None => {
            let why = "the answer is not what its protocol allows";
            Fault::silent(ErrorClass::BadResponse, true, why)
        }
    };
    reading.flight.broke_off(seen);
    Err(fault)
}

impl Reading<'_> {
    async fn read_on(
        &mut self,
        call: &Call,
        reply: &mut Reply,
        total_at: Instant,
    ) -> Result<(), Fault> {
        let idle = call.offer.provider.idle;
        loop {
            let now = Instant::now();
            // Asked each time: a provider that always has something to say never keeps us waiting.
            if now >= total_at {
                let why = "the answer took longer than the total limit";
                return Err(Fault::silent(ErrorClass::Timeout, true, why));
            }
            let silent_at = now + idle;
            match tokio::time::timeout_at(silent_at.min(total_at), reply.source.data()).await {
                Ok(Some(Ok(chunk))) => {
                    self.flight.arrived(&chunk);
                    self.held += chunk.len();
                    self.tee.feed(chunk, &mut self.pieces);
                    if self.held > ANSWER_BYTES_MAX {
                        let why = "the answer is longer than 64 MiB";
                        return Err(Fault::silent(ErrorClass::BadResponse, true, why));
                    }
                }
                Ok(Some(Err(error))) => {
                    return Err(Fault::silent(error.class, true, error.message));
                }
                Ok(None) => return Ok(()),
                Err(_) if total_at <= silent_at => {}
                Err(_) => {
                    let why = "the provider stopped sending";
                    return Err(Fault::silent(ErrorClass::Stall, true, why));
                }
            }
        }
    }
}
