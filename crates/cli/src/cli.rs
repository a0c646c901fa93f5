//! What may be typed. Every command's help ends with three examples; a test runs those that need no server.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands;
use crate::output::{Color, Output};

/// AI gateway that keeps its owner in charge of its AI partners.
#[derive(Debug, Parser)]
#[command(
    name = "outrigger",
    version,
    about = "AI gateway that keeps its owner in charge of its AI partners",
    after_help = "Examples:\n  outrigger serve\n  outrigger try \"hello\" --model demo/echo\n  outrigger run -- python app.py",
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// Print one JSON document.
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Print tab-separated lines instead of tables.
    #[arg(long, global = true, help_heading = "Everywhere", conflicts_with = "json")]
    pub(crate) plain: bool,
    /// Say nothing beyond the data.
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub(crate) quiet: bool,
    /// Use colour.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Everywhere"
    )]
    pub(crate) color: Color,
    /// Configuration file (default: outrigger.yaml here, if there is one).
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        env = "OUTRIGGER_CONFIG",
        hide_env_values = true,
        help_heading = "Everywhere"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Data folder (default: what the configuration says, else ./outrigger-data).
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "OUTRIGGER_DATA_DIR",
        hide_env_values = true,
        help_heading = "Everywhere"
    )]
    pub(crate) data_dir: Option<PathBuf>,
    /// Admin address of a gateway that runs elsewhere, such as http://127.0.0.1:4142.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "OUTRIGGER_URL",
        hide_env_values = true,
        help_heading = "Everywhere"
    )]
    pub(crate) url: Option<String>,
}

impl Global {
    /// How to print.
    pub(crate) fn output(&self) -> Output {
        Output {
            json: self.json,
            plain: self.plain,
            quiet: self.quiet,
            color: self.color.decided(),
        }
    }
}

/// The commands, in the order in which a newcomer meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(commands::serve::Args),
    Try(commands::try_::Args),
    Run(commands::run::Args),
    Env(commands::env::Args),
    Init(commands::init::Args),
    Doctor(commands::doctor::Args),
    Config(commands::config::Args),
    Provider(commands::provider::Args),
    Model(commands::model::Args),
    Route(commands::route::Args),
    Key(commands::key::Args),
    Usage(commands::usage::Args),
    Ledger(commands::ledger::Args),
    Catalog(commands::catalog::Args),
    Explain(commands::explain::Args),
    Completion(commands::completion::Args),
    Man(commands::man::Args),
    Version(commands::version::Args),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, global: &Global) -> crate::exit::Done {
        match self {
            Self::Serve(args) => commands::serve::run(&args, global),
            Self::Try(args) => commands::try_::run(&args, global),
            Self::Run(args) => commands::run::run(&args, global),
            Self::Env(args) => commands::env::run(&args, global),
            Self::Init(args) => commands::init::run(&args, global),
            Self::Doctor(args) => commands::doctor::run(&args, global),
            Self::Config(args) => commands::config::run(&args, global),
            Self::Provider(args) => commands::provider::run(&args, global),
            Self::Model(args) => commands::model::run(&args, global),
            Self::Route(args) => commands::route::run(&args, global),
            Self::Key(args) => commands::key::run(&args, global),
            Self::Usage(args) => commands::usage::run(&args, global),
            Self::Ledger(args) => commands::ledger::run(&args, global),
            Self::Catalog(args) => commands::catalog::run(&args, global),
            Self::Explain(args) => commands::explain::run(&args, global),
            Self::Completion(args) => commands::completion::run(&args, global),
            Self::Man(args) => commands::man::run(&args, global),
            Self::Version(args) => commands::version::run(&args, global),
        }
    }
}
