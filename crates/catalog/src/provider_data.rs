//! Reads `data/providers.json` and `data/makers.json`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::{DialectId, Envelope, Layer};
use serde::Deserialize;

use crate::{
    AddressPart, AuthStyle, Equity, Fact, Grade, Issuer, LayerFact, Maker, Preset, ProviderFacts,
    Tokens,
};

type Text = Cow<'static, str>;

const PROVIDERS: &str = include_str!("../data/providers.json");
const MAKERS: &str = include_str!("../data/makers.json");

#[derive(Deserialize)]
struct ProvidersFile {
    presets: Vec<PresetRow>,
}

#[derive(Deserialize)]
struct PresetRow {
    name: String,
    title: String,
    base_url: String,
    #[serde(default)]
    base_urls: BTreeMap<String, String>,
    /// Placeholder: what it is, then variables.
    #[serde(default)]
    address: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    residency: BTreeMap<String, String>,
    auth: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    header_env: BTreeMap<String, Vec<String>>,
    /// Issuer, scope.
    #[serde(default)]
    tokens: Option<(String, String)>,
    dialects: Vec<String>,
    /// Beginning of a model's name, dialects.
    #[serde(default)]
    spoken: Vec<(String, Vec<String>)>,
    #[serde(default)]
    envelopes: BTreeMap<String, String>,
    #[serde(default)]
    aws_service: String,
    key_env: Vec<String>,
    #[serde(default)]
    url_env: String,
    #[serde(default)]
    probe_ports: Vec<u16>,
    #[serde(default)]
    quirks: Vec<String>,
    catalog_host: String,
    source: String,
    date: String,
    grade: String,
    /// Layer, node, grade, date, source.
    layers: Vec<(String, String, String, String, String)>,
}

#[derive(Deserialize)]
struct MakersFile {
    makers: Vec<MakerRow>,
    equity: Vec<EquityRow>,
}

#[derive(Deserialize)]
struct MakerRow {
    id: String,
    name: String,
    /// Value, grade, date, source.
    jurisdiction: (String, String, String, String),
    owner: (String, String, String, String),
    /// How its models' names begin.
    families: Vec<String>,
    /// What others write before its models' names.
    words: Vec<String>,
}

/// Holder, held, basis points, grade, date, source, note.
type EquityRow = (String, String, Option<u32>, String, String, String, String);

fn text(value: String) -> Text {
    Cow::Owned(value)
}

fn texts(values: Vec<String>) -> Vec<Text> {
    values.into_iter().map(Cow::Owned).collect()
}

fn fact<T>(value: T, grade: &str, date: String, source: String) -> Option<Fact<T>> {
    Some(Fact { value, grade: Grade::parse(grade)?, date: text(date), source: text(source) })
}

/// Presets and facts by preset name. Rows that make no sense are left out; a test holds that there are none.
pub(crate) fn read() -> BTreeMap<Text, (Preset, ProviderFacts)> {
    let rows = serde_json::from_str::<ProvidersFile>(PROVIDERS).map(|file| file.presets);
    let equity = equity();
    rows.unwrap_or_default()
        .into_iter()
        .filter_map(|row| read_preset(row, &equity))
        .map(|(preset, facts)| (preset.name.clone(), (preset, facts)))
        .collect()
}

fn read_preset(row: PresetRow, equity: &[Equity]) -> Option<(Preset, ProviderFacts)> {
    let layers: Vec<LayerFact> = row
        .layers
        .into_iter()
        .filter_map(|(layer, node, grade, date, source)| {
            let node = fact(text(node), &grade, date, source)?;
            Some(LayerFact { layer: Layer::parse(&layer)?, node })
        })
        .collect();
    let owners: Vec<&Text> = layers
        .iter()
        .filter(|it| matches!(it.layer, Layer::Operator | Layer::Owner))
        .map(|it| &it.node.value)
        .collect();
    let equity = equity.iter().filter(|edge| owners.contains(&&edge.held)).cloned().collect();
    let facts = ProviderFacts { name: text(row.name.clone()), layers, equity };
    let tokens = match row.tokens {
        Some((from, scope)) => Some(Tokens { from: Issuer::parse(&from)?, scope: text(scope) }),
        None => None,
    };
    let preset = Preset {
        name: text(row.name),
        title: text(row.title),
        base_url: text(row.base_url),
        base_urls: row
            .base_urls
            .into_iter()
            .map(|(dialect, url)| Some((DialectId::parse(&dialect)?, text(url))))
            .collect::<Option<_>>()?,
        address: row.address.into_iter().map(read_part).collect::<Option<_>>()?,
        residency: row.residency.into_iter().map(|(at, url)| (text(at), text(url))).collect(),
        auth: AuthStyle::parse(&row.auth)?,
        header_env: row
            .header_env
            .into_iter()
            .map(|(name, env)| (text(name), texts(env)))
            .collect(),
        headers: row.headers.into_iter().map(|(name, value)| (text(name), text(value))).collect(),
        tokens,
        dialects: read_dialects(&row.dialects)?,
        spoken: row
            .spoken
            .into_iter()
            .map(|(pattern, dialects)| Some((text(pattern), read_dialects(&dialects)?)))
            .collect::<Option<_>>()?,
        envelopes: row
            .envelopes
            .into_iter()
            .map(|(dialect, word)| Some((DialectId::parse(&dialect)?, Envelope::parse(&word)?)))
            .collect::<Option<_>>()?,
        aws_service: text(row.aws_service),
        key_env: texts(row.key_env),
        url_env: text(row.url_env),
        probe_ports: row.probe_ports,
        quirks: texts(row.quirks),
        catalog_host: text(row.catalog_host),
        fact: fact((), &row.grade, row.date, row.source)?,
    };
    Some((preset, facts))
}

