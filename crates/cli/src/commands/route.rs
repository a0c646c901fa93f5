//! `outrigger route why`: why a request went where it went, or where one would go.

use clap_complete::engine::ArgValueCandidates;
use domain::RequestId;
use policy::{Taken, Verdict};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::output::Form;
use crate::{client, data, names, overlay, surroundings};

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
        #[arg(add = ArgValueCandidates::new(names::routes))]
        what: String,
        /// As asked with this key (its public part): what it may not use is left out. Needs a running gateway.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let Command::Why { what, key } = &args.command;
    let output = global.output();
    if key.is_some() && what.starts_with("req_") {
        return Err(Failure::new(Exit::Usage, "a request was made with the key it was made with"));
    }
    let value = match client::running(global)? {
        Some(admin) => {
            let key = key.as_deref().map(|key| format!("?key={}", client::encoded(key)));
            let what = client::encoded(what);
            admin.get(&format!("/v1/outrigger/route/{what}{}", key.unwrap_or_default()))?
        }
        None if key.is_some() => {
            let message = "whether a key may use it is known to a running gateway only";
            return Err(Failure::new(Exit::Usage, message).hint("outrigger serve"));
        }
        None if what.starts_with("req_") => recorded(what, global)?,
        None => offline(what, global)?,
    };
    output.listing(&value, "candidates", || {
        let candidates = value["candidates"].as_array().cloned().unwrap_or_default();
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
        // A request of the past has candidates without roles.
        let columns: Vec<&str> = ["offer", "role", "verdict", "reason"]
            .into_iter()
            .filter(|column| candidates.iter().any(|it| it[*column].is_string()))
            .collect();
        let row = |it: &Value| columns.iter().map(|column| text(it, column)).collect();
        if output.form != Form::Plain {
            output.line(&text(&value, "summary"))?;
        }
        output.table(&columns, &candidates.iter().map(row).collect::<Vec<_>>(), &[])
    })
}

/// Without a running gateway: what the ledger says of a request.
fn recorded(id: &str, global: &Global) -> Result<Value, Failure> {
    let request = RequestId::parse(id).map_err(|error| Failure::new(Exit::Usage, error))?;
    let reader = data::read(global)?;
    let account = server::explain::recorded(&reader, request, offers(global));
    match account.cant("read the ledger")? {
        Some(account) => Ok(account.decision()),
        None => Err(Failure::new(Exit::Failed, format!("the ledger has no request {id}"))
            .hint("outrigger ledger query --limit 10")),
    }
}

/// The offers of the configuration's capabilities. A faulty configuration is no reason not to read the ledger.
fn offers(global: &Global) -> Vec<String> {
    let Some(loaded) = surroundings::quietly(global) else { return Vec::new() };
    let offers = loaded.config.capabilities.iter().flat_map(|it| &it.offers);
    offers.map(|it| it.offer.to_string()).collect()
}

/// Without a running gateway: what the configuration alone says. Health is not known.
fn offline(what: &str, global: &Global) -> Result<Value, Failure> {
    let configuration = surroundings::load(global)?;
    let config = &configuration.loaded.config;
    if let Some(capability) = config.capabilities.iter().find(|it| it.name.as_str() == what) {
        let candidates: Vec<Value> = capability
            .offers
            .iter()
            .enumerate()
            .map(|(at, it)| candidate(at, &it.offer.to_string(), it.role.as_str()))
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
            let candidate = candidate(0, offer, "core");
            let summary = format!("offer `{offer}`; no gateway runs, so health is not known");
            Ok(json!({"requested": what, "summary": summary, "candidates": [candidate]}))
        }
        [] => {
            let catalog = overlay::catalog(global)?;
            let names = names::of_models(&configuration.loaded.config, &catalog);
            let near = catalog::nearest(what, names.iter().map(String::as_str), 1);
            let near = near.first().map(|it| format!("did you mean `{it}`?"));
            let hint = near.unwrap_or_else(|| "`outrigger model ls` lists what there is".into());
            Err(Failure::new(Exit::Failed, format!("nothing is called `{what}`")).hint(hint))
        }
        several => {
            Err(Failure::new(Exit::Failed, format!("`{what}` could be {}", several.join(" or ")))
                .hint("name the provider too"))
        }
    }
}

fn candidate(rank: usize, offer: &str, role: &str) -> Value {
    let how = if rank == 0 { Taken::First } else { Taken::Next };
    let verdict = Verdict::Taken(u8::try_from(rank).unwrap_or(u8::MAX), how);
    json!({"offer": offer, "role": role, "verdict": format!("#{}", rank + 1),
        "code": verdict.word(), "reason": verdict.sentence(offer)})
}
