//! `outrigger run -- CMD`: a program that talks to the gateway without being edited.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use clap_complete::engine::ArgValueCandidates;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::run_key::Key;
use crate::agents::{self, Agent, Cloud, Gateway, OwnHome, Served, Setup};
use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::http::{self, Call};
use crate::output::Output;
use crate::{client, client_env, names, surroundings};

/// Run a program with its SDKs, or a coding agent, pointed at the gateway.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger run -- python3 app.py\n  outrigger run --model fast --cap 2usd -- claude -p \"what is this?\"\n  outrigger run --as bedrock --print -- claude"
)]
pub(crate) struct Args {
    /// Model to ask for: a capability, or provider/model (default: the program's own choice).
    #[arg(long, short, value_name = "NAME", add = ArgValueCandidates::new(names::models))]
    model: Option<String>,
    /// Virtual key to send; other users of the machine see it, unlike that of --key-file.
    #[arg(long, conflicts_with = "key_file")]
    key: Option<String>,
    /// The most that the run may spend: it gets a key of its own, and the total is said at its end.
    #[arg(long, value_name = "USD", value_parser = cap, conflicts_with_all = ["key", "key_file", "print"])]
    cap: Option<String>,
    /// Cloud that the gateway is taken for, by an agent that asks clouds in ways of their own: claude.
    #[arg(long = "as", value_enum, value_name = "CLOUD")]
    cloud: Option<Cloud>,
    /// Print what would be set; run nothing.
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    target: client_env::Target,
    /// The program and its arguments; claude, codex, gemini, opencode and aider get all they need.
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
    let listens = answers(&base);
    if !listens && !args.print {
        let message = format!("no gateway answers at {base}");
        return Err(Failure::new(Exit::Network, message)
            .hint("start one in another terminal: outrigger serve"));
    }
    let Some((program, rest)) = args.command.split_first() else {
        return Err(Failure::new(Exit::Usage, "no program given"));
    };
    if args.cloud.is_some() && !Agent::of(program).is_some_and(Agent::knows_clouds) {
        let message = format!("`{program}` is not known to ask a cloud");
        return Err(Failure::new(Exit::Usage, message).hint("--as is for claude"));
    }
    let Some(cap) = &args.cap else {
        let key = match &args.key {
            Some(key) => Some(key.clone()),
            None => client_env::key(&args.target)?,
        };
        let run = Run::planned(args, program, rest, base, key, listens, &global.output())?;
        return if args.print { run.print(&global.output()) } else { run.replace() };
    };
    let key = Key::made(program, cap, global)?;
    let secret = Some(key.secret.clone());
    let run = Run::planned(args, program, rest, base, secret, listens, &global.output());
    let status = run.and_then(Run::wait);
    key.ended(global)?;
    pass_on(status?)
}

/// A program as it is to be run.
struct Run<'a> {
    program: &'a str,
    rest: &'a [String],
    setup: Setup,
    /// Where the agent's configuration folder of ours is.
    home: Option<PathBuf>,
}

impl<'a> Run<'a> {
    fn planned(
        args: &Args,
        program: &'a str,
        rest: &'a [String],
        base: String,
        key: Option<String>,
        listens: bool,
        output: &Output,
    ) -> Result<Self, Failure> {
        let model = args.model.as_deref();
        if let Some(model) = model.filter(|_| listens) {
            expect_model(&base, key.as_deref(), model)?;
        }
        let own = if let Some(agent) = Agent::of(program) {
            let served = if listens { served(&base, key.as_deref())? } else { Vec::new() };
            let first = agent.first_model(&served, args.cloud).filter(|_| model.is_none());
            if let Some(first) = first {
                output.say(&format!("{} asks for `{first}`; --model names another", agent.name()));
            }
            let sent = key.as_deref().unwrap_or(client_env::NO_KEY);
            let gateway = Gateway { base: &base, key: sent, served: &served, cloud: args.cloud };
            agent.setup(gateway, model.or(first))
        } else {
            if !args.print {
                output.say(&format!("{program}: the variables that SDKs look for are set"));
            }
            agents::unknown(model)
        };
        let usual = Setup { set: client_env::variables(base, key), ..Setup::default() };
        let mut setup = usual.and(own);
        let ours = surroundings::user_folder("XDG_DATA_HOME", ".local/share");
        let home =
            setup.home.as_ref().zip(ours).map(|(it, ours)| ours.join("agents").join(it.name));
        if let (Some(own), Some(home)) = (&setup.home, &home) {
            setup.set.push((own.variable, home.display().to_string()));
        }
        Ok(Self { program, rest, setup, home })
    }

