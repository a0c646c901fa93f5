//! relay: the answer's bytes on their way to the client.
//!
//! Same dialect: bytes untouched, a tee reads usage. Other dialect: event by event, each written once, the tee still
//! reads the provider's bytes. The chunk that holds the stream's success terminator waits until the settlement is
//! durable, so that a client that has seen its answer's end finds it in the ledger whatever happens next. A client
//! that reads slowly slows the provider: nothing is read ahead.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use config::Disconnect;
use dialect::envelope::Framer;
use dialect::{
    ClientError, Dialect, FirstEvent, Seen, StreamEvent, StreamReader, StreamWriter, Tee,
    UpstreamFault,
};
use domain::{Envelope, ErrorClass};
use flow::Ended;
use smallvec::SmallVec;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::Aborted;
use crate::errors::{self, Failure};
use crate::kept::Streamed;
use crate::settle::{Flight, Settled};
use crate::source::Source;

/// Conversion of a provider's stream into the client's dialect.
pub struct Translation {
    reader: Box<dyn StreamReader>,
    writer: Box<dyn StreamWriter>,
    events: Vec<StreamEvent>,
    since: Instant,
}

/// Whole milliseconds since then.
pub fn millis_since(then: Instant) -> u64 {
    u64::try_from(then.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Translation {
    /// Between the provider's reader and the client's writer, of a request that came in `since`.
    pub fn new(
        reader: Box<dyn StreamReader>,
        writer: Box<dyn StreamWriter>,
        since: Instant,
    ) -> Self {
        Self { reader, writer, events: Vec::new(), since }
    }

    /// Converts a piece; the message says why it can't go on.
    fn feed(&mut self, chunk: &[u8], out: &mut SmallVec<[Bytes; 2]>) -> Result<(), String> {
        let read = self.reader.feed(chunk, &mut self.events);
        self.write(out)?;
        read.map_err(|bad| bad.to_string())
    }

    fn end(&mut self, out: &mut SmallVec<[Bytes; 2]>) -> Result<(), String> {
        let read = self.reader.end(&mut self.events);
        self.write(out)?;
        read.map_err(|bad| bad.to_string())
    }

    fn write(&mut self, out: &mut SmallVec<[Bytes; 2]>) -> Result<(), String> {
        let mut bytes = Vec::new();
        for event in self.events.drain(..) {
            if event == StreamEvent::End {
                self.writer.took(millis_since(self.since));
            }
            self.writer.event(&event, &mut bytes);
        }
        if !bytes.is_empty() {
            out.push(Bytes::from(bytes));
        }
        self.writer.broken().map_or(Ok(()), |why| Err(why.to_owned()))
    }
}

/// The way from the provider's bytes to the client's.
pub struct Pipe {
    tee: Box<dyn Tee>,
    translation: Option<Translation>,
    /// Where the client wants its events in frames.
    framer: Option<Framer>,
    /// Where the response is kept.
    kept: Option<Box<Streamed>>,
    scratch: SmallVec<[Bytes; 2]>,
}

impl Pipe {
    /// Forwards, or converts where a translation is given.
    pub fn new(tee: Box<dyn Tee>, translation: Option<Translation>) -> Self {
        Self { tee, translation, framer: None, kept: None, scratch: SmallVec::new() }
    }

    /// The same into the client's envelope.
    pub fn into_envelope(self, envelope: Envelope) -> Self {
        let framer = dialect::envelope::stream_media_type(envelope).map(|_| Framer::default());
        Self { framer, ..self }
    }

    /// The same with its response kept.
    pub fn kept(self, kept: Streamed) -> Self {
        Self { kept: Some(Box::new(kept)), ..self }
    }

    /// Takes a piece; pushes what the client gets.
    pub fn feed(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), String> {
        let mut pieces = SmallVec::new();
        let result = match &mut self.translation {
            None => {
                self.tee.feed(chunk, &mut pieces);
                Ok(())
            }
            Some(translation) => {
                self.tee.feed(chunk.clone(), &mut self.scratch);
                self.scratch.clear();
                translation.feed(&chunk, &mut pieces)
            }
        };
        self.push(pieces, out).and(result)
    }

    /// What the client gets of what is written.
    fn push(
        &mut self,
        pieces: SmallVec<[Bytes; 2]>,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), String> {
        if let Some(kept) = &mut self.kept {
            pieces.iter().for_each(|piece| kept.feed(piece, out));
            return Ok(());
        }
        let Some(framer) = &mut self.framer else {
            out.extend(pieces);
            return Ok(());
        };
        let mut frames = Vec::new();
        let fed = pieces.iter().try_for_each(|piece| framer.feed(piece, &mut frames));
        if !frames.is_empty() {
            out.push_back(frames.into());
        }
        fed.map_err(|error| error.to_string())
    }

    /// What a provider still sends after its terminator; of a translated answer that is nothing.
    fn trail(&mut self, bytes: Bytes, out: &mut VecDeque<Bytes>) {
        if self.translation.is_none() && self.push(SmallVec::from_iter([bytes]), out).is_err() {
            tracing::debug!("what came after the end of an answer is not framed");
        }
    }

    /// The provider's body ended in order.
    pub fn end(&mut self, out: &mut VecDeque<Bytes>) -> Result<(), String> {
        let mut pieces = SmallVec::new();
        let result = match &mut self.translation {
            Some(translation) => translation.end(&mut pieces),
            None => Ok(()),
        };
        let pushed = self.push(pieces, out);
        if let Some(kept) = &mut self.kept {
            kept.end(out);
        }
        pushed.and(result)
    }

    /// The answer is whole: begins to keep its response.
    fn begin_keeping(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.begin();
        }
    }

    /// Lets go what waits for the response to be kept; whether that is done.
    fn poll_close(&mut self, context: &mut Context<'_>, out: &mut VecDeque<Bytes>) -> Poll<()> {
        match &mut self.kept {
            Some(kept) => kept.poll_close(context, out),
            None => Poll::Ready(()),
        }
    }

    /// The error event that ends what the client got, in the client's dialect.
    pub fn error_event(&self, client: &dyn Dialect, error: &ClientError<'_>) -> Vec<u8> {
        let own = match &self.translation {
            _ if self.framer.is_some() => None,
            Some(translation) => translation.writer.error_event(error),
            None => self.tee.error_event(error),
        };
        own.unwrap_or_else(|| client.render_error_event(error))
    }

    /// What the first event was.
    pub fn first(&self) -> FirstEvent {
        self.tee.first()
    }

    /// Whether the success terminator has passed.
    pub fn is_complete(&self) -> bool {
        self.tee.is_complete()
    }

    /// What was seen so far.
    pub fn finish(&mut self) -> Seen {
        self.tee.finish()
    }
}

/// Time limits of a relay.
#[derive(Clone, Copy, Debug)]
pub struct RelayLimits {
    /// Longest silence of the provider.
    pub idle: Duration,
    /// When the whole attempt must be over.
    pub total_at: Instant,
}

enum Phase {
    /// Bytes flow.
    Flowing,
    /// The end waits for the ledger.
    Settling(Settled),
    /// It waits for the response to be kept.
    Keeping,
    /// Settled; what the provider still sends after its terminator passes.
    Trailing,
    /// The error event is out; the body is torn next.
    Tearing,
    /// Over.
    Over,
}

/// A streamed answer. Dropped early, it settles as left by the client and cancels the provider.
pub struct Relay {
    source: Option<Source>,
    pipe: Pipe,
    ready: VecDeque<Bytes>,
    held: VecDeque<Bytes>,
    phase: Phase,
    limits: RelayLimits,
    last_data: Instant,
    alarm: Pin<Box<Sleep>>,
    flight: Option<Box<Flight>>,
    /// In which the client reads errors.
    client: &'static dyn Dialect,
    linger: Disconnect,
}

impl Relay {
    /// A relay whose first pieces are already in `ready`.
    pub fn new(
        source: Source,
        pipe: Pipe,
        ready: VecDeque<Bytes>,
        limits: RelayLimits,
        mut flight: Box<Flight>,
        client: &'static dyn Dialect,
        linger: Disconnect,
    ) -> Self {
        let now = Instant::now();
        let alarm = Box::pin(sleep_until((now + limits.idle).min(limits.total_at)));
        flight.stream_opened();
        let mut relay = Self {
            source: Some(source),
            pipe,
            ready,
            held: VecDeque::new(),
            phase: Phase::Flowing,
            limits,
            last_data: now,
            alarm,
            flight: Some(flight),
            client,
            linger,
        };
        if relay.pipe.is_complete() {
            let seen = relay.pipe.finish();
            relay.settle_whole(&seen);
        }
        relay
    }

    /// The next bytes for the client.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                if !bytes.is_empty() {
                    return Poll::Ready(Some(Ok(bytes)));
                }
                continue;
            }
            match &mut self.phase {
                Phase::Flowing => match self.poll_provider(context) {
                    Poll::Ready(()) => {}
                    Poll::Pending => return Poll::Pending,
                },
                Phase::Settling(settled) => match Pin::new(settled).poll(context) {
                    Poll::Ready(Ok(())) => self.phase = Phase::Keeping,
                    Poll::Ready(Err(_)) => {
                        self.tear(&errors::LEDGER_UNAVAILABLE, "the ledger can't be written");
                    }
                    Poll::Pending => return Poll::Pending,
                },
                Phase::Keeping => match self.pipe.poll_close(context, &mut self.held) {
                    Poll::Ready(()) => {
                        self.ready.append(&mut self.held);
                        self.phase = Phase::Trailing;
                    }
                    Poll::Pending => return Poll::Pending,
                },
                Phase::Trailing => match self.poll_trailer(context) {
                    Poll::Ready(()) => {}
                    Poll::Pending => return Poll::Pending,
                },
                Phase::Tearing => {
                    self.phase = Phase::Over;
                    return Poll::Ready(Some(Err(Aborted)));
                }
                Phase::Over => return Poll::Ready(None),
            }
        }
    }

    fn poll_provider(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(source) = &mut self.source else {
            self.phase = Phase::Over;
            return Poll::Ready(());
        };
        match source.poll_data(context) {
            Poll::Ready(Some(Ok(chunk))) => {
                self.last_data = Instant::now();
                self.take_chunk(chunk);
                Poll::Ready(())
            }
            Poll::Ready(Some(Err(error))) => {
                self.cut(error.class, &error.message);
                Poll::Ready(())
            }
            Poll::Ready(None) => {
                self.provider_ended();
                Poll::Ready(())
            }
            Poll::Pending => self.poll_alarm(context),
        }
    }

    fn take_chunk(&mut self, chunk: Bytes) {
        let mut out = VecDeque::new();
        let fed = self.pipe.feed(chunk, &mut out);
        if let Err(why) = fed {
            self.ready.append(&mut out);
            self.cut(ErrorClass::BadResponse, &why);
        } else if self.pipe.is_complete() {
            self.held = out;
            let seen = self.pipe.finish();
            self.settle_whole(&seen);
        } else {
            self.ready.append(&mut out);
        }
    }

    fn provider_ended(&mut self) {
        self.source = None;
        let mut out = VecDeque::new();
        let ended = self.pipe.end(&mut out);
        let seen = self.pipe.finish();
        if let Err(why) = ended {
            self.ready.append(&mut out);
            self.cut_seen(ErrorClass::BadResponse, &why, &seen);
        } else if seen.complete {
            self.held = out;
            self.settle_whole(&seen);
        } else {
            self.ready.append(&mut out);
            self.cut_seen(ErrorClass::BadResponse, "the stream ended before its end marker", &seen);
        }
    }

    /// Never fires while data flows: it is set anew only when it rings.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.alarm.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if now >= self.limits.total_at {
                self.cut(ErrorClass::Timeout, "the answer took longer than the total limit");
                return Poll::Ready(());
            }
            let due = self.last_data + self.limits.idle;
            if now >= due {
                self.cut(ErrorClass::Stall, "the provider stopped sending");
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(due.min(self.limits.total_at));
        }
    }

    /// The answer is whole. What it came to is written to the ledger, and the response is kept, at the same time.
    fn settle_whole(&mut self, seen: &Seen) {
        self.pipe.begin_keeping();
        self.phase = Phase::Settling(self.settle(Ended::Whole, seen));
    }

    /// After the terminator only the orderly end is of interest: it makes the connection fit for reuse.
    fn poll_trailer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(source) = &mut self.source else {
            self.phase = Phase::Over;
            return Poll::Ready(());
        };
        match source.poll_data(context) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.pipe.trail(bytes, &mut self.ready);
                self.last_data = Instant::now();
            }
            Poll::Ready(Some(Err(_)) | None) => self.source = None,
            Poll::Pending => {
                // A provider that leaves its connection open after the end must not keep the client waiting.
                if self.alarm.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.source = None;
            }
        }
        Poll::Ready(())
    }

    fn cut(&mut self, class: ErrorClass, why: &str) {
        let seen = self.pipe.finish();
        self.cut_seen(class, why, &seen);
    }

    fn cut_seen(&mut self, class: ErrorClass, why: &str, seen: &Seen) {
        self.source = None;
        let class = seen.error.as_ref().map_or(class, |fault: &UpstreamFault| fault.class);
        // The receipt is not awaited: the client gets no proper end that it could take for an answer.
        drop(self.settle(Ended::Failed(class), seen));
        self.tear(&errors::STREAM_INTERRUPTED, why);
    }

    /// Ends the stream because the gateway does; one that is about to end properly is left to.
    pub fn last_words(&mut self) {
        if matches!(self.phase, Phase::Flowing) {
            let seen = self.pipe.finish();
            drop(self.settle(Ended::Internal, &seen));
            self.tear(&errors::STREAM_INTERRUPTED, "the gateway is shutting down");
        }
    }

    fn settle(&mut self, ended: Ended, seen: &Seen) -> Settled {
        self.flight.as_mut().map_or(Settled::NOTHING, |flight| flight.settle(ended, seen))
    }

    fn tear(&mut self, kind: &'static errors::ErrorKind, why: &str) {
        self.source = None;
        self.held.clear();
        self.phase = Phase::Tearing;
        let Some(flight) = &self.flight else { return };
        let failure = Failure {
            provider: Some(flight.provider_name().to_owned()),
            attempts: flight.attempts(),
            ..Failure::new(kind, format!("{}: {why}", flight.provider_name()))
        };
        let request_id = flight.request_id().to_string();
        let error = failure.as_client_error(&request_id);
        self.ready.push_back(self.pipe.error_event(self.client, &error).into());
    }

    /// Reads a stream to its end, or for a while, although nobody listens: its usage is wanted.
    async fn drain(mut self, up_to: Option<Duration>) {
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
        self.linger = Disconnect::Cancel;
    }

    /// The same relay, to be driven by a task of its own; what remains here is over.
    fn take(&mut self) -> Self {
        let pipe = std::mem::replace(&mut self.pipe, Pipe::new(Box::new(NoTee), None));
        Self {
            source: self.source.take(),
            pipe,
            ready: std::mem::take(&mut self.ready),
            held: std::mem::take(&mut self.held),
            phase: std::mem::replace(&mut self.phase, Phase::Over),
            limits: self.limits,
            last_data: self.last_data,
            alarm: Box::pin(sleep_until(self.last_data + self.limits.idle)),
            flight: self.flight.take(),
            client: self.client,
            linger: Disconnect::Cancel,
        }
    }
}

/// Stands where a tee was.
struct NoTee;

impl Tee for NoTee {
    fn feed(&mut self, _chunk: Bytes, _out: &mut SmallVec<[Bytes; 2]>) {}

    fn first(&self) -> FirstEvent {
        FirstEvent::Pending
    }

    fn finish(&mut self) -> Seen {
        Seen::default()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let Some(flight) = self.flight.as_mut().filter(|flight| !flight.is_settled()) else {
            return;
        };
        if self.linger == Disconnect::Cancel {
            let seen = self.pipe.finish();
            drop(flight.settle(Ended::ClientLeft, &seen));
            return;
        }
        let up_to = match self.linger {
            Disconnect::DrainUpTo(time) => Some(time),
            Disconnect::Drain | Disconnect::Cancel => None,
        };
        tokio::task::spawn_local(self.take().drain(up_to));
    }
}
