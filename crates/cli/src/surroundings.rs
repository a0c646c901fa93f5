//! The real environment, and where the configuration comes from.

use std::path::{Path, PathBuf};

use config::{Diagnostic, Env, Loaded};

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::output::complain;

/// The file that is read when none is named.
pub(crate) const FILE: &str = "outrigger.yaml";
/// The data folder when nothing names another.
const DATA: &str = "outrigger-data";

/// The process's environment. A variable may be given by a file: `NAME_FILE` holds its path.
pub(crate) struct Process;

impl Env for Process {
    fn var(&self, name: &str) -> Option<String> {
        let given = std::env::var(name).ok().filter(|value| !value.is_empty());
        given.or_else(|| from_file(&std::env::var(format!("{name}_FILE")).ok()?))
    }

    fn outrigger_vars(&self) -> Vec<(String, String)> {
        let ours = |name: &str| name.starts_with("OUTRIGGER_");
        let mut vars = Vec::new();
        for (name, value) in std::env::vars_os() {
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
            match name.strip_suffix("_FILE") {
                Some(twin) if ours(twin) => {
                    vars.extend(from_file(value).map(|value| (twin.to_owned(), value)));
                }
                _ if ours(name) => vars.push((name.to_owned(), value.to_owned())),
                _ => {}
            }
        }
        vars
    }

    fn readable(&self, path: &str) -> Result<(), String> {
        match std::fs::File::open(path) {
            Ok(_) => Ok(()),
            Err(error) => Err(reason(&error)),
        }
    }
}

fn from_file(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The system's reason without its number.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "it may not be read by this user".into(),
        _ => error.to_string(),
    }
}

/// Where the configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// This file.
    File(PathBuf),
    /// There is none: what was found is used.
    Nothing,
}

/// The file that counts: the flag or `OUTRIGGER_CONFIG` (clap reads both), else `outrigger.yaml` here, else the
/// user's own.
pub(crate) fn source(named: Option<&Path>) -> Source {
    if let Some(path) = named {
        return Source::File(path.to_owned());
    }
    let usual = [Some(PathBuf::from(FILE)), user_file()];
    match usual.into_iter().flatten().find(|it| it.is_file()) {
        Some(path) => Source::File(path),
        None => Source::Nothing,
    }
}

/// The user's own configuration file, whether or not it is there.
pub(crate) fn user_file() -> Option<PathBuf> {
    Some(user_folder("XDG_CONFIG_HOME", ".config")?.join(FILE))
}

/// Our folder among the user's, by the XDG base directory specification: a relative path in the variable is ignored.
pub(crate) fn user_folder(variable: &str, usual: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|it| it.is_absolute());
    let home = || Some(PathBuf::from(std::env::var_os("HOME").filter(|it| !it.is_empty())?));
    Some(set.or_else(|| Some(home()?.join(usual)))?.join("outrigger"))
}

/// A configuration that passed.
pub(crate) struct Configuration {
    /// What it says, and where each value is from.
    pub(crate) loaded: Loaded,
}

/// Reads and checks the configuration; problems are printed. Without a file, what runs without one.
pub(crate) fn load(global: &Global) -> Result<Configuration, Failure> {
    let source = source(global.config.as_deref());
    let (name, text) = match &source {
        Source::File(path) => (path.display().to_string(), read(path)?),
        Source::Nothing => ("(no file)".into(), config::zero_text(&found())),
    };
    match config::load(&text, &name, &Process, catalog::builtin()) {
        Ok(loaded) => Ok(Configuration { loaded }),
        Err(problems) => {
            show(&problems, &text);
            Err(refused(&problems))
        }
    }
}

/// The configuration where it is good; nothing is said where it is not.
pub(crate) fn quietly(global: &Global) -> Option<Loaded> {
    let source = source(global.config.as_deref());
    let text = match &source {
        Source::File(path) => std::fs::read_to_string(path).ok()?,
        Source::Nothing => config::zero_text(&found()),
    };
    config::load(&text, FILE, &Process, catalog::builtin()).ok()
}

/// The text of a configuration file.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("can't read {}: {}", path.display(), reason(&error));
        Failure::new(Exit::Config, message)
            .hint(format!("`outrigger init --config {}` writes one", path.display()))
    })
}

/// Prints problems for a person.
pub(crate) fn show(problems: &[Diagnostic], text: &str) {
    for problem in problems {
        complain(&config::render(problem, text));
    }
}

/// "3 problems", as the failure that ends the command.
pub(crate) fn refused(problems: &[Diagnostic]) -> Failure {
    let errors = problems.iter().filter(|it| it.severity == config::Severity::Error).count();
    let noun = if errors == 1 { "problem" } else { "problems" };
    Failure::new(Exit::Config, format!("the configuration has {errors} {noun}"))
}

/// Providers whose usual variable holds a key. Servers are looked for only by `serve` and `init`.
pub(crate) fn found() -> Vec<config::Found> {
    let presets = catalog::builtin().presets();
    let usable = presets.filter(|it| !it.base_url.is_empty() && !it.base_url.contains('{'));
    usable
        .filter_map(|preset| {
            let name = preset.key_env.iter().find(|name| Process.var(name).is_some())?;
            let by = config::FoundBy::Variable(name.to_string());
            Some(config::Found { preset: preset.name.to_string(), by })
        })
        .collect()
}

/// The data folder: the flag, else what the configuration says, else the default. A faulty configuration is no
/// reason not to find the data.
pub(crate) fn data_dir(global: &Global) -> PathBuf {
    if let Some(dir) = &global.data_dir {
        return dir.clone();
    }
    let source = source(global.config.as_deref());
    let text = match &source {
        Source::File(path) => std::fs::read_to_string(path).unwrap_or_default(),
        Source::Nothing => config::zero_text(&[]),
    };
    let loaded = config::load(&text, FILE, &Process, catalog::builtin()).ok();
    let said = loaded.as_ref().filter(|it| {
        let leaf = it.leaves.iter().find(|leaf| leaf.path == "ledger.dir");
        leaf.is_some_and(|leaf| leaf.origin != config::Origin::Default)
    });
    match said {
        Some(loaded) => PathBuf::from(&loaded.config.ledger.dir),
        // Wherever the user's own file counts, the data is the user's too: one ledger, not one a folder.
        None if user_file().is_some_and(|path| source == Source::File(path)) => {
            user_folder("XDG_DATA_HOME", ".local/share").unwrap_or_else(|| DATA.into())
        }
        None => DATA.into(),
    }
}

/// What was found: keys in the usual variables, and servers that answer on this machine.
pub(crate) fn discover() -> Result<Vec<config::Found>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(runtime.block_on(server::discover(catalog::builtin(), |name| Process.var(name))))
}

/// The secret itself.
pub(crate) fn reveal(secret: &config::Secret) -> Result<String, Failure> {
    match secret {
        config::Secret::Plain(text) => Ok(text.clone()),
        config::Secret::Env(name) => Process
            .var(name)
            .ok_or_else(|| Failure::new(Exit::Config, format!("`{name}` is not set"))),
        config::Secret::File(path) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) => {
                Err(Failure::new(Exit::Config, format!("can't read {path}: {}", reason(&error))))
            }
        },
    }
}
