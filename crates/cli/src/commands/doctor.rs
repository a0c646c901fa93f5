//! `outrigger doctor`: what is wrong, and the command that fixes it. No paid call is made.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use catalog::Catalog;
use serde_json::json;
use server::probe::Verdict;

use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
use crate::surroundings::{self, Process, Source};
use crate::{certificate, client, clock};

/// Look for what is wrong and say how to fix it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger doctor\n  outrigger doctor --json\n  outrigger doctor --offline"
)]
pub(crate) struct Args {
    /// Ask no provider whether it answers.
    #[arg(long)]
    offline: bool,
}

/// One thing that was looked at.
struct Check {
    name: &'static str,
    good: bool,
    said: String,
    fix: Option<String>,
}

impl Check {
    fn good(name: &'static str, said: impl Into<String>) -> Self {
        Self { name, good: true, said: said.into(), fix: None }
    }

    fn bad(name: &'static str, said: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, good: false, said: said.into(), fix: Some(fix.into()) }
    }
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let output = global.output();
    let (configuration, mut checks) = configuration(global);
    let dir = surroundings::data_dir(global);
    checks.push(clock_check());
    checks.push(disk(&dir));
    checks.push(open_files());
    checks.push(price_table());
    if let Some(config) = &configuration {
        checks.extend(ports(config, global));
        checks.extend(certificates(config));
        checks.extend(keys(config));
        if !args.offline {
            // The built-in facts are enough to ask: an imported table has prices only.
            checks.extend(providers(config, catalog::builtin()));
        }
    }
    checks.extend(super::ledger::check(global).map(|outcome| match outcome {
        Ok(said) => Check::good("ledger", said),
        Err(said) => Check::bad("ledger", said, "outrigger ledger verify"),
    }));
    let list: Vec<_> = checks
        .iter()
        .map(|it| json!({"check": it.name, "ok": it.good, "said": it.said, "fix": it.fix}))
        .collect();
    let findings = checks.iter().filter(|it| !it.good).count();
    output.listing(&json!({"findings": findings, "checks": list}), "checks", || {
        for it in &checks {
            let word = if it.good { "ok     " } else { "FINDING" };
            output.verdict(word, it.good, &format!("  {:<13} {}", it.name, it.said))?;
            if let Some(fix) = &it.fix {
                output.line(&format!("{:<9}{:<13} fix: {fix}", "", ""))?;
            }
        }
        Ok(())
    })?;
    if findings == 0 { Ok(()) } else { Err(Failure::silent(Exit::Findings)) }
}

fn configuration(global: &Global) -> (Option<config::Config>, Vec<Check>) {
    let source = surroundings::source(global.config.as_deref());
    let (name, text) = match &source {
        Source::Nothing => ("no file".to_owned(), config::zero_text(&surroundings::found())),
        Source::File(path) => match std::fs::read_to_string(path) {
            Ok(text) => (path.display().to_string(), text),
            Err(error) => {
                let reason = surroundings::reason(&error);
                let said = format!("can't read {}: {reason}", path.display());
                let fix = match error.kind() {
                    ErrorKind::NotFound => format!("outrigger init --config {}", path.display()),
                    _ => format!("chmod u+r {}", path.display()),
                };
                return (None, vec![Check::bad("config", said, fix)]);
            }
        },
    };
    match config::load(&text, &name, &Process, catalog::builtin()) {
        Ok(loaded) => {
            let mut checks: Vec<Check> = loaded
                .warnings
                .iter()
                .map(|it| {
                    let help =
                        it.help.as_ref().map_or_else(String::new, |help| format!("; {help}"));
                    let said = format!("{}:{}: {}{help}", it.file, it.line, it.message);
                    Check::bad("config", said, format!("outrigger explain {}", it.code))
                })
                .collect();
            if checks.is_empty() {
                let said = match source {
                    Source::Nothing => "none: what is found is used".into(),
                    Source::File(_) => format!("{name} is good"),
                };
                checks.push(Check::good("config", said));
            }
            (Some(loaded.config), checks)
        }
        Err(problems) => {
            let said = match problems.len() {
                1 => format!("{name} has a problem"),
                count => format!("{name} has {count} problems"),
            };
            let fix = format!("outrigger config check --config {name}");
            (None, vec![Check::bad("config", said, fix)])
        }
    }
}

/// A clock before this program was made stamps every row wrongly.
fn clock_check() -> Check {
    const MADE: i64 = 1_793_000_000;
    let now = clock::now();
    if now.secs() < MADE {
        return Check::bad("clock", format!("it says {now}"), "timedatectl set-ntp true");
    }
    Check::good("clock", now.to_string())
}

/// Whether a file can be written and made durable, and how long that takes.
fn disk(dir: &Path) -> Check {
    use std::io::Write as _;
    let folder = if dir.is_dir() {
        dir
    } else {
        dir.parent().filter(|it| it.is_dir()).unwrap_or(Path::new("."))
    };
    let path = folder.join(format!(".outrigger-doctor-{}", std::process::id()));
    let began = std::time::Instant::now();
    let result = std::fs::File::create(&path).and_then(|mut file| {
        file.write_all(&[0; 4096])?;
        file.sync_all()
    });
    let took = began.elapsed();
    let removed = std::fs::remove_file(&path);
    match result.and(removed) {
        Ok(()) => {
            let said = format!(
                "{}: a durable write takes {:.1} ms",
                folder.display(),
                took.as_secs_f64() * 1e3
            );
            Check::good("disk", said)
        }
        Err(error) => {
            let said = format!("{}: {}", folder.display(), surroundings::reason(&error));
            Check::bad("disk", said, "outrigger serve --data-dir \"$HOME/outrigger-data\"")
        }
    }
}

