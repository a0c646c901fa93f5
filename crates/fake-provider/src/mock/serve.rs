//! One connection: request after request, each answered as told.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::behaviour::{Behaviour, Facts};
use super::control;
use super::http1::{Conn, Request, Stream};
use super::realtime;
use super::send::{self, Outcome};
use super::state::{Ended, Shared};
use crate::demo::{Call, Demo, Reply};
use crate::gemini;
use crate::kept;
use crate::lorem;
use crate::model;
use crate::oci;
use crate::passed;

/// Plain answers that are remembered, so that a load run costs the mock little.
const CACHED: usize = 256;

/// What the connections of one mock share.
pub(crate) struct Server {
    pub(crate) demo: Demo,
    pub(crate) shared: Arc<Shared>,
    cache: RefCell<HashMap<u64, Rc<Known>>>,
}

/// A request read once, and its plain answer if it always gets the same.
pub(super) struct Known {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) mark: String,
    pub(super) reply: Option<Reply>,
}

impl Server {
    pub(crate) fn new(demo: Demo, shared: Arc<Shared>) -> Self {
        Server { demo, shared, cache: RefCell::default() }
    }

    /// Serves until the peer leaves or an answer breaks the connection.
    pub(crate) async fn connection<S: Stream>(&self, number: u64, io: S) {
        let mut conn = Conn::new(io);
        loop {
            let request = match conn.request().await {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(_) => {
                    drop(conn.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await);
                    return;
                }
            };
            let close = request.wants_close();
            if realtime::is_meant(&request) {
                conn = match self.session(number, conn, &request).await {
                    Some(conn) => conn,
                    None => return,
                };
                continue;
            }
            let keep = if request.path().starts_with("/__mock/") {
                control::serve(&self.shared, &mut conn, &request).await
            } else {
                self.answer(number, &mut conn, &request).await
            };
            if close || !keep {
                return;
            }
        }
    }

    async fn answer<S: Stream>(&self, number: u64, conn: &mut Conn<S>, request: &Request) -> bool {
        let known = self.known(request);
        let key = presented(request);
        let facts = Facts {
            path: request.path(),
            model: &known.model,
            stream: known.stream,
            body: &request.body,
            key,
        };
        let arrival = self.shared.arrive(number, request, &facts, &known.mark);
        let mut guard =
            Guard { shared: &self.shared, number: arrival.number, held: false, ended: false };
        let behaviour = match told(request) {
            Ok(own) => own.or(arrival.behaviour),
            Err(message) => {
                Some(Behaviour { status: Some(400), body: Some(message), ..Behaviour::default() })
            }
        };
        let outcome = self.play(conn, request, &known, behaviour, &mut guard).await;
        guard.end(outcome.status, conn.sent, outcome.how);
        outcome.keep
    }

    /// The refusal of a signature that is too old or too new, where signatures are looked at.
    fn late(&self, request: &Request) -> Option<Reply> {
        self.demo.options.oci_user.as_ref().filter(|_| request.path().starts_with(oci::ROOT))?;
        let refused = oci::late(request.header("date"), SystemTime::now())?;
        Some(oci::error(&refused))
    }

    /// A realtime session, or its refusal; the connection comes back where it can serve another request.
    async fn session<S: Stream>(
        &self,
        number: u64,
        mut conn: Conn<S>,
        request: &Request,
    ) -> Option<Conn<S>> {
        let model = realtime::model_of(request).unwrap_or_default();
        let key = presented(request);
        let facts =
            Facts { path: request.path(), model: &model, stream: true, body: &request.body, key };
        let arrival = self.shared.arrive(number, request, &facts, "");
        let mut guard =
            Guard { shared: &self.shared, number: arrival.number, held: false, ended: false };
        let behaviour = arrival.behaviour.unwrap_or_default();
        let refused = behaviour.status.map(|status| send::told_error(request, status, &behaviour));
        let at_once = behaviour.at == 0 && behaviour.fault.is_some();
        let agreed = match refused {
            Some(reply) => Err(Box::new(reply)),
            None => realtime::agree(self, request),
        };
        match agreed {
            Ok(accept) if !at_once => {
                let outcome = realtime::run(self, conn, request, &accept, &behaviour).await;
                guard.end(outcome.status, 0, outcome.how);
                None
            }
            Ok(_) => {
                let reply = crate::openai::error(&crate::ask::Refused::new(500, "as told"));
                let outcome = send::reply(&mut conn, &reply, &behaviour, guard.number).await;
                guard.end(outcome.status, conn.sent, outcome.how);
                outcome.keep.then_some(conn)
            }
            Err(reply) => {
                let outcome =
                    send::reply(&mut conn, &reply, &Behaviour::default(), guard.number).await;
                guard.end(outcome.status, conn.sent, outcome.how);
                outcome.keep.then_some(conn)
            }
        }
    }

