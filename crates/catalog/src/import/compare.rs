//! Where an imported table and ours say different things.

use std::fmt;

use domain::{Price, UnixMicros};

use super::{Imported, ImportedModel};
use crate::{Catalog, Mode, ModelEntry, PriceSheet, Rates};

/// Whose figure is of the later date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newer {
    /// The catalog's.
    Ours,
    /// The imported table's.
    Theirs,
    /// A date is missing, or both are of one day.
    Unknown,
}

impl fmt::Display for Newer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
            Self::Unknown => "unknown",
        })
    }
}

/// One figure that differs. Prices are in USD per million tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Catalog host id.
    pub host: String,
    /// Our model id.
    pub model: String,
    /// Theirs, where it is another.
    pub their_model: String,
    /// Which figure: `input`, `batch output`, `cache_read above 200000`, `max_input` ...
    pub field: String,
    /// Our figure; `None` when we have none.
    pub ours: Option<String>,
    /// Their figure; `None` when they have none.
    pub theirs: Option<String>,
    /// Which is of the later date.
    pub newer: Newer,
}

/// The outcome of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Every figure that both quote differently or that only one of them quotes.
    pub disagreements: Vec<Disagreement>,
    /// Models only they have, as `host/model`.
    pub only_theirs: Vec<String>,
    /// Models only we have, at hosts that they have too.
    pub only_ours: Vec<String>,
    /// Models that both have and agree upon wholly.
    pub agreeing: usize,
    /// Models that both have.
    pub compared: usize,
}

/// Compares what is in force at `now` by our catalog and by the imported table.
pub fn compare(catalog: &Catalog, imported: &Imported, now: UnixMicros) -> Comparison {
    let mut result = Comparison::default();
    let mut hosts: Vec<&str> = imported.models.iter().map(|it| &*it.entry.facts.host).collect();
    hosts.dedup();
    for host in &hosts {
        for ours in catalog.entries_of(host) {
            let model = &*ours.facts.model;
            let Some((theirs, _)) = imported.find(host, model) else {
                result.only_ours.push(format!("{host}/{model}"));
                continue;
            };
            let before = result.disagreements.len();
            differences(ours, theirs, &imported.dated, now, &mut result.disagreements);
            result.compared += 1;
            result.agreeing += usize::from(before == result.disagreements.len());
        }
    }
    for theirs in &imported.models {
        let facts = &theirs.entry.facts;
        let known = catalog.find_prices(&facts.host, &facts.model).is_some()
            || catalog.model(&facts.host, &facts.model).is_some();
        if !known {
            result.only_theirs.push(format!("{}/{}", facts.host, facts.model));
        }
    }
    result
}

fn differences(
    ours: &ModelEntry,
    theirs: &ImportedModel,
    dated: &str,
    now: UnixMicros,
    out: &mut Vec<Disagreement>,
) {
    let mut note = |field: String, mine: Option<String>, other: Option<String>, our_date: &str| {
        if mine == other {
            return;
        }
        out.push(Disagreement {
            host: ours.facts.host.to_string(),
            model: ours.facts.model.to_string(),
            their_model: theirs.entry.facts.model.to_string(),
            field,
            ours: mine,
            theirs: other,
            newer: newer(our_date, dated),
        });
    };
    let limits = [
        ("max_input", ours.facts.max_input, theirs.entry.facts.max_input),
        ("max_output", ours.facts.max_output, theirs.entry.facts.max_output),
    ];
    for (field, mine, other) in limits {
        // A table that doesn't give a limit says nothing about it.
        if let (Some(mine), Some(other)) = (mine, other) {
            let (mine, other) = (Some(mine.to_string()), Some(other.to_string()));
            note(field.to_owned(), mine, other, &ours.facts.checked);
        }
    }
    for mode in Mode::ALL {
        let at = |entry: &ModelEntry| {
            entry.prices.as_ref().and_then(|prices| prices.at(now, mode)).cloned()
        };
        let (mine, other) = (at(ours), at(&theirs.entry));
        if mode != Mode::Standard && other.is_none() {
            // Neither format lists every mode; silence is no claim that it isn't offered.
            continue;
        }
        let our_date = mine.as_ref().map_or("", |sheet| &*sheet.checked).to_owned();
        for (field, mine, other) in figures(mine.as_ref(), other.as_ref()) {
            let field = match mode {
                Mode::Standard => field,
                mode => format!("{mode} {field}"),
            };
            note(field, mine.map(|it| it.to_string()), other.map(|it| it.to_string()), &our_date);
        }
    }
}

/// Every figure of two sheets by name, over the thresholds of both.
fn figures(
    ours: Option<&PriceSheet>,
    theirs: Option<&PriceSheet>,
) -> Vec<(String, Option<Price>, Option<Price>)> {
    let mut thresholds: Vec<u64> = [ours, theirs]
        .into_iter()
        .flatten()
        .flat_map(|sheet| sheet.tiers.iter().map(|tier| tier.above_input_tokens))
        .collect();
    thresholds.push(0);
    thresholds.sort_unstable();
    thresholds.dedup();
    let mut all = Vec::new();
    for above in thresholds {
        let rates = |sheet: Option<&PriceSheet>| {
            sheet.map(|sheet| *sheet.rates_for(if above == 0 { 0 } else { above + 1 }).0)
        };
        let (mine, other) = (rates(ours), rates(theirs));
        for (name, get) in FIGURES {
            let field =
                if above == 0 { (*name).to_owned() } else { format!("{name} above {above}") };
            let (a, b) = (mine.as_ref().and_then(get), other.as_ref().and_then(get));
            // One that isn't quoted differs only where the stand-in isn't what the other quotes.
            let stands_in = |sheet: &Option<Rates>, quoted: Option<Price>| {
                quoted.is_none() && sheet.is_some() && !matches!(*name, "input" | "output")
            };
            if !(stands_in(&mine, a) || stands_in(&other, b)) {
                all.push((field, a, b));
            }
        }
    }
    all
}

type Getter = fn(&Rates) -> Option<Price>;

const FIGURES: &[(&str, Getter)] = &[
    ("input", |rates| Some(rates.input)),
    ("output", |rates| Some(rates.output)),
    ("cache_read", |rates| rates.cache_read),
    ("cache_write", |rates| rates.cache_write),
    ("cache_write_long", |rates| rates.cache_write_long),
    ("reasoning", |rates| rates.reasoning),
    ("audio_input", |rates| rates.audio_input),
    ("audio_output", |rates| rates.audio_output),
    ("image_input", |rates| rates.image_input),
];

/// Dates as `YYYY-MM-DD...` compare as text.
fn newer(ours: &str, theirs: &str) -> Newer {
    let day = |text: &str| text.get(..10).unwrap_or(text).to_owned();
    let (ours, theirs) = (day(ours), day(theirs));
    match (ours.is_empty() || theirs.is_empty(), ours.cmp(&theirs)) {
        (true, _) | (_, std::cmp::Ordering::Equal) => Newer::Unknown,
        (_, std::cmp::Ordering::Less) => Newer::Theirs,
        (_, std::cmp::Ordering::Greater) => Newer::Ours,
    }
}
