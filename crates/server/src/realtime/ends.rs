//! How a session ends, and what each side is told.

use std::time::Duration;

use domain::ErrorClass;
use flow::Ended;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use upstream::Switched;

use crate::errors::{self, Failure};
use crate::listen::{Staying, Upgraded};

/// How long a client may take to answer a close.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// The same where the gateway stops, and of a provider, whose answer nobody waits for.
const CLOSE_SOON: Duration = Duration::from_millis(200);

/// The end of a session.
pub(super) struct End {
    /// For the rows of what was running.
    pub(super) ended: Ended,
    /// What the client is told before it is closed.
    pub(super) word: Option<Failure>,
    client: Option<CloseFrame>,
    provider: Option<CloseFrame>,
    /// Whether the client is there to be told.
    listens: bool,
}

fn frame(code: CloseCode, reason: &'static str) -> CloseFrame {
    CloseFrame { code, reason: reason.into() }
}

impl End {
    fn new(ended: Ended, client: impl Into<Option<CloseFrame>>) -> Self {
        let (client, provider) = (client.into(), Some(frame(CloseCode::Normal, "")));
        Self { ended, word: None, client, provider, listens: true }
    }

    fn saying(self, word: Failure) -> Self {
        Self { word: Some(word), ..self }
    }

    /// The client said good-bye.
    pub(super) fn by_client(close: Option<CloseFrame>) -> Self {
        Self { provider: passed_on(close.clone()), ..Self::new(Ended::ClientLeft, close) }
    }

    /// The client is not there any more.
    pub(super) fn client_gone() -> Self {
        let provider = Some(frame(CloseCode::Away, ""));
        Self { provider, listens: false, ..Self::new(Ended::ClientLeft, None) }
    }

    /// The client can't be read any more: it is gone, or sent what can't be taken.
    pub(super) fn unreadable(error: &Error) -> Self {
        let (code, reason) = match error {
            Error::Capacity(_) => (CloseCode::Size, "a message is longer than 16 MiB"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                return Self::client_gone();
            }
            Error::Protocol(_) => (CloseCode::Protocol, "this is no WebSocket"),
            Error::Utf8(_) => (CloseCode::Invalid, "a text is not UTF-8"),
            _ => return Self::client_gone(),
        };
        Self::new(Ended::ClientLeft, frame(code, reason))
    }

    /// The provider said good-bye.
    pub(super) fn by_provider(close: Option<CloseFrame>) -> Self {
        let ended = Ended::Failed(ErrorClass::BadResponse);
        Self { provider: close.clone(), ..Self::new(ended, passed_on(close)) }
    }

    /// The provider went without a word, or stopped.
    pub(super) fn cut(class: ErrorClass, provider: &str, why: &str) -> Self {
        let message = format!("{provider}: {why}");
        let word = Failure {
            provider: Some(provider.to_owned()),
            attempts: 1,
            ..Failure::new(&errors::STREAM_INTERRUPTED, message)
        };
        Self::new(Ended::Failed(class), frame(CloseCode::Error, "the provider was lost"))
            .saying(word)
    }

    /// No further turn is covered.
    pub(super) fn uncovered(why: Failure) -> Self {
        let client = frame(CloseCode::Policy, why.kind.code);
        Self::new(Ended::Abandoned(ErrorClass::Refusal), client).saying(why)
    }

    /// A row can't be closed.
    pub(super) fn unwritten() -> Self {
        let word = Failure::new(&errors::LEDGER_UNAVAILABLE, "the ledger can't be written");
        Self::new(Ended::Internal, frame(CloseCode::Error, word.kind.code)).saying(word)
    }

    /// The gateway stops.
    pub(super) fn shut_down() -> Self {
        let word = Failure::new(&errors::DRAINING, "the gateway is shutting down");
        Self::new(Ended::Internal, frame(CloseCode::Away, word.kind.code)).saying(word)
    }

    /// Its time is over.
    pub(super) fn over(why: &'static str) -> Self {
        let ended = Ended::Abandoned(ErrorClass::Refusal);
        let word = Failure::new(&errors::SESSION_OVER, why);
        Self::new(ended, frame(CloseCode::Normal, word.kind.code)).saying(word)
    }

    /// Closes both lines: the provider's at once, the client's in good form.
    pub(super) async fn say(
        self,
        mut client: WebSocketStream<Upgraded>,
        mut provider: WebSocketStream<Switched>,
        word: Option<String>,
        staying: &Staying,
    ) {
        let far = async {
            let closing = async {
                // Its own close is answered by this, and ours is not sent then.
                drop(provider.flush().await);
                drop(provider.close(self.provider).await);
            };
            // Whatever it says to that, nobody listens.
            drop(timeout(CLOSE_SOON, closing).await);
            drop(provider);
        };
        let near = async {
            if !self.listens {
                return;
            }
            let limit = if staying.is_ending() { CLOSE_SOON } else { CLOSE_MAX };
            let closing = async {
                if let Some(word) = word {
                    client.send(Message::text(word)).await?;
                }
                // Its own close is answered by this, and ours is not sent then.
                client.flush().await?;
                if client.close(self.client).await.is_ok() {
                    while client.next().await.is_some_and(|it| it.is_ok()) {}
                }
                tokio::io::AsyncWriteExt::shutdown(client.get_mut()).await?;
                Ok::<(), Error>(())
            };
            // A client that is gone has nothing to hear.
            drop(timeout(limit, closing).await);
        };
        tokio::join!(far, near);
    }
}

/// A close as it goes on to the other side; what must not be sent is left out.
fn passed_on(close: Option<CloseFrame>) -> Option<CloseFrame> {
    close.filter(|it| it.code.is_allowed())
}
