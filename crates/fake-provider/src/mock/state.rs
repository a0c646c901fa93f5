//! What the mock remembers: rules, counters, held answers, the latest requests, and the journal file.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::behaviour::{Behaviour, Facts, Rule, fault_names};
use super::http1::Request;
use super::issuer::Issuer;
use crate::demo::Reply;
use crate::lorem;

/// Shared between the serving thread and whoever holds the [`super::Mock`].
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    issuer: Mutex<Issuer>,
    /// Tickets up to this number are released.
    released: watch::Sender<u64>,
    accepting: watch::Sender<bool>,
}

#[derive(Default)]
struct Inner {
    rules: Vec<Rule>,
    counters: Counters,
    kept: VecDeque<Value>,
    keep: usize,
    journal: Option<File>,
    next: u64,
    tickets: u64,
    connections: BTreeMap<u64, AbortHandle>,
}

#[derive(Default)]
struct Counters {
    arrivals: u64,
    done: u64,
    cancelled: u64,
    faulted: u64,
    in_flight: u64,
    max_in_flight: u64,
    held: u64,
    connections: u64,
    sent_bytes: u64,
    trapped: u64,
    /// Responses begun in realtime sessions, and events that were heard in them.
    turns: u64,
    events: u64,
    by_path: BTreeMap<String, u64>,
    by_model: BTreeMap<String, u64>,
    by_status: BTreeMap<u16, u64>,
    by_key: BTreeMap<String, u64>,
    journal_errors: u64,
}

/// How a request ended, as the journal says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The last byte was handed to the socket.
    Done,
    /// The caller left before that.
    Cancelled,
    /// We broke it on purpose.
    Fault,
}

/// A request that was let in.
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) behaviour: Option<Behaviour>,
}

fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Headers that may carry an id by which a caller's record and ours can be matched.
const ID_HEADERS: [&str; 5] = [
    "x-request-id",
    "x-client-request-id",
    "x-outrigger-request-id",
    "idempotency-key",
    "traceparent",
];

