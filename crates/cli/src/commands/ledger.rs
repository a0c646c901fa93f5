//! `outrigger ledger`: the record of every request.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap_complete::engine::ArgValueCandidates;
use domain::RequestId;
use ledger::query::{self, Attempt, Order, What};
use ledger::{export, verify};
use serde_json::{Value, json};

use super::{maintain, write_off};
use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::output::Form;
use crate::rows::Choice;
use crate::{client, clock, data, names, surroundings};

/// Query, verify, export and keep the record of every request.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger ledger query --since 1h\n  outrigger ledger verify\n  outrigger ledger export --format csv > ledger.csv"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List attempts, the newest first.
    #[command(
        after_help = "Examples:\n  outrigger ledger query\n  outrigger ledger query --app search --since 24h --limit 100\n  outrigger ledger query --unsettled --jq \".attempts[].request\""
    )]
    Query {
        #[command(flatten)]
        choice: Choice,
        /// Only attempts that nobody closed.
        #[arg(long)]
        unsettled: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show every record of one request.
    #[command(
        after_help = "Examples:\n  outrigger ledger show req_0190f3a1b2c3d4e5f60718293a4b5c6d\n  outrigger ledger show req_0190f3a1b2c3d4e5f60718293a4b5c6d --json\n  outrigger ledger query --limit 1"
    )]
    Show {
        /// The request's id, as in the header x-outrigger-request-id.
        #[arg(add = ArgValueCandidates::new(names::requests))]
        request: String,
    },
    /// Prove that nothing was changed, lost or counted twice.
    #[command(
        after_help = "Examples:\n  outrigger ledger verify\n  outrigger ledger verify --json\n  outrigger ledger verify --data-dir copy-of-today"
    )]
    Verify,
    /// Print attempts for a spreadsheet or a warehouse, the oldest first.
    #[command(
        after_help = "Examples:\n  outrigger ledger export --format csv > ledger.csv\n  outrigger ledger export --format jsonl --since 30d\n  outrigger ledger export --format csv --team search"
    )]
    Export {
        /// How it is written.
        #[arg(long, value_enum, default_value = "csv")]
        format: Format,
        #[command(flatten)]
        choice: Choice,
    },
    /// Copy the ledger, consistent at one instant, also while a gateway writes it.
    #[command(
        after_help = "Examples:\n  outrigger ledger backup copy-of-today\n  outrigger ledger verify --data-dir copy-of-today\n  outrigger ledger backup copy-of-now --json"
    )]
    Backup {
        /// The folder to make it in.
        to: PathBuf,
    },
    /// Remove old records, leaving a signed checkpoint with the balances.
    #[command(
        after_help = "Examples:\n  outrigger ledger prune --before 400d --dry-run\n  outrigger ledger prune --before 2025-11-01 --yes\n  outrigger ledger export > before-prune.csv"
    )]
    Prune {
        /// What was logged before then goes: a duration such as 400d, or a day. As `ledger.keep` says, if left out.
        #[arg(long, value_name = "WHEN")]
        before: Option<String>,
        /// Say how many attempts would go; remove nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Set damaged records aside, so that the ledger opens again. Their bytes are kept.
    #[command(
        after_help = "Examples:\n  outrigger ledger verify\n  outrigger ledger backup before-repair\n  outrigger ledger repair --yes"
    )]
    Repair,
    /// Give up an unsettled attempt, so that its reservation is free again.
    #[command(
        after_help = "Examples:\n  outrigger ledger write-off req_0190f3a1b2c3d4e5f60718293a4b5c6d/0/0 --why \"not billed\"\n  outrigger ledger write-off req_0190f3a1b2c3d4e5f60718293a4b5c6d/0/0 --charge --why \"billed\"\n  outrigger ledger query --unsettled"
    )]
    WriteOff {
        /// The attempt: request/call/attempt, as `ledger query --unsettled` shows it.
        #[arg(add = ArgValueCandidates::new(names::unsettled))]
        attempt: String,
        /// Why.
        #[arg(long)]
        why: String,
        /// Charge the whole reservation instead of nothing.
        #[arg(long)]
        charge: bool,
        /// Say what would be charged; change nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// Comma-separated values with a head.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    match &args.command {
        Command::Query { choice, unsettled, limit } => list(choice, *unsettled, *limit, global),
        Command::Show { request } => show(request, global),
        Command::Verify => prove(global),
        Command::Export { format, choice } => print_all(*format, choice, global),
        Command::Backup { to } => maintain::backup(to, global),
        Command::Prune { before, dry_run } => maintain::prune(before.as_deref(), *dry_run, global),
        Command::Repair => maintain::repair(global),
        Command::WriteOff { attempt, why, charge, dry_run } => {
            write_off::run(attempt, why, *charge, *dry_run, global)
        }
    }
}

