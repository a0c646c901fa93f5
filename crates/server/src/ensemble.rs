//! Several calls for one request: `n` answers from a provider whose API gives one a call. Each call is an attempt with
//! its own intent and settlement; what the client sees is one answer with several choices.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use dialect::{
    Answer, BadAnswer, Dialect, Seen, StreamEvent, StreamMerge, StreamReader, StreamWriter, Tee,
    TeeOptions,
};
use domain::ErrorClass;
use flow::Ended;
use smallvec::SmallVec;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::Aborted;
use crate::dispatch::{self, Call, Fault};
use crate::errors::{self, Failure};
use crate::relay::RelayLimits;
use crate::settle::{Flight, Settled};
use crate::source::Source;
use crate::worker::Worker;

/// Runs futures side by side on this task and gives their results in order.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|it| (Some(Box::pin(it)), None)).collect();
    std::future::poll_fn(move |context| {
        let mut pending = false;
        for (future, result) in &mut running {
            let Some(it) = future else { continue };
            match it.as_mut().poll(context) {
                Poll::Ready(output) => {
                    *result = Some(output);
                    *future = None;
                }
                Poll::Pending => pending = true,
            }
        }
        if pending {
            return Poll::Pending;
        }
        Poll::Ready(running.iter_mut().filter_map(|(_, result)| result.take()).collect())
    })
    .await
}

/// The whole answers of all calls as one, once every call is settled; or the first fault.
pub async fn whole(worker: &Worker, call: &Call, flights: Vec<Flight>) -> Result<Answer, Fault> {
    let legs = flights.into_iter().map(|flight| whole_leg(worker, call, flight)).collect();
    let mut answers = Vec::new();
    for result in all(legs).await {
        answers.push(result?);
    }
    Ok(Answer::combine(answers))
}

async fn whole_leg(worker: &Worker, call: &Call, mut flight: Flight) -> Result<Answer, Fault> {
    flight.dispatched();
    let read = read_leg(worker, call, &mut flight).await;
    match read {
        Ok((answer, seen)) => match flight.settle(Ended::Whole, &seen).await {
            Ok(()) => Ok(answer),
            Err(_) => Err(Fault::silent(ErrorClass::Internal, true, "the ledger can't be written")),
        },
        Err(fault) => {
            drop(flight.settle_fault(&fault));
            Err(fault)
        }
    }
}

async fn read_leg(
    worker: &Worker,
    call: &Call,
    flight: &mut Flight,
) -> Result<(Answer, Seen), Fault> {
    let mut reply = dispatch::send(worker, call).await?;
    flight.head(&reply);
    let mut tee = call.dialect.tee(TeeOptions::default());
    let mut pieces: SmallVec<[Bytes; 2]> = SmallVec::new();
    loop {
        match tokio::time::timeout(call.offer.provider.idle, reply.source.data()).await {
            Ok(Some(Ok(chunk))) => {
                flight.first_byte();
                tee.feed(chunk, &mut pieces);
            }
            Ok(Some(Err(error))) => return Err(Fault::silent(error.class, true, error.message)),
            Ok(None) => break,
            Err(_) => {
                return Err(Fault::silent(ErrorClass::Stall, true, "the provider stopped sending"));
            }
        }
    }
    let seen = tee.finish();
    if let Some(fault) = seen.error.clone() {
        return Err(Fault { fault, sent: true, status: reply.status.as_u16(), raw: None });
    }
    let answer = call.dialect.read_answer(&pieces.concat());
    answer
        .map(|answer| (answer, seen))
        .map_err(|bad| Fault::silent(ErrorClass::BadResponse, true, bad.to_string()))
}

/// One call of a streamed ensemble.
struct Leg {
    source: Option<Source>,
    tee: Box<dyn Tee>,
    reader: Box<dyn StreamReader>,
    flight: Flight,
}

/// Several streams as one, event by event. Dropped early, every call settles as left by the client.
pub struct Ensemble {
    legs: Vec<Leg>,
    merge: StreamMerge,
    writer: Box<dyn StreamWriter>,
    client: &'static dyn Dialect,
    ready: VecDeque<Bytes>,
    held: Vec<u8>,
    settling: Vec<Settled>,
    phase: Phase,
    limits: RelayLimits,
    last_data: Instant,
    alarm: Pin<Box<Sleep>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Flowing,
    Settling,
    Tearing,
    Over,
}

impl Ensemble {
    /// Sends every call and waits for their heads; the first fault fails them all.
    pub async fn begin(
        worker: &Worker,
        call: &Call,
        flights: Vec<Flight>,
        writer: Box<dyn StreamWriter>,
        client: &'static dyn Dialect,
        limits: RelayLimits,
    ) -> Result<Self, Fault> {
        let sending = flights.into_iter().map(|flight| send_leg(worker, call, flight)).collect();
        let mut legs = Vec::new();
        for leg in all(sending).await {
            legs.push(leg?);
        }
        let now = Instant::now();
        Ok(Self {
            merge: StreamMerge::new(legs.len()),
            legs,
            writer,
            client,
            ready: VecDeque::new(),
            held: Vec::new(),
            settling: Vec::new(),
            phase: Phase::Flowing,
            limits,
            last_data: now,
            alarm: Box::pin(sleep_until((now + limits.idle).min(limits.total_at))),
        })
    }

