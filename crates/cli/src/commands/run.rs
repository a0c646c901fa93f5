//! `outrigger run -- CMD`: a program that talks to the gateway without being edited.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use domain::AppName;
use ledger::query::{self, Filter, GroupBy};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Global;
use crate::client::{self, Admin};
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::{client_env, clock, data};

/// How long a key lives that was made for one run, should nobody be left to revoke it.
const KEY_MICROS: i64 = 24 * 3600 * 1_000_000;

/// Run a program with its SDKs pointed at the gateway.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger run -- python3 app.py\n  outrigger run --cap 2usd -- claude\n  outrigger run --key-file key.txt -- npm test"
)]
pub(crate) struct Args {
    /// The most that the run may spend: it gets a key of its own, and the total is said at its end.
    #[arg(long, value_name = "USD", value_parser = cap, conflicts_with = "key_file")]
    cap: Option<String>,
    #[command(flatten)]
    target: client_env::Target,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

/// `2`, `2usd`, `2 USD`: a budget for all time.
fn cap(text: &str) -> Result<String, String> {
    let figure = text.to_ascii_lowercase();
    let figure = figure.strip_suffix("usd").unwrap_or(&figure).trim();
    let budget = limits::spec::parse(&format!("{figure} USD total"));
    budget.map(|it| it.to_string()).map_err(|_| "write an amount such as `2usd`".to_owned())
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let base = client_env::base(&args.target, global)?;
    expect_gateway(&base)?;
    let Some((program, rest)) = args.command.split_first() else {
        return Err(Failure::new(Exit::Usage, "no program given"));
    };
    let own = args.cap.as_ref().map(|cap| Key::made(program, cap, global)).transpose()?;
    let key = match &own {
        Some(own) => Some(own.secret.clone()),
        None => client_env::key(&args.target)?,
    };
    let variables = client_env::variables(base, key);
    let status = child(program, rest, variables);
    if let Some(own) = own {
        own.ended(global)?;
    }
    pass_on(status?)
}

/// Runs the program to its end. An interrupt from the keyboard reaches it as well; it decides what that means.
fn child(
    program: &str,
    rest: &[String],
    variables: Vec<(&'static str, String)>,
) -> Result<ExitStatus, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.cant("start")?.block_on(async {
        let _heard = signal(SignalKind::interrupt()).cant("start")?;
        let mut command = tokio::process::Command::new(program);
        command.args(rest).envs(variables).status().await.map_err(|error| {
            let reason = match error.kind() {
                std::io::ErrorKind::NotFound => "there is no such program".to_owned(),
                _ => crate::surroundings::reason(&error),
            };
            Failure::new(Exit::Failed, format!("can't run `{program}`: {reason}"))
        })
    })
}

/// A virtual key for one run.
struct Key {
    admin: Admin,
    id: String,
    app: String,
    secret: String,
}

impl Key {
    fn made(program: &str, cap: &str, global: &Global) -> Result<Self, Failure> {
        let admin = client::running(global)?.ok_or_else(|| {
            Failure::new(Exit::Usage, "a cap needs the gateway's data folder or its admin address")
                .hint("run it beside `outrigger serve`, or with --url")
        })?;
        let name = Path::new(program).file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let app = AppName::new(name).map_or_else(|_| "run".to_owned(), |app| app.to_string());
        let expires = clock::now().plus_micros(KEY_MICROS).to_string();
        let made = admin.post(
            "/v1/outrigger/keys",
            &json!({"app": app, "expires_at": expires, "budgets": [cap]}),
        )?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self { admin, id: text(&made["key"]["id"]), app, secret: text(&made["secret"]) })
    }

    /// Ends the key and says what was spent.
    fn ended(self, global: &Global) -> Done {
        self.admin.post(&format!("/v1/outrigger/keys/{}/revoke", self.id), &json!({}))?;
        let Ok(reader) = data::read(global) else { return Ok(()) };
        let filter = Filter { key: Some(self.id), ..Filter::default() };
        let sums = query::usage(&reader, &filter, GroupBy::Key, &|_| String::new());
        let sums = sums.cant("read the ledger")?;
        let Some(total) = sums.last() else { return Ok(()) };
        let noun = if total.requests == 1 { "request" } else { "requests" };
        let output = global.output();
        output.say(&format!("{}: {} {noun}, {} USD", self.app, total.requests, total.cost));
        Ok(())
    }
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
