//! The account of a session: a row for each response.
//!
//! **An intent is open ahead, always.** Before anything that could lead to a response reaches the provider, the worst
//! case of one is reserved and its intent durable; the moment it is taken, the next is opened. So it makes no difference
//! whether a response was asked for by name or begun by the provider when a speaker stopped. What is still open when the
//! session ends is closed at nothing.
//!
//! The worst case is the model's whole context and its longest answer. It is open for moments: a response that is done
//! gives back what it did not use.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dialect::Seen;
use dialect::realtime::Settings;
use domain::{ModelName, OfferId, Usage};
use flow::Ended;
use store::Receipt;
use tokio::time::Instant;

use crate::errors::{self, Failure};
use crate::settle::{Flight, Series, Settled};
use crate::snapshot::Snapshot;

/// Responses at the same time. Of a conversation there is one; beside it a client may ask for more.
const OPEN_MAX: usize = 32;

/// How long after a speaker has stopped the response that follows may be on its way unseen.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// The turns of a session.
pub(super) struct Turns {
    series: Series,
    ahead: Ahead,
    /// Asked for, and not begun yet as far as we were told.
    asked: VecDeque<Asked>,
    open: Vec<Turn>,
    settings: Settings,
    speech_stopped: Option<Instant>,
}

/// The next turn.
enum Ahead {
    /// Reserved and durable.
    Ready(Flight),
    /// Reserved, on its way to the disk.
    Opening(Flight, Receipt),
    /// It can't be had.
    Refused(Failure),
}

struct Asked {
    /// The client's name for what asked.
    event: Option<String>,
    flight: Flight,
}

struct Turn {
    response: String,
    flight: Flight,
}

/// Whether the provider may be fed.
pub(super) enum Readiness {
    /// A turn is covered.
    Covered,
    /// It is not.
    Refused(Failure),
}

impl Turns {
    /// Those of a session that was opened under its first turn.
    pub(super) fn new(series: Series, first: Flight) -> Self {
        Self {
            series,
            ahead: Ahead::Ready(first),
            asked: VecDeque::new(),
            open: Vec::new(),
            settings: Settings::default(),
            speech_stopped: None,
        }
    }

