//! LiteLLM's table: an object of entries, prices in USD per token as JSON floats. The literal's text is read, so
//! that `2.5e-06` is exactly 2.5 USD per million. Read from the file in PyPI litellm 1.109.1.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use domain::Price;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Format, ImportError, Imported, ImportedModel, NameRule, Skipped, change};
use crate::{
    Grade, Mode, ModelEntry, ModelFacts, ModelMode, PriceSheet, PriceTimeline, Rates, Tier,
    decimal, hosts,
};

type Entry = BTreeMap<String, Box<RawValue>>;

/// Reads LiteLLM's `model_prices_and_context_window.json`.
///
/// # Errors
/// When it is no object of objects, or no entry is usable.
pub fn import_litellm(json: &str) -> Result<Imported, ImportError> {
    let table: BTreeMap<String, Entry> = serde_json::from_str(json)
        .map_err(|source| ImportError::Json { format: Format::Litellm, source })?;
    let mut imported = Imported {
        format: Format::Litellm,
        dated: String::new(),
        models: Vec::new(),
        skipped: Vec::new(),
    };
    for (key, entry) in &table {
        match read_entry(key, entry) {
            Ok(Some(model)) => imported.models.push(model),
            Ok(None) => {}
            Err(why) => imported.skipped.push(Skipped { key: key.clone(), why: why.to_owned() }),
        }
    }
    imported.finish()
}

/// `Ok(None)` for what isn't about text models (images, speech, search ...).
fn read_entry(key: &str, entry: &Entry) -> Result<Option<ImportedModel>, &'static str> {
    let mode = ModelMode::parse(&text(entry, "mode"));
    if key == "sample_spec" || mode == ModelMode::Unknown {
        return Ok(None);
    }
    let word = text(entry, "litellm_provider");
    if word.is_empty() {
        return Err("it names no provider");
    }
    let host = hosts::from_litellm(&word).to_owned();
    let model = hosts::strip_litellm_prefix(key, &word).to_owned();
    if !domain::valid_name(&model) {
        return Err("its name has characters that no model id here may have");
    }
    let facts = ModelFacts {
        host: Cow::Owned(host),
        model: Cow::Owned(model),
        mode,
        max_input: count(entry, "max_input_tokens"),
        max_output: count(entry, "max_output_tokens"),
        shutdown_hint: Cow::Owned(text(entry, "deprecation_date")),
        source: Cow::Owned(text(entry, "source")),
        checked: Cow::Borrowed(""),
    };
    let prices = read_prices(&facts, entry)?;
    Ok(Some(ImportedModel { entry: ModelEntry { facts, prices }, names: NameRule::None }))
}

fn read_prices(facts: &ModelFacts, entry: &Entry) -> Result<Option<PriceTimeline>, &'static str> {
    let quotes = Quotes::read(entry)?;
    let Some(standard) = quotes.rates(Mode::Standard, 0, None, facts.mode) else { return Ok(None) };
    if standard.input == Price::ZERO && standard.output == Price::ZERO {
        // The table writes 0 both for "free" and for "not known". Unknown is the safe reading.
        return Ok(None);
    }
    let key = format!("{}/{}", facts.host, facts.model);
    let mut changes = Vec::new();
    for mode in Mode::ALL {
        let fallback = (mode != Mode::Standard).then_some(&standard);
        if mode != Mode::Standard && !quotes.offers(mode) {
            continue;
        }
        let Some(rates) = quotes.rates(mode, 0, fallback, facts.mode) else { continue };
        let tiers = quotes
            .thresholds(mode)
            .filter_map(|above| {
                let rates = quotes.rates(mode, above, Some(&rates), facts.mode)?;
                Some(Tier { above_input_tokens: above, rates })
            })
            .collect();
        let sheet = PriceSheet::new(&key, mode, rates, tiers);
        changes.push(change(sheet.sourced(facts.source.clone(), "", Grade::C)));
    }
    Ok(Some(PriceTimeline::new(changes)))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bucket {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    CacheWriteLong,
    Reasoning,
    AudioInput,
    AudioOutput,
    ImageInput,
}

/// Longest first where one name begins another.
const FIELDS: &[(&str, Bucket)] = &[
    ("input_cost_per_audio_token", Bucket::AudioInput),
    ("input_cost_per_image_token", Bucket::ImageInput),
    ("input_cost_per_token_cache_hit", Bucket::CacheRead),
    ("input_cost_per_token", Bucket::Input),
    ("output_cost_per_audio_token", Bucket::AudioOutput),
    ("output_cost_per_reasoning_token", Bucket::Reasoning),
    ("output_cost_per_token", Bucket::Output),
    ("cache_read_input_token_cost", Bucket::CacheRead),
    ("cache_creation_input_token_cost_above_1hr", Bucket::CacheWriteLong),
    ("cache_creation_input_token_cost_above_12hr", Bucket::CacheWriteLong),
    ("cache_creation_input_token_cost", Bucket::CacheWrite),
];

/// Every token price of an entry by mode, threshold (0 = none) and bucket.
struct Quotes(BTreeMap<(Mode, u64, Bucket), Price>);

