//! `providers`: endpoints that serve models, as a list of presets or by name.

use domain::{DialectId, Layer, ModelName, ProviderName};

use crate::check::{Problem, one_of};
use crate::read::{Context, Section};
use crate::spec::{Field, KeyForm, Kind, Scalar, defaulted, optional};
use crate::tree::{Node, Place, Value};
use crate::{
    PresetFacts, Provider, ProviderKind, Secret, Timeouts, address, aws, oci, scalar, suggest,
    tokens,
};

/// `[openai, anthropic]`, or a mapping of names.
pub(crate) const KIND: Kind = Kind::OneOf(&[
    Kind::List(&Kind::Scalar(Scalar::Name)),
    Kind::Map(KeyForm::Name, &Kind::Section(FIELDS)),
]);

const NODE: Kind = Kind::Scalar(Scalar::Text);
const NODES: Kind =
    Kind::OneOf(&[Kind::Scalar(Scalar::Text), Kind::List(&Kind::Scalar(Scalar::Text))]);

/// A provider's keys.
pub(crate) static FIELDS: &[Field] = &[
    optional(
        "type",
        "Its preset or kind: `openai`, `anthropic`, `openai-compatible`, `vllm`, ... Without it, its own name if \
         that is one, else `openai-compatible`.",
        Kind::Scalar(Scalar::Name),
    ),
    optional(
        "base_url",
        "Where it answers, with the version: `https://llm.example.com/v1`.",
        Kind::Scalar(Scalar::Url),
    ),
    optional(
        "address",
        "What stands for the placeholders of the type's base URL: `{account: ...}`, `{workspace: ...}`. Without it, the \
         vendor's usual variables.",
        Kind::Map(KeyForm::Name, &Kind::Scalar(Scalar::Text)),
    ),
    optional(
        "residency",
        "Where the vendor is to keep and process data: `eu`, `us`, ... picks the host that promises it.",
        Kind::Scalar(Scalar::Name),
    ),
    optional(
        "key",
        "Its key: `env:NAME`, `file:PATH` or `none`. Without it, the preset's usual variable.",
        Kind::Scalar(Scalar::Secret),
    ),
    optional(
        "keys",
        "Several keys: requests are spread over them, a refused one is set aside.",
        Kind::List(&Kind::Scalar(Scalar::Secret)),
    ),
    defaulted(
        "allow_private_address",
        "false",
        "Whether the base URL may lead to a private address. Loopback always may.",
        Kind::Scalar(Scalar::Bool),
    ),
    optional("timeouts", "Its deadlines.", Kind::Section(TIMEOUTS)),
    optional(
        "headers",
        "Headers added to every request to it.",
        Kind::Map(KeyForm::Header, &Kind::Scalar(Scalar::Secret)),
    ),
    optional(
        "dialects",
        "Formats it speaks, the preferred one first.",
        Kind::List(&Kind::Word(DialectId::WORDS)),
    ),
    optional(
        "models",
        "Its models. Without them, the catalog's; any other id is passed on.",
        Kind::List(&Kind::Scalar(Scalar::Model)),
    ),
    optional(
        "anthropic_version",
        "`anthropic-version` sent where the client sent none.",
        Kind::Word(&["2023-06-01", "2026-10-21"]),
    ),
    optional("operator", "The company that runs it.", NODE),
    optional("owner", "The operator's controlling parent.", NODE),
    optional("cloud", "Whose data centres.", NODE),
    optional("region", "Where.", NODE),
    optional("jurisdiction", "Under whose law.", NODE),
    optional("edge", "Networks in front of it.", NODES),
    optional("silicon", "Whose accelerators.", NODES),
    optional("foundry", "Who manufactures them.", NODES),
    optional("grid", "Power grid.", NODES),
    optional("identity", "Whose log-in.", NODES),
    optional("tls", "How its certificate is checked.", Kind::Section(TLS)),
    optional(
        "aws",
        "The key pair that requests to AWS are signed with. Without it, the usual variables and the usual file.",
        Kind::Section(aws::FIELDS),
    ),
    optional(
        "oci",
        "Who pays at Oracle Cloud, and the signing key. Without it, the usual variables and the usual file.",
        Kind::Section(oci::FIELDS),
    ),
    optional(
        "google",
        "The project, location and credentials of Google Cloud. Without it, the usual variables and the usual file.",
        Kind::Section(tokens::GOOGLE),
    ),
    optional(
        "azure",
        "The application that logs in to Microsoft Entra, where no key is sent. Without it, the usual variables.",
        Kind::Section(tokens::AZURE),
    ),
];

