//! Where requests go: a base URL, read by one parser. What it checked is what is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use http::HeaderValue;

use crate::error::TargetError;
use crate::guard::{self, Reach};
use crate::tls::{self, ClientTls};

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

/// A provider's base URL, checked. Cheap to clone; connections are pooled by the original and its clones, so
/// make one per provider and configuration, not one per request.
#[derive(Clone, Debug)]
pub struct Target(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
    /// `host[:port]` as it stands in `host:` and `:authority`.
    pub(crate) authority: String,
    pub(crate) host_header: HeaderValue,
    pub(crate) base_path: String,
    pub(crate) reach: Reach,
    pub(crate) tls: Option<ClientTls>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Name(String),
    Address(IpAddr, String),
}

impl Host {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Name(text) | Self::Address(_, text) => text,
        }
    }
}

impl Target {
    /// Reads a base URL such as `https://api.openai.com/v1`.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn parse(base_url: &str, allow_private_address: bool) -> Result<Self, TargetError> {
        Self::new(base_url, &TargetOptions { allow_private_address, ..TargetOptions::default() })
    }

    /// The same with all options.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn new(base_url: &str, options: &TargetOptions) -> Result<Self, TargetError> {
        let reach = if options.allow_private_address { Reach::Private } else { Reach::Public };
        Self::within(base_url, options, reach)
    }

    /// A cloud's metadata service: the only targets that may have the address of one.
    pub(crate) fn metadata(base_url: &str) -> Result<Self, TargetError> {
        Self::within(base_url, &TargetOptions::default(), Reach::Metadata)
    }

    /// The same for whoever names it.
    pub(crate) fn within(
        base_url: &str,
        options: &TargetOptions,
        reach: Reach,
    ) -> Result<Self, TargetError> {
        let parts = split(base_url).map_err(TargetError::Url)?;
        if let Host::Address(address, text) = &parts.host {
            guard::check(*address, reach)
                .map_err(|kind| TargetError::Address { address: text.clone(), kind })?;
        }
        let default_port = match parts.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let shown = match &parts.host {
            Host::Address(IpAddr::V6(_), text) => format!("[{text}]"),
            Host::Address(IpAddr::V4(_), text) | Host::Name(text) => text.clone(),
        };
        let port = parts.port.unwrap_or(default_port);
        let authority = if port == default_port { shown } else { format!("{shown}:{port}") };
        let host_header = HeaderValue::from_str(&authority)
            .map_err(|_| TargetError::Url("the host can't stand in a header"))?;
        let tls = match parts.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(tls::client_tls(parts.host.as_str(), options)?),
        };
        Ok(Self(Arc::new(Inner {
            scheme: parts.scheme,
            host: parts.host,
            port,
            authority,
            host_header,
            base_path: parts.path,
            reach,
            tls,
        })))
    }

    /// The host that a base URL names, whether it may be dialled or not; `None` if it can't be read.
    pub(crate) fn named_host(base_url: &str) -> Option<String> {
        split(base_url).ok().map(|parts| parts.host.as_str().to_owned())
    }

    /// Plain or TLS.
    pub fn scheme(&self) -> Scheme {
        self.0.scheme
    }

    /// The host name or address, without brackets.
    pub fn host(&self) -> &str {
        self.0.host.as_str()
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// `host`, with the port unless it is the scheme's own.
    pub fn authority(&self) -> &str {
        &self.0.authority
    }

    /// The path that request paths are appended to; empty or `/...` without a final slash.
    pub fn base_path(&self) -> &str {
        &self.0.base_path
    }
}

struct Parts {
    scheme: Scheme,
    host: Host,
    port: Option<u16>,
    path: String,
}

/// Strict on purpose: whatever two parsers could read differently (userinfo, backslashes, numeric hosts other
/// than four decimal numbers, percent signs in the host, white space) is no base URL.
fn split(url: &str) -> Result<Parts, &'static str> {
    if let Some(bad) = url.bytes().find(|byte| !(0x21..=0x7e).contains(byte)) {
        return Err(match bad {
            0x80.. => "it holds a character outside ASCII (write international names in punycode)",
            _ => "it holds white space or a control character",
        });
    }
    if url.contains('\\') {
        return Err("it holds a backslash");
    }
    let (scheme, rest) = if let Some(rest) = url.strip_prefix("https://") {
        (Scheme::Https, rest)
    } else if let Some(rest) = url.strip_prefix("http://") {
        (Scheme::Http, rest)
    } else {
        return Err("it must begin with `http://` or `https://`");
    };
    if rest.contains(['?', '#']) {
        return Err("it must not hold a query or a fragment");
    }
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, path),
        None => (rest, ""),
    };
    if authority.contains('@') {
        return Err("it must not hold a user name or password");
    }
    let (host, port) = split_port(authority)?;
    Ok(Parts { scheme, host: parse_host(host)?, port, path: parse_path(path)? })
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = if authority.starts_with('[') {
        let Some((host, rest)) = authority.split_once(']') else {
            return Err("the bracket of the IPv6 address is not closed");
        };
        let port = match rest {
            "" => None,
            _ => Some(rest.strip_prefix(':').ok_or("text follows the IPv6 address")?),
        };
        (host, port)
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let port = match port {
        None => None,
        Some(text) => {
            let plain = (1..=5).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && !text.starts_with('0');
            if !plain {
                return Err("the port is not a number from 1 to 65535");
            }
            Some(text.parse().map_err(|_| "the port is not a number from 1 to 65535")?)
        }
    };
    Ok((host, port))
}

