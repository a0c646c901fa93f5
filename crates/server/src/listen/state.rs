//! What the parts of one connection and the thread's watchman know of each other.
//!
//! No connection has a timer of its own: the watchman looks at all of them a few times per deadline, by a clock
//! that it alone reads. So a request costs a few stores into cells, and nothing else.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use super::framing::Violation;
use super::upgraded::TakeOver;

/// What the watchman wants of a connection. Grows only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Go on.
    Serve,
    /// Finish what is in flight, take nothing new.
    Close,
    /// Say why it ends, and end.
    LastWords,
    /// End now.
    Cut,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct ConnState {
    /// The thread's coarse clock.
    clock: Rc<Cell<Instant>>,
    pub(super) accepted: Instant,
    /// Since when a head has been arriving, or a farewell being said: what has a short deadline.
    pub(super) pressing_since: Cell<Option<Instant>>,
    /// Since when no request has been in flight.
    pub(super) idle_since: Cell<Instant>,
    pub(super) in_flight: Cell<usize>,
    pub(super) requests: Cell<u64>,
    pub(super) violation: Cell<Option<Violation>>,
    pub(super) h2: Cell<bool>,
    /// Not known yet what it speaks: nothing to finish.
    pub(super) opening: Cell<bool>,
    /// The last word has been said; only the client's leftovers are read.
    pub(super) leaving: Cell<bool>,
    /// HTTP has ended on it: what comes is another protocol's, and what runs now is [`ConnState::taken_over`].
    pub(super) switched: Cell<bool>,
    pub(super) taken_over: RefCell<Option<(TakeOver, InFlight)>>,
    /// The socket took no more the last time we wrote.
    blocked: Cell<bool>,
    /// A failure waits for the socket; see [`InFlight::unsent`].
    waiting: Cell<bool>,
    order: Cell<Order>,
    waker: RefCell<Option<Waker>>,
    /// Who waits on HTTP/2, where each stream is a task of its own; by the number of the request.
    streams: RefCell<BTreeMap<u64, Waker>>,
}

impl ConnState {
    pub(super) fn new(clock: Rc<Cell<Instant>>) -> Rc<Self> {
        let now = clock.get();
        Rc::new(Self {
            clock,
            accepted: now,
            pressing_since: Cell::new(Some(now)),
            idle_since: Cell::new(now),
            in_flight: Cell::new(0),
            requests: Cell::new(0),
            violation: Cell::new(None),
            h2: Cell::new(false),
            opening: Cell::new(true),
            leaving: Cell::new(false),
            switched: Cell::new(false),
            taken_over: RefCell::new(None),
            blocked: Cell::new(false),
            waiting: Cell::new(false),
            order: Cell::new(Order::Serve),
            waker: RefCell::new(None),
            streams: RefCell::default(),
        })
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.get()
    }

    pub(super) fn order(&self) -> Order {
        self.order.get()
    }

    /// Gives an order (a weaker one than before is ignored) and wakes the connection.
    pub(super) fn give(&self, order: Order) {
        let order = if self.opening.get() && order > Order::Serve { Order::Cut } else { order };
        if order > self.order.get() {
            self.order.set(order);
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
        if self.order.get() >= Order::LastWords {
            for waker in std::mem::take(&mut *self.streams.borrow_mut()).into_values() {
                waker.wake();
            }
        }
    }

    /// Says whether the socket took what was written.
    pub(super) fn wrote<T>(&self, progress: &Poll<T>) {
        self.blocked.set(progress.is_pending());
        if progress.is_ready() && self.waiting.replace(false) {
            self.wake();
        }
    }

    /// Says that a head is arriving, or is not any more.
    pub(super) fn pressing(&self, pressing: bool) {
        match (pressing, self.pressing_since.get()) {
            (true, None) => self.pressing_since.set(Some(self.now())),
            (false, Some(_)) => self.pressing_since.set(None),
            _ => {}
        }
    }

    /// Runs `work` until it ends or the connection is to be cut.
    pub(super) async fn cuttable(&self, work: impl Future<Output = ()>) {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            if self.order.get() == Order::Cut {
                return Poll::Ready(());
            }
            let mut waker = self.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            drop(waker);
            work.as_mut().poll(cx)
        })
        .await;
    }
}

/// A request in flight: from the call of its handler to the end of its response body.
#[derive(Debug)]
pub(super) struct InFlight(Rc<ConnState>, u64);

impl InFlight {
    pub(super) fn new(state: &Rc<ConnState>) -> Self {
        state.in_flight.set(state.in_flight.get() + 1);
        state.requests.set(state.requests.get() + 1);
        Self(Rc::clone(state), state.requests.get())
    }

    /// Whether the connection is about to be cut: what is still to be said must be said now. If not, the task is woken
    /// when it is.
    pub(super) fn is_ending(&self, waker: &Waker) -> bool {
        if self.0.order.get() >= Order::LastWords {
            return true;
        }
        if self.0.h2.get() {
            let mut streams = self.0.streams.borrow_mut();
            if !streams.get(&self.1).is_some_and(|it| it.will_wake(waker)) {
                streams.insert(self.1, waker.clone());
            }
        }
        false
    }
}

impl InFlight {
    /// Lets `work` take the connection over once the head of its answer is out. It counts as in flight until it ends.
    pub(super) fn take_over(&self, work: TakeOver) {
        let state = &self.0;
        state.in_flight.set(state.in_flight.get() + 1);
        state.switched.set(true);
        *state.taken_over.borrow_mut() = Some((work, Self(Rc::clone(state), self.1)));
    }

    /// Whether the connection is to finish what it does and take nothing new.
    pub(super) fn is_closing(&self) -> bool {
        self.0.order.get() >= Order::Close
    }

    /// Whether the connection still holds bytes that the socket did not take. If so, the task is woken when it
    /// does; a client that never reads is cut by the watchman. (On HTTP/2 streams have queues of their own, of
    /// which nothing is known here.)
    pub(super) fn unsent(&self) -> bool {
        if !self.0.blocked.get() || self.0.h2.get() {
            return false;
        }
        self.0.waiting.set(true);
        self.0.pressing(true);
        true
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.h2.get() {
            self.0.streams.borrow_mut().remove(&self.1);
        }
        self.0.in_flight.set(self.0.in_flight.get().saturating_sub(1));
        self.0.idle_since.set(self.0.now());
        if self.0.violation.get().is_some() {
            // The reader held back the end of the stream while this was in flight.
            self.0.wake();
        }
    }
}
