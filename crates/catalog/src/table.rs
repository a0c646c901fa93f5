//! The compact text form of prices, limits and life cycles: comma-separated lines without quoting (no field holds
//! a comma), sorted by host and model. `data/README.md` describes the columns.

use std::borrow::Cow;
use std::sync::LazyLock;

use domain::{Price, UnixMicros};

use crate::{
    Change, Grade, Lifecycle, LifecycleStatus, Mode, ModelFacts, ModelMode, PriceSheet, Rates,
    Tier, dates, decimal,
};

pub(crate) const PRICES: &str = include_str!("../data/prices.csv");
pub(crate) const MODELS: &str = include_str!("../data/models.csv");
pub(crate) const LIFECYCLE: &str = include_str!("../data/lifecycle.csv");

/// Sources are named by their line number, because a few hundred serve thousands of rows.
static SOURCES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("../data/sources.csv").lines().collect());

type Text = Cow<'static, str>;

/// A source field: a line number of `sources.csv`, or the source itself.
fn source(field: Text) -> Text {
    match field.parse::<usize>() {
        Ok(line) => Cow::Borrowed(SOURCES.get(line).copied().unwrap_or_default()),
        Err(_) => field,
    }
}

/// The fields of a line; shorter lines are filled up with empty fields.
fn fields<const N: usize>(line: Cow<'static, str>) -> [Text; N] {
    let mut all: [Text; N] = std::array::from_fn(|_| Cow::Borrowed(""));
    match line {
        Cow::Borrowed(line) => {
            for (slot, field) in all.iter_mut().zip(line.split(',')) {
                *slot = Cow::Borrowed(field);
            }
        }
        Cow::Owned(line) => {
            for (slot, field) in all.iter_mut().zip(line.split(',')) {
                *slot = Cow::Owned(field.to_owned());
            }
        }
    }
    all
}

/// One row of prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PriceRow {
    pub(crate) host: Text,
    pub(crate) model: Text,
    pub(crate) change: Change,
}

/// Reads one line of prices; `None` when it makes no sense.
pub(crate) fn price_row(line: Text) -> Option<PriceRow> {
    let [host, model, mode, from, rates, tiers, grade, checked, from_source] = fields::<9>(line);
    let mode = Mode::parse(&mode)?;
    let from = if from.is_empty() { None } else { Some(dates::parse(&from)?) };
    if rates == "-" {
        return Some(PriceRow { host, model, change: Change { mode, from, sheet: None } });
    }
    let base = read_rates(&rates)?;
    let mut steps = Vec::new();
    for step in tiers.split(';').filter(|step| !step.is_empty()) {
        let (above, rates) = step.split_once('>')?;
        steps.push(Tier { above_input_tokens: above.parse().ok()?, rates: read_rates(rates)? });
    }
    let key = format!("{host}/{model}");
    let sheet = PriceSheet::new(&key, mode, base, steps).from_time(&key, from).sourced(
        source(from_source),
        checked,
        Grade::parse(&grade)?,
    );
    Some(PriceRow { host, model, change: Change { mode, from, sheet: Some(sheet) } })
}

/// `input:output:cache_read:cache_write:cache_write_long:reasoning:audio_input:audio_output:image_input`, empty
/// for what isn't quoted, the empty end left out.
fn read_rates(text: &str) -> Option<Rates> {
    let mut parts = text.split(':');
    let input = decimal::per_million(parts.next()?)?;
    let output = decimal::per_million(parts.next()?)?;
    let mut optional = || match parts.next() {
        None | Some("") => Some(None),
        Some(price) => decimal::per_million(price).map(Some),
    };
    Some(Rates {
        input,
        output,
        cache_read: optional()?,
        cache_write: optional()?,
        cache_write_long: optional()?,
        reasoning: optional()?,
        audio_input: optional()?,
        audio_output: optional()?,
        image_input: optional()?,
    })
}

fn write_rates(rates: &Rates) -> String {
    let optional = [
        rates.cache_read,
        rates.cache_write,
        rates.cache_write_long,
        rates.reasoning,
        rates.audio_input,
        rates.audio_output,
        rates.image_input,
    ];
    let mut out = format!("{}:{}", short(rates.input), short(rates.output));
    for price in optional {
        out.push(':');
        if let Some(price) = price {
            out.push_str(&short(price));
        }
    }
    out.trim_end_matches(':').to_owned()
}

/// Without the cents that people like: `3`, `0.25`.
fn short(price: Price) -> String {
    let text = price.to_string();
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Writes a change in the form that [`price_row`] reads. `from_source` stands in the last field.
pub(crate) fn write_change(host: &str, model: &str, change: &Change, from_source: &str) -> String {
    let from = change.from.map(write_time).unwrap_or_default();
    let head = format!("{host},{model},{},{from}", change.mode);
    let Some(sheet) = &change.sheet else { return format!("{head},-") };
    let step = |tier: &Tier| format!("{}>{}", tier.above_input_tokens, write_rates(&tier.rates));
    let tiers = sheet.tiers.iter().map(step).collect::<Vec<_>>().join(";");
    let rates = write_rates(&sheet.rates);
    format!("{head},{rates},{tiers},{},{},{from_source}", sheet.grade, sheet.checked)
}

/// Whole days as a date.
fn write_time(time: UnixMicros) -> String {
    let text = time.to_string();
    match text.strip_suffix("T00:00:00.000Z") {
        Some(day) => day.to_owned(),
        None => text.replace(".000Z", "Z"),
    }
}

/// Reads one line of limits.
pub(crate) fn model_row(line: Text) -> Option<ModelFacts> {
    let [host, model, mode, max_input, max_output, shutdown_hint, checked, from_source] =
        fields::<8>(line);
    let count =
        |field: &str| if field.is_empty() { Some(None) } else { field.parse().ok().map(Some) };
    Some(ModelFacts {
        mode: ModelMode::parse(&mode),
        max_input: count(&max_input)?,
        max_output: count(&max_output)?,
        source: source(from_source),
        host,
        model,
        shutdown_hint,
        checked,
    })
}

/// Writes limits in the form that [`model_row`] reads.
pub(crate) fn write_model(facts: &ModelFacts, from_source: &str) -> String {
    let count = |count: Option<u64>| count.map(|it| it.to_string()).unwrap_or_default();
    format!(
        "{},{},{},{},{},{},{},{from_source}",
        facts.host,
        facts.model,
        facts.mode.as_str(),
        count(facts.max_input),
        count(facts.max_output),
        facts.shutdown_hint,
        facts.checked,
    )
}

/// Reads one line of life cycles.
pub(crate) fn lifecycle_row(line: &'static str) -> Option<Lifecycle> {
    let [
        host,
        model,
        released,
        deprecated,
        shutdown,
        earliest_shutdown,
        status,
        replacement,
        aliases,
        checked,
        from_source,
    ] = fields::<11>(Cow::Borrowed(line));
    let Cow::Borrowed(aliases) = aliases else { return None };
    Some(Lifecycle {
        status: LifecycleStatus::parse(&status)?,
        aliases: aliases.split(';').filter(|it| !it.is_empty()).map(Cow::Borrowed).collect(),
        source: source(from_source),
        host,
        model,
        released,
        deprecated,
        shutdown,
        earliest_shutdown,
        replacement,
        checked,
    })
}
