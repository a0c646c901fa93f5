//! What an import adds to the catalog, in a text form that is quick to read at start.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::UnixMicros;

use crate::import::Imported;
use crate::{Change, ModelEntry, PriceTimeline, table};

type Text = Cow<'static, str>;

/// Models whose prices or limits replace the built-in ones from some day on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    hosts: BTreeMap<Text, BTreeMap<Text, ModelEntry>>,
}

/// Why an overlay's text can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the imported catalog is damaged; import the table again")]
pub struct OverlayError {
    /// One-based.
    pub line: usize,
}

/// First line of the text form.
const HEADER: &str = "# outrigger catalog overlay 1";

impl Overlay {
    /// Everything an imported table says.
    pub fn of(imported: &Imported) -> Self {
        let mut overlay = Self::default();
        for model in &imported.models {
            let mut entry = model.entry.clone();
            entry.facts.checked = Cow::Owned(imported.dated.clone());
            overlay.insert(entry);
        }
        overlay
    }

    fn insert(&mut self, entry: ModelEntry) {
        let models = self.hosts.entry(entry.facts.host.clone()).or_default();
        models.insert(entry.facts.model.clone(), entry);
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Text> {
        self.hosts.keys()
    }

    pub(crate) fn entries_of(&self, host: &str) -> impl Iterator<Item = &ModelEntry> {
        self.hosts.get(host).into_iter().flat_map(BTreeMap::values)
    }

    /// Number of models.
    pub fn len(&self) -> usize {
        self.hosts.values().map(BTreeMap::len).sum()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The text form: a header, then `m,` lines of limits and `p,` lines of prices.
    pub fn to_text(&self) -> String {
        let mut out = format!("{HEADER}\n");
        for entry in self.hosts.values().flat_map(BTreeMap::values) {
            let facts = &entry.facts;
            out.push_str("m,");
            out.push_str(&table::write_model(facts, &plain(&facts.source)));
            out.push('\n');
            for change in entry.prices.iter().flat_map(PriceTimeline::changes) {
                let source = change.sheet.as_ref().map(|sheet| plain(&sheet.source));
                out.push_str("p,");
                let source = source.unwrap_or_default();
                out.push_str(&table::write_change(&facts.host, &facts.model, change, &source));
                out.push('\n');
            }
        }
        out
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// At the first line that makes no sense: half an overlay would be worse than none.
    pub fn parse(text: &str) -> Result<Self, OverlayError> {
        let mut overlay = Self::default();
        let mut prices: BTreeMap<(Text, Text), Vec<Change>> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let damaged = OverlayError { line: index + 1 };
            if index == 0 {
                if line != HEADER {
                    return Err(damaged);
                }
            } else if let Some(rest) = line.strip_prefix("m,") {
                let facts = table::model_row(Cow::Owned(rest.to_owned())).ok_or(damaged)?;
                overlay.insert(ModelEntry { facts, prices: None });
            } else if let Some(rest) = line.strip_prefix("p,") {
                let row = table::price_row(Cow::Owned(rest.to_owned())).ok_or(damaged)?;
                prices.entry((row.host, row.model)).or_default().push(row.change);
            } else {
                return Err(damaged);
            }
        }
        for ((host, model), changes) in prices {
            let entry = overlay.hosts.get_mut(&host).and_then(|models| models.get_mut(&model));
            if let Some(entry) = entry {
                entry.prices = Some(PriceTimeline::new(changes));
            }
        }
        Ok(overlay)
    }

    /// Puts one imported entry over ours from `from` on.
    pub(crate) fn apply(ours: &mut ModelEntry, theirs: &ModelEntry, from: UnixMicros) {
        let facts = &theirs.facts;
        ours.facts.host.clone_from(&facts.host);
        ours.facts.model.clone_from(&facts.model);
        ours.facts.max_input = facts.max_input.or(ours.facts.max_input);
        ours.facts.max_output = facts.max_output.or(ours.facts.max_output);
        if !facts.shutdown_hint.is_empty() {
            ours.facts.shutdown_hint.clone_from(&facts.shutdown_hint);
        }
        ours.facts.source.clone_from(&facts.source);
        ours.facts.checked.clone_from(&facts.checked);
        let Some(theirs) = &theirs.prices else { return };
        let known = ours.prices.is_some();
        let timeline = ours.prices.get_or_insert_with(PriceTimeline::default);
        let key = format!("{}/{}", facts.host, facts.model);
        for change in theirs.changes() {
            // What the table dates later than the import keeps its date; the rest begins with the import, or holds
            // from the beginning where we knew nothing.
            let start = match change.from {
                Some(start) if start > from => Some(start),
                _ if known => Some(from),
                start => start,
            };
            let in_force = timeline.at(start.unwrap_or(from), change.mode);
            let same = match (in_force, &change.sheet) {
                (Some(a), Some(b)) => a.same_prices(b),
                (None, None) => true,
                _ => false,
            };
            if !same {
                let sheet = change.sheet.clone().map(|sheet| sheet.from_time(&key, start));
                timeline.push(Change { mode: change.mode, from: start, sheet });
            }
        }
    }
}

/// A source as one field: no comma, no line end.
fn plain(source: &str) -> String {
    source.chars().map(|char| if char == ',' || char.is_control() { ' ' } else { char }).collect()
}
