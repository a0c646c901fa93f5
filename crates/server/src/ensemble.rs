//! Several calls for one request: `n` answers from a provider whose API gives one a call. Each call has an intent and a
//! settlement of its own; what the client sees is one answer with several choices, or one failure. The first call that
//! fails fails the attempt: the others are given up at once, and another offer may take over.

mod streams;

use std::future::Future;
use std::task::{Context, Poll};

use bytes::Bytes;
use config::Disconnect;
use dialect::{Answer, Dialect, FirstEvent, Seen, StreamWriter, Tee, TeeOptions};
use domain::{Endpoint, ErrorClass, Money};
use flow::Ended;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::accept::FIRST_EVENT_BYTES_MAX;
use crate::body::Aborted;
use crate::dispatch::{self, Call, Fault};
use crate::settle::{Admission, Flight};
use crate::source::Source;
use crate::whole::read_whole;
use crate::worker::Worker;
use streams::Streams;

/// What failed before anything went out, and the request's place in the limits.
type Unanswered = (Fault, Option<Admission>);

/// The first of several calls that failed, and what the others had brought by then.
struct Broken<T> {
    at: usize,
    fault: Fault,
    done: Vec<Option<T>>,
}

/// Runs calls side by side on this task, until all are done or one has failed.
async fn all<T, F>(calls: Vec<F>) -> Result<Vec<T>, Broken<T>>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut running: Vec<_> = calls.into_iter().map(|it| Some(Box::pin(it))).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    let failed = std::future::poll_fn(|context| {
        let mut pending = false;
        for (at, (call, result)) in running.iter_mut().zip(&mut done).enumerate() {
            let Some(it) = call else { continue };
            match it.as_mut().poll(context) {
                Poll::Ready(Ok(output)) => {
                    *result = Some(output);
                    *call = None;
                }
                Poll::Ready(Err(fault)) => return Poll::Ready(Some((at, fault))),
                Poll::Pending => pending = true,
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(None) }
    })
    .await;
    match failed {
        None => Ok(done.into_iter().flatten().collect()),
        Some((at, fault)) => Err(Broken { at, fault, done }),
    }
}

/// Settles the calls of an attempt of which one has failed: each of the others as far as it came.
fn give_up(flights: Vec<Flight>, broken: Broken<(Ended, Seen)>) -> Unanswered {
    let Broken { at, fault, done } = broken;
    let class = fault.fault.class;
    let mut place = None;
    for (number, (flight, done)) in flights.into_iter().zip(done).enumerate() {
        let given_back = if number == at {
            flight.settle_fault(&fault)
        } else {
            match done {
                Some((ended, seen)) => flight.leave(ended, &seen),
                None => flight.abandon(class),
            }
        };
        // The request's place is with its first call.
        if number == 0 {
            place = given_back;
        }
    }
    (fault, place)
}

/// The whole answers of all calls as one and what they cost together, once every call is settled.
pub async fn whole(
    worker: &Worker,
    call: &Call,
    mut flights: Vec<Flight>,
) -> Result<(Answer, Option<Money>), Unanswered> {
    let legs = flights.iter_mut().map(|flight| read_leg(worker, call, flight)).collect();
    let read = match all(legs).await {
        Ok(read) => read,
        Err(Broken { at, fault, done }) => {
            // What a provider has answered wholly it bills, although nobody will see it.
            let done = done.into_iter().map(|it| it.map(|(_, seen)| (Ended::Whole, seen)));
            return Err(give_up(flights, Broken { at, fault, done: done.collect() }));
        }
    };
    let mut cost = Some(Money::ZERO);
    let mut settling = Vec::new();
    let mut answers = Vec::new();
    for (flight, (answer, seen)) in flights.iter_mut().zip(read) {
        let sum = cost.zip(flight.cost_of(&seen));
        cost = sum.and_then(|(sum, cost)| sum.checked_add(cost));
        settling.push(flight.settle(Ended::Whole, &seen));
        answers.push(answer);
    }
    for settled in settling {
        if settled.await.is_err() {
            // They are kept and will be written, but not before the client could take the answer for acknowledged.
            let why = "the ledger can't be written";
            return Err((Fault::silent(ErrorClass::Internal, true, why), None));
        }
    }
    Ok((Answer::combine(answers), cost))
}

async fn read_leg(
    worker: &Worker,
    call: &Call,
    flight: &mut Flight,
) -> Result<(Answer, Seen), Fault> {
    flight.dispatched();
    let total_at = Instant::now() + call.offer.provider.total;
    let mut reply = dispatch::send(worker, call).await?;
    flight.head(&reply);
    let tee = call.dialect.tee(Endpoint::Chat, TeeOptions::default());
    let (pieces, seen) = read_whole(call, tee, flight, &mut reply, total_at).await?;
    match call.read_answer(&pieces.concat()) {
        Ok(answer) => Ok((answer, seen)),
        Err(bad) => {
            flight.broke_off(seen);
            Err(Fault::silent(ErrorClass::BadResponse, true, bad.to_string()))
        }
    }
}

