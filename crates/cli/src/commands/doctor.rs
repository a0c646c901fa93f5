//! `outrigger doctor`: what is wrong, and the command that fixes it. No paid call is made.

use std::net::TcpListener;
use std::path::Path;

use serde_json::json;

use crate::cli::Global;
use crate::client;
use crate::clock;
use crate::exit::{Done, Exit, Failure};
use crate::surroundings::{self, Process, Source};

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
            checks.extend(providers(config));
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
    output.either(&json!({"findings": findings, "checks": list}), || {
        for it in &checks {
            let word = output.mark(if it.good { "ok     " } else { "FINDING" }, it.good);
            output.data(&format!(
                "{word}  {:<13} {}\n",
                it.name,
                crate::output::escaped(&it.said)
            ))?;
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
                let said =
                    format!("can't read {}: {}", path.display(), surroundings::reason(&error));
                return (None, vec![Check::bad("config", said, "outrigger init")]);
            }
        },
    };
    match config::load(&text, &name, &Process, catalog::builtin()) {
        Ok(loaded) => {
            let mut checks: Vec<Check> = loaded
                .warnings
                .iter()
                .map(|it| {
                    Check::bad(
                        "config",
                        format!("{}:{}: {}", it.file, it.line, it.message),
                        it.help.clone().unwrap_or_default(),
                    )
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
            let said = format!("{name} has {} problems", problems.len());
            (None, vec![Check::bad("config", said, "outrigger config check")])
        }
    }
}

/// A clock before this program was made stamps every row wrongly.
fn clock_check() -> Check {
    const MADE: i64 = 1_793_000_000;
    let now = clock::now();
    if now.secs() < MADE {
        return Check::bad("clock", format!("it says {now}"), "set the time, and keep it with NTP");
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
            Check::bad("disk", said, "choose a writable folder: --data-dir DIR")
        }
    }
}

fn open_files() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    match limit.current {
        Some(files) if files < 4096 => Check::bad(
            "open files",
            format!("the limit is {files}"),
            "ulimit -n 65536, or LimitNOFILE=65536 in the unit",
        ),
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
    let ours = matches!(client::running(global), Ok(Some(_)));
    let addresses = [("api port", config.server.api), ("admin port", config.server.admin)];
    let check =
        |(name, address): (&'static str, std::net::SocketAddr)| match TcpListener::bind(address) {
            Ok(_) => Check::good(name, format!("{address} is free")),
            Err(_) if ours => {
                Check::good(name, format!("{address} is used by the running gateway"))
            }
            Err(error) => Check::bad(
                name,
                format!("{address}: {error}"),
                "choose another under `server` in the configuration",
            ),
        };
    addresses.map(check).into()
}

fn certificates(config: &config::Config) -> Vec<Check> {
    let Some(tls) = &config.server.tls else { return Vec::new() };
    let readable = |path: &String| std::fs::File::open(path).is_ok();
    let (fine, said) =
        (readable(&tls.cert) && readable(&tls.key), format!("{}, {}", tls.cert, tls.key));
    vec![if fine {
        Check::good("tls", said)
    } else {
        Check::bad("tls", format!("can't read {said}"), "check the paths and who may read them")
    }]
}

fn keys(config: &config::Config) -> Vec<Check> {
    let missing = config.providers.iter().filter(|it| !super::provider::key_is_there(it));
    missing
        .map(|it| {
            Check::bad(
                "provider key",
                format!("a key of `{}` is not there", it.name),
                "set its variable or file",
            )
        })
        .collect()
}

fn providers(config: &config::Config) -> Vec<Check> {
    config
        .providers
        .iter()
        .flat_map(super::provider::ask)
        .map(|it| {
            let said = format!("{}: {}", it.name, it.said);
            if it.good {
                Check::good("provider", said)
            } else {
                Check::bad("provider", said, "outrigger provider test")
            }
        })
        .collect()
}