fn open_files() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match limit.current {
        Some(files) if files < 4096 => {
            let most = limit.maximum.unwrap_or(65_536).min(65_536);
            Check::bad("open files", format!("the limit is {files}"), format!("ulimit -n {most}"))
        }
        Some(files) => Check::good("open files", format!("the limit is {files}")),
        None => Check::good("open files", "no limit"),
    }
}

fn price_table() -> Check {
    const OLD_DAYS: i64 = 120;
    let catalog = catalog::builtin();
    let newest = ["openai", "anthropic"]
        .iter()
        .flat_map(|host| catalog.models_of(host))
        .map(|it| &*it.checked)
        .max();
    let day = newest.and_then(|it| it.parse::<jiff::civil::Date>().ok());
    let today = clock::today().parse::<jiff::civil::Date>().ok();
    let age = day
        .zip(today)
        .and_then(|(day, today)| today.since(day).ok())
        .map(|span| i64::from(span.get_days()));
    match (newest, age) {
        (Some(day), Some(age)) if age > OLD_DAYS => Check::bad(
            "prices",
            format!("the table is of {day}, {age} days ago"),
            "outrigger catalog import FILE",
        ),
        (Some(day), _) => Check::good("prices", format!("the table is of {day}")),
        (None, _) => Check::bad("prices", "the table is empty", "outrigger catalog import FILE"),
    }
}

/// Ports must be free, unless our own gateway has them.
fn ports(config: &config::Config, global: &Global) -> Vec<Check> {
    let ours = client::is_running(global);
    let addresses = [
        ("api port", config.server.api, "OUTRIGGER_API"),
        ("admin port", config.server.admin, "OUTRIGGER_ADMIN"),
    ];
    let check =
        |(name, address, variable): (&'static str, SocketAddr, &str)| match TcpListener::bind(
            address,
        ) {
            Ok(_) => Check::good(name, format!("{address} is free")),
            Err(_) if ours => {
                Check::good(name, format!("{address} is used by the running gateway"))
            }
            Err(error) => {
                let said = format!("{address}: {}", surroundings::reason(&error));
                Check::bad(name, said, format!("{variable}={} outrigger serve", free(address)))
            }
        };
    addresses.map(check).into()
}

/// An address that is free: the next port but a hundred, and so on.
pub(super) fn free(address: SocketAddr) -> SocketAddr {
    let ports = (1..100).map(|step| address.port().wrapping_add(step * 100));
    let mut others = ports.map(|port| SocketAddr::new(address.ip(), port));
    others.find(|it| TcpListener::bind(it).is_ok()).unwrap_or(address)
}

/// The listener's certificate must be readable and have some time left.
fn certificates(config: &config::Config) -> Vec<Check> {
    const SOON_DAYS: i64 = 21;
    let Some(tls) = &config.server.tls else { return Vec::new() };
    for path in [&tls.cert, &tls.key] {
        if let Err(error) = std::fs::File::open(path) {
            let said = format!("can't read {path}: {}", surroundings::reason(&error));
            return vec![Check::bad("tls", said, format!("ls -l {path}"))];
        }
    }
    let look = format!("openssl x509 -noout -dates -in {}", tls.cert);
    let end = std::fs::read(&tls.cert).ok().and_then(|pem| certificate::not_after(&pem));
    let Some(end) = end else {
        return vec![Check::bad("tls", format!("{} holds no certificate", tls.cert), look)];
    };
    let days = (end.as_second() - clock::now().secs()).div_euclid(86_400);
    let day: String = end.to_string().chars().take(10).collect();
    vec![match days {
        ..0 => Check::bad("tls", format!("{} ended on {day}", tls.cert), look),
        0..SOON_DAYS => {
            Check::bad("tls", format!("{} ends on {day}, in {days} days", tls.cert), look)
        }
        _ => Check::good("tls", format!("{} is good until {day}", tls.cert)),
    }]
}

fn keys(config: &config::Config) -> Vec<Check> {
    let keys = config.providers.iter().flat_map(|it| it.keys.iter().map(move |key| (it, key)));
    keys.filter_map(|(provider, key)| {
        let failure = surroundings::reveal(key).err()?;
        Some(Check::bad(
            "provider key",
            format!("{}: {}", provider.name, failure.message),
            renew(key),
        ))
    })
    .collect()
}

/// What puts another key in place.
fn renew(key: &config::Secret) -> String {
    match key {
        config::Secret::Env(name) => format!("export {name}=..."),
        config::Secret::File(path) => format!("install -m 600 /dev/stdin {path}"),
        config::Secret::Plain(_) => "outrigger config show --origin".into(),
    }
}

fn providers(config: &config::Config, catalog: &Catalog) -> Vec<Check> {
    let mut checks = Vec::new();
    for provider in &config.providers {
        for it in super::provider::ask(provider, catalog) {
            let said = format!("{}: {}", it.name, it.outcome.said);
            checks.push(match it.outcome.verdict {
                Verdict::Good => Check::good("provider", said),
                Verdict::KeyRefused => {
                    let fix = it.outcome.key.as_ref().or(provider.keys.first()).map(renew);
                    Check::bad(
                        "provider",
                        said,
                        fix.unwrap_or_else(|| "outrigger config show --origin".into()),
                    )
                }
                Verdict::Bad => {
                    let fix = format!("curl -sv {}/models", provider.base_url);
                    Check::bad("provider", said, fix)
                }
            });
        }
    }
    checks
}
