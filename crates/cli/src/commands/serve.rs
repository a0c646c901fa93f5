//! `outrigger serve`: the gateway itself.

use std::error::Error as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Instant;

use config::{Config, Diagnostic, Found};
use server::{ConfigSource, Options, ServeError};
use telemetry::logs::{self, Format};

use super::start_page::{self, DEMO, Page};
use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
use crate::output::complain;
use crate::surroundings::{self, Process, Source};

/// Run the gateway.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger serve\n  outrigger serve --cap 2\n  outrigger serve --config outrigger.yaml --log-format json"
)]
pub(crate) struct Args {
    /// Without a configuration file: most that may be spent a day, in USD.
    #[arg(long, value_name = "USD", default_value = "5")]
    cap: String,
    /// Threads of the data plane (default: one per core).
    #[arg(long, value_name = "N", env = "OUTRIGGER_THREADS", hide_env_values = true)]
    threads: Option<usize>,
    /// What is logged, as a tracing filter (default: what the configuration says).
    #[arg(long, value_name = "FILTER", env = "OUTRIGGER_LOG", hide_env_values = true)]
    log: Option<String>,
    /// How log lines look (default: what the configuration says, else auto).
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        env = "OUTRIGGER_LOG_FORMAT",
        hide_env_values = true
    )]
    log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogFormat {
    /// By whether it is a terminal.
    Auto,
    /// For people.
    Pretty,
    /// For programs.
    Json,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let started = Instant::now();
    let source = configured(args, global)?;
    let checked = source.checked();
    let format = log_format(args, checked.as_ref());
    let filter = args.log.clone().or_else(|| checked.as_ref().map(|it| it.telemetry.log.clone()));
    let terminal = std::io::stderr().is_terminal();
    let color = global.color.decided(terminal);
    let usual = if terminal { Format::Pretty } else { Format::Json };
    logs::start(filter.as_deref().unwrap_or("info"), format.unwrap_or(usual), color);
    let page = Page {
        found: source.found().to_vec(),
        file: source.shown(),
        cap: matches!(source, Configured::Nothing { .. }).then(|| args.cap.clone()),
        model: checked.as_ref().map_or_else(|| DEMO.to_owned(), start_page::model_to_try),
        started,
        terminal,
    };
    let (output, quiet) = (global.output(), global.quiet);
    let options = Options {
        source: Box::new(source),
        data_dir: Some(surroundings::data_dir(global)),
        master_key: config::Env::var(&Process, "OUTRIGGER_MASTER_KEY").map(String::into_bytes),
        admin_token: config::Env::var(&Process, "OUTRIGGER_ADMIN_TOKEN"),
        threads: args.threads,
        on_ready: Box::new(move |ready| {
            if output.is_json() {
                // A reader that is gone is no reason not to serve.
                drop(output.json(&start_page::json(ready)));
            } else if format == Some(Format::Json) {
                complain(&start_page::json(ready).to_string());
            } else if !quiet {
                complain(&page.text(ready));
            }
        }),
    };
    match server::run(options) {
        Ok(server::Exit::Drained) => Ok(()),
        Ok(server::Exit::Cut(count)) => {
            let noun = if count == 1 { "request was" } else { "requests were" };
            Err(Failure::new(Exit::Cut, format!("{count} {noun} cut at the drain's deadline"))
                .hint("`server.drain` in the configuration sets it"))
        }
        Err(error) => Err(failure(&error)),
    }
}

/// The configuration to serve with; without a file, what is found and a cap.
fn configured(args: &Args, global: &Global) -> Result<Configured, Failure> {
    if let Source::File(path) = surroundings::source(global.config.as_deref()) {
        // Said here, with what to do about it, rather than by the server.
        surroundings::read(&path)?;
        return Ok(Configured::File(path));
    }
    let found = surroundings::discover()?;
    let usual = config::zero_text(&found);
    let text = usual.replace("5 USD per day", &format!("{} USD per day", args.cap));
    Ok(Configured::Nothing { found, text })
}

/// How log lines look, where somebody said so: the flag, else the configuration.
fn log_format(args: &Args, checked: Option<&Config>) -> Option<Format> {
    let said = match args.log_format {
        Some(LogFormat::Auto) => config::LogFormat::Auto,
        Some(LogFormat::Pretty) => config::LogFormat::Pretty,
        Some(LogFormat::Json) => config::LogFormat::Json,
        None => checked?.telemetry.log_format,
    };
    match said {
        config::LogFormat::Auto => None,
        config::LogFormat::Pretty => Some(Format::Pretty),
        config::LogFormat::Json => Some(Format::Json),
    }
}

/// Where the configuration comes from.
enum Configured {
    File(PathBuf),
    Nothing { found: Vec<Found>, text: String },
}

impl Configured {
    fn found(&self) -> &[Found] {
        match self {
            Self::File(_) => &[],
            Self::Nothing { found, .. } => found,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Nothing { .. } => "no config file, using what it found".to_owned(),
        }
    }
}

impl Configured {
    /// What it says, where it is good. One that is refused is refused again, and shown, by the server.
    fn checked(&self) -> Option<Config> {
        let text = self.text().ok()?;
        let loaded = config::load(&text, surroundings::FILE, &Process, catalog::builtin()).ok()?;
        Some(loaded.config)
    }
}

impl ConfigSource for Configured {
    fn text(&self) -> Result<String, String> {
        match self {
            Self::File(path) => std::fs::read_to_string(path).map_err(|error| {
                format!("can't read {}: {}", path.display(), surroundings::reason(&error))
            }),
            Self::Nothing { text, .. } => Ok(text.clone()),
        }
    }

    fn check(&self, text: &str) -> Result<Config, Vec<Diagnostic>> {
        let name = match self {
            Self::File(path) => path.display().to_string(),
            Self::Nothing { .. } => "(no file)".to_owned(),
        };
        let loaded = config::load(text, &name, &Process, catalog::builtin())?;
        for warning in &loaded.warnings {
            complain(&config::render(warning, text));
        }
        Ok(loaded.config)
    }
}

fn failure(error: &ServeError) -> Failure {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // A cause that says what was said already is not said twice.
        let text = error.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    match error {
        ServeError::Config(_)
        | ServeError::Snapshot(_)
        | ServeError::Tls(_)
        | ServeError::Secret(_) => Failure::new(Exit::Config, message),
        ServeError::Store(store::OpenError::Locked { .. }) => Failure::new(Exit::Failed, message)
            .hint("one gateway owns a data folder; --data-dir names another"),
        ServeError::Bind { address, .. } => {
            let other = super::doctor::free(*address);
            Failure::new(Exit::Failed, message).hint(format!(
                "is another gateway running? `OUTRIGGER_API={other} outrigger serve` takes another address (OUTRIGGER_ADMIN for the admin API)"
            ))
        }
        _ => Failure::new(Exit::Failed, message),
    }
}
