//! How readers take values out of a checked tree: the text that was given, else the field's default.

use std::time::Duration;

use domain::{DialectId, Price};

use crate::check::{Problem, Problems};
use crate::spec::{Field, Need};
use crate::tree::{Node, Place};
use crate::{Env, PresetFacts, Presets, ProviderKind, Secret, scalar, units};

/// What readers share.
pub(crate) struct Context<'a> {
    pub(crate) env: &'a dyn Env,
    pub(crate) presets: &'a dyn Presets,
    pub(crate) problems: Problems<'a>,
    /// Names of providers that are written but could not be read.
    pub(crate) faulty_providers: Vec<String>,
}

impl Context<'_> {
    /// The facts of a kind or preset.
    pub(crate) fn facts(&self, name: &str) -> Option<PresetFacts> {
        let bare = |kind, dialects| PresetFacts {
            kind,
            base_url: None,
            base_urls: Vec::new(),
            address: Vec::new(),
            residency: Vec::new(),
            header_variables: Vec::new(),
            dialects,
            key_variables: Vec::new(),
            key_required: false,
            aws: None,
            oci: false,
            tokens: None,
        };
        let all = DialectId::ALL.to_vec();
        match name {
            "openai-compatible" => {
                Some(bare(ProviderKind::OpenaiCompatible, vec![DialectId::OpenaiChat]))
            }
            "demo" => Some(bare(ProviderKind::Demo, all)),
            _ => self.presets.facts(name),
        }
    }

    /// What `type` may be.
    pub(crate) fn preset_names(&self) -> Vec<String> {
        let mut names = self.presets.names();
        names.extend(["openai-compatible".into(), "demo".into()]);
        names.sort();
        names.dedup();
        names
    }

    /// Reports a file that can't be read.
    pub(crate) fn expect_readable(&mut self, path: &str, place: &Place) {
        if let Err(reason) = self.env.readable(path) {
            let message = format!("can't read `{path}`: {reason}");
            self.problems.error(place, Problem::new("E0302", message));
        }
    }

    /// Takes a secret, reports a reference that leads nowhere and, for a credential, one in plain text.
    pub(crate) fn secret(&mut self, text: &str, place: &Place, credential: bool) -> Option<Secret> {
        let secret = scalar::secret(text)?;
        match &secret {
            Secret::Env(name) if self.env.var(name).is_none() => {
                let message = format!("the environment variable `{name}` is not set");
                let help = "set it before the start, or use `file:PATH`";
                self.problems.error(place, Problem::new("E0301", message).help(help));
            }
            Secret::File(path) => self.expect_readable(path, place),
            Secret::Plain(_) if credential && place.variable.is_none() => {
                let message = "a key in plain text: whoever reads this file can spend with it";
                let help = "use `env:NAME` or `file:PATH`";
                self.problems.warning(place, Problem::new("W0303", message).help(help));
            }
            Secret::Env(_) | Secret::Plain(_) => {}
        }
        Some(secret)
    }
}

/// A section's values with its defaults.
#[derive(Clone, Copy)]
pub(crate) struct Section<'a> {
    pub(crate) node: Option<&'a Node>,
    fields: &'static [Field],
}

impl<'a> Section<'a> {
    /// The section at `node`; everything has its default where there is none.
    pub(crate) fn new(node: Option<&'a Node>, fields: &'static [Field]) -> Self {
        Self { node, fields }
    }

    /// The section below a key.
    pub(crate) fn section(self, key: &str, fields: &'static [Field]) -> Section<'a> {
        Section::new(self.get(key), fields)
    }

    /// The node of a key, where it is given.
    pub(crate) fn get(self, key: &str) -> Option<&'a Node> {
        self.node?.get(key)
    }

    /// The text of a key or of its default. Nothing where the checker found fault with it.
    pub(crate) fn text(self, key: &str) -> Option<&'a str> {
        match self.get(key) {
            Some(node) => node.text(),
            None => {
                self.fields.iter().find(|field| field.name == key).and_then(|field| {
                    match field.need {
                        Need::Default(text) => Some(text),
                        Need::Required | Need::Optional => None,
                    }
                })
            }
        }
    }

    /// A truth value; false where there is none.
    pub(crate) fn truth(self, key: &str) -> bool {
        self.text(key) == Some("true")
    }

    /// A duration; nothing at all where there is none.
    pub(crate) fn duration(self, key: &str) -> Duration {
        self.maybe_duration(key).unwrap_or_default()
    }

    /// A duration.
    pub(crate) fn maybe_duration(self, key: &str) -> Option<Duration> {
        units::duration(self.text(key)?).ok()
    }

    /// A size in bytes; zero where there is none.
    pub(crate) fn size(self, key: &str) -> u64 {
        self.text(key).and_then(|text| units::size(text).ok()).unwrap_or_default()
    }

    /// A whole number; zero where there is none.
    pub(crate) fn integer(self, key: &str) -> u32 {
        self.text(key).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// A count.
    pub(crate) fn count(self, key: &str) -> Option<u64> {
        units::count(self.text(key)?).ok()
    }

    /// A share in basis points; zero where there is none.
    pub(crate) fn percent(self, key: &str) -> u32 {
        self.text(key).and_then(|text| units::percent(text).ok()).unwrap_or_default()
    }

    /// A price.
    pub(crate) fn price(self, key: &str) -> Option<Price> {
        units::price(self.text(key)?).ok()
    }

    /// A path, without `file:`.
    pub(crate) fn path(self, key: &str) -> Option<String> {
        scalar::file(self.text(key)?).map(Into::into)
    }
}
