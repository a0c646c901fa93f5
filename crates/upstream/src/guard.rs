//! The address guard: which addresses may be dialled.
//!
//! It is asked about every address right before it is dialled, so a name that changes its mind between a check
//! and its use (DNS rebinding) gains nothing. A provider may have a loopback address: local inference servers live
//! there. What a client names may not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the guard says about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A public address.
    Allowed,
    /// This machine.
    Loopback,
    /// Needs `allow_private_address: true`; the word says what it is.
    Private(&'static str),
    /// Gives out credentials to whoever asks: dialled for these alone, and never as a provider.
    Metadata,
    /// Never dialled: no server of ours can be there.
    Never(&'static str),
}

/// How far a target may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses and nothing else: what a client may name.
    Client,
    /// Public addresses and loopback: what a provider may have by default.
    Public,
    /// Inner ones too: `allow_private_address: true`.
    Private,
    /// A cloud's metadata service, or loopback, and nothing else: where a credential of the machine's own is asked for.
    Metadata,
}

const METADATA: &str = "a cloud metadata service";

/// Judges an address by itself.
pub fn judge(address: IpAddr) -> Verdict {
    match address {
        IpAddr::V4(v4) => judge_v4(v4),
        IpAddr::V6(v6) => judge_v6(v6),
    }
}

/// Whether `address` may be dialled.
///
/// # Errors
/// The word for what it is.
pub fn check(address: IpAddr, reach: Reach) -> Result<(), &'static str> {
    match (judge(address), reach) {
        (Verdict::Metadata, Reach::Metadata) => Ok(()),
        (Verdict::Metadata, _) => Err(METADATA),
        (Verdict::Loopback, Reach::Client) => Err("this machine"),
        (Verdict::Loopback, _) => Ok(()),
        (_, Reach::Metadata) => Err("no metadata service"),
        (Verdict::Allowed, _) | (Verdict::Private(_), Reach::Private) => Ok(()),
        (Verdict::Private(kind) | Verdict::Never(kind), _) => Err(kind),
    }
}

