//! The part of a budget or rate that says what it counts.

use domain::{AppName, CapabilityName, KeyPublicId, ProviderName, TeamName};
use limits::ScopeFilter;

use crate::check::{Problem, one_of};
use crate::read::{Context, Section};
use crate::spec::{Field, Kind, Scalar, optional};
use crate::tree::Node;
use crate::{Capability, Provider, capabilities, suggest};

const NAME: Kind = Kind::Scalar(Scalar::Name);

/// Counts one application.
pub(crate) const APP: Field = optional("app", "Counts requests of this application.", NAME);
/// Counts one team.
pub(crate) const TEAM: Field = optional("team", "Counts requests of this team.", NAME);
/// Counts one key.
pub(crate) const KEY: Field =
    optional("key", "Counts requests with this virtual key (its public part).", NAME);
/// Counts one provider.
pub(crate) const PROVIDER: Field = optional("provider", "Counts attempts at this provider.", NAME);
/// Counts one capability.
pub(crate) const CAPABILITY: Field =
    optional("capability", "Counts requests for this capability.", NAME);

/// Reads the scope; providers and capabilities must exist.
pub(crate) fn read(
    section: Section<'_>,
    providers: &[Provider],
    capabilities: &[Capability],
    cx: &mut Context<'_>,
) -> ScopeFilter {
    let scope = ScopeFilter {
        app: section.text("app").and_then(|it| AppName::new(it).ok()),
        team: section.text("team").and_then(|it| TeamName::new(it).ok()),
        key: section.text("key").and_then(|it| KeyPublicId::new(it).ok()),
        provider: section.text("provider").and_then(|it| ProviderName::new(it).ok()),
        capability: section.text("capability").and_then(|it| CapabilityName::new(it).ok()),
    };
    if let (Some(name), Some(node)) = (&scope.provider, section.get("provider")) {
        let names: Vec<&str> = providers.iter().map(|it| it.name.as_str()).collect();
        if !names.contains(&name.as_str()) {
            capabilities::unknown_provider(name.as_str(), None, node, &names, cx);
        }
    }
    if let (Some(name), Some(node)) = (&scope.capability, section.get("capability")) {
        expect_capability(name, node, capabilities, cx);
    }
    scope
}

/// Reports a capability that is not configured.
pub(crate) fn expect_capability(
    name: &CapabilityName,
    node: &Node,
    capabilities: &[Capability],
    cx: &mut Context<'_>,
) {
    if capabilities.iter().any(|it| it.name == *name) {
        return;
    }
    let names: Vec<&str> = capabilities.iter().map(|it| it.name.as_str()).collect();
    let near = suggest::nearest(name.as_str(), names.iter().copied());
    let problem = Problem::new("E0203", format!("unknown capability `{name}`"));
    cx.problems.error(
        &node.place,
        match near {
            Some(near) => problem.instead(Some(near)),
            None => problem.help(format!("`capabilities` has {}", one_of(&names))),
        },
    );
}
