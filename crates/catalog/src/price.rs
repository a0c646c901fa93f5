//! Dated prices and the exact arithmetic on them.
//!
//! # What a missing price means
//!
//! Tables rarely quote every bucket of [`Usage`]. A missing price never becomes zero; it is replaced by one that
//! does not undercharge, and [`PriceSheet::assumed`] says which buckets of a usage were priced so:
//!
//! | missing | taken instead | why |
//! | --- | --- | --- |
//! | `cache_read` | `input` | a provider without a quoted discount gives none |
//! | `cache_write` | `input` | writes are billed apart only where a price is quoted |
//! | `cache_write_long` | twice `cache_write` where that is dearer than `input`, else as `cache_write` | the dearest rule published by a vendor with two lifetimes |
//! | `reasoning` | `output` | reasoning is output |
//! | `audio_input`, `image_input` | `input` | the provider bills them as input tokens |
//! | `audio_output` | `output` | likewise |
//!
//! In a long-context tier the same rules apply with the tier's own `input` and `output`, never the base's discounts.
//!
//! # Tiers
//!
//! A tier applies to the **whole request** once its total input (all input buckets, cached too) is *above* the
//! threshold, which is how every vendor with such tiers in the table bills them.

use std::borrow::Cow;

use domain::{Feature, Features, Money, MoneyError, Price, UnixMicros, Usage, WorstCase};

use crate::version::Fnv;
use crate::{Grade, Mode, PriceVersion};

/// Prices of one context tier, per million tokens. `None` means that the source does not quote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Fresh text input.
    pub input: Price,
    /// Visible text output.
    pub output: Price,
    /// Input read from the prompt cache.
    pub cache_read: Option<Price>,
    /// Input written to the prompt cache, default lifetime.
    pub cache_write: Option<Price>,
    /// Input written to the prompt cache, long lifetime (1 h, 12 h).
    pub cache_write_long: Option<Price>,
    /// Reasoning output.
    pub reasoning: Option<Price>,
    /// Audio input.
    pub audio_input: Option<Price>,
    /// Audio output.
    pub audio_output: Option<Price>,
    /// Image input tokens.
    pub image_input: Option<Price>,
}

impl Rates {
    /// Input and output only.
    pub fn new(input: Price, output: Price) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// Every price changed alike.
    pub(crate) fn map(&self, change: impl Fn(Price) -> Price) -> Self {
        Self {
            input: change(self.input),
            output: change(self.output),
            cache_read: self.cache_read.map(&change),
            cache_write: self.cache_write.map(&change),
            cache_write_long: self.cache_write_long.map(&change),
            reasoning: self.reasoning.map(&change),
            audio_input: self.audio_input.map(&change),
            audio_output: self.audio_output.map(&change),
            image_input: self.image_input.map(&change),
        }
    }

    /// The price of cache reads, or what stands in for it.
    pub fn cache_read_or_default(&self) -> Price {
        self.cache_read.unwrap_or(self.input)
    }

    /// The price of cache writes, or what stands in for it.
    pub fn cache_write_or_default(&self) -> Price {
        self.cache_write.unwrap_or(self.input)
    }

    /// The price of long-lived cache writes, or what stands in for it.
    pub fn cache_write_long_or_default(&self) -> Price {
        self.cache_write_long.unwrap_or_else(|| {
            let short = self.cache_write_or_default();
            if short > self.input {
                Price::from_pico_per_million(short.pico_per_million().saturating_mul(2))
            } else {
                short
            }
        })
    }

    /// Every bucket of a usage with its price.
    fn parts(&self, usage: &Usage) -> [(u64, Price); 9] {
        [
            (usage.input, self.input),
            (usage.cache_read, self.cache_read_or_default()),
            (usage.cache_write, self.cache_write_or_default()),
            (usage.cache_write_long, self.cache_write_long_or_default()),
            (usage.output, self.output),
            (usage.reasoning, self.reasoning.unwrap_or(self.output)),
            (usage.audio_input, self.audio_input.unwrap_or(self.input)),
            (usage.audio_output, self.audio_output.unwrap_or(self.output)),
            (usage.image_input, self.image_input.unwrap_or(self.input)),
        ]
    }

    /// The dearest way one input token and one output token of such a request can be billed.
    fn dearest(&self, features: Features) -> (Price, Price) {
        let has = |feature| features.contains(feature);
        let media = [Feature::Images, Feature::Documents, Feature::RemoteMedia, Feature::FileIds];
        let mut input =
            self.input.max(self.cache_read_or_default()).max(self.cache_write_or_default());
        if has(Feature::CacheHints) {
            input = input.max(self.cache_write_long_or_default());
        }
        if has(Feature::AudioInput) || has(Feature::FileIds) {
            input = input.max(self.audio_input.unwrap_or_default());
        }
        if media.into_iter().any(has) {
            input = input.max(self.image_input.unwrap_or_default());
        }
        let mut output = self.output.max(self.reasoning.unwrap_or_default());
        if has(Feature::MediaOutput) {
            output = output.max(self.audio_output.unwrap_or_default());
        }
        (input, output)
    }
}

/// A long-context tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Applies when the request's total input is above this many tokens.
    pub above_input_tokens: u64,
    /// The prices then, for all tokens of the request.
    pub rates: Rates,
}

/// What one model costs at one host in one mode, from one moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceSheet {
    /// Its lasting name.
    pub version: PriceVersion,
    /// How the request is processed.
    pub mode: Mode,
    /// When it came into force; `None` when that is unknown, so that it holds from the beginning.
    pub effective_from: Option<UnixMicros>,
    /// Prices below the first tier.
    pub rates: Rates,
    /// Long-context tiers, lowest threshold first.
    pub tiers: Vec<Tier>,
    /// Who says so.
    pub source: Cow<'static, str>,
    /// When the source was last seen saying it, `YYYY-MM-DD`; empty when unknown.
    pub checked: Cow<'static, str>,
    /// How far to trust it.
    pub grade: Grade,
}

