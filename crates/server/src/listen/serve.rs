//! The acceptor and the loop that serves one thread's connections.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::{Notify, mpsc};

use super::conn::{ConnInfo, serve_connection};
use super::gate::{Gate, Place};
use super::handler::{LastWords, ReqBody};
use super::limits::ListenLimits;
use super::state::{ConnState, Order};

/// How long answers that the drain did not wait for have to say so.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long a client may go on sending after our last word.
const LEAVE_TAKING: Duration = Duration::from_secs(2);

/// How a serving thread ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Requests that were still in flight at the drain deadline and were cut.
    pub cut: usize,
    /// Requests handled in all.
    pub requests: u64,
}

struct Arrival {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    place: Place,
    on_thread: OnThread,
}

/// Counts a thread's connections.
#[derive(Debug)]
struct OnThread(Arc<AtomicUsize>);

impl Drop for OnThread {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where the acceptor puts the connections of one thread.
#[derive(Clone)]
pub struct Intake {
    sender: mpsc::UnboundedSender<Arrival>,
    open: Arc<AtomicUsize>,
}

/// Where a thread takes its connections from.
pub struct Arrivals(mpsc::UnboundedReceiver<Arrival>);

/// The way from the acceptor to one thread. Unbounded by itself; the gate's connection limit bounds it.
pub fn intake() -> (Intake, Arrivals) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Intake { sender, open: Arc::new(AtomicUsize::new(0)) }, Arrivals(receiver))
}

