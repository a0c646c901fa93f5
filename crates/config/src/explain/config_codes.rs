//! Codes of the configuration.

use super::Explained;

const fn code(
    code: &'static str,
    what: &'static str,
    why: &'static str,
    fix: &'static str,
) -> Explained {
    Explained { code, status: None, what, why, fix }
}

pub(super) const CODES: &[Explained] = &[
    code(
        "E0001",
        "The file is not YAML.",
        "The parser stopped at the place shown; what follows it was not looked at.",
        "Look at the line and the one before it: an unclosed bracket or quote, a tab, or a missing space after a \
         colon.",
    ),
    code(
        "E0002",
        "The file uses a part of YAML that the configuration does without.",
        "Anchors, aliases, tags, several documents, keys that are no names and very deep nesting make it hard to \
         see what a file means.",
        "Write the value out at each place.",
    ),
    code(
        "E0101",
        "A key is given twice in one mapping.",
        "YAML readers disagree on which one counts.",
        "Delete one of the two.",
    ),
    code(
        "E0102",
        "A key is not known at this place.",
        "A key that nothing reads would be a setting that silently does nothing, so it is refused.",
        "Use the name suggested or one of the list; `outrigger config schema` has all of them, and an editor that \
         is given the schema completes them.",
    ),
    code(
        "E0103",
        "A value has the wrong shape: a list where a mapping belongs, or nothing at all.",
        "Each key takes a single value, a list or a mapping.",
        "Write it in the shape that the message names.",
    ),
    code(
        "E0104",
        "A value can't be read as what it should be.",
        "Durations, sizes, amounts, addresses and names each have one form.",
        "Write it like the examples in the message.",
    ),
    code(
        "E0105",
        "A value has no unit.",
        "`30` could be seconds or minutes, `50` dollars or tokens; guessing would cost time or money.",
        "Add the unit: `30s`, `32MiB`, `50 USD per month`, `600/min`, `10%`.",
    ),
    code(
        "E0106",
        "A bare `yes`, `no`, `on` or `off`, or `True` and the like.",
        "YAML 1.1 reads it as a truth value, YAML 1.2 as text.",
        "Write `true` or `false`; put it in quotes where the text is meant.",
    ),
    code(
        "E0107",
        "Something that must be given is missing.",
        "The section means nothing without it.",
        "Add it; the message says what is expected.",
    ),
    code(
        "E0108",
        "A value is none of the words possible here.",
        "The key takes one of a few words.",
        "Use one of those that the message lists.",
    ),
    code(
        "E0109",
        "A number is out of range.",
        "Values that could not work, or that no machine could hold, are refused at the start.",
        "Choose a value in the range of the message.",
    ),
    code(
        "E0110",
        "A name has characters that names can't have.",
        "Names appear in URLs, headers, files and terminals; look-alikes and control characters would mislead.",
        "Use 1 to 200 of the characters A-Z a-z 0-9 . _ - : @.",
    ),
    code(
        "E0111",
        "A header of `headers` belongs to the gateway.",
        "Framing and connection headers written by hand allow one request to be read as two.",
        "Leave it out.",
    ),
    code(
        "E0112",
        "Two keys that exclude each other are both given.",
        "It would be unclear which one counts.",
        "Keep one of them.",
    ),
    code(
        "E0201",
        "An offer or scope names a provider that is not configured.",
        "An offer is `provider/model`; its first part is a key of `providers`.",
        "Correct the name, or add the provider.",
    ),
    code(
        "E0202",
        "A provider's type is unknown.",
        "Without a `base_url` the type, or the provider's own name, must be one whose address is known.",
        "Use a type of the list, or give a `base_url`: any server that speaks OpenAI's chat completions will do.",
    ),
    code(
        "E0203",
        "A scope or a team names a capability that is not configured.",
        "A limit on a capability that does not exist would never hold anything back, and a permission for one would \
         allow nothing.",
        "Correct the name, or add the capability.",
    ),
    code(
        "E0204",
        "An offer is named twice in one capability.",
        "An offer plays one part: core, secondary or fallback.",
        "Delete one of the two.",
    ),
    code(
        "E0205",
        "A capability has no offers.",
        "It could serve nothing.",
        "Name at least one offer, `provider/model`.",
    ),
    code(
        "E0206",
        "An offer names a model that its provider does not list.",
        "The provider has a `models` list, and this id is not on it.",
        "Correct the id, or add it to `models`. Without a list any id is passed on.",
    ),
    code(
        "E0301",
        "An environment variable that holds a secret is not set.",
        "Without its key the provider would refuse every request.",
        "Set the variable in the environment of the service, or use `file:PATH`; `key: none` where none is needed.",
    ),
    code(
        "E0302",
        "A file can't be read.",
        "Certificates and keys are read at the start, so that a mistake shows now and not at midnight.",
        "Check the path (it is relative to the working directory) and who may read it.",
    ),
    code(
        "W0303",
        "A secret stands in the file in plain text.",
        "Configuration files are copied, committed and shown on screens.",
        "Put it into a variable (`env:NAME`) or a file of its own (`file:PATH`).",
    ),
    code(
        "W0304",
        "A provider of Google Cloud has no credentials in a file, so the metadata server will be asked.",
        "Only machines of Google Cloud have one; elsewhere every request to the provider fails over or fails.",
        "Name a file with `google: {credentials: file:PATH}`, or say `google: {credentials: metadata}` where the \
         machine's own service account is meant.",
    ),
    code(
        "E0401",
        "The data plane would be open to other machines without a key.",
        "Anybody who reaches the port could spend your money.",
        "Set `auth: {keys: required}` and make keys with `outrigger key create`, or listen on 127.0.0.1.",
    ),
    code(
        "E0403",
        "Both listeners have the same address.",
        "The data plane and the admin API have different rules, so they never share a port.",
        "Give `server.admin` a port of its own.",
    ),
    code(
        "W0404",
        "The admin listener is open to other machines.",
        "Every call needs the admin token, but the token travels as it is.",
        "Listen on 127.0.0.1 and reach it through a tunnel or a proxy with TLS.",
    ),
    code(
        "E0501",
        "A variable that begins with `OUTRIGGER__` names no setting.",
        "`OUTRIGGER__SERVER__DRAIN` sets `server.drain`: the parts between double underscores are keys.",
        "Correct the name. Only single values can be set so, no lists or mappings.",
    ),
    code(
        "E0601",
        "`content.log: true` is not possible.",
        "This version never logs prompts and answers, so the setting would promise what does not happen.",
        "Leave it out, or write `false`.",
    ),
];
