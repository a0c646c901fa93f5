//! `teams`: what the keys of a team may ask for.

use domain::{CapabilityName, TeamName};

use crate::check::Problem;
use crate::read::{Context, Section};
use crate::spec::{Field, KeyForm, Kind, Scalar, required};
use crate::tree::{Entry, Node};
use crate::{Capability, Team, scope};

/// A mapping of names.
pub(crate) const KIND: Kind = Kind::Map(KeyForm::Name, &Kind::Section(FIELDS));

static FIELDS: &[Field] = &[required(
    "capabilities",
    "Capabilities that the team's keys may ask for, and nothing else.",
    Kind::List(&Kind::Scalar(Scalar::Name)),
)];

/// Reads the section; the capabilities must exist.
pub(crate) fn read(
    node: Option<&Node>,
    capabilities: &[Capability],
    cx: &mut Context<'_>,
) -> Vec<Team> {
    let entries = node.map_or(&[][..], Node::entries);
    entries.iter().filter_map(|entry| one(entry, capabilities, cx)).collect()
}

fn one(entry: &Entry, capabilities: &[Capability], cx: &mut Context<'_>) -> Option<Team> {
    let list = Section::new(Some(&entry.value), FIELDS).get("capabilities")?;
    if list.is_empty_collection() {
        let message = format!("`teams.{}.capabilities` names none", entry.key);
        let help = "name at least one, or leave the team out: its keys may then ask for everything";
        cx.problems.error(&list.place, Problem::new("E0107", message).help(help));
    }
    let mut names = Vec::new();
    for item in list.items() {
        let Some(name) = item.text().and_then(|it| CapabilityName::new(it).ok()) else { continue };
        scope::expect_capability(&name, item, capabilities, cx);
        names.push(name);
    }
    Some(Team { name: TeamName::new(&entry.key).ok()?, capabilities: names })
}
