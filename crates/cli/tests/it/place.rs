//! An empty folder in which the command runs with an environment of its own, and a gateway in it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The command under test.
pub(crate) const EXE: &str = env!("CARGO_BIN_EXE_outrigger");

/// An empty folder, and the command run in it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(EXE);
        command.args(args).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command
    }

    /// Exit code, standard output, standard error.
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String, String) {
        seen(&self.command(args).output().unwrap())
    }

    /// Runs what must succeed and gives its standard output.
    pub(crate) fn good(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        out
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.good(args)).unwrap()
    }

    pub(crate) fn write(&self, text: &str) {
        std::fs::write(self.at("outrigger.yaml"), text).unwrap();
    }

    /// Writes a configuration with addresses of its own.
    pub(crate) fn configure(&self, rest: &str) -> Addresses {
        let addresses = Addresses::free();
        let Addresses { api, admin } = &addresses;
        self.write(&format!("server: {{api: \"{api}\", admin: \"{admin}\"}}\n{rest}"));
        addresses
    }

    /// Starts the gateway of the configuration here and waits until it is ready.
    pub(crate) fn serve(&self, env: &[(&str, &str)]) -> Gateway {
        let mut command = self.command(&["serve", "--jsonl"]);
        command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let gateway = Gateway(child);
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["ready"], true);
        gateway
    }
}

pub(crate) fn seen(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    // As a shell tells it.
    let by_signal = || output.status.signal().map(|it| 128 + it);
    let code = output.status.code().or_else(by_signal).unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

/// Two addresses that were free a moment ago.
pub(crate) struct Addresses {
    pub(crate) api: String,
    pub(crate) admin: String,
}

impl Addresses {
    pub(crate) fn free() -> Self {
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [api, admin] = listeners.map(|it| it.local_addr().unwrap().to_string());
        Self { api, admin }
    }
}

/// The status of a `GET`; none where nobody answers.
pub(crate) fn status(address: &str, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Interrupts a program, as Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    signal(child, "-INT");
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// A running gateway; killed when dropped.
pub(crate) struct Gateway(Child);

impl Gateway {
    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.0, name);
    }

    /// Waits for its end; the exit code.
    pub(crate) fn ended(mut self) -> i32 {
        self.0.wait().unwrap().code().unwrap()
    }

    /// Asks it to end and expects that it does so well.
    pub(crate) fn stop(self) {
        self.signal("-TERM");
        assert_eq!(self.ended(), 0);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // One that has ended already can't be killed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
