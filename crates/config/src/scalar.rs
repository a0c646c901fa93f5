//! The forms of scalars: whether a text has the form, and how the form is described.

use std::net::{IpAddr, SocketAddr};

use domain::{ModelName, OfferId, valid_name};
use limits::windows::Zone;

use crate::spec::Scalar;
use crate::units::{self, Refused};
use crate::{FetchHost, Network, Secret};

/// What a form is called, examples of it, and the units it may have.
pub(crate) struct Form {
    /// "a duration".
    pub(crate) noun: &'static str,
    /// "`30s` or `10min`".
    pub(crate) examples: &'static str,
    /// Units after a number, the likeliest first; empty for forms without.
    pub(crate) units: &'static [&'static str],
}

impl Scalar {
    /// Its description.
    pub(crate) fn form(self) -> Form {
        let (noun, examples, units): (_, _, &'static [&'static str]) = match self {
            Self::Bool => ("`true` or `false`", "`true`", &[]),
            Self::Integer { .. } => ("a whole number", "`2`", &[]),
            Self::Count => ("a count", "`4096` or `128k`", &["", "k", "M", "G"]),
            Self::Text => ("text", "`eu-central-1`", &[]),
            Self::Name => ("a name of letters, digits and . _ - : @", "`search`", &[]),
            Self::Duration => (
                "a duration",
                "`500ms`, `30s`, `10min`, `2h` or `90d`",
                &["s", "min", "ms", "h", "d", "w"],
            ),
            Self::Size => {
                ("a size", "`64KiB` or `32MiB`", &["MiB", "KiB", "GiB", "B", "kB", "MB", "GB"])
            }
            Self::Percent => ("a share", "`10%`", &["%"]),
            Self::Calls => ("a number of calls", "`20 calls`", &[" calls"]),
            Self::Rate => ("a rate", "`600/min` or `2M/h`", &["/min", "/s", "/h", "/d"]),
            Self::Amount => (
                "an amount",
                "`50 USD`, `2M tokens` or `1000 requests`",
                &[" USD", " tokens", " requests"],
            ),
            Self::Budget => (
                "a budget",
                "`50 USD per month` or `1000 requests per day`",
                &[" USD per month", " per month"],
            ),
            Self::Price => ("a price", "`0.05 USD per 1M`", &[" USD per 1M"]),
            Self::Secret => ("a secret", "`env:NAME`, `file:PATH` or `none`", &[]),
            Self::File => ("a file", "`file:tls/cert.pem`", &[]),
            Self::Address => ("an address with a port", "`127.0.0.1:4141` or `[::1]:4141`", &[]),
            Self::Network => ("a network", "`10.0.0.0/8`", &[]),
            Self::Url => ("a base URL", "`https://llm.example.com/v1`", &[]),
            Self::Zone => ("a time zone of the IANA list", "`Europe/Berlin` or `UTC`", &[]),
            Self::Host => (
                "a host, with or without a port",
                "`images.example.com`, `*.example.com` or `localhost:9000`",
                &[],
            ),
            Self::Offer => ("an offer", "`provider/model`", &[]),
            Self::Model => ("a model id", "`gpt-5-mini`", &[]),
        };
        Form { noun, examples, units }
    }

    /// Whether `text` has the form.
    pub(crate) fn check(self, text: &str) -> Result<(), Refused> {
        let found = |is: bool| if is { Ok(()) } else { Err(Refused::Malformed) };
        match self {
            Self::Bool => found(matches!(text, "true" | "false")),
            Self::Integer { min, max } => match text.parse::<u64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                Ok(_) => Err(Refused::OutOfRange),
                Err(_) => Err(Refused::Malformed),
            },
            Self::Count => units::count(text)
                .and_then(|n| if n == 0 { Err(Refused::OutOfRange) } else { Ok(()) }),
            Self::Text => found(!text.is_empty() && !text.chars().any(char::is_control)),
            Self::Name => found(valid_name(text) && !text.contains('/')),
            Self::Duration => units::duration(text)
                .and_then(|it| if it.is_zero() { Err(Refused::OutOfRange) } else { Ok(()) }),
            Self::Size => units::size(text).map(drop),
            Self::Percent => units::percent(text).map(drop),
            Self::Calls => units::calls(text).map(drop),
            Self::Rate => units::rate(text).map(drop),
            Self::Amount => units::amount(text).map(drop),
            Self::Budget => units::budget(text).map(drop),
            Self::Price => units::price(text).map(drop),
            Self::Secret => found(secret(text).is_some() || text == "none"),
            Self::File => found(file(text).is_some()),
            Self::Address => found(text.parse::<SocketAddr>().is_ok()),
            Self::Network => found(network(text).is_some()),
            Self::Url => found(url(text)),
            Self::Zone => found(zone(text)),
            Self::Host => found(FetchHost::parse(text).is_some()),
            Self::Offer => found(OfferId::parse(text).is_ok()),
            Self::Model => found(ModelName::new(text).is_ok()),
        }
    }
}

