//! The mock and the gateways, each started on a free port with a configuration of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;

use super::start::{GATEWAY_CORE, LOAD_CORE, free_address, pinned, started, streams};
use super::{Args, Lab, config, install, process};
use crate::tools::{self, Running};

/// Its order is the order of the rows.
const KNOWN: [&str; 9] = [
    "mock",
    "nginx",
    "haproxy",
    "portkey",
    "litellm",
    "outrigger",
    "outrigger-relaxed",
    "outrigger-translated",
    "outrigger-slowest",
];

/// Key that LiteLLM asks for.
const LITELLM_KEY: &str = "sk-bench-6c1d0f2a9b";

/// Whether a gateway of this name can be measured.
pub(crate) fn is_known(id: &str) -> bool {
    KNOWN.contains(&id)
}

/// Whether Outrigger takes part in any form.
pub(crate) fn wants_outrigger(args: &Args) -> bool {
    KNOWN.into_iter().any(|id| id.starts_with("outrigger") && args.wants(id))
}

/// Where a request goes and what it bears.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) model: &'static str,
    pub(crate) headers: Vec<String>,
}

impl Route {
    fn plain(address: SocketAddr) -> Self {
        Self { address, path: "/v1/chat/completions", model: "bench", headers: Vec::new() }
    }

    /// The words of `bench load` that make this request.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words =
            vec![self.address.to_string(), self.path.to_owned(), format!("model={}", self.model)];
        words.extend(self.headers.iter().map(|h| format!("header={h}")));
        words
    }
}

/// One thing to be measured.
pub(crate) struct Peer {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    pub(crate) version: String,
    pub(crate) route: Route,
    /// None for the mock alone.
    pub(crate) process: Option<Running>,
    pub(crate) ready: Duration,
    pub(crate) idle_kib: u64,
    pub(crate) peak_kib: u64,
}

impl Peer {
    fn new(
        id: &'static str,
        label: &'static str,
        version: String,
        route: Route,
        start: (Running, Duration),
    ) -> Self {
        let idle_kib = process::resident_kib(start.0.0.id());
        let (process, ready) = (Some(start.0), start.1);
        Self { id, label, version, route, process, ready, idle_kib, peak_kib: 0 }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|p| p.0.id())
    }
}

/// What is known of each peer when its process has ended.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    pub(crate) version: String,
    pub(crate) ready_ms: f64,
    pub(crate) idle_kib: u64,
    pub(crate) peak_kib: u64,
}

/// All rows, and those that could not be measured.
pub(crate) struct Roster {
    pub(crate) rows: Vec<Row>,
    pub(crate) absent: Vec<(String, String)>,
}

impl Roster {
    pub(crate) fn of(peers: &[Peer], absent: &[(String, String)]) -> Self {
        let row = |p: &Peer| Row {
            id: p.id,
            label: p.label,
            version: p.version.clone(),
            ready_ms: p.ready.as_secs_f64() * 1e3,
            idle_kib: p.idle_kib,
            peak_kib: p.peak_kib,
        };
        Self { rows: peers.iter().map(row).collect(), absent: absent.to_vec() }
    }
}

/// The mock provider, running.
pub(crate) struct Mock {
    pub(crate) address: SocketAddr,
    pub(crate) process: Running,
}

/// Starts the mock.
pub(crate) fn mock(lab: &Lab) -> Result<Mock> {
    let address = free_address()?;
    let mut command = pinned(LOAD_CORE, &lab.bench);
    command.arg("mock").arg(address.to_string());
    let (process, _) = started(&mut command, &lab.folder.join("mock.log"), &Route::plain(address))
        .context("the mock provider")?;
    Ok(Mock { address, process })
}

/// Starts every gateway that is wanted; those that can't be are given with the reason.
pub(crate) fn all(lab: &Lab, args: &Args, mock: &Mock) -> (Vec<Peer>, Vec<(String, String)>) {
    let (mut peers, mut absent) = (Vec::new(), Vec::new());
    for id in KNOWN.into_iter().filter(|id| args.wants(id)) {
        match start(lab, mock, id, id) {
            Ok(peer) => peers.push(peer),
            Err(why) => absent.push((label(id).to_owned(), format!("{why:#}"))),
        }
    }
    (peers, absent)
}

fn label(id: &str) -> &'static str {
    match id {
        "mock" => "mock alone",
        "nginx" => "nginx",
        "haproxy" => "HAProxy",
        "litellm" => "LiteLLM",
        "portkey" => "Portkey",
        "outrigger-relaxed" => "Outrigger, relaxed ledger",
        "outrigger-translated" => "Outrigger, translated",
        "outrigger-slowest" => "Outrigger, the slowest translation",
        _ => "Outrigger",
    }
}

/// Starts one gateway with its files in a folder of that name.
pub(crate) fn start(lab: &Lab, mock: &Mock, id: &'static str, folder: &str) -> Result<Peer> {
    let folder = lab.folder.join(folder);
    std::fs::create_dir_all(&folder)?;
    match id {
        "mock" => Ok(Peer {
            id,
            label: label(id),
            version: String::new(),
            route: Route::plain(mock.address),
            process: None,
            ready: Duration::ZERO,
            idle_kib: 0,
            peak_kib: 0,
        }),
        "nginx" => nginx(mock, &folder),
        "haproxy" => haproxy(mock, &folder),
        "litellm" => litellm(lab, mock, &folder),
        "portkey" => portkey(lab, mock, &folder),
        _ => outrigger(lab, mock, id, &folder),
    }
}

