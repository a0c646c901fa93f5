//! The environment in which official SDKs and tools find the gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::surroundings::{self, Process};
use crate::{client, http};

/// Stands in for a key where none is needed: SDKs refuse to start without one.
pub(crate) const NO_KEY: &str = "outrigger";

/// Which gateway, with which key.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Target {
    /// Base address of the gateway (default: the one that runs here, else what the configuration says).
    #[arg(long, value_name = "URL", env = "OUTRIGGER_API_URL", hide_env_values = true)]
    api_url: Option<String>,
    /// File with the virtual key (default: OUTRIGGER_API_KEY).
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// Base address of the gateway, without `/v1` and without a trailing slash.
pub(crate) fn base(target: &Target, global: &Global) -> Result<String, Failure> {
    base_within(target, global, http::PATIENCE)
}

/// The same, with so much time for the running gateway to say where it listens.
pub(crate) fn base_within(
    target: &Target,
    global: &Global,
    patience: Duration,
) -> Result<String, Failure> {
    if let Some(url) = &target.api_url {
        let url = url.trim_end_matches('/');
        return Ok(url.strip_suffix("/v1").unwrap_or(url).to_owned());
    }
    if let Some(base) = client::api_base(global, patience) {
        return Ok(base);
    }
    let configuration = surroundings::load(global)?;
    let server = &configuration.loaded.config.server;
    let scheme = if server.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{}", reachable(server.api)))
}

/// The address as a client on this machine uses it: an open listener is reached by loopback.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The virtual key: of a file, else of the environment.
pub(crate) fn key(target: &Target) -> Result<Option<String>, Failure> {
    let Some(path) = &target.key_file else {
        return Ok(config::Env::var(&Process, "OUTRIGGER_API_KEY"));
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        let reason = surroundings::reason(&error);
        Failure::new(Exit::Usage, format!("can't read {}: {reason}", path.display()))
    })?;
    Ok(Some(text.trim().to_owned()))
}

/// The variables and their values. `ANTHROPIC_BASE_URL` is without `/v1`, `OPENAI_BASE_URL` with it: so the SDKs
/// want them. Our own commands find the gateway by ours.
pub(crate) fn variables(base: String, key: Option<String>) -> Vec<(&'static str, String)> {
    let sent = key.clone().unwrap_or_else(|| NO_KEY.into());
    let mut variables = vec![
        ("OPENAI_BASE_URL", format!("{base}/v1")),
        ("OPENAI_API_KEY", sent.clone()),
        ("ANTHROPIC_BASE_URL", base.clone()),
        ("ANTHROPIC_API_KEY", sent.clone()),
        ("ANTHROPIC_AUTH_TOKEN", sent),
        ("OUTRIGGER_API_URL", base),
    ];
    variables.extend(key.map(|key| ("OUTRIGGER_API_KEY", key)));
    variables
}
