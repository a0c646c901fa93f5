//! genai-prices' table: an array of providers, prices in USD per million tokens, with match rules, tiers, dated
//! constraints and variants. Read from the published `data.json` (package version 0.2.3).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use domain::{Price, UnixMicros};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Format, ImportError, Imported, ImportedModel, NameRule, Skipped, change};
use crate::{
    Grade, Mode, ModelEntry, ModelFacts, ModelMode, PriceSheet, PriceTimeline, Rates, Tier, dates,
    decimal, hosts,
};

#[derive(Deserialize)]
struct Provider {
    id: String,
    #[serde(default)]
    pricing_urls: Vec<String>,
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    #[serde(default)]
    r#match: Option<Box<RawValue>>,
    #[serde(default)]
    context_window: Option<u64>,
    #[serde(default)]
    prices: Option<Box<RawValue>>,
    #[serde(default)]
    price_variants: Vec<Conditional>,
}

type Quotes = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
struct Conditional {
    #[serde(default)]
    when: BTreeMap<String, String>,
    #[serde(default)]
    constraint: Option<Constraint>,
    prices: Quotes,
}

#[derive(Deserialize)]
struct Constraint {
    #[serde(default)]
    start_date: Option<String>,
    /// The word of early versions.
    #[serde(default)]
    start: Option<String>,
    #[serde(default)]
    start_time: Option<String>,
}

/// Reads genai-prices' `data.json`.
///
/// # Errors
/// When it is no array of providers, or no entry is usable.
pub fn import_genai_prices(json: &str) -> Result<Imported, ImportError> {
    let providers: Vec<Provider> = serde_json::from_str(json)
        .map_err(|source| ImportError::Json { format: Format::GenaiPrices, source })?;
    let mut imported = Imported {
        format: Format::GenaiPrices,
        dated: String::new(),
        models: Vec::new(),
        skipped: Vec::new(),
    };
    for provider in &providers {
        for model in &provider.models {
            read_model(provider, model, &mut imported);
        }
    }
    imported.finish()
}

fn read_model(provider: &Provider, model: &Model, imported: &mut Imported) {
    let key = format!("{}/{}", provider.id, model.id);
    let mut skip = |why: &str| {
        imported.skipped.push(Skipped { key: key.clone(), why: why.to_owned() });
    };
    if !domain::valid_name(&model.id) {
        return skip("its name has characters that no model id here may have");
    }
    let host = hosts::from_genai(&provider.id).to_owned();
    let source = provider.pricing_urls.first().cloned().unwrap_or_default();
    let names = model.r#match.as_ref().map_or(NameRule::None, |raw| name_rule(raw.get()));
    let sheet_key = format!("{host}/{}", model.id);
    let mut changes = Vec::new();
    for (mode, conditional) in conditionals(model, &mut skip) {
        match sheet(&sheet_key, mode, &conditional.prices) {
            Ok(Some(sheet)) => {
                let from = start_of(conditional.constraint.as_ref());
                let sheet = sheet.from_time(&sheet_key, from);
                changes.push(change(sheet.sourced(source.clone(), "", Grade::C)));
            }
            Ok(None) => {}
            Err(why) => skip(why),
        }
    }
    let facts = ModelFacts {
        host: Cow::Owned(host),
        model: Cow::Owned(model.id.clone()),
        mode: ModelMode::Unknown,
        max_input: model.context_window.filter(|window| *window > 0),
        source: Cow::Owned(source),
        ..ModelFacts::default()
    };
    let prices = (!changes.is_empty()).then(|| PriceTimeline::new(changes));
    imported.models.push(ImportedModel { entry: ModelEntry { facts, prices }, names });
}

/// All dated prices and variants of a model with the mode each is for.
fn conditionals(model: &Model, skip: &mut impl FnMut(&str)) -> Vec<(Mode, Conditional)> {
    let mut all = Vec::new();
    if let Some(raw) = &model.prices {
        if let Ok(list) = serde_json::from_str::<Vec<Conditional>>(raw.get()) {
            all.extend(list.into_iter().map(|it| (Mode::Standard, it)));
        } else if let Ok(prices) = serde_json::from_str::<Quotes>(raw.get()) {
            let plain = Conditional { when: BTreeMap::new(), constraint: None, prices };
            all.push((Mode::Standard, plain));
        } else {
            skip("its prices have an unknown outline");
        }
    }
    let hourly = |it: &Conditional| {
        it.constraint.as_ref().is_some_and(|constraint| constraint.start_time.is_some())
    };
    if all.iter().any(|(_, it)| hourly(it)) {
        skip("prices that depend on the hour are left out");
        // What holds at other hours is unknown without the rest: the model has no standard price then.
        all.clear();
    }
    for raw in &model.price_variants {
        let Some(mode) = variant_mode(&raw.when) else { continue };
        if hourly(raw) {
            skip("a variant's price that depends on the hour is left out");
            continue;
        }
        all.push((
            mode,
            Conditional {
                when: BTreeMap::new(),
                constraint: raw.constraint.as_ref().map(|it| Constraint {
                    start_date: it.start_date.clone(),
                    start: it.start.clone(),
                    start_time: None,
                }),
                prices: raw.prices.clone(),
            },
        ));
    }
    all
}

