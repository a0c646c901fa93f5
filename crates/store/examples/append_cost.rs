//! What an append costs: `cargo run --release -p store --example append_cost`.
//!
//! Pairs of intent and settlement from several closed-loop callers, strict durability, in a folder under the
//! system's temporary directory (or the one given as argument: use the disk that counts). CPU time is read from
//! `/proc/self/task`, apart for the writing thread and everybody else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{
    AppName, CapabilityName, Endpoint, ErrorClass, Features, KeyPublicId, Money, OfferId,
    OutcomeClass, RequestId, RequestLimits, UnixMicros, Usage, UsageQuality,
};
use ledger::{
    Amount, AttemptKey, Charge, Durability, Intent, Marks, Record, Settlement, Start, Unit,
};
use store::{LedgerWriter, OpenOptions, Store};

/// Pairs at 64 callers or more; fewer callers commit smaller groups and get fewer.
const PAIRS: usize = 60_000;

fn intent(id: AttemptKey, now: UnixMicros) -> Option<Intent> {
    Some(Intent {
        id,
        admitted_at: now,
        dispatched_at: now,
        deadline: now.plus_micros(1_800_000_000),
        key: KeyPublicId::new("k00000000001").ok(),
        app: AppName::new("web").ok()?,
        team: None,
        capability: CapabilityName::new("chat").ok()?,
        offer: OfferId::parse("openai/gpt-5.1").ok()?,
        requested_offer: None,
        endpoint: Endpoint::Chat,
        client_dialect: "openai-chat".into(),
        provider_dialect: "openai-chat".into(),
        contract: None,
        limits: RequestLimits { max_output: Some(256), answers: 1 },
        context_bound: 1_000,
        features: Features::NONE,
        residency: Vec::new(),
        prefix_key: 1,
        policy_version: 1,
        config_revision: 1,
        price_version: Some(1),
        reserved: Amount { money: Money::from_pico(1_000), tokens: 500, requests: 1 },
        charges: vec![Charge {
            budget: Arc::from("key/k00000000001/0"),
            start: UnixMicros::default(),
            end: UnixMicros::from_micros(i64::MAX),
            unit: Unit::Money,
            limit: i128::from(i64::MAX),
            hard: true,
        }],
        candidates: Vec::new(),
        marks: Marks::default(),
        losses: Vec::new(),
    })
}

fn settlement(of: &Intent) -> Settlement {
    let charged = Amount { money: Money::from_pico(600), tokens: 300, requests: 1 };
    Settlement {
        id: of.id,
        outcome: OutcomeClass::Ok,
        error: ErrorClass::None,
        usage: Usage { input: 200, output: 100, ..Usage::default() },
        quality: UsageQuality::Reported,
        cost: Some(charged.money),
        charged,
        released: of.reserved.released_after(&charged),
        price_version: Some(1),
        price_tier: 0,
        dispatched_at: of.dispatched_at,
        first_byte_at: Some(of.dispatched_at.plus_micros(1_000)),
        done_at: of.dispatched_at.plus_micros(2_000),
        upstream_id: Some("chatcmpl-0123456789".into()),
        finish: Some("stop".into()),
        upstream_code: 200,
        model: Some("gpt-5.1".into()),
        marks: Marks::default(),
    }
}

/// CPU time so far: of the writing thread, and of the whole process.
fn cpu() -> (Duration, Duration) {
    let (mut writer, mut all) = (0, 0);
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let read = |name| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let nanos =
            read("schedstat").split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0_u64);
        all += nanos;
        if read("comm").trim() == "outrigger-ledge" {
            writer += nanos;
        }
    }
    (Duration::from_nanos(writer), Duration::from_nanos(all))
}

async fn caller(writer: LedgerWriter, first: usize, count: usize) -> usize {
    let mut failed = 0;
    for number in first..first + count {
        let now = UnixMicros::from_micros(1_795_348_800_000_000 + number as i64);
        let request = RequestId::new(now, (number as u128) << 64);
        let id = AttemptKey { request, call: 0, attempt: 0 };
        let Some(intent) = intent(id, now) else { return count };
        let settled = Record::Settlement(Box::new(settlement(&intent)));
        failed += usize::from(writer.append(&Record::Intent(Box::new(intent))).await.is_err());
        failed += usize::from(writer.append(&settled).await.is_err());
    }
    failed
}

fn round(
    dir: &std::path::Path,
    durability: Durability,
    callers: usize,
) -> Result<String, Box<dyn std::error::Error>> {
    let pairs = PAIRS * callers.min(64) / 64;
    let folder = dir.join(format!("append-cost-{}-{callers}", durability.as_str()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let (store, _) = Store::open(&OpenOptions { durability, ..OpenOptions::new(&folder) })?;
    let writer = store.writer();
    let start =
        Start { at: UnixMicros::default(), version: "0".into(), config_revision: 1, durability };
    writer.append(&Record::Start(start)).wait()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (writer_before, all_before) = cpu();
    let began = Instant::now();
    let failed: usize = runtime.block_on(async {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let share = pairs / callers;
                let tasks: Vec<_> = (0..callers)
                    .map(|it| tokio::task::spawn_local(caller(writer.clone(), it * share, share)))
                    .collect();
                let mut failed = 0;
                for task in tasks {
                    failed += task.await.unwrap_or(1);
                }
                failed
            })
            .await
    });
    let wall = began.elapsed();
    let (writer_after, all_after) = cpu();
    drop(writer);
    drop(store);
    let began = Instant::now();
    let (store, _) = Store::open(&OpenOptions::new(&folder))?;
    let reopened = began.elapsed();
    let began = Instant::now();
    let report = ledger::verify::verify(&store.reader()?, &store::check_signature, None, None)?;
    let verified = began.elapsed();
    drop(store);
    std::fs::remove_dir_all(&folder)?;
    let records = (pairs / callers * callers * 2) as u32;
    let per = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(records);
    let writing = writer_after.saturating_sub(writer_before);
    let rest = all_after.saturating_sub(all_before).saturating_sub(writing);
    Ok(format!(
        "{:7} {callers:4} callers: {:8.0} records/s, CPU us/record: writer {:.2}, callers {:.2}; failed {failed}; \
         reopened in {reopened:.1?}, verified {} records in {verified:.1?}, {} faults",
        durability.as_str(),
        f64::from(records) / wall.as_secs_f64(),
        per(writing),
        per(rest),
        report.records,
        report.fault_count,
    ))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    for callers in [1, 16, 64, 512] {
        let line = round(&dir, Durability::Strict, callers)?;
        #[expect(clippy::print_stdout, reason = "an example prints its result")]
        {
            println!("{line}");
        }
    }
    Ok(())
}