fn read_part((name, words): (String, Vec<String>)) -> Option<AddressPart> {
    let mut words = words.into_iter();
    let what = text(words.next()?);
    Some(AddressPart { name: text(name), what, env: texts(words.collect()) })
}

fn read_dialects(words: &[String]) -> Option<Vec<DialectId>> {
    words.iter().map(|word| DialectId::parse(word)).collect()
}

fn equity() -> Vec<Equity> {
    let rows = serde_json::from_str::<MakersFile>(MAKERS).map(|file| file.equity);
    rows.unwrap_or_default().into_iter().filter_map(read_equity).collect()
}

fn read_equity((holder, held, stake, grade, date, source, note): EquityRow) -> Option<Equity> {
    let stake_bp = fact(stake, &grade, date, source)?;
    Some(Equity { holder: text(holder), held: text(held), stake_bp, note: text(note) })
}

/// Makers, and the rules that tell a model's maker from its name.
#[derive(Debug, Default)]
pub(crate) struct Makers {
    pub(crate) by_id: BTreeMap<Text, Maker>,
    /// Vendor word -> maker.
    pub(crate) words: BTreeMap<Text, Text>,
    /// Beginning of a model's name -> maker; the longest that fits wins.
    pub(crate) families: Vec<(Text, Text)>,
    /// Every known stake.
    pub(crate) equity: Vec<Equity>,
}

impl Makers {
    pub(crate) fn read() -> Self {
        let mut makers = Self { equity: equity(), ..Self::default() };
        let rows = serde_json::from_str::<MakersFile>(MAKERS).map(|file| file.makers);
        for row in rows.unwrap_or_default() {
            makers.add(row);
        }
        makers.families.sort_by_key(|(family, _)| std::cmp::Reverse(family.len()));
        makers
    }

    fn add(&mut self, row: MakerRow) -> Option<()> {
        let id = text(row.id);
        let (place, place_grade, place_date, place_source) = row.jurisdiction;
        let (owner, owner_grade, owner_date, owner_source) = row.owner;
        let maker = Maker {
            id: id.clone(),
            name: text(row.name),
            jurisdiction: fact(text(place), &place_grade, place_date, place_source)?,
            owner: fact(text(owner), &owner_grade, owner_date, owner_source)?,
            equity: self.equity.iter().filter(|edge| edge.held == id).cloned().collect(),
        };
        for word in row.words {
            self.words.insert(text(word), id.clone());
        }
        let families = row.families.into_iter().map(|family| (text(family), id.clone()));
        self.families.extend(families);
        self.by_id.insert(id, maker);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_understood() {
        let presets: ProvidersFile = serde_json::from_str(PROVIDERS).unwrap();
        let makers: MakersFile = serde_json::from_str(MAKERS).unwrap();
        let table = read();
        assert_eq!(table.len(), presets.presets.len());
        let layers: usize = presets.presets.iter().map(|row| row.layers.len()).sum();
        assert_eq!(table.values().map(|(_, facts)| facts.layers.len()).sum::<usize>(), layers);
        let read = Makers::read();
        assert_eq!(read.by_id.len(), makers.makers.len());
        assert_eq!(read.equity.len(), makers.equity.len());
        for edge in &read.equity {
            let partner = |id: &Text| read.by_id.contains_key(id);
            let operator = |id: &Text| {
                table.values().any(|(_, facts)| facts.layers.iter().any(|it| it.node.value == *id))
            };
            assert!(partner(&edge.held) || operator(&edge.held), "{} is nowhere", edge.held);
        }
    }
}
