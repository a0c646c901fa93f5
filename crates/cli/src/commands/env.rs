//! `outrigger env`: the variables that point SDKs at the gateway.

use serde_json::json;

use crate::cli::Global;
use crate::client_env;
use crate::exit::Done;

/// Print the variables that point SDKs at the gateway.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  eval \"$(outrigger env)\"\n  outrigger env --shell fish > env.fish\n  outrigger env --shell dotenv > .env"
)]
pub(crate) struct Args {
    /// Whose syntax to use.
    #[arg(long, value_enum, default_value = "sh")]
    shell: Shell,
    #[command(flatten)]
    target: client_env::Target,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    /// sh, bash, zsh, dash.
    Sh,
    /// fish.
    Fish,
    /// PowerShell.
    Powershell,
    /// A .env file.
    Dotenv,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let output = global.output();
    let base = client_env::base(&args.target, global)?;
    let variables = client_env::variables(base, client_env::key(&args.target)?);
    let map: serde_json::Map<_, _> =
        variables.iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
    output.either(&map.into(), || {
        for (name, value) in &variables {
            output.line(&statement(args.shell, name, value))?;
        }
        Ok(())
    })
}

fn statement(shell: Shell, name: &str, value: &str) -> String {
    match shell {
        Shell::Sh => format!("export {name}='{}'", value.replace('\'', r"'\''")),
        Shell::Fish => {
            format!("set -gx {name} '{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
        }
        Shell::Powershell => format!("$env:{name} = '{}'", value.replace('\'', "''")),
        Shell::Dotenv => format!("{name}={value}"),
    }
}
