//! What the file may hold, as data: one description drives the checker, the defaults, `config show`, the JSON
//! Schema and the suggestions, so they can't disagree. Each domain file describes and reads its own section.

use crate::{
    auth, budgets, capabilities, content, ledger, prices, providers, rates, responses, routing,
    server, teams, telemetry,
};

/// A key of a section.
pub(crate) struct Field {
    /// The key.
    pub(crate) name: &'static str,
    /// What it says, in one sentence for the schema and the editor.
    pub(crate) doc: &'static str,
    /// What may stand there.
    pub(crate) kind: Kind,
    /// Whether the section makes no sense without it.
    pub(crate) need: Need,
}

/// What an absent key means.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// It must be given.
    Required,
    /// It may be left out, and nothing stands in for it.
    Optional,
    /// It may be left out, and this text stands in for it.
    Default(&'static str),
}

/// What may stand at a place.
pub(crate) enum Kind {
    /// One of these words.
    Word(&'static [&'static str]),
    /// A scalar of a form.
    Scalar(Scalar),
    /// A list.
    List(&'static Kind),
    /// A mapping whose keys the user chooses; the name says what a key is.
    Map(KeyForm, &'static Kind),
    /// A mapping with these keys.
    Section(&'static [Field]),
    /// One of these, told apart by shape: at most one scalar, one list and one mapping.
    OneOf(&'static [Kind]),
}

/// What a user-chosen key must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyForm {
    /// A name without a slash.
    Name,
    /// `provider/model`.
    Offer,
    /// An HTTP header's name.
    Header,
}

/// The forms of scalars.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool,
    Integer { min: u64, max: u64 },
    Count,
    Text,
    Name,
    Duration,
    Size,
    Percent,
    Calls,
    Rate,
    Amount,
    Budget,
    Price,
    Secret,
    File,
    Address,
    Network,
    Url,
    Zone,
    Host,
    Offer,
    Model,
}

/// A key that must be given.
pub(crate) const fn required(name: &'static str, doc: &'static str, kind: Kind) -> Field {
    Field { name, doc, kind, need: Need::Required }
}

/// A key that may be left out.
pub(crate) const fn optional(name: &'static str, doc: &'static str, kind: Kind) -> Field {
    Field { name, doc, kind, need: Need::Optional }
}

/// A key with a default.
pub(crate) const fn defaulted(
    name: &'static str,
    default: &'static str,
    doc: &'static str,
    kind: Kind,
) -> Field {
    Field { name, doc, kind, need: Need::Default(default) }
}

/// The whole file.
pub(crate) static ROOT: Kind = Kind::Section(ROOT_FIELDS);

/// The keys at the top of the file.
pub(crate) static ROOT_FIELDS: &[Field] = &[
    defaulted(
        "version",
        "1",
        "Version of this format.",
        Kind::Scalar(Scalar::Integer { min: 1, max: 1 }),
    ),
    optional("server", "Listeners and their limits.", Kind::Section(server::FIELDS)),
    optional("auth", "Who may call.", Kind::Section(auth::FIELDS)),
    required("providers", "Endpoints that serve models.", providers::KIND),
    optional("capabilities", "What applications may ask for by name.", capabilities::KIND),
    optional("teams", "Teams whose keys may not ask for everything.", teams::KIND),
    optional("budgets", "Limits over calendar windows.", budgets::KIND),
    optional("rates", "Request and token rates and parallel caps.", rates::KIND),
    optional("prices", "Prices that override the catalog's.", Kind::Section(prices::FIELDS)),
    optional("ledger", "The record of every request.", Kind::Section(ledger::FIELDS)),
    optional("routing", "Retries, breakers, translation.", Kind::Section(routing::FIELDS)),
    optional("telemetry", "Logs and metrics.", Kind::Section(telemetry::FIELDS)),
    optional(
        "responses",
        "Whether responses are kept, so that later ones build on them.",
        Kind::Section(responses::FIELDS),
    ),
    optional("content", "Whether prompts and answers are logged.", Kind::Section(content::FIELDS)),
];