static TIMEOUTS: &[Field] = &[
    defaulted("connect", "5s", "Look-up, TCP and TLS together.", Kind::Scalar(Scalar::Duration)),
    defaulted("first_byte", "120s", "To the first byte.", Kind::Scalar(Scalar::Duration)),
    defaulted("idle", "60s", "Between two pieces of an answer.", Kind::Scalar(Scalar::Duration)),
    defaulted("total", "30min", "The whole attempt.", Kind::Scalar(Scalar::Duration)),
];

static TLS: &[Field] = &[optional(
    "ca",
    "PEM file of the authorities that may sign its certificate, instead of the system's.",
    Kind::Scalar(Scalar::File),
)];

/// Headers that carry framing or belong to the connection; ours alone.
const OWN_HEADERS: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "expect",
    "content-encoding",
    "accept-encoding",
];

/// Reads the section. A provider with problems is left out; they are noted.
pub(crate) fn read(node: Option<&Node>, cx: &mut Context<'_>) -> Vec<Provider> {
    let Some(node) = node else { return Vec::new() };
    let mut providers: Vec<Provider> = Vec::new();
    let empty = Node::empty_map();
    let listed = node.items().iter().filter_map(|item| Some((item.text()?, &item.place, &empty)));
    let named = node.entries().iter().map(|entry| (&*entry.key, &entry.key_place, &entry.value));
    for (name, place, section) in listed.chain(named) {
        let Some(provider) = one(name, place, section, cx) else {
            cx.faulty_providers.push(name.into());
            continue;
        };
        if !providers.iter().any(|it| it.name == provider.name) {
            providers.push(provider);
        } else if matches!(node.value, Value::List(_)) {
            let message = format!("`{name}` is listed twice in `providers`");
            cx.problems.error(place, Problem::new("E0101", message));
        }
    }
    if node.is_empty_collection() {
        let help = "name at least one, such as `providers: [openai]` or `providers: [demo]`";
        let problem = Problem::new("E0107", "`providers` is empty").help(help);
        cx.problems.error(&node.place, problem);
    }
    providers
}

fn one(name: &str, place: &Place, node: &Node, cx: &mut Context<'_>) -> Option<Provider> {
    let section = Section::new(Some(node), FIELDS);
    let (preset, facts) = preset(name, place, section, cx)?;
    let base_url = address::base_url(name, place, section, &facts, cx);
    if let Some(node) = section.section("tls", TLS).get("ca")
        && let Some(path) = node.text().and_then(scalar::file)
    {
        cx.expect_readable(path, &node.place);
    }
    let timeouts = section.section("timeouts", TIMEOUTS);
    // What the file says goes before what the environment has.
    let has_pair = facts.aws.is_some() && section.get("aws").is_some();
    let logs_in = facts.tokens.is_some()
        && (["client_id", "credentials"]
            .iter()
            .any(|key| section.section("azure", tokens::AZURE).get(key).is_some())
            || section.section("google", tokens::GOOGLE).get("credentials").is_some());
    let keys = if has_pair || logs_in {
        given_keys(name, section, cx)
    } else {
        keys(name, place, section, &facts, cx)
    };
    // `key: none` asks somebody who wants no credential, such as a proxy that adds its own.
    let keyless = keys.is_empty() && section.get("key").is_none();
    let tokens = tokens::read(name, place, section, &facts, keyless, cx);
    let oci = oci::read(name, place, section, &facts, keyless, cx);
    let base_url = base_url?;
    let aws = aws::read(name, place, section, &facts, &base_url, keys.is_empty(), cx);
    Some(Provider {
        name: ProviderName::new(name).ok()?,
        kind: facts.kind,
        preset,
        base_urls: address::base_urls(section, &facts, &base_url),
        base_url,
        dialects: dialects(section, &facts),
        keys,
        allow_private_address: section.truth("allow_private_address"),
        timeouts: Timeouts {
            connect: timeouts.duration("connect"),
            first_byte: timeouts.duration("first_byte"),
            idle: timeouts.duration("idle"),
            total: timeouts.duration("total"),
        },
        headers: headers(section, &facts, cx),
        models: texts(section.get("models")).filter_map(|it| ModelName::new(it).ok()).collect(),
        anthropic_version: section.text("anthropic_version").map(Into::into),
        layers: layers(section),
        tls_ca: section.section("tls", TLS).path("ca"),
        aws,
        oci,
        tokens,
    })
}

/// The items of a list, or the one scalar.
fn texts(node: Option<&Node>) -> impl Iterator<Item = &str> {
    node.into_iter().flat_map(|node| node.items().iter().chain([node])).filter_map(Node::text)
}