    async fn play<S: Stream>(
        &self,
        conn: &mut Conn<S>,
        request: &Request,
        known: &Known,
        behaviour: Option<Behaviour>,
        guard: &mut Guard<'_>,
    ) -> Outcome {
        let Some(behaviour) = behaviour else {
            let reply = self
                .shared
                .issuer(request)
                .or_else(|| self.late(request))
                .or_else(|| known.reply.clone())
                .unwrap_or_else(|| self.demo.respond(&call(request, &headers(request))));
            return send::reply(conn, &reply, &Behaviour::default(), guard.number).await;
        };
        if behaviour.hold {
            let (ticket, mut released) = self.shared.hold();
            guard.held = true;
            let gone = conn.until(released.wait_for(|upto| *upto >= ticket)).await.is_err();
            guard.unheld();
            if gone {
                return Outcome::gone(0);
            }
        }
        let reply = match behaviour.status {
            Some(status) => send::told_error(request, status, &behaviour),
            None => self.shared.issuer(request).unwrap_or_else(|| {
                self.demo.respond_with(&call(request, &headers(request)), &behaviour.tweak)
            }),
        };
        send::reply(conn, &send::altered(reply, &behaviour), &behaviour, guard.number).await
    }

    /// Reads what rules and journal need, or recalls it.
    pub(super) fn known(&self, request: &Request) -> Rc<Known> {
        let id = fingerprint(request);
        if let Some(known) = self.cache.borrow().get(&id) {
            return known.clone();
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let in_path = gemini::model_of(&request.target);
        let in_form =
            body.is_null().then(|| passed::form_field(&call(request, &headers(request)), "model"));
        let in_body = body.get("model").and_then(Value::as_str).unwrap_or_default();
        let signed = request.path().starts_with(oci::ROOT);
        let beside = in_path.or_else(|| signed.then(|| oci::named(&body)));
        let model = beside.map_or(in_body, |(model, _)| model).to_owned();
        let model = in_form.flatten().unwrap_or(model);
        // What fails has no fixed answer: `flaky` goes by its own sequence. What is kept changes with each call, and what
        // is signed has a date that is looked at.
        let flaky = model::base(self.demo.resolve(&model).unwrap_or_default()) == "flaky";
        let steady = !flaky && !signed && !kept::is_meant(request.path());
        let reply = steady.then(|| self.demo.respond(&call(request, &headers(request))));
        let known = Rc::new(Known {
            stream: body.get("stream") == Some(&Value::Bool(true))
                || beside.is_some_and(|(_, streams)| streams),
            mark: mark(&body),
            model,
            reply,
        });
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(id, known.clone());
        known
    }
}

/// The key that a request presents.
pub(super) fn presented(request: &Request) -> &str {
    let bearer = request.header("authorization").and_then(|v| v.strip_prefix("Bearer "));
    let named = ["x-api-key", "x-goog-api-key"].iter().find_map(|name| request.header(name));
    named.or(bearer).unwrap_or_default()
}

/// Hash of all that decides a plain answer.
fn fingerprint(request: &Request) -> u64 {
    let mut id = lorem::hash(&request.body) ^ lorem::mix(request.body.len() as u64);
    for part in [&request.method, &request.target] {
        id = lorem::mix(id ^ lorem::hash(part.as_bytes()));
    }
    for name in [
        "anthropic-version",
        "anthropic-beta",
        "authorization",
        "x-api-key",
        "x-goog-api-key",
        "content-type",
        "x-fern-sdk-name",
    ] {
        id = lorem::mix(id ^ lorem::hash(request.header(name).unwrap_or_default().as_bytes()));
    }
    id
}

/// What a test wrote into a request to find it in the journal: the user id, else the start of the last text.
fn mark(body: &Value) -> String {
    let id = body.get("user").or_else(|| body.pointer("/metadata/user_id")).and_then(Value::as_str);
    if let Some(id) = id {
        return id.chars().take(64).collect();
    }
    let body = body.get("chatRequest").unwrap_or(body);
    let said = body.get("messages").or_else(|| body.get("input"));
    let last = said.and_then(Value::as_array).and_then(|m| m.last());
    let content = last.and_then(|m| m.get("content").or_else(|| m.get("output"))).or(said);
    let text = content
        .and_then(Value::as_str)
        .or_else(|| content?.as_array()?.iter().find_map(|p| p.get("text")?.as_str()));
    text.unwrap_or_default().chars().take(64).collect()
}

/// The behaviour in the request's own `x-mock` header.
pub(super) fn told(request: &Request) -> Result<Option<Behaviour>, String> {
    let Some(text) = request.header("x-mock") else { return Ok(None) };
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    Behaviour::parse(&value).map(Some)
}

pub(super) fn headers(request: &Request) -> Vec<(&str, &str)> {
    request.headers().collect()
}

pub(super) fn call<'a>(request: &'a Request, headers: &'a [(&'a str, &'a str)]) -> Call<'a> {
    Call { method: &request.method, path: &request.target, headers, body: &request.body }
}

/// Sees to it that every arrival has its end in the books, also when the connection's task is aborted.
struct Guard<'a> {
    shared: &'a Shared,
    number: u64,
    held: bool,
    ended: bool,
}

impl Guard<'_> {
    fn unheld(&mut self) {
        if std::mem::take(&mut self.held) {
            self.shared.unheld();
        }
    }

    fn end(&mut self, status: u16, sent: u64, how: Ended) {
        self.ended = true;
        self.shared.end(self.number, status, sent, how);
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.unheld();
        if !self.ended {
            self.shared.end(self.number, 0, 0, Ended::Fault);
        }
    }
}