fn variant_mode(when: &BTreeMap<String, String>) -> Option<Mode> {
    let only = |key: &str| if when.len() == 1 { when.get(key).map(String::as_str) } else { None };
    if let Some(word @ ("flex" | "priority" | "fast" | "ultrafast")) = only("service_tier") {
        return Mode::parse(word);
    }
    match (only("processing"), only("speed")) {
        (Some("batch"), _) => Some(Mode::Batch),
        (_, Some("fast")) => Some(Mode::Fast),
        _ => None,
    }
}

fn start_of(constraint: Option<&Constraint>) -> Option<UnixMicros> {
    let constraint = constraint?;
    dates::parse(constraint.start_date.as_deref().or(constraint.start.as_deref())?)
}

/// `Ok(None)` when nothing is priced by text tokens, or all is zero (which may mean "unknown").
fn sheet(key: &str, mode: Mode, quotes: &Quotes) -> Result<Option<PriceSheet>, &'static str> {
    let mut prices: BTreeMap<&str, Tiered> = BTreeMap::new();
    for (name, raw) in quotes {
        if name.ends_with("_mtok") {
            prices.insert(name, tiered(raw.get()).ok_or("a price of it is no decimal")?);
        }
    }
    let thresholds: BTreeSet<u64> =
        prices.values().flat_map(|price| price.tiers.iter().map(|tier| tier.0)).collect();
    let at = |above: u64| -> Option<Rates> {
        let get = |name: &str| prices.get(name).map(|price| price.above(above));
        let input = get("input_mtok")?;
        Some(Rates {
            input,
            // Embeddings have no output price.
            output: get("output_mtok").unwrap_or(Price::ZERO),
            cache_read: get("cache_read_mtok"),
            cache_write: get("cache_write_mtok"),
            cache_write_long: get("cache_write_1h_mtok"),
            reasoning: get("output_reasoning_mtok"),
            audio_input: get("input_audio_mtok"),
            audio_output: get("output_audio_mtok"),
            image_input: get("input_image_mtok"),
        })
    };
    let Some(rates) = at(0) else { return Ok(None) };
    if rates.input == Price::ZERO && rates.output == Price::ZERO {
        return Ok(None);
    }
    let tiers = thresholds
        .into_iter()
        .filter_map(|above| Some(Tier { above_input_tokens: above, rates: at(above)? }))
        .collect();
    Ok(Some(PriceSheet::new(key, mode, rates, tiers)))
}

struct Tiered {
    base: Price,
    tiers: Vec<(u64, Price)>,
}

impl Tiered {
    /// The price when the input is above `threshold`: the last tier that starts there or earlier.
    fn above(&self, threshold: u64) -> Price {
        self.tiers
            .iter()
            .filter(|(start, _)| threshold > 0 && *start <= threshold)
            .max_by_key(|(start, _)| *start)
            .map_or(self.base, |(_, price)| *price)
    }
}

fn tiered(literal: &str) -> Option<Tiered> {
    #[derive(Deserialize)]
    struct Steps {
        base: Box<RawValue>,
        tiers: Vec<Step>,
    }
    #[derive(Deserialize)]
    struct Step {
        start: u64,
        price: Box<RawValue>,
    }
    if let Some(base) = decimal::per_million(literal) {
        return Some(Tiered { base, tiers: Vec::new() });
    }
    let steps: Steps = serde_json::from_str(literal).ok()?;
    let tiers = steps
        .tiers
        .iter()
        .map(|step| Some((step.start, decimal::per_million(step.price.get())?)))
        .collect::<Option<Vec<_>>>()?;
    Some(Tiered { base: decimal::per_million(steps.base.get())?, tiers })
}

/// Regular expressions are not evaluated: such a clause matches nothing here.
fn name_rule(literal: &str) -> NameRule {
    #[derive(Deserialize)]
    struct Clause {
        equals: Option<String>,
        starts_with: Option<String>,
        ends_with: Option<String>,
        contains: Option<String>,
        or: Option<Vec<Box<RawValue>>>,
        and: Option<Vec<Box<RawValue>>>,
    }
    let Ok(clause) = serde_json::from_str::<Clause>(literal) else { return NameRule::None };
    let lower = |text: String| text.to_ascii_lowercase();
    let all = |list: Vec<Box<RawValue>>| list.iter().map(|raw| name_rule(raw.get())).collect();
    if let Some(text) = clause.equals {
        NameRule::Equals(lower(text))
    } else if let Some(text) = clause.starts_with {
        NameRule::StartsWith(lower(text))
    } else if let Some(text) = clause.ends_with {
        NameRule::EndsWith(lower(text))
    } else if let Some(text) = clause.contains {
        NameRule::Contains(lower(text))
    } else if let Some(list) = clause.or {
        NameRule::Or(all(list))
    } else if let Some(list) = clause.and {
        NameRule::And(all(list))
    } else {
        NameRule::None
    }
}
