//! Looking things up.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{LazyLock, OnceLock};

use domain::UnixMicros;

use crate::provider_data::{self, Makers};
use crate::{
    Canonical, Change, Found, Lifecycle, Maker, Matched, ModelEntry, ModelFacts, Overlay, Preset,
    PriceTimeline, ProviderFacts, hours, maker, names, table,
};

type Text = Cow<'static, str>;

/// The catalog that is compiled in.
pub fn builtin() -> &'static Catalog {
    static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| Catalog {
        hosts: Host::index(),
        presets: OnceLock::new(),
        makers: OnceLock::new(),
    });
    &BUILTIN
}

/// Makers, models, hosts, prices, life cycles, presets.
#[derive(Debug)]
pub struct Catalog {
    hosts: BTreeMap<Text, Host>,
    presets: OnceLock<BTreeMap<Text, (Preset, ProviderFacts)>>,
    makers: OnceLock<Makers>,
}

/// One host's part of the files, read on first need.
#[derive(Clone, Debug, Default)]
struct Host {
    prices: &'static str,
    models: &'static str,
    lifecycle: &'static str,
    table: OnceLock<HostTable>,
}

#[derive(Clone, Debug, Default)]
struct HostTable {
    entries: BTreeMap<Text, ModelEntry>,
    lifecycles: BTreeMap<Text, Lifecycle>,
    /// Each name of a group of aliases, with the whole group.
    aliases: BTreeMap<Text, Vec<Text>>,
}

impl Host {
    /// Which lines belong to which host: one pass over the files, nothing parsed.
    fn index() -> BTreeMap<Text, Self> {
        let mut hosts: BTreeMap<Text, Self> = BTreeMap::new();
        for (host, lines) in by_host(table::PRICES) {
            hosts.entry(Cow::Borrowed(host)).or_default().prices = lines;
        }
        for (host, lines) in by_host(table::MODELS) {
            hosts.entry(Cow::Borrowed(host)).or_default().models = lines;
        }
        for (host, lines) in by_host(table::LIFECYCLE) {
            hosts.entry(Cow::Borrowed(host)).or_default().lifecycle = lines;
        }
        hosts
    }

    fn table(&self) -> &HostTable {
        self.table.get_or_init(|| HostTable::read(self.prices, self.models, self.lifecycle))
    }
}

/// Cuts a sorted file into one stretch of lines a host.
fn by_host(file: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut parts = Vec::new();
    let mut rest = file;
    while let Some((host, _)) = rest.split_once(',') {
        let mut len = 0;
        for line in rest.split_inclusive('\n') {
            if !line.strip_prefix(host).is_some_and(|tail| tail.starts_with(',')) {
                break;
            }
            len += line.len();
        }
        let Some((lines, tail)) = rest.split_at_checked(len) else { break };
        if lines.is_empty() {
            break;
        }
        parts.push((host, lines));
        rest = tail;
    }
    parts
}

impl HostTable {
    fn read(prices: &'static str, models: &'static str, lifecycle: &'static str) -> Self {
        let mut table = Self::default();
        for facts in models.lines().filter_map(|line| table::model_row(Cow::Borrowed(line))) {
            let entry = table.entries.entry(facts.model.clone()).or_default();
            entry.facts = facts;
        }
        let mut changes: BTreeMap<Text, (Text, Vec<Change>)> = BTreeMap::new();
        for row in prices.lines().filter_map(|line| table::price_row(Cow::Borrowed(line))) {
            let slot = changes.entry(row.model).or_insert_with(|| (row.host, Vec::new()));
            slot.1.push(row.change);
        }
        for (model, (host, changes)) in changes {
            let entry = table.entries.entry(model.clone()).or_default();
            let key = format!("{host}/{model}");
            let rules = hours::rules(&host, &model);
            entry.facts.host = host;
            entry.facts.model = model;
            entry.prices = Some(PriceTimeline::new(changes).with_hours(&key, &rules));
        }
        for row in lifecycle.lines().filter_map(table::lifecycle_row) {
            if !row.aliases.is_empty() {
                table.add_aliases(&row);
            }
            table.lifecycles.insert(row.model.clone(), row);
        }
        table
    }

    fn add_aliases(&mut self, row: &Lifecycle) {
        let mut group = row.aliases.clone();
        group.push(row.model.clone());
        for name in &group {
            let known = self.aliases.entry(name.clone()).or_default();
            let new = group.iter().filter(|it| *it != name).cloned();
            known.extend(new);
        }
    }

    /// Every key of `map` that `asked` can mean, best first. `map` is the entries or the life cycles.
    fn candidates<'a, T>(
        &'a self,
        map: &'a BTreeMap<Text, T>,
        host: &str,
        asked: &str,
    ) -> Vec<(&'a T, Matched)> {
        let mut found = Vec::new();
        self.direct(map, asked, &mut found, None);
        if let Some(rest) = names::without_prefix(host, asked) {
            self.direct(map, rest, &mut found, Some(Matched::Prefix));
        }
        if let Some(undated) = names::without_date(asked) {
            self.direct(map, undated, &mut found, Some(Matched::DateSuffix));
        } else {
            // Sorted by name, so the last dated one is the newest.
            let newest = map
                .range::<str, _>((Bound::Included(asked), Bound::Unbounded))
                .take_while(|(name, _)| name.starts_with(asked))
                .filter(|(name, _)| names::without_date(name) == Some(asked))
                .last();
            found.extend(newest.map(|(_, value)| (value, Matched::NewestSnapshot)));
        }
        found
    }

    /// The name itself, in another case, or by alias; `how` replaces how it was matched.
    fn direct<'a, T>(
        &'a self,
        map: &'a BTreeMap<Text, T>,
        asked: &str,
        found: &mut Vec<(&'a T, Matched)>,
        how: Option<Matched>,
    ) {
        let exact = map.get(asked).map(|value| (value, how.unwrap_or(Matched::Exact)));
        if exact.is_none() {
            let other_case = map.iter().find(|(name, _)| name.eq_ignore_ascii_case(asked));
            found.extend(other_case.map(|(_, value)| (value, how.unwrap_or(Matched::Case))));
        }
        found.extend(exact);
        for peer in self.aliases.get(asked).into_iter().flatten() {
            let by_alias = map.get(peer).map(|value| (value, how.unwrap_or(Matched::Alias)));
            found.extend(by_alias);
        }
    }
}