    /// The program with all that is set; a configuration folder of ours is made.
    fn command(&self) -> Result<Command, Failure> {
        if let (Some(own), Some(home)) = (&self.setup.home, &self.home) {
            furnish(own, home).cant(format!("write below {}", home.display()))?;
        }
        let mut command = Command::new(self.program);
        for name in &self.setup.unset {
            command.env_remove(name);
        }
        command.envs(self.setup.set.iter().map(|(name, value)| (name, value)));
        command.args(&self.setup.arguments).args(self.rest);
        Ok(command)
    }

    /// Becomes the program: its terminal, its signals and its exit code are its own.
    fn replace(self) -> Done {
        let error = self.command()?.exec();
        Err(self.no_start(&error))
    }

    /// Runs the program to its end. What the keyboard sends reaches it as well as us, and it decides what that means;
    /// what is sent to us alone is passed on.
    fn wait(self) -> Result<ExitStatus, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.cant("start")?.block_on(async {
            let heard = |kind| signal(kind).cant("start");
            let _interrupts = heard(SignalKind::interrupt())?;
            let _quits = heard(SignalKind::quit())?;
            let mut ends = heard(SignalKind::terminate())?;
            let mut hang_ups = heard(SignalKind::hangup())?;
            let mut command = tokio::process::Command::from(self.command()?);
            let mut child = command.spawn().map_err(|error| self.no_start(&error))?;
            let process = child.id();
            let mut status = std::pin::pin!(child.wait());
            loop {
                let sent = tokio::select! {
                    status = &mut status => return status.cant("wait for the program"),
                    () = next(&mut ends) => rustix::process::Signal::TERM,
                    () = next(&mut hang_ups) => rustix::process::Signal::HUP,
                };
                let process = process.and_then(|it| i32::try_from(it).ok());
                if let Some(process) = process.and_then(rustix::process::Pid::from_raw) {
                    // One that has just ended needs no signal.
                    rustix::process::kill_process(process, sent).ok();
                }
            }
        })
    }

    fn no_start(&self, error: &std::io::Error) -> Failure {
        let program = self.program;
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such program".to_owned(),
            _ => surroundings::reason(error),
        };
        Failure::new(Exit::Failed, format!("can't run `{program}`: {reason}"))
    }

    /// As one command for a shell, or as a document.
    fn print(&self, output: &Output) -> Done {
        let Setup { set, unset, arguments, home } = &self.setup;
        let arguments: Vec<&String> = arguments.iter().chain(self.rest).collect();
        let variables: Map<String, Value> =
            set.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        // The user's settings, which are copied too, are not shown.
        let file = self.home.iter().zip(home).map(|(folder, own)| {
            let path = folder.join(own.folder).join(own.file);
            (path.display().to_string(), json!(own.settings.to_string()))
        });
        let files: Map<String, Value> = file.collect();
        let document = json!({"program": self.program, "arguments": arguments, "set": variables,
            "unset": unset, "files": files});
        output.either(&document, || {
            for (path, text) in &files {
                let folder = Path::new(path).parent().unwrap_or(Path::new("."));
                let (folder, path) = (quoted(&folder.to_string_lossy()), quoted(path));
                let text = quoted(text.as_str().unwrap_or_default());
                output.line(&format!("mkdir -p {folder} && printf %s {text} > {path} &&"))?;
            }
            let mut line = "env".to_owned();
            for name in unset {
                line.extend([" -u ", name]);
            }
            output.line(&format!("{line} \\"))?;
            for (name, value) in set {
                output.line(&format!("  {name}={} \\", quoted(value)))?;
            }
            let words = std::iter::once(self.program).chain(arguments.iter().map(|it| it.as_str()));
            output.line(&format!("  {}", words.map(quoted).collect::<Vec<_>>().join(" ")))
        })
    }
}

