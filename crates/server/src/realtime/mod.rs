//! Realtime sessions: a client and a provider talk over a WebSocket each, and frames go from one to the other untouched.
//!
//! A session is one request. It is admitted, planned and tried at one offer after another like any other, up to the
//! moment at which a provider has switched protocols; from then on it stays there. Each response is a row of its own
//! ([`turns`]). There are two connections and no queue: a side that does not read stops the other from being read.

mod ends;
mod handshake;
mod line;
mod session;
mod turns;

use std::time::Duration;

use dialect::Peek;
use domain::{Endpoint, ErrorClass};
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};
use session::{Names, Session};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

pub use handshake::Handshake;

use crate::accept::{self, Cx, Flown, Run};
use crate::body::RespBody;
use crate::dispatch::{self, Call, Fault};
use crate::kept::Past;
use crate::listen::TakeOver;
use crate::read::Ask;
use crate::settle::{Admission, Flight, Series};
use crate::worker::Worker;

/// How long a session may last: OpenAI ends its own after an hour.
pub const SESSION_MAX: Duration = Duration::from_hours(1);

/// How long neither side may say anything.
const QUIET_MAX: Duration = Duration::from_mins(15);

/// After how long a side that is silent is asked whether it is there.
const ASK_AFTER: Duration = Duration::from_secs(30);

/// After how long a side that answers nothing, or takes nothing, is gone.
const GONE_AFTER: Duration = Duration::from_secs(75);

/// Most bytes of a message. OpenAI takes 15 MiB of sound in one.
const MESSAGE_MAX: usize = 16 << 20;

/// Frames are small and many, sessions are long: buffers are small, and nothing waits in them.
fn framing() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MESSAGE_MAX)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
}

/// A session as the steps before it see it: a request for a model, without a body.
pub fn ask(cx: &Cx, handshake: &Handshake) -> Ask {
    let mut peek = Peek::default();
    peek.model.clone_from(&handshake.model);
    peek.stream = true;
    peek.limits.answers = 1;
    let body = bytes::Bytes::new();
    let past = Past::default();
    let (client, endpoint) = (cx.client, Endpoint::Realtime);
    Ask { client, endpoint, body, path_model: None, peek, past, way: None }
}

/// Opens the line to a provider; the answer to the client switches protocols.
pub async fn open(
    worker: &Worker,
    cx: &Cx,
    run: &Run<'_>,
    mut flight: Box<Flight>,
    call: &Call,
) -> Flown {
    let Some(handshake) = &run.handshake else {
        return Err(fault(flight, "a session without a handshake"));
    };
    let provider = match dispatch::switch(worker, call, handshake.is_beta).await {
        Ok(stream) => stream,
        Err(fault) => return Err(accept::failed(flight, fault)),
    };
    let Some(series) = Series::after(&mut flight, cx) else {
        return Err(fault(flight, "a call without an intent"));
    };
    let names = Names {
        asked: run.ask.peek.model.clone(),
        model: call.offer.id.model().as_str().to_owned(),
    };
    let session = Session::new(worker, cx, series, flight, names);
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    accept::insert(&mut headers, "sec-websocket-accept", &handshake.accept);
    if handshake.names_protocol {
        headers.insert("sec-websocket-protocol", HeaderValue::from_static("realtime"));
    }
    accept::offer_headers(cx, call, &mut headers);
    let work =
        TakeOver::new(move |client, staying| Box::pin(session.run(client, provider, staying)));
    Ok(accept::respond(StatusCode::SWITCHING_PROTOCOLS, headers, RespBody::Session(Some(work))))
}

fn fault(flight: Box<Flight>, why: &str) -> (Fault, Option<Admission>) {
    accept::failed(flight, Fault::silent(ErrorClass::Internal, false, why))
}