impl Catalog {
    fn host(&self, host: &str) -> Option<&HostTable> {
        self.hosts.get(host).map(Host::table)
    }

    /// Host ids that have prices, limits or life cycles.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(|host| &**host)
    }

    /// Whether there is such a host.
    pub fn has_host(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }

    /// The prices of a model at a host, by name, alias, prefix or date. [`Catalog::find_prices`] says which.
    pub fn prices(&self, host: &str, model: &str) -> Option<&PriceTimeline> {
        self.find_prices(host, model)?.entry.prices.as_ref()
    }

    /// The entry whose prices [`Catalog::prices`] takes, and how the name led there.
    pub fn find_prices(&self, host: &str, model: &str) -> Option<Found<'_>> {
        self.find(host, model, |entry| entry.prices.is_some())
    }

    /// The limits of a model at a host, by name, alias, prefix or date.
    pub fn model(&self, host: &str, model: &str) -> Option<&ModelFacts> {
        let known = |it: &ModelEntry| it.facts.max_input.is_some() || it.facts.max_output.is_some();
        self.find(host, model, known)
            .or_else(|| self.find(host, model, |_| true))
            .map(|found| &found.entry.facts)
    }

    fn find(
        &self,
        host: &str,
        model: &str,
        useful: impl Fn(&ModelEntry) -> bool,
    ) -> Option<Found<'_>> {
        let table = self.host(host)?;
        let candidates = table.candidates(&table.entries, host, model);
        candidates
            .into_iter()
            .find(|(entry, _)| useful(entry))
            .map(|(entry, matched)| Found { entry, matched })
    }

    /// Where a model stands in its life, by name, alias, prefix or date.
    pub fn lifecycle(&self, host: &str, model: &str) -> Option<&Lifecycle> {
        let table = self.host(host)?;
        let candidates = table.candidates(&table.lifecycles, host, model);
        candidates.into_iter().map(|(row, _)| row).next()
    }

    /// Every model of a host, by name.
    pub fn models_of(&self, host: &str) -> impl Iterator<Item = &ModelFacts> {
        self.entries_of(host).map(|entry| &entry.facts)
    }

    /// Every model of a host with its prices, by name.
    pub fn entries_of(&self, host: &str) -> impl Iterator<Item = &ModelEntry> {
        self.host(host).into_iter().flat_map(|table| table.entries.values())
    }

    /// The models of a host whose names are nearest to `asked`, best first, at most `most`.
    pub fn suggest(&self, host: &str, asked: &str, most: usize) -> Vec<&str> {
        names::nearest(asked, self.models_of(host).map(|facts| &*facts.model), most)
    }

    /// The canonical key `maker/model` of a model at a host, and how its maker was told.
    pub fn canonical(&self, host: &str, model: &str) -> Option<Canonical> {
        maker::canonical(self.makers(), host, model)
    }

    /// A maker.
    pub fn maker(&self, id: &str) -> Option<&Maker> {
        self.makers().by_id.get(id)
    }

    /// Every maker, by id.
    pub fn makers_all(&self) -> impl Iterator<Item = &Maker> {
        self.makers().by_id.values()
    }

    fn makers(&self) -> &Makers {
        self.makers.get_or_init(Makers::read)
    }

    fn provider_table(&self) -> &BTreeMap<Text, (Preset, ProviderFacts)> {
        self.presets.get_or_init(provider_data::read)
    }

    /// The preset of that name.
    pub fn preset(&self, name: &str) -> Option<&Preset> {
        self.provider_table().get(name).map(|(preset, _)| preset)
    }

    /// Every preset, by name.
    pub fn presets(&self) -> impl Iterator<Item = &Preset> {
        self.provider_table().values().map(|(preset, _)| preset)
    }

    /// The layer graph's facts about a preset.
    pub fn provider_facts(&self, preset: &str) -> Option<&ProviderFacts> {
        self.provider_table().get(preset).map(|(_, facts)| facts)
    }

    /// This catalog with an imported table on top: from `from` on, what the overlay quotes and differs from ours
    /// counts; everything earlier stays as it was, so that old ledger rows keep their prices.
    pub fn with_overlay(&self, overlay: &Overlay, from: UnixMicros) -> Self {
        let mut hosts: BTreeMap<Text, Host> = BTreeMap::new();
        for (name, host) in &self.hosts {
            hosts.insert(name.clone(), host.clone());
        }
        for host in overlay.hosts() {
            let slot = hosts.entry(host.clone()).or_default();
            let mut table = slot.table().clone();
            for entry in overlay.entries_of(host) {
                let ours = table.entries.entry(entry.facts.model.clone()).or_default();
                Overlay::apply(ours, entry, from);
            }
            slot.table = OnceLock::from(table);
        }
        Self { hosts, presets: OnceLock::new(), makers: OnceLock::new() }
    }
}
