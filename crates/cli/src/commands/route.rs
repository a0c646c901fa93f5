//! `outrigger route why`: why a request went where it went, or where one would go.

use serde_json::{Value, json};

use crate::cli::Global;
use crate::client;
use crate::exit::{Done, Exit, Failure};
use crate::overlay;
use crate::surroundings;

/// Explain where requests go.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger route why fast\n  outrigger route why demo/echo\n  outrigger route why req_0190f3a1b2c3d4e5f60718293a4b5c6d"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show every candidate, and why it was taken or left.
    #[command(
        after_help = "Examples:\n  outrigger route why fast\n  outrigger route why openai/gpt-5-mini --key aB3dE6gH9jK2\n  outrigger route why req_0190f3a1b2c3d4e5f60718293a4b5c6d --json"
    )]
    Why {
        /// A capability, an offer, a model, or a request's id.
        what: String,
        /// As asked with this key (its public part): what it may not use is left out. Needs a running gateway.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let Command::Why { what, key } = &args.command;
    let output = global.output();
    let value = if what.starts_with("req_") {
        if key.is_some() {
            return Err(Failure::new(
                Exit::Usage,
                "a request was made with the key it was made with",
            ));
        }
        super::ledger::decision(what, global)?
    } else {
        match client::running(global)? {
            Some(admin) => {
                let key = key.as_deref().map(|key| format!("?key={}", client::encoded(key)));
                let what = client::encoded(what);
                admin.get(&format!("/v1/outrigger/route/{what}{}", key.unwrap_or_default()))?
            }
            None if key.is_some() => {
                let message = "whether a key may use it is known to a running gateway only";
                return Err(Failure::new(Exit::Usage, message).hint("outrigger serve"));
            }
            None => offline(what, global)?,
        }
    };
    output.either(&value, || {
        let candidates = value["candidates"].as_array().cloned().unwrap_or_default();
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
        let rows: Vec<Vec<String>> = candidates
            .iter()
            .map(|it| {
                vec![text(it, "offer"), text(it, "role"), text(it, "verdict"), text(it, "reason")]
            })
            .collect();
        output.line(&text(&value, "summary"))?;
        output.table(&["offer", "role", "verdict", "why"], &rows, &[])
    })
}

/// Without a running gateway: what the configuration alone says. Health is not known.
fn offline(what: &str, global: &Global) -> Result<Value, Failure> {
    let configuration = surroundings::load(global.config.as_deref(), global.output())?;
    let config = &configuration.loaded.config;
    if let Some(capability) = config.capabilities.iter().find(|it| it.name.as_str() == what) {
        let candidates: Vec<Value> = capability
            .offers
            .iter()
            .enumerate()
            .map(|(at, it)| {
                let reason = if at == 0 { "first in the list" } else { "takes over when those before it can't" };
                json!({"offer": it.offer.to_string(), "role": it.role.as_str(), "verdict": format!("#{}", at + 1), "reason": reason})
            })
            .collect();
        let summary = format!("capability `{what}`; no gateway runs, so health is not known");
        return Ok(json!({"requested": what, "summary": summary, "candidates": candidates}));
    }
    let named = what
        .split_once('/')
        .filter(|(name, _)| config.providers.iter().any(|it| it.name.as_str() == *name));
    let offers: Vec<String> = if named.is_some() {
        vec![what.to_owned()]
    } else {
        let catalog = overlay::catalog(global)?;
        let bears = |it: &config::Provider| {
            super::model::models(it, &catalog).iter().any(|model| model == what)
        };
        config
            .providers
            .iter()
            .filter(|it| bears(it))
            .map(|it| format!("{}/{what}", it.name))
            .collect()
    };
    match offers.as_slice() {
        [offer] => {
            let candidate = json!({"offer": offer, "role": "core", "verdict": "#1", "reason": "the only offer of that name"});
            let summary = format!("offer `{offer}`; no gateway runs, so health is not known");
            Ok(json!({"requested": what, "summary": summary, "candidates": [candidate]}))
        }
        [] => {
            let names = config.capabilities.iter().map(|it| it.name.as_str());
            let near =
                catalog::nearest(what, names, 1).first().map(|it| format!("did you mean `{it}`?"));
            let hint = near.unwrap_or_else(|| "`outrigger model ls` lists what there is".into());
            Err(Failure::new(Exit::Failed, format!("nothing is called `{what}`")).hint(hint))
        }
        several => {
            Err(Failure::new(Exit::Failed, format!("`{what}` could be {}", several.join(" or ")))
                .hint("name the provider too"))
        }
    }
}
