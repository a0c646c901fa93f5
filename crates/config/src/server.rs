//! `server`: listeners and their limits.

use std::net::{Ipv4Addr, SocketAddr};

use crate::check::Problem;
use crate::read::{Context, Section};
use crate::spec::{Field, Kind, Scalar, defaulted, optional, required};
use crate::{KeyPolicy, Server, ServerLimits, Tls, scalar};

/// Its keys.
pub(crate) static FIELDS: &[Field] = &[
    defaulted(
        "api",
        "127.0.0.1:4141",
        "Address of the data plane. Beyond this machine only with `auth.keys: required`.",
        Kind::Scalar(Scalar::Address),
    ),
    defaulted(
        "admin",
        "127.0.0.1:4142",
        "Address of the admin API and of `/metrics`.",
        Kind::Scalar(Scalar::Address),
    ),
    optional("tls", "TLS on the data plane.", Kind::Section(TLS)),
    optional(
        "trusted_proxies",
        "Networks of your load balancers and proxies: a connection from there speaks for many clients and is not held to `limits.connections_per_ip`.",
        Kind::List(&Kind::Scalar(Scalar::Network)),
    ),
    optional("limits", "Bounds on what a client may send.", Kind::Section(LIMITS)),
    defaulted(
        "drain",
        "10min",
        "How long running requests may finish after SIGTERM.",
        Kind::Scalar(Scalar::Duration),
    ),
];

static TLS: &[Field] = &[
    required("cert", "PEM file with the certificate chain.", Kind::Scalar(Scalar::File)),
    required("key", "PEM file with the private key.", Kind::Scalar(Scalar::File)),
    defaulted(
        "reload",
        "60s",
        "How often the files are looked at for a change.",
        Kind::Scalar(Scalar::Duration),
    ),
];

const CONNECTIONS: Kind = Kind::Scalar(Scalar::Integer { min: 1, max: 1_000_000 });

static LIMITS: &[Field] = &[
    defaulted("body", "32MiB", "Longest request body.", Kind::Scalar(Scalar::Size)),
    defaulted("headers_size", "32KiB", "All header lines together.", Kind::Scalar(Scalar::Size)),
    defaulted(
        "headers",
        "64",
        "Number of header lines.",
        Kind::Scalar(Scalar::Integer { min: 8, max: 1_000 }),
    ),
    defaulted(
        "headers_timeout",
        "10s",
        "Time a client has to send its headers.",
        Kind::Scalar(Scalar::Duration),
    ),
    defaulted(
        "idle_timeout",
        "75s",
        "How long a kept-alive connection may idle.",
        Kind::Scalar(Scalar::Duration),
    ),
    defaulted("connections", "20000", "Open connections, all clients together.", CONNECTIONS),
    defaulted(
        "connections_per_ip",
        "1000",
        "Open connections from one address that is not in `trusted_proxies`.",
        CONNECTIONS,
    ),
];

/// Reads the section; `keys` is what `auth` says.
pub(crate) fn read(section: Section<'_>, keys: KeyPolicy, cx: &mut Context<'_>) -> Server {
    let server = Server {
        api: address(section, "api"),
        admin: address(section, "admin"),
        tls: section.get("tls").and_then(|node| tls(Section::new(Some(node), TLS), cx)),
        trusted_proxies: section
            .get("trusted_proxies")
            .map_or(&[][..], |node| node.items())
            .iter()
            .filter_map(|node| scalar::network(node.text()?))
            .collect(),
        limits: limits(section.section("limits", LIMITS)),
        drain: section.duration("drain"),
    };
    refuse_unsafe(section, &server, keys, cx);
    server
}

fn address(section: Section<'_>, key: &str) -> SocketAddr {
    let given = section.text(key).and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

fn tls(section: Section<'_>, cx: &mut Context<'_>) -> Option<Tls> {
    for key in ["cert", "key"] {
        if let (Some(node), Some(path)) = (section.get(key), section.path(key)) {
            cx.expect_readable(&path, &node.place);
        }
    }
    Some(Tls {
        cert: section.path("cert")?,
        key: section.path("key")?,
        reload: section.duration("reload"),
    })
}

fn limits(section: Section<'_>) -> ServerLimits {
    ServerLimits {
        body: section.size("body"),
        headers_size: section.size("headers_size"),
        headers: section.integer("headers"),
        headers_timeout: section.duration("headers_timeout"),
        idle_timeout: section.duration("idle_timeout"),
        connections: section.integer("connections"),
        connections_per_ip: section.integer("connections_per_ip"),
    }
}

/// An open listener without keys would let anybody spend; the fix is in the message.
fn refuse_unsafe(section: Section<'_>, server: &Server, keys: KeyPolicy, cx: &mut Context<'_>) {
    if let Some(node) = section.get("api")
        && !server.api.ip().is_loopback()
        && keys == KeyPolicy::LoopbackOpen
    {
        let message = format!("`{}` is open to other machines, but no key is needed", server.api);
        let help = "set `auth: {keys: required}`, or listen on `127.0.0.1`";
        cx.problems.error(&node.place, Problem::new("E0401", message).help(help));
    }
    if let Some(node) = section.get("admin").or_else(|| section.get("api"))
        && server.api == server.admin
        && server.api.port() != 0
    {
        let message = "`server.api` and `server.admin` are the same address";
        let help = "give the admin listener a port of its own";
        cx.problems.error(&node.place, Problem::new("E0403", message).help(help));
    }
    if let Some(node) = section.get("admin")
        && !server.admin.ip().is_loopback()
    {
        let message = format!("the admin listener `{}` is open to other machines", server.admin);
        let help = "every call needs the admin token, which travels unencrypted; \
                    `127.0.0.1` behind a tunnel is safer";
        cx.problems.warning(&node.place, Problem::new("W0404", message).help(help));
    }
}