/// Opens a listening socket: address reuse on, backlog 4,096, non-blocking.
///
/// # Errors
/// As the system says: in use, not permitted, no such address.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts connections and hands each to the thread with the fewest, until the gate closes. Runs on any one
/// of the runtimes.
///
/// # Errors
/// When the listening socket can't be used at all; failures of single connections are passed over.
pub async fn accept(
    listener: TcpListener,
    intakes: Vec<Intake>,
    gate: Arc<Gate>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut stopping = std::pin::pin!(gate.stopping());
    loop {
        let accepted = std::future::poll_fn(|cx| {
            if stopping.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            listener.poll_accept(cx).map(Some)
        })
        .await;
        match accepted {
            None => return Ok(()),
            Some(Ok((stream, peer))) => hand_over(stream, peer, &intakes, &gate),
            Some(Err(error)) => {
                // Out of file descriptors or memory; or the connection died in the queue. Neither gets better
                // by spinning.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn hand_over(
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    intakes: &[Intake],
    gate: &Arc<Gate>,
) {
    let Some(place) = gate.admit(peer.ip()) else { return };
    // From one runtime's reactor to another's by way of the plain socket.
    let Ok(stream) = stream.into_std() else { return };
    let Some(intake) = intakes.iter().min_by_key(|it| it.open.load(Ordering::Relaxed)) else {
        return;
    };
    intake.open.fetch_add(1, Ordering::Relaxed);
    let on_thread = OnThread(Arc::clone(&intake.open));
    // A thread that has ended drops what it is sent, which closes it.
    drop(intake.sender.send(Arrival { stream, peer, place, on_thread }));
}

/// Serves the connections of one thread until the gate closes and they are done or cut. Runs within a
/// `LocalRuntime` or `LocalSet`: connections are local tasks.
///
/// A handler that panics costs its own request a 500 and nothing else; a client that leaves drops the handler's
/// future (or the response body) at once.
pub async fn serve<H, F, B>(mut arrivals: Arrivals, gate: Arc<Gate>, handler: Rc<H>) -> Served
where
    H: Fn(Request<ReqBody>, ConnInfo) -> F + 'static,
    F: Future<Output = Response<B>> + 'static,
    B: http_body::Body<Data = Bytes> + LastWords + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let watch = Rc::new(Watchman::new(gate.limits.clone()));
    let mut number = 0_u64;
    let mut round = tokio::time::interval(watch.round);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let deadline = {
        let mut stopping = std::pin::pin!(gate.stopping());
        loop {
            tokio::select! {
                biased;
                deadline = &mut stopping => break deadline,
                _ = round.tick() => watch.look(),
                arrival = arrivals.0.recv() => match arrival {
                    None => break Instant::now() + Duration::from_hours(24),
                    Some(arrival) => {
                        number += 1;
                        watch.take(arrival, number, &gate, &handler);
                    }
                },
            }
        }
    };
    arrivals.0.close();
    while let Ok(arrival) = arrivals.0.try_recv() {
        number += 1;
        watch.take(arrival, number, &gate, &handler);
    }
    watch.drain(deadline, &gate, &mut round).await
}

/// Looks after the connections of a thread.
struct Watchman {
    limits: ListenLimits,
    round: Duration,
    clock: Rc<Cell<Instant>>,
    connections: RefCell<BTreeMap<u64, Rc<ConnState>>>,
    gone: Notify,
    requests: Cell<u64>,
}

impl Watchman {
    fn new(limits: ListenLimits) -> Self {
        let shortest =
            limits.header_deadline.min(limits.keep_alive_idle).min(limits.connection_age);
        Self {
            limits,
            round: (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(1)),
            clock: Rc::new(Cell::new(Instant::now())),
            connections: RefCell::default(),
            gone: Notify::new(),
            requests: Cell::new(0),
        }
    }

    fn take<H, F, B>(
        self: &Rc<Self>,
        arrival: Arrival,
        number: u64,
        gate: &Arc<Gate>,
        handler: &Rc<H>,
    ) where
        H: Fn(Request<ReqBody>, ConnInfo) -> F + 'static,
        F: Future<Output = Response<B>> + 'static,
        B: http_body::Body<Data = Bytes> + LastWords + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Arrival { stream, peer, place, on_thread } = arrival;
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return };
        self.clock.set(Instant::now());
        let state = ConnState::new(Rc::clone(&self.clock));
        self.connections.borrow_mut().insert(number, Rc::clone(&state));
        let (watch, gate, handler) = (Rc::clone(self), Arc::clone(gate), Rc::clone(handler));
        tokio::task::spawn_local(async move {
            serve_connection(stream, peer, &gate, handler, Rc::clone(&state)).await;
            drop((place, on_thread));
            watch.requests.set(watch.requests.get() + state.requests.get());
            watch.connections.borrow_mut().remove(&number);
            watch.gone.notify_one();
        });
    }

    /// One round: who has been at something for too long?
    fn look(&self) {
        let now = Instant::now();
        self.clock.set(now);
        for (number, state) in self.connections.borrow().iter() {
            let since = |then: Instant| now.saturating_duration_since(then);
            let patience = if state.leaving.get() {
                self.limits.header_deadline.min(LEAVE_TAKING)
            } else {
                self.limits.header_deadline
            };
            let pressed = state.pressing_since.get().is_some_and(|it| since(it) > patience);
            let idle = state.in_flight.get() == 0
                && since(state.idle_since.get()) > self.limits.keep_alive_idle;
            if pressed || (idle && since(state.idle_since.get()) > self.limits.keep_alive_idle * 2)
            {
                state.give(Order::Cut);
            } else if idle || since(state.accepted) > self.age_limit(*number) {
                state.give(Order::Close);
            }
        }
    }

    /// Up to a tenth less than the limit, spread by number, so that connections made together don't end together.
    fn age_limit(&self, number: u64) -> Duration {
        let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        self.limits.connection_age * (2560 - scattered as u32) / 2560
    }

    async fn drain(
        &self,
        mut deadline: Instant,
        gate: &Gate,
        round: &mut tokio::time::Interval,
    ) -> Served {
        for state in self.connections.borrow().values() {
            state.give(Order::Close);
        }
        while !self.connections.borrow().is_empty() && Instant::now() < deadline {
            tokio::select! {
                () = self.gone.notified() => {}
                _ = round.tick() => self.look(),
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
            deadline = gate.drain_deadline().unwrap_or(deadline);
        }
        let mut cut = 0;
        for state in self.connections.borrow().values() {
            cut += state.in_flight.get();
            state.give(Order::LastWords);
        }
        let until = Instant::now() + LAST_WORDS;
        while !self.connections.borrow().is_empty() && Instant::now() < until {
            tokio::select! {
                () = self.gone.notified() => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
        for state in self.connections.borrow().values() {
            state.give(Order::Cut);
        }
        // Cut connections end as soon as they are polled.
        while !self.connections.borrow().is_empty() {
            self.gone.notified().await;
        }
        Served { cut, requests: self.requests.get() }
    }
}
