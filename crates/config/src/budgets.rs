//! `budgets`: limits over calendar windows, in one line or with a scope.

use limits::windows::{Period, Zone};
use limits::{BudgetSpec, ScopeFilter};

use crate::read::{Context, Section};
use crate::spec::{Field, KeyForm, Kind, Scalar, defaulted, required};
use crate::tree::{Entry, Node};
use crate::{Capability, Provider, scope, units};

/// `all: 50 USD per month`, or a mapping.
pub(crate) const KIND: Kind =
    Kind::Map(KeyForm::Name, &Kind::OneOf(&[Kind::Scalar(Scalar::Budget), Kind::Section(FIELDS)]));

static FIELDS: &[Field] = &[
    required("limit", "How much.", Kind::Scalar(Scalar::Amount)),
    required(
        "per",
        "Over which calendar window; `total` never starts again.",
        Kind::Word(&["hour", "day", "week", "month", "total"]),
    ),
    scope::APP,
    scope::TEAM,
    scope::KEY,
    scope::PROVIDER,
    scope::CAPABILITY,
    defaulted("timezone", "UTC", "Zone in which its windows start.", Kind::Scalar(Scalar::Zone)),
    defaulted(
        "hard",
        "true",
        "Whether a request past it is refused, or only reported.",
        Kind::Scalar(Scalar::Bool),
    ),
];

/// Reads the section.
pub(crate) fn read(
    node: Option<&Node>,
    providers: &[Provider],
    capabilities: &[Capability],
    cx: &mut Context<'_>,
) -> Vec<BudgetSpec> {
    let entries = node.map_or(&[][..], Node::entries);
    entries.iter().filter_map(|entry| one(entry, providers, capabilities, cx)).collect()
}

fn one(
    entry: &Entry,
    providers: &[Provider],
    capabilities: &[Capability],
    cx: &mut Context<'_>,
) -> Option<BudgetSpec> {
    if let Some(text) = entry.value.text() {
        let allowance = units::budget(text).ok()?;
        return Some(BudgetSpec {
            name: entry.key.as_str().into(),
            scope: ScopeFilter::ALL,
            limit: allowance.limit,
            period: allowance.period,
            zone: allowance.zone.unwrap_or_default(),
            hard: true,
        });
    }
    let section = Section::new(Some(&entry.value), FIELDS);
    let scope = scope::read(section, providers, capabilities, cx);
    Some(BudgetSpec {
        name: entry.key.as_str().into(),
        scope,
        limit: units::amount(section.text("limit")?).ok()?,
        period: Period::parse(section.text("per")?)?,
        zone: Zone::parse(section.text("timezone")?).ok()?,
        hard: section.truth("hard"),
    })
}
