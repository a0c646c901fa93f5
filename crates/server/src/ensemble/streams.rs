//! Several streams as one, event by event: no piece of it is held but the end, which waits until every call is settled.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dialect::{Dialect, StreamEvent, StreamMerge, StreamReader, StreamWriter, Tee};
use domain::ErrorClass;
use flow::Ended;
use smallvec::SmallVec;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::Aborted;
use crate::errors::{self, ErrorKind, Failure};
use crate::relay::millis_since;
use crate::settle::{Flight, Settled};
use crate::source::Source;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Bytes flow.
    Flowing,
    /// Every call has ended; the end waits for the ledger.
    Settling,
    /// The error event is out; the body is torn next.
    Tearing,
    /// Over.
    Over,
}

/// One call of a streamed ensemble.
struct Leg {
    source: Option<Source>,
    tee: Box<dyn Tee>,
    reader: Box<dyn StreamReader>,
    flight: Flight,
    /// Whether its success terminator has passed.
    ended: bool,
    last_data: Instant,
}

/// How a stream broke.
struct Break {
    class: ErrorClass,
    why: String,
}

/// Several calls' streams on their way to the client.
pub(super) struct Streams {
    legs: Vec<Leg>,
    merge: StreamMerge,
    writer: Box<dyn StreamWriter>,
    client: &'static dyn Dialect,
    since: Instant,
    ready: VecDeque<Bytes>,
    held: Vec<u8>,
    settling: Vec<Settled>,
    phase: Phase,
    idle: Duration,
    total_at: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Streams {
    /// Of so many calls, none added yet.
    pub(super) fn new(
        writer: Box<dyn StreamWriter>,
        (client, since): (&'static dyn Dialect, Instant),
        idle: Duration,
        total_at: Instant,
        calls: usize,
    ) -> Self {
        Self {
            legs: Vec::with_capacity(calls),
            merge: StreamMerge::new(calls),
            writer,
            client,
            since,
            ready: VecDeque::new(),
            held: Vec::new(),
            settling: Vec::new(),
            phase: Phase::Flowing,
            idle,
            total_at,
            alarm: Box::pin(sleep_until((Instant::now() + idle).min(total_at))),
        }
    }

    /// Adds a call whose first event was good.
    pub(super) fn add(
        &mut self,
        mut flight: Flight,
        source: Source,
        tee: Box<dyn Tee>,
        reader: Box<dyn StreamReader>,
    ) {
        // To the client it is one stream.
        if self.legs.is_empty() {
            flight.stream_opened();
        }
        let (source, last_data) = (Some(source), Instant::now());
        self.legs.push(Leg { source, tee, reader, flight, ended: false, last_data });
    }

    /// Whether the end is not in sight.
    pub(super) fn is_flowing(&self) -> bool {
        self.phase == Phase::Flowing
    }

    /// The next bytes for the client.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Aborted>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            match self.phase {
                Phase::Flowing => {
                    if self.poll_legs(context).is_pending() && self.poll_alarm(context).is_pending()
                    {
                        return Poll::Pending;
                    }
                }
                Phase::Settling => {
                    let Some(settled) = self.settling.last_mut() else {
                        self.ready.push_back(std::mem::take(&mut self.held).into());
                        self.phase = Phase::Over;
                        continue;
                    };
                    match Pin::new(settled).poll(context) {
                        Poll::Ready(Ok(())) => drop(self.settling.pop()),
                        Poll::Ready(Err(_)) => {
                            let why = "the ledger can't be written";
                            self.tear(&errors::LEDGER_UNAVAILABLE, why);
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
            match piece {
                // After the terminator only the orderly end is of interest: it makes the connection fit for reuse.
                Some(Ok(_)) if leg.ended => {}
                Some(Ok(chunk)) => {
                    leg.last_data = Instant::now();
                    leg.tee.feed(chunk.clone(), &mut SmallVec::new());
                    self.read_or_tear(at, &chunk);
                }
                Some(Err(_)) | None if leg.ended => leg.source = None,
                Some(Err(error)) => {
                    self.broke(at, &Break { class: error.class, why: error.message });
                }
                None => self.provider_ended(at),
            }
        }
        if self.phase == Phase::Flowing && self.legs.iter().all(|leg| leg.ended) {
            self.phase = Phase::Settling;
            moved = true;
        }
        if moved { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes a piece of a call that its tee has seen.
    pub(super) fn read_or_tear(&mut self, at: usize, chunk: &Bytes) {
        if self.phase != Phase::Flowing {
            return;
        }
        if let Err(broken) = self.read(at, chunk) {
            self.broke(at, &broken);
        }
    }

    /// Converts a piece.
    fn read(&mut self, at: usize, chunk: &Bytes) -> Result<(), Break> {
        let Some(leg) = self.legs.get_mut(at) else { return Ok(()) };
        let mut events = Vec::new();
        let read = leg.reader.feed(chunk, &mut events);
        self.write(at, events)?;
        read.map_err(|bad| Break { class: ErrorClass::BadResponse, why: bad.to_string() })
    }

    fn provider_ended(&mut self, at: usize) {
        let Some(leg) = self.legs.get_mut(at) else { return };
        leg.source = None;
        let mut events = Vec::new();
        let read = leg.reader.end(&mut events);
        let mut written = self.write(at, events);
        let bad = |why| Break { class: ErrorClass::BadResponse, why };
        if let (Ok(()), Err(error)) = (&written, read) {
            written = Err(bad(error.to_string()));
        }
        if written.is_ok() && self.legs.get(at).is_some_and(|leg| !leg.ended) {
            written = Err(bad("the stream ended before its end marker".to_owned()));
        }
        if let Err(broken) = written {
            self.broke(at, &broken);
        }
    }

    fn write(&mut self, at: usize, events: Vec<StreamEvent>) -> Result<(), Break> {
        let mut merged = Vec::new();
        let mut failed = None;
        let mut ended = false;
        for event in events {
            if let StreamEvent::Error(fault) = event {
                failed = Some(Break { class: fault.class, why: fault.message });
                break;
            }
            ended |= event == StreamEvent::End;
            self.merge.push(at, event, &mut merged);
        }
        let mut bytes = Vec::new();
        for event in &merged {
            let is_end = *event == StreamEvent::End;
            if is_end {
                self.writer.took(millis_since(self.since));
            }
            // The end waits until every call is settled.
            let out = if is_end { &mut self.held } else { &mut bytes };
            self.writer.event(event, out);
        }
        if !bytes.is_empty() {
            self.ready.push_back(bytes.into());
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
        if let Some(why) = self.writer.broken() {
            return Err(Break { class: ErrorClass::BadResponse, why: why.to_owned() });
        }
        if let (true, Some(leg)) = (ended, self.legs.get_mut(at)) {
            leg.ended = true;
            let seen = leg.tee.finish();
            self.settling.push(leg.flight.settle(Ended::Whole, &seen));
        }
        Ok(())
    }

    /// Never fires while data flows: it is set anew only when it rings.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.alarm.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let silent = self.legs.iter().enumerate().filter(|(_, leg)| !leg.ended);
            let Some((at, leg)) = silent.min_by_key(|(_, leg)| leg.last_data) else {
                return Poll::Pending;
            };
            let (now, due) = (Instant::now(), leg.last_data + self.idle);
            if now >= self.total_at {
                let why = "the answer took longer than the total limit".to_owned();
                self.broke(at, &Break { class: ErrorClass::Timeout, why });
                return Poll::Ready(());
            }
            if now >= due {
                let why = "the provider stopped sending".to_owned();
                self.broke(at, &Break { class: ErrorClass::Stall, why });
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(due.min(self.total_at));
        }
    }

    /// One call broke: it is to blame, the others are given up.
    fn broke(&mut self, at: usize, broken: &Break) {
        for (number, leg) in self.legs.iter_mut().enumerate() {
            let ended = if number == at {
                Ended::Failed(broken.class)
            } else {
                Ended::Abandoned(broken.class)
            };
            let seen = leg.tee.finish();
            // The receipt is not awaited: the client gets no proper end that it could take for an answer.
            drop(leg.flight.settle(ended, &seen));
        }
        self.tear(&errors::STREAM_INTERRUPTED, &broken.why);
    }

    /// Ends the stream because the gateway does; one that is about to end properly is left to.
    pub(super) fn last_words(&mut self) {
        if self.phase != Phase::Flowing {
            return;
        }
        for leg in &mut self.legs {
            let seen = leg.tee.finish();
            drop(leg.flight.settle(Ended::Internal, &seen));
        }
        self.tear(&errors::STREAM_INTERRUPTED, "the gateway is shutting down");
    }

    /// Ends the stream in an error event; every call is settled.
    fn tear(&mut self, kind: &'static ErrorKind, why: &str) {
        self.phase = Phase::Tearing;
        self.held.clear();
        for leg in &mut self.legs {
            leg.source = None;
        }
        let Some(first) = self.legs.first() else { return };
        let failure = Failure {
            provider: Some(first.flight.provider_name().to_owned()),
            attempts: first.flight.attempts(),
            ..Failure::new(kind, format!("{}: {why}", first.flight.provider_name()))
        };
        let request_id = first.flight.request_id().to_string();
        let error = failure.as_client_error(&request_id);
        let own = self.writer.error_event(&error);
        let event = own.unwrap_or_else(|| self.client.render_error_event(&error));
        self.ready.push_back(event.into());
    }

    /// Reads on to the end, or for a while, although nobody listens: the usage is wanted.
    pub(super) async fn drain(mut self: Box<Self>, up_to: Option<Duration>) {
        let reading = std::future::poll_fn(|context| {
            loop {
                match self.poll(context) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        match up_to {
            None => reading.await,
            // What is not read by then is settled as left by the client, by the drop.
            Some(time) => drop(tokio::time::timeout(time, reading).await),
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        let open = self.legs.iter_mut().filter(|leg| !leg.flight.is_settled());
        for (number, leg) in open.enumerate() {
            // One client left, however many calls were made for it.
            leg.flight.count_client(number == 0);
            let seen = leg.tee.finish();
            drop(leg.flight.settle(Ended::ClientLeft, &seen));
        }
    }
}