/// Makes a configuration folder of ours from the user's: what the agent would find there it finds here.
fn furnish(own: &OwnHome, home: &Path) -> std::io::Result<()> {
    let ours = home.join(own.folder);
    std::fs::create_dir_all(&ours)?;
    let users = std::env::var_os(own.variable).or_else(|| std::env::var_os("HOME"));
    let users = PathBuf::from(users.unwrap_or_default()).join(own.folder);
    for name in own.linked {
        let (there, here) = (users.join(name), ours.join(name));
        if there.exists() && here.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(there, here)?;
        }
    }
    let text = std::fs::read_to_string(users.join(own.file)).unwrap_or_default();
    // Another run may be reading it, and a user's settings are nobody else's business.
    let new = ours.join(format!("{}.{}", own.file, std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(own.merged(&text).to_string().as_bytes())?;
    std::fs::rename(new, ours.join(own.file))
}

/// Waits for a signal.
async fn next(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// For a shell, in quotes where they are needed.
fn quoted(word: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "-_./:=@%+,".contains(it);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What may be asked for with this key.
fn served(base: &str, key: Option<&str>) -> Result<Vec<Served>, Failure> {
    // Anthropic's listing tells the limits too.
    let list = asked(base, "/anthropic/v1/models?limit=1000", key)?;
    let rows = list["data"].as_array().cloned().unwrap_or_default();
    let one = |row: &Value| {
        Some(Served {
            id: row["id"].as_str()?.to_owned(),
            max_input: row["max_input_tokens"].as_u64(),
            max_output: row["max_tokens"].as_u64(),
        })
    };
    Ok(rows.iter().filter_map(one).collect())
}

/// A name that the gateway does not know is better said here than by an agent that tries it five times.
fn expect_model(base: &str, key: Option<&str>, model: &str) -> Done {
    asked(base, &format!("/v1/models/{}", client::encoded(model)), key).map(drop)
}

/// An answer of the gateway's data plane.
fn asked(base: &str, path: &str, key: Option<&str>) -> Result<Value, Failure> {
    let mut call = Call::get(base, path).key(key);
    call.headers.push(("anthropic-version", "2023-06-01".to_owned()));
    let answer = http::send(call, |_| ())?;
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = value["error"]["message"].as_str().unwrap_or("it gave no reason");
    let failure = |exit| Failure::new(exit, format!("the gateway at {base} refused: {said}"));
    match answer.status {
        200 => Ok(value),
        401 => Err(failure(Exit::Denied).hint(
            "`outrigger key create --app NAME` makes a key; --key-file or OUTRIGGER_API_KEY gives it",
        )),
        403 => Err(failure(Exit::Denied)),
        404 => Err(failure(Exit::Usage).hint("`outrigger model ls` lists the models")),
        _ => Err(failure(Exit::Network)),
    }
}

/// Whether anybody answers, or every call of the program would fail with a message about something else.
fn answers(base: &str) -> bool {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default();
    let port = if base.starts_with("https:") { 443 } else { 80 };
    let with_port = if host.rsplit(':').next().is_some_and(|it| it.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    let timeout = Duration::from_secs(2);
    with_port.to_socket_addrs().is_ok_and(|mut addresses| {
        addresses.any(|address| TcpStream::connect_timeout(&address, timeout).is_ok())
    })
}

/// Ends with the program's own exit code; a signal's is 128 and its number, as shells say it.
fn pass_on(status: ExitStatus) -> Done {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    match u8::try_from(code) {
        Ok(0) => Ok(()),
        Ok(code) => Err(Failure::passed_on(code)),
        Err(_) => Err(Failure::silent(Exit::Failed)),
    }
}
