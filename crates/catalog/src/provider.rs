//! Providers as data: how to reach them (presets) and who stands behind them (facts of the layer graph).

use std::borrow::Cow;

use domain::{DialectId, Envelope, Layer};

use crate::Fact;

type Text = Cow<'static, str>;

/// How a provider wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthStyle {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// The key alone, under a name of the vendor's.
    Header(&'static str),
    /// A key as a bearer, or else requests signed with a key pair (Signature Version 4).
    Aws,
    /// A key as a bearer, or else requests signed with a user's signing key of Oracle Cloud.
    Oci,
    /// No key; one that is configured is sent as a bearer.
    None,
}

impl AuthStyle {
    /// Names that vendors have keys sent under: Anthropic, Azure, Google.
    const HEADERS: [&'static str; 3] = ["x-api-key", "api-key", "x-goog-api-key"];

    /// The word in data files and config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Header(name) => name,
            Self::Aws => "aws",
            Self::Oci => "oci",
            Self::None => "none",
        }
    }

    /// The style of that word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "bearer" => Some(Self::Bearer),
            "aws" => Some(Self::Aws),
            "oci" => Some(Self::Oci),
            "none" => Some(Self::None),
            name => Self::HEADERS.into_iter().find(|it| *it == name).map(Self::Header),
        }
    }

    /// The header that bears the key: its lower-case name and its value.
    pub fn header(self, key: &str) -> (&'static str, String) {
        match self {
            Self::Header(name) => (name, key.to_owned()),
            Self::Bearer | Self::Aws | Self::Oci | Self::None => {
                ("authorization", format!("Bearer {key}"))
            }
        }
    }
}

/// How to reach a kind of provider: what the config's `type` or `preset` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The word in config.
    pub name: Text,
    /// The name for people.
    pub title: Text,
    /// Base URL that the dialect's paths are appended to; holds `{placeholders}`; empty when the user must say it.
    pub base_url: Text,
    /// Where dialects are served that are not at `base_url`: another address, or (beginning with `/`) a path below it.
    pub base_urls: Vec<(DialectId, Text)>,
    /// What the base URL's placeholders stand for, where that is no matter of a cloud's own settings.
    pub address: Vec<AddressPart>,
    /// Base URLs by where the vendor promises that data stays, for whom that is asked of (`residency: eu`).
    pub residency: Vec<(Text, Text)>,
    /// How the key is sent.
    pub auth: AuthStyle,
    /// Headers sent on every request, lower-case names.
    pub headers: Vec<(Text, Text)>,
    /// Headers sent on every request where one of these environment variables is set: the vendor's own SDK sends them so.
    pub header_env: Vec<(Text, Vec<Text>)>,
    /// Who gives out tokens for it, where it takes them in a key's place.
    pub tokens: Option<Tokens>,
    /// Dialects it speaks, best first.
    pub dialects: Vec<DialectId>,
    /// Dialects that it speaks with some of its models only: how the model's name begins, or what it holds after a `*`
    /// (`*/`: it names a vendor), and those. The first that fits counts; what fits none is spoken with in all of them.
    pub spoken: Vec<(Text, Vec<DialectId>)>,
    /// What is put around the requests of a dialect.
    pub envelopes: Vec<(DialectId, Envelope)>,
    /// What requests to AWS are signed for; empty where none are signed.
    pub aws_service: Text,
    /// Environment variables that hold its key, in the order they are looked at.
    pub key_env: Vec<Text>,
    /// Environment variable that holds its base URL or address; else empty.
    pub url_env: Text,
    /// Ports on loopback where it listens by default.
    pub probe_ports: Vec<u16>,
    /// Words for its oddities; `dialect::Quirks` knows them.
    pub quirks: Vec<Text>,
    /// The catalog's host id for prices; empty when there are none.
    pub catalog_host: Text,
    /// What the facts above rest on.
    pub fact: Fact<()>,
}

/// A placeholder of a base URL, which every user fills in otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPart {
    /// The placeholder's name.
    pub name: Text,
    /// What it is, for a message: `a Cloudflare account`.
    pub what: Text,
    /// Environment variables that hold it, in the order they are looked at.
    pub env: Vec<Text>,
}

/// Short-lived tokens that a provider takes in a key's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Who gives them out.
    pub from: Issuer,
    /// What they are asked for.
    pub scope: Text,
}

/// Who gives out tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// Google's OAuth service and its metadata servers.
    Google,
    /// Microsoft Entra.
    Azure,
}

impl Issuer {
    /// The issuer of that word in the data files.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "google" => Some(Self::Google),
            "azure" => Some(Self::Azure),
            _ => None,
        }
    }
}

impl Preset {
    /// The dialects in which a model may be asked for; none where they are all of the preset's.
    pub fn spoken_with(&self, model: &str) -> Option<&[DialectId]> {
        let fits = |pattern: &str| match pattern.strip_prefix('*') {
            Some(held) => model.contains(held),
            None => model.starts_with(pattern),
        };
        self.spoken.iter().find(|(pattern, _)| fits(pattern)).map(|(_, dialects)| &**dialects)
    }
}

/// One node (with a weight for equity edges) of the layer graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFact {
    /// Which layer.
    pub layer: Layer,
    /// The node's id and its provenance.
    pub node: Fact<Text>,
}

/// A share one partner holds in another. Shown, never counted in shares of dependence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equity {
    /// Who holds.
    pub holder: Text,
    /// In whom.
    pub held: Text,
    /// How much, in basis points, where it is public; and who says so.
    pub stake_bp: Fact<Option<u32>>,
    /// The relation in words.
    pub note: Text,
}

/// What the layer graph knows of a kind of provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderFacts {
    /// The preset it is about.
    pub name: Text,
    /// Nodes, at most one per partition layer, any number of the overlapping ones.
    pub layers: Vec<LayerFact>,
    /// Shares held in its operator or owner.
    pub equity: Vec<Equity>,
}

impl ProviderFacts {
    /// The nodes of a layer.
    pub fn layer(&self, layer: Layer) -> impl Iterator<Item = &Fact<Text>> {
        self.layers.iter().filter(move |fact| fact.layer == layer).map(|fact| &fact.node)
    }
}

/// A company (or project) that trains models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maker {
    /// Id, lower-case: the first part of `maker/model`.
    pub id: Text,
    /// The name for people.
    pub name: Text,
    /// Country of its seat, ISO 3166-1 alpha-2.
    pub jurisdiction: Fact<Text>,
    /// Controlling parent; itself when independent.
    pub owner: Fact<Text>,
    /// Shares others hold in it.
    pub equity: Vec<Equity>,
}

/// A model's canonical key and how its maker was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    /// `maker/model`: a key for grouping, never a routing name.
    pub key: String,
    /// The maker's id, and why we think so.
    pub maker: Fact<Text>,
}
