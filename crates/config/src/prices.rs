//! `prices`: what replaces the catalog's prices, and what happens without one.

use domain::OfferId;

use crate::read::{Context, Section};
use crate::spec::{Field, KeyForm, Kind, Scalar, defaulted, optional, required};
use crate::tree::{Entry, Node};
use crate::{PriceOverride, Prices, Provider, Unpriced, capabilities};

/// Its keys.
pub(crate) static FIELDS: &[Field] = &[
    defaulted(
        "unpriced",
        "reject",
        "A request whose cost can't be known and that a money budget counts: `allow` or `reject` it.",
        Kind::Word(&["allow", "reject"]),
    ),
    optional("overrides", "Prices by offer.", Kind::Map(KeyForm::Offer, &Kind::Section(OFFER))),
];

const PRICE: Kind = Kind::Scalar(Scalar::Price);

static OFFER: &[Field] = &[
    required("input", "Price of fresh input.", PRICE),
    required("output", "Price of output.", PRICE),
    optional("cache_read", "Price of input read from the provider's cache.", PRICE),
    optional("cache_write", "Price of input written to the provider's cache.", PRICE),
    optional("reasoning", "Price of reasoning tokens, where it is not that of output.", PRICE),
    optional(
        "audio_input",
        "Price of audio input. Without it the cost of a realtime turn is unknown.",
        PRICE,
    ),
    optional("audio_output", "Price of audio output, likewise.", PRICE),
];

/// Reads the section.
pub(crate) fn read(section: Section<'_>, providers: &[Provider], cx: &mut Context<'_>) -> Prices {
    let entries = section.get("overrides").map_or(&[][..], Node::entries);
    Prices {
        unpriced: match section.text("unpriced") {
            Some("allow") => Unpriced::Allow,
            _ => Unpriced::Reject,
        },
        overrides: entries.iter().filter_map(|entry| one(entry, providers, cx)).collect(),
    }
}

fn one(entry: &Entry, providers: &[Provider], cx: &mut Context<'_>) -> Option<PriceOverride> {
    let section = Section::new(Some(&entry.value), OFFER);
    let offer = OfferId::parse(&entry.key).ok()?;
    let key = Node { value: entry.value.value.clone(), place: entry.key_place.clone() };
    capabilities::expect_provider(&offer, &key, providers, cx);
    Some(PriceOverride {
        offer,
        input: section.price("input")?,
        output: section.price("output")?,
        cache_read: section.price("cache_read"),
        cache_write: section.price("cache_write"),
        reasoning: section.price("reasoning"),
        audio_input: section.price("audio_input"),
        audio_output: section.price("audio_output"),
    })
}