fn judge_v4(address: Ipv4Addr) -> Verdict {
    match address.octets() {
        // The metadata services of AWS, Azure, Google, Oracle (192.0.0.192) and Alibaba (100.100.100.200):
        // they hand out credentials to whoever asks.
        [169, 254, 169, 254 | 253 | 123]
        | [169, 254, 170, 2 | 23]
        // Azure's App Service (`IDENTITY_ENDPOINT`).
        | [169, 254, 129..=131, _]
        | [192, 0, 0, 192]
        | [100, 100, 100, 200] => Verdict::Metadata,
        [0, ..] => Verdict::Never("unspecified"),
        [224..=239, ..] => Verdict::Never("multicast"),
        [255, 255, 255, 255] => Verdict::Never("broadcast"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Verdict::Private("private"),
        [169, 254, ..] => Verdict::Private("link-local"),
        [100, 64..=127, ..] => Verdict::Private("carrier-grade NAT"),
        [192, 0, 0, _] => Verdict::Private("reserved for protocols"),
        [198, 18..=19, ..] => Verdict::Private("reserved for benchmarks"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Verdict::Private("reserved for documentation")
        }
        [192, 88, 99, _] => Verdict::Private("a 6to4 relay"),
        [240..=255, ..] => Verdict::Private("reserved"),
        [127, ..] => Verdict::Loopback,
        _ => Verdict::Allowed,
    }
}

fn judge_v6(address: Ipv6Addr) -> Verdict {
    if let Some((inner, form)) = embedded_v4(address) {
        // An IPv4 address in IPv6 clothing is how filters are passed by; only worth a switch for what the switch
        // would allow in plain form too.
        return match judge_v4(inner) {
            Verdict::Metadata => Verdict::Never(METADATA),
            Verdict::Never(kind) => Verdict::Never(kind),
            Verdict::Allowed | Verdict::Loopback | Verdict::Private(_) => Verdict::Private(form),
        };
    }
    let segments = address.segments();
    if matches!(segments, [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254 | 0x0023]) {
        return Verdict::Metadata;
    }
    if address.is_loopback() {
        return Verdict::Loopback;
    }
    if address.is_unspecified() {
        return Verdict::Never("unspecified");
    }
    match segments {
        [0xff00..=0xffff, ..] => Verdict::Never("multicast"),
        [0xfc00..=0xfdff, ..] => Verdict::Private("private"),
        [0xfe80..=0xfebf, ..] => Verdict::Private("link-local"),
        [0xfec0..=0xfeff, ..] => Verdict::Private("site-local"),
        [0x0100, 0, 0, 0, ..] => Verdict::Private("reserved to be discarded"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => {
            Verdict::Private("reserved for documentation")
        }
        [0x2001, 0x0000..=0x01ff, ..] => Verdict::Private("reserved for protocols"),
        // Global unicast is 2000::/3; all else is unassigned.
        [0x2000..=0x3fff, ..] => Verdict::Allowed,
        _ => Verdict::Private("reserved"),
    }
}

/// The IPv4 address inside an IPv6 one, and the form it hides in.
fn embedded_v4(address: Ipv6Addr) -> Option<(Ipv4Addr, &'static str)> {
    let from = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some((from(high, low), "an IPv4-mapped address")),
        [0, 0, 0, 0, 0xffff, 0, high, low] => Some((from(high, low), "an IPv4-translated address")),
        [0x0064, 0xff9b, 0 | 1, _, _, _, high, low] => Some((from(high, low), "a NAT64 address")),
        [0x2002, high, low, ..] => Some((from(high, low), "a 6to4 address")),
        // Teredo keeps the client's IPv4 address inverted.
        [0x2001, 0, _, _, _, _, high, low] => Some((from(!high, !low), "a Teredo address")),
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1) => {
            Some((from(high, low), "an IPv4-compatible address"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{METADATA, Reach, check};

    fn ask(address: &str, allow: bool) -> Result<(), &'static str> {
        let reach = if allow { Reach::Private } else { Reach::Public };
        check(address.parse().unwrap(), reach)
    }

    fn ask_client(address: &str) -> Result<(), &'static str> {
        check(address.parse().unwrap(), Reach::Client)
    }

    #[test]
    fn public_and_loopback_addresses_pass() {
        for address in
            ["1.1.1.1", "104.18.7.192", "127.0.0.1", "127.9.9.9", "::1", "2606:4700::1111"]
        {
            assert_eq!(ask(address, false), Ok(()), "{address}");
        }
    }

    #[test]
    fn a_client_may_name_public_addresses_only() {
        for address in ["1.1.1.1", "104.18.7.192", "2606:4700::1111"] {
            assert_eq!(ask_client(address), Ok(()), "{address}");
        }
        for address in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert_eq!(ask_client(address), Err("this machine"), "{address}");
        }
        for address in [
            "10.0.0.1",
            "100.64.0.1",
            "169.254.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "fd00:ec2::254",
            "fe80::1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
            "::7f00:1",
        ] {
            assert!(ask_client(address).is_err(), "{address}");
        }
    }

    proptest::proptest! {
        /// Whatever a provider may not have by default, a client may not name either.
        #[test]
        fn a_client_reaches_no_further_than_a_provider(address: std::net::IpAddr) {
            let client = check(address, Reach::Client).is_ok();
            proptest::prop_assert!(!client || check(address, Reach::Public).is_ok());
            proptest::prop_assert!(!client || !address.is_loopback());
        }
    }

    #[test]
    fn inner_addresses_need_the_switch() {
        for (address, kind) in [
            ("10.0.0.1", "private"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.168.1.1", "private"),
            ("169.254.1.1", "link-local"),
            ("100.64.0.1", "carrier-grade NAT"),
            ("198.18.0.1", "reserved for benchmarks"),
            ("240.0.0.1", "reserved"),
            ("fd12::1", "private"),
            ("fe80::1", "link-local"),
            ("::ffff:10.0.0.1", "an IPv4-mapped address"),
            ("::ffff:127.0.0.1", "an IPv4-mapped address"),
            ("::ffff:1.1.1.1", "an IPv4-mapped address"),
            ("64:ff9b::a00:1", "a NAT64 address"),
            ("2002:a00:1::", "a 6to4 address"),
            ("::127.0.0.1", "an IPv4-compatible address"),
        ] {
            assert_eq!(ask(address, false), Err(kind), "{address}");
            assert_eq!(ask(address, true), Ok(()), "{address}");
        }
        for address in ["172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "169.253.0.1"] {
            assert_eq!(ask(address, false), Ok(()), "{address} is just outside a private range");
        }
    }

    #[test]
    fn metadata_services_and_group_addresses_are_never_dialled() {
        for address in [
            "169.254.169.254",
            "fd00:ec2::254",
            "100.100.100.200",
            "192.0.0.192",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
        ] {
            assert!(ask(address, true).is_err(), "{address}");
        }
    }

    #[test]
    fn a_question_for_the_machines_credentials_reaches_a_metadata_service_and_nothing_else() {
        let ask = |address: &str| check(address.parse().unwrap(), Reach::Metadata);
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "169.254.129.2",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "127.0.0.1",
            "::1",
        ] {
            assert_eq!(ask(address), Ok(()), "{address}");
        }
        for address in ["1.1.1.1", "10.0.0.1", "169.254.1.1", "2606:4700::1111", "fd12::1"] {
            assert_eq!(ask(address), Err("no metadata service"), "{address}");
        }
        assert_eq!(super::check("169.254.170.23".parse().unwrap(), Reach::Private), Err(METADATA));
        assert!(ask("::ffff:169.254.169.254").is_err());
        assert!(ask("0.0.0.0").is_err());
    }
}