fn parse_host(text: &str) -> Result<Host, &'static str> {
    if let Some(inner) = text.strip_prefix('[') {
        let address: Ipv6Addr = inner.parse().map_err(|_| "the IPv6 address is malformed")?;
        return Ok(Host::Address(IpAddr::V6(address), address.to_string()));
    }
    if text.is_empty() {
        return Err("the host is missing");
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(IpAddr::V4(address), address.to_string()));
    }
    let name = text.to_ascii_lowercase();
    let bare = name.strip_suffix('.').unwrap_or(&name);
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if bare.len() > 253 || !bare.split('.').all(label_ok) {
        return Err("the host is not a name or an address");
    }
    // What resolvers take for a number (2130706433, 0x7f.1, 127.1, 0177.0.0.1) is no name.
    let last = bare.rsplit('.').next().unwrap_or(bare);
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || (last.starts_with("0x") && last.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit()));
    if numeric {
        return Err("the host looks like an address but is not four decimal numbers");
    }
    Ok(Host::Name(bare.to_owned()))
}

fn parse_path(text: &str) -> Result<String, &'static str> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.is_empty() {
        return Ok(String::new());
    }
    for segment in text.split('/') {
        let decoded = segment.to_ascii_lowercase().replace("%2e", ".");
        if decoded.is_empty() || decoded == "." || decoded == ".." {
            return Err("the path holds an empty, `.` or `..` segment");
        }
        if decoded.contains("%2f") || decoded.contains("%5c") || decoded.contains("%00") {
            return Err("the path holds an encoded slash, backslash or NUL");
        }
        let plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@".contains(&byte);
        if !segment.bytes().all(plain) {
            return Err("the path holds a character that URLs don't allow");
        }
    }
    Ok(format!("/{text}"))
}

#[cfg(test)]
mod tests {
    use super::{Scheme, Target};
    use crate::error::TargetError;

    #[test]
    fn reads_the_usual_forms() {
        for (url, scheme, host, port, authority, path) in [
            (
                "https://api.openai.com/v1",
                Scheme::Https,
                "api.openai.com",
                443,
                "api.openai.com",
                "/v1",
            ),
            (
                "https://API.OpenAI.com/v1/",
                Scheme::Https,
                "api.openai.com",
                443,
                "api.openai.com",
                "/v1",
            ),
            (
                "http://localhost:11434/v1",
                Scheme::Http,
                "localhost",
                11434,
                "localhost:11434",
                "/v1",
            ),
            ("http://127.0.0.1:8000", Scheme::Http, "127.0.0.1", 8000, "127.0.0.1:8000", ""),
            ("http://[::1]:8000/", Scheme::Http, "::1", 8000, "[::1]:8000", ""),
            ("https://x.example:443/a/b", Scheme::Https, "x.example", 443, "x.example", "/a/b"),
            (
                "http://gpu-1.local_net:80",
                Scheme::Http,
                "gpu-1.local_net",
                80,
                "gpu-1.local_net",
                "",
            ),
        ] {
            let target = Target::parse(url, false).unwrap();
            let seen = (
                target.scheme(),
                target.host(),
                target.port(),
                target.authority(),
                target.base_path(),
            );
            assert_eq!(seen, (scheme, host, port, authority, path), "{url}");
        }
    }

    #[test]
    fn refuses_what_two_parsers_could_read_differently() {
        for url in [
            "",
            "api.openai.com",
            "ftp://x.example",
            "HTTP://x.example",
            "http:/x.example",
            "http:///v1",
            "http://:80",
            "http://user@x.example",
            "http://user:pass@x.example",
            "http://x.example\\@y.example",
            "http://x.example\\y",
            "http:\\\\x.example",
            "http://x.example?y",
            "http://x.example#y",
            "http://x.example/v1?y=1",
            "http://2130706433",
            "http://2130706433/v1",
            "http://0x7f000001",
            "http://0x7f.0.0.1",
            "http://0177.0.0.1",
            "http://127.1",
            "http://127.0.0.1.",
            "http://127.0.0.01",
            "http://127.0.0.1.5",
            "http://1.2.3.256",
            "http://x.example:",
            "http://x.example:0",
            "http://x.example:080",
            "http://x.example:65536",
            "http://x.example:+80",
            "http://x.example:80:80",
            "http://[::1",
            "http://[::1]x",
            "http://[fe80::1%25eth0]",
            "http://[::g]",
            "http://[127.0.0.1]",
            "http://x%2eexample",
            "http://x..example",
            "http://-x.example",
            "http://x.example /",
            "http://x.example/\t",
            "http://b\u{fc}cher.example",
            "http://x.example/v1/../v2",
            "http://x.example/%2e%2e/v2",
            "http://x.example/a//b",
            "http://x.example/a%2fb",
            "http://x.example/a%00",
            "http://x.example/<a>",
        ] {
            assert!(
                matches!(Target::parse(url, true), Err(TargetError::Url(_))),
                "{url:?} gave {:?}",
                Target::parse(url, true)
            );
        }
    }

    #[test]
    fn guards_addresses_already_when_reading() {
        for url in ["http://10.1.2.3/v1", "http://[::ffff:127.0.0.1]:80", "http://[fd00::1]"] {
            assert!(matches!(Target::parse(url, false), Err(TargetError::Address { .. })), "{url}");
            assert!(Target::parse(url, true).is_ok(), "{url}");
        }
        assert!(Target::parse("http://169.254.169.254/latest", true).is_err());
        assert!(Target::parse("http://[fd00:ec2::254]/", true).is_err());
        assert!(Target::parse("http://0.0.0.0:8000", true).is_err());
    }
}
