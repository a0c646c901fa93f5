//! Makes the files in `data/` from their sources; `data/README.md` says where those come from.
//!
//! Needs `OUTRIGGER_TEST_DATA` (the folder that holds `prices/` and `lifecycle/`) and `OUTRIGGER_LITELLM_JSON` (the
//! table inside PyPI litellm 1.109.1), so it is an ignored test:
//! `cargo test -p catalog convert -- --ignored` holds that the committed files are what the sources give;
//! with `OUTRIGGER_CATALOG_WRITE=1` it writes them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use domain::Price;

use crate::import::import_litellm;
use crate::{
    Change, Grade, Mode, ModelEntry, ModelFacts, ModelMode, PriceSheet, PriceTimeline, Rates, Tier,
    dates, decimal, hosts, table,
};

/// Snapshots of LiteLLM's table, newest first: version, day, whether the day is exact. The days of the two newest
/// are file times in the package; the others are known to the season only, and stand for its first day.
const SNAPSHOTS: &[(&str, &str, bool)] = &[
    ("1.104.0", "2026-10-03", true),
    ("1.95.0", "2026-08-02", true),
    ("1.83.0", "2026-04-01", false),
    ("1.75.0", "2025-07-01", false),
    ("1.61.3", "2025-01-01", false),
    ("1.0.0", "2023-10-01", false),
];
/// The full table: of November 2026, day unknown.
const NEWEST: (&str, &str, bool) = ("1.109.1", "2026-11-01", false);

/// Hosts that are taken from LiteLLM's table.
const HOSTS: &[&str] = &[
    "ai21",
    "alibaba",
    "anthropic",
    "azure",
    "bedrock",
    "cerebras",
    "cloudflare-workers-ai",
    "cohere",
    "coreweave",
    "databricks",
    "deepinfra",
    "deepseek",
    "fireworks",
    "google",
    "groq",
    "meta",
    "minimax",
    "mistral",
    "moonshot",
    "nvidia-nim",
    "oci",
    "openai",
    "openrouter",
    "perplexity",
    "sambanova",
    "together",
    "vertex",
    "xai",
    "zai",
];

type Key = (String, String);
type Row = BTreeMap<String, String>;