fn nginx(mock: &Mock, folder: &Path) -> Result<Peer> {
    install::system("nginx", "-v")?;
    let route = Route::plain(free_address()?);
    let file = folder.join("nginx.conf");
    std::fs::write(
        &file,
        config::nginx(route.address, mock.address, folder, 2 * streams()? + 500),
    )?;
    let mut command = pinned(GATEWAY_CORE, Path::new("nginx"));
    command.arg("-c").arg(&file).arg("-p").arg(folder);
    let start = started(&mut command, &folder.join("log"), &route)?;
    let said = Command::new("nginx").arg("-v").output()?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    let version = text.trim().rsplit('/').next().unwrap_or_default().to_owned();
    Ok(Peer::new("nginx", label("nginx"), version, route, start))
}

fn haproxy(mock: &Mock, folder: &Path) -> Result<Peer> {
    install::system("haproxy", "-v")?;
    let route = Route::plain(free_address()?);
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, config::haproxy(route.address, mock.address, streams()?))?;
    let mut command = pinned(GATEWAY_CORE, Path::new("haproxy"));
    command.arg("-db").arg("-f").arg(&file);
    let start = started(&mut command, &folder.join("log"), &route)?;
    let said = tools::output(Command::new("haproxy").arg("-v"))?;
    let version = said.split_whitespace().nth(2).unwrap_or_default().to_owned();
    Ok(Peer::new("haproxy", label("haproxy"), version, route, start))
}

fn litellm(lab: &Lab, mock: &Mock, folder: &Path) -> Result<Peer> {
    let (program, version) = install::litellm(lab)?;
    let mut route = Route::plain(free_address()?);
    route.headers.push(format!("authorization: Bearer {LITELLM_KEY}"));
    let file = folder.join("config.yaml");
    std::fs::write(&file, config::litellm(mock.address, LITELLM_KEY))?;
    let mut command = pinned(GATEWAY_CORE, &program);
    command
        .arg("--config")
        .arg(&file)
        .args(["--host", "127.0.0.1", "--num_workers", "1", "--telemetry", "False", "--port"])
        .arg(route.address.port().to_string())
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("LITELLM_LOG", "ERROR")
        .current_dir(folder);
    let start = started(&mut command, &folder.join("log"), &route)?;
    Ok(Peer::new("litellm", label("litellm"), version, route, start))
}

fn portkey(lab: &Lab, mock: &Mock, folder: &Path) -> Result<Peer> {
    let (script, version) = install::portkey(lab)?;
    let mut route = Route::plain(free_address()?);
    route.headers = vec![
        "authorization: Bearer sk-partner".to_owned(),
        "x-portkey-provider: openai".to_owned(),
        format!("x-portkey-custom-host: http://{}/v1", mock.address),
    ];
    let mut command = pinned(GATEWAY_CORE, Path::new("node"));
    command
        .arg(script)
        .arg(format!("--port={}", route.address.port()))
        .arg("--headless")
        .env("NODE_ENV", "production")
        .env("TRUSTED_CUSTOM_HOSTS", "127.0.0.1,localhost")
        .current_dir(folder);
    let start = started(&mut command, &folder.join("log"), &route)?;
    Ok(Peer::new("portkey", label("portkey"), version, route, start))
}

fn outrigger(lab: &Lab, mock: &Mock, id: &'static str, folder: &Path) -> Result<Peer> {
    let program = lab.outrigger.as_ref().map_err(|e| anyhow!("it does not build: {e:#}"))?;
    let durability = if id == "outrigger-relaxed" { "relaxed" } else { "strict" };
    let mut route = Route::plain(free_address()?);
    route.model = "bench/bench";
    match id {
        "outrigger-translated" => route.path = "/v1/messages",
        "outrigger-slowest" => route.path = "/v1/responses",
        _ => {}
    }
    let text = config::outrigger(route.address, free_address()?, mock.address, durability);
    std::fs::write(folder.join("outrigger.yaml"), text)?;
    let secret = key(program, folder)?;
    route.headers.push(format!("authorization: Bearer {secret}"));
    let mut command = pinned(GATEWAY_CORE, program);
    serve(&mut command, folder);
    let start = started(&mut command, &folder.join("log"), &route)?;
    let version = tools::output(Command::new(program).arg("--version"))?;
    let version = version.split_whitespace().last().unwrap_or_default().to_owned();
    Ok(Peer::new(id, label(id), version, route, start))
}

/// Adds what makes the command a server of that folder.
pub(crate) fn serve(command: &mut Command, folder: &Path) {
    command.args(["serve", "--config", "outrigger.yaml"]);
    surroundings(command, folder);
}

fn surroundings(command: &mut Command, folder: &Path) {
    command.current_dir(folder).env("BENCH_PARTNER_KEY", "sk-partner");
    for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OUTRIGGER_DATA_DIR", "OUTRIGGER_CONFIG"] {
        command.env_remove(name);
    }
}

/// A virtual key with budgets of its own in money and in tokens.
fn key(program: &PathBuf, folder: &Path) -> Result<String> {
    let mut command = Command::new(program);
    command.args(["key", "create", "--app", "bench", "--json"]);
    command.args(["--budget", "1000000 USD per month", "--budget", "1000000M tokens per day"]);
    surroundings(&mut command, folder);
    let said = tools::output(&mut command)?;
    let made: Value = serde_json::from_str(&said).context("key create --json")?;
    crate::gateway::secret_in(&made).context("key create gave no secret")
}