impl Quotes {
    fn read(entry: &Entry) -> Result<Self, &'static str> {
        let mut quotes = BTreeMap::new();
        for (name, value) in entry {
            let Some((bucket, above, mode)) = parse_field(name) else { continue };
            if value.get() == "null" {
                continue;
            }
            let price = decimal::per_token(value.get()).ok_or("a price of it is no decimal")?;
            quotes.insert((mode, above, bucket), price);
        }
        if let Some(raw) = entry.get("tiered_pricing") {
            tiered(raw, &mut quotes);
        }
        Ok(Self(quotes))
    }

    fn get(&self, mode: Mode, above: u64, bucket: Bucket) -> Option<Price> {
        self.0.get(&(mode, above, bucket)).copied()
    }

    /// Whether the table has a text price of its own for the mode.
    fn offers(&self, mode: Mode) -> bool {
        [Bucket::Input, Bucket::Output].into_iter().any(|it| self.get(mode, 0, it).is_some())
    }

    fn thresholds(&self, mode: Mode) -> impl Iterator<Item = u64> {
        let mut found = BTreeSet::new();
        for (at, above, _) in self.0.keys() {
            if *at == mode && *above > 0 {
                found.insert(*above);
            }
        }
        found.into_iter()
    }

    /// `fallback` gives the input and output that the table leaves out (the dearer standard, the tier's base).
    fn rates(
        &self,
        mode: Mode,
        above: u64,
        fallback: Option<&Rates>,
        kind: ModelMode,
    ) -> Option<Rates> {
        let get = |bucket| self.get(mode, above, bucket);
        let input = get(Bucket::Input).or(fallback.map(|it| it.input))?;
        let output = get(Bucket::Output).or(fallback.map(|it| it.output));
        let output = output.or((kind == ModelMode::Embedding).then_some(Price::ZERO))?;
        Some(Rates {
            input,
            output,
            cache_read: get(Bucket::CacheRead),
            cache_write: get(Bucket::CacheWrite),
            cache_write_long: get(Bucket::CacheWriteLong),
            reasoning: get(Bucket::Reasoning),
            audio_input: get(Bucket::AudioInput),
            audio_output: get(Bucket::AudioOutput),
            image_input: get(Bucket::ImageInput),
        })
    }
}

/// `input_cost_per_token_above_200k_tokens_batches` -> (input, 200000, batch).
fn parse_field(name: &str) -> Option<(Bucket, u64, Mode)> {
    let (rest, bucket) =
        FIELDS.iter().find_map(|(field, bucket)| Some((name.strip_prefix(field)?, *bucket)))?;
    let (above, rest) = match rest.strip_prefix("_above_") {
        Some(tail) => {
            let (thousands, rest) = tail.split_once("k_tokens")?;
            (thousands.parse::<u64>().ok()?.checked_mul(1_000)?, rest)
        }
        None => (0, rest),
    };
    let mode = match rest.strip_prefix('_') {
        None if rest.is_empty() => Mode::Standard,
        Some("batches") => Mode::Batch,
        Some(word @ ("priority" | "flex" | "ultrafast")) => Mode::parse(word)?,
        _ => return None,
    };
    Some((bucket, above, mode))
}

/// `tiered_pricing: [{range: [from, to], input_cost_per_token, ...}]`: the first is the base.
fn tiered(raw: &RawValue, quotes: &mut BTreeMap<(Mode, u64, Bucket), Price>) {
    #[derive(Deserialize)]
    struct Step {
        #[serde(default)]
        range: Vec<Box<RawValue>>,
        #[serde(default)]
        input_cost_per_token: Option<Box<RawValue>>,
        #[serde(default)]
        output_cost_per_token: Option<Box<RawValue>>,
        #[serde(default)]
        cache_read_input_token_cost: Option<Box<RawValue>>,
        #[serde(default)]
        output_cost_per_reasoning_token: Option<Box<RawValue>>,
    }
    let Ok(steps) = serde_json::from_str::<Vec<Step>>(raw.get()) else { return };
    for step in steps {
        let Some(above) = step.range.first().and_then(|it| whole(it.get())) else { continue };
        let fields = [
            (Bucket::Input, step.input_cost_per_token),
            (Bucket::Output, step.output_cost_per_token),
            (Bucket::CacheRead, step.cache_read_input_token_cost),
            (Bucket::Reasoning, step.output_cost_per_reasoning_token),
        ];
        for (bucket, value) in fields {
            if let Some(price) = value.and_then(|it| decimal::per_token(it.get())) {
                quotes.insert((Mode::Standard, above, bucket), price);
            }
        }
    }
}

fn text(entry: &Entry, field: &str) -> String {
    entry.get(field).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

fn count(entry: &Entry, field: &str) -> Option<u64> {
    entry.get(field).and_then(|raw| whole(raw.get())).filter(|count| *count > 0)
}

/// A count that may be written `256000`, `256000.0` or `2.56e5`.
fn whole(literal: &str) -> Option<u64> {
    let pico = decimal::per_million(literal)?.pico_per_million();
    u64::try_from(pico / domain::PICO_PER_USD).ok()
}
