//! What may be typed. Every command's help ends with three examples; a test runs those that need no server.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{
    ArgAction, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    ValueEnum as _,
};

use crate::commands;
use crate::exit::{Done, Exit, Failure};
use crate::jq;
use crate::output::{self, Color, Form, Output};

/// Where help lists what every command takes.
const HEADING: &str = "Everywhere";

/// AI gateway that keeps its owner in charge of its AI partners.
#[derive(Debug, Parser)]
#[command(
    name = "outrigger",
    version,
    about = "AI gateway that keeps its owner in charge of its AI partners",
    after_help = "Examples:\n  outrigger serve\n  outrigger try \"hello\" --model demo/echo\n  outrigger run -- python3 app.py",
    disable_help_subcommand = true,
    disable_help_flag = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What was typed. Help and errors obey `--color` like everything else.
    pub(crate) fn typed() -> Result<Self, clap::Error> {
        let words: Vec<String> =
            std::env::args_os().map(|it| it.to_string_lossy().into_owned()).collect();
        let joined = words.iter().find_map(|it| it.strip_prefix("--color="));
        let apart = words.iter().skip_while(|it| *it != "--color").nth(1).map(String::as_str);
        let wanted = joined.or(apart).and_then(|it| Color::from_str(it, true).ok());
        let choice = match wanted.unwrap_or_default() {
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
            Color::Auto => ColorChoice::Auto,
        };
        let command = Self::command().color(choice);
        Self::from_arg_matches(&command.try_get_matches().map_err(nearest_only)?)
    }
}

/// Of several similar commands the most similar one, which clap puts last.
fn nearest_only(mut error: clap::Error) -> clap::Error {
    let similar = error.get(ContextKind::SuggestedSubcommand);
    if let Some(ContextValue::Strings(names)) = similar
        && let Some(nearest) = names.last().cloned()
    {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![nearest]));
    }
    error
}

/// What every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Global {
    /// Print help.
    // The short form in any case: the long one spreads a screen over three.
    #[arg(long, short, global = true, action = ArgAction::HelpShort, help_heading = HEADING)]
    help: Option<bool>,
    /// Print one JSON document.
    #[arg(long, global = true, help_heading = HEADING, conflicts_with_all = ["jsonl", "plain"])]
    pub(crate) json: bool,
    /// Print JSON, one row a line.
    #[arg(long, global = true, help_heading = HEADING, conflicts_with = "plain")]
    pub(crate) jsonl: bool,
    /// Print tab-separated lines without a head.
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) plain: bool,
    /// Print what this jq expression makes of the JSON.
    #[arg(
        long,
        global = true,
        value_name = "EXPR",
        value_parser = jq::checked,
        help_heading = HEADING,
        conflicts_with = "plain"
    )]
    pub(crate) jq: Option<String>,
    /// Say nothing beyond the data.
    #[arg(long, short, global = true, help_heading = HEADING)]
    pub(crate) quiet: bool,
    /// Use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = HEADING)]
    pub(crate) color: Color,
    /// Say yes to what would be asked.
    #[arg(long, short, global = true, help_heading = HEADING)]
    pub(crate) yes: bool,
    /// Ask nothing: what would be asked is refused.
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) no_input: bool,
    /// Configuration file (default: outrigger.yaml here, if there is one).
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        env = "OUTRIGGER_CONFIG",
        hide_env_values = true,
        help_heading = HEADING
    )]
    pub(crate) config: Option<PathBuf>,
    /// Data folder (default: what the configuration says, else ./outrigger-data).
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "OUTRIGGER_DATA_DIR",
        hide_env_values = true,
        help_heading = HEADING
    )]
    pub(crate) data_dir: Option<PathBuf>,
    /// Admin address of a gateway that runs elsewhere, such as http://127.0.0.1:4142.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "OUTRIGGER_URL",
        hide_env_values = true,
        help_heading = HEADING
    )]
    pub(crate) url: Option<String>,
}

impl Global {
    /// Before something that can't be undone or that costs money: `--yes`, or a person's yes.
    pub(crate) fn sure(&self, what: &str) -> Done {
        if self.yes {
            return Ok(());
        }
        if self.no_input || !output::somebody_is_there() {
            return Err(Failure::new(Exit::Usage, what).hint("say --yes to go on"));
        }
        if output::ask(&format!("{what}. Go on?")) {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, "nothing was done"))
    }

    /// How to print.
    pub(crate) fn output(&self) -> Output {
        let form = match (self.plain, self.jsonl) {
            (true, _) => Form::Plain,
            (false, true) => Form::Jsonl,
            (false, false) if self.json || self.jq.is_some() => Form::Json,
            (false, false) => Form::Text,
        };
        let color = self.color.decided(std::io::stdout().is_terminal());
        Output { form, jq: self.jq.clone(), quiet: self.quiet, color }
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
    Responses(commands::responses::Args),
    Lint(commands::lint::Args),
    Catalog(commands::catalog::Args),
    Explain(commands::explain::Args),
    Completion(commands::completion::Args),
    Man(commands::man::Args),
    Version(commands::version::Args),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, global: &Global) -> Done {
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
            Self::Responses(args) => commands::responses::run(&args, global),
            Self::Lint(args) => commands::lint::run(&args, global),
            Self::Catalog(args) => commands::catalog::run(&args, global),
            Self::Explain(args) => commands::explain::run(&args, global),
            Self::Completion(args) => commands::completion::run(&args, global),
            Self::Man(args) => commands::man::run(&args, global),
            Self::Version(args) => commands::version::run(&args, global),
        }
    }
}
