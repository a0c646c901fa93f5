//! What is known about a model at a host, apart from its prices.

use std::borrow::Cow;
use std::fmt;

use crate::PriceTimeline;

type Text = Cow<'static, str>;

/// What a model does, as far as pricing tables say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ModelMode {
    /// Nothing is said.
    #[default]
    Unknown = 0,
    /// Chat completions or messages.
    Chat = 1,
    /// Old text completions.
    Completion = 2,
    /// Embeddings.
    Embedding = 3,
    /// OpenAI Responses only.
    Responses = 4,
}

impl ModelMode {
    /// The word in data files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Embedding => "embedding",
            Self::Responses => "responses",
        }
    }

    /// The mode of that word; anything else is unknown.
    pub fn parse(word: &str) -> Self {
        [Self::Chat, Self::Completion, Self::Embedding, Self::Responses]
            .into_iter()
            .find(|mode| mode.as_str() == word)
            .unwrap_or_default()
    }
}

/// Limits of a model at a host, in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// Catalog host id.
    pub host: Text,
    /// The host's own model id.
    pub model: Text,
    /// What it does.
    pub mode: ModelMode,
    /// Most input tokens.
    pub max_input: Option<u64>,
    /// Most output tokens.
    pub max_output: Option<u64>,
    /// The shutdown date the price table gives (`YYYY-MM-DD`), a second opinion beside [`Lifecycle`]; else empty.
    pub shutdown_hint: Text,
    /// Which table says so.
    pub source: Text,
    /// The date of that table.
    pub checked: Text,
}

/// Where a model stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LifecycleStatus {
    /// Served.
    Active = 0,
    /// Served, but its end is announced.
    Deprecated = 1,
    /// No longer served.
    Retired = 2,
}

impl LifecycleStatus {
    /// The word in data files and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deprecated => "deprecated",
            Self::Retired => "retired",
        }
    }

    /// The status of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::Deprecated, Self::Retired].into_iter().find(|s| s.as_str() == word)
    }
}

/// A model's announced dates. Dates are `YYYY-MM-DD`, empty when unknown, and compare as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// Catalog host id.
    pub host: Text,
    /// The model id the vendor uses.
    pub model: Text,
    /// When it was released.
    pub released: Text,
    /// When its end was announced.
    pub deprecated: Text,
    /// When it stops (or stopped) being served.
    pub shutdown: Text,
    /// It won't stop before then.
    pub earliest_shutdown: Text,
    /// What the vendor's page said when it was read; see [`Lifecycle::status_on`].
    pub status: LifecycleStatus,
    /// The vendor's advice.
    pub replacement: Text,
    /// Other ids of the same model.
    pub aliases: Vec<Text>,
    /// The vendor's page.
    pub source: Text,
    /// When it was read.
    pub checked: Text,
}

impl Lifecycle {
    /// The status on a day (`YYYY-MM-DD`): announced dates that have passed since the page was read count.
    pub fn status_on(&self, day: &str) -> LifecycleStatus {
        let passed = |date: &str| !date.is_empty() && date <= day;
        if passed(&self.shutdown) {
            LifecycleStatus::Retired
        } else if passed(&self.deprecated) {
            self.status.max(LifecycleStatus::Deprecated)
        } else {
            self.status
        }
    }
}

/// How an asked name led to an entry of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matched {
    /// The very name.
    Exact,
    /// The same but for letter case.
    Case,
    /// A vendor's documented alias.
    Alias,
    /// The asked name is a dated snapshot of the entry, which has no date.
    DateSuffix,
    /// The asked name has no date; the entry is the newest dated snapshot.
    NewestSnapshot,
    /// The entry lacks the asked name's region or resource prefix (`us.`, `models/`).
    Prefix,
}

impl Matched {
    /// A sentence part for people: "matched by ...".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact name",
            Self::Case => "name in another letter case",
            Self::Alias => "documented alias",
            Self::DateSuffix => "name without its date",
            Self::NewestSnapshot => "newest dated snapshot",
            Self::Prefix => "name without its prefix",
        }
    }
}

impl fmt::Display for Matched {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Everything known of one model at one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelEntry {
    /// Limits.
    pub facts: ModelFacts,
    /// Prices over time; `None` when nobody quotes any.
    pub prices: Option<PriceTimeline>,
}

/// An entry and how it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// What was found.
    pub entry: &'a ModelEntry,
    /// How.
    pub matched: Matched,
}
