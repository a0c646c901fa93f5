//! Starting the built gateway and the fake partner as processes, for the steps that test from outside.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::cargo;
use crate::tools::{self, Running};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The key that the fake partner accepts.
pub(crate) const PARTNER_KEY: &str = "sk-partner";
/// The two halves of the AWS key pair that it accepts.
pub(crate) const PARTNER_PAIR: (&str, &str) = ("AKIDPARTNER", "partner+secret/1");

/// A running fake partner.
pub(crate) struct Partner {
    pub(crate) base_url: String,
    pub(crate) control_url: String,
    /// The user of Oracle Cloud whose signatures it takes.
    pub(crate) oci: Value,
    _process: Running,
}

/// Builds and starts a fake partner.
pub(crate) fn partner() -> Result<Partner> {
    let binary = cargo::release_binary("fake-provider", "fake-provider")?;
    let mut child = Command::new(&binary)
        .args(["--key", PARTNER_KEY, "--keep", "4096", "--oci"])
        .args(["--key", &format!("{}:{}", PARTNER_PAIR.0, PARTNER_PAIR.1)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| binary.display().to_string())?;
    let out = child.stdout.take();
    let process = Running(child);
    let mut line = String::new();
    BufReader::new(out.context("no output")?).read_line(&mut line)?;
    let ready: Value =
        serde_json::from_str(&line).with_context(|| format!("the fake partner said {line:?}"))?;
    let text =
        |key: &str| ready.get(key).and_then(Value::as_str).map(str::to_owned).context("no address");
    Ok(Partner {
        base_url: text("base_url")?,
        control_url: text("control_url")?,
        oci: ready.get("oci").cloned().unwrap_or_default(),
        _process: process,
    })
}

/// A running gateway with a folder of its own.
pub(crate) struct Gateway {
    pub(crate) api: SocketAddr,
    binary: PathBuf,
    folder: PathBuf,
    _process: Running,
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// An empty folder below the cache.
pub(crate) fn fresh_folder(name: &str) -> Result<PathBuf> {
    let folder = tools::cache().join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}

/// Starts the gateway with a configuration; `server:` and `ledger:` are added to it.
pub(crate) fn start(name: &str, config: &str) -> Result<Gateway> {
    let binary = cargo::release_binary("cli", "outrigger")?;
    let folder = fresh_folder(name)?;
    let api = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let config = format!("server: {{api: \"{api}\", admin: \"{admin}\"}}\n{config}");
    std::fs::write(folder.join("outrigger.yaml"), config)?;
    let log = std::fs::File::create(folder.join("serve.log"))?;
    let child = outrigger(&binary, &folder)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| binary.display().to_string())?;
    let mut process = Running(child);
    let ready = tools::wait_for("the gateway's /readyz", PATIENCE, || {
        let ended = process.0.try_wait().ok().flatten().is_some();
        if ended || is_ready(api) { Some(!ended) } else { None }
    });
    match ready {
        Ok(true) => Ok(Gateway { api, binary, folder, _process: process }),
        Ok(false) => bail!("the gateway ended at once:\n{}", log_of(&folder)),
        Err(e) => bail!("{e:#}\n{}", log_of(&folder)),
    }
}

fn log_of(folder: &Path) -> String {
    tools::tail(&std::fs::read_to_string(folder.join("serve.log")).unwrap_or_default(), 40)
}

/// A command of the gateway in its folder, with only the keys that tests give it.
pub(crate) fn outrigger(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command
        .current_dir(folder)
        .env("OUTRIGGER_DATA_DIR", folder.join("data"))
        .env("PARTNER_KEY", PARTNER_KEY)
        .env("PARTNER_SECRET", PARTNER_PAIR.1);
    for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OLLAMA_HOST"] {
        command.env_remove(name);
    }
    command
}

/// Whether `/readyz` answers 200.
pub(crate) fn is_ready(api: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&api, Duration::from_millis(200)) else {
        return false;
    };
    let asked = stream.set_read_timeout(Some(Duration::from_secs(1))).and_then(|()| {
        stream.write_all(
            format!("GET /readyz HTTP/1.1\r\nhost: {api}\r\nconnection: close\r\n\r\n").as_bytes(),
        )
    });
    let mut answer = String::new();
    asked.is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

impl Gateway {
    /// Base URL ending in `/v1`.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.api)
    }

    /// The end of what it logged.
    pub(crate) fn log(&self) -> String {
        log_of(&self.folder)
    }

    /// Makes a virtual key for an application and gives its secret.
    pub(crate) fn key(&self, app: &str) -> Result<String> {
        self.made(app, "virtual").map(|(_, secret)| secret)
    }

    /// Makes an AWS key pair for an application and gives it as `ID:SECRET`.
    pub(crate) fn pair(&self, app: &str) -> Result<String> {
        self.made(app, "aws").map(|(id, secret)| format!("or-{id}:{secret}"))
    }

    fn made(&self, app: &str, kind: &str) -> Result<(String, String)> {
        let out = tools::output(
            outrigger(&self.binary, &self.folder)
                .args(["key", "create", "--app", app, "--kind", kind, "--json"]),
        )?;
        let made: Value = serde_json::from_str(&out).context("key create --json")?;
        let text = |pointer| made.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        text("/key/id").zip(text("/secret")).with_context(|| format!("no secret in {out}"))
    }
}

/// The first string that looks like a virtual key with its secret: `or-public-secret`.
pub(crate) fn secret_in(v: &Value) -> Option<String> {
    match v {
        Value::String(s) if s.starts_with("or-") && s.split('-').count() == 3 => Some(s.clone()),
        Value::Array(a) => a.iter().find_map(secret_in),
        Value::Object(o) => o.values().find_map(secret_in),
        _ => None,
    }
}
