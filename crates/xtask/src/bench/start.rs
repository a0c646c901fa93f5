//! Starting a program on its core and waiting until it answers.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::peers::Route;
use crate::gateway::free_port;
use crate::tools::{self, Running};

/// Core of the gateway under test.
pub(crate) const GATEWAY_CORE: &str = "0";
/// Core of the mock provider and the load generator.
pub(crate) const LOAD_CORE: &str = "1";

/// How long a start may take: the slowest peer takes some twenty seconds on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A command that runs on one core with as many open files as may be.
pub(crate) fn pinned(core: &str, program: &Path) -> Command {
    let files = "ulimit -n 65536 2>/dev/null || ulimit -n \"$(ulimit -Hn)\"; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", files, "sh"]);
    if super::machine::cores() >= 2 {
        command.args(["taskset", "-c", core]);
    }
    command.arg(program);
    command
}

/// Streams that a gateway may carry at once: each takes two of the files that it may open, and it needs some more for
/// itself, kept connections among them.
pub(crate) fn streams() -> Result<u64> {
    let files = tools::output(pinned(LOAD_CORE, Path::new("sh")).args(["-c", "ulimit -n"]))?;
    Ok(files.trim().parse::<u64>().unwrap_or(1024).saturating_sub(1_000) / 2)
}

/// An address of this machine that nobody listened on a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)))
}

/// Starts a program with its output in a file, and gives how long it took until a chat was answered.
pub(crate) fn started(
    command: &mut Command,
    log: &Path,
    route: &Route,
) -> Result<(Running, Duration)> {
    let out = File::create(log).with_context(|| log.display().to_string())?;
    let start = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let mut running = Running(child);
    let mut last;
    loop {
        last = answered(route);
        if last == Some(200) {
            return Ok((running, start.elapsed()));
        }
        if running.0.try_wait()?.is_some() || start.elapsed() > PATIENCE {
            break;
        }
        // Often while it may be a matter of milliseconds, seldom later.
        let pause = if start.elapsed() < Duration::from_millis(500) { 1 } else { 50 };
        std::thread::sleep(Duration::from_millis(pause));
    }
    let said = tools::tail(&std::fs::read_to_string(log).unwrap_or_default(), 12);
    bail!("no answer 200 (last {last:?}) after {:.1} s\n{said}", start.elapsed().as_secs_f64())
}

/// Sends one small chat and gives the status.
fn answered(route: &Route) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&route.address, Duration::from_millis(500)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let asked = if route.path.ends_with("/responses") {
        r#""max_output_tokens":16,"input":"hello","store":false"#
    } else {
        r#""max_tokens":16,"messages":[{"role":"user","content":"hello"}]"#
    };
    let body = format!(r#"{{"model":"{}",{asked}}}"#, route.model);
    let mut headers = route.headers.join("\r\n");
    if !headers.is_empty() {
        headers.push_str("\r\n");
    }
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nanthropic-version: 2023-06-01\r\n{headers}content-length: {}\r\n\r\n{body}",
        route.path,
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = [0_u8; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head).ok()?.split(' ').nth(1)?.parse().ok()
}
