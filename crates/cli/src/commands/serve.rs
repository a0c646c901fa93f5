//! `outrigger serve`: the gateway itself.

use std::error::Error as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Instant;

use config::{Config, Diagnostic, Found, FoundBy};
use ledger::Durability;
use server::{ConfigSource, Options, Ready, ServeError};
use telemetry::logs::{self, Format};

use crate::cli::Global;
use crate::client_env::reachable;
use crate::exit::{Done, Exit, Failure};
use crate::output::complain;
use crate::surroundings::{self, Process, Source};

/// Run the gateway.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger serve\n  outrigger serve --config outrigger.yaml\n  OPENAI_API_KEY=... outrigger serve --cap 2"
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
    /// How log lines look: `pretty` or `json` (default: what the configuration says).
    #[arg(long, value_name = "FORMAT", env = "OUTRIGGER_LOG_FORMAT", hide_env_values = true)]
    log_format: Option<String>,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let started = Instant::now();
    let source = match surroundings::source(global.config.as_deref()) {
        Source::File(path) => Configured::File(path),
        Source::Nothing => {
            let found = surroundings::discover()?;
            let text = config::zero_text(&found)
                .replace("5 USD per day", &format!("{} USD per day", args.cap));
            Configured::Nothing { found, text }
        }
    };
    start_logging(args, &source);
    let global = global.clone();
    let found = source.found().to_vec();
    let (quiet, json) = (global.quiet, global.json);
    let cap = matches!(source, Configured::Nothing { .. }).then(|| args.cap.clone());
    let file = source.shown();
    let options = Options {
        source: Box::new(source),
        data_dir: global.data_dir.clone(),
        master_key: config::Env::var(&Process, "OUTRIGGER_MASTER_KEY").map(String::into_bytes),
        admin_token: config::Env::var(&Process, "OUTRIGGER_ADMIN_TOKEN"),
        threads: args.threads,
        on_ready: Box::new(move |ready| {
            let page = start_page(ready, &found, &file, cap.as_deref(), started);
            if json {
                complain(&ready_json(ready).to_string());
            } else if !quiet {
                complain(&page);
            }
        }),
    };
    match server::run(options) {
        Ok(server::Exit::Drained) => Ok(()),
        Ok(server::Exit::Cut(count)) => {
            complain(&format!("{count} requests were cut at the drain deadline"));
            Err(Failure::passed_on(75))
        }
        Err(error) => Err(failure(&error)),
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

/// Before anything can be logged; a configuration that is refused is refused again, and shown, by the server.
fn start_logging(args: &Args, source: &Configured) {
    let configured = source
        .text()
        .ok()
        .and_then(|text| config::load(&text, "outrigger.yaml", &Process, catalog::builtin()).ok())
        .map(|loaded| loaded.config.telemetry);
    let filter = args.log.clone().or_else(|| configured.as_ref().map(|it| it.log.clone()));
    let terminal = std::io::stderr().is_terminal();
    let format = match (args.log_format.as_deref(), configured.map(|it| it.log_format)) {
        (Some("json"), _) | (None, Some(config::LogFormat::Json)) => Format::Json,
        (Some(_), _) | (None, Some(config::LogFormat::Pretty)) => Format::Pretty,
        (None, _) => {
            if terminal {
                Format::Pretty
            } else {
                Format::Json
            }
        }
    };
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    logs::start(filter.as_deref().unwrap_or("info"), format, colour);
}

/// What a person sees first.
fn start_page(
    ready: &Ready,
    found: &[Found],
    file: &str,
    cap: Option<&str>,
    started: Instant,
) -> String {
    let mut page = String::new();
    let version = env!("CARGO_PKG_VERSION");
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    line(format!("outrigger {version} · {file} · data {}", ready.data_dir.display()));
    line(String::new());
    line("  provider         found by                 models   (built-in table; nobody contacted yet)".to_owned());
    for (name, models) in &ready.providers {
        let by = found.iter().find(|it| it.preset == *name).map_or_else(
            || {
                if name == "demo" {
                    "built in, free".to_owned()
                } else {
                    "configuration".to_owned()
                }
            },
            |it| match &it.by {
                FoundBy::Variable(variable) => variable.clone(),
                FoundBy::Server(url) => url.clone(),
            },
        );
        line(format!("  {name:<15}  {by:<23}  {models:>6}"));
    }
    line(String::new());
    let scheme = if ready.tls { "https" } else { "http" };
    let keys = if ready.keys_required {
        "a virtual key is required"
    } else {
        "this machine only, no key needed"
    };
    let api = reachable(ready.api);
    line(format!("  api      {scheme}://{api}/v1     {keys}"));
    line(format!(
        "  admin    http://{}        token in {}",
        reachable(ready.admin),
        ready.data_dir.join("admin-token").display()
    ));
    if let Some(token) = &ready.new_admin_token {
        line(format!("           admin token, shown once: {token}"));
    }
    let promise = match ready.durability {
        Durability::Strict => "strict: nothing leaves before its intent is on disk",
        Durability::Relaxed => "relaxed: at most 50 ms of rows may be lost in a crash",
    };
    line(format!("  ledger   {promise}"));
    if ready.unsettled > 0 {
        line(format!(
            "           {} attempts of an earlier run are unsettled, their reservations held: outrigger ledger query --unsettled",
            ready.unsettled
        ));
    }
    if let Some(cap) = cap {
        line(format!("  cap      {cap} USD a day, because there is no configuration (--cap)"));
    }
    line(String::new());
    line("  try   outrigger try \"hello\" --model demo/echo".to_owned());
    line("  use   outrigger run -- claude          (or: eval \"$(outrigger env)\")".to_owned());
    line(format!("ready in {} ms · Ctrl-C drains", started.elapsed().as_millis()));
    page.trim_end().to_owned()
}

fn ready_json(ready: &Ready) -> serde_json::Value {
    let providers: Vec<_> = ready
        .providers
        .iter()
        .map(|(name, models)| serde_json::json!({"name": name, "models": models}))
        .collect();
    serde_json::json!({
        "ready": true,
        "api": ready.api.to_string(),
        "admin": ready.admin.to_string(),
        "tls": ready.tls,
        "keys_required": ready.keys_required,
        "durability": ready.durability.as_str(),
        "data_dir": ready.data_dir.display().to_string(),
        "unsettled": ready.unsettled,
        "providers": providers,
    })
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
        ServeError::Config(_) | ServeError::Snapshot(_) | ServeError::Tls(_) | ServeError::Secret(_) => {
            Failure::new(Exit::Config, message)
        }
        ServeError::Bind { address, .. } => Failure::new(Exit::Failed, message).hint(format!(
            "is another gateway running? Set `server: {{api: {address}}}` to another port, or OUTRIGGER__SERVER__API"
        )),
        _ => Failure::new(Exit::Failed, message),
    }
}