    /// Whether no response is made or asked for.
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.open.is_empty()
    }

    /// Why no further turn may begin, where none may.
    pub(super) fn refusal(&self) -> Option<&Failure> {
        match &self.ahead {
            Ahead::Refused(failure) => Some(failure),
            Ahead::Ready(_) | Ahead::Opening(..) => None,
        }
    }

    /// Waits until it is known whether the provider may be fed.
    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Readiness> {
        match &mut self.ahead {
            Ahead::Ready(_) => Poll::Ready(Readiness::Covered),
            Ahead::Refused(failure) => Poll::Ready(Readiness::Refused(failure.clone())),
            Ahead::Opening(_, receipt) => match Pin::new(receipt).poll(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(durable) => {
                    self.opened(durable.is_ok());
                    self.poll_ready(context)
                }
            },
        }
    }

    fn opened(&mut self, durable: bool) {
        let why = "the ledger can't be written, so nothing more is sent";
        let unwritten = Ahead::Refused(Failure::new(&errors::LEDGER_UNAVAILABLE, why));
        if let Ahead::Opening(flight, _) = std::mem::replace(&mut self.ahead, unwritten) {
            if durable {
                self.ahead = Ahead::Ready(flight);
            } else {
                flight.not_durable();
            }
        }
    }

    /// Tries once more to cover the next turn, where that was refused.
    pub(super) fn try_again(&mut self) {
        if matches!(self.ahead, Ahead::Refused(_)) {
            self.ahead = self.next();
        }
    }

    fn next(&mut self) -> Ahead {
        match self.series.begin() {
            Ok((flight, receipt)) => Ahead::Opening(flight, receipt),
            Err(failure) => Ahead::Refused(failure),
        }
    }

    /// Takes the turn that is open ahead, and opens the next.
    fn take(&mut self) -> Option<Flight> {
        if matches!(self.ahead, Ahead::Refused(_)) {
            return None;
        }
        let next = self.next();
        match std::mem::replace(&mut self.ahead, next) {
            // What is not durable yet is written before what is to come of it.
            Ahead::Ready(flight) | Ahead::Opening(flight, _) => Some(flight),
            Ahead::Refused(_) => None,
        }
    }

    /// The client asks for a response; the turn ahead is ready.
    pub(super) fn asks(&mut self, event: Option<String>) -> Result<(), Failure> {
        if self.asked.len() + self.open.len() >= OPEN_MAX {
            let why = format!("{OPEN_MAX} responses are under way in this session");
            return Err(Failure::new(&errors::RATE_LIMITED, why));
        }
        if let Some(mut flight) = self.take() {
            flight.begins();
            self.asked.push_back(Asked { event, flight });
        }
        Ok(())
    }

    /// Something that the client said was refused: perhaps what asked for a response.
    pub(super) fn refused(&mut self, event: Option<&str>) {
        let place = match event {
            Some(event) => self.asked.iter().position(|it| it.event.as_deref() == Some(event)),
            // What the client gave no name to: the oldest that has none.
            None => self.asked.iter().position(|it| it.event.is_none()),
        };
        if let Some(mut asked) = place.and_then(|at| self.asked.remove(at)) {
            asked.flight.stays_back();
            drop(asked.flight.unused());
            self.try_again();
        }
    }

    /// A response has begun. False: it was covered by nothing, and the session must end.
    #[must_use]
    pub(super) fn created(&mut self, response: String) -> bool {
        self.speech_stopped = None;
        let asked = self.asked.pop_front().map(|it| it.flight);
        let taken = asked.or_else(|| self.take());
        let covered = taken.is_some() && self.open.len() < OPEN_MAX;
        // The receipt is not awaited: the row is written before its settlement, and there is no byte to hold back.
        let mut flight = taken.unwrap_or_else(|| self.series.begin_uncovered().0);
        flight.begins();
        self.open.push(Turn { response, flight });
        covered
    }

    /// A piece of a response is here.
    pub(super) fn part(&mut self, response: &str, piece: &[u8]) {
        if let Some(turn) = self.open.iter_mut().find(|it| it.response == response) {
            turn.flight.arrived(piece);
        }
    }

    /// A response is over. Resolves once its row is closed.
    pub(super) fn done(&mut self, response: &str, seen: &Seen) -> Settled {
        let Some(at) = self.open.iter().position(|it| it.response == response) else {
            return Settled::NOTHING;
        };
        let mut turn = self.open.swap_remove(at);
        let ended = seen.error.as_ref().map_or(Ended::Whole, |fault| Ended::Failed(fault.class));
        let settled = turn.flight.settle(ended, seen);
        drop(turn);
        self.try_again();
        settled
    }

    /// What was said was written down, by a model of its own.
    pub(super) fn transcribed(&mut self, snapshot: &Snapshot, usage: Option<Usage>) {
        let model = self.settings.transcriber.as_deref().unwrap_or("transcription");
        let Ok(model) = ModelName::new(model) else { return };
        let id = OfferId::new(self.series.offer().id.provider().clone(), model);
        if let Some(offer) = snapshot.offer(&id) {
            self.series.beside(&offer, &Seen { usage, complete: true, ..Seen::default() });
        }
    }

    /// How the session is set up now.
    pub(super) fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// A speaker has stopped.
    pub(super) fn speech_stopped(&mut self) {
        self.speech_stopped = self.settings.answers_by_itself.then(Instant::now);
    }

    /// The session ends: what runs is charged by what is known of it, which is its worst case.
    pub(super) fn end(&mut self, ended: Ended) {
        let nothing = Seen::default();
        for mut turn in self.open.drain(..) {
            drop(turn.flight.settle(ended, &nothing));
        }
        for mut asked in self.asked.drain(..) {
            drop(asked.flight.settle(ended, &nothing));
        }
        let over = Failure::new(&errors::SESSION_OVER, "the session is over");
        let flight = match std::mem::replace(&mut self.ahead, Ahead::Refused(over)) {
            Ahead::Ready(flight) | Ahead::Opening(flight, _) => flight,
            Ahead::Refused(_) => return,
        };
        if self.speech_stopped.is_some_and(|at| at.elapsed() < ON_ITS_WAY) {
            let mut flight = flight;
            flight.begins();
            drop(flight.settle(ended, &nothing));
        } else {
            drop(flight.unused());
        }
    }
}

impl Drop for Turns {
    /// A session that is cut in the middle, or panics; one that has ended has nothing left.
    fn drop(&mut self) {
        self.end(Ended::Internal);
    }
}