fn read_csv(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

fn price(text: &str) -> Option<Price> {
    if text.is_empty() { None } else { Some(decimal::per_million(text).unwrap()) }
}

fn day(time: &str) -> String {
    time.get(..10).unwrap_or("").to_owned()
}

/// The history, by host and model; runs of equal prices become one change with the last day it was seen.
fn history(rows: &[Row]) -> BTreeMap<Key, Vec<Change>> {
    let mut all: BTreeMap<Key, Vec<Change>> = BTreeMap::new();
    for row in rows {
        let host = hosts::from_history(&row["provider"]).to_owned();
        let key = (host, row["model"].clone());
        let mode = Mode::parse(&row["mode"]).unwrap();
        let from = (!row["effective_from"].is_empty())
            .then(|| dates::parse(&row["effective_from"]).unwrap());
        let name = format!("{}/{}", key.0, key.1);
        let (input, output) = (price(&row["input_per_mtok"]), price(&row["output_per_mtok"]));
        let zero = Some(Price::ZERO);
        let unknown =
            input.is_none() || (input == zero && output.is_none_or(|it| Some(it) == zero));
        let sheet = (row["basis"] != "not_offered" && !unknown).then(|| {
            let mut rates = Rates::new(input.unwrap(), output.unwrap_or_default());
            rates.cache_read = price(&row["cache_read_per_mtok"]);
            rates.cache_write = price(&row["cache_write_per_mtok"]);
            let grade = if row["basis"] == "documented" { Grade::B } else { Grade::C };
            let mut tiers = tiers(&row["tier_json"]);
            // One model's first record has base and tier interchanged; no vendor sells long contexts cheaper.
            tiers.retain(|tier| tier.rates.input >= rates.input);
            PriceSheet::new(&name, mode, rates, tiers).from_time(&name, from).sourced(
                row["source"].clone(),
                day(&row["recorded_at"]),
                grade,
            )
        });
        all.entry(key).or_default().push(Change { mode, from, sheet });
    }
    for changes in all.values_mut() {
        changes.sort_by_key(|change| (change.mode, change.from));
        collapse(changes);
    }
    all.retain(|_, changes| !changes.is_empty());
    all
}

fn tiers(json: &str) -> Vec<Tier> {
    if json.is_empty() {
        return Vec::new();
    }
    let steps: Vec<BTreeMap<String, Box<serde_json::value::RawValue>>> =
        serde_json::from_str(json).unwrap();
    let tier = |step: BTreeMap<String, Box<serde_json::value::RawValue>>| {
        let get = |name: &str| step.get(name).map(|raw| decimal::per_million(raw.get()).unwrap());
        let mut rates = Rates::new(get("input").unwrap(), get("output").unwrap());
        rates.cache_read = get("cache_read");
        rates.cache_write = get("cache_write");
        Tier { above_input_tokens: step["above"].get().parse().unwrap(), rates }
    };
    steps.into_iter().map(tier).collect()
}

/// Drops changes that change nothing, and "not offered" before the first offer.
fn collapse(changes: &mut Vec<Change>) {
    let mut kept: Vec<Change> = Vec::new();
    for change in changes.drain(..) {
        let last = kept.last_mut().filter(|last| last.mode == change.mode);
        match (last, &change.sheet) {
            (None | Some(Change { sheet: None, .. }), None) => {}
            (Some(Change { sheet: Some(before), .. }), Some(now)) if before.same_prices(now) => {
                before.checked = now.checked.clone();
                before.grade = before.grade.min(now.grade);
            }
            _ => kept.push(change),
        }
    }
    *changes = kept;
}

/// A snapshot's rows of the hosts we take, by host and model; of two rows for one model the first counts.
fn snapshot(rows: &[Row]) -> BTreeMap<Key, Row> {
    let mut all = BTreeMap::new();
    for row in rows {
        let word = &row["host"];
        let host = hosts::from_litellm(word);
        let model = hosts::strip_litellm_prefix(&row["key"], word);
        if HOSTS.contains(&host) && usable(model) {
            all.entry((host.to_owned(), model.to_owned())).or_insert_with(|| row.clone());
        }
    }
    all
}

/// The table has a few entries that name a folder or a size class instead of a model.
fn usable(model: &str) -> bool {
    domain::valid_name(model) && !model.ends_with('/') && !model.starts_with("together-ai-")
}

fn snapshot_sheet(key: &Key, row: &Row, version: &str, date: &str) -> Option<PriceSheet> {
    let input = price(&row["input_per_mtok"])?;
    let output = price(&row["output_per_mtok"]);
    let output = output.or((row["mode"] == "embedding").then_some(Price::ZERO))?;
    if input == Price::ZERO && output == Price::ZERO {
        return None;
    }
    let mut rates = Rates::new(input, output);
    rates.cache_read = price(&row["cache_read_per_mtok"]);
    let sheet = PriceSheet::new(&format!("{}/{}", key.0, key.1), Mode::Standard, rates, Vec::new());
    Some(sheet.sourced(format!("PyPI litellm {version}"), date.to_owned(), Grade::C))
}

/// Whether an older, poorer row tells another price than a newer one.
fn differs(older: &Rates, newer: &Rates) -> bool {
    let cache = older.cache_read.is_some()
        && newer.cache_read.is_some()
        && older.cache_read != newer.cache_read;
    older.input != newer.input || older.output != newer.output || cache
}

/// The standard prices of a model that only LiteLLM's tables know, oldest first, dated by the first snapshot that
/// has them.
fn dated(
    key: &Key,
    newest: Option<&PriceSheet>,
    snapshots: &[BTreeMap<Key, Row>],
) -> Vec<PriceSheet> {
    let name = format!("{}/{}", key.0, key.1);
    // (sheet, the oldest snapshot that still tells it)
    let mut run: Vec<(PriceSheet, (&str, bool))> = Vec::new();
    if let Some(sheet) = newest {
        run.push((sheet.clone(), (NEWEST.1, NEWEST.2)));
    }
    for (rows, (version, date, exact)) in snapshots.iter().zip(SNAPSHOTS) {
        let row = rows.get(key);
        let Some(sheet) = row.and_then(|row| snapshot_sheet(key, row, version, date)) else {
            continue;
        };
        match run.last_mut() {
            Some((newer, seen)) if !differs(&sheet.rates, &newer.rates) => *seen = (date, *exact),
            _ => run.push((sheet, (date, *exact))),
        }
    }
    let oldest = run.len().saturating_sub(1);
    let start = |(index, (sheet, (date, exact))): (usize, (PriceSheet, (&str, bool)))| {
        if index == oldest {
            // Nobody saw another price before it.
            return sheet;
        }
        let mut sheet = sheet.from_time(&name, dates::parse(date));
        if !exact {
            sheet.grade = Grade::D;
        }
        sheet
    };
    let mut sheets: Vec<PriceSheet> = run.into_iter().enumerate().map(start).collect();
    sheets.reverse();
    sheets
}

/// What the history doesn't quote and LiteLLM's table does, where both agree on the text prices: audio and image
/// tokens and long-lived cache writes everywhere, cache prices in the newest sheet.
fn fill(changes: &mut [Change], theirs: &PriceTimeline) {
    let newest: BTreeSet<(Mode, Option<domain::UnixMicros>)> = Mode::ALL
        .iter()
        .filter_map(|mode| {
            let last = changes.iter().rev().find(|change| change.mode == *mode)?;
            Some((*mode, last.from))
        })
        .collect();
    for change in changes {
        let is_newest = newest.contains(&(change.mode, change.from));
        let (Some(ours), Some(theirs)) = (&mut change.sheet, theirs.latest(change.mode)) else {
            continue;
        };
        if ours.rates.input != theirs.rates.input || ours.rates.output != theirs.rates.output {
            continue;
        }
        if is_newest && ours.tiers.is_empty() {
            ours.tiers.clone_from(&theirs.tiers);
        }
        for tier in &mut ours.tiers {
            let (theirs, above) = theirs.rates_for(tier.above_input_tokens + 1);
            let same = above == tier.above_input_tokens && theirs.input == tier.rates.input;
            if same && tier.rates.cache_write.is_some() {
                tier.rates.cache_write_long =
                    tier.rates.cache_write_long.or(theirs.cache_write_long);
            }
        }
        let (mine, other) = (&mut ours.rates, &theirs.rates);
        mine.cache_write_long = mine.cache_write_long.or(other.cache_write_long);
        mine.reasoning = mine.reasoning.or(other.reasoning);
        mine.audio_input = mine.audio_input.or(other.audio_input);
        mine.audio_output = mine.audio_output.or(other.audio_output);
        mine.image_input = mine.image_input.or(other.image_input);
        if is_newest {
            mine.cache_read = mine.cache_read.or(other.cache_read);
            mine.cache_write = mine.cache_write.or(other.cache_write);
        }
    }
}

/// Modes the history doesn't know at all, where both agree on the standard price of today.
fn add_modes(changes: &mut Vec<Change>, theirs: &PriceTimeline) {
    let last = changes.iter().rev().find(|change| change.mode == Mode::Standard);
    let Some(ours) = last.and_then(|change| change.sheet.as_ref()) else { return };
    let Some(standard) = theirs.latest(Mode::Standard) else { return };
    let text = |rates: &Rates| (rates.input, rates.output);
    if text(&ours.rates) != text(&standard.rates) {
        return;
    }
    for sheet in theirs.sheets() {
        if changes.iter().all(|change| change.mode != sheet.mode) {
            let (mode, sheet) = (sheet.mode, Some(seen_newest(sheet)));
            changes.push(Change { mode, from: None, sheet });
        }
    }
    changes.sort_by_key(|change| (change.mode, change.from));
}

/// A sheet of LiteLLM's newest table with its provenance.
fn seen_newest(sheet: &PriceSheet) -> PriceSheet {
    let mut sheet = sheet.clone();
    sheet.checked = Cow::Borrowed(NEWEST.1);
    if sheet.source.is_empty() {
        sheet.source = Cow::Owned(format!("PyPI litellm {}", NEWEST.0));
    }
    sheet
}

/// Claude's cache writes cost 1.25 and 2 times the input wherever it is sold (Anthropic, Pricing: prompt caching);
/// tables that leave them out would make them too cheap.
fn claude_cache_writes(model: &str, sheet: &mut PriceSheet) {
    if !model.contains("claude") {
        return;
    }
    let times = |price: Price, quarters: i64| {
        Price::from_pico_per_million(price.pico_per_million() * quarters / 4)
    };
    let mut derived = false;
    let rates = std::iter::once(&mut sheet.rates);
    for rates in rates.chain(sheet.tiers.iter_mut().map(|tier| &mut tier.rates)) {
        derived |= rates.cache_write.is_none() || rates.cache_write_long.is_none();
        rates.cache_write = rates.cache_write.or(Some(times(rates.input, 5)));
        rates.cache_write_long = rates.cache_write_long.or(Some(times(rates.input, 8)));
    }
    if derived {
        sheet.grade = Grade::D;
    }
}

struct Sources(BTreeMap<String, usize>, Vec<String>);

impl Sources {
    fn id(&mut self, source: &str) -> String {
        let source = source.replace([',', '\n'], " ");
        if source.is_empty() {
            return String::new();
        }
        let next = self.1.len();
        let id = *self.0.entry(source.clone()).or_insert(next);
        if id == next {
            self.1.push(source);
        }
        id.to_string()
    }
}

fn facts_of(key: &Key, row: &Row, version: &str, date: &str) -> ModelFacts {
    let count = |field: &str| row[field].parse().ok().filter(|count| *count > 0);
    ModelFacts {
        host: Cow::Owned(key.0.clone()),
        model: Cow::Owned(key.1.clone()),
        mode: ModelMode::parse(&row["mode"]),
        max_input: count("max_input_tokens"),
        max_output: count("max_output_tokens"),
        shutdown_hint: Cow::Owned(row["deprecation_date"].clone()),
        source: Cow::Owned(format!("PyPI litellm {version}")),
        checked: Cow::Owned(date.to_owned()),
    }
}

/// File name -> text.
fn convert(data: &Path, litellm: &str) -> BTreeMap<&'static str, String> {
    let prices = data.join("prices");
    let mut all = history(&read_csv(&prices.join("price_history.csv")));
    let snapshots: Vec<BTreeMap<Key, Row>> = SNAPSHOTS
        .iter()
        .map(|(version, _, _)| snapshot(&read_csv(&prices.join(format!("litellm_{version}.csv")))))
        .collect();
    let mut newest: BTreeMap<Key, ModelEntry> = BTreeMap::new();
    for model in import_litellm(litellm).unwrap().models {
        let facts = &model.entry.facts;
        if HOSTS.contains(&&*facts.host) && usable(&facts.model) {
            let key = (facts.host.to_string(), facts.model.to_string());
            // Of two entries for one model the one with a price counts.
            let slot = newest.entry(key).or_default();
            if slot.prices.is_none() {
                *slot = model.entry;
            }
        }
    }
    let keys: BTreeSet<Key> =
        newest.keys().chain(snapshots.iter().flat_map(BTreeMap::keys)).cloned().collect();
    let mut facts: BTreeMap<Key, ModelFacts> = BTreeMap::new();
    for key in keys {
        let theirs = newest.get(&key);
        if let Some(entry) = theirs {
            let mut it = entry.facts.clone();
            it.source = Cow::Owned(format!("PyPI litellm {}", NEWEST.0));
            it.checked = Cow::Borrowed(NEWEST.1);
            facts.insert(key.clone(), it);
        }
        for (rows, (version, date, _)) in snapshots.iter().zip(SNAPSHOTS) {
            if let Some(row) = rows.get(&key) {
                facts.entry(key.clone()).or_insert_with(|| facts_of(&key, row, version, date));
            }
        }
        let their_prices = theirs.and_then(|entry| entry.prices.as_ref());
        if let Some(ours) = all.get_mut(&key) {
            if let Some(theirs) = their_prices {
                fill(ours, theirs);
                add_modes(ours, theirs);
                collapse(ours);
            }
            continue;
        }
        let standard =
            their_prices.and_then(|prices| prices.latest(Mode::Standard)).map(seen_newest);
        let mut sheets = dated(&key, standard.as_ref(), &snapshots);
        let others = their_prices.into_iter().flat_map(PriceTimeline::sheets);
        sheets.extend(others.filter(|sheet| sheet.mode != Mode::Standard).map(seen_newest));
        let changes: Vec<Change> = sheets
            .into_iter()
            .map(|sheet| Change {
                mode: sheet.mode,
                from: sheet.effective_from,
                sheet: Some(sheet),
            })
            .collect();
        if !changes.is_empty() {
            all.insert(key, changes);
        }
    }
    for ((_, model), changes) in &mut all {
        for sheet in changes.iter_mut().filter_map(|change| change.sheet.as_mut()) {
            claude_cache_writes(model, sheet);
        }
        collapse(changes);
    }
    let mut sources = Sources(BTreeMap::new(), Vec::new());
    let mut price_lines = String::new();
    for ((host, model), changes) in &all {
        for change in changes {
            let source = change.sheet.as_ref().map(|it| sources.id(&it.source)).unwrap_or_default();
            price_lines.push_str(&table::write_change(host, model, change, &source));
            price_lines.push('\n');
        }
    }
    let mut model_lines = String::new();
    for it in facts.values() {
        let source = sources.id(&it.source);
        model_lines.push_str(&table::write_model(it, &source));
        model_lines.push('\n');
    }
    let lifecycle_lines = lifecycle(data, &mut sources);
    BTreeMap::from([
        ("prices.csv", price_lines),
        ("models.csv", model_lines),
        ("lifecycle.csv", lifecycle_lines),
        ("sources.csv", sources.1.join("\n") + "\n"),
    ])
}

