//! A session under way: two connections, and what goes from one to the other.
//!
//! Both are polled by one future, the connection's own task. Each direction holds at most one frame that its reader has
//! not taken; then its writer is not read.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use dialect::realtime::{self, Does, ProviderEvent};
use domain::{ErrorClass, RequestId};
use tokio::time::{Instant, Interval};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};
use upstream::Switched;

use super::ends::End;
use super::line::Line;
use super::turns::{Readiness, Turns};
use super::{QUIET_MAX, SESSION_MAX};
use crate::accept::Cx;
use crate::errors::{self, Failure};
use crate::gateway::Gateway;
use crate::listen::{Staying, Upgraded};
use crate::settle::{Flight, Series, Settled};
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// How often the clocks of a session are looked at.
const ROUND: Duration = Duration::from_secs(1);

/// Frames that pass before others on the thread get their turn.
const FRAMES_MAX: usize = 64;

/// What the session's model is called.
pub(super) struct Names {
    /// By the client.
    pub(super) asked: String,
    /// By the provider.
    pub(super) model: String,
}

/// A session that is about to run.
pub(super) struct Session {
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    id: RequestId,
    names: Names,
    turns: Turns,
    stall: Duration,
    provider_name: String,
}

type Progress = Poll<Result<(), End>>;

/// A session that runs.
struct Running<'a> {
    session: &'a mut Session,
    client: Line<Upgraded>,
    provider: Line<Switched>,
    staying: Staying,
    round: Interval,
    begun: Instant,
    /// When either side last said something.
    spoken: Instant,
    /// Since when a provider that owes a response has said nothing.
    owing: Instant,
    /// Our own word to the client; while it waits, the client is not read.
    say: Option<String>,
    /// The end of a response, for the client once its row is closed.
    held: Option<(Settled, Utf8Bytes)>,
    /// The client's, until the next turn is covered.
    waiting: Option<Waiting>,
    /// Whether the client knows that no further turn is covered.
    told: bool,
    /// How it ends once all is said.
    ending: Option<End>,
}

struct Waiting {
    text: Utf8Bytes,
    does: Does,
    event: Option<String>,
}

impl Session {
    pub(super) fn new(
        worker: &Worker,
        cx: &Cx,
        series: Series,
        first: Box<Flight>,
        names: Names,
    ) -> Self {
        let gateway = Arc::clone(&worker.gateway);
        gateway.metrics.streams_active.inc();
        let provider = &series.offer().provider;
        let stall = provider.idle.max(provider.deadlines.first_byte);
        let provider_name = provider.name.to_string();
        Self {
            gateway,
            snapshot: Arc::clone(&cx.snapshot),
            id: cx.id,
            names,
            turns: Turns::new(series, *first),
            stall,
            provider_name,
        }
    }

    /// Relays until one side ends it.
    pub(super) async fn run(mut self, client: Upgraded, mut provider: Switched, staying: Staying) {
        let first = client.first.to_vec();
        let client = Line::new(client, first, Role::Server).await;
        let first = std::mem::take(&mut provider.first).to_vec();
        let provider = Line::new(provider, first, Role::Client).await;
        let now = Instant::now();
        let mut running = Running {
            session: &mut self,
            client,
            provider,
            staying,
            round: tokio::time::interval(ROUND),
            begun: now,
            spoken: now,
            owing: now,
            say: None,
            held: None,
            waiting: None,
            told: false,
            ending: None,
        };
        let end = std::future::poll_fn(|context| running.poll(context)).await;
        let Running { client, provider, staying, .. } = running;
        self.turns.end(end.ended);
        let word = end.word.as_ref().map(|failure| self.event(failure, None));
        end.say(client.socket, provider.socket, word, &staying).await;
    }

    fn event(&self, failure: &Failure, refers_to: Option<&str>) -> String {
        let request_id = self.id.to_string();
        realtime::error_event(&failure.as_client_error(&request_id), refers_to)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.gateway.metrics.streams_active.dec();
    }
}

