//! `routing`: retries, breakers, and what happens when something can't be carried.

use domain::OnLoss;

use crate::fetch;
use crate::read::{Context, Section};
use crate::spec::{Field, Kind, Scalar, defaulted, optional, required};
use crate::{Circuit, Disconnect, Retries, Routing, units};

/// Its keys.
pub(crate) static FIELDS: &[Field] = &[
    optional("retries", "Further attempts of one request.", Kind::Section(RETRIES)),
    defaulted(
        "on_client_disconnect",
        "cancel",
        "What a client that leaves does to its attempt: `cancel`, `drain`, or `{drain_up_to: 5s}`.",
        Kind::OneOf(&[Kind::Word(&["cancel", "drain"]), Kind::Section(DRAIN)]),
    ),
    optional("circuit", "When an offer is set aside.", Kind::Section(CIRCUIT)),
    defaulted("on_loss", "allow", ON_LOSS_DOC, ON_LOSS),
    defaulted("fetch_urls", "refuse", fetch::DOC, fetch::KIND),
    optional(
        "default_max_output",
        "Output tokens of a request that sets no bound, for models whose own limit is unknown. It is written into requests that are translated; of one that is forwarded as it came it is only assumed, so set no less than the model can write.",
        Kind::Scalar(Scalar::Count),
    ),
];

/// What `on_loss` says, here and in a capability.
pub(crate) const ON_LOSS_DOC: &str = "Whether a request may lose a feature in translation: `allow` (a header says what), or `reject`.";

/// What `on_loss` may be.
pub(crate) const ON_LOSS: Kind = Kind::Word(&["allow", "reject"]);

static RETRIES: &[Field] = &[
    defaulted(
        "max",
        "2",
        "Most retries of one request on the same offer.",
        Kind::Scalar(Scalar::Integer { min: 0, max: 7 }),
    ),
    defaulted("budget", "10%", "Retries as a share of requests.", Kind::Scalar(Scalar::Percent)),
];

static DRAIN: &[Field] =
    &[required("drain_up_to", "Read for this long, then cancel.", Kind::Scalar(Scalar::Duration))];

static CIRCUIT: &[Field] = &[
    defaulted("open_at", "50%", "Share of failures.", Kind::Scalar(Scalar::Percent)),
    defaulted("over", "20 calls", "Over so many calls.", Kind::Scalar(Scalar::Calls)),
    defaulted("probe_after", "15s", "When it is tried again.", Kind::Scalar(Scalar::Duration)),
];

/// Reads the section.
pub(crate) fn read(section: Section<'_>, cx: &mut Context<'_>) -> Routing {
    let retries = section.section("retries", RETRIES);
    let circuit = section.section("circuit", CIRCUIT);
    let calls = circuit.text("over").and_then(|text| units::calls(text).ok());
    Routing {
        retries: Retries {
            max: retries.integer("max"),
            budget_basis_points: retries.percent("budget"),
        },
        on_client_disconnect: disconnect(section),
        circuit: Circuit {
            open_at_basis_points: circuit.percent("open_at"),
            over_calls: calls.unwrap_or_default(),
            probe_after: circuit.duration("probe_after"),
        },
        on_loss: on_loss(section.text("on_loss")).unwrap_or_default(),
        fetch_urls: fetch::read(section, cx),
        default_max_output: section.count("default_max_output"),
    }
}

/// The word's meaning.
pub(crate) fn on_loss(word: Option<&str>) -> Option<OnLoss> {
    match word {
        Some("allow") => Some(OnLoss::Allow),
        Some("reject") => Some(OnLoss::Reject),
        _ => None,
    }
}

fn disconnect(section: Section<'_>) -> Disconnect {
    let drain = section.section("on_client_disconnect", DRAIN);
    match (section.text("on_client_disconnect"), drain.maybe_duration("drain_up_to")) {
        (_, Some(span)) => Disconnect::DrainUpTo(span),
        (Some("drain"), None) => Disconnect::Drain,
        _ => Disconnect::Cancel,
    }
}