/// Vendors' announcements, and below them the bare statuses of the price history's own list.
fn lifecycle(data: &Path, sources: &mut Sources) -> String {
    let mut lines: BTreeMap<Key, String> = BTreeMap::new();
    let mut named: BTreeSet<Key> = BTreeSet::new();
    for row in read_csv(&data.join("lifecycle/model_lifecycle.csv")) {
        let host = hosts::from_history(&row["provider"]).to_owned();
        let aliases = row["aliases"].replace('|', ";");
        named.extend(aliases.split(';').map(|alias| (host.clone(), alias.to_owned())));
        let fields = [
            "released_on",
            "deprecated_on",
            "shutdown_on",
            "earliest_shutdown_on",
            "status",
            "recommended_replacement",
        ]
        .map(|field| row[field].replace(',', " "))
        .join(",");
        let source = sources.id(&row["source"]);
        let line =
            format!("{host},{},{fields},{aliases},{},{source}", row["model"], row["last_verified"]);
        named.insert((host.clone(), row["model"].clone()));
        lines.insert((host, row["model"].clone()), line);
    }
    let text = std::fs::read_to_string(data.join("prices/model_prices_schedules.json")).unwrap();
    let more: Schedules = serde_json::from_str(&text).unwrap();
    let source = sources.id("PyPI model-prices 0.0.5");
    let checked = day(&more.updated_at);
    for (provider, models) in more.status {
        let host = hosts::from_history(&provider).to_owned();
        for (model, status) in models {
            let key = (host.clone(), model.clone());
            let status = match status.as_str() {
                "removed" => "retired",
                "deprecated" => "deprecated",
                _ => continue,
            };
            if !named.contains(&key) {
                lines.insert(key, format!("{host},{model},,,,,{status},,,{checked},{source}"));
            }
        }
    }
    lines.into_values().map(|line| line + "\n").collect()
}

#[derive(serde::Deserialize)]
struct Schedules {
    status: BTreeMap<String, BTreeMap<String, String>>,
    updated_at: String,
}

#[test]
#[ignore = "needs OUTRIGGER_TEST_DATA and OUTRIGGER_LITELLM_JSON"]
fn convert_makes_the_committed_files() {
    let data = std::env::var("OUTRIGGER_TEST_DATA").expect("OUTRIGGER_TEST_DATA is set");
    let litellm = std::env::var("OUTRIGGER_LITELLM_JSON").expect("OUTRIGGER_LITELLM_JSON is set");
    let files = convert(Path::new(&data), &std::fs::read_to_string(litellm).unwrap());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    for (name, text) in files {
        let path = folder.join(name);
        if std::env::var_os("OUTRIGGER_CATALOG_WRITE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap() == text,
            "{name} is not what it was made from"
        );
    }
}
