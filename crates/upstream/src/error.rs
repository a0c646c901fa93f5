//! What can go wrong on the way to a provider and back.

use domain::ErrorClass;

/// How far an attempt got before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Resolving the name, the address guard, or the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Writing the request.
    Send,
    /// Waiting for the response head.
    FirstByte,
}

impl Stage {
    /// The word used in logs and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Send => "send",
            Self::FirstByte => "first_byte",
        }
    }
}

/// An attempt that brought no response head.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// The class that breakers, retries and the ledger act on.
    pub class: ErrorClass,
    /// How far it got.
    pub stage: Stage,
    /// Whether a byte of the request may have left. `false` means surely not, so nothing can be billed.
    pub sent: bool,
    /// For people; names the host, never a secret, a path or a body.
    pub message: String,
}

/// A response that broke off or broke the protocol after its head.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct BodyError {
    /// `BadResponse`: cut or malformed. (Stalls are the caller's: it owns the idle deadline.)
    pub class: ErrorClass,
    /// For people.
    pub message: String,
}

impl BodyError {
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::BadResponse, message: message.into() }
    }
}

/// A base URL or a CA file that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The URL is not of the form `http(s)://host[:port][/path]`.
    #[error("not a usable base URL: {0}")]
    Url(&'static str),
    /// The host is an address that needs `allow_private_address: true`, or that is never allowed.
    #[error("address {address} is {kind}")]
    Address {
        /// The address as written.
        address: String,
        /// What it is: `private`, `link-local`, ...
        kind: &'static str,
    },
    /// The CA file holds no usable certificate.
    #[error("not a usable CA file: {0}")]
    Ca(String),
}