/// The facts by `type`, else by the provider's own name, else those of any OpenAI-compatible server.
fn preset(
    name: &str,
    place: &Place,
    section: Section<'_>,
    cx: &mut Context<'_>,
) -> Option<(Option<String>, PresetFacts)> {
    let typed = section.get("type");
    let wanted = typed.and_then(Node::text).unwrap_or(name);
    if let Some(facts) = cx.facts(wanted) {
        let preset = (wanted != ProviderKind::OpenaiCompatible.as_str()).then(|| wanted.into());
        return Some((preset, facts));
    }
    if typed.is_none() && section.get("base_url").is_some() {
        return Some((None, cx.facts(ProviderKind::OpenaiCompatible.as_str())?));
    }
    let names = cx.preset_names();
    let near = suggest::nearest(wanted, names.iter().map(String::as_str)).map(String::from);
    let (code, message, place) = match typed {
        Some(node) => ("E0202", format!("unknown provider type `{wanted}`"), &node.place),
        None => ("E0202", format!("unknown provider `{wanted}`, and it has no `base_url`"), place),
    };
    let problem = match near {
        Some(near) => Problem::new(code, message).instead(Some(near)),
        None => Problem::new(code, message)
            .help(format!("give it a `base_url`, or use one of {}", one_of(&names))),
    };
    cx.problems.error(place, problem);
    None
}

fn dialects(section: Section<'_>, facts: &PresetFacts) -> Vec<DialectId> {
    let mut dialects: Vec<DialectId> = Vec::new();
    for word in texts(section.get("dialects")) {
        dialects.extend(DialectId::parse(word).filter(|it| !dialects.contains(it)));
    }
    if dialects.is_empty() { facts.dialects.clone() } else { dialects }
}

fn keys(
    name: &str,
    place: &Place,
    section: Section<'_>,
    facts: &PresetFacts,
    cx: &mut Context<'_>,
) -> Vec<Secret> {
    if section.get("key").is_none() && section.get("keys").is_none_or(|it| it.items().is_empty()) {
        return usual_key(name, place, facts, cx);
    }
    given_keys(name, section, cx)
}

/// Those of the file.
fn given_keys(name: &str, section: Section<'_>, cx: &mut Context<'_>) -> Vec<Secret> {
    if let (Some(_), Some(node)) = (section.get("key"), section.get("keys")) {
        let message = format!("provider `{name}` has both `key` and `keys`");
        let problem = Problem::new("E0112", message).help("put all of them in `keys`");
        cx.problems.error(&node.place, problem);
    }
    let listed = section.get("keys").map_or(&[][..], Node::items);
    let mut keys = Vec::new();
    for node in section.get("key").into_iter().chain(listed) {
        if let Some(text) = node.text().filter(|text| *text != "none") {
            keys.extend(cx.secret(text, &node.place, true));
        }
    }
    keys
}

/// The first of the preset's variables that is set.
fn usual_key(name: &str, place: &Place, facts: &PresetFacts, cx: &mut Context<'_>) -> Vec<Secret> {
    let set = facts.key_variables.iter().find(|variable| cx.env.var(variable).is_some());
    if let Some(variable) = set {
        return vec![Secret::Env(variable.clone())];
    }
    if facts.key_required && facts.tokens.is_none() {
        let variables = one_of(&facts.key_variables);
        let message = format!("provider `{name}` has no key: {variables} is not set");
        let help = "set it, or write `key: env:NAME`, `key: file:PATH` or `key: none`";
        cx.problems.error(place, Problem::new("E0301", message).help(help));
    }
    Vec::new()
}

/// The headers of the file, and those for which the vendor's usual variables are set.
fn headers(
    section: Section<'_>,
    facts: &PresetFacts,
    cx: &mut Context<'_>,
) -> Vec<(String, Secret)> {
    let mut headers = Vec::new();
    for entry in section.get("headers").map_or(&[][..], Node::entries) {
        let name = entry.key.to_ascii_lowercase();
        if OWN_HEADERS.contains(&&*name) {
            let message = format!("`{name}` is set by the gateway itself");
            cx.problems
                .error(&entry.key_place, Problem::new("E0111", message).help("leave it out"));
            continue;
        }
        if let Some(text) = entry.value.text() {
            headers.extend(cx.secret(text, &entry.value.place, false).map(|value| (name, value)));
        }
    }
    for (name, variables) in &facts.header_variables {
        let set = variables.iter().find(|variable| cx.env.var(variable).is_some());
        if let Some(variable) = set.filter(|_| headers.iter().all(|(given, _)| given != name)) {
            headers.push((name.clone(), Secret::Env(variable.clone())));
        }
    }
    headers
}

fn layers(section: Section<'_>) -> Vec<(Layer, Vec<String>)> {
    Layer::ALL
        .into_iter()
        .filter_map(|layer| {
            let mut nodes: Vec<String> =
                texts(section.get(layer.as_str())).map(Into::into).collect();
            if layer == Layer::Region && nodes.is_empty() {
                nodes.extend(section.text("residency").map(String::from));
            }
            (!nodes.is_empty()).then_some((layer, nodes))
        })
        .collect()
}