impl Running<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        for _ in 0..FRAMES_MAX {
            if let Some(end) = self.stopped(context) {
                return Poll::Ready(end);
            }
            let down = self.poll_down(context);
            let up = self.poll_up(context);
            match (down, up) {
                (Poll::Ready(Err(end)), _) | (_, Poll::Ready(Err(end))) => return Poll::Ready(end),
                (Poll::Pending, Poll::Pending) => return Poll::Pending,
                _ => {}
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// What ends a session from outside: a shutdown, and time.
    fn stopped(&mut self, context: &mut Context<'_>) -> Option<End> {
        if self.staying.is_ending() {
            return Some(End::shut_down());
        }
        let draining = self.staying.is_closing() && self.session.gateway.is_draining();
        if draining && self.session.turns.is_idle() && self.held.is_none() {
            return Some(End::shut_down());
        }
        let mut late = None;
        while self.round.poll_tick(context).is_ready() {
            late = late.or_else(|| self.late());
        }
        late
    }

    fn late(&mut self) -> Option<End> {
        let now = Instant::now();
        let since = |then: Instant| now.saturating_duration_since(then);
        if self.client.is_gone(now) {
            return Some(End::client_gone());
        }
        if self.provider.is_gone(now) {
            return Some(self.cut(ErrorClass::Stall, "the provider answers nothing any more"));
        }
        // What the client does not take keeps the provider from being read.
        if !self.session.turns.is_idle()
            && self.client.stuck.is_none()
            && since(self.owing) >= self.session.stall
        {
            return Some(self.cut(ErrorClass::Stall, "the provider stopped sending"));
        }
        if since(self.begun) >= SESSION_MAX {
            return Some(End::over("the session has lasted an hour"));
        }
        let quiet = since(self.spoken) >= QUIET_MAX;
        quiet.then(|| End::over("nobody has said anything for a quarter of an hour"))
    }

    fn cut(&self, class: ErrorClass, why: &str) -> End {
        End::cut(class, &self.session.provider_name, why)
    }

    /// A step from the provider to the client.
    fn poll_down(&mut self, context: &mut Context<'_>) -> Progress {
        ready!(self.client.poll_sent(context)).map_err(|_| End::client_gone())?;
        if let Some((settled, _)) = &mut self.held {
            let settled = ready!(Pin::new(settled).poll(context));
            let text = self.held.take().map(|(_, text)| text).unwrap_or_default();
            if settled.is_err() {
                return Poll::Ready(Err(End::unwritten()));
            }
            return Poll::Ready(self.tell_client(Message::Text(text)));
        }
        if let Some(word) = self.say.take() {
            return Poll::Ready(self.tell_client(Message::text(word)));
        }
        if let Some(end) = self.ending.take() {
            return Poll::Ready(Err(end));
        }
        match ready!(self.provider.poll_next(context)) {
            None => Poll::Ready(Err(self.cut(ErrorClass::BadResponse, "the provider hung up"))),
            Some(Err(error)) => {
                let why = format!("the session broke: {error}");
                Poll::Ready(Err(self.cut(ErrorClass::BadResponse, &why)))
            }
            Some(Ok(Message::Text(text))) => {
                self.spoken = Instant::now();
                self.owing = self.spoken;
                Poll::Ready(self.heard_provider(text))
            }
            Some(Ok(Message::Binary(bytes))) => {
                Poll::Ready(self.tell_client(Message::Binary(bytes)))
            }
            Some(Ok(Message::Close(frame))) => Poll::Ready(Err(End::by_provider(frame))),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                Poll::Ready(Ok(()))
            }
        }
    }

    fn tell_client(&mut self, message: Message) -> Result<(), End> {
        self.client.send(message).map_err(|_| End::client_gone())
    }

    fn heard_provider(&mut self, text: Utf8Bytes) -> Result<(), End> {
        let turns = &mut self.session.turns;
        match realtime::provider_event(&text) {
            ProviderEvent::Created { response } => {
                if !turns.created(response) {
                    let why = "the provider began a response that no budget covers";
                    let failure = turns.refusal().cloned();
                    return Err(End::uncovered(
                        failure.unwrap_or_else(|| Failure::new(&errors::BUDGET_EXCEEDED, why)),
                    ));
                }
            }
            ProviderEvent::Part { response } => turns.part(&response, text.as_bytes()),
            ProviderEvent::Done { response, seen } => {
                let settled = turns.done(&response, &seen);
                if turns.is_idle()
                    && let Some(failure) = turns.refusal()
                {
                    self.ending = Some(End::uncovered(failure.clone()));
                }
                self.held = Some((settled, text));
                return Ok(());
            }
            ProviderEvent::Refused { event } => turns.refused(event.as_deref()),
            ProviderEvent::Session(settings) => turns.set(settings),
            ProviderEvent::SpeechStopped => turns.speech_stopped(),
            ProviderEvent::Transcribed { usage } => {
                turns.transcribed(&self.session.snapshot, usage);
            }
            ProviderEvent::Other => {}
        }
        self.tell_client(Message::Text(text))
    }

