//! `capabilities`: what applications may ask for by name, as a list of offers or by role.

use domain::{CapabilityName, OfferId, OnLoss, Role};

use crate::check::{Problem, one_of};
use crate::read::{Context, Section};
use crate::routing::{ON_LOSS, ON_LOSS_DOC, on_loss};
use crate::spec::{Field, KeyForm, Kind, Scalar, optional, required};
use crate::tree::{Entry, Node};
use crate::{Capability, Provider, RoledOffer, suggest};

/// `fast: [a/b, c/d]` (the first is core, the rest fallback), or by role.
pub(crate) const KIND: Kind = Kind::Map(
    KeyForm::Name,
    &Kind::OneOf(&[Kind::List(&Kind::Scalar(Scalar::Offer)), Kind::Section(FIELDS)]),
);

static FIELDS: &[Field] = &[
    required("core", "Offers that carry the main share.", Kind::Section(ROLE)),
    optional("secondary", "Offers that carry a smaller share.", Kind::Section(ROLE)),
    optional("fallback", "Offers that take over when the others can't.", Kind::Section(ROLE)),
    optional("on_loss", ON_LOSS_DOC, ON_LOSS),
    optional(
        "max_output",
        "Output tokens of requests that set no bound. It is written into requests that are translated; one that is forwarded as it came is bounded by its model.",
        Kind::Scalar(Scalar::Count),
    ),
];

static ROLE: &[Field] = &[required(
    "offers",
    "Offers, `provider/model`, the preferred one first.",
    Kind::List(&Kind::Scalar(Scalar::Offer)),
)];

/// Reads the section.
pub(crate) fn read(
    node: Option<&Node>,
    providers: &[Provider],
    default: OnLoss,
    cx: &mut Context<'_>,
) -> Vec<Capability> {
    let entries = node.map_or(&[][..], Node::entries);
    entries.iter().filter_map(|entry| one(entry, providers, default, cx)).collect()
}

fn one(
    entry: &Entry,
    providers: &[Provider],
    default: OnLoss,
    cx: &mut Context<'_>,
) -> Option<Capability> {
    let section = Section::new(Some(&entry.value), FIELDS);
    let mut written: Vec<(Role, &Node)> = Vec::new();
    for (at, item) in entry.value.items().iter().enumerate() {
        written.push((if at == 0 { Role::Core } else { Role::Fallback }, item));
    }
    for role in [Role::Core, Role::Secondary, Role::Fallback] {
        let offers = section.section(role.as_str(), ROLE).get("offers");
        written.extend(offers.map_or(&[][..], Node::items).iter().map(|item| (role, item)));
    }
    let mut offers: Vec<RoledOffer> = Vec::new();
    for (role, node) in &written {
        let Some(offer) = node.text().and_then(|text| OfferId::parse(text).ok()) else { continue };
        expect_provider(&offer, node, providers, cx);
        if offers.iter().any(|it| it.offer == offer) {
            let message = format!("`{offer}` is named twice in `capabilities.{}`", entry.key);
            let help = "an offer has one role in a capability";
            cx.problems.error(&node.place, Problem::new("E0204", message).help(help));
            continue;
        }
        offers.push(RoledOffer { offer, role: *role });
    }
    // A shape that holds no offers at all has been reported.
    let core = section.section("core", ROLE).get("offers");
    if written.is_empty() && core.unwrap_or(&entry.value).is_empty_collection() {
        let message = format!("`capabilities.{}` has no offers", entry.key);
        let help = "name at least one, `provider/model`";
        cx.problems.error(&entry.key_place, Problem::new("E0205", message).help(help));
    }
    Some(Capability {
        name: CapabilityName::new(&entry.key).ok()?,
        offers,
        on_loss: on_loss(section.text("on_loss")).unwrap_or(default),
        max_output: section.count("max_output"),
    })
}

/// Reports an offer whose provider is not configured, or lists its models without this one.
pub(crate) fn expect_provider(
    offer: &OfferId,
    node: &Node,
    providers: &[Provider],
    cx: &mut Context<'_>,
) {
    let Some(provider) = providers.iter().find(|it| it.name == *offer.provider()) else {
        let names: Vec<&str> = providers.iter().map(|it| it.name.as_str()).collect();
        unknown_provider(offer.provider().as_str(), Some(offer.model().as_str()), node, &names, cx);
        return;
    };
    if provider.models.is_empty() || provider.models.contains(offer.model()) {
        return;
    }
    let models: Vec<&str> = provider.models.iter().map(domain::ModelName::as_str).collect();
    let near = suggest::nearest(offer.model().as_str(), models.iter().copied());
    let message = format!("provider `{}` lists no model `{}`", provider.name, offer.model());
    let problem = Problem::new("E0206", message)
        .instead(near.map(|model| format!("{}/{model}", provider.name)));
    let problem = match near {
        Some(_) => problem,
        None => problem.help(format!("it lists {}", one_of(&models))),
    };
    cx.problems.error(&node.place, problem);
}

/// Reports a provider that is not configured; `model` makes the suggestion a whole offer.
pub(crate) fn unknown_provider(
    name: &str,
    model: Option<&str>,
    node: &Node,
    configured: &[&str],
    cx: &mut Context<'_>,
) {
    // One that is configured but faulty, or misspelled there, has been reported and is no surprise here.
    let faulty = cx.faulty_providers.iter().map(String::as_str);
    if faulty.clone().any(|it| it == name) || suggest::nearest(name, faulty).is_some() {
        return;
    }
    let near = suggest::nearest(name, configured.iter().copied());
    let problem = Problem::new("E0201", format!("unknown provider `{name}`"));
    let problem = match near {
        Some(near) => problem.instead(Some(match model {
            Some(model) => format!("{near}/{model}"),
            None => near.into(),
        })),
        None if cx.facts(name).is_some() => problem.help(format!("add `{name}` to `providers`")),
        None => problem.help(format!("`providers` has {}", one_of(configured))),
    };
    cx.problems.error(&node.place, problem);
}
