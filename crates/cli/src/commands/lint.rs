//! `outrigger lint`: could we leave? Which features in traffic and in code tie an application to a vendor.

mod advice;
mod source;
mod traffic;

use std::path::PathBuf;

use dialect::portability::Carried;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::data;
use crate::exit::{Done, Exit, Failure};
use crate::output::{Form, Output};
use crate::rows::Choice;
use crate::surroundings;

/// Find what ties applications to a vendor, in traffic and in code.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger lint\n  outrigger lint --app search --since 30d --json\n  outrigger lint --source ."
)]
pub(crate) struct Args {
    /// Look through the code in this folder too, and alone where there is no ledger.
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let output = global.output();
    let code = args.source.as_deref().map(source::scan).transpose()?;
    let has_ledger = surroundings::data_dir(global).join("ledger.db").exists();
    let traffic = if has_ledger || code.is_none() {
        let filter = ledger::query::Filter { attempts_only: true, ..args.choice.filter()? };
        Some(traffic::read(&data::read(global)?, &filter, global)?)
    } else {
        None
    };
    let told = traffic.iter().flat_map(|it| &it.findings).map(traffic::Finding::to_json);
    let coded = code.iter().flatten().map(source::Finding::to_json);
    let findings: Vec<Value> = told.chain(coded).collect();
    let ties = findings.iter().filter(|it| it["ties"] == true).count();
    let apps = traffic.iter().flat_map(|it| &it.apps);
    let apps: Vec<Value> =
        apps.map(|(app, requests)| json!({"app": app, "requests": requests})).collect();
    let losses = traffic.iter().flat_map(|it| &it.losses).map(|(app, field, fate, attempts)| {
        json!({"app": app, "field": field, "fate": fate.as_str(), "attempts": attempts})
    });
    let value = json!({"apps": apps, "findings": findings, "losses": losses.collect::<Vec<_>>(), "ties": ties});
    output.listing(&value, "findings", || {
        if let Some(traffic) = &traffic {
            show_traffic(traffic, &output)?;
        }
        if let Some(code) = &code {
            show_code(code, &output)?;
        }
        output.say(&match ties {
            0 => "nothing ties to one vendor".to_owned(),
            1 => "1 tie to one vendor".to_owned(),
            many => format!("{many} ties to one vendor"),
        });
        Ok(())
    })?;
    if ties == 0 { Ok(()) } else { Err(Failure::silent(Exit::Findings)) }
}

fn show_traffic(traffic: &traffic::Found, output: &Output) -> Done {
    let list = |names: Vec<&str>| if names.is_empty() { "-".to_owned() } else { names.join(" ") };
    let row = |it: &traffic::Finding| {
        vec![
            it.app.clone(),
            it.feature.as_str().to_owned(),
            it.requests.to_string(),
            list(it.those(Carried::Natively)),
            list(it.those(Carried::Emulated)),
            list(it.those(Carried::Lossily)),
            list(it.those(Carried::NotAtAll)),
            it.tied_to.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows: Vec<Vec<String>> = traffic.findings.iter().map(row).collect();
    if rows.is_empty() && output.form != Form::Plain {
        let requests: u64 = traffic.apps.iter().map(|(_, requests)| requests).sum();
        return output.line(&format!(
            "all that {} applications use in {requests} requests is carried as it is by every offer",
            traffic.apps.len()
        ));
    }
    let head =
        ["app", "feature", "requests", "native", "emulated", "lossy", "impossible", "tied to"];
    output.table(&head, &rows, &[2])?;
    if output.form == Form::Plain {
        return Ok(());
    }
    for it in traffic.findings.iter().filter(|it| it.tied_to.is_some()) {
        output.line(&format!("{} {}: {}", it.app, it.feature.as_str(), advice::of(it.feature)))?;
    }
    Ok(())
}

fn show_code(code: &[source::Finding], output: &Output) -> Done {
    let row = |it: &source::Finding| {
        vec![
            format!("{}:{}", it.file, it.line),
            it.kind.to_owned(),
            it.vendor.to_owned(),
            it.text.to_owned(),
            if it.ties { "ties" } else { "note" }.to_owned(),
            it.change.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = code.iter().map(row).collect();
    output.table(&["place", "kind", "vendor", "text", "weight", "change"], &rows, &[])
}
