//! `outrigger ledger backup|prune|repair`: keeping the ledger.

use std::path::Path;

use domain::UnixMicros;
use ledger::query::{self, Filter, Order};
use serde_json::json;

use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::{client, clock, data, rows, surroundings};

/// Copies the ledger into a folder of its own.
pub(crate) fn backup(to: &Path, global: &Global) -> Done {
    let output = global.output();
    let dir = surroundings::data_dir(global);
    drop(data::read(global)?);
    store::backup(&dir, to).cant(format!("copy the ledger to {}", to.display()))?;
    output.either(&json!({"backup": to.display().to_string()}), || {
        output.line(&format!("copied to {}", to.display()))?;
        output.say(
            "the copy has no keys to sign or to hash with: keep signing.key and master.key apart",
        );
        Ok(())
    })
}

/// Removes old records.
pub(crate) fn prune(before: Option<&str>, dry_run: bool, global: &Global) -> Done {
    let output = global.output();
    let before = cut(before, global)?;
    let reader = data::read(global)?;
    let mut attempts = 0_u64;
    let filter = Filter { until: Some(before), ..Filter::default() };
    query::attempts(&reader, &filter, Order::Oldest, &mut |_| {
        attempts += 1;
        true
    })
    .cant("read the ledger")?;
    drop(reader);
    let noun = if attempts == 1 { "attempt" } else { "attempts" };
    let what = format!("{attempts} {noun} from before {before} would go for good");
    if dry_run {
        let value = json!({"before": before.to_string(), "attempts": attempts, "pruned": false, "checkpoint": null});
        return output.either(&value, || output.line(&what));
    }
    global.sure(&what)?;
    let value = if let Some(admin) = client::running(global)? {
        admin.post("/v1/outrigger/ledger/prune", &json!({"before": before.to_string()}))?
    } else {
        data::write(global, "prune", |store| {
            let checkpoint = store.prune(before, clock::now()).cant("prune the ledger")?;
            let value = json!({"before": before.to_string(), "attempts": attempts,
                "pruned": checkpoint.is_some(), "checkpoint": checkpoint});
            Ok((value, Vec::new()))
        })?
    };
    output.either(&value, || {
        let done = value["pruned"].as_bool().unwrap_or(true);
        output.line(if done {
            "pruned; a signed checkpoint holds the balances"
        } else {
            "nothing to remove"
        })
    })
}

/// Up to where the ledger may be pruned: as asked, or as far as `ledger.keep` lets go.
fn cut(before: Option<&str>, global: &Global) -> Result<UnixMicros, Failure> {
    let ledger = surroundings::load(global)?.loaded.config.ledger;
    let since = ledger.kept_since(clock::now());
    let asked = before.map(rows::when).transpose()?;
    match (asked, since) {
        (Some(asked), Some(since)) if asked > since => {
            let why = format!("`ledger.keep` keeps what was logged since {since}");
            let hint = "without `--before`, what may go goes";
            Err(Failure::new(Exit::Usage, why).hint(hint))
        }
        (Some(asked), _) => Ok(asked),
        (None, Some(since)) => Ok(since),
        (None, None) => {
            let why = "nothing says what goes: there is no `ledger.keep`, and no `--before`";
            Err(Failure::new(Exit::Usage, why).hint("such as `--before 400d`"))
        }
    }
}

/// Sets damaged records aside.
pub(crate) fn repair(global: &Global) -> Done {
    let output = global.output();
    drop(data::read(global)?);
    global.sure("a repair takes damaged records out of the ledger (copy it first: outrigger ledger backup FOLDER)")?;
    let dir = surroundings::data_dir(global);
    let (damage, record) = store::repair(&dir, "cli", clock::now()).cant("repair the ledger")?;
    let places: Vec<_> =
        damage.present.iter().map(|(seq, why)| json!({"seq": seq, "why": why})).collect();
    let value = json!({"repaired": record.is_some(), "record": record, "damaged": places, "missing": damage.missing});
    output.either(&value, || {
        for (seq, why) in &damage.present {
            output.line(&format!("record {seq}: {why}"))?;
        }
        for (from, to) in &damage.missing {
            output.line(&format!("records {from} to {to} are missing"))?;
        }
        output.line(if record.is_some() { "repaired" } else { "nothing is damaged" })
    })
}
