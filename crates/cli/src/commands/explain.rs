//! `outrigger explain CODE`: what a code means, offline.

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
use crate::names;

/// Explain an error code, or a word of the ledger.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger explain E0102\n  outrigger explain budget_exceeded\n  outrigger explain --all"
)]
pub(crate) struct Args {
    /// The code, such as E0102, budget_exceeded or unsettled.
    #[arg(required_unless_present = "all", add = ArgValueCandidates::new(names::codes))]
    code: Option<String>,
    /// List every code.
    #[arg(long, conflicts_with = "code")]
    all: bool,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let output = global.output();
    let Some(code) = &args.code else {
        let rows = config::codes().map(|it| vec![it.code.into(), it.what.into()]);
        let list: Vec<_> = config::codes().map(|it| to_json(&it)).collect();
        return output.listing(&json!({"codes": list}), "codes", || {
            output.table(&["code", "what"], &rows.collect::<Vec<_>>(), &[])
        });
    };
    let Some(it) = config::explain(code) else {
        let names = config::codes().map(|it| it.code);
        let near =
            catalog::nearest(code, names, 1).first().map(|near| format!("did you mean `{near}`?"));
        let hint = near.unwrap_or_else(|| "`outrigger explain --all` lists them".into());
        return Err(Failure::new(Exit::Usage, format!("there is no code `{code}`")).hint(hint));
    };
    output.either(&to_json(&it), || {
        let status = it.status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
        let what = format!("{}{status}: {}", it.code, it.what);
        output.lines(&format!("{what}\n\nwhy  {}\nfix  {}", it.why, it.fix))
    })
}

fn to_json(it: &config::Explained) -> serde_json::Value {
    json!({"code": it.code, "status": it.status, "what": it.what, "why": it.why, "fix": it.fix})
}