/// `env:NAME`, `file:PATH`, or the secret itself.
pub(crate) fn secret(text: &str) -> Option<Secret> {
    if let Some(name) = text.strip_prefix("env:") {
        let legal = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return legal.then(|| Secret::Env(name.into()));
    }
    if let Some(path) = text.strip_prefix("file:") {
        return (!path.is_empty()).then(|| Secret::File(path.into()));
    }
    let plain = !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    plain.then(|| Secret::Plain(text.into()))
}

/// A path, with or without `file:` before it.
pub(crate) fn file(text: &str) -> Option<&str> {
    let path = text.strip_prefix("file:").unwrap_or(text);
    (!path.is_empty() && !path.chars().any(char::is_control)).then_some(path)
}

/// `10.0.0.0/8`, or a single address.
pub(crate) fn network(text: &str) -> Option<Network> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let widest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(widest), |it| it.parse().ok())?;
    (prefix <= widest).then_some(Network { address, prefix })
}

/// An `http` or `https` URL with a host and without user, query or fragment.
fn url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let host = rest.split('/').next().unwrap_or_default();
    let plain = rest.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    plain
        && !host.is_empty()
        && !host.starts_with(':')
        && !rest.contains(['@', '?', '#', '\\', '"'])
}

/// A time zone of the bundled list, spelled as there: zone look-up itself ignores case.
fn zone(text: &str) -> bool {
    Zone::parse(text).is_ok_and(|zone| zone.name() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        for good in ["https://api.openai.com/v1", "http://[::1]:8000/v1", "http://gpu-1:8000"] {
            assert!(Scalar::Url.check(good).is_ok(), "{good}");
        }
        for bad in [
            "api.openai.com",
            "ftp://x/",
            "https://",
            "https://u:p@x/",
            "http://x/?a=b",
            "http:// x",
        ] {
            assert!(Scalar::Url.check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_and_zones() {
        assert!(network("10.0.0.0/8").is_some());
        assert_eq!(network("10.0.0.1").map(|it| it.prefix), Some(32));
        assert!(network("10.0.0.0/33").is_none());
        let within =
            |text, address: &str| network(text).unwrap().contains(address.parse().unwrap());
        assert!(within("10.0.0.0/8", "10.255.0.1") && !within("10.0.0.0/8", "11.0.0.1"));
        assert!(within("10.0.0.0/8", "::ffff:10.1.2.3") && !within("10.0.0.0/8", "::1"));
        assert!(within("10.0.0.1", "10.0.0.1") && !within("10.0.0.1", "10.0.0.0"));
        assert!(within("0.0.0.0/0", "192.0.2.1") && within("fd00::/7", "fc00::1"));
        assert!(zone("Europe/Berlin") && zone("UTC") && !zone("Berlin"));
    }

    #[test]
    fn secrets() {
        assert_eq!(secret("env:A_1"), Some(Secret::Env("A_1".into())));
        assert_eq!(secret("env:"), None);
        assert_eq!(secret("file:k.txt"), Some(Secret::File("k.txt".into())));
        assert_eq!(format!("{:?}", Secret::Plain("sk-1".into())), "(hidden)");
    }
}
