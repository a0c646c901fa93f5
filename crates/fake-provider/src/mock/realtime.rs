//! Realtime sessions of the mock: the handshake, and the frames.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use super::behaviour::{Behaviour, Fault};
use super::http1::{Conn, Request, Stream};
use super::send::Outcome;
use super::serve::{Server, call, headers};
use super::state::Ended;
use crate::ask::Refused;
use crate::demo::Reply;
use crate::openai;
use crate::realtime::Talk;

/// Whether a session is asked for.
pub(super) fn is_meant(request: &Request) -> bool {
    matches!(request.path(), "/v1/realtime" | "/openai/v1/realtime")
}

/// The model that the query names, percent signs of slashes and colons taken out.
pub(super) fn model_of(request: &Request) -> Option<String> {
    let query = request.target.split_once('?')?.1;
    let value = query.split('&').find_map(|it| it.strip_prefix("model="))?;
    Some(value.replace("%2F", "/").replace("%3A", ":").replace("%40", "@"))
}

/// Why there is no session, or the answer to the challenge.
pub(super) fn agree(server: &Server, request: &Request) -> Result<String, Box<Reply>> {
    let refuse = |refused: Refused| Err(Box::new(openai::error(&refused)));
    // A browser bears its key as a subprotocol.
    let protocols = request.header("sec-websocket-protocol").unwrap_or_default();
    let mut protocols = protocols.split(',');
    let aside = protocols.find_map(|it| it.trim().strip_prefix("openai-insecure-api-key."));
    let bearer = aside.map(|key| format!("Bearer {key}"));
    let mut own = headers(request);
    own.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    if let Err(refused) = openai::authenticate(&server.demo, &call(request, &own)) {
        return refuse(refused);
    }
    let Some(model) = model_of(request).filter(|it| !it.is_empty()) else {
        return refuse(Refused::field("model", "You must provide a model parameter."));
    };
    if !model.contains("realtime") && server.demo.resolve(&model).is_none() {
        let why = format!("The model `{model}` does not exist or you do not have access to it.");
        return refuse(Refused::new(404, why).code("model_not_found"));
    }
    let is = |name: &str, wanted: &str| {
        request.header(name).is_some_and(|it| it.to_ascii_lowercase().contains(wanted))
    };
    let challenge = request.header("sec-websocket-key").unwrap_or_default();
    let sound = request.method == "GET"
        && is("upgrade", "websocket")
        && is("connection", "upgrade")
        && is("sec-websocket-version", "13")
        && challenge.len() == 24
        && request.body.is_empty();
    if !sound {
        return refuse(Refused::new(400, "This endpoint needs a WebSocket."));
    }
    Ok(derive_accept_key(challenge.as_bytes()))
}

/// Runs a session on the connection, which it uses up.
pub(super) async fn run<S: Stream>(
    server: &Server,
    mut conn: Conn<S>,
    request: &Request,
    accept: &str,
    behaviour: &Behaviour,
) -> Outcome {
    let protocol = request.header("sec-websocket-protocol").unwrap_or_default();
    let chosen = if protocol.split(',').any(|it| it.trim() == "realtime") {
        "sec-websocket-protocol: realtime\r\n"
    } else {
        ""
    };
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {accept}\r\n{chosen}x-request-id: req_fake_realtime\r\n\r\n"
    );
    if conn.write(head.as_bytes()).await.is_err() {
        return Outcome::gone(101);
    }
    let beta = request.header("openai-beta").is_some_and(|it| it.contains("realtime=v1"))
        || protocol.contains("openai-beta.realtime-v1");
    let model = model_of(request).unwrap_or_default();
    let talk = Talk::new(&model, beta, behaviour.tweak.clone());
    let (io, inbox) = conn.into_parts();
    let socket = WebSocketStream::from_partially_read(io, inbox, Role::Server, None).await;
    let how = converse(server, socket, talk, behaviour).await.unwrap_or(Ended::Cancelled);
    Outcome { status: 101, how, keep: false }
}

/// Says and hears until one side has had enough.
async fn converse<S: Stream>(
    server: &Server,
    mut socket: WebSocketStream<S>,
    mut talk: Talk,
    behaviour: &Behaviour,
) -> Result<Ended, ()> {
    let gap = Duration::from_millis(behaviour.tweak.gap_ms.unwrap_or(0));
    let mut said = 0;
    let mut turns = 0;
    let greeting = talk.greeting();
    let mut ready = vec![greeting];
    loop {
        for event in ready.drain(..) {
            if behaviour.fault.is_some() && said >= behaviour.at {
                return broken(socket, behaviour.fault).await;
            }
            said += 1;
            socket.send(Message::text(event.to_string())).await.map_err(drop)?;
        }
        server.shared.turned(talk.turns - turns);
        turns = talk.turns;
        let pause = async {
            if talk.has_more() {
                tokio::time::sleep(gap).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            heard = socket.next() => match heard {
                Some(Ok(Message::Text(text))) => {
                    server.shared.heard();
                    ready = talk.take(&text);
                }
                Some(Ok(Message::Close(_))) => {
                    // The answer to it.
                    drop(socket.flush().await);
                    return Ok(Ended::Done);
                }
                None => return Ok(Ended::Done),
                Some(Ok(Message::Binary(_))) => {
                    let frame = CloseFrame { code: CloseCode::Unsupported, reason: "text only".into() };
                    drop(socket.close(Some(frame)).await);
                    return Ok(Ended::Done);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) => return Err(()),
            },
            () = pause => ready.extend(talk.next()),
        }
    }
}

/// What a fault makes of a session.
async fn broken<S: Stream>(
    mut socket: WebSocketStream<S>,
    fault: Option<Fault>,
) -> Result<Ended, ()> {
    match fault {
        Some(Fault::StallAt) => while socket.next().await.is_some_and(|it| it.is_ok()) {},
        Some(Fault::Close) => {
            let frame = CloseFrame { code: CloseCode::Restart, reason: "as told".into() };
            drop(socket.close(Some(frame)).await);
            while socket.next().await.is_some_and(|it| it.is_ok()) {}
        }
        Some(Fault::RstAt) => socket.get_ref().arm_reset(),
        _ => {}
    }
    Ok(Ended::Fault)
}