impl Shared {
    pub(crate) fn new(journal: Option<File>, keep: usize) -> Self {
        Shared {
            inner: Mutex::new(Inner { keep, journal, ..Inner::default() }),
            issuer: Mutex::default(),
            released: watch::Sender::new(0),
            accepting: watch::Sender::new(true),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn arm_issuer(&self, setup: Value) {
        self.issuer.lock().unwrap_or_else(PoisonError::into_inner).arm(setup);
    }

    /// What the log-in services say to a request, where it concerns them.
    pub(crate) fn issuer(&self, request: &Request) -> Option<Reply> {
        self.issuer.lock().unwrap_or_else(PoisonError::into_inner).answer(request)
    }

    pub(crate) fn accepting(&self) -> watch::Receiver<bool> {
        self.accepting.subscribe()
    }

    /// Opens or closes the main listener; `drop_open` also breaks the connections that are open.
    pub(crate) fn accept(&self, open: bool, drop_open: bool) {
        self.accepting.send_replace(open);
        if drop_open {
            for (_, task) in std::mem::take(&mut self.lock().connections) {
                task.abort();
            }
        }
    }

    pub(crate) fn connected(&self, number: u64, task: AbortHandle) {
        let mut inner = self.lock();
        inner.counters.connections += 1;
        inner.connections.insert(number, task);
    }

    pub(crate) fn disconnected(&self, number: u64) {
        self.lock().connections.remove(&number);
    }

    /// Counts and journals an arrival, before anything is answered.
    pub(crate) fn arrive(
        &self,
        connection: u64,
        request: &Request,
        facts: &Facts<'_>,
        mark: &str,
    ) -> Arrival {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        let key = if facts.key.is_empty() {
            String::new()
        } else {
            format!("{:016x}", lorem::hash(facts.key.as_bytes()))
        };
        let c = &mut inner.counters;
        c.arrivals += 1;
        c.in_flight += 1;
        c.max_in_flight = c.max_in_flight.max(c.in_flight);
        bump(&mut c.by_path, facts.path);
        bump(&mut c.by_model, facts.model);
        bump(&mut c.by_key, &key);
        if inner.journal.is_some() {
            let ids: BTreeMap<&str, &str> =
                ID_HEADERS.iter().filter_map(|n| Some((*n, request.header(n)?))).collect();
            inner.write(&json!({"at": now_micros(), "ev": "arrive", "n": number, "conn": connection, "method": request.method,
                "path": facts.path, "model": facts.model, "stream": facts.stream, "bytes": facts.body.len(),
                "hash": format!("{:016x}", lorem::hash(facts.body)), "key": key, "ids": ids, "mark": mark}));
        }
        inner.remember(number, request);
        let behaviour = inner.rules.iter_mut().find_map(|r| r.take(facts));
        Arrival { number, behaviour }
    }

    pub(crate) fn end(&self, number: u64, status: u16, sent: u64, how: Ended) {
        let mut inner = self.lock();
        let c = &mut inner.counters;
        c.in_flight = c.in_flight.saturating_sub(1);
        c.sent_bytes += sent;
        *c.by_status.entry(status).or_default() += 1;
        let word = match how {
            Ended::Done => {
                c.done += 1;
                "done"
            }
            Ended::Cancelled => {
                c.cancelled += 1;
                "cancelled"
            }
            Ended::Fault => {
                c.faulted += 1;
                "fault"
            }
        };
        if inner.journal.is_some() {
            inner.write(&json!({"at": now_micros(), "ev": word, "n": number, "status": status, "sent": sent}));
        }
    }

    /// So many responses were begun in a realtime session.
    pub(crate) fn turned(&self, turns: u64) {
        self.lock().counters.turns += turns;
    }

    /// An event of a realtime session was heard.
    pub(crate) fn heard(&self) {
        self.lock().counters.events += 1;
    }

    /// A redirect of ours was followed.
    pub(crate) fn trapped(&self) {
        self.lock().counters.trapped += 1;
    }

    /// Takes a ticket; the answer may go once the receiver's number has reached it.
    pub(crate) fn hold(&self) -> (u64, watch::Receiver<u64>) {
        let mut inner = self.lock();
        inner.tickets += 1;
        inner.counters.held += 1;
        (inner.tickets, self.released.subscribe())
    }

    pub(crate) fn unheld(&self) {
        let c = &mut self.lock().counters;
        c.held = c.held.saturating_sub(1);
    }

    /// Lets the next `count` held answers go, or all that are held now.
    pub(crate) fn release(&self, count: Option<u64>) {
        let tickets = self.lock().tickets;
        self.released
            .send_modify(|n| *n = count.map_or(tickets, |c| n.saturating_add(c).min(tickets)));
    }

    pub(crate) fn add_rule(&self, v: &Value) -> Result<(), String> {
        let rule = Rule::parse(v)?;
        self.lock().rules.push(rule);
        Ok(())
    }

    pub(crate) fn clear_rules(&self) {
        self.lock().rules.clear();
    }

    /// Counters, rules and kept requests back to nothing; held answers are released. The journal stays.
    pub(crate) fn reset(&self) {
        self.release(None);
        let mut inner = self.lock();
        inner.rules.clear();
        inner.kept.clear();
        let running = (inner.counters.in_flight, inner.counters.held);
        inner.counters = Counters { in_flight: running.0, held: running.1, ..Counters::default() };
    }

    pub(crate) fn stats(&self) -> Value {
        let inner = self.lock();
        let c = &inner.counters;
        json!({"arrivals": c.arrivals, "done": c.done, "cancelled": c.cancelled, "faulted": c.faulted,
            "in_flight": c.in_flight, "max_in_flight": c.max_in_flight, "held": c.held, "connections": c.connections,
            "open_connections": inner.connections.len(), "sent_bytes": c.sent_bytes, "trapped": c.trapped,
            "turns": c.turns, "events": c.events,
            "by_path": c.by_path, "by_model": c.by_model, "by_key": c.by_key, "journal_errors": c.journal_errors,
            "by_status": c.by_status.iter().map(|(k, v)| (k.to_string(), *v)).collect::<BTreeMap<_, _>>(),
            "rules": inner.rules.iter().map(Rule::counts).collect::<Vec<_>>(), "faults": fault_names()})
    }

    pub(crate) fn requests(&self) -> Vec<Value> {
        self.lock().kept.iter().cloned().collect()
    }
}

fn bump(map: &mut BTreeMap<String, u64>, key: &str) {
    match map.get_mut(key) {
        Some(n) => *n += 1,
        None => drop(map.insert(key.to_owned(), 1)),
    }
}

impl Inner {
    /// One line, one write, so that lines of a file opened for appending never mix.
    fn write(&mut self, line: &Value) {
        let text = format!("{line}\n");
        let written = self.journal.as_mut().map(|f| f.write_all(text.as_bytes()));
        if let Some(Err(_)) = written {
            self.counters.journal_errors += 1;
        }
    }

    fn remember(&mut self, number: u64, request: &Request) {
        if self.keep == 0 {
            return;
        }
        if self.kept.len() >= self.keep {
            self.kept.pop_front();
        }
        let headers: Vec<(&str, &str)> = request.headers().collect();
        self.kept.push_back(json!({"n": number, "method": request.method, "path": request.target, "headers": headers,
            "body": String::from_utf8_lossy(&request.body)}));
    }
}
