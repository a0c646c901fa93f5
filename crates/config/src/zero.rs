//! What runs without a file: whatever was found, and the built-in partner.

use domain::ModelName;

use crate::{Diagnostic, Env, Loaded, Presets, load};

/// A provider found without a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The catalog preset it matches: `openai`, `anthropic`, `ollama`, ...
    pub preset: String,
    /// By what it was found.
    pub by: FoundBy,
}

/// By what a provider was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// This environment variable holds a key.
    Variable(String),
    /// A server answers.
    Server {
        /// At this base URL.
        url: String,
        /// The models that it says it serves; empty where it did not say it in a way that was understood.
        models: Vec<ModelName>,
    },
}

impl Found {
    /// Its line in a configuration.
    pub fn line(&self) -> String {
        match &self.by {
            FoundBy::Variable(name) => format!("  {}: {{key: env:{name}}}\n", self.preset),
            FoundBy::Server { url, models } => {
                let names: Vec<String> = models.iter().map(|it| format!("\"{it}\"")).collect();
                let list = match names.as_slice() {
                    [] => String::new(),
                    names => format!(", models: [{}]", names.join(", ")),
                };
                format!("  {}: {{base_url: {url}{list}}}\n", self.preset)
            }
        }
    }
}

/// What stands in for a file: the providers that were found and `demo`, on loopback, without keys, at most
/// 5 USD a day. It is text so that it is checked like a file, and so that `init` can write the same.
pub fn zero_text(found: &[Found]) -> String {
    let mut text = String::from("providers:\n");
    for it in found.iter().filter(|it| it.preset != "demo") {
        text.push_str(&it.line());
    }
    text.push_str("  demo: {}\n");
    text.push_str("budgets:\n  daily-cap: 5 USD per day\n");
    text.push_str("prices: {unpriced: allow}\n");
    text
}

/// The configuration that runs without a file, overridden by the environment like one.
///
/// # Errors
/// Problems of the environment's overrides.
pub fn zero(
    found: &[Found],
    env: &dyn Env,
    presets: &dyn Presets,
) -> Result<Loaded, Vec<Diagnostic>> {
    load(&zero_text(found), "(no file)", env, presets)
}
