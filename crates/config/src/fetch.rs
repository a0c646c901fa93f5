//! `routing.fetch_urls`: whether, and from where, what a client names by URL is fetched for offers that take it inline
//! only.

use crate::check::Problem;
use crate::read::{Context, Section};
use crate::spec::{Field, Kind, Scalar, defaulted, required};

/// What it says.
pub(crate) const DOC: &str = "What becomes of images and documents at URLs whose offer takes them inline only: `refuse`, or `allow` (the gateway fetches them from public addresses and sends them inline), or `{hosts: [images.example.com]}` (from these hosts only).";

/// What it may be.
pub(crate) const KIND: Kind =
    Kind::OneOf(&[Kind::Word(&["refuse", "allow"]), Kind::Section(FIELDS)]);

static FIELDS: &[Field] = &[
    required(
        "hosts",
        "Hosts that may be asked: `images.example.com`, `*.example.com` for all below it, `files.example.com:8443` for a port that is not the scheme's own.",
        Kind::List(&Kind::Scalar(Scalar::Host)),
    ),
    defaulted(
        "allow_private_address",
        "false",
        "Whether these hosts may have inner addresses, or be this machine.",
        Kind::Scalar(Scalar::Bool),
    ),
];

/// From where what a client names by URL is fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FetchUrls {
    /// From nowhere.
    #[default]
    Refuse,
    /// From any host with a public address, at the port of `http` or `https`.
    Allow,
    /// From these hosts only.
    From(FetchHosts),
}

/// Hosts that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchHosts {
    /// Which.
    pub hosts: Vec<FetchHost>,
    /// Whether they may have inner addresses.
    pub allow_private_address: bool,
}

/// A host that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchHost {
    /// Its name or address, lower-case, without brackets; of `*.example.com` what follows the star.
    name: String,
    /// Whether every host below it is meant, and not itself.
    below: bool,
    /// Its port; the scheme's own where none is given.
    port: Option<u16>,
}

impl FetchUrls {
    /// Whether anything is fetched.
    pub fn is_allowed(&self) -> bool {
        *self != Self::Refuse
    }

    /// Whether `port` of `host` may be asked; `own_port` is that of the URL's scheme.
    pub fn may_ask(&self, host: &str, port: u16, own_port: u16) -> bool {
        match self {
            Self::Refuse => false,
            // Another port could be anything that listens: a client must not be able to try them out.
            Self::Allow => port == own_port,
            Self::From(them) => them.hosts.iter().any(|it| it.is(host, port, own_port)),
        }
    }

    /// Whether inner addresses may be dialled.
    pub fn allow_private_address(&self) -> bool {
        matches!(self, Self::From(them) if them.allow_private_address)
    }
}

impl FetchHost {
    /// Reads `images.example.com`, `*.example.com`, `192.0.2.1:9000` or `[2001:db8::1]`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (rest, below) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text.as_str(), false),
        };
        let (name, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (inner, port) = rest.split_once(']')?;
                let address: std::net::Ipv6Addr = inner.parse().ok()?;
                let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
                (address.to_string(), port)
            }
            None => match rest.split_once(':') {
                Some((name, port)) => (name.to_owned(), Some(port)),
                None => (rest.to_owned(), None),
            },
        };
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
        };
        let is_named = rest.starts_with('[') || name.split('.').all(is_label);
        let port = match port {
            Some(port) => Some(port.parse().ok().filter(|port| *port > 0)?),
            None => None,
        };
        (is_named && !(below && rest.starts_with('['))).then_some(Self { name, below, port })
    }

    fn is(&self, host: &str, port: u16, own_port: u16) -> bool {
        let named = if self.below {
            host.strip_suffix(&self.name).is_some_and(|above| above.ends_with('.'))
        } else {
            host == self.name
        };
        named && port == self.port.unwrap_or(own_port)
    }
}

/// Reads it.
pub(crate) fn read(routing: Section<'_>, cx: &mut Context<'_>) -> FetchUrls {
    let section = routing.section("fetch_urls", FIELDS);
    let Some(list) = section.get("hosts") else {
        return match routing.text("fetch_urls") {
            Some("allow") => FetchUrls::Allow,
            _ => FetchUrls::Refuse,
        };
    };
    let texts = list.items().iter().filter_map(|it| it.text());
    let hosts: Vec<_> = texts.filter_map(FetchHost::parse).collect();
    if list.is_empty_collection() {
        let problem = Problem::new("E0107", "`routing.fetch_urls.hosts` names no host")
            .help("name one, or write `fetch_urls: refuse`");
        cx.problems.error(&list.place, problem);
    }
    FetchUrls::From(FetchHosts {
        hosts,
        allow_private_address: section.truth("allow_private_address"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(hosts: &[&str]) -> FetchUrls {
        let hosts = hosts.iter().map(|it| FetchHost::parse(it).unwrap()).collect();
        FetchUrls::From(FetchHosts { hosts, allow_private_address: false })
    }

    #[test]
    fn a_named_host_is_that_host_at_that_port_and_no_other() {
        let rules = from(&["img.example", "*.cdn.example", "[::1]:9000", "files.example:8443"]);
        for (host, port) in [
            ("img.example", 443),
            ("a.cdn.example", 443),
            ("a.b.cdn.example", 443),
            ("::1", 9_000),
            ("files.example", 8_443),
        ] {
            assert!(rules.may_ask(host, port, 443), "{host}:{port}");
        }
        for (host, port) in [
            ("img.example", 8_080),
            ("x.img.example", 443),
            ("cdn.example", 443),
            ("evilcdn.example", 443),
            ("cdn.example.evil", 443),
            ("::1", 443),
            ("files.example", 443),
            ("other.example", 443),
        ] {
            assert!(!rules.may_ask(host, port, 443), "{host}:{port}");
        }
    }

    #[test]
    fn without_a_list_only_the_ports_of_the_web_are_asked() {
        assert!(FetchUrls::Allow.may_ask("x.example", 80, 80));
        assert!(!FetchUrls::Allow.may_ask("x.example", 22, 443));
        assert!(!FetchUrls::Refuse.may_ask("x.example", 443, 443));
    }

    #[test]
    fn what_is_no_host_is_none() {
        for text in [
            "",
            "*",
            "*.",
            "https://x.example",
            "x.example/a",
            "x.example:",
            "x.example:0",
            "x.example:99999",
            "a..b",
            "*.[::1]",
            "[::1",
            "u@x.example",
            "x *.example",
        ] {
            assert_eq!(FetchHost::parse(text), None, "{text:?}");
        }
    }
}