fn list(choice: &Choice, unsettled: bool, limit: usize, global: &Global) -> Done {
    let output = global.output();
    let reader = data::read(global)?;
    let mut filter = choice.filter()?;
    filter.unsettled = unsettled;
    let mut found: Vec<Attempt> = Vec::new();
    let mut more = false;
    query::attempts(&reader, &filter, Order::Newest, &mut |attempt| {
        more = found.len() == limit;
        if !more {
            found.push(attempt);
        }
        !more
    })
    .cant("read the ledger")?;
    let list: Vec<Value> = found.iter().map(export::json).collect();
    output.listing(&json!({"attempts": list, "more": more}), "attempts", || {
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        let head = ["time", "attempt", "app", "offer", "outcome", "in", "out", "USD", "quality"];
        output.table(&head, &rows, &[5, 6, 7])?;
        if more {
            output.say(&format!("and more: --limit {}", limit.saturating_mul(10)));
        }
        Ok(())
    })
}

fn row(it: &Attempt) -> Vec<String> {
    let settled = it.settlement();
    let figure = |number: Option<u64>| number.map_or_else(|| "-".into(), |it| it.to_string());
    let offer = match &it.what {
        What::Tried { intent, .. } => intent.offer.to_string(),
        What::Refused(refusal) => refusal.code.to_string(),
    };
    let cost = settled.map_or_else(
        || "-".into(),
        |it| it.cost.map_or_else(|| "unknown".into(), |it| it.to_string()),
    );
    vec![
        it.at.to_string(),
        it.id.to_string(),
        it.app().unwrap_or("-").into(),
        offer,
        it.outcome().as_str().into(),
        figure(settled.map(|it| it.usage.input_total())),
        figure(settled.map(|it| it.usage.output_total())),
        cost,
        settled.map_or("-", |it| it.quality.as_str()).into(),
    ]
}

pub(super) fn request_id(text: &str) -> Result<RequestId, Failure> {
    RequestId::parse(text).map_err(|error| Failure::new(Exit::Usage, error))
}

pub(super) fn attempts_of(id: &str, global: &Global) -> Result<Vec<Attempt>, Failure> {
    let request = request_id(id)?;
    let reader = data::read(global)?;
    let filter = query::Filter {
        since: Some(request.made_at()),
        // Admission follows the id within moments; a minute is generous.
        until: Some(request.made_at().plus_micros(60_000_000)),
        ..query::Filter::default()
    };
    let mut found = Vec::new();
    query::attempts(&reader, &filter, Order::Oldest, &mut |attempt| {
        if attempt.id.request == request {
            found.push(attempt);
        }
        true
    })
    .cant("read the ledger")?;
    if found.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("the ledger has no request {id}")));
    }
    Ok(found)
}

fn show(id: &str, global: &Global) -> Done {
    let output = global.output();
    let found = attempts_of(id, global)?;
    let list: Vec<Value> = found.iter().map(export::json).collect();
    output.listing(&json!({"request": id, "attempts": list}), "attempts", || {
        for (at, attempt) in list.iter().enumerate() {
            if at > 0 {
                output.line("")?;
            }
            let Value::Object(fields) = attempt else { continue };
            for (name, value) in fields.iter().filter(|(name, value)| is_told(name, value)) {
                let text = value.as_str().map_or_else(|| value.to_string(), Into::into);
                output.line(&format!("{name:<18} {text}"))?;
            }
        }
        Ok(())
    })
}

fn report(global: &Global) -> Result<verify::Report, Failure> {
    let reader = data::read(global)?;
    // Where no process runs, what is open is unsettled and not stale.
    let now = client::is_running(global).then(clock::now);
    verify::verify(&reader, &store::check_signature, None, now).cant("read the ledger")
}