impl PriceSheet {
    /// A sheet without a start date; `key` (such as `host/model`) goes into its version.
    pub fn new(key: &str, mode: Mode, rates: Rates, tiers: Vec<Tier>) -> Self {
        let mut sheet = Self {
            version: PriceVersion::default(),
            mode,
            effective_from: None,
            rates,
            tiers,
            source: Cow::Borrowed(""),
            checked: Cow::Borrowed(""),
            grade: Grade::D,
        };
        sheet.tiers.sort_by_key(|tier| tier.above_input_tokens);
        sheet.stamp(key);
        sheet
    }

    /// The same sheet in force from `time` on.
    pub fn from_time(mut self, key: &str, time: Option<UnixMicros>) -> Self {
        self.effective_from = time;
        self.stamp(key);
        self
    }

    /// The same sheet with its provenance (which is no part of the version).
    pub fn sourced(
        mut self,
        source: impl Into<Cow<'static, str>>,
        checked: impl Into<Cow<'static, str>>,
        grade: Grade,
    ) -> Self {
        self.source = source.into();
        self.checked = checked.into();
        self.grade = grade;
        self
    }

    /// The prices for a request with that much input, and the threshold that chose them (0 = base).
    pub fn rates_for(&self, input_total: u64) -> (&Rates, u64) {
        let tier = self.tiers.iter().rev().find(|tier| input_total > tier.above_input_tokens);
        tier.map_or((&self.rates, 0), |tier| (&tier.rates, tier.above_input_tokens))
    }

    /// What a usage costs, exactly; the one rounding (to a pico-dollar, half away from zero) is at the end.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond about 9.2 million USD, the most one ledger row holds.
    pub fn cost(&self, usage: &Usage) -> Result<Money, MoneyError> {
        let (rates, _) = self.rates_for(usage.input_total());
        Money::of_tokens(rates.parts(usage))
    }

    /// The same for many requests together, none with more than `longest` input tokens: for all the tier that the longest
    /// would be in.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`], as above.
    pub fn cost_of_many(&self, usage: &Usage, longest: u64) -> Result<Money, MoneyError> {
        let (rates, _) = self.rates_for(longest);
        Money::of_tokens(rates.parts(usage))
    }

    /// The most that a request within `bound` can cost whatever it uses; `None` when nothing bounds its output.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond what one ledger row holds.
    pub fn worst_case(&self, bound: &WorstCase) -> Result<Option<Money>, MoneyError> {
        self.worst_case_for(bound, Features::from_bits(u64::MAX))
    }

    /// The most that a request within `bound` which uses only these `features` can cost: without audio, audio
    /// prices don't count, without cache hints the long-lived cache writes don't.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond what one ledger row holds.
    pub fn worst_case_for(
        &self,
        bound: &WorstCase,
        features: Features,
    ) -> Result<Option<Money>, MoneyError> {
        self.worst_case_of_many(bound, bound.input, features)
    }

    /// The same for many requests that are within `bound` together, none with more than `longest` input tokens: a tier
    /// is chosen by one request's input, not by that of all.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] beyond what one ledger row holds.
    pub fn worst_case_of_many(
        &self,
        bound: &WorstCase,
        longest: u64,
        features: Features,
    ) -> Result<Option<Money>, MoneyError> {
        let Some(output) = bound.output else { return Ok(None) };
        let reachable =
            self.tiers.iter().filter(|tier| longest > tier.above_input_tokens).map(|t| &t.rates);
        let mut most = Money::ZERO;
        for rates in std::iter::once(&self.rates).chain(reachable) {
            let (input_price, output_price) = rates.dearest(features);
            let cost = Money::of_tokens([(bound.input, input_price), (output, output_price)])?;
            most = most.max(cost);
        }
        Ok(Some(most))
    }

    /// The buckets of `usage` that were priced by a stand-in because the source quotes no price for them.
    pub fn assumed(&self, usage: &Usage) -> Vec<&'static str> {
        let (rates, _) = self.rates_for(usage.input_total());
        let quoted = [
            ("cache_read", usage.cache_read, rates.cache_read),
            ("cache_write", usage.cache_write, rates.cache_write),
            ("cache_write_long", usage.cache_write_long, rates.cache_write_long),
            ("audio_input", usage.audio_input, rates.audio_input),
            ("audio_output", usage.audio_output, rates.audio_output),
            ("image_input", usage.image_input, rates.image_input),
        ];
        quoted
            .into_iter()
            .filter(|(_, tokens, price)| *tokens > 0 && price.is_none())
            .map(|(bucket, _, _)| bucket)
            .collect()
    }

    /// Whether two sheets charge the same for everything.
    pub fn same_prices(&self, other: &Self) -> bool {
        self.rates == other.rates && self.tiers == other.tiers
    }

    /// FNV-1a, 64 bit, over a fixed byte form: must never change, rows in ledgers refer to it.
    fn stamp(&mut self, key: &str) {
        let mut hash = Fnv::new();
        hash.write(key.as_bytes());
        hash.write(&[0xff, self.mode as u8]);
        hash.write(&self.effective_from.map_or(i64::MIN, UnixMicros::micros).to_le_bytes());
        hash.rates(&self.rates);
        for tier in &self.tiers {
            hash.write(&tier.above_input_tokens.to_le_bytes());
            hash.rates(&tier.rates);
        }
        self.version = PriceVersion(hash.finish());
    }
}