/// A call's stream, read as far as its first event.
struct Opened {
    source: Source,
    tee: Box<dyn Tee>,
    chunks: Vec<Bytes>,
}

async fn open_leg(
    worker: &Worker,
    call: &Call,
    flight: &mut Flight,
    total_at: Instant,
) -> Result<Opened, Fault> {
    flight.dispatched();
    let mut reply = dispatch::send(worker, call).await?;
    flight.head(&reply);
    let options = TeeOptions { streamed: true, ..TeeOptions::default() };
    let mut tee = call.dialect.tee(Endpoint::Chat, options);
    let wait = call.offer.provider.deadlines.first_byte;
    let (mut chunks, mut held) = (Vec::new(), 0);
    let (class, why) = loop {
        let due = (Instant::now() + wait).min(total_at);
        match tokio::time::timeout_at(due, reply.source.data()).await {
            Ok(Some(Ok(chunk))) => {
                flight.arrived(&chunk);
                held += chunk.len();
                tee.feed(chunk.clone(), &mut SmallVec::new());
                chunks.push(chunk);
                match tee.first() {
                    FirstEvent::Good => return Ok(Opened { source: reply.source, tee, chunks }),
                    FirstEvent::Error(fault) => {
                        let status = reply.status.as_u16();
                        return Err(Fault { fault, sent: true, status, raw: None });
                    }
                    FirstEvent::Pending if held > FIRST_EVENT_BYTES_MAX => {
                        break (ErrorClass::BadResponse, "the first event has no end".to_owned());
                    }
                    FirstEvent::Pending => {}
                }
            }
            Ok(Some(Err(error))) => break (error.class, error.message),
            Ok(None) => {
                let why = "the stream ended before its first event";
                break (ErrorClass::BadResponse, why.to_owned());
            }
            Err(_) => break (ErrorClass::Timeout, "no first event in time".to_owned()),
        }
    };
    Err(Fault::silent(class, true, why))
}

/// Several streams as one. Dropped early, every call settles as left by the client, or is read on where the
/// configuration wants that.
pub struct Ensemble {
    streams: Option<Box<Streams>>,
    linger: Disconnect,
}

impl Ensemble {
    /// Sends every call and waits for their first events; the first fault fails them all.
    pub async fn begin(
        worker: &Worker,
        call: &Call,
        mut flights: Vec<Flight>,
        writer: Box<dyn StreamWriter>,
        (client, since): (&'static dyn Dialect, Instant),
        linger: Disconnect,
    ) -> Result<Self, Unanswered> {
        let total_at = Instant::now() + call.offer.provider.total;
        let legs = flights.iter_mut();
        let opening = legs.map(|flight| open_leg(worker, call, flight, total_at)).collect();
        let opened = match all(opening).await {
            Ok(opened) => opened,
            Err(Broken { at, fault, done }) => {
                let class = fault.fault.class;
                let seen = |mut it: Opened| (Ended::Abandoned(class), it.tee.finish());
                let done = done.into_iter().map(|it| it.map(seen)).collect();
                return Err(give_up(flights, Broken { at, fault, done }));
            }
        };
        let idle = call.offer.provider.idle;
        let mut streams =
            Box::new(Streams::new(writer, (client, since), idle, total_at, flights.len()));
        let mut begun = Vec::new();
        for (flight, opened) in flights.into_iter().zip(opened) {
            begun.push(opened.chunks);
            let reader = call.stream_reader();
            streams.add(flight, opened.source, opened.tee, reader);
        }
        for (at, chunks) in begun.iter().enumerate() {
            for chunk in chunks {
                streams.read_or_tear(at, chunk);
            }
        }
        Ok(Self { streams: Some(streams), linger })
    }

    /// The next bytes for the client.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        match &mut self.streams {
            Some(streams) => streams.poll(context),
            None => Poll::Ready(None),
        }
    }

    /// Ends the stream because the gateway does; one that is about to end properly is left to.
    pub fn last_words(&mut self) {
        if let Some(streams) = &mut self.streams {
            streams.last_words();
        }
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        let Some(streams) = self.streams.take().filter(|it| it.is_flowing()) else {
            return;
        };
        let up_to = match self.linger {
            Disconnect::Cancel => return,
            Disconnect::Drain => None,
            Disconnect::DrainUpTo(time) => Some(time),
        };
        tokio::task::spawn_local(streams.drain(up_to));
    }
}
