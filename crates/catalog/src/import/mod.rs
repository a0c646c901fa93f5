//! Price tables of others, read from their own formats, and compared with ours.
//!
//! Two formats are known: LiteLLM's `model_prices_and_context_window.json` and genai-prices' `data.json`. Neither
//! is trusted: an entry that makes no sense is left out and named in [`Imported::skipped`], and
//! [`compare`] reports every figure that differs from ours instead of letting the newer one win silently.

mod compare;
mod genai;
mod litellm;

use crate::timeline::Change;
use crate::{Matched, ModelEntry};

pub use compare::{Comparison, Disagreement, Newer, compare};
pub use genai::import_genai_prices;
pub use litellm::import_litellm;

/// Why a file can't be imported at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not JSON of the expected outline.
    #[error("not a {format} table")]
    Json {
        /// Which format was expected.
        format: Format,
        /// What the JSON reader said.
        #[source]
        source: serde_json::Error,
    },
    /// Neither format fits.
    #[error(
        "the file is neither LiteLLM's model_prices_and_context_window.json nor genai-prices' data.json"
    )]
    UnknownFormat,
    /// The outline fits but no usable entry is in it.
    #[error("the {0} table holds no model with a price or a limit")]
    Empty(Format),
}

/// A foreign format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// LiteLLM's `model_prices_and_context_window.json`: an object of entries, USD per token.
    Litellm,
    /// genai-prices' `data.json`: an array of providers, USD per million tokens.
    GenaiPrices,
}

impl std::fmt::Display for Format {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Litellm => "LiteLLM",
            Self::GenaiPrices => "genai-prices",
        })
    }
}

/// One model of a foreign table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportedModel {
    /// Limits and prices in our terms.
    pub entry: ModelEntry,
    /// Which other names the table means by it.
    pub names: NameRule,
}

/// Something that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The entry's key in the foreign table.
    pub key: String,
    /// The reason.
    pub why: String,
}

/// A foreign table in our terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Where it comes from.
    pub format: Format,
    /// The day the table is of (`YYYY-MM-DD`); empty when unknown.
    pub dated: String,
    /// Its models by host, then in the file's order.
    pub models: Vec<ImportedModel>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
}

impl Imported {
    /// The model of that host and name, by the table's own match rules.
    pub fn find(&self, host: &str, model: &str) -> Option<(&ImportedModel, Matched)> {
        let of_host = || self.models.iter().filter(|it| it.entry.facts.host == host);
        of_host()
            .find(|it| it.entry.facts.model == model)
            .map(|it| (it, Matched::Exact))
            .or_else(|| of_host().find(|it| it.names.matches(model)).map(|it| (it, Matched::Alias)))
    }

    fn finish(mut self) -> Result<Self, ImportError> {
        // Stable: within a host the file's order decides which of two match rules counts.
        self.models.sort_by(|a, b| a.entry.facts.host.cmp(&b.entry.facts.host));
        if self.models.is_empty() { Err(ImportError::Empty(self.format)) } else { Ok(self) }
    }
}

/// Reads either format, told apart by the outermost bracket. `dated` is the day the table is of, empty if unknown.
///
/// # Errors
/// When neither format fits, or the table has no usable entry.
pub fn import(json: &str, dated: &str) -> Result<Imported, ImportError> {
    let mut imported = match json.trim_start().as_bytes().first() {
        Some(b'{') => import_litellm(json)?,
        Some(b'[') => import_genai_prices(json)?,
        _ => return Err(ImportError::UnknownFormat),
    };
    dated.clone_into(&mut imported.dated);
    Ok(imported)
}

/// genai-prices' way to say which names a model has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NameRule {
    /// No name but its own.
    #[default]
    None,
    /// Exactly this.
    Equals(String),
    /// Begins so.
    StartsWith(String),
    /// Ends so.
    EndsWith(String),
    /// Has it somewhere.
    Contains(String),
    /// Any of these.
    Or(Vec<Self>),
    /// All of these.
    And(Vec<Self>),
}

impl NameRule {
    /// Whether a name falls under the rule; letter case doesn't count, as in genai-prices.
    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.matches_lower(&name)
    }

    fn matches_lower(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Equals(text) => name == text,
            Self::StartsWith(text) => name.starts_with(text.as_str()),
            Self::EndsWith(text) => name.ends_with(text.as_str()),
            Self::Contains(text) => name.contains(text.as_str()),
            Self::Or(rules) => rules.iter().any(|rule| rule.matches_lower(name)),
            Self::And(rules) => {
                !rules.is_empty() && rules.iter().all(|rule| rule.matches_lower(name))
            }
        }
    }
}

fn change(sheet: crate::PriceSheet) -> Change {
    Change { mode: sheet.mode, from: sheet.effective_from, sheet: Some(sheet) }
}
