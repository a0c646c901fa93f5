//! Layers: the ways to group offers when asking how concentrated we are; and roles.

use std::fmt;

/// A way to group offers. The first seven are partitions (each offer has one node); the rest overlap
/// (each offer has a set of nodes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Layer {
    /// Who trained the model.
    Maker = 0,
    /// The company that runs the provider.
    Operator = 1,
    /// The operator's controlling parent.
    Owner = 2,
    /// The configured provider.
    Provider = 3,
    /// Whose data centres.
    Cloud = 4,
    /// Where.
    Region = 5,
    /// Under whose law.
    Jurisdiction = 6,
    /// Networks in front of the provider.
    Edge = 7,
    /// Whose accelerators.
    Silicon = 8,
    /// Who manufactures them.
    Foundry = 9,
    /// Power grid.
    Grid = 10,
    /// Whose log-in.
    Identity = 11,
}

impl Layer {
    /// Every layer, partitions first.
    pub const ALL: [Self; 12] = [
        Self::Maker,
        Self::Operator,
        Self::Owner,
        Self::Provider,
        Self::Cloud,
        Self::Region,
        Self::Jurisdiction,
        Self::Edge,
        Self::Silicon,
        Self::Foundry,
        Self::Grid,
        Self::Identity,
    ];

    /// The word used in config, rows and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maker => "maker",
            Self::Operator => "operator",
            Self::Owner => "owner",
            Self::Provider => "provider",
            Self::Cloud => "cloud",
            Self::Region => "region",
            Self::Jurisdiction => "jurisdiction",
            Self::Edge => "edge",
            Self::Silicon => "silicon",
            Self::Foundry => "foundry",
            Self::Grid => "grid",
            Self::Identity => "identity",
        }
    }

    /// The layer of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layer| layer.as_str() == text)
    }

    /// Whether each offer has exactly one node here, so that shares sum to one.
    pub fn is_partition(self) -> bool {
        (self as u8) <= Self::Jurisdiction as u8
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What part an offer plays in a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Carries the main share.
    Core = 0,
    /// Carries a steady smaller share.
    Secondary = 1,
    /// Takes over when the others can't.
    Fallback = 2,
}

impl Role {
    /// The word used in config, rows and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Secondary => "secondary",
            Self::Fallback => "fallback",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