fn prove(global: &Global) -> Done {
    let output = global.output();
    let report = report(global)?;
    let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
    let unsettled: Vec<String> =
        report.unsettled.iter().map(|it| it.intent.id.to_string()).collect();
    let value = json!({
        "ok": report.is_sound(), "records": report.records, "first": report.range.map(|it| it.0),
        "last": report.range.map(|it| it.1), "intents": report.intents, "settlements": report.settlements,
        "write_offs": report.write_offs, "refusals": report.refusals, "cost_usd": report.cost.to_string(),
        "cost_estimated_usd": report.cost_estimated.to_string(), "unpriced": report.unpriced,
        "unsettled": unsettled, "in_flight": report.in_flight, "head_signed": report.head.is_some(),
        "pruned_through": report.pruned_through, "fault_count": report.fault_count, "faults": faults,
    });
    output.either(&value, || {
        for fault in &faults {
            output.line(fault)?;
        }
        let word = if report.is_sound() { "sound" } else { "NOT SOUND" };
        let counts = format!(
            ": {} records, {} attempts, {} settled, {} refused, {} USD",
            report.records, report.intents, report.settlements, report.refusals, report.cost,
        );
        output.verdict(word, report.is_sound(), &counts)?;
        if !unsettled.is_empty() {
            output.say(&format!(
                "{} attempts are unsettled: outrigger ledger query --unsettled",
                unsettled.len()
            ));
        }
        Ok(())
    })?;
    if report.is_sound() { Ok(()) } else { Err(Failure::silent(Exit::Verification)) }
}

/// What is absent is left out, and so are the kinds of tokens that were not used.
fn is_told(name: &str, value: &Value) -> bool {
    let kinds = ["cache_", "reasoning", "audio_", "image_"];
    let unused = *value == 0 && kinds.iter().any(|it| name.starts_with(it));
    !value.is_null() && *value != "" && !unused
}

/// For `doctor`: whether the ledger is sound, where there is one.
pub(crate) fn check(global: &Global) -> Option<Result<String, String>> {
    if !surroundings::data_dir(global).join("ledger.db").exists() {
        return None;
    }
    Some(match report(global) {
        Ok(report) if report.is_sound() && report.unsettled.is_empty() => {
            Ok(format!("{} records, sound", report.records))
        }
        Ok(report) if report.is_sound() => {
            Err(format!("{} attempts are unsettled", report.unsettled.len()))
        }
        Ok(report) => Err(format!("{} faults", report.fault_count)),
        Err(failure) => Err(failure.message),
    })
}

/// Prints attempts as they are read: an export may be longer than memory.
fn print_all(format: Format, choice: &Choice, global: &Global) -> Done {
    let output = global.output();
    let reader = data::read(global)?;
    let filter = choice.filter()?;
    let format = if output.is_json() { Format::Jsonl } else { format };
    let terminal = std::io::stdout().is_terminal();
    // One document is written in pieces; a filter sees row by row in any case.
    let document = output.form == Form::Json && output.jq.is_none();
    let mut first = true;
    let mut ended = match format {
        Format::Csv => output.data(&(export::csv_header() + "\n")),
        Format::Jsonl if document => output.data("{\"attempts\": ["),
        Format::Jsonl => Ok(()),
    };
    query::attempts(&reader, &filter, Order::Oldest, &mut |attempt| {
        let printed = match format {
            // A file gets the bytes as they are; a terminal only what does not steer it.
            Format::Csv if terminal => output.line(&export::csv_line(&attempt)),
            Format::Csv => output.data(&(export::csv_line(&attempt) + "\n")),
            Format::Jsonl if document => {
                let gap = if first { "\n" } else { ",\n" };
                output.json_text(&format!("{gap}{}", export::jsonl_line(&attempt)))
            }
            Format::Jsonl if output.jq.is_some() => output.json(&export::json(&attempt)),
            Format::Jsonl => output.json_text(&(export::jsonl_line(&attempt) + "\n")),
        };
        first = false;
        ended = std::mem::replace(&mut ended, Ok(())).and(printed);
        ended.is_ok()
    })
    .cant("read the ledger")?;
    ended?;
    if document { output.data("\n]}\n") } else { Ok(()) }
}