    /// A step from the client to the provider.
    fn poll_up(&mut self, context: &mut Context<'_>) -> Progress {
        ready!(self.provider.poll_sent(context))
            .map_err(|_| self.cut(ErrorClass::BadResponse, "the provider hung up"))?;
        if self.say.is_some() || self.ending.is_some() {
            return Poll::Pending;
        }
        if self.waiting.is_some() {
            let readiness = ready!(self.session.turns.poll_ready(context));
            return Poll::Ready(self.decided(readiness));
        }
        match ready!(self.client.poll_next(context)) {
            None => Poll::Ready(Err(End::client_gone())),
            Some(Err(error)) => Poll::Ready(Err(End::unreadable(&error))),
            Some(Ok(Message::Text(text))) => {
                self.spoken = Instant::now();
                Poll::Ready(self.heard_client(text))
            }
            Some(Ok(Message::Binary(_))) => {
                let why = "events are text: a binary frame can't be read, and so not metered";
                self.refuse(&Failure::new(&errors::BAD_JSON, why), None);
                Poll::Ready(Ok(()))
            }
            Some(Ok(Message::Close(frame))) => Poll::Ready(Err(End::by_client(frame))),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                Poll::Ready(Ok(()))
            }
        }
    }

    fn heard_client(&mut self, text: Utf8Bytes) -> Result<(), End> {
        let event = match realtime::client_event(&text) {
            Ok(event) => event,
            Err(error) => {
                self.refuse(&Failure::new(&errors::BAD_JSON, error.why), None);
                return Ok(());
            }
        };
        let text = match event.model {
            None => text,
            Some((name, _)) if name == self.session.names.model => text,
            Some((name, place)) if name == self.session.names.asked => self.renamed(&text, place),
            Some((name, _)) => {
                self.refuse(&self.other_model(&name), event.id.as_deref());
                return Ok(());
            }
        };
        if event.does == Does::Nothing {
            return self.tell_provider(text);
        }
        if self.session.turns.refusal().is_some() {
            self.session.turns.try_again();
        }
        self.waiting = Some(Waiting { text, does: event.does, event: event.id });
        Ok(())
    }

    /// The client's name for the model, in the provider's words.
    fn renamed(&self, text: &str, place: std::ops::Range<usize>) -> Utf8Bytes {
        let mut text = text.to_owned();
        let name = serde_json::Value::from(self.session.names.model.as_str()).to_string();
        text.replace_range(place, &name);
        text.into()
    }

    fn other_model(&self, name: &str) -> Failure {
        let name = crate::resolve::shown(name);
        let message = format!(
            "this session is with `{}`: `{name}` has other prices and perhaps other permissions",
            self.session.names.asked
        );
        let failure = Failure::new(&errors::BAD_FIELD, message).field("session.model");
        failure.fix(format!("Leave `model` out, or connect to `/v1/realtime?model={name}`."))
    }

    fn tell_provider(&mut self, text: Utf8Bytes) -> Result<(), End> {
        let sent = self.provider.send(Message::Text(text));
        sent.map_err(|_| self.cut(ErrorClass::BadResponse, "the provider hung up"))
    }

    /// What waits is sent, or refused.
    fn decided(&mut self, readiness: Readiness) -> Result<(), End> {
        let Some(Waiting { text, does, event }) = self.waiting.take() else { return Ok(()) };
        match readiness {
            Readiness::Covered => {
                self.told = false;
                if does == Does::Asks
                    && let Err(failure) = self.session.turns.asks(event.clone())
                {
                    self.refuse(&failure, event.as_deref());
                    return Ok(());
                }
                if does == Does::Asks {
                    self.owing = Instant::now();
                }
                self.tell_provider(text)
            }
            Readiness::Refused(failure) if self.session.turns.is_idle() => {
                Err(End::uncovered(failure))
            }
            // What is running goes on; nothing new is sent, and sound that comes meanwhile is lost.
            Readiness::Refused(failure) => {
                if does == Does::Asks || !self.told {
                    self.told = true;
                    self.refuse(&failure, event.as_deref());
                }
                Ok(())
            }
        }
    }

    /// Tells the client that what it said goes nowhere.
    fn refuse(&mut self, failure: &Failure, refers_to: Option<&str>) {
        self.say = Some(self.session.event(failure, refers_to));
    }
}
