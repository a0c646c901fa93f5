//! `outrigger run -- CMD`: a program that talks to the gateway without being edited.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::cli::Global;
use crate::client_env;
use crate::exit::{Done, Exit, Failure};

/// Run a program with its SDKs pointed at the gateway.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger run -- python3 app.py\n  outrigger run -- claude\n  outrigger run --key-file key.txt -- npm test"
)]
pub(crate) struct Args {
    #[command(flatten)]
    target: client_env::Target,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let base = client_env::base(&args.target, global)?;
    expect_gateway(&base)?;
    let Some((program, rest)) = args.command.split_first() else {
        return Err(Failure::new(Exit::Usage, "no program given"));
    };
    let variables = client_env::variables(&args.target, global)?;
    let status = Command::new(program).args(rest).envs(variables).status().map_err(|error| {
        let reason = crate::surroundings::reason(&error);
        Failure::new(Exit::Failed, format!("can't run `{program}`: {reason}"))
    })?;
    pass_on(status)
}

/// A gateway must answer, or every call of the program would fail with a message about something else.
fn expect_gateway(base: &str) -> Done {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let port = if base.starts_with("https:") { 443 } else { 80 };
    let with_port = if host.rsplit(':').next().is_some_and(|it| it.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    let timeout = Duration::from_secs(2);
    let answers = with_port.to_socket_addrs().is_ok_and(|mut addresses| {
        addresses.any(|address| TcpStream::connect_timeout(&address, timeout).is_ok())
    });
    if answers {
        return Ok(());
    }
    let message = format!("no gateway answers at {base}");
    Err(Failure::new(Exit::Network, message).hint("start one in another terminal: outrigger serve"))
}

/// Ends with the program's own exit code; a signal's is 128 and its number, as shells say it.
fn pass_on(status: ExitStatus) -> Done {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    match u8::try_from(code) {
        Ok(0) => Ok(()),
        Ok(code) => Err(Failure::passed_on(code)),
        Err(_) => Err(Failure::silent(Exit::Failed)),
    }
}
