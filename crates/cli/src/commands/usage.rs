//! `outrigger usage`: who used what and what it cost.

use ledger::query::{self, GroupBy, UsageRow};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::rows::Choice;
use crate::{data, rows};

/// Show what was used and what it cost.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger usage\n  outrigger usage --by app --since 30d\n  outrigger usage --by day --tz Europe/Berlin --json"
)]
pub(crate) struct Args {
    /// Group by this.
    #[arg(long, default_value = "model", value_parser = ["app", "team", "key", "model", "provider", "capability", "day"])]
    by: String,
    /// Zone in which days begin.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    tz: String,
    #[command(flatten)]
    choice: Choice,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let output = global.output();
    let zone = jiff::tz::TimeZone::get(&args.tz)
        .map_err(|_| Failure::new(Exit::Usage, format!("`{}` is not a time zone", args.tz)))?;
    let by = GroupBy::parse(&args.by)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("can't group by `{}`", args.by)))?;
    let reader = data::read(global)?;
    let day = |at: domain::UnixMicros| rows::day(at, &zone);
    let sums = query::usage(&reader, &args.choice.filter()?, by, &day).cant("read the ledger")?;
    let list: Vec<Value> = sums.iter().map(to_json).collect();
    let value = json!({"by": args.by, "timezone": args.tz, "rows": list});
    output.listing(&value, "rows", || {
        let head = [
            &*args.by,
            "requests",
            "errors",
            "refused",
            "input",
            "cached",
            "output",
            "USD",
            "estimated",
        ];
        let rows: Vec<Vec<String>> = sums.iter().map(row).collect();
        output.table(&head, &rows, &[1, 2, 3, 4, 5, 6, 7, 8])?;
        let total = sums.last();
        if let Some(total) = total.filter(|it| it.unpriced > 0) {
            output.say(&format!(
                "{} attempts have no known price and are not in the sum",
                total.unpriced
            ));
        }
        if let Some(total) = total.filter(|it| it.unsettled > 0) {
            output.say(&format!(
                "{} attempts are unsettled: outrigger ledger query --unsettled",
                total.unsettled
            ));
        }
        Ok(())
    })
}

fn row(it: &UsageRow) -> Vec<String> {
    let share = it.estimated_share();
    vec![
        it.group.clone(),
        it.requests.to_string(),
        it.errors.to_string(),
        it.refused.to_string(),
        it.input.to_string(),
        (it.cache_read + it.cache_write).to_string(),
        (it.output + it.reasoning).to_string(),
        it.cost.to_string(),
        format!("{}.{:02} %", share / 100, share % 100),
    ]
}

fn to_json(it: &UsageRow) -> Value {
    json!({
        "group": it.group, "requests": it.requests, "attempts": it.attempts, "refused": it.refused,
        "errors": it.errors, "unsettled": it.unsettled, "input_tokens": it.input,
        "cache_read_tokens": it.cache_read, "cache_write_tokens": it.cache_write, "output_tokens": it.output,
        "reasoning_tokens": it.reasoning, "media_tokens": it.media, "cost_usd": it.cost.to_string(),
        "cost_estimated_usd": it.cost_estimated.to_string(), "unpriced": it.unpriced,
    })
}