    /// The next bytes for the client.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            match self.phase {
                Phase::Flowing => {
                    if self.poll_legs(context).is_pending() {
                        return self.poll_alarm(context);
                    }
                }
                Phase::Settling => {
                    let Some(settled) = self.settling.last_mut() else {
                        let held = std::mem::take(&mut self.held);
                        self.ready.push_back(held.into());
                        self.phase = Phase::Over;
                        continue;
                    };
                    match Pin::new(settled).poll(context) {
                        Poll::Ready(Ok(())) => drop(self.settling.pop()),
                        Poll::Ready(Err(_)) => {
                            self.tear(&errors::LEDGER_UNAVAILABLE, "the ledger can't be written");
                        }
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Phase::Tearing => {
                    self.phase = Phase::Over;
                    return Poll::Ready(Some(Err(Aborted)));
                }
                Phase::Over => return Poll::Ready(None),
            }
        }
    }

    /// Takes what any call has; pending when none has anything.
    fn poll_legs(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut moved = false;
        for at in 0..self.legs.len() {
            let Some(leg) = self.legs.get_mut(at) else { continue };
            let Some(source) = &mut leg.source else { continue };
            let Poll::Ready(piece) = source.poll_data(context) else { continue };
            moved = true;
            if let Err(why) = self.take(at, piece.map(|it| it.map_err(|error| error.message))) {
                self.tear(&errors::STREAM_INTERRUPTED, &why);
                return Poll::Ready(());
            }
        }
        if self.phase == Phase::Flowing && self.legs.iter().all(|leg| leg.source.is_none()) {
            self.phase = Phase::Settling;
            return Poll::Ready(());
        }
        if moved { Poll::Ready(()) } else { Poll::Pending }
    }

    fn take(&mut self, at: usize, piece: Option<Result<Bytes, String>>) -> Result<(), String> {
        self.last_data = Instant::now();
        let Some(leg) = self.legs.get_mut(at) else { return Ok(()) };
        let mut events = Vec::new();
        let read = match piece {
            Some(Ok(chunk)) => {
                leg.flight.first_byte();
                let mut scratch = SmallVec::new();
                leg.tee.feed(chunk.clone(), &mut scratch);
                leg.reader.feed(&chunk, &mut events)
            }
            Some(Err(why)) => return Err(why),
            None => {
                leg.source = None;
                let ended = leg.reader.end(&mut events);
                if ended.is_ok() {
                    let seen = leg.tee.finish();
                    self.settling.push(leg.flight.settle(Ended::Whole, &seen));
                }
                ended
            }
        };
        self.write(at, events)?;
        read.map_err(|bad: BadAnswer| bad.to_string())
    }

    fn write(&mut self, at: usize, events: Vec<StreamEvent>) -> Result<(), String> {
        let mut merged = Vec::new();
        for event in events {
            self.merge.push(at, event, &mut merged);
        }
        let mut bytes = Vec::new();
        for event in &merged {
            // The end waits until every call is settled.
            let out = if matches!(event, StreamEvent::End) { &mut self.held } else { &mut bytes };
            self.writer.event(event, out);
        }
        if !bytes.is_empty() {
            self.ready.push_back(bytes.into());
        }
        self.writer.broken().map_or(Ok(()), |why| Err(why.to_owned()))
    }

    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        loop {
            if self.alarm.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let due = (self.last_data + self.limits.idle).min(self.limits.total_at);
            if Instant::now() >= due {
                self.tear(&errors::STREAM_INTERRUPTED, "the provider stopped sending");
                return self.poll(context);
            }
            self.alarm.as_mut().reset(due);
        }
    }

    /// Ends the stream because the gateway does; one that is about to end properly is left to.
    pub fn last_words(&mut self) {
        if self.phase == Phase::Flowing {
            self.tear_as(
                &errors::STREAM_INTERRUPTED,
                "the gateway is shutting down",
                Ended::Internal,
            );
        }
    }

    fn tear(&mut self, kind: &'static errors::ErrorKind, why: &str) {
        self.tear_as(kind, why, Ended::Failed(ErrorClass::BadResponse));
    }

    fn tear_as(&mut self, kind: &'static errors::ErrorKind, why: &str, ended: Ended) {
        self.phase = Phase::Tearing;
        let Some(first) = self.legs.first() else { return };
        let failure = Failure {
            provider: Some(first.flight.provider_name().to_owned()),
            attempts: first.flight.attempts(),
            ..Failure::new(kind, format!("{}: {why}", first.flight.provider_name()))
        };
        let request_id = first.flight.request_id().to_string();
        self.ready.push_back(
            self.client.render_error_event(&failure.as_client_error(&request_id)).into(),
        );
        for leg in &mut self.legs {
            leg.source = None;
            let seen = leg.tee.finish();
            drop(leg.flight.settle(ended, &seen));
        }
    }
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for leg in &mut self.legs {
            let seen = leg.tee.finish();
            drop(leg.flight.settle(Ended::ClientLeft, &seen));
        }
    }
}

async fn send_leg(worker: &Worker, call: &Call, mut flight: Flight) -> Result<Leg, Fault> {
    flight.dispatched();
    match dispatch::send(worker, call).await {
        Ok(reply) => {
            flight.head(&reply);
            flight.stream_opened();
            Ok(Leg {
                source: Some(reply.source),
                tee: call.dialect.tee(TeeOptions { streamed: true, strip_usage_chunk: false }),
                reader: call.dialect.stream_reader(),
                flight,
            })
        }
        Err(fault) => {
            drop(flight.settle_fault(&fault));
            Err(fault)
        }
    }
}
