//! `rates`: request and token rates and parallel caps.

use crate::check::Problem;
use crate::read::{Context, Section};
use crate::spec::{Field, KeyForm, Kind, Scalar, optional};
use crate::tree::{Entry, Node};
use crate::{Capability, Provider, RateLimit, scope, units};

/// A mapping of names.
pub(crate) const KIND: Kind = Kind::Map(KeyForm::Name, &Kind::Section(FIELDS));

static FIELDS: &[Field] = &[
    optional("requests", "Requests in a period.", Kind::Scalar(Scalar::Rate)),
    optional("tokens", "Input and output tokens in a period.", Kind::Scalar(Scalar::Rate)),
    optional(
        "parallel",
        "Requests at the same time.",
        Kind::Scalar(Scalar::Integer { min: 1, max: 1_000_000 }),
    ),
    scope::APP,
    scope::TEAM,
    scope::KEY,
    scope::PROVIDER,
    scope::CAPABILITY,
];

/// Reads the section.
pub(crate) fn read(
    node: Option<&Node>,
    providers: &[Provider],
    capabilities: &[Capability],
    cx: &mut Context<'_>,
) -> Vec<RateLimit> {
    let entries = node.map_or(&[][..], Node::entries);
    entries.iter().map(|entry| one(entry, providers, capabilities, cx)).collect()
}

fn one(
    entry: &Entry,
    providers: &[Provider],
    capabilities: &[Capability],
    cx: &mut Context<'_>,
) -> RateLimit {
    let section = Section::new(Some(&entry.value), FIELDS);
    let rate = |key| section.text(key).and_then(|text| units::rate(text).ok());
    if ["requests", "tokens", "parallel"].iter().all(|key| section.get(key).is_none()) {
        let message = format!("`rates.{}` limits nothing", entry.key);
        let help = "give `requests`, `tokens` or `parallel`";
        cx.problems.error(&entry.key_place, Problem::new("E0107", message).help(help));
    }
    RateLimit {
        name: entry.key.clone(),
        scope: scope::read(section, providers, capabilities, cx),
        requests: rate("requests"),
        tokens: rate("tokens"),
        parallel: section.text("parallel").and_then(|text| text.parse().ok()),
    }
}
