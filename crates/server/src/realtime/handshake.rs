//! A client's opening handshake (RFC 6455, section 4.2), as a session has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use http::header::{HeaderName, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::errors::{self, Failure};
use crate::listen::route::{self, NoRoute};

/// A key in a subprotocol, where a browser has to put it: it can't set headers. So OpenAI's own SDKs do.
const KEY_PREFIX: &str = "openai-insecure-api-key.";
/// The beta's header as a subprotocol.
const BETA: &str = "openai-beta.realtime-v1";

/// What a client's handshake says.
pub struct Handshake {
    /// The model that it asks for.
    pub model: String,
    /// The answer to its challenge.
    pub accept: String,
    /// Whether it names the subprotocol `realtime`.
    pub names_protocol: bool,
    /// Whether it speaks the beta's events, told by a subprotocol.
    pub is_beta: bool,
    /// The key, where a subprotocol bears it. Neither answered with nor sent on.
    pub key: Option<String>,
}

impl Handshake {
    /// Reads a handshake.
    ///
    /// # Errors
    /// It is none, or names no model.
    pub fn read(parts: &Parts) -> Result<Self, Failure> {
        let headers = &parts.headers;
        let upgrade = |why: &str| Err(Failure::new(&errors::UPGRADE_REQUIRED, why.to_owned()));
        if parts.method != Method::GET || parts.version != Version::HTTP_11 {
            return upgrade("a session begins with `GET` over HTTP/1.1");
        }
        if !lists(headers, &UPGRADE, "websocket") || !lists(headers, &CONNECTION, "upgrade") {
            return upgrade("the request does not ask for a WebSocket");
        }
        if one(headers, &SEC_WEBSOCKET_VERSION) != Some("13") {
            return upgrade("`sec-websocket-version` is not 13");
        }
        let challenge = one(headers, &SEC_WEBSOCKET_KEY).unwrap_or_default();
        if STANDARD.decode(challenge).map(|it| it.len()) != Ok(16) {
            return upgrade("`sec-websocket-key` is not 16 bytes in base64");
        }
        let model = route::query_model(parts.uri.query()).map_err(|error| match error {
            NoRoute::Malformed(why) => Failure::new(&errors::BAD_PATH, why),
            _ => Failure::new(&errors::BAD_PATH, "this route takes no such query"),
        })?;
        let Some(model) = model else {
            let failure = Failure::new(&errors::BAD_FIELD, "`model` is missing").field("model");
            return Err(failure.fix("Name it in the query: `/v1/realtime?model=...`."));
        };
        let mut handshake = Self {
            model: model.into_owned(),
            accept: derive_accept_key(challenge.as_bytes()),
            names_protocol: false,
            is_beta: false,
            key: None,
        };
        handshake.protocols(headers)?;
        Ok(handshake)
    }

    fn protocols(&mut self, headers: &HeaderMap) -> Result<(), Failure> {
        for name in items(headers, &SEC_WEBSOCKET_PROTOCOL) {
            if let Some(key) = name.strip_prefix(KEY_PREFIX) {
                if self.key.as_deref().is_some_and(|other| other != key) {
                    let why = "the request bears two different API keys";
                    let failure = Failure::new(&errors::INVALID_API_KEY, why);
                    return Err(failure.fix("Send one key only."));
                }
                self.key = Some(key.to_owned());
            }
            self.names_protocol |= name == "realtime";
            self.is_beta |= name == BETA;
        }
        Ok(())
    }
}

/// The one value of a header.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let only = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(only)
}

fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let texts = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',').map(str::trim)).filter(|item| !item.is_empty())
}

fn lists(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    items(headers, name).any(|item| item.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(uri: &str, change: &[(&str, &str)]) -> Parts {
        let mut request = Request::get(uri).body(()).unwrap();
        let headers = request.headers_mut();
        let sound = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            // The example of RFC 6455, section 1.3.
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in sound.iter().chain(change) {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        request.into_parts().0
    }

    fn code(uri: &str, change: &[(&str, &str)]) -> &'static str {
        Handshake::read(&parts(uri, change)).map_or_else(|failure| failure.kind.code, |_| "sound")
    }

    #[test]
    fn a_sound_handshake_is_answered() {
        let read = Handshake::read(&parts("/v1/realtime?model=mock%2Fgpt-realtime", &[])).unwrap();
        assert_eq!(read.model, "mock/gpt-realtime");
        assert_eq!(read.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(read.key.is_none() && !read.names_protocol && !read.is_beta);
    }

    #[test]
    fn a_browser_bears_its_key_in_a_subprotocol() {
        let all = "realtime, openai-insecure-api-key.or-abc-def, openai-beta.realtime-v1";
        let change = [("sec-websocket-protocol", all)];
        let read = Handshake::read(&parts("/v1/realtime?model=m", &change)).unwrap();
        assert_eq!(read.key.as_deref(), Some("or-abc-def"));
        assert!(read.names_protocol && read.is_beta);
        let two = "openai-insecure-api-key.or-a, openai-insecure-api-key.or-b";
        let change = [("sec-websocket-protocol", two)];
        assert_eq!(code("/v1/realtime?model=m", &change), "invalid_api_key");
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let uri = "/v1/realtime?model=m";
        for change in [
            [("connection", "keep-alive")],
            [("upgrade", "h2c")],
            [("sec-websocket-version", "8")],
            [("sec-websocket-key", "short")],
        ] {
            assert_eq!(code(uri, &change), "upgrade_required", "{change:?}");
        }
        assert_eq!(code("/v1/realtime", &[]), "bad_field");
        assert_eq!(code("/v1/realtime?model=a&deployment=b", &[]), "bad_path");
        assert_eq!(code("/v1/realtime?model=a%00", &[]), "bad_path");
        assert_eq!(code("/openai/realtime?api-version=x&deployment=d", &[]), "sound");
    }
}
